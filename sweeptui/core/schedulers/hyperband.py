"""Hyperband (Li et al., 2018, arXiv:1603.06560): successive halvings, from many short to few long trainings."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from sweeptui.core.schedulers.asha import Halving, arrived, promotable, promoted_from, waits_at
from sweeptui.core.schedulers.base import Action, Promote, Stop, View, launches
from sweeptui.core.schedulers.rungs import Plan, Resource, Rungs
from sweeptui.core.trial import Trial, TrialStatus


@dataclass(frozen=True, slots=True)
class Bracket:
    """One successive halving: trials `first` to `last`, from rung `start` on. `id` counts the brackets of a sweep."""

    id: int
    start: int
    first: int
    last: int


class HyperbandScheduler(Halving):
    """Every trial is ended at its rung; once all of a bracket have come there, the best are trained on.

    Slots that wait for a bracket go to the next one. Trainings must go on from checkpoints, as with promotion in ASHA.
    """

    name: ClassVar[str] = "hyperband"

    @cached_property
    def levels(self) -> tuple[float, ...]:
        """The rungs, counted down from `max_epochs`, none below `grace_period`."""
        lowest = (self.grace_period or self.max_epochs / 10) * (1 - 1e-9)
        found: list[float] = []
        level = self.max_epochs / self.reduction_factor
        while level >= lowest:
            found.insert(0, level)
            level /= self.reduction_factor
        return tuple(found)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """How many trials begin in each bracket of a round; the last bracket trains all to the end."""
        stages = len(self.levels) + 1
        return tuple(
            math.ceil(stages / (stages - start) * self.reduction_factor ** (stages - 1 - start))
            for start in range(stages)
        )

    def bracket_of(self, number: int) -> Bracket:
        """Brackets are filled one after the other, round after round, in the order of the trials' numbers."""
        round_, at = divmod(number - 1, sum(self.sizes))
        first = round_ * sum(self.sizes) + 1
        for start, size in enumerate(self.sizes):
            if at < size:
                return Bracket(round_ * len(self.sizes) + start, start, first, first + size - 1)
            at -= size
            first += size
        raise AssertionError("sizes add up to a round")

    def plan(self, goal: str) -> Plan:
        del goal
        return Plan(Resource(self.resource), self._levels_of, self.keeps, self.max_epochs)

    def decide(self, view: View) -> list[Action]:
        assert view.rungs is not None
        stops = list(self._stops(view, view.rungs))
        if not view.may_launch:
            return [*stops]
        slots = view.training_slots - sum(1 for trial in view.active if trial.status is TrialStatus.PENDING)
        promoted = list(itertools.islice(self._promotions(view, view.rungs), max(0, slots)))
        return [*stops, *promoted, *launches(view, max(0, slots - len(promoted)))]

    def needs_checkpoint(self, view: View, trial: Trial) -> bool:
        del view
        return trial.status is TrialStatus.STOPPED

    def _levels_of(self, trial: Trial) -> tuple[int, Sequence[float]]:
        bracket = self.bracket_of(trial.number)
        return bracket.id, self.levels[bracket.start :]

    def _stops(self, view: View, rungs: Rungs) -> Iterator[Stop]:
        for trial in view.training():
            if beyond := self.beyond(rungs, trial):
                yield Stop(trial.number, beyond)
            elif (entry := arrived(view, rungs, trial)) is not None:
                yield Stop(trial.number, waits_at(entry))

    def _promotions(self, view: View, rungs: Rungs) -> Iterator[Promote]:
        """Of the brackets that something may happen in: those with open trials, and those not yet found to be over."""
        created = len(view.trials)
        open_trials: dict[int, list[Trial]] = {}
        brackets: dict[int, Bracket] = {}
        first = rungs.settled_up_to + 1
        for number in [trial.number for trial in view.active]:
            bracket = self.bracket_of(number)
            brackets[bracket.id] = bracket
            open_trials.setdefault(bracket.id, []).append(view.trials[number])
        while first <= created:
            bracket = self.bracket_of(first)
            brackets[bracket.id] = bracket
            first = bracket.last + 1
        for _, bracket in sorted(brackets.items()):
            if created < bracket.last and created < view.max_trials:
                continue
            promotions = list(self._of_bracket(view, rungs, bracket, open_trials.get(bracket.id, ())))
            yield from promotions
            if not promotions and bracket.id not in open_trials and bracket.first == rungs.settled_up_to + 1:
                rungs.settled_up_to = min(bracket.last, created)

    def _of_bracket(self, view: View, rungs: Rungs, bracket: Bracket, still: Sequence[Trial]) -> Iterator[Promote]:
        for index in range(len(self.levels) - bracket.start):
            rung = rungs.rung(bracket.id, index)
            highest = [rungs.highest(trial) for trial in still]
            if rung is None or any(entry is None or entry.rung < index for entry in highest):
                return
            best = int(len(rung.losses) / self.reduction_factor)
            found = list(promotable(view, rungs, rung, best))
            for trial in found:
                yield Promote(trial.number, f"{promoted_from(index, best)} of its bracket")
            if found:
                return
