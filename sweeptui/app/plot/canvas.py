"""Braille dots on a grid of cells: 2 across and 4 down in each.

Drawing a curve costs one short step for each of its points and one span for each column of dots, however many points
fall into a column: of those only the lowest and the highest can be told apart on screen.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from rich.segment import Segment
from rich.style import Style

BLANK = Style()
_BRAILLE = 0x2800
_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""The bit of a dot by its row and column in the cell (Unicode, "Braille Patterns")."""
_RUNS = tuple(
    tuple(tuple(sum(_BITS[row][side] for row in range(top, bottom + 1)) for bottom in range(4)) for top in range(4))
    for side in range(2)
)
"""The bits of one side of a cell, from a row to another one."""

Dot = tuple[float, float]
"""Across from the left and down from the top, in dots; may be far outside, but is finite."""


class Canvas:
    """A cell has one colour: that of what was drawn there last."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = max(0, columns), max(0, rows)
        self.width, self.height = 2 * self.columns, 4 * self.rows
        cells = self.columns * self.rows
        self._dots = bytearray(cells)
        self._glyphs: dict[int, str] = {}
        self._styles: list[Style | None] = [None] * cells
        """None where nothing is drawn."""
        self._trials: list[int | None] = [None] * cells

    # -- drawing: `trials` are whose point it is, for the mouse

    def dots(self, xs: Sequence[float], ys: Sequence[float], style: Style, trials: Sequence[int | None]) -> None:
        columns, width, height = self.columns, self.width, self.height
        for x, y, trial in zip(map(round, xs), map(round, ys), trials, strict=True):
            if 0 <= x < width and 0 <= y < height:
                cell = (y >> 2) * columns + (x >> 1)
                self._dots[cell] |= _BITS[y & 3][x & 1]
                self._styles[cell] = style
                self._trials[cell] = trial

    def blots(self, xs: Sequence[float], ys: Sequence[float], style: Style, trials: Sequence[int | None]) -> None:
        """Points of 2 x 2 dots, as near to their places as it gets."""
        lefts = [min(max(0, int(x)), self.width - 2) for x in xs]
        tops = [min(max(0, int(y)), self.height - 2) for y in ys]
        for dx, dy in itertools.product((0, 1), (0, 1)):
            self.dots([x + dx for x in lefts], [y + dy for y in tops], style, trials)

    def curve(self, xs: Sequence[float], ys: Sequence[float], style: Style, trial: int | None = None) -> None:
        """Join the points, which are best ordered by x: then each column of dots is drawn once."""
        column, low, high = -1, 0.0, 0.0
        before: Dot | None = None
        for x, y in zip(xs, ys, strict=True):
            at = round(x)
            if before is not None and at == column:
                if y < low:
                    low = y
                elif y > high:
                    high = y
            elif before is None:
                column, low, high = at, y, y
            elif abs(at - column) == 1:  # the line leaves one column and enters the next half way up
                half = (before[1] + y) / 2
                self._span(column, min(low, half), max(high, half), style, trial)
                column, low, high = at, min(y, half), max(y, half)
            else:
                self._span(column, low, high, style, trial)
                self._join(before, (x, y), style, trial)
                column, low, high = at, y, y
            before = (x, y)
        if before is not None:
            self._span(column, low, high, style, trial)

    def _span(self, x: int, low: float, high: float, style: Style, trial: int | None) -> None:
        top, bottom = max(0, round(low)), min(self.height - 1, round(high))
        if not 0 <= x < self.width or top > bottom:
            return
        runs = _RUNS[x & 1]
        first, last = top >> 2, bottom >> 2
        for row in range(first, last + 1):
            cell = row * self.columns + (x >> 1)
            self._dots[cell] |= runs[top & 3 if row == first else 0][bottom & 3 if row == last else 3]
            self._styles[cell] = style
            self._trials[cell] = trial

    def _join(self, start: Dot, end: Dot, style: Style, trial: int | None) -> None:
        inside = clip(start, end, self.width - 1, self.height - 1)
        if inside is not None:
            xs, ys = line(*inside)
            self.dots(xs, ys, style, [trial] * len(xs))

    def mark(self, column: int, row: int, glyph: str, style: Style, trial: int | None = None) -> None:
        """One character in place of whatever dots are in that cell."""
        if 0 <= column < self.columns and 0 <= row < self.rows:
            cell = row * self.columns + column
            self._glyphs[cell] = glyph
            self._styles[cell] = style
            self._trials[cell] = trial

    def label(self, column: int, row: int, text: str, style: Style) -> bool:
        """Write `text` where nothing is drawn; False where there is no room for it."""
        start = row * self.columns + column
        if not (0 <= row < self.rows and 0 <= column <= self.columns - len(text)):
            return False
        if any(style is not None for style in self._styles[start : start + len(text)]):
            return False
        for index, character in enumerate(text):
            self.mark(column + index, row, character, style)
        return True

    # -- what came of it

    def text(self, row: int) -> str:
        start = row * self.columns
        return "".join(self._character(cell) for cell in range(start, start + self.columns))

    def segments(self, row: int) -> Iterator[Segment]:
        start = row * self.columns
        cells = range(start, start + self.columns)
        for style, run in itertools.groupby(cells, key=self._styles.__getitem__):
            yield Segment("".join(map(self._character, run)), style or BLANK)

    def _character(self, cell: int) -> str:
        glyph = self._glyphs.get(cell)
        if glyph is not None:
            return glyph
        return chr(_BRAILLE + self._dots[cell]) if self._dots[cell] else " "

    def nearest(self, column: int, row: int, reach: int = 2) -> int | None:
        """The trial of what is drawn nearest to a cell, at most `reach` cells away."""
        found: tuple[float, int] | None = None
        for y in range(max(0, row - reach), min(self.rows, row + reach + 1)):
            for x in range(max(0, column - reach), min(self.columns, column + reach + 1)):
                trial = self._trials[y * self.columns + x]
                if trial is not None:
                    away = (x - column) ** 2 + 4 * (y - row) ** 2  # a cell is twice as high as it is wide
                    if found is None or away < found[0]:
                        found = (away, trial)
        return None if found is None else found[1]


def clip(start: Dot, end: Dot, right: float, bottom: float) -> tuple[Dot, Dot] | None:
    """The part of a line in the rectangle from (0, 0) to (right, bottom), None where none is.

    Liang and Barsky, "A new concept and method for line clipping", ACM Transactions on Graphics 3 (1984).
    """
    (x, y), dx, dy = start, end[0] - start[0], end[1] - start[1]
    enter, leave = 0.0, 1.0
    for towards, room in ((-dx, x), (dx, right - x), (-dy, y), (dy, bottom - y)):
        if towards == 0:
            if room < 0:
                return None
        elif towards < 0:
            enter = max(enter, room / towards)
        else:
            leave = min(leave, room / towards)
    if enter > leave:
        return None
    return (x + enter * dx, y + enter * dy), (x + leave * dx, y + leave * dy)


def line(start: Dot, end: Dot) -> tuple[list[float], list[float]]:
    """The dots of a line, both ends included."""
    (x, y), dx, dy = start, end[0] - start[0], end[1] - start[1]
    count = max(1, round(max(abs(dx), abs(dy))))
    return [x + dx * i / count for i in range(count + 1)], [y + dy * i / count for i in range(count + 1)]
