"""Sweeps of trials as they may come, made without running anything."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from sweeptui.core.config import SweepTool
from sweeptui.core.state import SweepStatus
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.exchange.records import Record, record_json, records_of
from sweeptui.exchange.taking import IMPORTED
from sweeptui.folders import DATABASE, sweep_path

SPACE: dict[str, Any] = {
    "lr": {"distribution": "log_normal", "min": 1e-5, "max": 1e-1},
    "n": {"min": 1, "max": 8, "distribution": "int_uniform"},
    "opt": {"values": ["sgd", "adam", "=1+1"]},
    "momentum": {"min": 0.0, "max": 1.0, "when": 'opt == "sgd"'},
}


def tool(parameters: dict[str, Any] | None = None, **fields: Any) -> SweepTool:
    protein = {"metric": "score", "goal": "maximize", "method": "random", "parameters": parameters or SPACE}
    protein |= fields.pop("protein", {})
    if "metrics" in protein:
        del protein["metric"], protein["goal"]
    return SweepTool.from_json({"protein_config": protein, "train_command": ["true"], **fields})


def make(root: Path, name: str, records: Iterable[Record], sweep: SweepTool | None = None) -> Path:
    """A sweep that is over, of these records; its folder."""
    folder = sweep_path(root, name)
    config = (sweep or tool()).to_json()
    with closing(SqliteStore.create(folder / DATABASE, name, config)) as store, store.transaction() as tx:
        for record in records:
            tx.copy_trial(record.trial, record.jobs)
            tx.add_reports(record.reports)
        tx.set_sweep(status=SweepStatus.FINISHED, reason="all done")
    return folder


def contents(folder: Path, *nested: str) -> list[dict[str, Any]]:
    """All that a sweep's trials are, without where they were taken from; of jobs and reports those named."""
    with closing(SqliteStore.open(folder / DATABASE, readonly=True)) as store:
        shapes = [record_json(record) for record in records_of(store)]
    for shape in shapes:
        shape["provenance"].pop(IMPORTED, None)
        if shape["provenance"].get("method") == "import":
            del shape["provenance"]["method"]
        for part in {"jobs", "reports"} - set(nested):
            del shape[part]
    return shapes
