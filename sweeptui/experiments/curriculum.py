"""A curriculum: a sweep for each task, until the task is mastered, then the next one with what was learnt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sweeptui.core.errors import UserError, shown
from sweeptui.core.experiments import Context, Pipeline
from sweeptui.core.remote import SKYPILOT, route_of
from sweeptui.core.schedulers import Scheduler
from sweeptui.core.trial import Stage
from sweeptui.experiments.experiment import Experiment
from sweeptui.experiments.optimizers import Optimizer
from sweeptui.experiments.sweep import SweepExperiment, Train, reached

MAX_TURNS = 1000


class CurriculumExperiment(Experiment):
    """A sweep per task until one of its trials masters it.

    `tasks` are settings of the training, from the easiest to the hardest: the `train_overrides` of a task's sweeps. A
    task is mastered where the best score is at least `mastery` (at most, for a goal of "minimize"); until then it has
    one sweep of `trials` trials after the other, `sweeps_per_task` at most, and where none masters it the curriculum
    ends there. Trainings of the next task begin with the best checkpoint of the one before: its path is the setting
    that `carry` names (None: nothing is handed on).

    The result has `outcomes`, for each task its `mastered`, `score`, `params`, `trials`, `sweeps` and `checkpoint`.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        tasks: Sequence[Mapping[str, Any]],
        mastery: float,
        train: Train | None = None,
        trials: int = 8,
        sweeps_per_task: int = 3,
        carry: str | None = None,
        optimizer: Optimizer | None = None,
        scheduler: Scheduler | str | None = None,
        **fields: Any,
    ) -> None:
        """More keywords are fields of each sweep's `SweepTool`. Raises `UserError` for what cannot be meant."""
        super().__init__(name)
        if not tasks or not all(isinstance(task, Mapping) for task in tasks):
            raise UserError(
                f"tasks is {shown(tasks)}; give a mapping of settings for each task, such as {{'level': 1}}"
            )
        for field, value in (("trials", trials), ("sweeps_per_task", sweeps_per_task)):
            if value < 1:
                raise UserError(f"{field} is {value}; it must be at least 1")
        self.tasks = [dict(task) for task in tasks]
        self.mastery = mastery
        self.trials = trials
        self.sweeps_per_task = sweeps_per_task
        self.carry = carry
        self.sweep = SweepExperiment(None, optimizer, scheduler, train=train, **fields)

    def pipeline(self) -> Pipeline:
        self._check_hand_over()
        return (
            Pipeline(task_idx=0, sweeps=0, ended=False)
            .stage("init", lambda: {"tasks": self.tasks, "outcomes": []})
            .through(tasks=list[dict[str, Any]], outcomes=list[dict[str, Any]])
            .loop_while(lambda ctx: ctx.task_idx < len(ctx.tasks) and not ctx.ended, max_turns=MAX_TURNS)
            .stage("select_task", self.select_task)
            .through(current_task=dict[str, Any])
            .stage("optimize_task", self.optimize_task)
            .through(task_results=dict[str, Any])
            .stage("check_mastery", self.check_mastery)
            .through(should_advance=bool, outcomes=list[dict[str, Any]])
            .end_loop()
        )

    def _check_hand_over(self) -> None:
        """Whether a task's trainings can begin with what was trained before, which may be gone with its machine."""
        if self.carry is None:
            return
        tool = self.sweep.tool()
        if tool.skypilot.checkpoints is None and route_of(tool, Stage.TRAIN, {}) == SKYPILOT:
            raise UserError(
                f"skypilot.checkpoints is missing: carry is {self.carry!r}, and a checkpoint that is trained on"
                " SkyPilot stays on its machine; give a path that all machines share, a bucket (s3://bucket/folder) or"
                " 'reported', or carry=None"
            )

    def select_task(self, ctx: Context) -> dict[str, Any]:
        """The settings of this turn's trainings: the task's own, and where they begin."""
        task = dict(ctx.tasks[ctx.task_idx])
        before = ctx.outcomes[ctx.task_idx - 1]["checkpoint"] if ctx.task_idx else None
        if self.carry is not None and before is not None:
            task[self.carry] = before
        return {"current_task": task}

    def optimize_task(self, ctx: Context) -> dict[str, Any]:
        # Each sweep of a task tries what those before have not: by another seed.
        sweep = self.sweep.changed(train_overrides=ctx.current_task, seed=ctx.sweeps, target_score=self.mastery)
        results: Any = sweep.run(self.trials)
        return {"task_results": results}

    def check_mastery(self, ctx: Context) -> dict[str, Any]:
        results = ctx.task_results
        outcomes = list(ctx.outcomes)
        before = outcomes.pop() if len(outcomes) > ctx.task_idx else None
        best = results["best"] or {}
        outcome = {
            "task": ctx.tasks[ctx.task_idx],
            "mastered": reached(results["best_score"], self.mastery, results["goal"]),
            "score": results["best_score"],
            "params": results["best_params"],
            "checkpoint": best.get("checkpoint"),
            "trials": len(results["trials"]) + (before["trials"] if before else 0),
            "sweeps": ctx.sweeps + 1,
        }
        if before and not reached(outcome["score"], before["score"], results["goal"]):
            outcome |= {name: before[name] for name in ("score", "params", "checkpoint")}
        mastered = outcome["mastered"]
        tries = ctx.sweeps + 1
        return {
            "should_advance": mastered,
            "outcomes": [*outcomes, outcome],
            "task_idx": ctx.task_idx + mastered,
            "sweeps": 0 if mastered else tries,
            "ended": not mastered and tries >= self.sweeps_per_task,
        }

    def summary(self, result: Mapping[str, Any]) -> list[str]:
        lines = []
        for each in result["outcomes"]:
            task = ", ".join(f"{name} {value}" for name, value in each["task"].items())
            said = "mastered" if each["mastered"] else "not mastered"
            score = "no score" if each["score"] is None else f"{each['score']:.4g}"
            lines.append(f"{task}: {said} with {score} after {each['trials']} trials in {each['sweeps']} sweep(s)")
        waiting = len(self.tasks) - len(lines)
        return [*lines, *([f"{waiting} more task(s) were not begun"] if waiting else [])]
