"""What the cockpit and the start screen have in common: their colours, and what depends on the terminal's size."""

from __future__ import annotations

import locale
from typing import TYPE_CHECKING, Generic, TypeVar

from textual.events import Event, Key
from textual.reactive import Reactive

from sweeptui.app.faults import Faulty
from sweeptui.app.theme import ANSI, THEME, AsciiOnly
from sweeptui.app.typeahead import TypeAhead

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.terminal_theme import TerminalTheme
    from textual.driver import Driver
    from textual.filter import LineFilter
    from textual.theme import Theme

R = TypeVar("R")


def speaks_utf8() -> bool:
    return locale.getpreferredencoding(False).lower().replace("-", "") == "utf8"


class Window(Faulty[R], Generic[R], inherit_bindings=False):
    """An app in our colours, and in ASCII on a terminal that does not speak UTF-8.

    The theme is there from the first moment on. Set later, it would have all style sheets parsed a second time, and a
    third time for the colours of logs.
    """

    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-normal"), (160, "-wide")]  # noqa: RUF012 - as App declares it
    VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-tall")]  # noqa: RUF012

    theme: Reactive[str] = Reactive(THEME.name, init=False)
    ansi_theme_dark: Reactive[TerminalTheme] = Reactive(ANSI, init=False)

    def __init__(self, driver_class: type[Driver] | None = None, *, utf8: bool | None = None) -> None:
        """`utf8` is found out where it is None."""
        super().__init__(driver_class)
        self.register_theme(THEME)
        self.utf8 = speaks_utf8() if utf8 is None else utf8
        self._ascii = AsciiOnly()
        self.typed = TypeAhead(self, super().on_event)

    async def on_event(self, event: Event) -> None:
        if isinstance(event, Key) and not event.is_forwarded:
            await self.typed.type(event)
        else:
            await super().on_event(event)

    def get_driver_class(self) -> type[Driver]:
        from textual.drivers.linux_driver import LinuxDriver  # noqa: PLC0415 - the browser has another

        from sweeptui.app.driver import AtOnce  # noqa: PLC0415

        chosen = super().get_driver_class()
        return AtOnce if chosen is LinuxDriver else chosen

    def get_theme(self, theme_name: str) -> Theme | None:
        """Textual's; it asks for ours before it could have been registered."""
        return THEME if theme_name == THEME.name else super().get_theme(theme_name)

    def get_line_filters(self) -> Sequence[LineFilter]:
        filters = super().get_line_filters()
        return filters if self.utf8 else [*filters, self._ascii]

    def size_classes(self) -> str:
        """The classes of a screen of this size: with them from the start, it is not laid out twice."""
        reached = (
            max((least, name) for least, name in breakpoints if least <= size)[1]
            for breakpoints, size in (
                (self.HORIZONTAL_BREAKPOINTS, self.size.width),
                (self.VERTICAL_BREAKPOINTS, self.size.height),
            )
        )
        return " ".join((*reached, *(() if self.utf8 else ("-ascii",))))
