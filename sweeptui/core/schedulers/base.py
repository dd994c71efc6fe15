"""The contract between a sweep and whatever decides when to run what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from sweeptui.core.fields import Model
from sweeptui.core.trial import Job, Params, Stage, Trial, TrialStatus

if TYPE_CHECKING:
    from sweeptui.core.schedulers.rungs import Plan, Rungs
    from sweeptui.core.space import Space
    from sweeptui.core.trial import Point


def _uncommitted(_: Trial) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class View:
    """The sweep as a scheduler sees it: read from the store, nothing hidden.

    `trials` holds every trial by number; `active` those that are not terminal, in order of number, so that a decision
    costs as much as there are open trials and not as much as there is history.
    """

    trials: Mapping[int, Trial]
    active: Sequence[Trial]
    running_jobs: Mapping[int, Job]
    """The unfinished job of each trial that has one, by trial number."""
    max_trials: int
    max_parallel_jobs: int
    max_parallel_evals: int
    has_eval: bool
    may_create: bool
    """False once a budget, a stop or the circuit breaker forbids new trials; queued ones may still run."""
    may_launch: bool
    """False while the sweep is paused or the disk is full."""
    rungs: Rungs | None = None
    """What was reported, as far as the scheduler's `plan` asks for it; None where it has none."""
    committed: Callable[[Trial], bool] = _uncommitted
    """Whether a trial has a checkpoint that another training can go on from."""
    goal: str = "maximize"
    space: Space | None = None
    seed: int = 0
    late_stages: frozenset[Stage] = frozenset({Stage.EVAL})
    """Those after the training: their jobs take evaluation slots, all others training slots."""

    def training(self) -> Iterator[Trial]:
        """The trials that train now and that nobody has asked to end."""
        for trial in self.active:
            job = self.running_jobs.get(trial.number)
            if trial.status is TrialStatus.TRAINING and job is not None and job.ask is None:
                yield trial

    @property
    def training_slots(self) -> int:
        """How many more trainings, or preparations for them, may be started."""
        busy = sum(1 for job in self.running_jobs.values() if job.stage not in self.late_stages)
        return max(0, self.max_parallel_jobs - busy)


@dataclass(frozen=True, slots=True)
class Create:
    """Ask the optimizer for `n` new trials and train them."""

    n: int = 1


@dataclass(frozen=True, slots=True)
class Train:
    """Train a queued trial, or prepare that."""

    trial: int


@dataclass(frozen=True, slots=True)
class Evaluate:
    """What comes after a training: evaluate a trial, or export it."""

    trial: int


@dataclass(frozen=True, slots=True)
class Stop:
    """End a running trial early; it stays an observation at the fidelity it reached."""

    trial: int
    reason: str


@dataclass(frozen=True, slots=True)
class Promote:
    """Train a stopped trial on from its checkpoint."""

    trial: int
    reason: str


@dataclass(frozen=True, slots=True)
class Fork:
    """A new trial that goes on from the checkpoint of `parent`, with parameters of its own."""

    parent: int
    params: Params
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """At least `method`, `parent`, `generation` and `mutation` (what differs from the parent's parameters)."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing more is to be done: the sweep is over."""

    reason: str


Action = Create | Train | Evaluate | Stop | Promote | Fork | Finish


@dataclass(frozen=True, slots=True)
class Resources:
    """What one trial is to have, where that is not what the sweep gives to all: None leaves it as it is."""

    gpus: int | None = None
    cpus: int | None = None
    time_limit: float | None = None
    """Seconds that its training may take."""


class Scheduler(Model):
    """Decides when to run what. A model: its fields are its options.

    A pure function of the view: no counters, no clock, so that it runs in a simulator and after any restart. As it
    stands it fills free slots at once. One of your own overrides `should_stop`, `allocate_resources`, or all of
    `decide`, and is found by the entry-point group `sweeptui.schedulers` or as `module:Class`.
    """

    name: ClassVar[str] = ""
    """What a recipe calls it; made up of module and class where it is empty."""

    def check(self, max_trials: int) -> None:
        """Raise `UserError` where its options do not fit the sweep's."""
        del max_trials

    def decide(self, view: View) -> list[Action]:
        """Return what to do now. Called after every change; an empty list means wait."""
        return [*self.stops(view), *launches(view)]

    def stops(self, view: View) -> list[Action]:
        """Ask `should_stop` of each trial that trains and has reported a score."""
        found: list[Action] = []
        for trial in view.training():
            if trial.score is not None and (said := self.should_stop(trial)):
                found.append(Stop(trial.number, said if isinstance(said, str) else f"stopped by {type(self).__name__}"))
        return found

    def should_stop(self, trial: Trial) -> bool | str:
        """Whether to end a training now, judged by what it reported last; a sentence is the reason."""
        del trial
        return False

    def allocate_resources(self, trial: Trial) -> Resources | None:
        """What a trial's jobs get; None for what the sweep gives to all. A function of the trial alone."""
        del trial
        return None

    def plan(self, goal: str) -> Plan | None:
        """What is to be kept of the reports in `View.rungs`."""
        del goal
        return None

    def fidelity(self, trial: Trial, reached: float | None) -> float:
        """The share of a whole training that a stopped trial has had, from 0 to 1.

        `reached` is what `Rungs.reached` says of it.
        """
        del reached
        return min(1.0, trial.step / trial.total_steps) if trial.step is not None and trial.total_steps else 1.0

    def share(self, trial: Trial, point: Point) -> float | None:
        """The share of a whole training that a training has had by one of its reports, above 0 and at most 1.

        None where the report is none to learn from yet: always, for a scheduler that does not compare trainings.
        """
        del trial, point
        return None

    def suggest_ahead(self, max_parallel_jobs: int) -> int:
        """Suggestions prepared before a slot is free; 0 has each know every result that is due."""
        return max(1, max_parallel_jobs // 2)

    def needs_checkpoint(self, view: View, trial: Trial) -> bool:
        """Whether another training may still go on from a trial that has ended."""
        del view, trial
        return False


def launches(view: View, new: int | None = None) -> list[Action]:
    """Fill the slots: evaluations, then queued trials, then at most `new` trials from the optimizer.

    Evaluations have slots of their own, so that one that hangs never keeps another trial from training.
    """
    if not view.may_launch:
        return []
    training_slots = view.training_slots
    evaluating = sum(1 for job in view.running_jobs.values() if job.stage in view.late_stages)
    eval_slots = view.max_parallel_evals - evaluating
    actions: list[Action] = []
    for trial in view.active:
        if trial.status is TrialStatus.TRAINED and eval_slots > 0:
            actions.append(Evaluate(trial.number))
            eval_slots -= 1
        elif trial.status is TrialStatus.PENDING and training_slots > 0:
            actions.append(Train(trial.number))
            training_slots -= 1
    room = min(training_slots, view.max_trials - len(view.trials))
    room = room if new is None else min(room, new)
    if view.may_create and room > 0:
        actions.append(Create(room))
    return actions
