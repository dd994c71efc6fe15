"""From what a user asked for to a sweep that runs: the one place where all parts are put together.

Everything that can be wrong is found in `prepare`, before anything is written.
"""

from __future__ import annotations

import contextlib
import math
import os
import secrets
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sweeptui.core import schedulers, warmstart
from sweeptui.core.analysis.summary import tool_of
from sweeptui.core.config import SweepTool
from sweeptui.core.dispatch import JobSpec
from sweeptui.core.errors import UserError
from sweeptui.core.files import Files
from sweeptui.core.jobspec import argv_of, project_dir
from sweeptui.core.limits import Ending, ExitCode
from sweeptui.core.names import make_name
from sweeptui.core.objectives import Objectives, number_in, objectives_of
from sweeptui.core.optimizers.base import History, Suggestion
from sweeptui.core.optimizers.registry import is_foreign
from sweeptui.core.optimizers.seeding import stream_seed
from sweeptui.core.optimizers.service import OptimizerService
from sweeptui.core.orchestrator import Orchestrator
from sweeptui.core.remote import LOCAL, SKYPILOT, route_of
from sweeptui.core.space import Space
from sweeptui.core.state import SweepStatus
from sweeptui.core.stores.base import LeaseHeldError, StoreMissingError
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.template import check, default_eval_command, default_train_command
from sweeptui.core.trial import Job, Stage, Trial
from sweeptui.dispatchers.places import check_places, dispatcher_of, estimate
from sweeptui.folders import DATABASE, existing_sweep, sweep_names, sweep_path, sweeps_dir
from sweeptui.mirroring import Mirrored, fetch
from sweeptui.mirroring import check as check_mirror
from sweeptui.recipes.find import check_command

if TYPE_CHECKING:
    from sweeptui.core.orchestrator import Listener
    from sweeptui.core.state import SweepState
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
            if mirror.lost:
                mirror.set_aside(f"{mirror.lost}, and the trials on this machine were stopped")
            return end

    def _run(self, listener: Listener | None) -> Ending:
        with contextlib.closing(SqliteStore.open(self.database)) as store:
            self._take_lease(store)
            try:
                config = {**self.tool.to_json(), "launch": self.launch}
                if config != dict(store.state.config):
                    with store.transaction() as tx:
                        tx.set_sweep(config=config)
                        if self.rescore:
                            _rescore(tx, store.state, self.tool.protein_config.metric)
                self._orchestrator = _orchestrator(store, self.tool, self.path, listener)
                if self._asked is not None:
                    self._orchestrator.interrupt(self._asked)
                return self._orchestrator.run()
            finally:
                with contextlib.suppress(Exception):
                    store.release_lease()

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
    name = tool.sweep_name
    auto = name is None
    if name is None:
        name = (None if new else _unfinished(root, recipe, tool)) or _made_up(recipe, root, tool)
    tool = tool.model_copy(update={"sweep_name": name})
    path = sweep_path(root, name)
    launch: dict[str, Any] = {"recipe": recipe, "auto_named": auto}
    if tool.store == "wandb" and not auto and not SqliteStore.exists(path / DATABASE):
        fetch(path, tool, label)
    try:
        with contextlib.closing(SqliteStore.open(path / DATABASE, readonly=True)) as store:
            stored, resumed = dict(store.state.config), bool(store.state.trials)
            last = store.state.last_trial
    except StoreMissingError:
        if tool.warm_start is not None:
            launch["warm_start"] = _warm_start(root, tool, tool.warm_start)
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
        for key in ("auto_named", "forget_trials_up_to", "mixed", "warm_start")
        if key in old_launch
    }
    if changes and accept_changes == "forget":
        launch["forget_trials_up_to"] = last
    elif changes:
        launch["mixed"] = True
    rescore = objectives_of(stored)[0].name != tool.protein_config.metric
    return Session(name, path, tool, label, resumed, rescore, launch)


def reopen(root: Path, name: str, *, label: str = "headless") -> Session:
    """Go on with a sweep from the configuration in its database. Raises `UserError`."""
    root = root.resolve()
    path = existing_sweep(root, name)
    with contextlib.closing(SqliteStore.open(path / DATABASE, readonly=True)) as store:
        stored, resumed = dict(store.state.config), bool(store.state.trials)
    launch = stored.pop("launch", {})
    tool = SweepTool.from_json(stored)
    _check(tool, root)
    return Session(name, path, tool, label, resumed, launch=launch)


