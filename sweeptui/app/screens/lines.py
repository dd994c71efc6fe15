"""Lines of a page: sections with a frame around them, beside and below each other."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from sweeptui.app.columns import BOLD, PLAIN, QUIET, RULE, Piece, fit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.style import Style

    from sweeptui.app.plot.picture import Picture

_CONSOLE = Console(file=io.StringIO(), width=80)
GAP = 2
"""Between the columns of a table."""


@dataclass(frozen=True, slots=True)
class Line:
    pieces: tuple[Piece, ...] = ()
    key: int | None = None
    """What the cursor is on when it is on this line; None where it cannot be."""
    reach: int = 0
    """So many cells of it the cursor covers; 0 where it is the whole line."""


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    lines: tuple[Line, ...]
    note: str = ""
    """At the right end of the title's line."""


def line(*pieces: Piece, key: int | None = None) -> Line:
    return Line(pieces, key)


def said(text: str, style: Style = PLAIN) -> Line:
    return Line(((text, style),))


def fitted(text: str, width: int) -> str:
    """The text in exactly `width` cells, cut with a mark where it is too long."""
    width = max(1, width)
    return set_cell_size(text if cell_len(text) <= width else set_cell_size(text, width - 1) + "…", width)


def rows_of(sections: Sequence[Section]) -> int:
    """How many lines sections with frames take."""
    return sum(len(section.lines) + 2 for section in sections)


def wrapped(text: str, width: int, style: Style = PLAIN) -> list[Line]:
    """A text of one or more lines in as many as it needs."""
    rows = Text(text).wrap(_CONSOLE, max(1, width), overflow="fold")
    return [said(row.plain.rstrip(), style) for row in rows]


def fields(rows: Sequence[tuple[str, Sequence[Piece]]]) -> list[Line]:
    """Names in a column, with what each has to its right."""
    width = max((cell_len(name) for name, _ in rows), default=0)
    return [line((name + " " * (width - cell_len(name) + GAP), QUIET), *pieces) for name, pieces in rows]


def table(rows: Sequence[Sequence[Piece]], *, left: int = 1, keys: Sequence[int | None] = ()) -> list[Line]:
    """Cells in columns as wide as they need: the first `left` begin at the left, the others end at the right."""
    columns = max((len(row) for row in rows), default=0)
    widths = [max((cell_len(row[at][0]) for row in rows if at < len(row)), default=0) for at in range(columns)]
    result = []
    for index, row in enumerate(rows):
        pieces: list[Piece] = []
        for at, (text, style) in enumerate(row):
            pad = " " * (widths[at] - cell_len(text))
            pieces += [(" " * GAP, PLAIN)] * (at > 0)
            pieces += [(text, style), (pad, PLAIN)] if at < left else [(pad, PLAIN), (text, style)]
        result.append(Line(tuple(pieces), keys[index] if keys else None))
    return result


def grid(rows: Sequence[Sequence[Piece]], widths: Sequence[int]) -> list[Line]:
    """Cells in columns of these widths, cut with a mark: the first begins at the left, the others end at the right.

    A cell beyond the last column is as wide as it is.
    """
    result = []
    for row in rows:
        pieces: list[Piece] = []
        for at, (text, style) in enumerate(row):
            if at >= len(widths):
                pieces += [(" " * GAP, PLAIN), (text, style)]
                continue
            whole = text if cell_len(text) <= widths[at] else fitted(text, widths[at])
            pad = " " * (widths[at] - cell_len(whole))
            pieces += [(" " * GAP, PLAIN), (pad, PLAIN), (whole, style)] if at else [(whole, style), (pad, PLAIN)]
        result.append(line(*pieces))
    return result


def width_of(row: Line) -> int:
    return sum(cell_len(text) for text, _ in row.pieces)


def inner(width: int, *, ruled: bool = False) -> int:
    """How wide a section's lines may be in a column of `width`."""
    return width if ruled else width - 4


def framed(section: Section, width: int, *, ruled: bool = False, height: int = 0) -> list[Line]:
    """The section as lines of exactly `width` cells, at least `height` of them.

    `ruled`: with a rule above it instead of a frame around it.
    """
    note = f" {section.note} " if section.note else "─"
    rule = width - cell_len(section.title) - cell_len(note) - (4 if ruled else 6)
    title = [(section.title, BOLD), (f" {'─' * max(0, rule)}", RULE), (note, QUIET if section.note else RULE)]
    if ruled:
        top = line(("─ ", RULE), *title, ("─", RULE))
        return [_fitted(top, width), *(_fitted(row, width) for row in section.lines)]
    top = line(("╭─ ", RULE), *title, ("─╮", RULE))
    body = [*section.lines, *([Line()] * max(0, height - 2 - len(section.lines)))]
    sides = [replace(row, pieces=(("│ ", RULE), *_fitted(row, width - 4).pieces, (" │", RULE))) for row in body]
    return [_fitted(top, width), *sides, said("╰" + "─" * (width - 2) + "╯", RULE)]


def _fitted(row: Line, width: int) -> Line:
    segments = fit(list(row.pieces), width)
    return replace(row, pieces=tuple((segment.text, segment.style or PLAIN) for segment in segments))


def stacked(sections: Sequence[Section], width: int, *, ruled: bool = False) -> list[Line]:
    """Sections below each other."""
    return [row for section in sections for row in framed(section, width, ruled=ruled)]


def columns(left: Sequence[Section], right: Sequence[Section], widths: tuple[int, int], height: int) -> list[Line]:
    """Two columns of sections with frames; the last ones of both end on the same line.

    That is the last one of a page of `height` lines where they do not need more.
    """
    sides = list(zip((left, right), widths, strict=True))
    needed = [sum(len(framed(section, wide)) for section in side) for side, wide in sides]
    height = max(height, *needed)
    rows = []
    for (side, wide), need in zip(sides, needed, strict=True):
        *first, last = side
        rows.append(stacked(first, wide) + framed(last, wide, height=len(last.lines) + 2 + height - need))
    return beside(rows[0], rows[1], widths[0])


def chart(picture: Picture) -> list[Line]:
    """A drawn chart."""
    return [Line(tuple((segment.text, segment.style or PLAIN) for segment in strip)) for strip in picture.lines]


def beside(left: Sequence[Line], right: Sequence[Line], width: int, gap: int = 1) -> list[Line]:
    """Two columns of lines; those of the left one are `width` cells wide."""
    rows = []
    for at in range(max(len(left), len(right))):
        mine = left[at] if at < len(left) else Line(((" " * width, PLAIN),))
        other = right[at].pieces if at < len(right) else ()
        rows.append(replace(mine, pieces=(*mine.pieces, (" " * gap, PLAIN), *other), reach=width))
    return rows
