"""What trainings that have not ended have reported, as far as a suggestion may know of it.

Each trial has in its provenance the number of the newest report there was when it was made. Reports are numbered as
they are stored, so what the suggestion for a trial may know is told from the store alone, whenever it is computed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sweeptui.core.trial import Observation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sweeptui.core.trial import Point, Trial

KNOWN_REPORTS = "known_reports"
"""Of a provenance: the number of the newest report when the trial was made."""


class Underway:
    """The newest reports of trials that train, each at the share of a whole training that it had by then."""

    def __init__(
        self,
        newest: Callable[[int, int], Point | None],
        share: Callable[[Trial, Point], float | None],
        last: Callable[[], int],
    ) -> None:
        """`newest` gives the newest score of a trial among the reports up to a number, `last` the newest report's."""
        self._newest, self._share, self._last = newest, share, last

    @property
    def last(self) -> int:
        """The number of the newest report of all; 0 before the first."""
        return self._last()

    def known_to(self, trials: Mapping[int, Trial], number: int) -> int:
        """The newest report that was known when trial `number`, or one before it, was made; 0 where none was."""
        for each in range(number, 0, -1):
            if each in trials and (known := trials[each].provenance.get(KNOWN_REPORTS)) is not None:
                return int(known)
        return 0

    def observations(self, trials: Sequence[Trial], up_to: int, whole_cost: float) -> list[Observation]:
        """Of those of `trials` that had reported a score. One whose reports have no cost is taken to cost its share of
        `whole_cost`."""
        found = []
        for trial in trials:
            point = self._newest(trial.number, up_to)
            if point is None or not math.isfinite(point.score) or point.job <= trial.requeued_after_job:
                continue
            share = self._share(trial, point)
            if share is not None:
                cost = point.cost if point.cost is not None and point.cost > 0 else whole_cost * share
                found.append(Observation(trial.number, trial.params, point.score, cost, share))
        return found
