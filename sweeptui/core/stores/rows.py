"""Values to columns and rows to values."""

from __future__ import annotations

import json
from dataclasses import fields
from functools import cache
from math import isnan
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from sweeptui.core.state import Change, Command, SweepState, SweepStatus
from sweeptui.core.trial import FailureKind, Job, JobOutcome, JobState, Point, Report, Stage, Trial, TrialStatus

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping

    Row = tuple[Any, ...]
    Decoder = Callable[[Any], Any]

T = TypeVar("T")

dumps = json.JSONEncoder(separators=(",", ":")).encode

SWEEP_COLUMNS = (
    *("name", "config", "status", "reason", "created_at", "started_at", "ended_at", "run_s"),
    *("last_trial", "last_job"),
)


def column(value: Any) -> Any:
    """A JSON value as SQLite can hold it, without loss."""
    kind = type(value)
    if kind is dict or kind is list or kind is tuple:
        return dumps(value)
    if kind is float and isnan(value):
        return "NaN"  # SQLite would make it NULL
    if kind is str and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:  # a path that is no UTF-8: os.fsdecode gives lone surrogates
            return value.encode("utf-8", "surrogatepass")
    return value


def _text(stored: Any) -> Any:
    return stored.decode("utf-8", "surrogatepass") if type(stored) is bytes else stored


def _real(stored: Any) -> Any:
    return float(stored) if type(stored) is str else stored


def _json(stored: str) -> Any:
    return {} if stored == "{}" else json.loads(stored)


def _enum(values: type[Any]) -> Decoder:
    members = {None: None, **{member.value: member for member in values}}
    return members.__getitem__


def _quoted(names: tuple[str, ...]) -> list[str]:
    return [f'"{name}"' for name in names]


@cache
def update_sql(table: str, key: str, names: tuple[str, ...]) -> str:
    """`names` are field names of a dataclass, never user input."""
    return f"UPDATE {table} SET {' = ?, '.join(_quoted(names))} = ? WHERE {key} = ?"  # noqa: S608


@cache
def insert_sql(table: str, names: tuple[str, ...]) -> str:
    return f"INSERT INTO {table} ({', '.join(_quoted(names))}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608


def _select_sql(table: str, names: tuple[str, ...]) -> str:
    return f"SELECT {', '.join(_quoted(names))} FROM {table}"  # noqa: S608


def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _reader(kind: type[T], decoders: Mapping[str, Decoder]) -> Callable[[Row], T]:
    """From a row with a column for each field of a dataclass, in order, to its value."""
    plan = [(at, decoders[name]) for at, name in enumerate(_names(kind)) if name in decoders]

    def read(row: Row) -> T:
        values = list(row)
        for at, decode in plan:
            values[at] = decode(values[at])
        return kind(*values)

    return read


_REPORTED: Mapping[str, Decoder] = {
    "step": _real,
    "total_steps": _real,
    "score": _real,
    "cost": _real,
    "checkpoint": _text,
    "metrics": _json,
}

SELECT_TRIALS = _select_sql("trials", _names(Trial))
trial_from = _reader(
    Trial,
    {
        **_REPORTED,
        "params": _json,
        "provenance": _json,
        "status": _enum(TrialStatus),
        "failure": _enum(FailureKind),
        "paused_from": _enum(TrialStatus),
        "reason": _text,
        "spent": _real,
    },
)

SELECT_JOBS = _select_sql("jobs", _names(Job))
job_from = _reader(
    Job,
    {
        "stage": Stage,
        "state": _enum(JobState),
        "argv": lambda stored: tuple(json.loads(stored)),
        "slot": _json,
        "handle": _json,
        "exit": _json,
        "ask": _enum(JobOutcome),
        "outcome": _enum(JobOutcome),
        "ask_reason": _text,
        "reason": _text,
    },
)

SELECT_REPORTS = _select_sql("reports", _names(Report))
SELECT_SCORES = "SELECT id, job, at, step, score FROM reports"
SELECT_POINTS = "SELECT id, trial, job, step, total_steps, score, cost FROM reports"
INSERT_REPORT = insert_sql("reports", _names(Report))
report_from = _reader(Report, {**_REPORTED, "stage": Stage})

SELECT_COMMANDS = _select_sql("commands", _names(Command))
command_from = _reader(Command, {"actor": _text, "args": _json, "result": _text})

SELECT_JOURNAL = _select_sql("journal", _names(Change))
INSERT_CHANGE = insert_sql("journal", _names(Change))
change_from = _reader(Change, {"data": _json, "actor": _text})

_SELECT_SWEEP = _select_sql("sweep", SWEEP_COLUMNS)


def row_of(value: Any) -> Row:
    """The columns of a dataclass's value: what `INSERT_REPORT` and the like take."""
    return tuple(column(getattr(value, name)) for name in value.__slots__)


class ScoreRow(NamedTuple):
    """What a learning curve is made of."""

    id: int
    job: int
    at: float
    step: float | None
    score: float


def score_from(row: Row) -> ScoreRow:
    """Decode a row of `SELECT_SCORES`."""
    id_, job, at, step, score = row
    return ScoreRow(id_, job, at, _real(step), _real(score))


def point_from(row: Row) -> Point:
    """Decode a row of `SELECT_POINTS`."""
    id_, trial, job, *numbers = row
    return Point(id_, trial, job, *map(_real, numbers))


def load(db: sqlite3.Connection) -> SweepState:
    """The whole state, from inside the caller's read transaction.

    Of the jobs only the unfinished ones: a long sweep has many, and hardly one is asked for again.
    """
    state = load_sweep(db)
    for row in db.execute(SELECT_TRIALS + " ORDER BY number"):
        state.put_trial(trial_from(row))
    for row in db.execute(SELECT_JOBS + " WHERE state <> 'ended' ORDER BY id"):
        state.put_job(job_from(row))
    for row in db.execute(SELECT_COMMANDS + " WHERE state = 'pending' ORDER BY id"):
        state.put_command(command_from(row))
    (highest_job,) = db.execute("SELECT max(id) FROM jobs").fetchone()
    state.last_job = max(state.last_job, highest_job or 0)
    (state.last_seq,) = db.execute("SELECT coalesce(max(seq), 0) FROM journal").fetchone()
    return state


def load_sweep(db: sqlite3.Connection) -> SweepState:
    """The state without trials, jobs and commands."""
    state = SweepState()
    decoders: Mapping[str, Decoder] = {"config": _json, "status": SweepStatus, "reason": _text}
    for name, stored in zip(SWEEP_COLUMNS, db.execute(_SELECT_SWEEP).fetchone(), strict=True):
        setattr(state, name, decoders[name](stored) if name in decoders else stored)
    return state
