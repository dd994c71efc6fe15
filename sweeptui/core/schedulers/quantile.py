"""Ends a training whose score is below what its cost makes one expect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from sweeptui.core.fields import AtLeastOne, NotNegative, Real
from sweeptui.core.schedulers.asha import stopped_at
from sweeptui.core.schedulers.base import Action, Scheduler, Stop, View, launches
from sweeptui.core.schedulers.rungs import Plan, Resource
from sweeptui.core.trial import Trial

STEP = 1.25
"""From one cost at which trials are compared to the next."""
COSTS = tuple(1e-3 * STEP**power for power in range(155))
"""From a millisecond to 30,000 years, or as much in another unit."""


class CostQuantileScheduler(Scheduler):
    """Compares a trial with the scores that others had when they had cost as much, and ends the worst `quantile`.

    Only the order of scores counts, so it is the same for scores of any sign and for either goal.
    """

    name: ClassVar[str] = "cost_quantile"

    quantile: Real = Field(default=0.3, gt=0, lt=1)
    """The share of trials at the same cost that is ended."""
    min_trials: AtLeastOne = 10
    """Nothing is ended before so many trials have cost as much."""
    grace_cost: NotNegative = 0.0
    """Nothing is ended before it has cost so much, in the sweep's cost unit."""

    def plan(self, goal: str) -> Plan:
        del goal
        return Plan(Resource.COST, self._levels_of, self._keeps)

    def decide(self, view: View) -> list[Action]:
        assert view.rungs is not None
        stops: list[Action] = []
        for trial in view.training():
            lost = next((entry for entry in view.rungs.of(trial) if not entry.kept), None)
            if lost is not None:
                reason = stopped_at(view.rungs, lost).replace(f"rung {lost.rung + 1}", f"a cost of {lost.reached:.4g}")
                stops.append(Stop(trial.number, reason))
        return [*stops, *launches(view)]

    def _levels_of(self, trial: Trial) -> tuple[int, Sequence[float]]:
        del trial
        return 0, [cost for cost in COSTS if cost >= self.grace_cost]

    def _keeps(self, count: int) -> int:
        return count if count < self.min_trials else count - int(self.quantile * count)
