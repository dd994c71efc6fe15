"""Costs on a log scale, the front, and which observations a model sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_TRAINING = 400
"""Above this many observations the models see a part: their cost grows with its cube."""


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


def standardise_costs(costs: NDArray[np.float64], which: NDArray[np.bool_] | None = None) -> LogCosts:
    """All `costs` must be positive and finite: see `usable_costs`. Centre and spread are those of `which`."""
    logs = np.log(costs)
    known = logs if which is None else logs[which]
    centre = float(known.mean()) if len(known) else 0.0
    spread = float(known.std()) if len(known) else 0.0
    if spread < 1e-9:
        return LogCosts(np.zeros_like(logs), centre, 0.0)
    return LogCosts((logs - centre) / spread, centre, spread)


def training_subset(y: NDArray[np.float64], most: int = MAX_TRAINING) -> NDArray[np.int_]:
    """Indices of at most `most` observations: a quarter of them the best, a quarter the newest, and the rest an even
    share of what remains, by rank.

    `y` is ordered by trial number, more is better.
    """
    if len(y) <= most:
        return np.arange(len(y))
    by_rank = np.argsort(-y, kind="stable")
    kept = set(by_rank[: most // 4].tolist()) | set(range(len(y) - most // 4, len(y)))
    rest = [index for index in by_rank.tolist() if index not in kept]
    places = np.linspace(0, len(rest) - 1, most - len(kept)).round().astype(int)
    return np.array(sorted(kept | {rest[place] for place in places}))


def pareto_front(y: NDArray[np.float64], costs: NDArray[np.float64]) -> NDArray[np.int_]:
    """Indices of the observations that no other beats in score without costing more, cheapest first.

    Of equal ones the earliest stays, so a front is never empty.
    """
    order = np.lexsort((np.arange(len(y)), -y, costs))
    best_so_far = np.concatenate(([-np.inf], np.maximum.accumulate(y[order])[:-1]))
    return order[y[order] > best_so_far]


def complete_front(y: NDArray[np.float64], costs: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.int_]:
    """The front of the complete trials: an unfinished one is cheap because it was ended. Of all, where none is."""
    complete = np.flatnonzero(shares == 1)
    if not len(complete):
        return pareto_front(y, costs)
    front: NDArray[np.int_] = complete[pareto_front(y[complete], costs[complete])]
    return front
