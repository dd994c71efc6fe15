"""The lines of the log pane: a page of a log, kept up to date by a `LogReader`."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import work
from textual.binding import Binding, BindingType
from textual.strip import Strip
from textual.widget import Widget

from sweeptui.app import theme
from sweeptui.app.actions import ACTIONS
from sweeptui.app.log.page import Page
from sweeptui.app.log.reader import LogReader
from sweeptui.app.log.rows import Row, wrapped
from sweeptui.app.messages import PageRead, Teller
from sweeptui.app.moves import Move
from sweeptui.core.ansi import CUT_MARK

if TYPE_CHECKING:
    from pathlib import Path

    from textual.events import MouseScrollDown, MouseScrollUp
    from textual.geometry import Region

    from sweeptui.app.log.pattern import Span

MAX_COLUMNS = 10_000
SIDE_STEP = 12
WHEEL_LINES = 3
_QUIET = theme.style(theme.QUIET)
_TRACK = theme.style("#2b3846")
_HERE = theme.style(theme.ORANGE, bold=True)
_HIT = Style(color=theme.BACKGROUND, bgcolor=theme.YELLOW)
_HIT_HERE = Style(color=theme.BACKGROUND, bgcolor=theme.ORANGE, bold=True)
_LINE_HERE = Style(bgcolor=theme.CURSOR)
_MORE = Strip([Segment("…", _QUIET)])
_CONSOLE = Console(file=io.StringIO(), color_system="truecolor", width=MAX_COLUMNS)


@lru_cache(maxsize=512)
def log_strip(line: str, marks: tuple[Span, ...] = (), here: bool = False) -> Strip:
    """A line that `sanitize` has been through, as the screen takes it; cut at `MAX_COLUMNS`.

    `marks` are places in its text without colours; `here` says that the search has come to this line.
    """
    text = Text.from_ansi(line)
    for start, stop in marks:
        text.stylize(_HIT_HERE if here else _HIT, start, stop)
    text.expand_tabs(8)
    strip = Strip([segment for segment in text.render(_CONSOLE) if segment.text])
    if strip.cell_length > MAX_COLUMNS:
        strip = Strip.join([strip.crop(0, MAX_COLUMNS - 1), Strip([Segment(CUT_MARK, _QUIET)])])
    return strip


def _cut(line: Strip, *, before: bool, after: bool) -> Strip:
    """Mark where a line goes on beyond the edge."""
    length = line.cell_length
    if before and length:
        line = Strip.join([_MORE, line.crop(1, length)])
    return Strip.join([line.crop(0, length - 1), _MORE]) if after else line


def _columns(line: str, span: Span) -> Span:
    """From which column to which a part of a line goes."""
    plain = Text.from_ansi(line).plain
    start, stop = (cell_len(plain[:at].expandtabs(8)) for at in span)
    return start, stop


class LogView(Widget, can_focus=True):
    """Shows a `Page`. Moving asks the reader for another one; nothing is read in a key or a paint."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(",".join(action.keys), f"app.act('{action.id}')", action.help, id=action.id, show=False)
        for action in ACTIONS
        if action.pane == "log"
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._page = Page(None)
        self._left = 0
        self._rows: list[Row] = []
        self._base = Style.null()
        self.wrapping = False
        """Long lines go on in the next row."""
        self._asked = 0
        """So many lines the reader was asked for: with wrapping, fewer than there are rows."""
        self._offered = "no trial is selected"
        self.reader = LogReader(Teller(PageRead, self.post_message).tell)

    def on_mount(self) -> None:
        self._read()

    def on_unmount(self) -> None:
        self.reader.close()

    @work(thread=True, group="log", exit_on_error=True)
    def _read(self) -> None:
        self.reader.run()

    def open(self, path: Path | None, offered: str) -> None:
        """Follow another log. `offered` is what is shown while it is empty."""
        self._offered = offered
        self._left = 0
        self._page = Page(path)
        self._ask_for(self.size.height)  # with wrapping that may be too many: the page says how many fit
        self._arrange()
        self.reader.open(path)

    def offer(self, text: str) -> None:
        if text != self._offered:
            self._offered = text
            self.refresh()

    def follow(self) -> None:
        self._left = 0
        self.reader.to_end()
        self._arrange()

    def wrap(self) -> None:
        """Let long lines go on in the next row, or cut them again."""
        self.wrapping = not self.wrapping
        self._left = 0
        self._arrange()

    def _arrange(self) -> None:
        """Give each row its part of a line, and have as many lines read as there is room for."""
        lines, height, width = self._page.lines, self.size.height, self.size.width - 1
        if not self.wrapping:
            self._rows = [Row(line, self._left, width) for line in range(len(lines))]
            self._ask_for(height)
        else:
            texts = [log_strip(line).text for line in lines]
            self._rows, free = wrapped(texts, width, height, from_end=self._page.following)
            if lines and (free < 0 or (free > 0 and len(lines) >= self._asked)):
                # One by one where the end is not followed: near the end, a page is filled from above.
                self._ask_for(len(lines) + (free if self._page.following else min(free, 1)))
        self.refresh()

    def _ask_for(self, lines: int) -> None:
        if lines != self._asked:
            self._asked = lines
            self.reader.resize(lines)

    def move(self, move: Move) -> None:
        match move:
            case Move.UP | Move.DOWN:
                self.reader.scroll(-1 if move is Move.UP else 1)
            case Move.PAGE_UP | Move.PAGE_DOWN:
                self.reader.page(-1 if move is Move.PAGE_UP else 1)
            case Move.HOME:
                self.reader.to_start()
            case Move.END:
                self.follow()
            case Move.LEFT | Move.RIGHT if not self.wrapping:
                longest = max((log_strip(line).cell_length for line in self._page.lines), default=0)
                step = SIDE_STEP if move is Move.RIGHT else -SIDE_STEP
                self._left = max(0, min(self._left + step, longest - self.size.width + 1))
                self._arrange()

    def render_lines(self, crop: Region) -> list[Strip]:
        self._base = self.rich_style  # of all lines, and found out with some effort
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width - 1, self._base
        page = self._page
        row = self._rows[y] if y < len(self._rows) else None
        here = row is not None and row.line == page.current
        if not page.lines:
            text = self._instead() if y == self.size.height // 2 else ""
            pad = max(0, (width - cell_len(text)) // 2)
            line = Strip([Segment(" " * pad + text, _QUIET)])
        elif row is not None:
            marks = page.marks[row.line] if row.line < len(page.marks) else ()
            whole = log_strip(page.lines[row.line], marks, here)
            line = whole.crop(row.start, row.start + row.cells)
            if not self.wrapping:
                line = _cut(line, before=row.start > 0, after=whole.cell_length > row.start + width)
        else:
            line = Strip([])
        line = line.extend_cell_length(width).crop(0, width)
        if here:
            line = line.apply_style(_LINE_HERE)
        return Strip.join([line, self._scrollbar(y, here=here)]).apply_style(base)

    def _instead(self) -> str:
        """What is said where there is no line."""
        page = self._page
        if page.problem:
            return page.problem
        if page.filter and page.size:
            return "no line passes the filter" if page.filling is None else "looking for lines that pass the filter"
        return self._offered

    def _scrollbar(self, y: int, *, here: bool) -> Strip:
        page, height = self._page, self.size.height
        if here:
            return Strip([Segment("◆", _HERE)])
        if not page.lines or (page.start <= 0 and page.stop >= 1):
            return Strip([Segment(" ")])
        first = min(height - 1, int(page.start * height))
        last = max(first, min(height - 1, round(page.stop * height) - 1))
        return Strip([Segment("┃", _QUIET) if first <= y <= last else Segment("│", _TRACK)])

    @property
    def page(self) -> Page:
        return self._page

    def turn(self, page: Page) -> None:
        """Show a page that was read."""
        if page.path != self._page.path:
            return
        came = _here(page) != _here(self._page)
        self._page = page
        if came and page.current is not None:
            self._show_hit(page.lines[page.current], page.marks[page.current])
        self._arrange()

    def _show_hit(self, line: str, marks: tuple[Span, ...]) -> None:
        """Go sideways, where the hit is not seen."""
        if self.wrapping:
            return
        width = self.size.width - 1
        columns = [_columns(line, mark) for mark in marks]
        if not columns or any(self._left <= start and stop <= self._left + width for start, stop in columns):
            return
        start, stop = columns[0]
        self._left = 0 if stop <= width else max(0, start - width // 3)

    def on_resize(self) -> None:
        if not self._page.lines:
            self._ask_for(self.size.height)
        self._arrange()

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        event.stop()
        self.reader.scroll(WHEEL_LINES)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        event.stop()
        self.reader.scroll(-WHEEL_LINES)


def _here(page: Page) -> tuple[str, int | None] | None:
    """Which line the search has come to."""
    search = page.search
    return None if search is None or page.current is None else (search.text, search.at)
