"""Find the processes of a job, and signal exactly the one that was meant.

A pid alone names nobody, since it is reused: whoever is signalled here is checked by its start time first. And what is
found is found by proof only: `members` says what counts as one. A record that is damaged, or written before the job
had a pid, must never make strangers of the same session, or this process and those above it, look like a job.
Standard library only, for the keepers import it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import defaultdict
from typing import TYPE_CHECKING

if sys.platform == "linux":
    from sweeptui.dispatchers.local.procfs import Process, boot_id, look, older, snapshot, tagged
else:
    from sweeptui.dispatchers.local.procfs import Process
    from sweeptui.dispatchers.local.ps import boot_id, look, older, snapshot, tagged

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = [
    "KEY_VARIABLE",
    "Process",
    "alive",
    "boot_id",
    "job_processes",
    "kill_all",
    "look",
    "members",
    "open_pidfd",
    "send",
    "signal_pidfd",
]

KEY_VARIABLE = "SWEEPTUI_JOB_KEY"
"""Carries a random key, unique per launch: a token is unique within its sweep only."""
KEY_LENGTH = 16


def alive(pid: int, start: str) -> bool:
    """Whether exactly this process still runs (a zombie does not)."""
    process = look(pid)
    return process is not None and process.start == start and process.state not in "ZX"


def open_pidfd(pid: int, start: str) -> int | None:
    """A file descriptor that stands for exactly this process; None where it is gone or not to be signalled.

    Raises OSError (ENOSYS, EPERM) where the kernel or a sandbox has no pidfds.
    """
    if sys.platform != "linux":
        raise OSError("this system has no pidfd")
    if not _signallable(pid):
        return None
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    if not alive(pid, start):
        os.close(pidfd)
        return None
    return pidfd


def send(pid: int, start: str, signum: int) -> bool:
    """Signal exactly this process. False where it is gone or may not be signalled."""
    try:
        if (pidfd := open_pidfd(pid, start)) is None:
            return False
    except OSError:
        return _send_unheld(pid, start, signum)
    try:
        signal_pidfd(pidfd, signum)
    except OSError:
        return False
    finally:
        os.close(pidfd)
    return True


def signal_pidfd(pidfd: int, signum: int) -> None:
    """Signal the process that a descriptor stands for. Raises OSError where it is gone or may not be signalled."""
    if sys.platform == "linux":
        signal.pidfd_send_signal(pidfd, signum)


def _send_unheld(pid: int, start: str, signum: int) -> bool:
    """Without a pidfd a pid may be reused between the check and the signal: some microseconds, but not none."""
    try:
        if _signallable(pid) and alive(pid, start):
            os.kill(pid, signum)
            return True
    except OSError:
        pass
    return False


def _signallable(pid: int) -> bool:
    """0, -1 and other negatives mean whole groups, 1 is init, and nothing here ever signals itself."""
    return pid > 1 and pid != os.getpid()


def job_processes(root: int | None, leader: int, leader_start: str, key: str | None) -> list[Process]:
    """The living processes of a job, parents before their children; see `members`.

    Without a `key` they are the descendants of `root` only.
    """
    everyone = snapshot()
    if key is None:
        return members(everyone, os.getpid(), root=root or 0)
    # A key that is cut short, or none at all, could be somebody else's.
    ours = tagged(f"{KEY_VARIABLE}={key}".encode(), everyone) if len(key) >= KEY_LENGTH else ()
    return members(everyone, os.getpid(), root=root or 0, leader=leader, leader_start=leader_start, ours=ours)


def members(
    everyone: Mapping[int, Process],
    me: int,
    *,
    root: int = 0,
    leader: int = 0,
    leader_start: str = "",
    ours: Collection[int] = (),
) -> list[Process]:
    """Which of `everyone` belong to a job, parents before their children; zombies do not.

    They are the descendants of `root` (a keeper that collects orphans), `ours` (they carry the job's key),
    those in the session that `leader` opened, and all descendants of these. Never among them: init, what
    belongs to no session of this pid namespace, the process `me`, and those that it descends from.
    """
    spared = _lineage(everyone, me)
    able = [p for p in everyone.values() if p.pid > 1 and p.session > 1 and p.pid not in spared]
    children: dict[int, list[Process]] = defaultdict(list)
    for process in able:
        children[process.ppid].append(process)
    session = _proven_session(everyone, leader, leader_start, ours)
    if me in everyone and everyone[me].session == session:
        session = None
    queue = [p for p in able if p.pid in ours or p.session == session or p.ppid == root > 1]
    found: dict[int, Process] = {}
    for process in queue:
        if process.pid not in found:
            found[process.pid] = process
            # Nobody is older than the parent: such a pid was reused while the others were still being read.
            queue += [child for child in children[process.pid] if not older(child, process)]
    return [process for process in found.values() if process.state not in "ZX"]


def _lineage(everyone: Mapping[int, Process], pid: int) -> set[int]:
    """A process and all it descends from."""
    seen: set[int] = set()
    while pid not in seen and pid in everyone:
        seen.add(pid)
        pid = everyone[pid].ppid
    return seen


def _proven_session(everyone: Mapping[int, Process], leader: int, start: str, ours: Collection[int]) -> int | None:
    """The number of the session that `leader` opened, None where it may by now be anybody's.

    It stays taken while the session has members, so it is the job's if the leader lives or a member has the job's key.
    """
    if leader <= 1:
        return None
    if (head := everyone.get(leader)) is not None:
        return leader if head.start == start else None
    return leader if any(everyone[pid].session == leader for pid in ours if pid in everyone) else None


def kill_all(leader: int, leader_start: str, key: str, patience_s: float = 5.0) -> list[int]:
    """KILL every process of a job whose keeper is gone; returns the pids that would not die."""
    deadline = time.monotonic() + patience_s
    while processes := job_processes(None, leader, leader_start, key):
        for process in processes:
            send(process.pid, process.start, signal.SIGKILL)
        if time.monotonic() > deadline:
            return [process.pid for process in processes]
        time.sleep(0.005)
    return []
