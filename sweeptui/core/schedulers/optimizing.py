"""Asynchronous: a slot that gets free is filled at once with what the optimizer suggests."""

from __future__ import annotations

from sweeptui.core.schedulers.base import Action, Create, Evaluate, Train, View
from sweeptui.core.trial import Stage, TrialStatus


class OptimizingScheduler:
    """Up to `max_parallel_jobs` trainings and, beside them, up to `max_parallel_evals` evaluations.

    Evaluations have slots of their own, so that one that hangs never keeps another trial from training.
    """

    def decide(self, view: View) -> list[Action]:
        if not view.may_launch:
            return []
        stages = [job.stage for job in view.running_jobs.values()]
        training_slots = view.max_parallel_jobs - stages.count(Stage.TRAIN)
        eval_slots = view.max_parallel_evals - stages.count(Stage.EVAL)
        actions: list[Action] = []
        for trial in view.active:
            if trial.status is TrialStatus.TRAINED and eval_slots > 0:
                actions.append(Evaluate(trial.number))
                eval_slots -= 1
            elif trial.status is TrialStatus.PENDING and training_slots > 0:
                actions.append(Train(trial.number))
                training_slots -= 1
        new = min(training_slots, view.max_trials - len(view.trials))
        if view.may_create and new > 0:
            actions.append(Create(new))
        return actions
