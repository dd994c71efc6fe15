"""The flow of a trial: its stages in order, what each must give, and which one is next.

It is a sequence that the orchestrator walks through job by job. Which stages are done is read off the jobs in the
store, so that a new orchestrator goes on at the stage where an old one stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sweeptui.core.failures import tries_left
from sweeptui.core.stages import SimulationConfig, StageConfig
from sweeptui.core.trial import FailureKind, Job, JobOutcome, Stage

if TYPE_CHECKING:
    from sweeptui.core.config import SweepTool

DUE = "; its next stage is due"
"""How the reason of a trial ends that is queued between two of its stages."""
Mistake = tuple[tuple[str | int, ...], str, Any]
"""The place of a field, what is wrong with it, and its value."""


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of a trial."""

    stage: Stage
    title: str
    """What people call it: "train", "eval arena/combat"."""
    given: StageConfig
    simulation: SimulationConfig | None = None
    """The one that this step evaluates, where each has a job of its own."""
    timeout_s: float | None = None
    timeout_field: str = ""
    """Where the timeout is set."""

    @property
    def command_field(self) -> str:
        """Where its command is set."""
        if self.simulation is not None and self.simulation.command:
            return f"command of simulation {self.simulation.name!r}"
        if self.stage is Stage.TRAIN or self.stage.evaluates:
            return "train_command" if self.stage is Stage.TRAIN else "eval_command"
        return f"command of stage {self.title!r}"

    def retries(self, of_sweep: Mapping[FailureKind, int]) -> Mapping[FailureKind, int]:
        """New attempts for each kind of failure."""
        own = self.given.retries
        return {kind: max(own, of_sweep.get(kind, 0)) for kind in FailureKind} if own else of_sweep

    def over(self, jobs: Sequence[Job], retries: Mapping[FailureKind, int]) -> bool:
        """Whether it is behind the trial; `jobs`: its ended ones, oldest first."""
        if not jobs:
            return False
        *earlier, last = jobs
        if last.outcome is JobOutcome.COMPLETED:
            return True
        if last.outcome is None or last.outcome.failure is None or not self.given.may_fail:
            return False
        return not tries_left(last.outcome, earlier, self.retries(retries))


