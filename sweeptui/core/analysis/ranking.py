"""Which trials have a result, and which result is better."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeptui.core.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


@dataclass(frozen=True, slots=True)
class Ranked:
    rank: int
    """1 is the best; trials of equal score share a rank."""
    trial: Trial
    score: float


def ranked(trials: Iterable[Trial], goal: str, value: Callable[[Trial], float | None] | None = None) -> list[Ranked]:
    """Return the trials that have a result, best first. Replicates are not ranked: they are not what was found.

    `goal` is "maximize" or "minimize"; `value` is what they are ranked by, the score where not given. Equal scores are
    ordered by lower cost (an unknown cost last), then by number.
    """
    sign = -1.0 if goal == "maximize" else 1.0
    judged = (trial for trial in trials if trial.has_result and not trial.is_replicate)
    values = ((trial, trial.score if value is None else value(trial)) for trial in judged)
    scored = [(trial, score) for trial, score in values if score is not None and math.isfinite(score)]
    scored.sort(key=lambda pair: (sign * pair[1], math.inf if pair[0].cost is None else pair[0].cost, pair[0].number))
    result: list[Ranked] = []
    for position, (trial, score) in enumerate(scored, start=1):
        tied = result and result[-1].score == score
        result.append(Ranked(result[-1].rank if tied else position, trial, score))
    return result
