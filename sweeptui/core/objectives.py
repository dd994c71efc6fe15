"""What a sweep searches for: one metric, or several at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sweeptui.core.trial import Trial

MAX_OBJECTIVES = 4
"""Beyond that nearly every trial is on the front, and a front says nothing."""


@dataclass(frozen=True, slots=True)
class Objective:
    name: str
    """Of the metric."""
    goal: str
    """"maximize" or "minimize"."""

    @property
    def sign(self) -> float:
        """Factor that makes more better."""
        return -1.0 if self.goal == "minimize" else 1.0

    def __str__(self) -> str:
        return f"{self.name} ({self.goal})"


Objectives = tuple[Objective, ...]


def objectives_of(config: Mapping[str, Any]) -> Objectives:
    """The objectives of a sweep's stored configuration."""
    protein = config.get("protein_config", {})
    if several := protein.get("metrics"):
        return tuple(Objective(str(each["name"]), str(each.get("goal", "maximize"))) for each in several)
    return (Objective(str(protein.get("metric", "score")), str(protein.get("goal", "maximize"))),)


def value_of(trial: Trial, objectives: Objectives, which: int) -> float | None:
    """The trial's newest value of one objective, in the user's sign; None where it has reported none."""
    if which == 0 and (len(objectives) == 1 or trial.score is not None):
        return trial.score
    return number_in(trial.metrics, objectives[which].name)


def values_of(trial: Trial, objectives: Objectives) -> tuple[float, ...] | None:
    """All its values, in the user's signs, where it has them all and each is finite."""
    found = [value_of(trial, objectives, which) for which in range(len(objectives))]
    complete = [value for value in found if value is not None and math.isfinite(value)]
    return tuple(complete) if len(complete) == len(objectives) else None


def number_in(metrics: Mapping[str, Any], name: str) -> float | None:
    """A metric as a number; NaN and infinities are written as words."""
    value = metrics.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Member:
    """A trial that no other one beats."""

    trial: Trial
    values: tuple[float, ...]
    """Of each objective, in the user's sign."""


def results(trials: Iterable[Trial], objectives: Objectives) -> list[Member]:
    """The trials that have a result of every objective, by number."""
    found = []
    for trial in sorted(trials, key=lambda each: each.number):
        if trial.has_result and not trial.is_replicate and (values := values_of(trial, objectives)) is not None:
            found.append(Member(trial, values))
    return found


def front(trials: Iterable[Trial], objectives: Objectives) -> list[Member]:
    """The results that no other is at least as good as in all objectives and better in one; best in the first first.

    Trials that are equal in all objectives are all on it.
    """
    found: list[Member] = []
    for member in results(trials, objectives):
        point = gains(member.values, objectives)
        others = [gains(each.values, objectives) for each in found]
        if any(dominates(other, point) for other in others):
            continue
        found = [each for each, other in zip(found, others, strict=True) if not dominates(point, other)]
        found.append(member)
    return sorted(found, key=lambda each: (*(-gain for gain in gains(each.values, objectives)), each.trial.number))


def gains(values: Sequence[float], objectives: Objectives) -> tuple[float, ...]:
    """The values with the signs in which more is better."""
    return tuple(each.sign * value for each, value in zip(objectives, values, strict=True))


def dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether `one` is at least as good in all and better in one. More is better."""
    return all(a >= b for a, b in zip(one, other, strict=True)) and any(a > b for a, b in zip(one, other, strict=True))