@dataclass(frozen=True)
class Flow:
    """The stages of every trial of a sweep, in order."""

    steps: tuple[Step, ...]
    retries: Mapping[FailureKind, int]
    """Those of the sweep."""

    @classmethod
    def of(cls, tool: SweepTool) -> Flow:
        """That of a sweep whose configuration is valid."""
        names = tool.stages or [StageConfig(name=stage) for stage in tool.built_in_stages]
        steps: list[Step] = []
        for given in names:
            if given.name == Stage.EVAL:
                steps += _evaluations(tool, given)
            elif given.name == Stage.TRAIN:
                steps.append(Step(Stage.TRAIN, given.name, given, None, tool.train_timeout_s, "train_timeout_s"))
            else:
                field = f"timeout_s of stage {given.name!r}"
                steps.append(Step(Stage(given.name), given.name, given, None, given.timeout_s, field))
        return cls(tuple(steps), tool.retries)

    @cached_property
    def _by_stage(self) -> dict[Stage, Step]:
        return {step.stage: step for step in self.steps}

    @cached_property
    def early(self) -> tuple[Step, ...]:
        """Those before the training."""
        return self.steps[: self._training]

    @cached_property
    def late(self) -> tuple[Step, ...]:
        """Those after it."""
        return self.steps[self._training + 1 :]

    @cached_property
    def late_stages(self) -> frozenset[Stage]:
        return frozenset(step.stage for step in self.late) | {Stage.EVAL}

    @cached_property
    def evaluations(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.stage.evaluates)

    @property
    def _training(self) -> int:
        return next(at for at, step in enumerate(self.steps) if step.stage is Stage.TRAIN)

    def step(self, stage: Stage) -> Step:
        """A stage of it; or one that it does not have any more, with nothing to give."""
        known = self._by_stage.get(stage)
        return known or Step(stage, stage, StageConfig.model_construct(name=stage))

    def scores(self, stage: Stage) -> bool:
        """Whether its jobs must report the metric."""
        return stage.evaluates or (stage is Stage.TRAIN and not self.evaluations)

    def next_early(self, jobs: Iterable[Job]) -> Stage:
        """What a queued trial with these jobs runs next: what was not prepared yet, else its training.

        What was prepared once stays so, whatever became of the training: it is done again where it failed last.
        """
        ended = list(jobs)
        for step in self.early:
            if not step.over([job for job in ended if job.stage is step.stage], self.retries):
                return step.stage
        return Stage.TRAIN

    def prepared(self, jobs: Sequence[Job]) -> bool:
        """Whether what these jobs of a trial did last was to prepare its training."""
        return (
            bool(jobs)
            and jobs[-1].outcome is JobOutcome.COMPLETED
            and jobs[-1].stage in {step.stage for step in self.early}
        )

    def next_late(self, jobs: Iterable[Job], since: int) -> Stage | None:
        """What a trained trial with these jobs runs next; None where all is done.

        Jobs up to the id `since` do not count: the user asked for all of it again. Nor do those before its training.
        """
        return next((step.stage for step in self.left(jobs, since)), None)

    def left(self, jobs: Iterable[Job], since: int, *, evaluations: bool = False) -> list[Step]:
        """The stages after the training that are still to be done, as `next_late` says; or only the evaluations."""
        ended = list(jobs)
        since = max([since, *(job.id for job in ended if job.stage is Stage.TRAIN)])
        found = []
        for step in self.late:
            own = [job for job in ended if job.stage is step.stage and job.id > since]
            if not step.over(own, self.retries) and (step.stage.evaluates or not evaluations):
                found.append(step)
        return found

    def fields_before(self, stage: Stage) -> dict[str, str]:
        """What the stages before one have given: type by field."""
        found = {"trial": "int"}
        for step in self.steps:
            if step.stage is stage:
                break
            found |= step.given.gives
        return found

    def kept(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        """Of a trial's metrics those that its preparations gave, which another training finds as they are."""
        given = {name for step in self.early for name in step.given.gives}
        return {name: value for name, value in metrics.items() if name in given}


def _evaluations(tool: SweepTool, given: StageConfig) -> list[Step]:
    field = "eval_timeout_s"
    if not tool.evaluates_each:
        return [Step(Stage.EVAL, given.name, given, None, tool.eval_timeout_s, field)]
    return [
        Step(Stage.of_simulation(each.name), f"eval {each.name}", given, each, tool.eval_timeout_s, field)
        for each in tool.evaluation_simulations
    ]


def mistake_in(tool: SweepTool) -> Mistake | None:
    """The first thing that is wrong with the stages of a sweep: its place, what to say after it, and the value."""
    names = [stage.name for stage in tool.stages]
    found = _in_simulations(tool.evaluation_simulations, tool) if tool.evaluates_each else None
    if found is None and names:
        found = _in_stages(names, tool)
    if found is not None:
        return found
    known = dict.fromkeys([str(Stage.TRAIN), str(Stage.EVAL), *names])
    for key in tool.routes:
        if key not in known and "=" not in key:
            stages = ", ".join(map(repr, known))
            text = f"has {key!r}; use {stages}, or a parameter and its value, such as 'model=large'"
            return ("routes",), text, tool.routes
    return None


def _in_simulations(given: Sequence[SimulationConfig], tool: SweepTool) -> Mistake | None:
    known: dict[Stage, str] = {}
    for at, each in enumerate(given):
        stage = Stage.of_simulation(each.name)
        text = ""
        if stage in known:
            text = f"is {each.name!r}, whose files would have the names of those of {known[stage]!r}; rename one"
        elif each.command is None and tool.eval_command is None:
            text = f"is {each.name!r}, which has no command while others have one; give it one, or set eval_command"
        if text:
            return ("evaluation_simulations", at, "name"), text, each.name
        known[stage] = each.name
    return None


def _in_stages(names: Sequence[str], tool: SweepTool) -> Mistake | None:
    for at, name in enumerate(names):
        place = ("stages", at, "name")
        if name in names[:at]:
            return place, f"is {name!r}, which is there twice; rename one of the two", name
        if name == Stage.EVAL and not tool.has_eval:
            return place, "is 'eval', and there is no eval_command; set it, or remove the stage", name
    text = ""
    if missing := [str(stage) for stage in tool.built_in_stages if stage not in names]:
        text = f"have no {missing[0]!r}, so {missing[0]}_command is never reached; add {missing[0]!r} to them"
    elif tool.has_eval and names.index(Stage.EVAL) < names.index(Stage.TRAIN):
        text = "have 'eval' before 'train', when there is nothing to evaluate yet; put 'train' first"
    return (("stages",), text, names) if text else None
