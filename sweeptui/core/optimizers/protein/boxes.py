"""What no point of a front beats, cut into boxes: over them an improvement of several objectives is summed."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

MAX_FRONT = {2: 100, 3: 24, 4: 10}
"""Points of a front that are kept, by the number of objectives: the boxes grow with its power."""


def non_dominated(points: Array) -> NDArray[np.bool_]:
    """Whether no other row is at least as good in all columns and better in one. More is better."""
    left, rows, at = np.arange(len(points)), points, 0
    while at < len(rows):
        stays = (rows > rows[at]).any(axis=1) | (rows == rows[at]).all(axis=1)
        left, rows, at = left[stays], rows[stays], int(stays[:at].sum()) + 1
    found = np.zeros(len(points), dtype=np.bool_)
    found[left] = True
    return found


def ranks(points: Array, enough: int) -> NDArray[np.int_]:
    """How many fronts have to be taken away before a row is on one: 0 for the front itself (Deb et al. 2002).

    Once `enough` rows have a rank, the others share the next one.
    """
    found = np.full(len(points), -1)
    rank = 0
    while (left := np.flatnonzero(found < 0)).size:
        on_it = non_dominated(points[left]) if len(points) - left.size < enough else slice(None)
        found[left[on_it]] = rank
        rank += 1
    return found


def crowding(points: Array) -> Array:
    """How far from each row its neighbours are, summed over the columns; infinite at either end (Deb et al. 2002)."""
    distance = np.zeros(len(points))
    for column in points.T:
        order = np.argsort(column, kind="stable")
        span = column[order[-1]] - column[order[0]]
        distance[order[[0, -1]]] = np.inf
        if span > 0 and len(order) > 2:
            distance[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / span
    return distance


def thinned(front: Array) -> Array:
    """At most `MAX_FRONT` of a front's rows, the loneliest."""
    most = MAX_FRONT[front.shape[1]]
    while len(front) > most:
        front = np.delete(front, int(crowding(front).argmin()), axis=0)
    return front


def open_boxes(front: Array, reference: Array) -> tuple[Array, Array]:
    """Disjoint boxes (their lower and upper corners, rows) that together are all above `reference` that no row beats.

    Upper sides may be infinite. One slab after the other along the last objective, and each by the same means.
    """
    above = front[(front > reference).all(axis=1)]
    above = above[non_dominated(above)]
    if front.shape[1] == 1:
        highest = above.max() if len(above) else reference[0]
        return np.array([[highest]]), np.array([[np.inf]])
    levels = np.concatenate(([reference[-1]], np.unique(above[:, -1]), [np.inf]))
    lower, upper = [], []
    for low, high in pairwise(levels):
        reaching = above[above[:, -1] >= high][:, :-1]
        inner_lower, inner_upper = open_boxes(reaching, reference[:-1])
        lower.append(np.column_stack([inner_lower, np.full(len(inner_lower), low)]))
        upper.append(np.column_stack([inner_upper, np.full(len(inner_upper), high)]))
    return np.concatenate(lower), np.concatenate(upper)
