"""Which points are drawn where there are more than a reader can tell apart.

Two rules, both of which the page states: along an axis of trials or steps, of each of equal stretches the lowest and
the highest value (trials at even steps besides, so that no gap seems to be between); in a cloud, trials at even steps
through the ranking, the best and the worst among them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def by_stretches(values: Sequence[float], limit: int) -> list[int]:
    """The places of at most `limit` of the values, in order: the first, the last, and each stretch's extremes."""
    count = len(values)
    if count <= limit:
        return list(range(count))
    stretches = max(1, (limit - 2) // 2)
    chosen = {0, count - 1}
    for which in range(stretches):
        stretch = range(which * count // stretches, (which + 1) * count // stretches)
        chosen.add(min(stretch, key=values.__getitem__))
        chosen.add(max(stretch, key=values.__getitem__))
    return sorted(chosen)


def by_rank(count: int, limit: int) -> list[int]:
    """The places of at most `limit` of `count` things in an order: the first, the last, and even steps between."""
    if count <= limit:
        return list(range(count))
    return [round(which * (count - 1) / (limit - 1)) for which in range(limit)]
