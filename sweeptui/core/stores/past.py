"""A sweep as it was at any moment: its journal folded up to there, by the same fold that everybody who watches it does.

A moment is a row of the journal. Going there costs the rows since the nearest copy of the state that was kept on the
way, at most `KEPT_EVERY` of them once the way was gone.

What the journal does not tell: reports are not journalled one by one, so those are taken to be there whose time has
come; and of a log nobody knows how long it was.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from sweeptui.core.errors import UserError
from sweeptui.core.state import Change, SweepState
from sweeptui.core.trial import TERMINAL, Stage, trial_id

if TYPE_CHECKING:
    from sweeptui.core.stores.rows import ScoreRow
    from sweeptui.core.stores.sqlite import SqliteStore
    from sweeptui.core.trial import Job, Report

KEPT_EVERY = 2000
"""Rows between two states that are kept. A state of 10,000 trials takes about a megabyte, the trials being shared."""
READ_AT_ONCE = 2000
FEW = 200
"""So many changes on the way forward are told one by one; for more, all is looked at anew."""
View: TypeAlias = "SqliteStore | Past"
"""What a sweep is shown from: as it is now, or as it was."""
_ENDS = frozenset(status.value for status in TERMINAL)


@dataclass(frozen=True, slots=True)
class End:
    """A row of the journal by which a trial ended."""

    seq: int
    trial: int
    status: str


class Past:
    """Reads like the `SqliteStore` that it is made on, as of the moment that it is at: at first, before the first row.

    Methods raise `StoreError` as the store's do.
    """

    def __init__(self, store: SqliteStore) -> None:
        self.state = SweepState()
        self._store = store
        self._kept: list[SweepState] = [SweepState()]
        self._seqs: list[int] = []
        self._times: list[float] = []
        """When each of `_seqs` was written; where a clock was set back, when the one before was."""
        self._ends: list[End] = []
        self.grow()

    # -- which moments there are

    def grow(self) -> None:
        """Take in what was written since."""
        for seq, at, trial, ended in self._store.moments(after=self._seqs[-1] if self._seqs else 0):
            self._seqs.append(seq)
            self._times.append(max(at, self._times[-1]) if self._times else at)
            if ended is not None and trial is not None:
                status = json.loads(ended).get("status")
                if status in _ENDS:
                    self._ends.append(End(seq, trial, status))

    @property
    def seq(self) -> int:
        """The last row of the journal that is told; 0 before the first."""
        return self.state.last_seq

    @property
    def first(self) -> int:
        """The first row that there is."""
        return self._seqs[0] if self._seqs else 0

    @property
    def last(self) -> int:
        """The last row that there is."""
        return self._seqs[-1] if self._seqs else 0

    @property
    def at(self) -> float:
        """When the moment was, in epoch seconds."""
        return self.time_of(self.seq)

    def time_of(self, seq: int) -> float:
        """When a row was written; of what is before the first, when that was."""
        if not self._times:
            return 0.0
        return self._times[max(0, bisect_right(self._seqs, seq) - 1)]

    @property
    def span(self) -> tuple[float, float]:
        """When the first and the last row were written."""
        return (self._times[0], self._times[-1]) if self._times else (0.0, 0.0)

    @property
    def newest_trial(self) -> int:
        """The highest number of a trial that there is now."""
        return self._store.state.last_trial

    def at_time(self, at: float) -> int:
        """The last row that had been written by then; the first one where that was later."""
        place = bisect_right(self._times, at)
        return self._seqs[max(0, place - 1)] if self._seqs else 0

    def next_change(self, step: int) -> int:
        """The moment after this one, or before it: the last row of a transaction, which all have one time."""
        if not self._seqs:
            return 0
        place = max(0, bisect_right(self._seqs, self.seq) - 1)
        if step > 0:
            end = bisect_right(self._times, self._times[place]) - 1
            if self._seqs[end] > self.seq:  # in the midst of a transaction: its end comes first
                return self._seqs[end]
            after = min(end + 1, len(self._times) - 1)
            return self._seqs[bisect_right(self._times, self._times[after]) - 1]
        return self._seqs[max(0, bisect_left(self._times, self._times[place]) - 1)]

    def next_end(self, step: int) -> int:
        """The next end of a trial, or the one before; the last or the first row where there is none."""
        seqs = [end.seq for end in self._ends]
        if step > 0:
            place = bisect_right(seqs, self.seq)
            return seqs[place] if place < len(seqs) else self.last
        place = bisect_left(seqs, self.seq) - 1
        return seqs[place] if place >= 0 else self.first

    def end_of(self, trial: int) -> int:
        """The row by which a trial ended for the last time. Raises `UserError` where it has not."""
        found = [end.seq for end in self._ends if end.trial == trial]
        if not found:
            raise UserError(f"{trial_id(trial)} has not ended, so there is no moment of its end; give a time instead")
        return found[-1]

    def just_ended(self) -> End | None:
        """The end of a trial that this very row is."""
        place = bisect_left([end.seq for end in self._ends], self.seq)
        found = self._ends[place] if place < len(self._ends) else None
        return found if found is not None and found.seq == self.seq else None

    # -- going there

    def go_to(self, seq: int) -> list[Change] | None:
        """Be at that row. The changes on the way there, where they were few and the way led forward; else None."""
        if seq < self.seq or seq - self.seq > KEPT_EVERY:
            nearest = bisect_right([kept.last_seq for kept in self._kept], seq) - 1
            if seq < self.seq or self._kept[nearest].last_seq > self.seq:
                self.state = self._kept[nearest].copy()
                self._fold(seq)
                return None
        changes = self._fold(seq)
        return changes if len(changes) < FEW else None

    def _fold(self, seq: int) -> list[Change]:
        few: list[Change] = []
        while self.state.last_seq < seq:
            changes = self._store.journal(self.state.last_seq, READ_AT_ONCE)
            if not changes:
                break
            for change in changes:
                if change.seq > seq:
                    return few
                self.state.apply(change)
                if len(few) < FEW:
                    few.append(change)
                if self.state.last_seq >= self._kept[-1].last_seq + KEPT_EVERY:
                    self._kept.append(self.state.copy())
        return few

    # -- reading, as a store does

    def jobs(self, trial: int) -> list[Job]:
        """All jobs that a trial had then, oldest first."""
        return [job for job in self.state.jobs.values() if job.trial == trial]

    def reports(self, trial: int, stage: Stage | None = None, *, skip: int = 0) -> list[Report]:
        """The reports of a trial that had come by then, without the first `skip` of them."""
        at, jobs = self.at, self.state.jobs
        found = self._store.reports(trial, stage, skip=skip)
        return [report for report in found if report.at <= at and report.job in jobs]

    def scores(self, trial: int, stage: Stage, *, after: int = 0, limit: int = -1) -> list[ScoreRow]:
        """The scores of a trial that had come by then, from the row with an id above `after` on."""
        at, jobs = self.at, self.state.jobs
        found = self._store.scores(trial, stage, after=after, limit=limit)
        return [row for row in found if row.at <= at and row.job in jobs]
