"""Where trials stood when they came by the same amount of training: what early stopping compares.

A pure function of the stored reports, in the order in which they were stored: taken in one by one while a sweep runs,
or all at once after a restart, it is the same. It keeps one entry per trial and rung, not the reports.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from sweeptui.core.trial import TrialStatus

if TYPE_CHECKING:
    from sweeptui.core.trial import Point, Trial

_TRAINED = frozenset({TrialStatus.TRAINED, TrialStatus.EVALUATING, TrialStatus.COMPLETED, TrialStatus.STOPPED})


class Resource(StrEnum):
    """What is counted as training."""

    PROGRESS = "progress"
    """Epochs: the share `step` of `total_steps` that is done, times `max_epochs`; the step where no total is known."""
    STEP = "step"
    REPORTS = "reports"
    """How many finite scores were reported."""
    COST = "cost"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a scheduler wants to be kept of the reports."""

    resource: Resource
    levels: Callable[[Trial], tuple[int, Sequence[float]]]
    """The bracket that a trial is in, and the amounts of training, ascending, at which it is compared."""
    keeps: Callable[[int], int]
    """Of n entries of a rung, how many best ones may go on; n or more where it is too early to tell."""
    max_epochs: float = 100.0
    """The whole training, for `Resource.PROGRESS`."""

    def epochs(self, point: Point) -> float | None:
        """How much training a report tells of, for `Resource.PROGRESS` and `Resource.STEP`."""
        if self.resource is Resource.PROGRESS and point.step is not None and point.total_steps:
            return self.max_epochs * point.step / point.total_steps
        return point.step


@dataclass(frozen=True, slots=True)
class Entry:
    """A trial at a rung. `loss` is the score turned so that less is better; NaN counts as the worst."""

    trial: int
    job: int
    rung: int
    """Counted from 0."""
    reached: float
    score: float
    loss: float
    cut: float | None
    """The loss of the last that might go on when this one came; None where it was too early to tell."""

    @property
    def kept(self) -> bool:
        return self.cut is None or self.loss <= self.cut


@dataclass(slots=True)
class Rung:
    """All trials of a bracket that came by one amount of training."""

    level: float
    losses: list[float] = field(default_factory=list)
    """Best first."""
    waiting: list[tuple[float, int]] = field(default_factory=list)
    """(loss, trial) of those that have not come to a higher rung, best first."""

    def place(self, loss: float) -> int:
        """How many are at least as good as `loss`."""
        return bisect_right(self.losses, loss)

    def leave(self, entry: Entry) -> None:
        """A trial has come to a higher rung."""
        item = (entry.loss, entry.trial)
        at = bisect_left(self.waiting, item)
        if self.waiting[at : at + 1] == [item]:
            del self.waiting[at]


