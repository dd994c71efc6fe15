"""Any scheduler with any optimizer on learning curves that are known, by a clock that costs nothing.

The decisions are the engine's own: the same `decide` on the same view, fed report by report in the order of the clock.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from sweeptui.core.curves import Curves
from sweeptui.core.schedulers.base import Action, Create, Evaluate, Finish, Fork, Promote, Stop, Train, View
from sweeptui.core.schedulers.rungs import Rungs
from sweeptui.core.state import SweepState
from sweeptui.core.stores.rows import ScoreRow
from sweeptui.core.suggesting import history
from sweeptui.core.trial import FailureKind, Job, JobOutcome, JobState, Point, Stage, Trial, TrialStatus
from sweeptui.core.underway import KNOWN_REPORTS, Underway

if TYPE_CHECKING:
    from sweeptui.core.optimizers.base import Optimizer
    from sweeptui.core.schedulers.base import Scheduler
    from sweeptui.core.space import Space
    from sweeptui.core.trial import Params


class Task(Protocol):
    """Something to train: what each epoch scores, and what it costs."""

    space: Space
    goal: str

    def curve(self, params: Params) -> Sequence[tuple[float, float]]:
        """For each epoch of a whole training, its score and the seconds since the beginning."""
        ...


@dataclass(frozen=True, slots=True)
class Measured:
    """One report, on the simulated clock."""

    at_s: float
    epochs: int
    """How many all trainings together had done by then."""
    trial: int
    epoch: int
    score: float


@dataclass(slots=True)
class Outcome:
    """What a simulated sweep came to."""

    state: SweepState
    rungs: Rungs | None
    reports: list[Measured] = field(default_factory=list)
    actions: list[tuple[float, Action]] = field(default_factory=list)
    """What was done, and when."""
    reason: str = ""
    """Why it ended."""

    @property
    def epochs(self) -> int:
        return self.reports[-1].epochs if self.reports else 0


class Simulator:
    """One sweep of simulated trainings, one event at a time. `run` does it all; a test may take the steps itself.

    `workers` trainings run at once. Every report is a checkpoint, unless `checkpoints` is False. A trial that goes on
    from one continues the curve of its own parameters where the checkpoint was made. `suggest_ahead` is a sweep's: the
    suggestion for a trial knows what was known when the one that is so many before it was made.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        optimizer: Optimizer,
        task: Task,
        *,
        workers: int = 1,
        max_trials: int = 100,
        seed: int = 0,
        checkpoints: bool = True,
        suggest_ahead: int = 0,
    ) -> None:
        self.scheduler = scheduler
        self.optimizer = optimizer
        self.task = task
        self.workers = workers
        self.max_trials = max_trials
        self.seed = seed
        self.checkpoints = checkpoints
        self.suggest_ahead = suggest_ahead
        self.now_s = 0.0
        self.state = SweepState()
        plan = scheduler.plan(task.goal)
        self.outcome = Outcome(self.state, None if plan is None else Rungs(plan, task.goal))
        self.may_create = True
        self.paused = False
        """Nothing is begun; what runs runs on."""
        self._curves: dict[int, Sequence[tuple[float, float]]] = {}
        self._events: list[tuple[float, int, int, int]] = []
        """(when, a number that tells equal times apart, the job, the epoch that it has done then)."""
        self._sequence = 0
        self._scores: dict[int, list[ScoreRow]] = {}
        self._learning_curves = Curves(lambda number: self._scores.get(number, ()))
        self.points: list[Point] = []
        """All reports, in their order."""
        self._reported: dict[int, list[Point]] = {}
        self._underway = Underway(self._newest_of, scheduler.share, lambda: len(self.points))

    def run(self, *, max_time_s: float | None = None, max_epochs: int | None = None) -> Outcome:
        """Go on until the scheduler has nothing more to do, or the time or the epochs are used up."""
        self.decide()
        while self._events and not self.outcome.reason:
            if max_time_s is not None and self._events[0][0] > max_time_s:
                self.outcome.reason = "the time is used up"
            elif max_epochs is not None and self.outcome.epochs >= max_epochs:
                self.outcome.reason = "the epochs are used up"
            else:
                self.step()
        return self.outcome

    @property
    def busy(self) -> bool:
        return bool(self._events)

    def step(self) -> None:
        """The next report, what is decided on it, and what comes of that."""
        self.now_s, _, job_id, epoch = heapq.heappop(self._events)
        job = self.state.jobs[job_id]
        if job.state is JobState.ENDED:
            return
        self._report(job, epoch, self.checkpoints)
        self.decide()

    def advance(self, number: int, *, checkpoint: bool = True) -> None:
        """A test has a training do its next epoch now, whatever the clock says; it decides nothing."""
        job = self.state.running_jobs[number]
        event = next(event for event in self._events if event[2] == job.id)
        self._events.remove(event)
        heapq.heapify(self._events)
        self._report(job, event[3], checkpoint)

    def requeue(self, number: int) -> None:
        """A test has a user queue a trial again that has ended."""
        trial = self.state.trials[number]
        last = max((job.id for job in self.state.jobs.values() if job.trial == number), default=0)
        afresh = {"failure": None, "ended_at": None, "score": None, "cost": None, "step": None}
        fields: dict[str, Any] = {"status": TrialStatus.PENDING, "requeued_after_job": last, **afresh}
        self.state.put_trial(replace(trial, **fields))
        if self.outcome.rungs is not None:  # a sweep makes all comparisons again without what is set aside, too
            self.outcome.rungs = Rungs(self.outcome.rungs.plan, self.task.goal)
            self.outcome.rungs.add(self.points, self.state.trials)

    def decide(self) -> None:
        """Ask the scheduler and do what it says, until it says nothing that can be done."""
        while True:
            done = [action for action in self.scheduler.decide(self.view()) if self._do(action)]
            self.outcome.actions += [(self.now_s, action) for action in done]
            if not done:
                return

    def view(self) -> View:
        return View(
            trials=self.state.trials,
            active=self.state.active,
            running_jobs=self.state.running_jobs,
            max_trials=self.max_trials,
            max_parallel_jobs=self.workers,
            max_parallel_evals=self.workers,
            has_eval=False,
            may_create=self.may_create,
            may_launch=not self.paused,
            rungs=self.outcome.rungs,
            committed=committed,
            goal=self.task.goal,
            space=self.task.space,
            seed=self.seed,
        )

    def fidelity(self, trial: Trial) -> float:
        if trial.status is not TrialStatus.STOPPED:
            return 1.0
        rungs = self.outcome.rungs
        return self.scheduler.fidelity(trial, None if rungs is None else rungs.reached(trial.number))

    def end(self, job: Job, status: TrialStatus, reason: str, failure: FailureKind | None = None) -> None:
        """A training ends: by itself, because it was told to, or because a test has it fail.

        One whose score is not finite then has failed.
        """
        score = self.state.trials[job.trial].score
        if status in (TrialStatus.COMPLETED, TrialStatus.STOPPED) and score is not None and not math.isfinite(score):
            status, failure = TrialStatus.FAILED, FailureKind.INVALID_METRIC
        outcome = {TrialStatus.COMPLETED: JobOutcome.COMPLETED, TrialStatus.STOPPED: JobOutcome.STOPPED}
        self.state.put_job(replace(job, state=JobState.ENDED, outcome=outcome.get(status, JobOutcome.CRASHED)))
        trial = self.state.trials[job.trial]
        fields: dict[str, Any] = {"status": status, "reason": reason, "failure": failure}
        if status.terminal:
            fields |= {"end_order": self.state.ended + 1, "ended_at": self.now_s}
        self.state.put_trial(replace(trial, **fields))

    def _do(self, action: Action) -> bool:
        """Carry an action out; whether anything came of it."""
        match action:
            case Create(n):
                return sum(self._create() for _ in range(n)) > 0
            case Train(number):
                self._train(self.state.trials[number])
            case Promote(number, reason):
                self._train(replace(self.state.trials[number], reason=reason))
            case Fork(parent, params, provenance):
                donor = self.state.trials[parent]
                trial = self._trial(params, {**provenance, "checkpoint": donor.checkpoint})
                self._train(replace(trial, checkpoint=donor.checkpoint))
            case Stop(number, reason):
                job = self.state.running_jobs.get(number)
                if job is None:
                    return False
                self.end(job, TrialStatus.STOPPED, reason)
            case Finish(reason):
                self.outcome.reason = reason
                return False
            case Evaluate():
                raise AssertionError("nothing is evaluated here")
        return True

    def _create(self) -> bool:
        number = self.state.last_trial + 1
        ended, reports = self.state.ended, self._underway.last
        if self.suggest_ahead:
            basis = self.state.trials.get(number - self.suggest_ahead)
            ended = 0 if basis is None else basis.known_ends
            reports = 0 if basis is None else self._underway.known_to(self.state.trials, basis.number)
        known = history(
            self.state.trials,
            number,
            ended,
            fidelity=self.fidelity,
            curves=self._learning_curves,
            underway=self._underway,
            reports=reports,
        )
        suggested = self.optimizer.suggest(known, number, 1)
        if not suggested:
            return False
        self._train(self._trial(suggested[0].params, suggested[0].provenance))
        return True

    def _trial(self, params: Params, provenance: Mapping[str, Any]) -> Trial:
        number = self.state.last_trial + 1
        trial = Trial(
            number,
            params,
            seed=number,
            created_at=self.now_s,
            provenance={**provenance, KNOWN_REPORTS: self._underway.last},
            known_ends=self.state.ended,
        )
        self.state.put_trial(trial)
        return trial

    def _train(self, trial: Trial) -> None:
        job = Job(self.state.last_job + 1, trial.number, Stage.TRAIN, trial.attempt + 1, self.now_s, JobState.RUNNING)
        self.state.put_trial(replace(trial, status=TrialStatus.TRAINING, attempt=job.attempt, ended_at=None))
        self.state.put_job(job)
        self._schedule(job, epoch_of(trial.checkpoint) + 1)

    def _schedule(self, job: Job, epoch: int) -> None:
        curve = self._curve(job.trial)
        if epoch > len(curve):
            self.end(job, TrialStatus.FAILED, "nothing was left to train", FailureKind.NO_METRIC)
            return
        took = curve[epoch - 1][1] - (curve[epoch - 2][1] if epoch > 1 else 0.0)
        self._sequence += 1
        heapq.heappush(self._events, (self.now_s + took, self._sequence, job.id, epoch))

    def _report(self, job: Job, epoch: int, checkpoint: bool) -> None:
        curve = self._curve(job.trial)
        score, cost = curve[epoch - 1]
        trial = replace(
            self.state.trials[job.trial],
            score=score,
            cost=cost,
            step=float(epoch),
            total_steps=float(len(curve)),
        )
        if checkpoint:
            trial = replace(trial, checkpoint=f"{trial.id}/{epoch}")
        self.state.put_trial(trial)
        point = Point(len(self.points) + 1, trial.number, job.id, trial.step, trial.total_steps, score, cost)
        self.points.append(point)
        self._reported.setdefault(trial.number, []).append(point)
        row = ScoreRow(point.order, job.id, self.now_s, trial.step, score)
        self._scores.setdefault(trial.number, []).append(row)
        if self.outcome.rungs is not None:
            self.outcome.rungs.add([point], self.state.trials)
        self.outcome.reports.append(Measured(self.now_s, self.outcome.epochs + 1, trial.number, epoch, score))
        if epoch < len(curve):
            self._schedule(job, epoch + 1)
        else:
            self.end(job, TrialStatus.COMPLETED, "train done")

    def _newest_of(self, number: int, up_to: int) -> Point | None:
        return next((point for point in reversed(self._reported.get(number, ())) if point.order <= up_to), None)

    def _curve(self, number: int) -> Sequence[tuple[float, float]]:
        if number not in self._curves:
            self._curves[number] = self.task.curve(self.state.trials[number].params)
        return self._curves[number]


