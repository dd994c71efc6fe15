"""Points of learning curves, as an optimizer is given them: the score of a trial part of the way, at that share's cost.

They tell how scores grow with training, which matters where some trials were stopped early and their final scores are
guessed from others' curves; where all trials are complete they are not read.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sweeptui.core.trial import Observation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sweeptui.core.stores.rows import ScoreRow
    from sweeptui.core.trial import Trial

SHARES = (1 / 8, 1 / 4, 1 / 2)
"""Of a complete training: where a curve is looked at, by the report that is nearest."""
NEAREST = math.log(1.5)
"""A report further off (in the share's logarithm) stands for none of them."""
BEFORE_END = 0.8
"""What is later than this share of what the trial reached is its own score again."""
MOST_TRIALS = 50
"""The newest ones: more say nothing new on how scores grow, and each is read from the store once."""


class Curves:
    """The points of each trial, read once. `read` gives the scores that a trial's training reported, in their order."""

    def __init__(self, read: Callable[[int], Sequence[ScoreRow]]) -> None:
        self._read = read
        self._known: dict[tuple[int, int | None], list[Observation]] = {}

    def of(self, ended: Sequence[tuple[Trial, Observation]]) -> list[Observation]:
        """The points of these trials; none where all are complete."""
        if all(observed.fidelity >= 1 for _, observed in ended):
            return []
        return [point for trial, observed in ended[-MOST_TRIALS:] for point in self._points(trial, observed)]

    def _points(self, trial: Trial, observed: Observation) -> list[Observation]:
        key = trial.number, trial.end_order
        if key not in self._known:
            self._known[key] = points(trial, observed, self._read(trial.number))
        return self._known[key]


def points(trial: Trial, observed: Observation, scores: Sequence[ScoreRow]) -> list[Observation]:
    """The reports that are nearest to `SHARES`, earliest first. An attempt that resumed goes on with the curve."""
    if not trial.step or not scores:
        return []
    curve: dict[float, float] = {}
    job = scores[0].job
    for row in scores:
        if row.step is None or row.step <= 0 or not math.isfinite(row.score):
            continue
        if row.job != job:
            # It goes on from a checkpoint, or starts again: what it comes by once more was of the attempt before.
            job, begins = row.job, row.step
            curve = {step: score for step, score in curve.items() if step < begins}
        curve[row.step] = row.score
    shares = {observed.fidelity * step / trial.step: score for step, score in curve.items()}
    found = {share: score for share, score in shares.items() if share <= BEFORE_END * observed.fidelity}
    chosen = set()
    for wanted in SHARES:
        near = min(found, key=lambda share: abs(math.log(share / wanted)), default=None)
        if near is not None and abs(math.log(near / wanted)) <= NEAREST:
            chosen.add(near)
    return [
        Observation(trial.number, trial.params, found[share], observed.cost * share / observed.fidelity, share)
        for share in sorted(chosen)
    ]
