"""A new sweep of the trials of a source: at its place only once it is whole."""

from __future__ import annotations

import contextlib
import math
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sweeptui import budgets
from sweeptui.core.errors import UserError
from sweeptui.core.optimizers.seeding import trial_seed
from sweeptui.core.state import SweepStatus
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import FailureKind, Job, JobOutcome, JobState, Report, Stage, Trial, TrialStatus
from sweeptui.core.wandb_source import number as as_number
from sweeptui.exchange import fitting, single
from sweeptui.exchange.fitting import Fitter, Policy
from sweeptui.exchange.foreign import structured
from sweeptui.exchange.records import Record
from sweeptui.folders import DATABASE, sweep_names, sweep_path

if TYPE_CHECKING:
    from pathlib import Path

    from sweeptui.core.config import SweepTool
    from sweeptui.exchange.records import Source

BATCH = 500
"""Trials that are written in one transaction, and in memory at once."""
IMPORTED = "imported"
"""Of a trial's provenance: where it was taken from."""


@contextlib.contextmanager
def staged(root: Path, name: str) -> Iterator[Path]:
    """A folder for the new sweep `name`, which takes its place when the block has ended well and vanishes when not."""
    target = sweep_path(root, name)
    if name in sweep_names(root) or target.exists():
        raise UserError(f"sweep {name!r} is there already; choose another --sweep-name")
    above = [parent for parent in (target.parent, target.parent.parent) if not parent.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".import-", dir=target.parent.parent) as scratch:
            folder = type(target)(scratch) / name
            yield folder
            _keep_to_budgets(root, name, folder)
            folder.rename(target)
    except OSError as error:
        raise UserError(f"{target} cannot be made: {error.strerror}; choose another --sweep-name or --root") from None
    finally:
        for parent in above:  # of a sweep that was not made
            with contextlib.suppress(OSError):
                parent.rmdir()


def _keep_to_budgets(root: Path, name: str, folder: Path) -> None:
    """A sweep whose name is inside an experiment counts to its budget. Raises `UserError` where that is too small."""
    if around := budgets.around(root, name):
        with contextlib.closing(SqliteStore.open(folder / DATABASE, readonly=True)) as store:
            budgets.check(around, name, store.state.searched)


def take(
    root: Path, name: str, source: Source, tool: SweepTool, policy: Policy, *, exact: bool = False
) -> fitting.Report:
    """Make a sweep of the trials of `source`, which is over. Raises `UserError`, with nothing written.

    `exact`: trials of ours are taken as they are, whatever the search space of `tool`, with the source's own
    configuration where it has one.
    """
    report = fitting.Report(name, source.said)
    if policy == "widen":
        tool = fitting.widened(tool, _given(source, tool, exact))
    with staged(root, name) as folder:
        config = _config(name, source, tool, exact, policy)
        with contextlib.closing(SqliteStore.create(folder / DATABASE, name, config)) as store:
            store.acquire_lease("import", 600.0)
            _fill(store, _Taking(source, tool, policy, report, exact).records())
            if not report.taken:
                why = "; ".join(report.lines()[1:]) or "there are none"
                raise UserError(f"none of the {report.found} trials of {source.said} can be taken: {why}")
            _finish(store, source if exact else replace(source, header=None), report)
            store.release_lease()
    return report


def _config(name: str, source: Source, tool: SweepTool, exact: bool, policy: Policy) -> dict[str, Any]:
    kept = dict(source.header["config"]) if exact and source.header is not None else tool.to_json()
    launch = {"recipe": None, "auto_named": False, **kept.get("launch", {}), "imported_from": source.said}
    if policy == "keep" or exact:
        launch["mixed"] = True
    return {**kept, "sweep_name": name, "launch": launch}


