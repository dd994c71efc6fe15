"""What a sweep is made of: trials, their jobs, and the one table of legal transitions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple

MAX_STAGE_CHARS = 60
STAGE_NAME = re.compile(rf"[a-z][a-z0-9_-]{{0,{MAX_STAGE_CHARS - 1}}}")
"""Part of file names and of the names of remote jobs."""
Params = Mapping[str, Any]
"""Flat dot-path -> JSON value, as the training command receives it."""


class TrialStatus(StrEnum):
    PENDING = "pending"
    TRAINING = "training"
    TRAINED = "trained"
    EVALUATING = "evaluating"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"
    KILLED = "killed"

    @property
    def terminal(self) -> bool:
        return self in TERMINAL


class FailureKind(StrEnum):
    CRASHED = "crashed"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    LOST = "lost"
    NO_METRIC = "no_metric"
    INVALID_METRIC = "invalid_metric"
    DISPATCH_ERROR = "dispatch_error"
    PREEMPTED = "preempted"


class Stage(str):
    """The name of a step in the life of a trial: "train", "eval", or one that a recipe adds.

    There is one object for each name, so that `is` compares. It names files: ValueError for what is no such name.
    """

    __slots__ = ()
    TRAIN: ClassVar[Stage]
    EVAL: ClassVar[Stage]
    _known: ClassVar[dict[str, Stage]] = {}

    def __new__(cls, name: str) -> Stage:
        known = cls._known.get(name)
        if known is None:
            if not STAGE_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a stage")
            known = cls._known.setdefault(name, super().__new__(cls, name))
        return known

    @classmethod
    def of_simulation(cls, simulation: str) -> Stage:
        """Where a simulation is evaluated in a job of its own: "eval-arena-combat" for "arena/combat"."""
        slug = re.sub(r"[^a-z0-9_]+", "-", simulation.lower()).strip("-")
        return cls(f"{cls.EVAL}-{slug}"[:MAX_STAGE_CHARS].rstrip("-"))

    @property
    def evaluates(self) -> bool:
        """It is the evaluation, or that of one simulation."""
        return self is Stage.EVAL or self.startswith("eval-")

    @property
    def code(self) -> str:
        """A few characters that stand for it in the names of remote jobs and runs, which have little room."""
        import hashlib  # noqa: PLC0415 - not for those who only look

        return f"s{hashlib.sha256(self.encode()).hexdigest()[:6]}-"


Stage.TRAIN, Stage.EVAL = Stage("train"), Stage("eval")
BUILT_IN_STAGES = (Stage.TRAIN, Stage.EVAL)


class JobState(StrEnum):
    INTENT = "intent"
    """Written before the dispatcher is called: after a crash the dispatcher is asked what became of it."""
    RUNNING = "running"
    PAUSED = "paused"
    ENDED = "ended"


class JobOutcome(StrEnum):
    """Why a job ended. The failure kinds, and four ends that are nobody's failure."""

    COMPLETED = "completed"
    CRASHED = "crashed"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    LOST = "lost"
    NO_METRIC = "no_metric"
    INVALID_METRIC = "invalid_metric"
    DISPATCH_ERROR = "dispatch_error"
    PREEMPTED = "preempted"
    INTERRUPTED = "interrupted"
    """The sweep was stopped under it: the trial is queued again and no try is used up."""
    KILLED = "killed"
    STOPPED = "stopped"

    @property
    def failure(self) -> FailureKind | None:
        return FailureKind(self.value) if self.value in FAILURE_VALUES else None


FAILURE_VALUES = frozenset(kind.value for kind in FailureKind)
VALIDATION = "validation"
"""The method of a replicate: a trial that repeats a configuration with another seed, to see how good it really is."""
TERMINAL = frozenset({TrialStatus.COMPLETED, TrialStatus.FAILED, TrialStatus.STOPPED, TrialStatus.KILLED})
SCORED = frozenset({TrialStatus.COMPLETED, TrialStatus.STOPPED})
"""The ends whose scores are a result."""
RUNNING = frozenset({TrialStatus.TRAINING, TrialStatus.EVALUATING})

_S = TrialStatus
TRANSITIONS: Mapping[TrialStatus, frozenset[TrialStatus]] = {
    _S.PENDING: frozenset({_S.TRAINING, _S.PAUSED, _S.FAILED, _S.KILLED, _S.STOPPED}),
    _S.TRAINING: frozenset({_S.TRAINED, _S.COMPLETED, _S.PAUSED, _S.FAILED, _S.STOPPED, _S.KILLED, _S.PENDING}),
    _S.TRAINED: frozenset({_S.EVALUATING, _S.PAUSED, _S.FAILED, _S.STOPPED, _S.KILLED, _S.PENDING}),
    _S.EVALUATING: frozenset({_S.COMPLETED, _S.PAUSED, _S.FAILED, _S.STOPPED, _S.KILLED, _S.TRAINED, _S.PENDING}),
    # A paused job may be killed, may be found dead, or may have ended just before it was paused.
    _S.PAUSED: frozenset(
        {_S.PENDING, _S.TRAINING, _S.TRAINED, _S.EVALUATING, _S.COMPLETED, _S.FAILED, _S.STOPPED, _S.KILLED}
    ),
    # Requeue (a new attempt), or only a new evaluation of what was trained.
    _S.COMPLETED: frozenset({_S.PENDING, _S.TRAINED}),
    _S.FAILED: frozenset({_S.PENDING, _S.TRAINED}),
    _S.STOPPED: frozenset({_S.PENDING, _S.TRAINED}),
    _S.KILLED: frozenset({_S.PENDING, _S.TRAINED}),
}


