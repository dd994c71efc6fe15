"""A configuration beside others: each value, and how far it is from theirs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, set_cell_size

from sweeptui.app import theme, wording
from sweeptui.app.columns import BOLD, PLAIN, QUIET, Piece

if TYPE_CHECKING:
    from collections.abc import Sequence

SAME = "="
MANY = 3.0
"""From so many times as much on, a difference is said as a factor and not in percent."""
GAP = 2
MAX_DIFFERENCE = 9
LEAST = 4
"""Cells of a name, and of a value, at least."""

Params = Mapping[str, Any]


def difference(value: Any, other: Any) -> str:
    """How `value` differs from `other`: `=`, `+27%`, so many times it, `+0.5`.

    Of what is no number: what the other one is.
    """
    if value == other and isinstance(value, bool) == isinstance(other, bool):
        return SAME
    if not (_is_number(value) and _is_number(other)):
        return f"not {wording.param(other)}"
    if value * other <= 0:
        return _signed(value - other)
    ratio = value / other
    if not math.isfinite(ratio) or ratio == 0:
        return _signed(value - other)
    if ratio >= MANY:
        return f"×{ratio:.3g}"  # noqa: RUF001
    if ratio <= 1 / MANY:
        return f"÷{1 / ratio:.3g}"
    percent = (ratio - 1) * 100
    return f"{percent:+.0f}%" if abs(percent) >= 9.95 else f"{percent:+.1f}%" if abs(percent) >= 0.05 else "≈"


def _signed(value: float) -> str:
    return ("+" if value > 0 else "-") + wording.number(abs(value), 3)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def value_text(value: Any, *, full: bool = False) -> str:
    """A value for people: a large whole number with its digits in groups."""
    if isinstance(value, int) and not isinstance(value, bool) and not full and abs(value) >= 10_000:
        return f"{value:,}"
    return wording.param(value, full=full)


def configuration(
    params: Params, others: Sequence[tuple[str, Params]], width: int, *, full_names: bool = False
) -> list[list[Piece]]:
    """Lines of at most `width` cells: a heading, then name, value and the differences to each of `others`.

    `others` have titles. Values have all their digits where there is room; where there is not, both give way.
    """
    names = {path: path for path in params} if full_names else wording.short_names(tuple(params))
    differences = [
        [difference(value, other[path]) if path in other else "new" for path, value in params.items()]
        for _, other in others
    ]
    columns = [
        min(MAX_DIFFERENCE, max((cell_len(text) for text in (title, *cells)), default=0))
        for (title, _), cells in zip(others, differences, strict=True)
    ]
    taken = sum(columns) + GAP * len(columns)
    if others and width - taken < 2 * LEAST + GAP:
        return configuration(params, others[:-1], width, full_names=full_names)
    longest = max((cell_len(name) for name in names.values()), default=0)
    values = [value_text(value, full=True) for value in params.values()]
    if taken + longest + GAP + _widest(values) > width:
        values = [value_text(value) for value in params.values()]
    room = width - taken - GAP
    names_width = min(longest, max(LEAST, room // 2, room - _widest(values)))
    values_width = min(_widest(values), max(LEAST, width - taken - GAP - names_width))
    lines: list[list[Piece]] = []
    if others:
        head: list[Piece] = [(" " * (names_width + GAP + values_width), PLAIN)]
        for (title, _), column in zip(others, columns, strict=True):
            head += [(" " * GAP, PLAIN), (_right(title, column), QUIET)]
        lines.append(head)
    for at, path in enumerate(params):
        cells: list[Piece] = [
            (_left(names[path], names_width), QUIET),
            (" " * GAP, PLAIN),
            (_right(values[at], values_width), BOLD),
        ]
        for column, texts in zip(columns, differences, strict=True):
            cells += [(" " * GAP, PLAIN), (_right(texts[at], column), _colour(texts[at]))]
        lines.append(cells)
    return lines


def _colour(text: str) -> Any:
    if text in (SAME, "≈"):
        return QUIET
    large = text[0] in "×÷" or text.startswith("not ")  # noqa: RUF001
    return theme.style(theme.ORANGE if large else theme.SKY)


def _widest(texts: Sequence[str]) -> int:
    return max((cell_len(text) for text in texts), default=0)


def _left(text: str, width: int) -> str:
    return _cut(text, width).ljust(width) if text.isascii() else set_cell_size(_cut(text, width), width)


def _right(text: str, width: int) -> str:
    text = _cut(text, width)
    return " " * (width - cell_len(text)) + text


def _cut(text: str, width: int) -> str:
    return text if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"
