"""A new database from what is left of a damaged one.

What one damaged page takes from the tables is mostly still in the journal, and the other way round: both are read row
by row, and brought to say the same again.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeptui.core.state import Change, ChangeKind, Command, SweepState, attempt_counted
from sweeptui.core.stores import rows, schema
from sweeptui.core.stores.base import (
    LeaseHeldError,
    StoreCorruptError,
    StoreError,
    StoreMissingError,
)
from sweeptui.core.stores.connection import connect, store_errors
from sweeptui.core.stores.salvage import Salvage
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import Job, JobOutcome, JobState, Report, Stage, Trial

if TYPE_CHECKING:
    from collections.abc import Iterable

_UNANSWERED = "the database was damaged before anybody answered: ask again"


@dataclass(frozen=True, slots=True)
class Recovery:
    """What `recover` did."""

    path: Path
    """The database, working again."""
    aside: Path
    """Where the damaged one is now."""
    trials: int
    jobs: int
    reports: int
    changes: int
    """Journal rows."""
    from_journal: int
    """Trials that only the journal still had."""
    lost_trials: tuple[int, ...]
    """Numbers that were given out and of which nothing is left."""


def recover(path: Path) -> Recovery:
    """Put a database with all that can be read in the place of a damaged one, which is kept beside it.

    Numbers of lost trials are not given out again; commands that nobody had answered are refused. Raises `StoreError`
    where there is nothing to recover or nothing can be, `LeaseHeldError` where a living process runs the sweep.
    """
    if not path.exists():
        raise StoreMissingError(path, f"there is no sweep at {path}")
    target = path.with_suffix(".recovered.db")
    with store_errors(path), tempfile.TemporaryDirectory(prefix="recover-", dir=path.parent) as folder:
        copy = Path(folder, path.name)
        for suffix in ("", "-wal"):
            if (source := _beside(path, suffix)).exists():
                shutil.copyfile(source, _beside(copy, suffix))
        if _healthy(copy):
            raise StoreError(path, f"{path} is not damaged: there is nothing to recover")
        salvage = Salvage(copy)
        if salvage.lease is not None and salvage.lease.alive:
            raise LeaseHeldError(path, salvage.lease)
        merged = _Merged(salvage, _numbers_of_folders(path.parent / "trials"))
        if not merged.sweep.name:
            raise StoreError(path, f"{path} cannot be recovered: nothing of the sweep's configuration can be read")
        target.unlink(missing_ok=True)
        merged.write(target)
    number = 1
    while (aside := _beside(path, f".corrupt-{number}")).exists():
        number += 1
    for suffix in ("-wal", "-shm", ""):
        if (source := _beside(path, suffix)).exists():
            source.rename(_beside(aside, suffix))
    target.rename(path)
    return Recovery(
        path,
        aside,
        len(merged.trials),
        len(merged.jobs),
        len(merged.reports),
        len(merged.changes),
        merged.from_journal,
        merged.lost_trials,
    )


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _healthy(path: Path) -> bool:
    try:
        SqliteStore.open(path, readonly=True, safe_mode=False).close()
        db = connect(path, "ro", 10.0)
        try:
            return bool(db.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
        finally:
            db.close()
    except (StoreCorruptError, sqlite3.DatabaseError):
        return False


def _numbers_of_folders(trials: Path) -> set[int]:
    """The trials whose folders exist: their numbers were given out, whatever the database still knows."""
    names = [folder.name.removeprefix("trial_") for folder in trials.glob("trial_*")]
    return {int(name) for name in names if name.isdecimal()}


class _Merged:
    """Tables and journal made consistent: where both have a trial or a job, the tables are right."""

    def __init__(self, salvage: Salvage, numbers: set[int]) -> None:
        replayed = SweepState()
        self.changes = [change for change in salvage.changes if _applies(replayed, change)]
        self.sweep = salvage.sweep or replayed
        in_tables = {trial.number: trial for trial in salvage.trials}
        self.trials: dict[int, Trial] = dict(sorted({**replayed.trials, **in_tables}.items()))
        self.from_journal = len(self.trials) - len(in_tables)
        self.jobs = self._consistent_jobs({**replayed.jobs, **{job.id: job for job in salvage.jobs}})
        self.reports = [report for report in salvage.reports if report.job in self.jobs]
        self.commands = [
            replace(command, state="refused", result=_UNANSWERED) if command.state == "pending" else command
            for command in salvage.commands
        ]
        given_out = self.trials.keys() | numbers | {job.trial for job in salvage.jobs}
        given_out |= {change.trial for change in salvage.changes if change.trial is not None}
        self.lost_trials = tuple(sorted(given_out - self.trials.keys()))
        self.sweep.last_trial = max([self.sweep.last_trial, *given_out])
        self.sweep.last_job = max([self.sweep.last_job, *self.jobs, *(report.job for report in salvage.reports)])
        self._restore(replayed)

    def _consistent_jobs(self, found: dict[int, Job]) -> dict[int, Job]:
        """Only jobs of known trials, no attempt twice, unfinished only where it is the trial's last."""
        jobs: dict[int, Job] = {}
        attempts: set[tuple[int, Stage, int]] = set()
        last = {job.trial: id_ for id_, job in sorted(found.items())}
        for id_, job in sorted(found.items()):
            attempt = (job.trial, job.stage, job.attempt)
            if job.trial not in self.trials or attempt in attempts:
                continue
            attempts.add(attempt)
            ended = job.state is JobState.ENDED or id_ == last[job.trial]
            jobs[id_] = job if ended else replace(job, state=JobState.ENDED, outcome=JobOutcome.LOST)
            trial = attempt_counted(self.trials[job.trial], job)
            known = self.trials[job.trial]
            if (trial.attempt, trial.eval_attempt) > (known.attempt, known.eval_attempt):
                self.trials[job.trial] = trial  # or an attempt its own row forgot would be begun again
        return jobs

    def _restore(self, replayed: SweepState) -> None:
        """Add to the journal what makes it say the same as the tables again."""
        wanted = {name: getattr(self.sweep, name) for name in rows.SWEEP_COLUMNS}
        changed = {name: value for name, value in wanted.items() if getattr(replayed, name) != value}
        if changed:
            self._append(ChangeKind.SWEEP_CHANGED, None, changed)
        for number, trial in self.trials.items():
            if replayed.trials.get(number) != trial:
                self._append(ChangeKind.TRIAL_RECOVERED, number, _without(asdict(trial), "number"))
        for id_, job in self.jobs.items():
            if replayed.jobs.get(id_) != job:
                self._append(ChangeKind.JOB_RECOVERED, job.trial, _without(asdict(job), "trial"))
        for id_ in replayed.commands:
            answer = {"id": id_, "state": "refused", "result": _UNANSWERED}
            self._append(ChangeKind.COMMAND_FINISHED, None, answer)
        note = {"lost_trials": self.lost_trials, "from_journal": self.from_journal}
        self._append("store.recovered", None, note)

    def _append(self, kind: str, trial: int | None, data: dict[str, Any]) -> None:
        seq = self.changes[-1].seq + 1 if self.changes else 1
        self.changes.append(Change(seq, time.time(), str(kind), trial, data, "recover"))

    def write(self, path: Path) -> None:
        """Make a database of it."""
        db = sqlite3.connect(path, isolation_level=None)
        try:
            db.execute("BEGIN")
            schema.create(db)
            sweep = [rows.column(getattr(self.sweep, name)) for name in rows.SWEEP_COLUMNS]
            db.execute(rows.insert_sql("sweep", rows.SWEEP_COLUMNS), sweep)
            _insert(db, "trials", self.trials.values())
            _insert(db, "jobs", self.jobs.values())
            _insert(db, "commands", self.commands)
            _insert(db, "reports", self.reports)
            _insert(db, "journal", self.changes)
            db.execute("COMMIT")
        finally:
            db.close()


def _applies(state: SweepState, change: Change) -> bool:
    """Apply a change; false, and no change, where what it builds upon was lost."""
    try:
        state.apply(change)
    except (KeyError, TypeError, ValueError, AssertionError):
        return False
    return True


def _without(values: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != name}


def _insert(db: sqlite3.Connection, table: str, values: Iterable[Trial | Job | Report | Command | Change]) -> None:
    for value in values:
        db.execute(rows.insert_sql(table, tuple(value.__slots__)), rows.row_of(value))
