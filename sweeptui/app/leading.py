"""Which parameters' columns come first in the trial table: those that the trials tell of.

Columns must not walk about while somebody reads them. So the trials are looked through again only when a tenth more of
them has been completed, and an order holds until two such looks in a row have found the same other one. In the past the
order stays as it was.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sweeptui.core.analysis.screening import LEAST_TRIALS, told
from sweeptui.core.objectives import value_of
from sweeptui.core.trial import TrialStatus

if TYPE_CHECKING:
    from sweeptui.app.snapshot import Snapshot
    from sweeptui.core.objectives import Objectives
    from sweeptui.core.trial import Trial

GROWN = 1.1
"""By so much before the trials are looked through again."""
Order = tuple[str, ...]


class Leading:
    """One for each window; milliseconds of a thread beside the screen's."""

    def __init__(self) -> None:
        self._params: Order = ()
        self._order: Order = ()
        self._found: Order | None = None
        """What the last look found; None before the first."""
        self._looked = 0
        """How many trials were completed then."""

    def order(self, snapshot: Snapshot) -> Order:
        """The parameters that are told, the most important first."""
        if snapshot.params != self._params:  # another sweep of that name, or another space
            self._params, self._order, self._found, self._looked = snapshot.params, (), None, 0
        completed = snapshot.counts.get(TrialStatus.COMPLETED, 0)
        if completed < max(LEAST_TRIALS, math.ceil(self._looked * GROWN)) or snapshot.older:
            return self._order
        if snapshot.past is not None and self._found is not None:
            return self._order
        found = important(snapshot.trials, snapshot.params, snapshot.objectives)
        if self._found is None or found == self._found:
            self._order = found
        self._found, self._looked = found, completed
        return self._order


def important(trials: Sequence[Trial], params: Sequence[str], objectives: Objectives) -> Order:
    """By what they do to the score; of several metrics, to the one that they do most to."""
    ended = [trial for trial in trials if trial.status is TrialStatus.COMPLETED and not trial.is_replicate]
    shares: dict[str, float] = {}
    for which in range(max(1, len(objectives))):
        scores = ((trial, value_of(trial, objectives, which) if objectives else trial.score) for trial in ended)
        results = [(trial.params, score) for trial, score in scores if score is not None and math.isfinite(score)]
        for name, share in told(params, results).items():
            shares[name] = max(share, shares.get(name, 0.0))
    return tuple(sorted(shares, key=lambda name: (-shares[name], name)))
