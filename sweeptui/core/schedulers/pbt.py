"""Population Based Training (Jaderberg et al., 2017, arXiv:1711.09846).

A member is a chain of trials, one per generation: each goes on from the checkpoint of its parent, which is the member's
own last trial or, where that was among the worst, one of the best, with its parameters changed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import ClassVar, Literal

from pydantic import Field

from sweeptui.core.errors import UserError
from sweeptui.core.fields import AtLeastOne, Positive, Real, Whole
from sweeptui.core.schedulers.base import Action, Finish, Fork, Scheduler, Stop, View, launches
from sweeptui.core.schedulers.explore import EXPLORERS, changed
from sweeptui.core.schedulers.rungs import Entry, Plan, Resource, Rungs
from sweeptui.core.trial import Trial, TrialStatus

FIRST = 1


def generation_of(trial: Trial) -> int:
    """Counted from 1; a trial that the optimizer proposed is of the first."""
    return int(trial.provenance.get("generation", FIRST))


def member_of(trial: Trial) -> int | None:
    """The number of the member's first trial; None for a trial without forebears, which may be one."""
    return trial.provenance.get("member")


class PBTScheduler(Scheduler):
    """Trains a population in generations; `max_trials` must have room for population_size x num_generations trials.

    A generation's member goes on once `quorum` of the population has come as far. One without a checkpoint of its own
    is neither copied nor ended. A member that fails is replaced by a copy of one of the best.
    """

    name: ClassVar[str] = "pbt"

    population_size: Whole = Field(default=8, ge=2)
    num_generations: AtLeastOne = 10
    exploit_method: Literal["truncation", "binary_tournament"] = "truncation"
    """Who is replaced: the worst `truncation` of the population by one of the best; or whoever loses against a member
    drawn at random, by that one."""
    explore_method: Literal["perturb", "resample", "pb2"] = "perturb"
    """How a copy's parameters change: multiplied, drawn anew, or chosen by a model of what improved most (PB2, Parker-
    Holder et al., 2020, arXiv:2002.02518)."""
    truncation: Real = Field(default=0.2, gt=0, le=0.5)
    quorum: Real = Field(default=0.5, gt=0, le=1)
    max_epochs: Positive = 100.0
    """A whole training, split evenly among the generations."""
    resource: Literal["progress", "step"] = "progress"
    """What an epoch is: the reported share of the training, times max_epochs, or the reported step."""

    def check(self, max_trials: int) -> None:
        wanted = self.population_size * self.num_generations
        if max_trials < wanted:
            raise UserError(
                f"max_trials is {max_trials}; a population of {self.population_size} for {self.num_generations} "
                f"generations needs {wanted}: each generation of a member is a trial"
            )

    def plan(self, goal: str) -> Plan:
        del goal
        return Plan(Resource(self.resource), self._levels_of, lambda count: count, self.max_epochs)

    def fidelity(self, trial: Trial, reached: float | None) -> float:
        if reached is None:
            return super().fidelity(trial, reached)
        return min(1.0, reached / self.max_epochs)

    def suggest_ahead(self, max_parallel_jobs: int) -> int:
        del max_parallel_jobs
        return 0

    def needs_checkpoint(self, view: View, trial: Trial) -> bool:
        assert view.rungs is not None
        population = self._population(view)
        behind = [generation_of(last) for last in population.values() if not self._is_done(view, last)]
        return bool(behind) and generation_of(trial) >= min(behind)

    def decide(self, view: View) -> list[Action]:
        assert view.rungs is not None
        stops = list(self._stops(view, view.rungs))
        if not view.may_launch:
            return [*stops]
        population = self._population(view)
        missing = self.population_size - len(population)
        filled = launches(view, missing)
        queued = sum(1 for trial in view.active if trial.status is TrialStatus.PENDING)
        slots = view.training_slots - queued
        room = min(slots, view.max_trials - len(view.trials)) if view.may_create else 0
        forks = list(self._forks(view, view.rungs, population, missing, max(0, room)))
        if forks or missing > 0 or view.active:
            return [*stops, *filled, *forks[: max(0, room - max(0, missing))]]
        return [Finish(self._ending(view, population))]

    @cached_property
    def interval(self) -> float:
        """Epochs of a generation."""
        return self.max_epochs / self.num_generations

    def _levels_of(self, trial: Trial) -> tuple[int, Sequence[float]]:
        generation = generation_of(trial)
        if generation >= self.num_generations:
            return generation, (self.max_epochs * (1 - 1e-9),)
        return generation, (generation * self.interval * (1 - 1e-9),)

    def _stops(self, view: View, rungs: Rungs) -> Iterator[Stop]:
        for trial in view.training():
            entry = rungs.highest(trial)
            generation = generation_of(trial)
            if entry is None or generation >= self.num_generations or not view.committed(trial):
                continue
            yield Stop(trial.number, f"generation {generation} of {self.num_generations} done: {entry.score:.4g}")

    def _population(self, view: View) -> dict[int, Trial]:
        """The newest trial of each member, by the number of its first."""
        assert view.rungs is not None
        newest = view.rungs.members
        for number in range(view.rungs.members_up_to + 1, max(view.trials, default=0) + 1):
            trial = view.trials.get(number)
            if trial is None:
                continue
            member = member_of(trial)
            if member is not None:
                newest[member] = number
            elif len(newest) < self.population_size:
                newest[number] = number
            view.rungs.members_up_to = number
        return {member: view.trials[number] for member, number in newest.items()}

    def _is_done(self, view: View, trial: Trial) -> bool:
        """It has trained to the end of the last generation, or goes on no more."""
        if not trial.status.terminal:
            return False
        if generation_of(trial) >= self.num_generations:
            return True
        return trial.status is TrialStatus.COMPLETED and not view.committed(trial)

    def _forks(
        self, view: View, rungs: Rungs, population: dict[int, Trial], missing: int, limit: int
    ) -> Iterator[Fork]:
        """The next generation of the members that have ended theirs."""
        found = 0
        for member, trial in sorted(population.items()):
            if found >= limit:
                return
            if not trial.status.terminal or self._is_done(view, trial):
                continue
            generation = generation_of(trial)
            come = [entry for entry in rungs.entries(generation, 0) if view.trials[entry.trial].status.terminal]
            others = (other for other in population.values() if other.number != trial.number)
            coming = missing > 0 or any(self._comes_to(view, rungs, other, generation) for other in others)
            if coming and len(come) < self.quorum * self.population_size:
                continue
            fork = self._next(view, member, trial, come)
            if fork is not None:
                found += 1
                yield fork

    def _comes_to(self, view: View, rungs: Rungs, last: Trial, generation: int) -> bool:
        """Whether a member whose newest trial is `last` may still end a training of this generation."""
        if not last.status.terminal:
            return generation_of(last) <= generation
        if generation_of(last) >= generation or self._is_done(view, last):
            return False
        return any(view.committed(view.trials[entry.trial]) for entry in rungs.entries(generation_of(last), 0))

    def _next(self, view: View, member: int, trial: Trial, come: list[Entry]) -> Fork | None:
        """How a member goes on; None where nothing of the population is left to go on from."""
        draw = random.Random(f"pbt {view.seed} {trial.number}")  # noqa: S311 - not cryptography
        order = sorted(
            (entry for entry in come if view.committed(view.trials[entry.trial])),
            key=lambda entry: (entry.loss, entry.trial),
        )
        mine = next((entry for entry in order if entry.trial == trial.number), None)
        donor = self._donor(draw, order, mine)
        generation = generation_of(trial)
        told = {"method": "pbt", "member": member, "generation": generation + 1}
        if donor is None:
            if mine is None:
                return None
            return Fork(trial.number, trial.params, {**told, "parent": trial.number, "mutation": {}})
        parent = view.trials[donor.trial]
        assert view.space is not None
        params = EXPLORERS[self.explore_method](view, parent, draw)
        return Fork(
            parent.number,
            params,
            {**told, "parent": parent.number, "mutation": changed(parent.params, params), "replaced": trial.number},
        )

    def _donor(self, draw: random.Random, order: list[Entry], mine: Entry | None) -> Entry | None:
        """Whom to copy; None to go on as before."""
        best = order[: max(1, int(self.truncation * len(order)))]
        if mine is None:
            return draw.choice(best) if best else None
        others = [entry for entry in order if entry.trial != mine.trial]
        if not others:
            return None
        if self.exploit_method == "binary_tournament":
            rival = draw.choice(others)
            return rival if rival.loss < mine.loss else None
        if mine not in order[-len(best) :] or mine.loss <= best[-1].loss:
            return None
        return draw.choice(best)

    def _ending(self, view: View, population: dict[int, Trial]) -> str:
        done = sum(
            1
            for trial in population.values()
            if trial.status in (TrialStatus.COMPLETED, TrialStatus.STOPPED)
            and generation_of(trial) >= self.num_generations
        )
        if len(view.trials) >= view.max_trials and done < len(population):
            return f"all {len(view.trials)} trials are done"
        return f"{done} of {len(population)} members have trained all {self.num_generations} generations"
