"""Where a trial looks, and through which model: turn by turn, so that no single belief is followed for long.

A search that trusts one model everywhere stalls in two ways. Where the scores' shape looks closely at what is near the
best, all that is far off is uncertain and so worth a visit, and nothing is polished; where the shape is wrong, one
basin is polished to the end, and no other visited. So of three trials one follows all explanations, one a single shape
of the scores, and one stays in a region around the best that grows with success and shrinks without (the trust region
of TuRBO, Eriksson et al. 2019, arXiv:1910.01739, told from the history alone).
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sweeptui.core.optimizers.protein.axes import Axes

    Array = NDArray[np.float64]

LEAST_TRIALS = 20
"""Before that, or two for each axis, all explanations are followed: there is nothing to stall yet."""
WIDEST, NARROWEST = 2.0, 2.0**-8
"""Of the region, as a factor on a local search's reach, at which it begins."""
SUCCESSES = 2
"""Trials in a row inside of the region that were better than all before: then it doubles."""
LEAST_FAILURES = 3
"""Trials in a row inside of the region that were not, or one for each axis: then it halves."""


def settled(trials: int, axes: int) -> bool:
    """Whether there are enough results for the search to stall, and for the models to tell noise from signal."""
    return trials >= max(LEAST_TRIALS, 2 * axes)


class Focus(Enum):
    """Its value is what the provenance says."""

    EVERYTHING = "all shapes"
    SHAPE = "one shape"
    REGION = "near the best"

    @classmethod
    def of(cls, number: int, trials: int, axes: int) -> Focus:
        """Of the trial with that number, after so many results, in a space of so many axes."""
        if not settled(trials, axes):
            return cls.EVERYTHING
        return TURNS[number % len(TURNS)]


TURNS = (Focus.REGION, Focus.SHAPE, Focus.EVERYTHING)


def region_factor(points: Array, scores: Array, axes: Axes, scale: float) -> float:
    """How wide the region is: a factor on `scale` times the axes' radius.

    `points` (n, axes) and `scores` (n; more is better) are of complete trials in their order. A trial counts if it lay
    within the region around the best before it, whoever suggested it.
    """
    numeric = ~axes.categorical
    reach = np.maximum(axes.radius[numeric] * scale, 1e-12)
    patience = max(LEAST_FAILURES, axes.count)
    factor, best, won, failed = 1.0, 0, 0, 0
    for index in range(1, len(points)):
        away = np.abs(points[index] - points[best])[numeric] / reach
        inside = bool(away.max(initial=0.0) <= factor * (1 + 1e-6))
        if scores[index] > scores[best]:
            best, failed = index, 0
            won = won + 1 if inside else 0
            if won >= SUCCESSES:
                factor, won = min(2 * factor, WIDEST), 0
        elif inside:
            won, failed = 0, failed + 1
            if failed >= patience:
                factor, failed = max(factor / 2, NARROWEST), 0
    return factor
