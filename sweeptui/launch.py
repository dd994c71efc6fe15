"""From what a user asked for to a sweep that runs: the one place where all parts are put together.

Everything that can be wrong is found in `prepare`, before anything is written.
"""

from __future__ import annotations

import contextlib
import math
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sweeptui import budgets
from sweeptui.core import schedulers, warmstart
from sweeptui.core.config import SweepTool
from sweeptui.core.errors import UserError
from sweeptui.core.files import Files
from sweeptui.core.jobspec import project_dir
from sweeptui.core.limits import Ending, ExitCode
from sweeptui.core.objectives import Objectives, number_in, objectives_of
from sweeptui.core.orchestrator import Orchestrator
from sweeptui.core.space import Space
from sweeptui.core.state import SweepStatus
from sweeptui.core.stores.base import LeaseHeldError, StoreMissingError
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.dispatchers.places import dispatcher_of
from sweeptui.folders import (
    DATABASE,
    EXPERIMENT_DATABASE,
    existing_sweep,
    sweep_names,
    sweep_path,
    sweeps_dir,
)
from sweeptui.mirroring import Mirrored, fetch
from sweeptui.notices.notifier import Notifier
from sweeptui.notices.settings import settings
from sweeptui.readiness import check_tool, checked, made_up_name, service_of, warm_start_of
from sweeptui.surroundings import surroundings

if TYPE_CHECKING:
    from sweeptui.core.orchestrator import Listener
    from sweeptui.core.state import Change, SweepState
    from sweeptui.core.stores.sqlite import Transaction

LEASE_TTL_S = 10.0
WATCH_S = 0.05
"""Between two looks at a lease that somebody else holds."""
AcceptChanges = Literal["keep", "forget"]


@dataclass
class Session:
    """A sweep that this process is about to run, or runs."""

    name: str
    path: Path
    tool: SweepTool
    label: str = "headless"
    """What the lease calls this process."""
    resumed: bool = False
    """There are trials of an earlier run."""
    rescore: bool = False
    """The metric was changed: the scores of earlier trials are read again from what they reported."""
    launch: dict[str, Any] = field(default_factory=dict)
    """What is stored beside the configuration: the recipe, whether the name was made up, which trials the optimizer is
    to forget, and whether some may be of another search space (`mixed`)."""
    search: bool = True
    """False: only replicates are trained, and the search is left where it is."""
    say: Callable[[str], None] = lambda _: None
    """Told what the user should know and the store does not say; on any thread."""
    _orchestrator: Orchestrator | None = None
    _asked: bool | None = None

    @property
    def database(self) -> Path:
        return self.path / DATABASE

    def run(self, listener: Listener | None = None) -> Ending:
        """Run to the end, in the calling thread. Raises `LeaseHeldError` where another process runs the sweep.

        A sweep that another machine runs, as W&B says, is first followed until that machine falls silent.
        """
        if self.tool.store != "wandb":
            return self._run(listener)
        with Mirrored(self.path, self.tool, self.label, self.say) as mirror:
            if not mirror.lead(listener, lambda: self._asked is not None):
                return Ending(SweepStatus.INTERRUPTED, "left while another machine ran it", int(ExitCode.INTERRUPTED))
            mirror.on_lost = self.interrupt
            end = self._run(listener)
            mirror.finish()
            if mirror.lost:
                mirror.set_aside(f"{mirror.lost}, and the trials on this machine were stopped")
            return end

    def _run(self, listener: Listener | None) -> Ending:
        with contextlib.closing(SqliteStore.open(self.database)) as store:
            self._take_lease(store)
            notifier = None
            around = budgets.around(self.path.parents[2], self.path.name) if self.search else []
            try:
                if self.tool.max_trials > store.state.searched:
                    budgets.change(around, self.path.name, self.tool.max_trials)
                config = {**self.tool.to_json(), "launch": self.launch}
                if config != dict(store.state.config):
                    with store.transaction() as tx:
                        tx.set_sweep(config=config)
                        if self.rescore:
                            _rescore(tx, store.state, self.tool.protein_config.metric)
                notifier = Notifier(settings(self.tool.notify), self.path)
                notifier.begin(store.state)
                listener = _both(notifier.changed, listener)
                self._orchestrator = _orchestrator(store, self.tool, self.path, listener, search=self.search)
                if self._asked is not None:
                    self._orchestrator.interrupt(self._asked)
                end = self._orchestrator.run()
                if end.status is not SweepStatus.INTERRUPTED:
                    budgets.release(around, self.path.name)
                return end
            finally:
                with contextlib.suppress(Exception):
                    store.release_lease()
                if notifier is not None:
                    notifier.close()

    def _take_lease(self, store: SqliteStore) -> None:
        """Become the one who runs the sweep.

        Where somebody is, wait for a sign of life before giving up: a process that was stopped, or whose machine is
        gone, shows none, and is taken over from when its time is up. Raises `LeaseHeldError`.
        """
        try:
            return store.acquire_lease(self.label, LEASE_TTL_S)
        except LeaseHeldError as error:
            seen = error.holder
        while (holder := store.lease()) is not None and holder.alive:
            if (holder.token, holder.counter) != (seen.token, seen.counter) or self._asked is not None:
                raise LeaseHeldError(store.path, holder)
            time.sleep(WATCH_S)
        return store.acquire_lease(self.label, LEASE_TTL_S)

    def interrupt(self, leave_running: bool = False) -> None:
        """End `run` soon. Safe in a signal handler and before `run`."""
        self._asked = leave_running
        if self._orchestrator is not None:
            self._orchestrator.interrupt(leave_running)


