"""Processes as Linux shows them under /proc."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")


class Process(NamedTuple):
    """One process at one moment. `pid` and `start` together name it for as long as the machine is up."""

    pid: int
    ppid: int
    session: int
    state: str
    """The kernel's letter: T is stopped, Z is dead and not yet waited for."""
    start: str


def look(pid: int) -> Process | None:
    """The process with this pid, None where there is none."""
    # Not with pathlib: a keeper, whose memory is copied as it is touched, pays for every line of Python it runs.
    try:
        handle = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
        try:
            raw = os.read(handle, 4096)
        finally:
            os.close(handle)
    except OSError:
        return None
    # The command name stands in parentheses and may itself hold any character.
    fields = raw[raw.rindex(b")") + 2 :].decode().split()
    return Process(pid=pid, ppid=int(fields[1]), session=int(fields[3]), state=fields[0], start=fields[19])


def older(one: Process, other: Process) -> bool:
    """Whether `one` was started before `other`."""
    return int(one.start) < int(other.start)


def snapshot() -> dict[int, Process]:
    """Every process that can be seen, by pid."""
    seen = (look(int(entry.name)) for entry in PROC.iterdir() if entry.name.isdecimal())
    return {process.pid: process for process in seen if process is not None}


def tagged(entry: bytes, among: dict[int, Process]) -> set[int]:
    """Pids whose environment held `entry` (`NAME=value`) when they were started; unreadable ones are left out."""
    found = set()
    for pid in among:
        try:
            environment = (PROC / str(pid) / "environ").read_bytes()
        except OSError:
            continue
        if entry in environment.split(b"\0"):
            found.add(pid)
    return found


def boot_id() -> str:
    """Names this boot and this pid namespace: the world in which a pid and a start time name one process."""
    boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {(PROC / 'self/ns/pid').readlink()}"
