"""A sweep as an Optuna study, in a SQLite file or a journal file, and a study as a source.

What Optuna has no place for stands in the study's and the trials' user attribute `sweeptui`, from where it is read
again; Optuna and its dashboard see parameters, distributions, values, intermediate values, states and times.
"""

from __future__ import annotations

import json
import math
import sqlite3
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeptui.core.distributions.base import json_text
from sweeptui.core.errors import UserError, hint
from sweeptui.core.objectives import objectives_of, value_of, values_of
from sweeptui.core.space import Space
from sweeptui.core.trial import Job, JobOutcome, JobState, Report, Stage, Trial, TrialStatus
from sweeptui.exchange.jsonl import check_version, record_at
from sweeptui.exchange.records import (
    VERSION,
    Record,
    Source,
    header_of,
    plain,
    record_json,
    records_of,
    unplain,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sweeptui.core.distributions import Distribution
    from sweeptui.core.objectives import Objectives
    from sweeptui.core.stores.sqlite import SqliteStore
    from sweeptui.exchange.records import Row

LACKS = "the learning curves' times and other metrics, the journal and the logs"
MARK = "sweeptui"
DATABASES = (".db", ".sqlite", ".sqlite3")
SCALARS = (bool, int, float, str, type(None))
"""What Optuna's categories can be; others are their JSON text."""


def _optuna() -> Any:
    try:
        import optuna  # noqa: PLC0415 - heavy, and an extra
    except ImportError:
        raise UserError(
            "the package optuna is not installed; install it with: pip install 'sweeptui[optuna]'"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


# -- out


def write(store: SqliteStore, path: Path) -> int:
    """Write a sweep as a study of its name into the new file `path`; how many trials it has.

    A name that ends in .db, .sqlite or .sqlite3 makes a SQLite file, any other one a journal file.
    """
    optuna = _optuna()
    state = store.state
    objectives = objectives_of(state.config)
    space = _space(state.config)
    with _new_storage(path) as storage:
        study = optuna.create_study(
            storage=storage, study_name=state.name, directions=[objective.goal for objective in objectives]
        )
        study.set_user_attr(MARK, json.dumps({MARK: VERSION, "sweep": plain(header_of(state))}))
        storage.set_study_system_attr(study._study_id, "study:metric_names", [each.name for each in objectives])
        for record in records_of(store):
            study.add_trial(_frozen(optuna, record, space, objectives))
    return len(state.trials)


def _space(config: Mapping[str, Any]) -> Mapping[str, Distribution]:
    with suppress(UserError, KeyError, TypeError):
        return Space.from_parameters(config["protein_config"]["parameters"]).distributions
    return {}


@contextmanager
def _new_storage(path: Path) -> Iterator[Any]:
    """A storage in a file that nobody else has: it is durable once it is moved to its place, and not before."""
    optuna = _optuna()
    if path.suffix in DATABASES:
        connections = []

        def connect() -> sqlite3.Connection:
            db = sqlite3.connect(path, check_same_thread=False)
            db.execute("PRAGMA synchronous = OFF")
            connections.append(db)
            return db

        storage = optuna.storages.RDBStorage("sqlite://", engine_kwargs={"creator": connect})
        try:
            yield storage
        finally:
            storage.remove_session()
            storage.engine.dispose()
            for db in connections:
                db.close()
        return
    from optuna.storages.journal import JournalFileBackend  # noqa: PLC0415

    class Quick(JournalFileBackend):  # type: ignore[misc,unused-ignore]
        def append_logs(self, logs: list[dict[str, Any]]) -> None:
            with path.open("ab") as file:
                file.write("".join(json.dumps(each, separators=(",", ":")) + "\n" for each in logs).encode())

    yield optuna.storages.JournalStorage(Quick(str(path)))


def _frozen(optuna: Any, record: Record, space: Mapping[str, Distribution], objectives: Objectives) -> Any:
    trial = record.trial
    state, values = _state(optuna, trial, objectives)
    params, distributions = {}, {}
    for name, value in trial.params.items():
        params[name], distributions[name] = _theirs(optuna, space.get(name), value)
    begun = trial.started_at if trial.started_at is not None else trial.created_at
    ended = trial.ended_at if trial.ended_at is not None else begun
    told = {"trial": trial.id, "status": trial.status.value, "reason": trial.reason, "cost": trial.cost}
    return optuna.trial.FrozenTrial(
        number=-1,
        trial_id=-1,
        state=state,
        value=None,
        values=values,
        datetime_start=None if state == optuna.trial.TrialState.WAITING else _time(begun),
        datetime_complete=_time(ended) if state.is_finished() else None,
        params=params,
        distributions=distributions,
        user_attrs={**plain(told), MARK: json.dumps(record_json(record, reports=False))},
        system_attrs={},
        intermediate_values=_curve(record),
    )


def _time(at: float) -> datetime:
    """As Optuna has them: local, and without saying so."""
    return datetime.fromtimestamp(at)  # noqa: DTZ006


def _state(optuna: Any, trial: Trial, objectives: Objectives) -> tuple[Any, list[float] | None]:
    states = optuna.trial.TrialState
    values = values_of(trial, objectives)
    if trial.status is TrialStatus.COMPLETED and values is not None:
        return states.COMPLETE, list(values)
    if trial.status is TrialStatus.STOPPED:
        score = value_of(trial, objectives, 0)
        one = len(objectives) == 1 and score is not None and math.isfinite(score)
        return states.PRUNED, [score] if one and score is not None else None
    if trial.status is TrialStatus.PENDING:
        return states.WAITING, None
    return (states.FAIL if trial.status.terminal else states.RUNNING), None


def _curve(record: Record) -> dict[int, float]:
    """The newest attempt's scores; those without a whole step count on from the one before."""
    found: dict[int, float] = {}
    job, last = 0, -1
    for report in record.reports:
        if report.score is None or report.stage is not Stage.TRAIN:
            continue
        if report.job != job:
            job, last = report.job, -1
            found.clear()
        whole = report.step is not None and float(report.step).is_integer() and report.step >= 0
        last = int(report.step) if whole and report.step is not None else last + 1
        found[last] = report.score
    return found


def _theirs(optuna: Any, ours: Distribution | None, value: Any) -> tuple[Any, Any]:
    """A value and a distribution that has it, as wide as the value needs: Optuna takes no other."""
    make = optuna.distributions
    kind = "" if ours is None else ours.kind
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if ours is not None and kind in ("continuous", "integer") and number:
        low, high = ours.from_unit(0.0), ours.from_unit(1.0)
        whole = kind == "integer" and all(isinstance(each, int) for each in (low, high, value))
        low, high = min(low, value), max(high, value)
        log = low > 0 and ours.name in ("log_normal", "int_log_normal", "uniform_pow2", "unbounded_log_normal")
        if whole:
            return value, make.IntDistribution(low, high, log=log)
        return float(value), make.FloatDistribution(float(low), float(high), log=log)
    choices = [ours.from_unit(place) for place in ours.places()] if ours is not None and kind == "categorical" else []
    if json_text_of(value) not in map(json_text_of, choices):
        choices.append(value)
    texts = any(not isinstance(each, SCALARS) for each in choices) or len(set(choices)) < len(choices)
    if texts:  # or Optuna could not tell 1 from true
        return json_text_of(value), make.CategoricalDistribution([json_text_of(each) for each in choices])
    return value, make.CategoricalDistribution(choices)


def json_text_of(value: Any) -> str:
    return json_text(plain(value))


# -- in


def source(where: str, study_name: str | None = None) -> Source:
    """A study: in a SQLite file, a journal file, or a database by its URL. Raises `UserError`."""
    optuna = _optuna()
    storage = _open(optuna, where)
    try:
        names = optuna.get_all_study_names(storage)
        name = _chosen(where, names, study_name)
        study = optuna.load_study(study_name=name, storage=storage)
        trials = study.get_trials(deepcopy=False)
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the storage raises, nothing can be read
        raise UserError(f"{where} cannot be read as an Optuna storage: {_line(error)}") from None
    said = f"the study {name} in {where}"
    header = _header(said, study.user_attrs.get(MARK))
    metrics = study.metric_names or (["value"] if len(study.directions) == 1 else [])
    metrics = metrics or [f"value_{which}" for which in range(len(study.directions))]
    goals = [(each, direction.name.lower()) for each, direction in zip(metrics, study.directions, strict=True)]

    lengths = [max(t.intermediate_values) for t in trials if t.state.name == "COMPLETE" and t.intermediate_values]
    longest = max(lengths, default=None)

    def rows() -> Iterator[Row]:
        for trial in trials:
            own = trial.user_attrs.get(MARK)
            if own is None:
                yield _foreign(optuna, trial, [each for each, _ in goals], longest)
                continue
            yield _with_curve(record_at(f"trial {trial.number} of {said}", json.loads(own)), trial.intermediate_values)

    return Source(said, rows, header, _parameters(trials), goals)


def _open(optuna: Any, where: str) -> Any:
    try:
        if "://" in where and not where.startswith("sqlite:///"):
            return optuna.storages.RDBStorage(where, skip_table_creation=True)
        path = Path(where.removeprefix("sqlite:///"))
        if not path.is_file():
            raise UserError(f"there is no file {path}; give an Optuna storage: a SQLite file, a journal file or a URL")
        with path.open("rb") as file:
            database = file.read(16) == b"SQLite format 3\0"
        if database:
            uri = f"{path.absolute().as_uri()}?mode=ro"
            return optuna.storages.RDBStorage(
                "sqlite://",
                engine_kwargs={"creator": lambda: sqlite3.connect(uri, uri=True, check_same_thread=False)},
                skip_table_creation=True,
            )
        from optuna.storages.journal import JournalFileBackend  # noqa: PLC0415

        return optuna.storages.JournalStorage(JournalFileBackend(str(path)))
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the storage raises, nothing can be read
        raise UserError(f"{where} cannot be read as an Optuna storage: {_line(error)}") from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def _chosen(where: str, names: list[str], wanted: str | None) -> str:
    if wanted is not None:
        if wanted not in names:
            raise UserError(f"--study is {wanted!r}, which {where} does not have; {hint(wanted, names)}")
        return wanted
    if len(names) != 1:
        there = f"has {len(names)} studies ({', '.join(names)}); say which with --study" if names else "has no study"
        raise UserError(f"{where} {there}")
    return names[0]


def _header(said: str, stored: Any) -> Mapping[str, Any] | None:
    if stored is None:
        return None
    data = json.loads(stored)
    check_version(said, data[MARK])
    header: Mapping[str, Any] = unplain(data["sweep"])
    return header


def _with_curve(record: Record, curve: Mapping[int, float]) -> Record:
    trainings = [job for job in record.jobs if job.stage is Stage.TRAIN]
    if not curve:
        return record
    if not trainings:
        trial = record.trial
        trainings = [_made_up_job(trial.number, trial.created_at)]
        record = Record(trial, tuple(trainings))
    job = trainings[-1]
    reports = [
        Report(job.trial, job.id, Stage.TRAIN, job.created_at, step, score=curve[step]) for step in sorted(curve)
    ]
    return Record(record.trial, record.jobs, tuple(reports))


def _made_up_job(number: int, at: float) -> Job:
    """What a curve needs to belong to; ids of foreign trials' jobs are those of their trials."""
    return Job(
        number, number, Stage.TRAIN, 1, at, JobState.ENDED, outcome=JobOutcome.COMPLETED, started_at=at, ended_at=at
    )


def _foreign(optuna: Any, trial: Any, metrics: list[str], longest: int | None) -> dict[str, Any]:
    """What a trial of Optuna's says. Of a pruned one `longest`, the steps of whole trials, says what share it did;

    where nobody knows that, its score would be mistaken for that of a whole training, and is left out.
    """
    states = optuna.trial.TrialState
    status = {
        states.COMPLETE: "completed",
        states.PRUNED: "stopped",
        states.FAIL: "failed",
    }.get(trial.state)
    values = trial.values or []
    curve = trial.intermediate_values
    if trial.state == states.PRUNED:
        values = [] if not curve or longest is None else values or [curve[max(curve)]]
    times = {
        "started_at": trial.datetime_start and trial.datetime_start.timestamp(),
        "ended_at": trial.datetime_complete and trial.datetime_complete.timestamp(),
    }
    cost = trial.user_attrs.get("cost")
    if not isinstance(cost, int | float):
        cost = trial.duration.total_seconds() if trial.duration is not None else None
    step = max(curve) if curve else None
    return {
        "number": trial.number + 1,
        "params": dict(trial.params),
        "metrics": dict(zip(metrics, values, strict=False)),
        "status": status,
        "cost": cost,
        "curve": dict(curve),
        "step": step,
        "total_steps": longest,
        **times,
    }


def _parameters(trials: list[Any]) -> dict[str, dict[str, Any]]:
    """The widest range of each parameter that the trials were drawn from."""
    found: dict[str, dict[str, Any]] = {}
    for trial in trials:
        for name, theirs in trial.distributions.items():
            fields = _fields(theirs)
            known = found.setdefault(name, fields)
            if "values" in fields and "values" in known:
                seen = set(map(json_text_of, known["values"]))
                known["values"] += [each for each in fields["values"] if json_text_of(each) not in seen]
            elif "min" in fields and "min" in known:
                known |= {"min": min(known["min"], fields["min"]), "max": max(known["max"], fields["max"])}
    for name, fields in found.items():
        if "min" in fields and fields["min"] == fields["max"]:
            found[name] = {"value": fields["min"]}
        elif "values" in fields and len(fields["values"]) == 1:
            found[name] = {"value": fields["values"][0]}
    return found


def _fields(theirs: Any) -> dict[str, Any]:
    if hasattr(theirs, "choices"):
        return {"distribution": "categorical", "values": list(theirs.choices)}
    whole = isinstance(theirs.low, int)
    if whole and theirs.step != 1 and (theirs.high - theirs.low) // theirs.step < 1000:
        return {"distribution": "categorical", "values": list(range(theirs.low, theirs.high + 1, theirs.step))}
    # A float's step is left out: every value that it allows is in the range.
    names = {(True, True): "int_log_normal", (True, False): "int_uniform", (False, True): "log_normal"}
    return {"distribution": names.get((whole, theirs.log), "uniform"), "min": theirs.low, "max": theirs.high}
