"""The log pane: a page of the selected trial's log, kept up to date by a `LogReader`."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import TYPE_CHECKING

from rich.console import Console
from rich.segment import Segment
from rich.text import Text
from textual import work
from textual.strip import Strip
from textual.widget import Widget

from sweeptui.app import theme
from sweeptui.app.log.page import Page
from sweeptui.app.log.reader import LogReader
from sweeptui.app.messages import PageRead
from sweeptui.app.moves import Move
from sweeptui.core.ansi import CUT_MARK

if TYPE_CHECKING:
    from pathlib import Path

    from textual.events import MouseScrollDown, MouseScrollUp

MAX_COLUMNS = 1000
SIDE_STEP = 12
_QUIET = theme.style(theme.QUIET)
_TRACK = theme.style("#2b3846")
_NEW = theme.style(theme.YELLOW, bold=True)
_CONSOLE = Console(file=io.StringIO(), color_system="truecolor", width=MAX_COLUMNS)


@lru_cache(maxsize=1024)
def log_strip(line: str) -> Strip:
    """A line that `sanitize` has been through, as the screen takes it; cut at `MAX_COLUMNS`."""
    text = Text.from_ansi(line)
    text.expand_tabs(8)
    strip = Strip([segment for segment in text.render(_CONSOLE) if segment.text])
    if strip.cell_length > MAX_COLUMNS:
        strip = Strip.join([strip.crop(0, MAX_COLUMNS - 1), Strip([Segment(CUT_MARK, _QUIET)])])
    return strip


class LogView(Widget, can_focus=True):
    """Shows a `Page`. Moving asks the reader for another one; nothing is read in a key or a paint."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._page = Page(None)
        self._left = 0
        self._offered = "no trial is selected"
        self.reader = LogReader(lambda page: self.post_message(PageRead(page)))

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
        self.refresh()
        self.reader.open(path)

    def offer(self, text: str) -> None:
        if text != self._offered:
            self._offered = text
            self.refresh()

    def follow(self) -> None:
        self._left = 0
        self.reader.to_end()

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
            case Move.LEFT | Move.RIGHT:
                longest = max((log_strip(line).cell_length for line in self._page.lines), default=0)
                step = SIDE_STEP if move is Move.RIGHT else -SIDE_STEP
                self._left = max(0, min(self._left + step, longest - self.size.width + 1))
                self.refresh()

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width - 1, self.rich_style
        page = self._page
        if not page.lines:
            text = self._offered if y == self.size.height // 2 else ""
            pad = max(0, (width - len(text)) // 2)
            line = Strip([Segment(" " * pad + text[:width], _QUIET)])
        elif y == self.size.height - 1 and page.new_lines:
            text = f" ↓ {page.new_lines:,} new line{'s' * (page.new_lines != 1)}: End or f follows "
            line = Strip([Segment(text[:width], _NEW)])
        elif y < len(page.lines):
            line = log_strip(page.lines[y]).crop(self._left, self._left + width)
        else:
            line = Strip([])
        line = line.extend_cell_length(width).crop(0, width)
        return Strip.join([line, self._scrollbar(y)]).apply_style(base)

    def _scrollbar(self, y: int) -> Strip:
        page, height = self._page, self.size.height
        if not page.lines or (page.start <= 0 and page.stop >= 1):
            return Strip([Segment(" ")])
        first = min(height - 1, int(page.start * height))
        last = max(first, min(height - 1, round(page.stop * height) - 1))
        return Strip([Segment("┃", _QUIET) if first <= y <= last else Segment("│", _TRACK)])

    @property
    def page(self) -> Page:
        return self._page

    def on_page_read(self, message: PageRead) -> None:
        if message.page.path == self._page.path:
            self._page = message.page
            self.refresh()

    def on_resize(self) -> None:
        self.reader.resize(self.size.height)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        event.stop()
        self.reader.scroll(3)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        event.stop()
        self.reader.scroll(-3)
