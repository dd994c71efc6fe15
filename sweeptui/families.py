"""Experiments as they lie in a folder: their stages, their state, and which sweeps and experiments are inside them."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweeptui.core.analysis.summary import truth
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.folders import EXPERIMENT_DATABASE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from sweeptui.core.state import Change
    from sweeptui.core.stores.base import Lease

KIND = "stage."
"""The kinds of journal rows that tell of stages begin with this."""


@dataclass(frozen=True, slots=True)
class StageSight:
    """A stage as far as it has come; one of a loop for each turn."""

    path: str
    """`optimize`, `loop1[3]/train`."""
    state: str
    """running, done, failed, or interrupted: it was begun, and nobody runs it now."""
    attempts: int = 0
    seconds: float | None = None
    """Of all attempts, once it is done."""
    began_at: float | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class ExperimentSight:
    """An experiment as it was found."""

    name: str
    label: str
    """Its state in one word, as it really is: see `truth`."""
    reason: str
    kind: str
    """What it is: the name of its class."""
    budget: int | None
    """Trials that all sweeps inside it may make."""
    created_at: float | None
    stages: tuple[StageSight, ...]
    holder: Lease | None
    """Who runs it now."""


def sight_experiment(folder: Path, **options: Any) -> ExperimentSight:
    """Look at the experiment in `folder`. Raises `StoreError`."""
    with closing(SqliteStore.open(folder / EXPERIMENT_DATABASE, readonly=True, **options)) as store:
        state, lease = store.state, store.lease()
        holder = lease if lease is not None and lease.alive else None
        budget = state.config.get("budget")
        return ExperimentSight(
            name=folder.name,
            label=truth(state, held=holder is not None, jobs_alive=False),
            reason=state.reason,
            kind=str(state.config.get("kind", "")),
            budget=budget if isinstance(budget, int) else None,
            created_at=state.created_at,
            stages=stages_in(store.journal(), runs=holder is not None),
            holder=holder,
        )


def stages_in(journal: Iterable[Change], *, runs: bool) -> tuple[StageSight, ...]:
    """The stages that a journal tells of, in the order they were begun."""
    found: dict[str, StageSight] = {}
    for change in journal:
        path = str(change.data.get("path", ""))
        match change.kind.removeprefix(KIND) if change.kind.startswith(KIND) else "":
            case "attempt":
                began = found[path].began_at if path in found else change.at
                state = "running" if runs else "interrupted"
                found[path] = StageSight(path, state, int(change.data["attempt"]), None, began)
            case "failed":
                old = found[path]
                found[path] = StageSight(path, "failed", old.attempts, None, old.began_at, str(change.data["error"]))
            case "done":
                began = found[path].began_at if path in found else change.at
                found[path] = StageSight(path, "done", change.data["attempts"], change.data["seconds"], began)
    return tuple(found.values())


def within(path: str) -> str:
    """How a stage is written in the names of what it runs."""
    return re.sub(r"[^A-Za-z0-9_]+", "-", path).strip("-") or "run"


def parents(sweeps: Iterable[str], experiments: Collection[str]) -> dict[str, str]:
    """What each sweep and experiment is inside of: an experiment, or a sweep whose trial runs it; "" where nothing.

    The longest name that one's own begins with, where an experiment is the outermost.
    """
    names = sorted({*sweeps, *experiments})
    inside: dict[str, str] = {}
    for name in names:
        pieces = name.split(".")
        around = [".".join(pieces[:end]) for end in range(len(pieces) - 1, 0, -1)]
        known = [each for each in around if each in experiments or each in inside]
        rooted = [each for each in known if each in experiments or inside[each]]
        inside[name] = rooted[0] if rooted else ""
    return inside


def stage_of(name: str, experiment: ExperimentSight) -> str:
    """The stage of an experiment that ran a sweep or an experiment called `name`; "" where that is not told."""
    rest = name.removeprefix(f"{experiment.name}.").split(".")[0]
    plain = re.sub(r"-\d+$", "", rest)
    paths = {within(stage.path): stage.path for stage in experiment.stages}
    return paths.get(rest) or paths.get(plain) or ""
