"""What can be shown of a large sweep at once: its newest trials and its totals, before the rest is read."""

from __future__ import annotations

import sys
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeptui.core.objectives import objectives_of
from sweeptui.core.stores.connection import connect, store_errors
from sweeptui.core.stores.lease import LeaseKeeper
from sweeptui.core.stores.migration import checked_version
from sweeptui.core.stores.rows import SELECT_JOBS, SELECT_TRIALS, job_from, load_sweep, trial_from
from sweeptui.core.trial import TrialStatus

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from sweeptui.core.state import SweepState
    from sweeptui.core.stores.base import Lease
    from sweeptui.core.trial import Trial

BUSY_TIMEOUT_S = 0.1
"""A glance does not wait for others."""
_BEST = (
    SELECT_TRIALS + " WHERE status IN ('completed', 'stopped') AND typeof(score) IN ('real', 'integer')"
    " AND abs(score) <= ? AND coalesce(json_extract(provenance, '$.method'), '') <> 'validation'"
    " ORDER BY {sign} score, cost IS NULL, cost, number LIMIT 2"
)


@dataclass(frozen=True, slots=True)
class Glance:
    state: SweepState
    """With the newest trials, and the counts of all."""
    older: int
    """How many trials it is without."""
    best: tuple[Trial, ...]
    """The best of all and the runner-up, as far as there are any."""
    spent: float
    """In the cost unit, by all trials."""
    lease: Lease | None


def glance(path: Path, newest: int, many: int) -> Glance:
    """Look at a sweep: at all of it, or where it has more than `many` trials at the newest ones.

    Raises what `SqliteStore.open` does for reading.
    """
    with store_errors(path), closing(connect(path, "ro", BUSY_TIMEOUT_S)) as db:
        checked_version(db, path, readonly=True)
        db.execute("BEGIN")
        (count,) = db.execute("SELECT count(*) FROM trials").fetchone()
        state = load_sweep(db)
        rows = db.execute(
            SELECT_TRIALS + " ORDER BY number DESC LIMIT ?", (newest if count > many else count,)
        ).fetchall()
        for row in reversed(rows):
            state.put_trial(trial_from(row))
        for row in db.execute(SELECT_JOBS + " WHERE state <> 'ended' ORDER BY id"):
            state.put_job(job_from(row))
        spent = 0.0
        for status, number, cost in db.execute("SELECT status, count(*), total(spent) FROM trials GROUP BY status"):
            state.counts[TrialStatus(status)] = number
            spent += cost
        lease = LeaseKeeper(time.monotonic).read(db)
        return Glance(state, count - len(rows), _best(db, state), spent, lease)


def _best(db: sqlite3.Connection, state: SweepState) -> tuple[Trial, ...]:
    sign = "" if objectives_of(state.config)[0].goal == "minimize" else "-"
    return tuple(trial_from(row) for row in db.execute(_BEST.format(sign=sign), (sys.float_info.max,)))
