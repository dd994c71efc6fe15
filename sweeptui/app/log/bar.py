"""The line below a log: how far a search is, what the filter leaves out, what came since the end was left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from sweeptui.app import theme, wording
from sweeptui.app.actions import BY_ID
from sweeptui.app.columns import BOLD, PLAIN, QUIET, Piece, fit
from sweeptui.app.keymap import keymap_of
from sweeptui.app.log.page import Found, Page
from sweeptui.app.panels import Part, arrange

if TYPE_CHECKING:
    from rich.text import Text

_KEY = theme.style(theme.ORANGE, bold=True)
_SKY = theme.style(theme.SKY, bold=True)
_YELLOW = theme.style(theme.YELLOW, bold=True)
_WRONG = theme.style(theme.VERMILLION, bold=True)
LONGEST = 40
"""Columns of what is searched for, or of the filter."""


class LogBar(Widget):
    """There while there is something to say. What is named in it can be clicked."""

    DEFAULT_CSS = """
    LogBar { height: 1; display: none; background: $panel; }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._page = Page(None)
        self._said: Text | None = None
        self._writing = False

    def show(self, page: Page, said: Text | None = None, *, writing: bool = False) -> None:
        """While something is being written no key is named, and what is `said` about it stands in for all else."""
        self._page, self._said, self._writing = page, said, writing
        self.display = said is not None or bool(self._left(page) or self._right(page))
        self.refresh()

    def render_line(self, y: int) -> Strip:  # noqa: ARG002
        width = self.size.width
        if self._said is not None:
            said = self._said
            pieces: list[Piece] = [(said.plain, Style.parse(str(said.style)) if said.style else PLAIN)]
            return Strip(fit(pieces, width)).apply_style(self.rich_style)
        right = self._right(self._page)
        taken = sum(cell_len(text) for text, _ in right)
        left = arrange(self._left(self._page), width - taken - (2 if right else 0))
        segments = [*fit(left, max(0, width - taken)), *(Segment(text, style) for text, style in right)]
        return Strip(segments).crop(0, width).apply_style(self.rich_style)

    # -- what it says

    def _left(self, page: Page) -> list[Part]:
        parts: list[Part] = []
        if page.problem and page.lines:
            parts.append((0, [(page.problem, _WRONG)]))
        if page.search is not None:
            parts += self._search(page.search, page)
        if page.filter:
            parts += self._filter(page)
        return parts

    def _search(self, search: Found, page: Page) -> list[Part]:
        parts: list[Part] = [(1, [("/ ", _SKY), (_short(search.text), BOLD)])]
        if search.searching is not None:
            parts.append((1, [(f"searching {search.searching:.0%}", _YELLOW)]))
            return [*parts, *self._hint(2, "log_clear", "stops it")]
        if search.note == "not found":
            parts.append((1, [("not found", _WRONG)]))
        elif (counted := _counted(search, page)) or search.note:
            note = f"{', ' if counted else ''}{search.note}" if search.note else ""
            parts.append((1, [(counted, PLAIN), (note, _YELLOW)]))
        if search.total != 0 or search.at is not None:
            parts += self._hint(4, "log_next", "next")
            parts += self._hint(5, "log_previous", "before")
        return [*parts, *self._hint(3, "log_clear", "ends it")]

    def _filter(self, page: Page) -> list[Part]:
        parts: list[Part] = [(1, [("& ", _SKY), (_short(page.filter), BOLD)])]
        if page.filling is not None:
            parts.append((2, [(f"looked through {page.filling:.0%}", _YELLOW)]))
        if page.search is None:
            parts += self._hint(3, "log_clear", "shows all lines")
        return parts

    def _right(self, page: Page) -> list[Piece]:
        if page.following or (self._writing and not page.new_lines):
            return []
        click = Style.from_meta({"@click": "app.act('follow')"})
        count = page.new_lines
        said = f"↓ {count:,} new line{'s' * (count != 1)}" if count else "not following"
        key = keymap_of(self.app).first(BY_ID["follow"])
        return [(f" {said}  ", _YELLOW + click), (key, _KEY + click), (" follows ", PLAIN + click)]

    def _hint(self, dispensable: int, id_: str, label: str) -> list[Part]:
        if self._writing:
            return []
        click = Style.from_meta({"@click": f"app.act('{id_}')"})
        return [(dispensable, [(keymap_of(self.app).first(BY_ID[id_]), _KEY + click), (f" {label}", QUIET + click)])]


def _counted(search: Found, page: Page) -> str:
    """Where among the lines that were found it is."""
    total = f"{search.total:,}" + "+" * search.more
    if search.number is not None:
        return f"{search.number:,} of {total}"
    if search.at is not None:
        return f"at {search.at / max(1, page.size):.0%}" + (f", {total} in all" if not search.more else "")
    return f"{total} line{'s' * (search.total != 1)}" if search.total else ""


def _short(text: str) -> str:
    text = wording.line(text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