class IllegalTransitionError(Exception):
    """A trial was asked to move between two states that `TRANSITIONS` does not connect."""

    def __init__(self, trial_id: str, old: TrialStatus, new: TrialStatus) -> None:
        super().__init__(f"{trial_id} cannot go from {old} to {new}")
        self.old, self.new = old, new


def check_transition(trial_id: str, old: TrialStatus, new: TrialStatus) -> None:
    """Raise `IllegalTransitionError` unless `old -> new` is in the table (staying put always is)."""
    if old != new and new not in TRANSITIONS[old]:
        raise IllegalTransitionError(trial_id, old, new)


def trial_id(number: int) -> str:
    """`trial_0001` for trial number 1; numbers start at 1 and are never reused."""
    return f"trial_{number:04d}"


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration and all that became of it. Immutable: a change is a new value."""

    number: int
    params: Params
    seed: int
    created_at: float
    """Seconds since the epoch, as are all `_at` fields."""
    status: TrialStatus = TrialStatus.PENDING
    reason: str = ""
    """One sentence: why it is in this state."""
    failure: FailureKind | None = None
    paused_from: TrialStatus | None = None
    score: float | None = None
    """The objective, in the user's own sign."""
    cost: float | None = None
    """In the sweep's cost unit; paused time does not count."""
    step: float | None = None
    total_steps: float | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    """The newest value of each reported metric."""
    checkpoint: str | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """`Suggestion.provenance`: which method proposed it and what it predicted."""
    attempt: int = 0
    """Training attempts begun, 0 before the first."""
    eval_attempt: int = 0
    """Evaluations begun; of several simulations, the most of any."""
    requeued_after_job: int = 0
    """Jobs up to this id no longer count against the retry policy: the user asked again."""
    spent: float = 0.0
    """Cost of all its attempts together, failed ones too: what budgets count."""
    known_ends: int = 0
    """How many trials had ended when this one was created: with `end_order`, what its suggestion could know."""
    end_order: int | None = None
    """It was the so-many-th trial to end; None before its first end. A trial that is queued again ends again, later."""
    queued_at: float | None = None
    """When it last became PENDING."""
    started_at: float | None = None
    ended_at: float | None = None

    @property
    def id(self) -> str:
        return trial_id(self.number)

    @property
    def has_result(self) -> bool:
        """Its score, if it has one, is a result: it has ended with it, or is trained on from where it was ended.

        A trial that waited at a rung and was the best there is still the best while it goes on.
        """
        if self.status.terminal:
            return self.status in SCORED
        return self.end_order is not None and not self.requeued_after_job

    @property
    def is_replicate(self) -> bool:
        """It repeats another configuration and searches nothing: it is never the best, counts to no budget of the
        search, and no optimizer or scheduler is told of it."""
        return self.provenance.get("method") == VALIDATION


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt of one trial at one stage."""

    id: int
    trial: int
    stage: Stage
    attempt: int
    created_at: float
    state: JobState = JobState.INTENT
    argv: tuple[str, ...] = ()
    slot: Mapping[str, Any] = field(default_factory=dict)
    """What the dispatcher gave it: `{"index": 0, "gpus": ["0"]}`."""
    handle: Mapping[str, Any] = field(default_factory=dict)
    """What finds it again after a restart; only its dispatcher reads it."""
    report_offset: int = 0
    """Bytes of the report file already stored."""
    ask: JobOutcome | None = None
    """KILLED, STOPPED or INTERRUPTED once that was asked for, so that its end is understood as such."""
    ask_reason: str = ""
    outcome: JobOutcome | None = None
    reason: str = ""
    exit: Mapping[str, Any] = field(default_factory=dict)
    """What `JobExit` said: code, signal, rusage, seconds."""
    started_at: float | None = None
    ended_at: float | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """One line that a training process reported."""

    trial: int
    job: int
    stage: Stage
    at: float
    step: float | None = None
    total_steps: float | None = None
    score: float | None = None
    cost: float | None = None
    checkpoint: str | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)


class Point(NamedTuple):
    """A report of a training that has a score, whichever trial it is of."""

    order: int
    """Reports are numbered as they are stored."""
    trial: int
    job: int
    step: float | None
    total_steps: float | None
    score: float
    cost: float | None


@dataclass(frozen=True, slots=True)
class Observation:
    """What an optimizer learns from: a finished trial, in the user's own sign and cost unit."""

    number: int
    params: Params
    score: float
    cost: float
    fidelity: float = 1.0
    """Share of the full training that was done: 1 unless a scheduler stopped it early."""
    scores: tuple[float, ...] = ()
    """With several objectives, the value of each, `score` being that of the first; empty with one."""


def training_was_stopped(jobs: Iterable[Job]) -> bool:
    """Whether a scheduler ended the newest training among a trial's jobs: a whole one it was not, evaluated or not."""
    trainings = [job for job in jobs if job.stage is Stage.TRAIN]
    return bool(trainings) and max(trainings, key=lambda job: job.id).outcome is JobOutcome.STOPPED
