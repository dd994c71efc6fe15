"""One write to a sweep: the tables and the journal together, or neither."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from sweeptui.core.state import (
    Change,
    ChangeKind,
    CommandState,
    SweepState,
    SweepStatus,
    attempt_counted,
    job_changed,
    job_created,
    trial_changed,
    trial_created,
)
from sweeptui.core.stores.rows import (
    INSERT_CHANGE,
    INSERT_REPORT,
    SELECT_JOBS,
    column,
    dumps,
    insert_sql,
    job_from,
    row_of,
    update_sql,
)
from sweeptui.core.trial import (
    Job,
    JobState,
    Params,
    Report,
    Stage,
    Trial,
    TrialStatus,
    check_transition,
    trial_id,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping

_TRIAL_FIELDS = {field.name for field in fields(Trial)} - {"number", "created_at", "attempt", "eval_attempt"}
_JOB_FIELDS = {field.name for field in fields(Job)} - {"id", "trial", "stage", "attempt", "created_at"}
_SWEEP_FIELDS = {"status", "reason", "config", "run_s", "started_at", "ended_at"}
_KINDS = frozenset(ChangeKind)


class Transaction:
    """What may be written, made by `SqliteStore.transaction`.

    It reads its own changes back; the store's `state` has them once it is committed.
    """

    def __init__(self, db: sqlite3.Connection, state: SweepState, now: float, actor: str) -> None:
        self.now = now
        """Epoch seconds: the time of everything in this transaction."""
        self.changes: list[Change] = []
        self._db = db
        self._state = state
        self._actor = actor
        self._texts: list[str] = []
        self._trials: dict[int, Trial] = {}
        self._jobs: dict[int, Job] = {}
        self._running: dict[int, Job | None] = {}
        self._last_trial = state.last_trial
        self._last_job = state.last_job
        self._sweep: dict[str, Any] = {}

    @property
    def sweep_status(self) -> SweepStatus:
        """The sweep's status as this transaction sees it."""
        return SweepStatus(self._sweep_field("status"))

    @property
    def next_trial(self) -> int:
        """The number that the next trial gets."""
        return self._last_trial + 1

    @property
    def trial_count(self) -> int:
        """How many trials there are, those of this transaction too."""
        return len(self._state.trials) + self._last_trial - self._state.last_trial

    def trial(self, number: int) -> Trial:
        """The trial as this transaction sees it. KeyError where there is none."""
        return self._trials.get(number) or self._state.trials[number]

    def job(self, id: int) -> Job:  # noqa: A002
        """The job as this transaction sees it. KeyError where there is none."""
        job = self._jobs.get(id) or self._state.jobs.get(id)
        if job is None:
            row = self._db.execute(SELECT_JOBS + " WHERE id = ?", (id,)).fetchone()
            if row is None:
                raise KeyError(id)
            job = job_from(row)
        return job

    def create_trial(self, params: Params, seed: int, provenance: Mapping[str, Any] | None = None) -> Trial:
        """A new pending trial under the next number."""
        number = self._last_trial + 1
        change = self.record(
            ChangeKind.TRIAL_CREATED,
            {"params": dict(params), "seed": seed, "provenance": dict(provenance or {})},
            trial=number,
        )
        trial = trial_created(change)
        self._insert("trials", {"number": number, "created_at": self.now, **change.data})
        self._last_trial = number
        self._trials[number] = trial
        return trial

    def set_trial(self, number: int, **changed: Any) -> Trial:
        """Set fields of `Trial`; those that stay the same are not written.

        Raises `IllegalTransitionError` where the new status cannot follow the old one. Numbers and attempts are not
        to be set: they are given out here.
        """
        old = self.trial(number)
        _refuse_others(changed, _TRIAL_FIELDS)
        if "status" in changed:
            check_transition(old.id, old.status, TrialStatus(changed["status"]))
        return self._change_trial(old, changed)

    def _change_trial(self, old: Trial, changed: Mapping[str, Any]) -> Trial:
        data = {name: value for name, value in changed.items() if getattr(old, name) != value}
        if not data:
            return old
        change = self.record(ChangeKind.TRIAL_CHANGED, data, trial=old.number)
        trial = trial_changed(old, change.data)
        self._update("trials", "number", old.number, change.data)
        self._trials[old.number] = trial
        return trial

    def restore_trial(self, before: Trial) -> Trial:
        """Make a queued trial what it was before it was queued: the reverse of a legal transition."""
        now = self.trial(before.number)
        check_transition(now.id, before.status, now.paused_from or now.status)
        return self._change_trial(now, {name: getattr(before, name) for name in _TRIAL_FIELDS})

    def create_job(self, trial: int, stage: Stage, argv: Iterable[str]) -> Job:
        """The next attempt of a stage, as an intent: write it before the dispatcher is called.

        ValueError where the trial has an unfinished job: a trial never runs twice at once.
        """
        owner = self.trial(trial)
        running = self._running.get(trial, self._state.running_jobs.get(trial))
        if running is not None:
            raise ValueError(f"{trial_id(trial)} has an unfinished job ({running.stage}.{running.attempt})")
        attempt = self.next_attempt(trial, stage)
        number = self._last_job + 1
        change = self.record(
            ChangeKind.JOB_CREATED,
            {"id": number, "stage": stage, "attempt": attempt, "argv": list(argv)},
            trial=trial,
        )
        job = job_created(change)
        self._insert("jobs", {"trial": trial, "created_at": self.now, **change.data})
        self._last_job = number
        self._trials[trial] = self._counted(owner, job)
        self._jobs[number] = self._running[trial] = job
        return job

    def next_attempt(self, trial: int, stage: Stage) -> int:
        """The number of the next attempt of a stage."""
        owner = self.trial(trial)
        if stage is Stage.TRAIN:
            return owner.attempt + 1
        if stage is Stage.EVAL:
            return owner.eval_attempt + 1
        query = "SELECT coalesce(max(attempt), 0) + 1 FROM jobs WHERE trial = ? AND stage = ?"
        return int(self._db.execute(query, (trial, stage)).fetchone()[0])

    def _counted(self, owner: Trial, job: Job) -> Trial:
        """The trial of a new job, with its attempt counted."""
        trial = attempt_counted(owner, job)
        if trial is not owner:
            counted = {"attempt": trial.attempt, "eval_attempt": trial.eval_attempt}
            self._update("trials", "number", trial.number, counted)
        return trial

    def set_job(self, id: int, **changed: Any) -> Job:  # noqa: A002
        """Set fields of `Job`; those that stay the same are not written.

        ValueError where an ended job would run again: that is a new attempt.
        """
        old = self.job(id)
        _refuse_others(changed, _JOB_FIELDS)
        if "argv" in changed:
            changed["argv"] = tuple(changed["argv"])
        data = {name: value for name, value in changed.items() if getattr(old, name) != value}
        if not data:
            return old
        if old.state is JobState.ENDED and "state" in data:
            raise ValueError(f"job {id} of {trial_id(old.trial)} has ended and cannot be {data['state']}")
        change = self.record(ChangeKind.JOB_CHANGED, {"id": id, **data}, trial=old.trial)
        job = job_changed(old, change.data)
        self._update("jobs", "id", id, {name: change.data[name] for name in data})
        self._jobs[id] = job
        if old.state is not JobState.ENDED:
            self._running[job.trial] = None if job.state is JobState.ENDED else job
        return job

    def add_reports(self, reports: Iterable[Report]) -> None:
        """Store reports. They are not journalled one by one: the job's `report_offset` is, and belongs in the
        same transaction, so that each report is stored exactly once."""
        self._db.executemany(INSERT_REPORT, [row_of(report) for report in reports])

    def set_sweep(self, **changed: Any) -> None:
        """Set `status`, `reason`, `config`, `run_s`, `started_at` or `ended_at`.

        Unless they are given, a first RUNNING sets `started_at`, RUNNING clears `ended_at`, and an end sets it.
        """
        _refuse_others(changed, _SWEEP_FIELDS)
        if "status" in changed:
            status = SweepStatus(changed["status"])
            if status is SweepStatus.RUNNING:
                changed.setdefault("ended_at", None)
                if self._sweep_field("started_at") is None:
                    changed.setdefault("started_at", self.now)
            elif status.ended and not SweepStatus(self._sweep_field("status")).ended:
                changed.setdefault("ended_at", self.now)
        data = {name: value for name, value in changed.items() if self._sweep_field(name) != value}
        if not data:
            return
        change = self.record(ChangeKind.SWEEP_CHANGED, data)
        self._update("sweep", "id", 1, change.data)
        self._sweep.update(change.data)

    def copy_trial(self, trial: Trial, jobs: Iterable[Job]) -> None:
        """Make a trial and its jobs, oldest first, what they are in another copy of this sweep.

        What is so already is not written.
        """
        try:
            old = self.trial(trial.number)
        except KeyError:
            first = {name: getattr(trial, name) for name in ("params", "seed", "provenance", "created_at")}
            change = self.record(ChangeKind.TRIAL_CREATED, first, trial=trial.number)
            old = trial_created(change)
            self._insert("trials", {"number": trial.number, **change.data})
            self._last_trial = max(self._last_trial, trial.number)
        for job in jobs:
            old = self._copy_job(old, job)
        changed = {each.name: getattr(trial, each.name) for each in fields(Trial)}
        self._change_trial(old, changed)
        self._trials[trial.number] = trial

    def _copy_job(self, owner: Trial, job: Job) -> Trial:
        try:
            old = self.job(job.id)
        except KeyError:
            first = {name: getattr(job, name) for name in ("id", "stage", "attempt", "argv", "created_at")}
            change = self.record(ChangeKind.JOB_CREATED, first, trial=job.trial)
            old = job_created(change)
            self._insert("jobs", {"trial": job.trial, **change.data})
            owner = self._counted(owner, job)
            self._last_job = max(self._last_job, job.id)
        data = {each.name: getattr(job, each.name) for each in fields(Job)}
        data = {name: value for name, value in data.items() if getattr(old, name) != value}
        if data:
            change = self.record(ChangeKind.JOB_CHANGED, {"id": job.id, **data}, trial=job.trial)
            self._update("jobs", "id", job.id, {name: change.data[name] for name in data})
        self._jobs[job.id] = job
        self._running[job.trial] = None if job.state is JobState.ENDED else job
        return owner

    def copy_sweep(self, values: Mapping[str, Any]) -> None:
        """Make the sweep's own fields what they are in another copy of it."""
        data = {name: value for name, value in values.items() if self._sweep_field(name) != value}
        if data:
            change = self.record(ChangeKind.SWEEP_CHANGED, data)
            self._update("sweep", "id", 1, change.data)
            self._sweep.update(change.data)

    def add_command(self, verb: str, args: Mapping[str, Any]) -> int:
        """Enter a command; its id. `SqliteStore.submit` is the way to this from other processes."""
        cursor = self._db.execute(
            "INSERT INTO commands (at, actor, verb, args) VALUES (?, ?, ?, ?)",
            (self.now, column(self._actor), verb, dumps(dict(args))),
        )
        assert cursor.lastrowid is not None
        self.record(ChangeKind.COMMAND_SUBMITTED, {"id": cursor.lastrowid, "verb": verb, "args": dict(args)})
        return cursor.lastrowid

    def finish_command(self, id: int, state: CommandState, result: str = "") -> None:  # noqa: A002
        """Answer a pending command with `done` or `refused` and one sentence. KeyError where none is pending."""
        change = self.record(ChangeKind.COMMAND_FINISHED, {"id": id, "state": state, "result": result})
        cursor = self._db.execute(
            "UPDATE commands SET state = ?, result = ? WHERE id = ? AND state = 'pending'",
            (state, column(change.data["result"]), id),
        )
        if not cursor.rowcount:
            raise KeyError(id)

    def note(self, kind: str, data: Mapping[str, Any], trial: int | None = None) -> None:
        """Something worth remembering that changes nothing: a line in the journal."""
        if kind in _KINDS:
            raise ValueError(f"{kind} is not a note's kind: it changes the state")
        self.record(kind, dict(data), trial=trial)

    def record(self, kind: str, data: dict[str, Any], trial: int | None = None) -> Change:
        """Journal a change. Only for the store: whoever calls it writes the tables too."""
        written = dumps(data)
        # Through JSON and back: this process then holds what every other one will read, and nothing the caller can
        # still alter.
        seq = self._state.last_seq + len(self.changes) + 1
        change = Change(seq, self.now, str(kind), trial, json.loads(written), self._actor)
        self.changes.append(change)
        self._texts.append(written)
        return change

    def flush(self) -> None:
        """Write the journal rows, as the last thing before the commit."""
        self._db.executemany(
            INSERT_CHANGE,
            [
                (change.seq, change.at, change.kind, change.trial, written, column(change.actor))
                for change, written in zip(self.changes, self._texts, strict=True)
            ],
        )

    def _sweep_field(self, name: str) -> Any:
        return self._sweep[name] if name in self._sweep else getattr(self._state, name)

    def _insert(self, table: str, values: Mapping[str, Any]) -> None:
        self._db.execute(insert_sql(table, tuple(values)), [column(value) for value in values.values()])

    def _update(self, table: str, key: str, id_: int, values: Mapping[str, Any]) -> None:
        names = tuple(values)
        self._db.execute(update_sql(table, key, names), [*(column(value) for value in values.values()), id_])


def _refuse_others(changed: Mapping[str, Any], allowed: set[str]) -> None:
    if not changed.keys() <= allowed:
        raise TypeError(f"not to be set: {', '.join(sorted(changed.keys() - allowed))}")
