"""What the scheduler sees: the store's state, and of the reports as much as it asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sweeptui.core.flow import Flow
from sweeptui.core.schedulers.base import Action, Fork, Promote, Scheduler, View, launches
from sweeptui.core.schedulers.rungs import Rungs
from sweeptui.core.state import SweepStatus
from sweeptui.core.trial import TrialStatus
from sweeptui.core.underway import Underway

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweeptui.core.checkpoints import Checkpoints
    from sweeptui.core.config import SweepTool
    from sweeptui.core.state import Change
    from sweeptui.core.stores.sqlite import SqliteStore
    from sweeptui.core.trial import Trial


class Views:
    """Follows the store's reports, for as long as a scheduler plans with them. Holds nothing that the store has not."""

    def __init__(self, store: SqliteStore, scheduler: Scheduler, checkpoints: Checkpoints, goal: str) -> None:
        self._store = store
        self._checkpoints = checkpoints
        self._scheduler = scheduler
        self._goal = goal
        self._last: View | None = None
        plan = scheduler.plan(goal)
        self._rungs = None if plan is None else Rungs(plan, goal)

    def goes_on(self, tool: SweepTool) -> bool:
        """Whether the scheduler would train on from a checkpoint, were nothing in its way: a pause, or no free GPU."""
        free = replace(self.view(tool, closing=False, full=False), may_create=True, may_launch=True)
        return any(isinstance(action, Promote | Fork) for action in self._scheduler.decide(free))

    def view(self, tool: SweepTool, *, closing: bool, full: bool) -> View:
        """What a decision is made on. `closing`: nothing new may begin; `full`: the disk is."""
        state = self._store.state
        trials: Mapping[int, Trial] = state.trials
        active: Sequence[Trial] = state.active
        if state.replicates:
            trials = {number: each for number, each in trials.items() if not each.is_replicate}
            active = [each for each in active if not each.is_replicate]
        if self._rungs is not None:
            self._rungs.add(self._store.points(after=self._rungs.last_order), trials)
        held = full or state.status is SweepStatus.PAUSED
        flow = Flow.of(tool)
        self._last = View(
            trials=trials,
            active=active,
            running_jobs=state.running_jobs,
            max_trials=tool.max_trials,
            max_parallel_jobs=tool.max_parallel_jobs,
            max_parallel_evals=tool.max_parallel_evals or tool.max_parallel_jobs,
            has_eval=bool(flow.late),
            may_create=not (closing or held),
            may_launch=not held,
            rungs=self._rungs,
            committed=self._checkpoints.committed,
            goal=self._goal,
            space=tool.space,
            seed=tool.seed,
            late_stages=flow.late_stages,
        )
        return self._last

    def replicates(self, tool: SweepTool, *, full: bool) -> list[Action]:
        """What is to be done for the replicates that wait. No scheduler is asked: each is trained to its end."""
        state = self._store.state
        waiting = [each for each in state.active if each.is_replicate]
        if not waiting or full or state.status is SweepStatus.PAUSED:
            return []
        flow = Flow.of(tool)
        return launches(
            View(
                trials=state.trials,
                active=waiting,
                running_jobs=state.running_jobs,
                max_trials=0,
                max_parallel_jobs=tool.max_parallel_jobs,
                max_parallel_evals=tool.max_parallel_evals or tool.max_parallel_jobs,
                has_eval=bool(flow.late),
                may_create=False,
                may_launch=True,
                late_stages=flow.late_stages,
            )
        )

    def fidelity(self, trial: Trial) -> float:
        """The share of a whole training that a trial has had."""
        if trial.status is not TrialStatus.STOPPED:
            return 1.0
        reached = None if self._rungs is None else self._rungs.reached(trial.number)
        return self._scheduler.fidelity(trial, reached)

    @property
    def underway(self) -> Underway | None:
        """The reports of what trains; None where the scheduler does not say what shares they are of."""
        if type(self._scheduler).share is Scheduler.share:
            return None
        return Underway(self._store.newest_point, self._scheduler.share, self._last_report)

    def _last_report(self) -> int:
        return 0 if self._rungs is None else self._rungs.last_order

    def needs_checkpoint(self, trial: Trial) -> bool:
        """Whether another training may still go on from a trial that has ended."""
        return self._last is not None and self._scheduler.needs_checkpoint(self._last, trial)

    def follow(self, changes: list[Change]) -> None:
        """A user who queues a trial again sets its comparisons aside: they are all made again without them."""
        if self._rungs is not None and any("requeued_after_job" in change.data for change in changes):
            self._rungs = Rungs(self._rungs.plan, self._goal)
