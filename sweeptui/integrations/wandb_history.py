"""What a sweep or a group of runs on W&B has found, as a source of trials.

Each run that has ended is a trial with its parameters, score and running time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweeptui.core.errors import UserError
from sweeptui.core.wandb_log import flat
from sweeptui.exchange.records import Source

if TYPE_CHECKING:
    from sweeptui.core.config import SweepTool

PAGE = 500
"""Runs in one answer of W&B, each with its config and summary, which would else take a request each."""
RECORDS = frozenset({"sweep", "sweep-record", "sweep-lease"})
"""Job types of runs that are a mirrored sweep's own records and no trainings."""
CRASHED = ("failed", "crashed", "killed")
PATH = re.compile(r"(?P<entity>[^/]+)/(?P<project>[^/]+)/(?:sweeps/(?P<sweep>[^/]+)|(?P<group>.+))")


@dataclass(frozen=True, slots=True)
class Found:
    """A run, as far as it matters."""

    path: str
    state: str
    config: Mapping[str, Any]
    summary: Mapping[str, Any]


def fetch(path: str) -> list[Found]:
    """The runs of ENTITY/PROJECT/GROUP or ENTITY/PROJECT/sweeps/ID, the oldest first. Raises `UserError`."""
    match = PATH.fullmatch(path)
    if match is None:
        raise UserError(f"{path!r} is no place on W&B; write ENTITY/PROJECT/GROUP or ENTITY/PROJECT/sweeps/ID")
    filters: dict[str, Any] = {"group": match["group"]} if match["group"] else {"sweep": match["sweep"]}
    try:
        import wandb  # noqa: PLC0415 - heavy, and an extra
    except ImportError:
        raise UserError("the package wandb is not installed; install it with: pip install 'sweeptui[wandb]'") from None
    project = f"{match['entity']}/{match['project']}"
    try:
        runs = wandb.Api(timeout=30).runs(project, filters=filters, order="+created_at", per_page=PAGE, lazy=False)
        found = [
            Found("/".join(run.path), run.state, dict(run.config), flat(dict(run.summary_metrics)))
            for run in runs
            if run.job_type not in RECORDS
        ]
    except Exception as error:  # noqa: BLE001 - whatever the client raises, nothing can be read
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"{path} cannot be read from W&B: {reason or type(error).__name__}") from None
    if not found:
        raise UserError(f"{path} has no runs on W&B; a sweep is given as ENTITY/PROJECT/sweeps/ID")
    return found


def source(path: str, runs: Sequence[Found], tool: SweepTool) -> Source:
    """The runs as trials of a sweep like `tool`."""
    return Source(path, lambda: _rows(runs, tool))


def _rows(runs: Sequence[Found], tool: SweepTool) -> Iterator[Mapping[str, Any]]:
    for run in runs:
        status = "completed" if run.state == "finished" else "failed" if run.state in CRASHED else None
        yield {
            "name": run.path,
            "params": run.config,
            "metrics": {name: value for name, value in run.summary.items() if not name.startswith("_")},
            "status": status,
            "reason": f"{run.path} is {run.state}" if status == "failed" else f"taken from {run.path}",
            "cost": run.summary.get("_runtime") if tool.cost_unit == "seconds" else None,
        }
