"""Processes as `ps` shows them, for systems without /proc (macOS)."""

from __future__ import annotations

import os
import subprocess

from sweeptui.dispatchers.local.procfs import Process


def look(pid: int) -> Process | None:
    """The process with this pid, None where there is none."""
    return next(iter(_parse(_run("ps", "-o", "pid=,ppid=,state=,lstart=", "-p", str(pid)))), None)


def older(one: Process, other: Process) -> bool:  # noqa: ARG001
    """Whether `one` was started before `other`; False, as far as the seconds of `ps` can tell."""
    return False


def snapshot() -> dict[int, Process]:
    """Every process that can be seen, by pid."""
    return {process.pid: process for process in _parse(_run("ps", "-axo", "pid=,ppid=,state=,lstart="))}


def tagged(entry: bytes, among: dict[int, Process]) -> set[int]:
    """Pids whose environment held `entry` (`NAME=value`) when they were started; unreadable ones are left out."""
    text, found = entry.decode(), set()
    for line in _run("ps", "-axwwE", "-o", "pid=,command=").splitlines():
        pid, _, rest = line.strip().partition(" ")
        if int(pid) in among and text in rest.split():
            found.add(int(pid))
    return found


def boot_id() -> str:
    """Names this boot: the world in which a pid and a start time name one process."""
    return _run("sysctl", "-n", "kern.bootsessionuuid").strip()


def _parse(table: str) -> list[Process]:
    processes = []
    for line in table.splitlines():
        pid, ppid, state, start = line.split(None, 3)
        try:
            # The column `sess` of macOS' ps holds a kernel address, not a pid.
            session = os.getsid(int(pid))
        except OSError:
            continue
        processes.append(Process(int(pid), int(ppid), session, state[0], " ".join(start.split())))
    return processes


def _run(*argv: str) -> str:
    environment = os.environ | {"LC_ALL": "C", "TZ": "UTC"}
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=30).stdout
