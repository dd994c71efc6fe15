"""The size of what a front of several objectives beats: the one number that grows whenever the front gets better.

More is better in all objectives here; `objectives.gains` has the signs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from sweeptui.core.objectives import dominates

Point = Sequence[float]
MARGIN = 0.1
"""How far below the worst of the front the reference lies, as a share of the front's range."""


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """The volume between `reference` and the points, exactly. Points that are not above it in all count for nothing.

    By the exclusive volume of one point after the other (WFG; While, Bradstreet and Barone 2012, "A Fast Way of
    Calculating Exact Hypervolumes"). For two to four objectives and fronts of hundreds.
    """
    inside = [tuple(point) for point in points if all(p > r for p, r in zip(point, reference, strict=True))]
    return _volume(_maxima(inside), tuple(reference))


def contribution(point: Point, points: Sequence[Point], reference: Point) -> float:
    """By how much the volume of `points` grows with one more point."""
    if not all(p > r for p, r in zip(point, reference, strict=True)):
        return 0.0
    return _box(point, reference) - hypervolume([_lower(point, other) for other in points], reference)


def history(points: Sequence[Point], reference: Point) -> list[float]:
    """The volume after the first point, the first two, and so on."""
    front: list[Point] = []
    volume = 0.0
    volumes = []
    for point in points:
        if not any(dominates(other, point) or other == point for other in front):
            volume += contribution(point, front, reference)
            front = [other for other in front if not dominates(point, other)]
            front.append(point)
        volumes.append(volume)
    return volumes


def reference_below(points: Sequence[Point]) -> tuple[float, ...]:
    """A reference for a front: its worst in each objective, less a tenth of its range.

    Where all of the front is the same in an objective, its worst is the worst of all points there.
    """
    front = _maxima([tuple(point) for point in points])
    reference = []
    for values, everything in zip(zip(*front, strict=True), zip(*points, strict=True), strict=True):
        low, high = min(values), max(values)
        if low == high:
            low = min(everything)
        reference.append(low - (MARGIN * (high - low) or MARGIN * max(1.0, abs(low))))
    return tuple(reference)


def _maxima(points: Sequence[tuple[float, ...]]) -> list[tuple[float, ...]]:
    found: list[tuple[float, ...]] = []
    for point in sorted(set(points), reverse=True):  # who beats another comes before it
        if not any(dominates(other, point) for other in found):
            found.append(point)
    return found


def _volume(front: list[tuple[float, ...]], reference: tuple[float, ...]) -> float:
    """Of points that do not beat each other."""
    if not front:
        return 0.0
    if len(reference) == 2:
        total, height = 0.0, reference[1]
        for across, up in sorted(front, reverse=True):
            total += (across - reference[0]) * (up - height)
            height = up
        return total
    total = 0.0
    for index, point in enumerate(front):
        below = _maxima([_lower(point, other) for other in front[index + 1 :]])
        total += _box(point, reference) - _volume(below, reference)
    return total


def _box(point: Point, reference: Point) -> float:
    return math.prod(p - r for p, r in zip(point, reference, strict=True))


def _lower(point: Point, other: Point) -> tuple[float, ...]:
    return tuple(map(min, point, other))
