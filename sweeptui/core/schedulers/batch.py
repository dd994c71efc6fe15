"""Batch after batch: every suggestion of a batch knows every result of the batches before it."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from sweeptui.core.fields import AtLeastOne, Real
from sweeptui.core.schedulers.base import Action, Scheduler, Stop, View, launches
from sweeptui.core.trial import Trial


class SynchronousBatchScheduler(Scheduler):
    """Trials 1 to `batch_size`, then the next so many, `max_parallel_jobs` of them at a time.

    A batch is waited for to its last trial, unless `stragglers` says otherwise.
    """

    name: ClassVar[str] = "batch"

    batch_size: AtLeastOne = 4
    stragglers: Literal["wait", "leave", "stop"] = "wait"
    """Once `enough` of a batch has ended: "leave" lets the others run on beside the next batch, "stop" ends those that
    have reported a score, which stay observations at the fidelity they reached."""
    enough: Real = Field(default=0.8, gt=0, le=1)
    """Share of a batch."""

    def decide(self, view: View) -> list[Action]:
        stops: list[Action] = []
        created = len(view.trials)
        full = created - created % self.batch_size
        # The trials of the newest whole batch that are still open; numbers are given out without gaps.
        late = [trial for trial in view.active if self._batch(trial) == full // self.batch_size - 1]
        over = self.batch_size - len(late)
        is_enough = self.stragglers != "wait" and over >= self.enough * self.batch_size
        if self.stragglers == "stop" and is_enough and created == full:
            stops = [self._stop(trial, over) for trial in view.training() if trial in late and trial.score is not None]
        older = any(self._batch(trial) < full // self.batch_size for trial in view.active)
        waits = created == full and created > 0 and (older if self.stragglers != "leave" else bool(late))
        waits = waits and not (is_enough and self.stragglers == "leave")
        return [*stops, *launches(view, 0 if waits else self.batch_size - created % self.batch_size)]

    def suggest_ahead(self, max_parallel_jobs: int) -> int:
        del max_parallel_jobs
        return 0

    def _batch(self, trial: Trial) -> int:
        return (trial.number - 1) // self.batch_size

    def _stop(self, trial: Trial, over: int) -> Stop:
        batch = self._batch(trial) + 1
        return Stop(trial.number, f"stopped as a straggler of batch {batch}: {over} of {self.batch_size} have ended")
