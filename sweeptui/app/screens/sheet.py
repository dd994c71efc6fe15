"""A page of lines that scrolls. Where lines have keys there is a cursor, which stays on its key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from sweeptui.app import theme
from sweeptui.app.columns import QUIET, fit
from sweeptui.app.moves import Move

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.events import Click

    from sweeptui.app.screens.lines import Line

_CURSOR = Style(bgcolor=theme.CURSOR)


class Sheet(ScrollView, can_focus=True, inherit_bindings=False):
    """Shows lines that were laid out for its width."""

    class Pointed(Message):
        """The cursor is on another line, or a line was clicked a second time (`chosen`)."""

        def __init__(self, chosen: bool = False) -> None:
            super().__init__()
            self.chosen = chosen

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._lines: Sequence[Line] = ()
        self._empty = ""
        self.cursor: int | None = None

    @property
    def room(self) -> int:
        """How many cells a line may have."""
        return self.scrollable_content_region.width

    def show(self, lines: Sequence[Line], empty: str = "") -> None:
        """`empty` is said where there are no lines."""
        self._lines, self._empty = lines, empty
        keys = self.keys
        if self.cursor not in keys:
            self.cursor = keys[0] if keys else None
        self.virtual_size = Size(self.room, len(lines))
        self.refresh()

    @property
    def keys(self) -> list[int]:
        """Those of the lines, in order, each once."""
        return list(dict.fromkeys(line.key for line in self._lines if line.key is not None))

    def point(self, key: int) -> None:
        """Put the cursor on the lines with this key."""
        self.cursor = key
        rows = [at for at, line in enumerate(self._lines) if line.key == key]
        if rows:
            top, height = int(self.scroll_y), self.scrollable_content_region.height
            if key == self.keys[0]:
                self.scroll_to(y=0, animate=False)
            elif rows[0] < top:
                self.scroll_to(y=rows[0], animate=False)
            elif rows[-1] >= top + height:
                self.scroll_to(y=rows[-1] - height + 1, animate=False)
        self.refresh()
        self.post_message(self.Pointed())

    def move(self, move: Move) -> None:
        page = max(1, self.scrollable_content_region.height - 1)
        step = {Move.UP: -1, Move.DOWN: 1, Move.PAGE_UP: -page, Move.PAGE_DOWN: page}.get(move, 0)
        keys = self.keys
        if self.cursor in keys and self.cursor is not None and move not in (Move.PAGE_UP, Move.PAGE_DOWN):
            at = {Move.HOME: 0, Move.END: len(keys) - 1}.get(move, keys.index(self.cursor) + step)
            self.point(keys[max(0, min(at, len(keys) - 1))])
        elif move in (Move.HOME, Move.END):
            self.scroll_to(y=0 if move is Move.HOME else self.max_scroll_y, animate=False)
        else:
            self.scroll_relative(y=step, animate=False)

    def render_line(self, y: int) -> Strip:
        width, base = self.room, self.rich_style
        at = int(self.scroll_y) + y
        if not self._lines:
            text = self._empty[:width] if y == self.size.height // 2 else ""
            return (
                Strip([Segment(" " * ((width - len(text)) // 2) + text, QUIET)])
                .extend_cell_length(width)
                .apply_style(base)
            )
        if at >= len(self._lines):
            return Strip.blank(width, base)
        line = self._lines[at]
        strip = Strip(fit(list(line.pieces), width) if line.pieces else [Segment(" " * width)])
        if line.key is not None:
            reach = line.reach or width
            mine, rest = strip.crop(0, reach).apply_meta({"key": line.key}), strip.crop(reach, width)
            strip = Strip.join([mine.apply_style(_CURSOR) if line.key == self.cursor else mine, rest])
        return strip.apply_style(base)

    def on_click(self, event: Click) -> None:
        key = event.style.meta.get("key")
        if key is not None:
            again = key == self.cursor
            self.point(key)
            if again:
                self.post_message(self.Pointed(chosen=True))
