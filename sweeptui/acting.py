"""Acting on a whole experiment: what it is told, all sweeps and experiments inside it are told as well."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from sweeptui.core.errors import UserError
from sweeptui.core.state import SweepStatus
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import TrialStatus
from sweeptui.families import parents, sight_experiment
from sweeptui.folders import (
    DATABASE,
    EXPERIMENT_DATABASE,
    existing_sweep,
    experiment_names,
    sweep_names,
    sweep_path,
    sweeps_dir,
)
from sweeptui.launch import LEASE_TTL_S, steward, stop_sweep

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from typing import Any

    from sweeptui.families import ExperimentSight


def stop_experiment(root: Path, name: str, *, kill: bool, actor: str) -> str:
    """End an experiment and, first, what its stages run: sweeps stop, and so do experiments inside it.

    What is inside the trials of a sweep ends with them. What nobody runs is marked as stopped. One sentence of what was
    done. Raises `UserError`.
    """
    root = root.resolve()
    sights, inside = _look(root, name)
    told = []
    # The outermost hears of it first: it then begins nothing new while those inside it end.
    for each in sorted(inside):
        around = each
        while around != name and inside[around] in sights:
            around = inside[around]
        if around != name:
            continue
        if each in sights:
            database = sweep_path(root, each) / EXPERIMENT_DATABASE
            if sights[each].holder is not None:
                _submit(database, "stop", {"kill": kill}, actor)
                told.append(each)
            elif sights[each].label == SweepStatus.INTERRUPTED:
                _mark(database, SweepStatus.STOPPED, f"stopped by {actor}")
                told.append(each)
        else:
            with _store(root, each) as store:
                over = store.state.status.ended and not store.state.running_jobs
            if not over:
                stop_sweep(root, each, kill=kill, actor=actor)
                told.append(each)
    return f"told to stop: {', '.join(told)}" if told else f"{name} is {sights[name].label}; nothing of it runs"


def pause_experiment(root: Path, name: str, *, actor: str) -> str:
    """Have nothing new begun in an experiment and in all that is inside it; running trials run on.

    One sentence of what was done. Raises `UserError`.
    """
    root = root.resolve()
    sights, inside = _look(root, name)
    told = []
    for each in _within(name, inside):
        if each in sights:
            if sights[each].holder is not None and sights[each].label == SweepStatus.RUNNING:
                _submit(sweep_path(root, each) / EXPERIMENT_DATABASE, "pause", {}, actor)
                told.append(each)
            continue
        with _store(root, each) as store:
            runs = _held(store) and store.state.status is SweepStatus.RUNNING
        if runs:
            _submit(sweep_path(root, each) / DATABASE, "pause", {}, actor)
            told.append(each)
    return f"told to pause: {', '.join(told)}" if told else f"{name} is {sights[name].label}; nothing of it runs"


def resume_experiment(root: Path, name: str, *, actor: str) -> str:
    """Let a paused experiment go on, with all that is paused inside it. One sentence. Raises `UserError`."""
    root = root.resolve()
    sights, inside = _look(root, name)
    told = []
    # The innermost first: who waits for them goes on with something that runs.
    for each in reversed(_within(name, inside)):
        folder = sweep_path(root, each)
        database = folder / (EXPERIMENT_DATABASE if each in sights else DATABASE)
        with contextlib.closing(SqliteStore.open(database, readonly=True)) as store:
            paused, held = store.state.status is SweepStatus.PAUSED, _held(store)
        if not paused:
            continue
        if each in sights and not held:
            _mark(database, SweepStatus.INTERRUPTED, f"resumed by {actor}; it goes on when it is run again")
        else:
            _submit(database, "resume", {}, actor)
        if each not in sights and not held:
            steward(root, each)
        told.append(each)
    return f"told to go on: {', '.join(told)}" if told else f"{name} is {sights[name].label}; nothing of it is paused"


def tell_sweep(root: Path, name: str, verb: str, *, actor: str) -> str:
    """Pause or resume one sweep as a whole, whoever runs it. One sentence. Raises `UserError`."""
    root = root.resolve()
    _submit(existing_sweep(root, name) / DATABASE, verb, {}, actor)
    steward(root, name)
    return f"told to {'go on' if verb == 'resume' else verb}: {name}"


def requeue_failed(root: Path, sweeps: Iterable[str], *, actor: str) -> str:
    """Queue the failed trials of those of the sweeps again that somebody runs. One sentence. Raises `UserError`."""
    root = root.resolve()
    told = []
    for each in sweeps:
        with _store(root, each) as store:
            trials = store.state.trials.values()
            failed = [trial.number for trial in trials if trial.status is TrialStatus.FAILED]
            runs = _held(store)
        if runs and failed:
            _submit(sweep_path(root, each) / DATABASE, "requeue", {"trials": failed}, actor)
            told.append(f"{len(failed)} of {each}")
    if not told:
        raise UserError("no sweep of it that runs now has a failed trial")
    return f"failed trials that are queued again: {', '.join(told)}"


def _look(root: Path, name: str) -> tuple[dict[str, ExperimentSight], dict[str, str]]:
    """All experiments, and what each sweep and experiment is inside of."""
    experiments = experiment_names(root)
    if name not in experiments:
        raise UserError(f"there is no experiment {name!r} under {sweeps_dir(root)}")
    sights = {each: sight_experiment(sweep_path(root, each)) for each in experiments}
    return sights, parents(sweep_names(root), sights)


def _within(name: str, inside: Mapping[str, str]) -> list[str]:
    """The experiment and all that is inside it, in trials of sweeps as well; the outermost first."""
    found = {name}
    for each in sorted(inside):  # what is around something has the shorter name
        if inside[each] in found:
            found.add(each)
    return sorted(found)


def _held(store: SqliteStore) -> bool:
    lease = store.lease()
    return lease is not None and lease.alive


def _store(root: Path, name: str) -> contextlib.closing[SqliteStore]:
    return contextlib.closing(SqliteStore.open(sweep_path(root, name) / DATABASE, readonly=True))


def _submit(database: Path, verb: str, args: Mapping[str, Any], actor: str) -> None:
    with contextlib.closing(SqliteStore.open(database)) as store:
        store.submit(verb, args, actor)


def _mark(database: Path, status: SweepStatus, reason: str) -> None:
    """Of an experiment that nobody runs: how it stands."""
    with contextlib.closing(SqliteStore.open(database)) as store:
        store.acquire_lease("steward", LEASE_TTL_S)
        try:
            with store.transaction() as tx:
                tx.set_sweep(status=status, reason=reason)
        finally:
            store.release_lease()