def _given(source: Source, tool: SweepTool, exact: bool) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The parameters of each trial that will be fitted, and what to call it."""
    for order, row in enumerate(source.rows(), 1):
        if isinstance(row, Record):
            if not exact:
                yield row.trial.id, row.trial.params
        else:
            found = structured(row, tool.space.names, [each.name for each in tool.protein_config.objectives])
            yield str(found.get("name") or f"trial {found.get('number') or order}"), found["params"]


class _Taking:
    """Goes through the rows of a source, and makes a record of each that is taken."""

    def __init__(self, source: Source, tool: SweepTool, policy: Policy, report: fitting.Report, exact: bool) -> None:
        self._source, self._tool, self._report, self._exact = source, tool, report, exact
        self._fitter = Fitter(tool, policy, report)
        self._metrics = [each.name for each in tool.protein_config.objectives]
        self._last, self._last_job, self._ended = 0, 0, 0
        self._numbers: set[int] = set()
        self._jobs: set[int] = set()

    def records(self) -> Iterator[Record]:
        for order, row in enumerate(self._source.rows(), 1):
            self._report.found += 1
            record = self._ours(row) if isinstance(row, Record) else self._foreign(row, order)
            if record is not None:
                self._count(record)
                yield record

    def _count(self, record: Record) -> None:
        trial, jobs = record.trial, {job.id for job in record.jobs}
        if trial.number in self._numbers or jobs & self._jobs:
            raise UserError(f"{self._source.said} has two trials {trial.number}, or two attempts of one number")
        self._numbers.add(trial.number)
        self._jobs |= jobs
        self._last = max(self._last, trial.number)
        self._last_job = max(self._last_job, *jobs, 0)
        self._ended = max(self._ended, trial.end_order or 0)
        scored = trial.score is not None and math.isfinite(trial.score)
        if scored and trial.status in (TrialStatus.COMPLETED, TrialStatus.STOPPED):
            self._report.completed += 1
        else:
            self._report.failed += 1

    def _ours(self, record: Record) -> Record | None:
        trial = record.trial
        running = any(job.state is not JobState.ENDED for job in record.jobs)
        waiting = self._exact and trial.status is TrialStatus.PENDING
        if running or not (trial.status.terminal or waiting):
            self._report.counts["were left out: they have not ended"] += 1
            return None
        params = trial.params if self._exact else self._fitter.fit(trial.id, trial.params)
        if params is None:
            return None
        provenance = {"method": "import", IMPORTED: self._source.said, **trial.provenance}
        return replace(record, trial=replace(trial, params=params, provenance=provenance))

    def _foreign(self, row: Mapping[str, Any], order: int) -> Record | None:
        found = structured(row, self._tool.space.names, self._metrics)
        if found.get("status") is None:
            self._report.counts["were left out: they have not ended"] += 1
            return None
        params = self._fitter.fit(str(found.get("name") or f"trial {found.get('number') or order}"), found["params"])
        if params is None:
            return None
        number, ended = self._last + 1, self._ended + 1
        provenance = {"method": "import", IMPORTED: found.get("name") or self._source.said}
        end = _end(found, self._metrics, self._source.said)
        at = found.get("started_at") or found.get("ended_at") or 0.0
        trial = Trial(
            number=number,
            params=params,
            seed=trial_seed(self._tool.seed, number),
            created_at=at,
            metrics=found.get("metrics", {}),
            provenance=provenance,
            cost=as_number(found.get("cost")),
            spent=as_number(found.get("cost")) or 0.0,
            end_order=ended,
            known_ends=ended,
            started_at=at or None,
            ended_at=found.get("ended_at") or at or None,
            step=found.get("step"),
            total_steps=found.get("total_steps"),
            **end,
        )
        return self._with_curve(trial, found.get("curve") or {})

    def _with_curve(self, trial: Trial, curve: Mapping[int, float]) -> Record:
        if not curve:
            return Record(trial)
        job = Job(
            self._last_job + 1, trial.number, Stage.TRAIN, 1, trial.created_at, JobState.ENDED,
            outcome=JobOutcome.COMPLETED, started_at=trial.started_at, ended_at=trial.ended_at,
        )  # fmt: skip
        reports = (
            Report(trial.number, job.id, Stage.TRAIN, trial.created_at, float(step), score=curve[step])
            for step in sorted(curve)
        )
        return Record(replace(trial, attempt=1), (job,), tuple(reports))


def _end(found: Mapping[str, Any], metrics: list[str], said: str) -> dict[str, Any]:
    """The status, score, failure and reason of a trial that has ended elsewhere."""
    values = [as_number(found["metrics"].get(metric)) for metric in metrics]
    reason = str(found.get("reason") or "")
    if found["status"] == "failed":
        return {"status": TrialStatus.FAILED, "failure": FailureKind.CRASHED, "reason": reason or f"failed in {said}"}
    if found["status"] == "stopped" and values[0] is None:
        return {"status": TrialStatus.STOPPED, "reason": reason or f"stopped in {said}"}
    for metric, value in zip(metrics, values, strict=True):
        if value is None:
            why = f"{said} has no {metric!r} of it"
            return {"status": TrialStatus.FAILED, "failure": FailureKind.NO_METRIC, "reason": why}
        if not math.isfinite(value):
            why = f"{said} has {metric!r} = {value} of it"
            return {"status": TrialStatus.FAILED, "failure": FailureKind.INVALID_METRIC, "reason": why}
    return {
        "status": TrialStatus.STOPPED if found["status"] == "stopped" else TrialStatus.COMPLETED,
        "score": values[0],
        "reason": reason or f"taken from {said}",
    }


def _fill(store: SqliteStore, records: Iterator[Record]) -> None:
    while True:
        with store.transaction("import") as tx:
            count = 0
            for count, record in enumerate(records, 1):
                at = record.trial.created_at or tx.now
                tx.copy_trial(replace(record.trial, created_at=at), record.jobs)
                tx.add_reports(record.reports)
                if count == BATCH:
                    break
        if count < BATCH:
            return


def _finish(store: SqliteStore, source: Source, report: fitting.Report) -> None:
    """What the sweep itself says: what it was where that is known, and that it was taken over where it was running."""
    reason = f"{report.taken} trials were taken from {source.said}"
    with store.transaction("import") as tx:
        if source.header is None:
            config = {**store.state.config, "max_trials": max(store.state.config["max_trials"], report.taken)}
            tx.set_sweep(status=SweepStatus.FINISHED, reason=reason, config=config)
            return
        kept = {name: value for name, value in source.header.items() if name not in ("name", "config")}
        if not SweepStatus(kept["status"]).ended:
            kept |= {"status": SweepStatus.INTERRUPTED, "reason": f"{reason} while it was {kept['status']}"}
        tx.copy_sweep(kept)


def take_file(root: Path, name: str, said: str, origin: Path) -> int:
    """Make a sweep that is a copy of another one, a folder or a single file, journal and all; how many trials it has.

    Raises `UserError`, with nothing written.
    """
    with staged(root, name) as folder:
        single.place(origin, folder)
        with contextlib.closing(SqliteStore.open(folder / DATABASE)) as store:
            config = dict(store.state.config)
            launch = {**config.get("launch", {}), "imported_from": said}
            changed = {"name": name, "config": {**config, "sweep_name": name, "launch": launch}}
            if not store.state.status.ended:
                changed |= {"status": SweepStatus.INTERRUPTED, "reason": f"copied from {said} as it ran"}
            with store.transaction("import") as tx:
                tx.copy_sweep(changed)
            return len(store.state.trials)
