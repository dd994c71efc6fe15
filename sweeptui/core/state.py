"""The sweep in memory: what the journal says, applied one change at a time.

Everybody who looks at a sweep holds a `SweepState`: the orchestrator, the cockpit, `show`. Applying every journal
row in order to an empty one gives exactly what the store's tables hold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from sweeptui.core.trial import FailureKind, Job, JobOutcome, JobState, Stage, Trial, TrialStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


class SweepStatus(StrEnum):
    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    FINISHED = "finished"
    STOPPED = "stopped"
    """By the user."""
    INTERRUPTED = "interrupted"
    """By a signal: it goes on when it is run again."""
    BROKEN = "broken"
    """By the circuit breaker; `reason` says what kept failing."""

    @property
    def ended(self) -> bool:
        """Nobody is running it, on purpose."""
        return self in _ENDED


_ENDED = frozenset({SweepStatus.FINISHED, SweepStatus.STOPPED, SweepStatus.INTERRUPTED, SweepStatus.BROKEN})


class ChangeKind(StrEnum):
    """The kinds of change that alter a `SweepState`. A note may have any other kind."""

    SWEEP_CREATED = "sweep.created"
    SWEEP_CHANGED = "sweep.changed"
    TRIAL_CREATED = "trial.created"
    TRIAL_CHANGED = "trial.changed"
    JOB_CREATED = "job.created"
    """Also counts the attempt on its trial."""
    JOB_CHANGED = "job.changed"
    TRIAL_RECOVERED = "trial.recovered"
    """All of it, after the database was damaged; so the next."""
    JOB_RECOVERED = "job.recovered"
    COMMAND_SUBMITTED = "command.submitted"
    COMMAND_FINISHED = "command.finished"
    LEASE_TAKEN = "lease.taken"
    LEASE_RELEASED = "lease.released"


@dataclass(frozen=True, slots=True)
class Change:
    """One row of the journal."""

    seq: int
    at: float
    kind: str
    """A `ChangeKind`, or the kind of a note."""
    trial: int | None
    data: Mapping[str, Any]
    """JSON; of a change only the fields that changed, of a creation only those not at their default."""
    actor: str


CommandState = Literal["pending", "done", "refused"]


@dataclass(frozen=True, slots=True)
class Command:
    """What a user asked of the sweep, from whatever window."""

    id: int
    at: float
    actor: str
    verb: str
    args: Mapping[str, Any] = field(default_factory=dict)
    state: CommandState = "pending"
    result: str = ""


_TRIAL_TYPES: Mapping[str, Callable[[Any], Any]] = {
    "status": TrialStatus,
    "failure": FailureKind,
    "paused_from": TrialStatus,
}
_JOB_TYPES: Mapping[str, Callable[[Any], Any]] = {
    "stage": Stage,
    "state": JobState,
    "argv": tuple,
    "ask": JobOutcome,
    "outcome": JobOutcome,
}


def _typed(types: Mapping[str, Callable[[Any], Any]], data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: types[key](value) if key in types and value is not None else value for key, value in data.items()}


def trial_created(change: Change) -> Trial:
    """The trial that a `TRIAL_CREATED` or `TRIAL_RECOVERED` change brings into being."""
    assert change.trial is not None
    return Trial(number=change.trial, **{"created_at": change.at, **_typed(_TRIAL_TYPES, change.data)})


def trial_from_json(data: Mapping[str, Any]) -> Trial:
    """A trial from its fields as JSON has them; those that are missing are at their defaults."""
    return Trial(**_typed(_TRIAL_TYPES, data))


def job_from_json(data: Mapping[str, Any]) -> Job:
    """A job from its fields as JSON has them; those that are missing are at their defaults."""
    return Job(**_typed(_JOB_TYPES, data))


def trial_changed(trial: Trial, data: Mapping[str, Any]) -> Trial:
    return replace(trial, **_typed(_TRIAL_TYPES, data))


def attempt_counted(trial: Trial, job: Job) -> Trial:
    """The trial with this job's attempt counted on it."""
    if job.stage is Stage.TRAIN:
        return replace(trial, attempt=job.attempt)
    if job.stage.evaluates:
        return replace(trial, eval_attempt=max(trial.eval_attempt, job.attempt))
    return trial


def job_created(change: Change) -> Job:
    """The job that a `JOB_CREATED` or `JOB_RECOVERED` change brings into being."""
    assert change.trial is not None
    return Job(trial=change.trial, **{"created_at": change.at, **_typed(_JOB_TYPES, change.data)})


def job_changed(job: Job, data: Mapping[str, Any]) -> Job:
    return replace(job, **_typed(_JOB_TYPES, data))


def before_it_was_queued(changes: Iterable[Change], number: int) -> Trial | None:
    """A queued trial as it was when it had ended, before it was queued again; None where it was not, or ran since.

    `changes`: the journal of that trial, among others or not.
    """
    trial: Trial | None = None
    ended: Trial | None = None
    for change in changes:
        if change.trial != number:
            continue
        match change.kind:
            case ChangeKind.TRIAL_CREATED | ChangeKind.TRIAL_RECOVERED:
                trial, ended = trial_created(change), None
            case ChangeKind.TRIAL_CHANGED if trial is not None:
                old, trial = trial, trial_changed(trial, change.data)
                if old.status.terminal and not trial.status.terminal:
                    ended = old
            case ChangeKind.JOB_CREATED if trial is not None:
                trial, ended = attempt_counted(trial, job_created(change)), None
    return ended


