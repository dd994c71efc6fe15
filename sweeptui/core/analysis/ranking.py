"""Which trials have a result, and which result is better."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeptui.core.trial import Trial, TrialStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

SCORED = frozenset({TrialStatus.COMPLETED, TrialStatus.STOPPED})
"""The states whose score is a result."""


@dataclass(frozen=True, slots=True)
class Ranked:
    rank: int
    """1 is the best; trials of equal score share a rank."""
    trial: Trial
    score: float


def ranked(trials: Iterable[Trial], goal: str) -> list[Ranked]:
    """Return the trials that have a result, best first.

    `goal` is "maximize" or "minimize". Equal scores are ordered by lower cost (an unknown cost last), then by number.
    """
    sign = -1.0 if goal == "maximize" else 1.0
    scored = [
        (trial, trial.score)
        for trial in trials
        if trial.status in SCORED and trial.score is not None and math.isfinite(trial.score)
    ]
    scored.sort(key=lambda pair: (sign * pair[1], math.inf if pair[0].cost is None else pair[0].cost, pair[0].number))
    result: list[Ranked] = []
    for position, (trial, score) in enumerate(scored, start=1):
        tied = result and result[-1].score == score
        result.append(Ranked(result[-1].rank if tied else position, trial, score))
    return result
