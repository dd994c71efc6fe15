"""Brings a sweep's journal to W&B, and what another machine brought there into the store here.

The journal is the outbox: `Book.seq` is the cursor in it, and what stands after it says which trials have to be put,
each whole and as it is now, however often it changed. A put that is repeated, or that arrives late, does no harm.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from sweeptui.core.state import Change, ChangeKind
from sweeptui.core.stores.wandb.book import Book
from sweeptui.core.stores.wandb.errors import AwayError, DeletedError, RefusedError
from sweeptui.core.stores.wandb.records import RECENT, Names, Rev, SweepRecord, TrialRecord
from sweeptui.core.stores.wandb.remote import CloudLease, Remote, Silence, absorbed_config

if TYPE_CHECKING:
    from pathlib import Path

    from sweeptui.core.stores.sqlite import SqliteStore

BEATS = 4
"""Heartbeats in the time after which a lease that does not move is taken over."""
_TRIALS = frozenset({ChangeKind.TRIAL_CREATED, ChangeKind.TRIAL_CHANGED, ChangeKind.TRIAL_RECOVERED})
_JOBS = frozenset({ChangeKind.JOB_CREATED, ChangeKind.JOB_CHANGED, ChangeKind.JOB_RECOVERED})
_SWEEP = frozenset({ChangeKind.SWEEP_CREATED, ChangeKind.SWEEP_CHANGED})
PROGRESS = frozenset({"id", "report_offset", "step", "total_steps", "score", "cost", "metrics", "checkpoint"})
"""What changes with each report: sent with the next change that matters, or when some time has passed."""


class SupersededError(Exception):
    """Another machine runs the sweep now, or has run it since."""

    def __init__(self, lease: CloudLease, *, diverged: bool = False) -> None:
        super().__init__(str(lease))
        self.lease = lease
        self.diverged = diverged
        """There are trials here that W&B has never seen, and others there under the same numbers."""


class Mirror:
    """The mirror of one sweep. One thread uses it. Methods that speak to W&B raise what `Cloud` raises."""

    def __init__(
        self,
        folder: Path,
        store: SqliteStore,
        label: str,
        ttl_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.book = Book.read(folder)
        self._folder = folder
        self._store = store
        self._remote: Remote
        self._label = label
        self._ttl_s = ttl_s
        self._monotonic = monotonic
        self._silence = Silence(monotonic)
        self._lease: CloudLease | None = None
        self._beat_at = float("-inf")
        self._read = self.book.seq
        """Of the journal, the rows that were looked at."""
        self._trials: set[int] = set()
        self._sweep = False
        self._progress: set[int] = set()
        self._recent: dict[int, Rev] = {}
        self._known: Rev = (0, 0)
        self.doubtful_at: float | None = None
        """When a put last had no answer: it may yet arrive, and overwrite what came after it."""
        self._inherited = False
        """Another machine ran the sweep before, and might wake up."""
        self.copies = True
        """Whether the store may be written: not once an orchestrator runs on it."""

    def connect(self, remote: Remote) -> None:
        """Before anything that speaks to W&B."""
        self._remote = remote
        if self.book.nonce:
            remote.names = self._names()

    # -- what is to be sent

    def look(self) -> None:
        """Read the journal on."""
        self._store.refresh()
        if self._store.state.last_seq > self._read:
            for change in self._store.journal(after=self._read):
                self._note(change)
                self._read = change.seq

    @property
    def behind(self) -> int:
        """Records that W&B does not have as they are here."""
        return len(self._trials | self._progress) + self._sweep

    @property
    def urgent(self) -> bool:
        """More is to be sent than the progress of running trials."""
        return bool(self._trials) or self._sweep

    def _note(self, change: Change) -> None:
        if change.kind in _SWEEP:
            self._sweep = True
        elif change.trial is not None and (change.kind in _TRIALS or change.kind in _JOBS):
            only_progress = change.kind in (ChangeKind.TRIAL_CHANGED, ChangeKind.JOB_CHANGED)
            only_progress = only_progress and change.data.keys() <= PROGRESS
            (self._progress if only_progress else self._trials).add(change.trial)

    # -- who runs it

    @property
    def leads(self) -> bool:
        return self._lease is not None

    def join(self) -> CloudLease | None:
        """Become the one who runs the sweep; None once that is so, else the lease that stands against it.

        What other machines did is in the store then. Call it again, several times a `ttl_s`, to follow the one who
        runs it, and to take over once that one is silent. Raises `SupersededError` where what is here cannot be
        brought together with what is in W&B, `RefusedError` where another sweep has the name.
        """
        try:
            return self._join()
        except AwayError:
            self._silence.forget()
            raise

    def _join(self) -> CloudLease | None:
        there, record = self._remote.find()
        if not there and not self.book.nonce and not self._remote.make():
            there, record = self._remote.find()
        if record is None:
            if there and not self.book.nonce and self._silence.of(CloudLease(0)) < self._ttl_s:
                return CloudLease(0, ttl_s=self._ttl_s)  # just being made by another machine, or by us long ago
            self._begin()
        else:
            self._meet(record)
        lease = self._remote.lease(max(self.book.epoch, record.rev[0] if record else 0))
        deleted = not lease.machine and self.book.led and lease.epoch == self.book.epoch  # the one that was led here
        mine = lease.machine == self.book.machine or deleted
        silent = self._silence.of(lease) >= max(lease.ttl_s, self._ttl_s)
        if lease.epoch and not (lease.released or mine or silent):
            if record is not None:
                self._absorb(record)
            return lease
        taken = self._take(lease.epoch + 1)
        if taken is None:
            return CloudLease(lease.epoch + 1, ttl_s=self._ttl_s)
        self._settle(taken)
        return None

    def _begin(self) -> None:
        """Nobody has put anything: all that is here is to be sent."""
        if not self.book.nonce:
            self.book.nonce = self.book.machine[:8]
        self.book.seq = self._read = 0
        self.book.write(self._folder)
        self._remote.names = self._names()

    def _meet(self, record: SweepRecord) -> None:
        if not self.book.nonce and not self._store.state.trials:
            self.book.nonce = record.nonce
        if self.book.nonce != record.nonce:
            raise RefusedError(
                f"another sweep is called {self._store.state.name!r} in this W&B project: choose another "
                f"--sweep-name or --wandb-project"
            )

    def _take(self, epoch: int) -> CloudLease | None:
        lease = CloudLease(epoch, self.book.machine, self._label, socket.gethostname(), self._ttl_s)
        try:
            if not self._remote.claim(lease):
                return None
        except DeletedError:
            return self._take(epoch + 1)
        self._remote.sign(lease)
        self._beat_at = self._monotonic()
        return lease

    def _settle(self, lease: CloudLease) -> None:
        """Once the lease is ours: what the last one wrote is taken in, and from now on this machine's counts."""
        _, record = self._remote.find()
        try:
            if record is not None:
                self._absorb(record, whole=True)
        except SupersededError:
            self._remote.sign(replace(lease, released=True))
            raise
        if record is None and not self._store.state.trials:
            # Before any trial's, so that whoever takes over while the first ones are being sent finds them.
            state, rev = self._store.state, (lease.epoch, 0)
            self._remote.put_sweep(SweepRecord.of(state, self.book.nonce, self.book.moved, {}, rev))
        self.book.epoch, self.book.led = lease.epoch, True
        self.book.write(self._folder)
        self._lease = lease
        self._sweep = True

    def beat(self, *, now: bool = False) -> None:
        """Show that this machine is there, when it is time. Raises `SupersededError` where another took over."""
        if self._lease is None or (not now and self._monotonic() - self._beat_at < self._ttl_s / BEATS):
            return
        if self._remote.succeeded(self._lease.epoch):
            successor = self._remote.lease(self._lease.epoch + 1)
            self._lease = None
            raise SupersededError(successor)
        self._lease = replace(self._lease, beat=self._lease.beat + 1)
        self._remote.sign(self._lease)
        self._beat_at = self._monotonic()

    def release(self) -> None:
        if self._lease is not None:
            self._remote.sign(replace(self._lease, released=True, beat=self._lease.beat + 1))
            self._lease = None

    # -- from W&B

    def copy(self) -> bool:
        """Take in all that W&B has; false where it has nothing."""
        _, record = self._remote.find()
        if record is not None:
            self._meet(record)
            self._absorb(record, whole=True)
        return record is not None

    def _absorb(self, record: SweepRecord, *, whole: bool = False) -> None:
        """Take in what another machine wrote; nothing where what is in W&B comes from here.

        `whole`: more than its record tells of, for it may have been cut off while it wrote.
        """
        if self.book.led and record.rev[0] <= self.book.epoch:
            return
        if not whole and record.rev <= self._known:
            return
        self.look()
        if self._trials or not self.copies:
            raise SupersededError(CloudLease(record.rev[0]), diverged=True)
        trials = self._remote.trials(record, None if whole or not self._known[0] else self._known)
        sweep = {**record.sweep, "config": absorbed_config(record.sweep["config"], self._store.state.config)}
        with self._store.transaction("W&B") as tx:
            tx.copy_sweep(sweep)
            for found in trials.values():
                tx.copy_trial(found.trial, found.jobs)
        self._known = record.rev
        self._inherited = True
        self._trials.clear()
        self._progress.clear()
        self._sweep = False
        self._read = self.book.seq = self._store.state.last_seq
        self.book.epoch, self.book.led, self.book.moved = record.rev[0], False, dict(record.moved)
        self.book.write(self._folder)

    # -- to W&B

    def push(self) -> None:
        """Send what has changed since the cursor, and move the cursor. All of it arrives, or is sent again."""
        if self._lease is None:
            raise RuntimeError("only who has the lease sends")
        if self._monotonic() - self._beat_at >= self._ttl_s / BEATS:
            self.beat(now=True)
        self.look()
        rev = self._lease.epoch, self._read
        numbers = sorted(self._trials | self._progress)
        records = [TrialRecord(self._store.state.trials[n], tuple(self._store.jobs(n)), rev) for n in numbers]
        self._put_all(records)
        self._recent |= dict.fromkeys(numbers, rev)
        while len(self._recent) > RECENT:
            del self._recent[min(self._recent, key=self._recent.__getitem__)]
        record = SweepRecord.of(self._store.state, self.book.nonce, self.book.moved, self._recent, rev)
        self._remote.put_sweep(record)
        self._known = rev
        self._sweep = False
        self.book.seq = rev[1]
        self.book.write(self._folder)

    def _put_all(self, records: list[TrialRecord]) -> None:
        """Put them side by side. Raises what went wrong first, once all are through."""
        puts = [(record.trial.number, self._remote.pool.submit(self._put, record)) for record in records]
        failed: BaseException | None = None
        for number, put in puts:
            if (error := put.exception()) is None:
                self._trials.discard(number)
                self._progress.discard(number)
            elif isinstance(error, AwayError):
                self.doubtful_at = self._monotonic()
            failed = failed or error
        if failed is not None:
            raise failed

    def _put(self, record: TrialRecord) -> None:
        number = record.trial.number
        while True:
            try:
                return self._remote.put_trial(record)
            except DeletedError:  # by somebody, on W&B's pages: its id is used up
                self.book.moved[number] = self.book.moved.get(number, 0) + 1
                self._remote.names = self._names()

    def verify(self) -> bool:
        """Look whether W&B shows what was sent; what it does not is to be sent again.

        For what a slow server did after it was given up on, and for a predecessor that woke up late.
        """
        if self.doubtful_at is None and not self._inherited:
            return True
        self.doubtful_at = None
        shown = self._remote.listed_revs()
        self._trials |= {number for number, rev in self._recent.items() if shown.get(number) != rev}
        _, record = self._remote.find()
        self._sweep = record is None or record.rev != self._known
        return not self.behind

    def _names(self) -> Names:
        return Names(self._store.state.name, self.book.nonce, self.book.moved)
