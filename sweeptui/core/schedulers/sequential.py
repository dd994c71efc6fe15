"""One trial at a time, from its training to the end of its evaluation."""

from __future__ import annotations

from typing import ClassVar

from sweeptui.core.schedulers.base import Action, Create, Evaluate, Scheduler, Train, View
from sweeptui.core.trial import TrialStatus


class SequentialScheduler(Scheduler):
    """Every suggestion may know every earlier result; nothing runs beside anything."""

    name: ClassVar[str] = "sequential"

    def decide(self, view: View) -> list[Action]:
        if not view.may_launch or view.running_jobs:
            return []
        for trial in view.active:
            if trial.status is TrialStatus.TRAINED:
                return [Evaluate(trial.number)]
        for trial in view.active:
            if trial.status is TrialStatus.PENDING:
                return [Train(trial.number)]
        if view.may_create and len(view.trials) < view.max_trials:
            return [Create(1)]
        return []

    def suggest_ahead(self, max_parallel_jobs: int) -> int:
        del max_parallel_jobs
        return 0
