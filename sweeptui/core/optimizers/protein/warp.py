"""From the user's scores to what a Gaussian process can learn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

KNEES = (math.inf, 1.0, 0.1, 0.01)
"""In medians of the distance to the best score. A finite knee k maps a distance d to log(1 + d / k)."""


@dataclass(frozen=True, slots=True)
class Warped:
    """`values`: targets of mean 0 and deviation 1, more is better. `log_density` makes their evidence comparable.

    value = (t(y) - centre) / spread with t(y) = y where `knee` is infinite, else -log(1 + (best - y) / knee).
    """

    values: Array
    centre: float
    spread: float
    knee: float
    best: float
    exponent: int
    log_density: float

    def restored(self, targets: Array) -> Array:
        """Targets in the user's units; infinite where those overflow."""
        inner = targets * self.spread + self.centre
        if math.isfinite(self.knee):
            inner = self.best + self.knee - self.knee * np.exp(np.minimum(-inner, 700.0))
        with np.errstate(over="ignore"):
            return np.ldexp(inner, self.exponent)


def warps(y: Array) -> list[Warped]:
    """Each shape worth trying, the plain one first; only that where the scores do not differ.

    Values of any finite size are taken: they are first divided by a power of two, which is exact.
    """
    exponent = int(np.frexp(np.abs(y).max())[1])
    scaled = np.ldexp(y, -exponent)
    best = float(scaled.max())
    spread = float(scaled.std())
    if not spread > 1e-12 * abs(float(scaled.mean())):
        return [Warped(np.zeros_like(scaled), float(scaled.mean()), 2.0**-52, math.inf, best, exponent, 0.0)]
    distances = best - scaled
    unit = float(np.median(distances[distances > 0]))
    made = []
    for knee in KNEES:
        if math.isinf(knee):
            made.append(_standardised(scaled, math.inf, best, exponent, 0.0))
        else:
            log_knee = math.log(knee) + math.log(unit)
            with np.errstate(divide="ignore"):
                logs = np.logaddexp(0.0, np.log(distances) - log_knee)
            made.append(_standardised(-logs, math.exp(log_knee), best, exponent, -float((logs + log_knee).sum())))
    return made


def _standardised(values: Array, knee: float, best: float, exponent: int, log_slope: float) -> Warped:
    centre, spread = float(values.mean()), float(values.std())
    log_density = log_slope - len(values) * math.log(spread)
    return Warped((values - centre) / spread, centre, spread, knee, best, exponent, log_density)
