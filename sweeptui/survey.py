"""What is under a root: its sweeps, who runs them, and which of their processes live, as seen from outside."""

from __future__ import annotations

import signal
import socket
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from sweeptui.core.analysis.summary import truth
from sweeptui.core.errors import UserError
from sweeptui.core.files import Files, token
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.dispatchers.local.files import JobFiles, PidRecord, read_json
from sweeptui.dispatchers.local.processes import KEY_VARIABLE, alive, boot_id, job_processes, send

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sweeptui.core.state import SweepState
    from sweeptui.core.stores.base import Lease
    from sweeptui.core.trial import Job

DATABASE = "sweep.db"


def open_sweep(folder: Path, *, readonly: bool = True) -> closing[SqliteStore]:
    """Open the store of the sweep in `folder`, to be used in a `with` statement. Raises `StoreError`."""
    return closing(SqliteStore.open(folder / DATABASE, readonly=readonly))


@dataclass(frozen=True, slots=True)
class Sighting:
    """One sweep as it was found."""

    name: str
    folder: Path
    label: str
    """Its state in one word, as it really is: see `truth`. "unreadable" where the database cannot be read."""
    state: SweepState | None
    holder: Lease | None
    """Who runs it now."""
    problem: str = ""
    """Why it cannot be read."""


def sight(folder: Path, store: SqliteStore) -> Sighting:
    """Look at the sweep in `folder`, whose store is open."""
    lease = store.lease()
    holder = lease if lease is not None and lease.alive else None
    state = store.state
    jobs_alive = holder is None and any_alive(folder, state.running_jobs.values())
    label = truth(state, held=holder is not None, jobs_alive=jobs_alive)
    return Sighting(state.name, folder, label, state, holder)


def sightings(sweeps_dir: Path) -> list[Sighting]:
    """Look at every sweep in `sweeps_dir`, by name. One that cannot be read is listed with the reason."""
    found = []
    folders = sorted(sweeps_dir.iterdir()) if sweeps_dir.is_dir() else []
    for folder in folders:
        if not (folder / DATABASE).exists():
            continue
        try:
            with open_sweep(folder) as store:
                found.append(sight(folder, store))
        except UserError as error:
            found.append(Sighting(folder.name, folder, "unreadable", None, None, str(error)))
    return found


def any_alive(folder: Path, jobs: Iterable[Job]) -> bool:
    """Whether one of these unfinished jobs runs; of one on another machine that is taken for granted."""
    jobs = list(jobs)
    return any("on" in job.slot for job in jobs) or any(True for _ in living_jobs(folder, jobs))


def living_jobs(folder: Path, jobs: Iterable[Job]) -> Iterable[PidRecord]:
    """Yield the records of those jobs that run on this machine, whoever started them."""
    for job in jobs:
        record = pid_record(folder, job)
        if record is not None and (
            alive(record.keeper_pid, record.keeper_start) or alive(record.job_pid, record.job_start)
        ):
            yield record


def pid_record(folder: Path, job: Job) -> PidRecord | None:
    """Return who runs a job, None where nobody on this machine since it was started does."""
    data = read_json(JobFiles.of(Files(folder).trial_dir(job.trial), token(job)).pid)
    record = None if data is None else PidRecord.from_json(data)
    return record if record is not None and (record.host, record.boot) == (socket.gethostname(), boot_id()) else None


def kill_now(folder: Path, jobs: Iterable[Job]) -> None:
    """KILL the processes of these jobs without grace. Their keepers live on and write down the end."""
    for record in living_jobs(folder, jobs):
        for process in job_processes(None, record.job_pid, record.job_start, record.key):
            send(process.pid, process.start, signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Stray:
    """A process of a job that is over."""

    pid: int
    token: str
    folder: Path
    """Of its sweep."""


def strays() -> list[Stray]:
    """Find the processes on this machine that a job started and that outlived it."""
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except (psutil.Error, OSError):
            continue
        if KEY_VARIABLE not in environment or "SWEEPTUI_TRIAL_DIR" not in environment:
            continue
        trial_dir = Path(environment["SWEEPTUI_TRIAL_DIR"])
        stem = Path(environment.get("SWEEPTUI_REPORT", "")).name.removesuffix(".reports.jsonl")
        name = f"{trial_dir.name}.{stem}"
        if not trial_dir.exists() or JobFiles.of(trial_dir, name).exit.exists():
            found.append(Stray(process.pid, name, trial_dir.parent.parent))
    return found