class Rungs:
    """The entries of one sweep."""

    def __init__(self, plan: Plan, goal: str) -> None:
        self.plan = plan
        self.last_order = 0
        """The newest report that was taken in."""
        self.settled_up_to = 0
        """Trials up to this number need not be looked at again; kept by a scheduler that knows such. None is left where
        one of them reports again: a user has queued it once more."""
        self.members: dict[int, int] = {}
        """The newest trial of each member of a population, as far as `members_up_to`."""
        self.members_up_to = 0
        self._sign = 1.0 if goal == "minimize" else -1.0
        self._rungs: dict[int, dict[int, Rung]] = {}
        self._entries: dict[int, dict[int, Entry]] = {}
        self._newest: dict[int, float] = {}
        self._bests: dict[int, float] = {}
        """The least loss of each trial since it came to its highest rung."""
        self._counts: dict[tuple[int, bool], int] = {}

    def add(self, points: Iterable[Point], trials: Mapping[int, Trial]) -> None:
        """Take reports in, in their order."""
        for point in points:
            self.last_order = max(self.last_order, point.order)
            trial = trials.get(point.trial)
            if trial is not None:
                self._add(point, trial)

    def of(self, trial: Trial) -> list[Entry]:
        """The entries of a trial since a user last queued it again, lowest rung first."""
        found = [entry for _, entry in sorted(self._entries.get(trial.number, {}).items())]
        newer = [entry for entry in found if entry.job > trial.requeued_after_job]
        # Where only its evaluation was asked for again, what it was trained for stands.
        return newer if newer or trial.status not in _TRAINED else found

    def highest(self, trial: Trial) -> Entry | None:
        entries = self.of(trial)
        return entries[-1] if entries else None

    def rung(self, bracket: int, index: int) -> Rung | None:
        return self._rungs.get(bracket, {}).get(index)

    def bracket(self, bracket: int) -> Mapping[int, Rung]:
        """The rungs of a bracket that any trial has come to, by number."""
        return self._rungs.get(bracket, {})

    def entries(self, bracket: int, index: int) -> list[Entry]:
        """Those at a rung that have not come to a higher one, best first."""
        rung = self.rung(bracket, index)
        return [] if rung is None else [self._entries[number][index] for _, number in rung.waiting]

    def reached(self, number: int) -> float | None:
        """How much training a trial has had, in the plan's resource; None before its first score."""
        return self._newest.get(number)

    def overtaken(self, trial: Trial, more: float) -> str:
        """Why a trial is behind for good: what it was at its best since its highest rung is not among the best of that
        rung, although it has had `more` times as much training by now. Empty where it is not, or has not.

        That is told from all that have come to the rung by now, so that one that was let go on because it was among the
        first is not trained to its end for that.
        """
        entry = self.highest(trial)
        if entry is None:
            return ""
        bracket, _ = self.plan.levels(trial)
        losses = self._rungs[bracket][entry.rung].losses
        keeps, best, reached = self.plan.keeps(len(losses)), self._bests[trial.number], self._newest[trial.number]
        if not 0 < keeps < len(losses) or reached < more * entry.reached or best <= losses[keeps - 1]:
            return ""
        cut = self.score(losses[keeps - 1])
        return f"stopped after rung {entry.rung + 1}: {self.score(best):.4g} at {reached:.4g} against cut {cut:.4g}"

    def score(self, loss: float) -> float:
        """The score that a loss stands for, in the user's sign."""
        return loss * self._sign

    def _add(self, point: Point, trial: Trial) -> None:
        reached = self._reached(point, trial)
        if reached is None:
            return
        self._newest[trial.number] = reached
        loss = self._sign * point.score if not math.isnan(point.score) else math.inf
        self._bests[trial.number] = min(loss, self._bests.get(trial.number, math.inf))
        if trial.number <= self.settled_up_to:
            self.settled_up_to = 0
        bracket, levels = self.plan.levels(trial)
        index = bisect_right(levels, reached) - 1
        if index < 0:
            return
        mine = self._entries.setdefault(trial.number, {})
        known = mine.get(index)
        current = point.job > trial.requeued_after_job
        if known is not None and (not current or known.job > trial.requeued_after_job):
            return
        if any(other > index and entry.job >= point.job for other, entry in mine.items()):
            return  # a step back within one training: it has been compared higher up
        rungs = self._rungs.setdefault(bracket, {})
        rung = rungs.setdefault(index, Rung(levels[index]))
        insort(rung.losses, loss)
        count = len(rung.losses)
        keeps = self.plan.keeps(count)
        cut = rung.losses[keeps - 1] if 0 < keeps < count else None
        below = max((other for other in mine if other < index), default=None)
        for other in (mine[below] if below is not None else None, known):
            if other is not None:
                rungs[other.rung].leave(other)
        insort(rung.waiting, (loss, trial.number))
        self._bests[trial.number] = loss
        mine[index] = Entry(trial.number, point.job, index, reached, point.score, loss, cut)

    def _reached(self, point: Point, trial: Trial) -> float | None:
        match self.plan.resource:
            case Resource.COST:
                return point.cost
            case Resource.REPORTS:
                if not math.isfinite(point.score):
                    return None
                life = (trial.number, point.job > trial.requeued_after_job)
                self._counts[life] = self._counts.get(life, 0) + 1
                return float(self._counts[life])
        return self.plan.epochs(point)
