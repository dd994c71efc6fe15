"""Who may run a sweep: one process at a time, known by a token that every write is checked against.

A holder that died on this machine is known by its process; any other by a heartbeat counter that stands still. The
counter is timed by the watcher's own monotonic clock, so that neither a clock jump nor a clock that is wrong on
another machine gives a lease away. A holder that was only slow finds its token gone and cannot write any more
(fencing, as in Gray and Cheriton, "Leases", SOSP 1989, and Kleppmann, "How to do distributed locking", 2016).
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from sweeptui.core.stores.base import Lease

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Process:
    """A process that no other, before or after a restart or in another container, is mistaken for."""

    host: str
    boot: str
    """Of the machine, and the namespace that the pid counts in."""
    pid: int
    started: str

    @staticmethod
    def current() -> Process:
        pid = os.getpid()
        return Process(socket.gethostname(), _boot(), pid, _started(pid) or "")

    def gone(self) -> bool:
        """Surely ended. False where that cannot be seen from here."""
        return (self.host, self.boot) == (socket.gethostname(), _boot()) and _started(self.pid) != self.started


def _boot() -> str:
    try:
        # Containers on one machine share its boot id and may share a host name, but their pids differ.
        return f"{_BOOT_ID.read_text().strip()} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""  # not Linux: the start time alone tells processes apart


def _started(pid: int) -> str | None:
    """When the process started, in a form to compare; None where it has ended."""
    try:
        if not _BOOT_ID.exists():
            return _started_elsewhere(pid)
        # Ticks since boot, unlike psutil's, which moves when the clock is set.
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if state in ("Z", "X") else fields[18]
    except OSError:
        return None


def _started_elsewhere(pid: int) -> str | None:
    """The same on what is not Linux."""
    import psutil  # noqa: PLC0415 - Linux does without it

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else str(process.create_time())
    except psutil.NoSuchProcess:
        return None


class LeaseKeeper:
    """One store's view of the lease, inside transactions that the store opens."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self.token: str | None = None
        """Of the lease this store took, kept when it is lost so that nothing is written after that."""
        self._seen: tuple[str, int] | None = None
        self._seen_at = 0.0

    def read(self, db: sqlite3.Connection, ttl_s: float = 0.0) -> Lease | None:
        """Look at the lease, and remember since when its counter stands still.

        It stays alive for at least `ttl_s` of that, and for what its holder promised if that is longer.
        """
        row = db.execute("SELECT token, host, boot, pid, started, label, since, ttl_s, counter FROM lease").fetchone()
        if row is None:
            self._seen = None
            return None
        token, host, boot, pid, started, label, since, promised_s, counter = row
        now = self._monotonic()
        if self._seen != (token, counter):
            self._seen, self._seen_at = (token, counter), now
        silent_s = now - self._seen_at
        mine = token == self.token
        alive = mine or (silent_s < max(promised_s, ttl_s) and not Process(host, boot, pid, started).gone())
        return Lease(token, host, pid, label, since, promised_s, counter, mine, alive, silent_s)

    def take(self, db: sqlite3.Connection, label: str, ttl_s: float, now: float) -> str:
        """Make the lease this process's, whoever had it; its token, which counts once the caller has committed."""
        token, process = uuid4().hex, Process.current()
        db.execute(
            "INSERT OR REPLACE INTO lease (id, token, host, boot, pid, started, label, since, ttl_s, counter) "
            "VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
            (token, process.host, process.boot, process.pid, process.started, label, now, ttl_s),
        )
        return token

    def holds(self, db: sqlite3.Connection) -> bool:
        """Whether the token is still the lease's."""
        return db.execute("SELECT 1 FROM lease WHERE token = ?", (self.token,)).fetchone() is not None

    def beat(self, db: sqlite3.Connection) -> bool:
        """Count one heartbeat; whether there was a lease of ours to count it on."""
        return db.execute("UPDATE lease SET counter = counter + 1 WHERE token = ?", (self.token,)).rowcount == 1

    def release(self, db: sqlite3.Connection) -> bool:
        """Give the lease up; whether it was ours."""
        return db.execute("DELETE FROM lease WHERE token = ?", (self.token,)).rowcount == 1
