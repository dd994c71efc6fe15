"""A sweep as it lies in W&B, and who runs it, read so that a list that is behind hides nothing.

W&B has no transactions. One thing it does only once is to make a run: whoever makes the run `<sweep>.<nonce>.l<n>` has
the n-th lease. It is kept by a heartbeat that others time on their own clocks, as the lease on this machine is
(`stores.lease`), but nothing checks it when something is written: a leader that was asleep may overwrite one record
after it was succeeded, which its successor mends.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from sweeptui.core.stores.wandb.client import Cloud, CloudRun
from sweeptui.core.stores.wandb.errors import DeletedError
from sweeptui.core.stores.wandb.records import (
    LEASE_JOB,
    SWEEP_JOB,
    TAGS,
    TRIAL_JOB,
    Names,
    Rev,
    SweepRecord,
    TrialRecord,
    newest,
)

GENERATIONS = 4
"""So often a sweep's own run may be deleted in W&B and made anew."""
THREADS = 8
PROBE = 8
"""Trials that are looked for beyond the last one known, at a time."""
LEASE = "sweeptui_lease"


@dataclass(frozen=True, slots=True)
class CloudLease:
    """Who runs the sweep, as W&B has it."""

    epoch: int
    machine: str = ""
    """Empty where it was made and not signed yet."""
    label: str = ""
    host: str = ""
    ttl_s: float = 0.0
    beat: int = 0
    released: bool = False

    def __str__(self) -> str:
        return f"{self.label} on {self.host}" if self.machine else "another machine"


class Remote:
    """One sweep in W&B. Every method raises what `Cloud` raises."""

    def __init__(self, cloud: Cloud, sweep: str) -> None:
        self._cloud = cloud
        self.sweep = sweep
        self.generation = 0
        self.names = Names(sweep, "", {})
        self.pool = ThreadPoolExecutor(THREADS, thread_name_prefix="W&B")

    def close(self) -> None:
        self.pool.shutdown(cancel_futures=True)

    # -- the sweep

    def find(self) -> tuple[bool, SweepRecord | None]:
        """Whether the sweep is there, and what W&B has of it: None while it is just being made."""
        for generation in range(GENERATIONS):
            run = self._cloud.get(Names.root(self.sweep, generation))
            if run is not None:
                self.generation = generation
                record = SweepRecord.read(run)
                if record is not None:
                    self.names = Names(self.sweep, record.nonce, record.moved)
                return True, record
        return False, None

    def make(self) -> bool:
        """Make the sweep's own run, empty; false where another machine may have been faster."""
        for generation in range(GENERATIONS):
            self.generation = generation
            try:
                return self._cloud.put(self._root())
            except DeletedError:
                continue
        raise DeletedError(f"{self.sweep} was deleted in W&B {GENERATIONS} times: choose another --sweep-name")

    def put_sweep(self, record: SweepRecord) -> None:
        self.names = Names(self.sweep, record.nonce, record.moved)
        try:
            self._cloud.put(record.run(Names.root(self.sweep, self.generation)))
        except DeletedError:
            self.make()
            self._cloud.put(record.run(Names.root(self.sweep, self.generation)))

    def put_trial(self, record: TrialRecord) -> None:
        self._cloud.put(record.run(self.names, self.sweep))

    def trials(self, record: SweepRecord, since: Rev | None = None) -> dict[int, TrialRecord]:
        """All trials by number; those that were written after `since`, where the record tells which.

        What a list does not show, or shows as it was, is read one by one.
        """
        if since is not None and record.tells_since(since):
            changed: dict[int, TrialRecord] = {}
            self._points(changed, [number for number, rev in record.recent.items() if rev > since])
            return dict(sorted(changed.items()))
        listed = newest(self._listed())
        last = max([record.sweep["last_trial"], *listed])
        outdated = {number for number, rev in record.recent.items() if number in listed and listed[number].rev < rev}
        active = {number for number, found in listed.items() if not found.trial.status.terminal}
        self._points(listed, outdated | active | (set(range(1, last + 1)) - listed.keys()))
        while self._points(listed, range(last + 1, last + 1 + PROBE)) == PROBE:
            last += PROBE
        return dict(sorted(listed.items()))

    def listed_revs(self) -> dict[int, Rev]:
        """When each trial that a list shows was written."""
        return {number: found.rev for number, found in newest(self._listed()).items()}

    def _listed(self) -> Iterable[TrialRecord]:
        for run in self._cloud.list(self.sweep, TRIAL_JOB):
            if self.names.owns(run.name) and (found := TrialRecord.read(run)) is not None:
                yield found

    def _points(self, known: dict[int, TrialRecord], numbers: Iterable[int]) -> int:
        runs = self.pool.map(self._cloud.get, [self.names.trial(number) for number in numbers])
        found = [record for run in runs if run is not None and (record := TrialRecord.read(run)) is not None]
        known.update(newest([*known.values(), *found]))
        return len(found)

    def _root(self) -> CloudRun:
        return CloudRun(Names.root(self.sweep, self.generation), self.sweep, SWEEP_JOB, self.sweep, "running", TAGS)

    # -- who runs it

    def lease(self, known: int) -> CloudLease:
        """The last lease, from the number `known` on; number 0 where there never was one."""
        found = CloudLease(known)  # where that run was deleted: a lease that nobody signs
        epoch = max(known, 1)
        while (run := self._cloud.get(self.names.lease(epoch))) is not None:
            text = (run.summary or {}).get(LEASE)
            found = CloudLease(epoch, **json.loads(text)) if isinstance(text, str) else CloudLease(epoch)
            epoch += 1
        return found

    def claim(self, lease: CloudLease) -> bool:
        """Make the lease of that number, unsigned. False, and nothing changed, where another machine may have it."""
        run = CloudRun(self.names.lease(lease.epoch), self.sweep, LEASE_JOB, state="running", tags=TAGS)
        return self._cloud.put(run)

    def sign(self, lease: CloudLease) -> None:
        """Write the lease that is held, with its heartbeat."""
        held = {name: value for name, value in asdict(lease).items() if name != "epoch"}
        state = "finished" if lease.released else "running"
        name = self.names.lease(lease.epoch)
        summary = {LEASE: json.dumps(held), "beat": lease.beat}
        self._cloud.put(CloudRun(name, self.sweep, LEASE_JOB, str(lease), state, TAGS, None, summary))

    def succeeded(self, epoch: int) -> bool:
        """Whether somebody has taken the lease after this one."""
        return self._cloud.get(self.names.lease(epoch + 1)) is not None


class Silence:
    """For how long a lease was seen not to move, on this machine's own clock."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._seen: tuple[int, int] | None = None
        self._since = 0.0

    def of(self, lease: CloudLease) -> float:
        """Seconds since `lease` was first seen as it is."""
        now = self._monotonic()
        if self._seen != (lease.epoch, lease.beat):
            self._seen, self._since = (lease.epoch, lease.beat), now
        return now - self._since

    def forget(self) -> None:
        """W&B was away: what was not seen says nothing."""
        self._seen = None


def absorbed_config(config: Mapping[str, Any], here: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration from W&B, with what never leaves a machine as it is here."""
    return {**config, "env": here.get("env", {})}