def dry_run(recipe: str | None, tool: SweepTool, root: Path) -> list[tuple[Stage, list[str]]]:
    """The exact commands of the first trial; nothing is run and nothing written. Raises `UserError`."""
    root = root.resolve()
    tool = checked(tool, root)
    name = tool.sweep_name or make_name(recipe or "sweep", sweep_names(root))
    if tool.warm_start is not None:
        _warm_start(root, tool, tool.warm_start)
    params = _first_suggestion(tool).params
    trial = Trial(number=1, params=params, seed=stream_seed(tool.seed, "trial", 1) % 2**31, created_at=0.0)
    files = Files(sweep_path(root, name))
    found = []
    for stage in (Stage.TRAIN, Stage.EVAL) if tool.has_eval else (Stage.TRAIN,):
        if stage is Stage.EVAL and "{checkpoint}" in " ".join(tool.eval_command or ()):
            # Only the training knows: what stands there is the place where it will be.
            trial = Trial(
                number=1,
                params=params,
                seed=trial.seed,
                created_at=0.0,
                checkpoint=f"{files.checkpoints(1)}/CHECKPOINT",
            )
        job = Job(id=0, trial=1, stage=stage, attempt=1, created_at=0.0)
        found.append((stage, argv_of(tool, name, files, trial, job)))
    return found


@dataclass(frozen=True)
class Cost:
    """What SkyPilot's optimizer says of the jobs of one stage."""

    stage: Stage
    resources: str
    price_usd_h: float | None
    """Of one job; None where the catalogue knows no price."""
    sentence: str


def estimated_costs(tool: SweepTool, root: Path) -> list[Cost]:
    """What the machines would cost that SkyPilot would take, by stage; nothing is launched. Raises `UserError`."""
    stages = [stage for stage in tool.stages if route_of(tool, stage, {}) == SKYPILOT]
    if not stages:
        return []
    tool = checked(tool, root.resolve())
    files = Files(root.resolve())
    costs = []
    for stage in stages:
        spec = JobSpec(
            token=f"trial_0001.{stage}.1",
            trial=1,
            stage=stage,
            argv=("true",),
            env={},
            cwd=files.folder,
            trial_dir=files.folder,
            log_path=files.folder,
            report_path=files.folder,
            cpus=tool.cpus_per_trial,
        )
        found = estimate(tool, spec)
        price = found["price_usd_h"]
        costs.append(Cost(stage, found["resources"], price, _what_it_costs(tool, stage, found["resources"], price)))
    return costs


def _what_it_costs(tool: SweepTool, stage: Stage, resources: str, price: float | None) -> str:
    if price is None:
        return f"{resources}, whose price is not known"
    at_once = min(tool.max_parallel_jobs, tool.max_trials)
    told = f"{resources}, ${price:.2f} per hour and job, ${price * at_once:.2f} per hour with {at_once} at once"
    limit_s = tool.train_timeout_s if stage is Stage.TRAIN else tool.eval_timeout_s
    if limit_s is None:
        return f"{told}; {stage}_timeout_s would say what the sweep can cost"
    return f"{told}, ${price * tool.max_trials * limit_s / 3600:.2f} at most for {tool.max_trials} trials"


def steward(root: Path, name: str) -> None:
    """Where nobody runs a sweep: apply the commands that wait for it, and launch nothing.

    Does nothing where somebody does run it. Raises `UserError`.
    """
    session = reopen(root, name, label="steward")
    with contextlib.closing(SqliteStore.open(session.database)) as store:
        try:
            store.acquire_lease("steward", LEASE_TTL_S)
        except LeaseHeldError:
            return
        try:
            _orchestrator(store, session.tool, session.path, None).settle()
        finally:
            store.release_lease()


def _orchestrator(store: SqliteStore, tool: SweepTool, path: Path, listener: Listener | None) -> Orchestrator:
    return Orchestrator(
        store,
        tool,
        Files(path),
        dispatcher_of(tool, path),
        schedulers.resolve(tool.scheduler, tool.scheduler_options),
        _service(tool, path / "optimizer.log"),
        listener=listener,
    )


