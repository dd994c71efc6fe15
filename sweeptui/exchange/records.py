"""A trial with all that belongs to it, as files hold it; and the sweep that it is of."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from sweeptui.core.state import job_from_json, trial_from_json
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import Job, Report, Stage, Trial
from sweeptui.exchange import single
from sweeptui.folders import DATABASE

if TYPE_CHECKING:
    from sweeptui.core.state import SweepState

VERSION = 1
"""Of what these files hold; a newer one is refused."""
FLOAT, MAPPING = "$float", "$mapping"
SWEEP_FIELDS = ("name", "config", "status", "reason", "created_at", "started_at", "ended_at", "run_s")
_JOB_FIELDS = tuple(each.name for each in fields(Job) if each.name != "trial")
_REPORT_FIELDS = tuple(each.name for each in fields(Report) if each.name != "trial")


@dataclass(frozen=True, slots=True)
class Record:
    """A trial, its jobs and its reports, each the oldest first."""

    trial: Trial
    jobs: tuple[Job, ...] = ()
    reports: tuple[Report, ...] = ()


Row = Record | Mapping[str, Any]
"""A trial as one of our files holds it, or what a foreign one says of one."""


@dataclass(frozen=True)
class Source:
    """Trials from elsewhere."""

    said: str
    """What it is, for people: "the Optuna study 'x' in y.db"."""
    rows: Callable[[], Iterator[Row]]
    """The trials, anew with each call."""
    header: Mapping[str, Any] | None = None
    """The sweep's own fields, `SWEEP_FIELDS`, where they are known."""
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The search space as far as the source says it, as a configuration has it."""
    goals: Sequence[tuple[str, str]] = ()
    """Its metrics and their goals, where it says them."""


def header_of(state: SweepState) -> dict[str, Any]:
    return {name: getattr(state, name) for name in SWEEP_FIELDS}


def records_of(store: SqliteStore) -> Iterator[Record]:
    """The trials of a sweep by their numbers."""
    for number in sorted(store.state.trials):
        yield Record(store.state.trials[number], tuple(store.jobs(number)), tuple(store.reports(number)))


@contextmanager
def standing_still(folder: Path) -> Iterator[SqliteStore]:
    """The sweep in `folder` at one moment, for as long as it is read: a copy of one that somebody runs."""
    with closing(SqliteStore.open(folder / DATABASE, readonly=True)) as store:
        lease = store.lease()
        if lease is None or not lease.alive:
            yield store
            return
    with TemporaryDirectory(prefix="sweeptui-") as scratch:
        copy = single.write(folder, Path(scratch) / DATABASE, logs=False)
        with closing(SqliteStore.open(copy, readonly=True)) as store:
            yield store


# -- JSON without NaN: other readers refuse it


def plain(value: Any) -> Any:
    """`value` as JSON that every reader takes: a NaN is `{"$float": "nan"}`, an infinity likewise."""
    if isinstance(value, float) and not math.isfinite(value):
        return {FLOAT: repr(value)}
    if isinstance(value, Mapping):
        inner = {key: plain(item) for key, item in value.items()}
        return {MAPPING: inner} if inner.keys() in ({FLOAT}, {MAPPING}) else inner
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def unplain(value: Any) -> Any:
    """What `plain` was given. Raises `ValueError` for what it never makes."""
    if isinstance(value, dict):
        if value.keys() == {FLOAT}:
            return float(value[FLOAT])
        if value.keys() == {MAPPING}:
            return {key: unplain(item) for key, item in value[MAPPING].items()}
        return {key: unplain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [unplain(item) for item in value]
    return value


def record_json(record: Record, *, reports: bool = True) -> dict[str, Any]:
    """A record as JSON: the trial's fields, and its `jobs` and `reports`."""
    shape = {each.name: getattr(record.trial, each.name) for each in fields(Trial)} | nested_of(record)
    if not reports:
        del shape["reports"]
    return dict(plain(shape))


def nested_of(record: Record) -> dict[str, Any]:
    """Its `jobs` and `reports`, without the trial's number, which is the record's."""
    return {
        "jobs": [{name: getattr(job, name) for name in _JOB_FIELDS} for job in record.jobs],
        "reports": [{name: getattr(report, name) for name in _REPORT_FIELDS} for report in record.reports],
    }


def record_from(shape: Mapping[str, Any]) -> Record:
    """The reverse of `record_json`. Raises `ValueError`, `TypeError` and `KeyError` for what is no record."""
    data = unplain(dict(shape))
    jobs, reports = data.pop("jobs", []), data.pop("reports", [])
    trial = trial_from_json(data)
    if isinstance(trial.number, bool) or not isinstance(trial.number, int) or trial.number < 1:
        raise ValueError(f"number is {trial.number!r}")
    return Record(
        trial,
        tuple(job_from_json({**job, "trial": trial.number}) for job in jobs),
        tuple(Report(**{**each, "trial": trial.number, "stage": Stage(each["stage"])}) for each in reports),
    )