class SweepState:
    """A sweep as of `last_seq`. Read it freely; only its store changes it.

    `jobs` holds the unfinished jobs and those seen since the store was opened; `store.jobs(trial)` has them all.
    """

    def __init__(self) -> None:
        self.name = ""
        self.config: Mapping[str, Any] = {}
        self.status = SweepStatus.CREATED
        self.reason = ""
        self.created_at = 0.0
        self.started_at: float | None = None
        self.ended_at: float | None = None
        self.run_s = 0.0
        """Time the sweep was being run, over all restarts."""
        self.trials: dict[int, Trial] = {}
        self.replicates: set[int] = set()
        """The numbers of those that search nothing."""
        self.jobs: dict[int, Job] = {}
        self.running_jobs: dict[int, Job] = {}
        """The unfinished job of each trial that has one, by trial number."""
        self.commands: dict[int, Command] = {}
        """The pending ones, oldest first."""
        self.counts: dict[TrialStatus, int] = dict.fromkeys(TrialStatus, 0)
        self.last_seq = 0
        self.last_trial = 0
        """The highest trial number given out."""
        self.ended = 0
        """How many ends of trials there were: the highest `Trial.end_order`."""
        self.last_job = 0
        self._active: dict[int, Trial] = {}
        self._active_in_order = True
        self._active_view: tuple[Trial, ...] | None = ()
        self._best: dict[str, Trial | None] = {}

    def copy(self) -> SweepState:
        """The same state, which later changes to this one do not touch. What it holds is immutable and shared."""
        twin = SweepState()
        for name, value in vars(self).items():
            setattr(twin, name, value.copy() if isinstance(value, dict | set) else value)
        return twin

    @property
    def searched(self) -> int:
        """How many trials there are that count to `max_trials`."""
        return len(self.trials) - len(self.replicates)

    @property
    def active(self) -> tuple[Trial, ...]:
        """The trials that are not terminal, by number: a snapshot that later changes do not touch."""
        if self._active_view is None:
            if not self._active_in_order:
                self._active = dict(sorted(self._active.items()))
                self._active_in_order = True
            self._active_view = tuple(self._active.values())
        return self._active_view

    def best(self, goal: str) -> Trial | None:
        """The completed or stopped trial with the best finite score; of equals, the first."""
        if goal not in self._best:
            found: Trial | None = None
            for number in sorted(self.trials):
                if _beats(goal, self.trials[number], found):
                    found = self.trials[number]
            self._best[goal] = found
        return self._best[goal]

    def apply(self, change: Change) -> None:
        """Take one journal row in, the next one after `last_seq`. Costs the same whatever the sweep's size."""
        data = change.data
        match change.kind:
            case ChangeKind.SWEEP_CREATED:
                self.created_at = change.at
                self._set_sweep(data)
            case ChangeKind.SWEEP_CHANGED:
                self._set_sweep(data)
            case ChangeKind.TRIAL_CREATED | ChangeKind.TRIAL_RECOVERED:
                self.put_trial(trial_created(change))
            case ChangeKind.TRIAL_CHANGED:
                assert change.trial is not None
                self.put_trial(trial_changed(self.trials[change.trial], data))
            case ChangeKind.JOB_CREATED:
                job = job_created(change)
                self.put_trial(attempt_counted(self.trials[job.trial], job))
                self.put_job(job)
            case ChangeKind.JOB_CHANGED:
                known = self.jobs.get(data["id"])
                if known is not None:  # else: of a trial that had finished when the store was opened
                    self.put_job(job_changed(known, data))
            case ChangeKind.JOB_RECOVERED:
                self.put_job(job_created(change))
            case ChangeKind.COMMAND_SUBMITTED:
                self.put_command(Command(at=change.at, actor=change.actor, **data))
            case ChangeKind.COMMAND_FINISHED:
                self.commands.pop(data["id"], None)
        self.last_seq = change.seq

    def apply_all(self, changes: Iterable[Change]) -> None:
        for change in changes:
            self.apply(change)

    def _set_sweep(self, data: Mapping[str, Any]) -> None:
        for key, value in data.items():
            setattr(self, key, SweepStatus(value) if key == "status" else value)

    def put_trial(self, trial: Trial) -> None:
        """Set a trial, and all that follows from it."""
        number = trial.number
        old = self.trials.get(number)
        if trial.is_replicate:
            self.replicates.add(number)
        self.trials[number] = trial
        if old is not None:
            self.counts[old.status] -= 1
        self.counts[trial.status] += 1
        if trial.status.terminal:
            if self._active.pop(number, None) is not None:
                self._active_view = None
        else:
            if number not in self._active and number < self.last_trial:
                self._active_in_order = False  # queued again: sorted when somebody looks
            self._active[number] = trial
            self._active_view = None
        self.last_trial = max(self.last_trial, number)
        if trial.end_order is not None and trial.end_order > self.ended:
            self.ended = trial.end_order
        for goal, best in list(self._best.items()):
            if best is not None and best.number == number:
                del self._best[goal]
            elif _beats(goal, trial, best):
                self._best[goal] = trial

    def put_job(self, job: Job) -> None:
        """Set a job, and all that follows from it."""
        self.jobs[job.id] = job
        if job.state is not JobState.ENDED:
            self.running_jobs[job.trial] = job
        elif (running := self.running_jobs.get(job.trial)) is not None and running.id == job.id:
            del self.running_jobs[job.trial]
        self.last_job = max(self.last_job, job.id)

    def put_command(self, command: Command) -> None:
        self.commands[command.id] = command


def _beats(goal: str, trial: Trial, best: Trial | None) -> bool:
    if trial.score is None or not trial.has_result or not math.isfinite(trial.score) or trial.is_replicate:
        return False
    if best is None or best.score is None:
        return True
    if trial.score == best.score:
        return trial.number < best.number
    return (trial.score < best.score) == (goal == "minimize")
