"""What the processes of jobs use of this machine. Slow: for threads only."""

from __future__ import annotations

import functools
import shutil
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from sweeptui.dispatchers.local.processes import alive, job_processes
from sweeptui.survey import pid_record

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from sweeptui.core.trial import Job
    from sweeptui.dispatchers.local.files import PidRecord

NVIDIA_SMI_S = 5.0
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Usage:
    """Of all processes of one job."""

    processes: int
    threads: int
    memory: int
    """Resident bytes; what several processes share counts for each."""
    cores: float | None
    """CPU seconds per second since the last look; None at the first."""
    gpu_memory: int | None
    """Bytes; None where no GPU was asked, or none told."""
    pid: int
    """Of the job itself."""


@dataclass(frozen=True, slots=True)
class Gpu:
    index: str
    name: str
    busy: float | None
    """0 to 1."""
    used: int | None
    total: int | None
    """Bytes."""


@dataclass(slots=True)
class _Burnt:
    """CPU seconds of one process, as of the last look."""

    at: float
    seconds: float


class Sampler:
    """Looks at jobs again and again, from one thread at a time."""

    def __init__(self, folder: Path) -> None:
        """`folder`: the sweep's."""
        self._folder = folder
        self._burnt: dict[tuple[int, str], _Burnt] = {}

    def look(self, jobs: Iterable[Job]) -> dict[int, Usage]:
        """What each of the jobs uses, by its id. Those without a process on this machine are left out."""
        held = gpu_memory()
        found: dict[int, Usage] = {}
        seen: dict[tuple[int, str], _Burnt] = {}
        for job in jobs:
            record = pid_record(self._folder, job)
            usage = None if record is None else self._usage(record, held, seen)
            if usage is not None:
                found[job.id] = usage
        self._burnt = seen
        return found

    def _usage(
        self, record: PidRecord, held: dict[int, int] | None, seen: dict[tuple[int, str], _Burnt]
    ) -> Usage | None:
        if alive(record.keeper_pid, record.keeper_start):  # whatever the job starts stays below its keeper
            processes = job_processes(record.keeper_pid, 0, "", None)
        else:
            processes = job_processes(None, record.job_pid, record.job_start, record.key)
        count = threads = memory = 0
        cores, known = 0.0, False
        for process in processes:
            try:
                each = psutil.Process(process.pid)
                with each.oneshot():
                    times, resident, running = each.cpu_times(), each.memory_info().rss, each.num_threads()
            except psutil.Error:
                continue
            if not alive(process.pid, process.start):  # its number may be another's by now
                continue
            count, threads, memory = count + 1, threads + running, memory + resident
            now = _Burnt(time.monotonic(), times.user + times.system)
            name = (process.pid, process.start)
            seen[name] = now
            before = self._burnt.get(name)
            if before is not None and now.at > before.at:
                known = True
                cores += max(0.0, now.seconds - before.seconds) / (now.at - before.at)
        if not count:
            return None
        on_gpu = None if held is None else sum(held.get(process.pid, 0) for process in processes)
        return Usage(count, threads, memory, cores if known else None, on_gpu, record.job_pid)


def gpu_memory() -> dict[int, int] | None:
    """Bytes of GPU memory by process; None where that cannot be known."""
    rows = _nvidia_smi("--query-compute-apps=pid,used_gpu_memory")
    if rows is None:
        return None
    held: dict[int, int] = {}
    for row in rows:
        pid, used = row[0], _whole(row[-1])
        if pid.isdecimal() and used is not None:
            held[int(pid)] = held.get(int(pid), 0) + used * MIB
    return held


def gpus() -> list[Gpu]:
    """The GPUs of this machine, [] where there are none or they do not tell."""
    found = []
    for row in _nvidia_smi("--query-gpu=index,name,utilization.gpu,memory.used,memory.total") or ():
        if len(row) == 5:
            busy, used, total = (_whole(cell) for cell in row[2:])
            found.append(
                Gpu(
                    row[0],
                    row[1],
                    None if busy is None else busy / 100,
                    None if used is None else used * MIB,
                    None if total is None else total * MIB,
                )
            )
    return found


def _nvidia_smi(query: str) -> list[list[str]] | None:
    program = _program()
    if program is None:
        return None
    try:
        said = subprocess.run(
            [program, query, "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            check=True,
            timeout=NVIDIA_SMI_S,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return [[cell.strip() for cell in line.split(",")] for line in said.splitlines() if line.strip()]


@functools.cache
def _program() -> str | None:
    return shutil.which("nvidia-smi")


def _whole(cell: str) -> int | None:
    return int(cell) if cell.isdecimal() else None
