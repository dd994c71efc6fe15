"""When each slot was taken, and by which trial: a few columns of all jobs, however long the sweep."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeptui.core.stores.connection import connect, store_errors
from sweeptui.core.stores.migration import checked_version
from sweeptui.core.trial import JobOutcome

if TYPE_CHECKING:
    from pathlib import Path

BUSY_TIMEOUT_S = 0.1
"""Who asks will ask again."""
_SELECT = (
    "SELECT id, trial, slot, started_at, ended_at, outcome,"
    " json_extract(exit, '$.rusage.utime_s') + json_extract(exit, '$.rusage.stime_s'), stage"
    " FROM jobs WHERE started_at IS NOT NULL AND id > ? ORDER BY id"
)


@dataclass(frozen=True, slots=True)
class Stint:
    """One job in its slot. Times in epoch seconds."""

    job: int
    trial: int
    slot: int | None
    """Its number; None where the job ran elsewhere."""
    began: float
    ended: float | None
    """None while it runs."""
    outcome: JobOutcome | None
    cpu_s: float | None
    """CPU seconds of all its processes; None while it runs, and where nobody counted."""
    stage: str


def stints(path: Path, after: int = 0) -> list[Stint]:
    """Those of the jobs with a number above `after`, in the order of the numbers.

    Raises what `SqliteStore.open` does for reading.
    """
    with store_errors(path), closing(connect(path, "ro", BUSY_TIMEOUT_S)) as db:
        checked_version(db, path, readonly=True)
        return [_stint(*row) for row in db.execute(_SELECT, (after,))]


def _stint(
    job: int,
    trial: int,
    slot: str,
    began: float,
    ended: float | None,
    outcome: str | None,
    cpu_s: float | None,
    stage: str,
) -> Stint:
    index = json.loads(slot).get("index")
    return Stint(
        job,
        trial,
        index if isinstance(index, int) else None,
        began,
        ended,
        None if outcome is None else JobOutcome(outcome),
        cpu_s,
        stage,
    )