def simulate(
    scheduler: Scheduler,
    optimizer: Optimizer,
    task: Task,
    *,
    workers: int = 1,
    max_trials: int = 100,
    max_time_s: float | None = None,
    max_epochs: int | None = None,
    seed: int = 0,
    suggest_ahead: int = 0,
) -> Outcome:
    """Run a simulated sweep to its end, or until a budget of seconds or of epochs over all trials is used up."""
    simulator = Simulator(
        scheduler, optimizer, task, workers=workers, max_trials=max_trials, seed=seed, suggest_ahead=suggest_ahead
    )
    return simulator.run(max_time_s=max_time_s, max_epochs=max_epochs)


def committed(trial: Trial) -> bool:
    """Whether a simulated trial has made a checkpoint of its own."""
    return trial.checkpoint is not None and trial.checkpoint != trial.provenance.get("checkpoint")


def epoch_of(checkpoint: str | None) -> int:
    """The epoch at which a simulated checkpoint was made; 0 for none."""
    return int(checkpoint.rpartition("/")[2]) if checkpoint else 0


def best_so_far(outcome: Outcome, goal: str) -> list[Measured]:
    """The reports that were better than all before them."""
    found: list[Measured] = []
    better: Callable[[float, float], bool] = (lambda a, b: a < b) if goal == "minimize" else (lambda a, b: a > b)
    for report in outcome.reports:
        if not found or better(report.score, found[-1].score):
            found.append(report)
    return found
