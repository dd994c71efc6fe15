"""Where lines of a log begin on screen: one row each, or as many as they need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len


@dataclass(frozen=True, slots=True)
class Row:
    """A row on screen: `cells` of a line from column `start` on."""

    line: int
    """Which line of the page."""
    start: int
    cells: int


def breaks(text: str, width: int) -> list[tuple[int, int]]:
    """Start and length, in cells, of each row of a text in rows of `width`; no character is cut in two."""
    if text.isascii():
        return [(start, min(width, len(text) - start)) for start in range(0, max(1, len(text)), width)]
    found, start, at = [], 0, 0
    for character in text:
        cells = cell_len(character)
        if at + cells - start > width and at > start:
            found.append((start, at - start))
            start = at
        at += cells
    return [*found, (start, at - start)]


def wrapped(texts: Sequence[str], width: int, height: int, *, from_end: bool) -> tuple[list[Row], int]:
    """The rows of these lines that a screen of `height` rows shows, from the first line's start or up to the last
    line's end; and how many more lines it has room for, negative where it shows some of these not at all.
    """
    rows: list[Row] = []
    seen = 0
    order = range(len(texts) - 1, -1, -1) if from_end else range(len(texts))
    for line in order:
        if len(rows) >= height:
            break
        seen += 1
        new = [Row(line, start, cells) for start, cells in breaks(texts[line], max(1, width))]
        rows = new + rows if from_end else rows + new
    free = max(0, height - len(rows))
    rows = rows[-height:] if from_end else rows[:height]
    return rows, free - (len(texts) - seen)