def prepare(
    recipe: str | None,
    tool: SweepTool,
    root: Path,
    *,
    label: str = "headless",
    accept_changes: AcceptChanges | None = None,
    new: bool = False,
) -> Session:
    """Check everything, then open the sweep or make it.

    Without `tool.sweep_name`, the newest unfinished sweep of the same recipe and search that nobody runs goes on (so
    that the same command goes on after a crash), else a name is made up; `new` always makes one up. A changed search
    space, metric or goal is refused with a readable diff unless `accept_changes` says what becomes of the old trials:
    "keep" lets those inside the new space inform the optimizer, "forget" none. Raises `UserError`.
    """
    root = root.resolve()
    tool = checked(tool, root)
    settings(tool.notify)
    name = tool.sweep_name
    auto = name is None
    if name is None:
        name = (None if new else _unfinished(root, recipe, tool)) or made_up_name(recipe, root, tool)
    tool = tool.model_copy(update={"sweep_name": name})
    path = sweep_path(root, name)
    if (path / EXPERIMENT_DATABASE).exists():
        raise UserError(f"sweep_name is {name!r}, which is an experiment already; choose another one")
    launch: dict[str, Any] = {"recipe": recipe, "auto_named": auto}
    if tool.store == "wandb" and not auto and not SqliteStore.exists(path / DATABASE):
        fetch(path, tool, label)
    try:
        with contextlib.closing(SqliteStore.open(path / DATABASE, readonly=True)) as store:
            stored, resumed = dict(store.state.config), bool(store.state.trials)
            last = store.state.last_trial
    except StoreMissingError:
        launch["surroundings"] = surroundings(project_dir(tool))
        if tool.warm_start is not None:
            launch["warm_start"] = warm_start_of(root, tool, tool.warm_start)
        SqliteStore.create(path / DATABASE, name, {**tool.to_json(), "launch": launch}).close()
        return Session(name, path, tool, label, launch=launch)
    old_launch = stored.pop("launch", {})
    tool = _warm_started(name, tool, warmstart.stored({"launch": old_launch}).get("sweep"))
    changes = _changes(SweepTool.from_json(stored), tool)
    if changes and accept_changes is None:
        raise UserError(
            f"sweep {name!r} was searching something else ({'; '.join(changes)}); choose another --sweep-name, or pass "
            f"--accept-changes keep (old trials inside the new space still inform the optimizer) or forget"
        )
    launch |= {
        key: old_launch[key]
        for key in ("auto_named", "forget_trials_up_to", "mixed", "surroundings", "warm_start")
        if key in old_launch
    }
    if changes and accept_changes == "forget":
        launch["forget_trials_up_to"] = last
    elif changes:
        launch["mixed"] = True
    rescore = objectives_of(stored)[0].name != tool.protein_config.metric
    return Session(name, path, tool, label, resumed, rescore, launch)


def reopen(root: Path, name: str, *, label: str = "headless", search: bool = True) -> Session:
    """Go on with a sweep from the configuration in its database, or without `search` with its replicates alone.

    Raises `UserError`.
    """
    root = root.resolve()
    path = existing_sweep(root, name)
    with contextlib.closing(SqliteStore.open(path / DATABASE, readonly=True)) as store:
        stored, resumed = dict(store.state.config), bool(store.state.trials)
    launch = stored.pop("launch", {})
    tool = SweepTool.from_json(stored)
    check_tool(tool, root)
    if search:
        budgets.check(budgets.around(path.parents[2], path.name), path.name, tool.max_trials)
    return Session(name, path, tool, label, resumed, launch=launch, search=search)


