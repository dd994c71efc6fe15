"""The line in which a search or a filter of the log is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input, Static

from sweeptui.app import theme, wording
from sweeptui.app.filterbar import Wrong
from sweeptui.app.log.pattern import parse_filter, parse_search
from sweeptui.app.moves import Move
from sweeptui.app.query import QueryError

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from sweeptui.app.log.view import LogView

SEARCH, FILTER = "/", "&"
_HINTS = {
    SEARCH: "text, or re:expression; capitals count where you write one",
    FILTER: 'some words  "a phrase"  -without  re:expression  this or that',
}
_KEYS = {SEARCH: "Enter keeps it  Esc goes back", FILTER: "Enter keeps it  Esc shows all lines"}
ROOMY = 60
"""Columns in which there is room to say so."""


class LogLine(Horizontal):
    """Searches or filters at every key. Enter keeps it, Escape drops it; both go back to the log."""

    DEFAULT_CSS = """
    LogLine { height: 1; display: none; background: $panel; }
    #log-sign { width: 2; color: $primary; text-style: bold; }
    #log-keys { width: auto; color: $quiet; }
    LogLine Input { width: 1fr; height: 1; border: none; padding: 0; background: $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c", "drop", show=False, priority=True),
        Binding("tab,shift+tab", "keep", show=False, priority=True),
        Binding("up", "recall(-1)", show=False, priority=True),
        Binding("down", "recall(1)", show=False, priority=True),
        Binding("pageup", "page(-1)", show=False, priority=True),
        Binding("pagedown", "page(1)", show=False, priority=True),
    ]

    def __init__(self, view: LogView, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._view = view
        self._wrong = Wrong()
        self._sign = SEARCH
        self._kept: dict[str, list[str]] = {SEARCH: [], FILTER: []}
        """What was written before, oldest first."""
        self._recalled = 0
        self.sign = Static(id="log-sign")
        self.keys = Static(id="log-keys")
        self.input = Input(compact=True, select_on_focus=False, highlighter=self._wrong)

    def compose(self) -> ComposeResult:
        yield self.sign
        yield self.input
        yield self.keys

    def open(self, sign: str, text: str) -> None:
        self._sign = sign
        self.sign.update(Text(sign))
        self.keys.update(Text(_KEYS[sign] if self._view.size.width >= ROOMY else ""))
        self._wrong.error = None
        self._recalled = len(self._kept[sign])
        self.display = True
        self._view.reader.remember()
        with self.input.prevent(Input.Changed):
            self.input.value = text
        self.input.cursor_position = len(text)
        self.input.focus()

    @property
    def said(self) -> Text | None:
        """What the bar says about it, where it says more than what was found."""
        if not self.display:
            return None
        error = self._wrong.error
        if error is not None:
            return Text(f"  {wording.line(str(error))}", style=theme.QUIET if error.unfinished else theme.VERMILLION)
        if not self.input.value:
            return Text(f"  {_HINTS[self._sign]}", style=theme.QUIET)
        return None

    # -- writing

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        if self.display:
            self._apply(event.value)

    def _apply(self, text: str) -> None:
        """Do what is written as far as it is understood."""
        self._wrong.error = None
        reader = self._view.reader
        try:
            if self._sign == FILTER:
                reader.filter(parse_filter(text), back=True)
            else:
                reader.search(parse_search(text), back=True)
        except QueryError as error:
            self._wrong.error = error
        self.input.refresh()

    # -- closing

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_keep()

    def action_keep(self) -> None:
        text = self.input.value
        if self._wrong.error is not None:
            self.app.bell()
            return
        if text:
            kept = self._kept[self._sign]
            self._kept[self._sign] = [*[each for each in kept if each != text], text]
            self._apply(text)
        self._close()

    def action_drop(self) -> None:
        if self._sign == FILTER:
            self._view.reader.filter(None)
        else:
            self._view.reader.search(None, back=True)
        self._close()

    def _close(self) -> None:
        self.display = False
        self._view.focus()

    # -- other keys

    def action_recall(self, by: int) -> None:
        kept = self._kept[self._sign]
        self._recalled = max(0, min(self._recalled + by, len(kept)))
        text = kept[self._recalled] if self._recalled < len(kept) else ""
        self.input.value = text
        self.input.cursor_position = len(text)

    def action_page(self, by: int) -> None:
        self._view.move(Move.PAGE_UP if by < 0 else Move.PAGE_DOWN)
