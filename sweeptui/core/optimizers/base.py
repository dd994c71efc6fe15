"""The contract between a sweep and whatever decides what to try next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from sweeptui.core.trial import Observation, Params

if TYPE_CHECKING:
    from sweeptui.core.space import Space


@dataclass(frozen=True, slots=True)
class FailedTrial:
    """A configuration that gave no score, and why: never shown to a model as a score."""

    number: int
    params: Params
    kind: str


@dataclass(frozen=True, slots=True)
class PendingTrial:
    """A configuration that is queued or running."""

    number: int
    params: Params


@dataclass(frozen=True, slots=True)
class History:
    """All that a suggestion may depend on, besides the space, the seed and the trial's number.

    Ordered by trial number within each part, so that the same set gives the same suggestion
    whatever the order in which results came in.
    """

    observations: Sequence[Observation] = ()
    failures: Sequence[FailedTrial] = ()
    pending: Sequence[PendingTrial] = ()
    curves: Sequence[Observation] = ()
    """Points of the learning curves of trials in `observations`: part of their fidelity, at part of their cost. Empty
    where all of those are complete."""
    prior: Sequence[Observation] = ()
    """Of the sweep that this one was warm-started from, as points of this space, numbered below 0. How far they hold
    here is for the optimizer to find out; one that cannot may leave them out."""
    running: Sequence[Observation] = ()
    """What trials in `pending` have reported last, at the share of the training that they had by then: only where a
    scheduler compares trainings by their reports. One that cannot learn from part of a training leaves them out."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Parameters to try, and how they were chosen.

    `provenance` always holds `method` ("center", "random", "protein", ...). A model adds `score_mean`, `score_std`
    (in the user's sign) and `cost_mean`. A fallback adds `fallback`: one sentence saying why.
    """

    params: Params
    provenance: Mapping[str, Any] = field(default_factory=dict)


class Optimizer(Protocol):
    """A pure function from history to suggestions.

    No state between calls and no global random state: the same (space, goal, settings, seed) at construction and the
    same (history, first_number, n) give the same suggestions, in any process, on any day.
    """

    def suggest(self, history: History, first_number: int, n: int = 1) -> list[Suggestion]:
        """Return `n` suggestions for the trials numbered `first_number`, `first_number + 1`, ...

        Raises nothing for poor data: no observation, constant, duplicate or huge values all give suggestions.
        Raises `SpaceExhaustedError` where every configuration of a finite space was tried.
        """
        ...


class SpaceExhaustedError(Exception):
    """Every configuration of a finite space has been suggested."""


class OptimizerFactory(Protocol):
    """What `sweeptui.optimizers` entry points and the built-in names resolve to.

    One that can search for several objectives at once takes `goals`, too: a goal for each, in the order of
    `Observation.scores`; `goal` is the first.
    """

    def __call__(self, space: Space, *, goal: str, settings: Mapping[str, Any], seed: int) -> Optimizer: ...