def steward(root: Path, name: str) -> None:
    """Where nobody runs a sweep: apply the commands that wait for it, and launch nothing.

    Does nothing where somebody does run it. Raises `UserError`.
    """
    session = reopen(root, name, label="steward", search=False)
    with contextlib.closing(SqliteStore.open(session.database)) as store:
        try:
            store.acquire_lease("steward", LEASE_TTL_S)
        except LeaseHeldError:
            return
        try:
            _orchestrator(store, session.tool, session.path, None).settle()
        finally:
            store.release_lease()


def stop_sweep(root: Path, name: str, *, kill: bool, actor: str) -> str:
    """Ask whoever runs a sweep to end it, or end it here where nobody does. One sentence. Raises `UserError`."""
    with contextlib.closing(SqliteStore.open(existing_sweep(root.resolve(), name) / DATABASE)) as store:
        store.submit("stop", {"kill": kill}, actor)
    steward(root, name)
    return f"told to stop: {name}"


def _both(first: Listener, second: Listener | None) -> Listener:
    def told(changes: list[Change], state: SweepState) -> None:
        first(changes, state)
        if second is not None:
            second(changes, state)

    return told


def _orchestrator(
    store: SqliteStore, tool: SweepTool, path: Path, listener: Listener | None, *, search: bool = True
) -> Orchestrator:
    return Orchestrator(
        store,
        tool,
        Files(path),
        dispatcher_of(tool, path),
        schedulers.resolve(tool.scheduler, tool.scheduler_options),
        service_of(tool, path / "optimizer.log"),
        listener=listener,
        search=search,
        allow_trials=lambda trials: budgets.change(budgets.around(path.parents[2], path.name), path.name, trials),
    )


def _warm_started(name: str, tool: SweepTool, before: str | None) -> SweepTool:
    """The configuration of a sweep that goes on: what it was warm-started from stays. Raises `UserError`."""
    if tool.warm_start not in (None, before):
        was = f"was warm-started from {before!r}" if before else "was not warm-started"
        raise UserError(
            f"warm_start is {tool.warm_start!r}, but sweep {name!r} is there already and {was}; choose another"
            " --sweep-name, or pass --new where none was given"
        )
    return tool.model_copy(update={"warm_start": before})


def _rescore(tx: Transaction, state: SweepState, metric: str) -> None:
    for trial in state.trials.values():
        value = number_in(trial.metrics, metric)
        tx.set_trial(trial.number, score=value if value is not None and math.isfinite(value) else None)


def _changes(old: SweepTool, new: SweepTool) -> list[str]:
    """What differs in what a sweep searches for, one readable line each."""
    before, after = old.search_signature(), new.search_signature()
    lines = []
    if before["metrics"] != after["metrics"]:
        lines = _changed_objectives(old.protein_config.objectives, new.protein_config.objectives)
    return lines + Space.diff(old.space, new.space)


def _changed_objectives(before: Objectives, after: Objectives) -> list[str]:
    if len(before) == len(after) == 1:
        pairs = {"metric": (before[0].name, after[0].name), "goal": (before[0].goal, after[0].goal)}
        return [f"{key}: {old} -> {new}" for key, (old, new) in pairs.items() if old != new]
    return [f"metrics: {', '.join(map(str, before))} -> {', '.join(map(str, after))}"]


def _unfinished(root: Path, recipe: str | None, tool: SweepTool) -> str | None:
    """The newest sweep with a made-up name that the same command started and that is not over, if nobody runs it."""
    for name in sweep_names(root):
        with _readable(root, name) as store:
            if store is None:
                continue
            config = dict(store.state.config)
            launch = config.pop("launch", {})
            if not launch.get("auto_named") or launch.get("recipe") != recipe:
                continue
            if store.state.status in (SweepStatus.FINISHED, SweepStatus.STOPPED):
                continue
            lease = store.lease()
            if lease is not None and (lease.alive or lease.host != socket.gethostname()):
                continue
            with contextlib.suppress(UserError):
                if not _changes(SweepTool.from_json(config), tool):
                    return name
    return None


@contextlib.contextmanager
def _readable(root: Path, name: str) -> Iterator[SqliteStore | None]:
    try:
        store = SqliteStore.open(sweep_path(root, name) / DATABASE, readonly=True)
    except UserError:
        yield None
        return
    try:
        yield store
    finally:
        store.close()


__all__: Sequence[str] = [
    "AcceptChanges",
    "Session",
    "existing_sweep",
    "prepare",
    "reopen",
    "steward",
    "stop_sweep",
    "sweep_names",
    "sweep_path",
    "sweeps_dir",
]
