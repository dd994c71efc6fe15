"""The contract between a sweep and whatever decides when to run what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sweeptui.core.trial import Job, Trial


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


@dataclass(frozen=True, slots=True)
class Create:
    """Ask the optimizer for `n` new trials and train them."""

    n: int = 1


@dataclass(frozen=True, slots=True)
class Train:
    """Train a queued trial."""

    trial: int


@dataclass(frozen=True, slots=True)
class Evaluate:
    trial: int


@dataclass(frozen=True, slots=True)
class Stop:
    """End a running trial early; it stays an observation at the fidelity it reached."""

    trial: int
    reason: str


Action = Create | Train | Evaluate | Stop


class Scheduler(Protocol):
    """A pure function of the view: no counters, no clock, so that it runs in a simulator and after any restart."""

    def decide(self, view: View) -> list[Action]:
        """Return what to do now. Called after every change; an empty list means wait."""
        ...
