"""Asynchronous successive halving (Li et al., 2020, arXiv:1810.05934).

Trials are compared at rungs of ever more training; of those that came to a rung, the best share goes on.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from sweeptui.core.fields import AtLeastOne, Positive, Real, mistakes
from sweeptui.core.schedulers.base import Action, Promote, Scheduler, Stop, View, launches
from sweeptui.core.schedulers.rungs import Entry, Plan, Resource, Rung, Rungs
from sweeptui.core.trial import Point, Trial, TrialStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

GOLDEN = 0.6180339887498949


class Halving(Scheduler):
    """What has rungs: `grace_period`, and each next one `reduction_factor` times that, below `max_epochs`."""

    max_epochs: Positive = 100.0
    """A whole training. With the resource "progress" the unit is free: 100 makes it percent of the training."""
    reduction_factor: Real = Field(default=3.0, gt=1)
    """One in so many goes on."""
    grace_period: Positive | None = None
    """The first rung: a tenth of max_epochs where it is not given."""
    resource: Literal["progress", "step"] = "progress"
    """What an epoch is: the reported share of the training, times max_epochs, or the reported step. A script that
    reports no total_steps is always taken by its step."""

    @model_validator(mode="after")
    def _first_rung_is_below_the_end(self) -> Self:
        if self.grace_period is not None and self.grace_period >= self.max_epochs:
            text = f"is {self.grace_period:g}; it must be less than max_epochs ({self.max_epochs:g})"
            raise mistakes(type(self).__name__, [(("grace_period",), text, self.grace_period)])
        return self

    @cached_property
    def levels(self) -> tuple[float, ...]:
        """The rungs of the first bracket."""
        level = self.grace_period or self.max_epochs / 10
        found: list[float] = []
        while level < self.max_epochs * (1 - 1e-9):
            found.append(level)
            level *= self.reduction_factor
        return tuple(found)

    def keeps(self, count: int) -> int:
        """How many of `count` trials at a rung may go on: of the first few the best, as Optuna has it."""
        return max(1, int(count / self.reduction_factor))

    def fidelity(self, trial: Trial, reached: float | None) -> float:
        if reached is None:
            return super().fidelity(trial, reached)
        return min(1.0, reached / self.max_epochs)

    def beyond(self, rungs: Rungs, trial: Trial) -> str:
        """Why a training that goes on beyond its end is to be ended; empty where it does not."""
        reached = rungs.reached(trial.number)
        if reached is None or reached <= self.max_epochs:
            return ""
        return f"ended at {reached:g}: max_epochs is {self.max_epochs:g}"


class ASHAScheduler(Halving):
    """Never waits: a trial is compared with those that came to its rung before it.

    "stopping" ends a trial that is not among the best of its rung, and lets the others train on. It ends one of those
    later where it has been overtaken: with the square root of `reduction_factor` times the training of its rung, half
    of the way to the next, it never had a score that is among the best of those that have come to the rung by now. The
    first that come to a rung have few to be compared with, and where suggestions get better all the time each is among
    the best when it comes.

    "promotion" ends every trial at its rung, and trains the best on from their checkpoints once a slot is free: it errs
    less often, and needs trainings that go on from one. A trial without a checkpoint is not ended there.

    "auto" is promotion where trials train one at a time and have checkpoints: there each would be compared with few. It
    is stopping where several train at once, and for a trial without a checkpoint.
    """

    name: ClassVar[str] = "asha"

    variant: Literal["auto", "stopping", "promotion"] = "auto"
    brackets: AtLeastOne = 1
    """Trials are spread over so many brackets; each next one has its first rung one further up."""

    @model_validator(mode="after")
    def _each_bracket_has_a_rung(self) -> Self:
        if self.brackets > len(self.levels):
            text = f"is {self.brackets}; there are only {len(self.levels)} rungs below max_epochs ({self.max_epochs:g})"
            raise mistakes(type(self).__name__, [(("brackets",), text, self.brackets)])
        return self

    def plan(self, goal: str) -> Plan:
        del goal
        return Plan(Resource(self.resource), self._levels_of, self.keeps, self.max_epochs)

    def share(self, trial: Trial, point: Point) -> float | None:
        """From its first rung on: before that a score says little."""
        reached = self.plan("").epochs(point)
        if reached is None or reached < self._levels_of(trial)[1][0]:
            return None
        return min(1.0, reached / self.max_epochs)

    def suggest_ahead(self, max_parallel_jobs: int) -> int:
        """One, however many slots there are: trials begin often, and each has something new to know of."""
        del max_parallel_jobs
        return 1

    def decide(self, view: View) -> list[Action]:
        assert view.rungs is not None
        stops = list(self._stops(view, view.rungs))
        actions = launches(view)
        if self._by_promotion(view) and view.may_launch:
            actions = self._with_promotions(view, view.rungs, actions)
        return [*stops, *actions]

    def needs_checkpoint(self, view: View, trial: Trial) -> bool:
        return self._by_promotion(view) and trial.status is TrialStatus.STOPPED

    def _by_promotion(self, view: View) -> bool:
        """Whether trials that have a checkpoint wait at their rungs, as things are."""
        return self.variant == "promotion" or (self.variant == "auto" and view.max_parallel_jobs == 1)

    def _promotes(self, view: View, trial: Trial) -> bool:
        """Whether a trial is ended at its rungs to wait, and not for good."""
        return self.variant == "promotion" or (self._by_promotion(view) and view.committed(trial))

    def bracket_of(self, number: int) -> int:
        """Spread as Hyperband weighs its brackets, by the number alone."""
        if self.brackets == 1:
            return 0
        weights = [self.reduction_factor**-index for index in range(self.brackets)]
        at = number * GOLDEN % 1.0 * sum(weights)
        for index, weight in enumerate(weights):
            at -= weight
            if at < 0:
                return index
        return self.brackets - 1

    def _levels_of(self, trial: Trial) -> tuple[int, Sequence[float]]:
        bracket = self.bracket_of(trial.number)
        return bracket, self.levels[bracket:]

    def _stops(self, view: View, rungs: Rungs) -> Iterator[Stop]:
        for trial in view.training():
            if beyond := self.beyond(rungs, trial):
                yield Stop(trial.number, beyond)
            elif self._promotes(view, trial):
                if (entry := arrived(view, rungs, trial)) is not None:
                    yield Stop(trial.number, waits_at(entry))
            elif lost := self._lost(rungs, trial):
                yield Stop(trial.number, lost)

    def _lost(self, rungs: Rungs, trial: Trial) -> str:
        """Why a trial is not to train on; empty where it is."""
        cut = next((entry for entry in rungs.of(trial) if not entry.kept), None)
        return rungs.overtaken(trial, math.sqrt(self.reduction_factor)) if cut is None else stopped_at(rungs, cut)

    def _with_promotions(self, view: View, rungs: Rungs, actions: list[Action]) -> list[Action]:
        """New trials only where nothing is to be promoted, and queued ones before both.

        Once no trial is to come any more, the best of a rung goes on however few have come there: what the sweep has
        found is trained to its end.
        """
        last = len(view.trials) >= view.max_trials and not view.active
        slots = view.training_slots - sum(1 for trial in view.active if trial.status is TrialStatus.PENDING)
        promoted: list[Action] = []
        for bracket in range(self.brackets):
            for index, rung in sorted(rungs.bracket(bracket).items(), reverse=True):
                best = self.keeps(len(rung.losses)) if last else int(len(rung.losses) / self.reduction_factor)
                able = (trial for trial in promotable(view, rungs, rung, best) if self._promotes(view, trial))
                for trial in itertools.islice(able, max(0, slots - len(promoted))):
                    promoted.append(Promote(trial.number, promoted_from(index, best)))
        return [*promoted, *launches(view, max(0, slots - len(promoted)))] if promoted else actions


def promotable(view: View, rungs: Rungs, rung: Rung, best: int) -> Iterator[Trial]:
    """The trials that wait at a rung and are among its `best` ones, best first.

    Costs as much as there are trials that were promoted and have not come to the next rung: running or failed ones.
    """
    for loss, number in rung.waiting:
        if rung.place(loss) > best:
            return
        trial = view.trials[number]
        entry = rungs.highest(trial)
        if trial.status is TrialStatus.STOPPED and entry is not None and entry.reached < rungs.plan.max_epochs:
            yield trial


def arrived(view: View, rungs: Rungs, trial: Trial) -> Entry | None:
    """The rung that a trial came to in the training that runs now, if it can be trained on from there later."""
    entry = rungs.highest(trial)
    if entry is None or entry.job != view.running_jobs[trial.number].id or not view.committed(trial):
        return None
    return entry


def promoted_from(rung: int, best: int) -> str:
    """`promoted from rung 2: among the best 3`."""
    return f"promoted from rung {rung + 1}: {'the best' if best == 1 else f'among the best {best}'}"


def waits_at(entry: Entry) -> str:
    """`ended at rung 2 with 0.31; the best go on`."""
    return f"ended at rung {entry.rung + 1} with {entry.score:.4g}; the best go on"


def stopped_at(rungs: Rungs, entry: Entry) -> str:
    """`stopped at rung 2: 0.31 against cut 0.44`."""
    assert entry.cut is not None
    return f"stopped at rung {entry.rung + 1}: {entry.score:.4g} against cut {rungs.score(entry.cut):.4g}"
