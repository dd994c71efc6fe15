"""Takes over what a sweep or a group of runs on W&B has found, as a sweep of this machine.

Each run that has ended becomes a trial with its parameters, score and running time. The policy for a value that the
search space does not have: the trial is left out ("drop"), the value is moved to the nearest that there is ("clip"), or
the trial is taken as it is and shown, but tells the optimizer nothing ("keep"). Whatever is left out is counted.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from sweeptui.core.distributions import Distribution
from sweeptui.core.errors import UserError
from sweeptui.core.optimizers.seeding import trial_seed
from sweeptui.core.state import SweepStatus
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import FailureKind, TrialStatus
from sweeptui.core.wandb_log import flat
from sweeptui.core.wandb_source import number
from sweeptui.folders import DATABASE, sweep_names, sweep_path

if TYPE_CHECKING:
    from pathlib import Path

    from sweeptui.core.config import SweepTool
    from sweeptui.core.stores.sqlite import Transaction

Policy = Literal["drop", "clip", "keep"]
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


@dataclass
class Report:
    """What became of the runs."""

    sweep: str
    path: str
    runs: int = 0
    completed: int = 0
    failed: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    """Why runs were left out or changed -> how many."""

    def lines(self) -> list[str]:
        said = [f"{self.runs} runs of {self.path}: {self.completed} with a score and {self.failed} without were taken"]
        return said + [f"{count} {what}" for what, count in sorted(self.counts.items())]


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


def write(root: Path, name: str, tool: SweepTool, path: str, runs: Sequence[Found], policy: Policy) -> Report:
    """Make a sweep of the runs, which is over. `tool` is complete. Raises `UserError`, with nothing written."""
    if name in sweep_names(root):
        raise UserError(f"sweep {name!r} is there already; choose another --sweep-name")
    report = Report(name, path, len(runs))
    chosen = list(_chosen(tool, runs, policy, report))
    if not chosen:
        why = "; ".join(report.lines()[1:])
        raise UserError(f"none of the {len(runs)} runs of {path} can be taken: {why}")
    tool = tool.model_copy(update={"sweep_name": name, "max_trials": max(tool.max_trials, len(chosen))})
    launch = {"recipe": None, "auto_named": False, "imported_from": path, "mixed": policy == "keep"}
    store = SqliteStore.create(sweep_path(root, name) / DATABASE, name, {**tool.to_json(), "launch": launch})
    with contextlib.closing(store):
        store.acquire_lease("import", 60.0)
        with store.transaction() as tx:
            for order, (run, params) in enumerate(chosen, 1):
                _write_trial(tx, tool, run, params, order, report)
            reason = f"{len(chosen)} trials were taken from {path}"
            tx.set_sweep(status=SweepStatus.FINISHED, reason=reason)
        store.release_lease()
    return report


def _chosen(
    tool: SweepTool, runs: Iterable[Found], policy: Policy, report: Report
) -> Iterable[tuple[Found, dict[str, Any]]]:
    for run in runs:
        if run.state != "finished" and run.state not in CRASHED:
            report.counts["were left out: they have not ended"] += 1
            continue
        params = _params(tool, run.config)
        missing = next((name for name, each in params.items() if each is _MISSING), None)
        if missing is not None:
            report.counts[f"were left out: their config has no {missing}"] += 1
            continue
        outside = [name for name, each in tool.space.distributions.items() if not each.contains(params[name])]
        if outside and policy == "clip":
            params |= {name: _nearest(tool.space.distributions[name], params[name]) for name in outside}
            impossible = [name for name in outside if params[name] is _MISSING]
            if impossible:
                report.counts[f"were left out: nothing is near their {impossible[0]}"] += 1
                continue
            report.counts["had values outside of the space, which were moved to its bounds"] += 1
        elif outside and policy == "drop":
            report.counts[f"were left out: their {outside[0]} is outside of the space"] += 1
            continue
        elif outside:
            report.counts["lie outside of the space: they are shown, and tell the optimizer nothing"] += 1
        yield run, params


_MISSING = object()


def _params(tool: SweepTool, config: Mapping[str, Any]) -> dict[str, Any]:
    """The searched parameters, as the space writes them where it can; `_MISSING` for those that are not there."""
    nested = tool.wandb.nested if tool.wandb else {}
    params: dict[str, Any] = {}
    for name, distribution in tool.space.distributions.items():
        value = config[name] if name in config else _inside(config, nested.get(name) or name.split("."))
        if value is _MISSING and distribution.kind == "constant":
            value = distribution.from_unit(0.5)
        params[name] = _plain(distribution, value)
    return params


def _inside(config: Any, path: Sequence[str]) -> Any:
    for key in path:
        if not isinstance(config, Mapping) or key not in config:
            return _MISSING
        config = config[key]
    return config


def _plain(distribution: Distribution, value: Any) -> Any:
    """3.0 is 3 where whole numbers are searched, and 3 is 3.0 where any are: W&B keeps no difference."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if distribution.kind == "continuous":
        return float(value)
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    return next((each for each in (value, whole, float(value)) if distribution.contains(each)), value)


def _nearest(distribution: Distribution, value: Any) -> Any:
    """The nearest value that there is; `_MISSING` where nothing says which."""
    if distribution.kind == "constant":
        return distribution.from_unit(0.5)
    if distribution.kind == "categorical" or isinstance(value, bool) or not isinstance(value, int | float):
        return _MISSING
    if not math.isfinite(value):
        return _MISSING
    low, high = distribution.from_unit(0.0), distribution.from_unit(1.0)
    if not low < value < high:
        return low if value <= low else high
    # Between two values that there are: halve the axis until it is one of them.
    left, right = 0.0, 1.0
    for _ in range(64):
        middle = (left + right) / 2
        if distribution.from_unit(middle) < value:
            left = middle
        else:
            right = middle
    return min((distribution.from_unit(left), distribution.from_unit(right)), key=lambda each: abs(each - value))


def _write_trial(
    tx: Transaction, tool: SweepTool, run: Found, params: Mapping[str, Any], order: int, report: Report
) -> None:
    metric = tool.protein_config.metric
    score = number(run.summary.get(metric))
    cost = number(run.summary.get("_runtime")) if tool.cost_unit == "seconds" else None
    trial = tx.create_trial(params, trial_seed(tool.seed, order), {"method": "import", "run": run.path})
    end: dict[str, Any] = {"status": TrialStatus.FAILED, "reason": f"{run.path} is {run.state}"}
    if run.state in CRASHED:
        end["failure"] = FailureKind.CRASHED
    elif score is None:
        end |= {"failure": FailureKind.NO_METRIC, "reason": f"the summary of {run.path} has no {metric!r}"}
    elif not math.isfinite(score):
        end |= {"failure": FailureKind.INVALID_METRIC, "reason": f"the summary of {run.path} has {metric!r} = {score}"}
    else:
        end = {"status": TrialStatus.COMPLETED, "score": score, "reason": f"taken from {run.path}"}
    report.completed += end["status"] is TrialStatus.COMPLETED
    report.failed += end["status"] is TrialStatus.FAILED
    own = {name: value for name, value in run.summary.items() if not name.startswith("_")}
    tx.set_trial(trial.number, status=TrialStatus.TRAINING, started_at=tx.now)
    tx.set_trial(trial.number, **end, cost=cost, metrics=own, end_order=order, ended_at=tx.now)
