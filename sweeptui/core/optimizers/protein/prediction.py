"""What is told to the user about a suggestion: the score to expect, and how far off it may be."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import t as student

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweeptui.core.optimizers.protein.warp import Warped

DOUBT = 35.0
"""Trials. After n of them a model of their scores is wrong by more than it knows: its kernel, its shape and its
lengthscales were chosen on the same few points, and the next trial is where it promises most. The deviation is widened
by sqrt(1 + (DOUBT / n)^2), which on the benchmark's tasks makes intervals hold what they should."""
LEVELS = (np.arange(41) + 0.5) / 41
"""Each explanation is represented by so many of its quantiles."""


def expected(
    parts: Sequence[tuple[float, float, float, Warped]], observations: int, seen: tuple[float, float]
) -> tuple[float, float]:
    """The median of a mixture, and half the width of its middle 68%, in the user's units.

    `parts`: weight, mean and deviation (in the units of that shape), and the shape, of each explanation. The tails are
    Student's: the variance of the signal is itself learnt from so many observations. Quantiles, as a shape may stretch
    one tail without end, where a mean and a variance would be that tail's. `seen`: the lowest and the highest score;
    nothing is said beyond them by more than their distance.
    """
    spread = student.ppf(LEVELS, observations) * math.hypot(1.0, DOUBT / observations)
    values = np.concatenate([warped.restored(mean + std * spread) for _, mean, std, warped in parts])
    lowest, highest = seen
    reach = highest - lowest
    if reach > 0 and math.isfinite(reach):
        values = np.clip(values, lowest - reach, highest + reach)
    weights = np.repeat([weight for weight, *_ in parts], len(LEVELS))
    order = np.argsort(values)
    values, reached = values[order], np.cumsum(weights[order]) / weights.sum()
    low, middle, high = (float(values[np.searchsorted(reached, share)]) for share in (0.16, 0.5, 0.84))
    return middle, (high - low) / 2
