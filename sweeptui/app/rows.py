"""The lines of the trial table: each made when it is seen, and made anew only when it would look different."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from sweeptui.app import theme
from sweeptui.app.columns import HEADER, Columns, Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sweeptui.app.columns import Column, Piece
    from sweeptui.app.layout import Layout

GUTTER = 1
"""For the mark, left of the columns."""
MAX_KEPT = 2000
_CURSOR = Style(bgcolor=theme.CURSOR)
_CURSOR_AWAY = Style(bgcolor=theme.CURSOR_AWAY)
_MARKED = Segment("●", theme.style(theme.ORANGE, bold=True))
_UNMARKED = Segment(" ")
_MORE = Segment("→", HEADER)


@dataclass(frozen=True, slots=True)
class Key:
    """Two rows with the same key look the same. Trials and curves are immutable, so that identity will do."""

    trial: int
    curve: int
    job: int
    best: bool
    second: int
    """0 for a trial that is over: it does not change with time."""


def key_of(row: Row) -> Key:
    second = 0 if row.trial.status.terminal else int(row.at)
    return Key(id(row.trial), id(row.curve), id(row.job), row.best, second)


@dataclass(frozen=True, slots=True)
class Look:
    """What a line looks like beside what its row says."""

    base: Style
    marked: bool
    cursor: bool
    away: bool
    """The cursor is here, and the keys go elsewhere."""


class Lines:
    """Formats rows as a layout wants them, for a table that is so many columns scrolled to the right."""

    def __init__(self) -> None:
        self._columns: Columns | None = None
        self.room = 0
        """So many cells a line may have, beside the mark."""
        self.left = 0
        """So many columns are scrolled away to the left."""
        self._cells: dict[int, tuple[Key, Row, list[list[Piece]]]] = {}
        self._plain_lines: dict[int, tuple[Key, Strip]] = {}
        self._styled: dict[int, tuple[Strip, Look, Strip]] = {}

    def __bool__(self) -> bool:
        """There is a layout."""
        return self._columns is not None

    @property
    def columns(self) -> Sequence[Column]:
        return () if self._columns is None else self._columns.columns

    def lay_out(self, layout: Layout, room: int, rows: Iterable[Row]) -> bool:
        """Take the layout, and give the rows the widths that they need; True where all looks different now."""
        other = self._columns is None or room != self.room or layout != self._columns.layout
        if self._columns is None or other:
            self._columns, self.room = Columns(layout), room
            self._cells.clear()
        # What has not changed since it was last seen needs no other widths than it did then.
        grew = self._columns.learn([self._cells_of(row) for row in rows if not self._known(row)])
        if self._columns.spread(room) or grew or other:
            self._plain_lines.clear()
            self._styled.clear()
            return True
        return False

    def sideways(self, step: int) -> bool:
        """Scroll by so many columns; False where there is nothing more."""
        if self._columns is None:
            return False
        _, more = self._columns.window(self._columns.header(), self.left, self.room)
        if step > 0 and not more:
            return False
        self.left = max(0, min(self.left + step, self._columns.last - 1))
        self._styled.clear()
        return True

    def header(self, base: Style) -> Strip:
        assert self._columns is not None
        line, more = self._columns.window(self._columns.header(), self.left, self.room)
        line = Strip.join([Strip([_UNMARKED]), line])
        return (Strip.join([line.crop(0, self.room), Strip([_MORE])]) if more else line).apply_style(base)

    def line(self, row: Row, look: Look) -> Strip:
        assert self._columns is not None
        number = row.trial.number
        plain = self._plain(row)
        styled = self._styled.get(number)
        if styled is not None and styled[0] is plain and styled[1] == look:
            return styled[2]
        line, _ = self._columns.window(plain, self.left, self.room)
        style = look.base + Style.from_meta({"trial": number})
        if look.cursor:
            style += _CURSOR_AWAY if look.away else _CURSOR
        strip = Strip([_MARKED if look.marked else _UNMARKED, *line], GUTTER + self.room).apply_style(style)
        self._styled[number] = plain, look, strip
        return strip

    def _plain(self, row: Row) -> Strip:
        assert self._columns is not None
        number, key = row.trial.number, key_of(row)
        kept = self._plain_lines.get(number)
        if kept is not None and kept[0] == key:
            return kept[1]
        strip = self._columns.line(self._cells_of(row))
        self._plain_lines[number] = key, strip
        return strip

    def _known(self, row: Row) -> bool:
        kept = self._cells.get(row.trial.number)
        return kept is not None and kept[0] == key_of(row)

    def _cells_of(self, row: Row) -> list[list[Piece]]:
        """What a row says in each column: made once for its widths and its line."""
        assert self._columns is not None
        number, key = row.trial.number, key_of(row)
        kept = self._cells.get(number)
        if kept is not None and kept[0] == key:
            return kept[2]
        cells = self._columns.cells(row)
        if len(self._cells) >= MAX_KEPT:
            self._cells.clear()
            self._plain_lines.clear()
            self._styled.clear()
        self._cells[number] = key, row, cells  # the row keeps alive what its key names by identity
        return cells
