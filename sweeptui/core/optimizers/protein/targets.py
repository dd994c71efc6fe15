"""From the user's scores and costs to what a Gaussian process can learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_TRAINING = 400
"""Above this many observations the models see a part: their cost grows with its cube."""
BEST_KEPT = 100
NEWEST_KEPT = 100


@dataclass(frozen=True, slots=True)
class Standardised:
    """`values` = (y * 2**-exponent - centre) / spread, with the bad tail drawn in."""

    values: NDArray[np.float64]
    centre: float
    spread: float
    exponent: int

    def restore(self, mean: float, std: float) -> tuple[float, float]:
        """Mean and standard deviation in y's own units; infinite where those overflow."""
        with np.errstate(over="ignore"):
            return (
                float(np.ldexp(mean * self.spread + self.centre, self.exponent)),
                float(np.ldexp(std * self.spread, self.exponent)),
            )


def standardise_scores(y: NDArray[np.float64]) -> Standardised:
    """Mean 0, deviation 1, after winsorising: a few disasters must not flatten the differences among good trials.

    Only the bad end is drawn in, to Tukey's fence. Values of any finite size are taken: they are first divided by a
    power of two, which is exact.
    """
    exponent = int(np.frexp(np.abs(y).max())[1])
    scaled = np.ldexp(y, -exponent)
    low, high = np.quantile(scaled, [0.25, 0.75])
    if high > low:
        scaled = np.maximum(scaled, low - 1.5 * (high - low))
    centre = float(scaled.mean())
    spread = float(scaled.std())
    if not spread > 1e-12 * abs(centre):
        spread = 1.0
        return Standardised(np.zeros_like(scaled), centre, 2.0**-52, exponent)
    return Standardised((scaled - centre) / spread, centre, spread, exponent)


@dataclass(frozen=True, slots=True)
class LogCosts:
    """`values` = (log cost - centre) / spread; all 0, and so is `spread`, where the costs do not differ."""

    values: NDArray[np.float64]
    centre: float
    spread: float

    @property
    def constant(self) -> bool:
        return self.spread == 0.0


def usable_costs(costs: NDArray[np.float64]) -> NDArray[np.float64]:
    """A cost that is not positive and finite counts as the median of the others, 1 where there is none."""
    valid = np.isfinite(costs) & (costs > 0)
    return np.where(valid, costs, np.median(costs[valid]) if valid.any() else 1.0)


def standardise_costs(costs: NDArray[np.float64]) -> LogCosts:
    """All `costs` must be positive and finite: see `usable_costs`."""
    logs = np.log(costs)
    centre = float(logs.mean())
    spread = float(logs.std())
    if spread < 1e-9:
        return LogCosts(np.zeros_like(logs), centre, 0.0)
    return LogCosts((logs - centre) / spread, centre, spread)


def training_subset(y: NDArray[np.float64]) -> NDArray[np.int_]:
    """Indices of the observations the models see: the best, the newest, and an even share of the rest by rank.

    `y` is ordered by trial number, more is better.
    """
    if len(y) <= MAX_TRAINING:
        return np.arange(len(y))
    by_rank = np.argsort(-y, kind="stable")
    kept = set(by_rank[:BEST_KEPT].tolist()) | set(range(len(y) - NEWEST_KEPT, len(y)))
    rest = [index for index in by_rank.tolist() if index not in kept]
    places = np.linspace(0, len(rest) - 1, MAX_TRAINING - len(kept)).round().astype(int)
    return np.array(sorted(kept | {rest[place] for place in places}))


def pareto_front(y: NDArray[np.float64], costs: NDArray[np.float64]) -> NDArray[np.int_]:
    """Indices of the observations that no other beats in score without costing more, cheapest first.

    Of equal ones the earliest stays, so a front is never empty.
    """
    order = np.lexsort((np.arange(len(y)), -y, costs))
    best_so_far = np.concatenate(([-np.inf], np.maximum.accumulate(y[order])[:-1]))
    return order[y[order] > best_so_far]