def _service(tool: SweepTool, log_path: Path | None) -> OptimizerService:
    protein = tool.protein_config
    return OptimizerService(
        protein.method,
        tool.space,
        [each.goal for each in protein.objectives],
        protein.settings.model_dump(mode="json"),
        tool.seed,
        log_path=log_path,
    )


def _made_up(recipe: str | None, root: Path, tool: SweepTool) -> str:
    name = make_name(recipe or "sweep", sweep_names(root))
    # In a W&B project there may be sweeps of other machines, whose names are not known here.
    return f"{name}-{secrets.token_hex(2)}" if tool.store == "wandb" else name


def _complete(tool: SweepTool) -> SweepTool:
    """Fill in the commands that a recipe leaves to `recipe_module`, and where the jobs run."""
    folder = project_dir(tool).resolve()
    update: dict[str, Any] = {"working_dir": os.fspath(folder)}
    if tool.train_command is None:
        if tool.recipe_module is None:
            raise UserError("train_command is missing: give the command that trains, or recipe_module")
        update["train_command"] = default_train_command(tool, folder)
        if tool.eval_command is None and tool.has_eval:
            update["eval_command"] = default_eval_command(tool, folder)
    return tool.model_copy(update=update)


def checked(tool: SweepTool, root: Path) -> SweepTool:
    """The configuration with all that its recipe leaves open filled in. Raises `UserError` where it cannot run."""
    tool = _complete(tool)
    _check(tool, root.resolve())
    return tool


def _check(tool: SweepTool, root: Path) -> None:
    """Everything that would otherwise be found out by a failing first trial."""
    if tool.metric_source == "wandb" and find_spec("wandb") is None:
        raise UserError(
            "metric_source is 'wandb', and the package wandb is not installed; install it with: "
            "pip install 'sweeptui[wandb]'"
        )
    schedulers.resolve(tool.scheduler, tool.scheduler_options).check(tool.max_trials)
    check_mirror(tool)
    space = tool.space
    folder = project_dir(tool)
    if not folder.is_dir():
        raise UserError(f"working_dir is {os.fspath(folder)!r}, which is not a folder; create it or change working_dir")
    for stage, name, template, overrides in (
        (Stage.TRAIN, "train_command", tool.train_command, tool.train_overrides),
        (Stage.EVAL, "eval_command", tool.eval_command, tool.eval_overrides),
    ):
        if template:
            check(list(template), name, space.names, overrides)
            if route_of(tool, stage, {}) == LOCAL:
                check_command(list(template), folder)
    _check_writable(root)
    check_places(tool, sweeps_dir(root))
    _check_method(tool)


def _check_method(tool: SweepTool) -> None:
    """Whether its optimizer can be made; one of another library is asked once, for only that tells."""
    if is_foreign(tool.protein_config.method):
        _first_suggestion(tool)
    else:
        _service(tool, None).close()


def _first_suggestion(tool: SweepTool) -> Suggestion:
    service = _service(tool, None)
    try:
        service.start()
        service.request(History(), 1, 1)
        while (result := service.poll()) is None:
            time.sleep(0.02)
    finally:
        service.close()
    if not result.suggestions:
        raise UserError(result.error or "the search space is empty")
    if "fallback" in result.suggestions[0].provenance:
        raise UserError(f"method: {tool.protein_config.method!r} {result.suggestions[0].provenance['fallback']}")
    return result.suggestions[0]


def _check_writable(root: Path) -> None:
    place = sweeps_dir(root)
    while not place.exists():
        place = place.parent
    usage = shutil.disk_usage(place)
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK) or usage.total == 0:
        raise UserError(f"root is {os.fspath(root)!r}, and {os.fspath(place)!r} cannot be written; pass another --root")
    if usage.free == 0:
        raise UserError(f"root is {os.fspath(root)!r}, and its disk is full; make room or pass another --root")


def _warm_start(root: Path, tool: SweepTool, name: str) -> dict[str, Any]:
    with contextlib.closing(SqliteStore.open(existing_sweep(root, name) / DATABASE, readonly=True)) as store:
        return warmstart.copied(name, tool_of(store.state), store.state.trials, tool)


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
    "checked",
    "dry_run",
    "existing_sweep",
    "prepare",
    "reopen",
    "steward",
    "sweep_names",
    "sweep_path",
    "sweeps_dir",
]
