"""Uploads what scripts have logged while W&B was away: the client's own offline folders, with the client's own command.

A folder that was uploaded has a marker of the client's, so it is done once, and whatever ends this in between, the next
call goes on. Each folder is a call of its own, the oldest first: of two that belong to one run, the newer one counts.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sweeptui.core.files import Files
from sweeptui.core.trial import Job, JobState, Stage, trial_id
from sweeptui.core.wandb_log import LogFile, log_of, run_folders

if TYPE_CHECKING:
    from sweeptui.core.stores.sqlite import SqliteStore

MARKER = ".synced"
"""Behind the name of a log that the client has uploaded."""
TIMEOUT_S = 600.0
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True)
class Synced:
    """What became of one folder."""

    trial: str
    stage: Stage
    attempt: int
    folder: Path
    state: str
    """"uploaded", "was uploaded before", "still running", "empty" or "failed"."""
    said: str = ""
    """The client's last words, where it failed."""


def offline_runs(folder: Path, store: SqliteStore) -> Iterator[tuple[Job, Path]]:
    """The offline runs of a sweep's jobs, in the order of trials and attempts."""
    files = Files(folder)
    for number in sorted(store.state.trials):
        for job in store.jobs(number):
            for run in run_folders(files.wandb(job)):
                if run.name.startswith("offline-"):
                    yield job, run


def sync(folder: Path, store: SqliteStore) -> Iterator[Synced]:
    """Upload the offline runs of a sweep, one after the other; tells of each as it is done."""
    for job, run in offline_runs(folder, store):
        state, said = _sync_one(job, run)
        yield Synced(trial_id(job.trial), job.stage, job.attempt, run, state, said)


def _sync_one(job: Job, run: Path) -> tuple[str, str]:
    log = log_of(run)
    if log is None:
        return "empty", ""
    marker = log.with_name(log.name + MARKER)
    if marker.exists():
        return "was uploaded before", ""
    if job.state is not JobState.ENDED and not _is_over(log):
        return "still running", ""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "wandb", "sync", str(run)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "failed", f"not done after {TIMEOUT_S:.0f} s"
    if marker.exists():
        return "uploaded", ""
    lines = [_COLOURS.sub("", line).strip() for line in (done.stdout + done.stderr).splitlines()]
    return "failed", next((line for line in reversed(lines) if line), f"exit code {done.returncode}")


def _is_over(log: Path) -> bool:
    """Whether the script has finished the run, and may go on with others."""
    file = LogFile(log)
    while True:
        if any(record.WhichOneof("record_type") == "exit" for record in file.read()):
            return True
        if not file.more:
            return False
