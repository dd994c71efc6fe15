"""The sweeps under a root, as the start screen shows them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sweeptui.core.analysis.summary import best_trial, goal, recipe_of
from sweeptui.core.errors import UserError
from sweeptui.core.objectives import objectives_of
from sweeptui.core.state import SweepStatus
from sweeptui.core.stores.base import StoreBusyError
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import RUNNING, TrialStatus
from sweeptui.families import ExperimentSight, sight_experiment
from sweeptui.folders import EXPERIMENT_DATABASE
from sweeptui.survey import DATABASE, sight

if TYPE_CHECKING:
    from sweeptui.core.stores.base import Lease
    from sweeptui.core.trial import Trial

SWEEP, EXPERIMENT, STAGE = "sweep", "experiment", "stage"
"""Kinds of entries."""
UNREADABLE, LOCKED = "unreadable", "locked"
BUSY_TIMEOUT_S = 0.3
"""A database that somebody keeps locked must not hold up the others."""

Signature = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One sweep as it was found; or an experiment, or a stage of one, whose trials are those of the sweeps inside."""

    name: str
    folder: Path
    label: str
    """Its state in one word, as `truth` has it, or "unreadable" or "locked"."""
    problem: str = ""
    """Why it cannot be read."""
    reason: str = ""
    recipe: str = ""
    metric: str = ""
    goal: str = ""
    cost_unit: str = "seconds"
    done: int = 0
    max_trials: int = 0
    running: int = 0
    failed: int = 0
    best: Trial | None = None
    created_at: float | None = None
    """Epoch seconds."""
    run_s: float = 0.0
    spent: float = 0.0
    """In the cost unit, all attempts of all trials."""
    holder: Lease | None = None
    """Who runs it now."""
    kind: str = SWEEP
    parent: str = ""
    """The name of the entry that this one is inside of."""
    title: str = ""
    """What it is called there."""
    index: int = 0
    """Of a stage: its place among the stages of its experiment."""
    depth: int = 0
    """How many of those around it are shown with it."""

    @property
    def lives(self) -> bool:
        """Somebody runs it, or trials of it run although nobody does."""
        return self.holder is not None or self.label == "detached"

    @property
    def can_go_on(self) -> bool:
        return self.kind == SWEEP and not self.problem and self.label not in (SweepStatus.FINISHED, SweepStatus.STOPPED)

    @property
    def text(self) -> str:
        """What a filter looks at."""
        return f"{self.name} {self.label} {self.recipe} {self.metric}".lower()


class Inventory:
    """Reads all sweeps of a folder again and again. One thread at a time may use it.

    A sweep that nobody runs is read only when its file has changed; of one that is running the store stays open.
    """

    def __init__(self, sweeps_dir: Path) -> None:
        self._dir = sweeps_dir
        self._known: dict[Path, tuple[Signature, Entry]] = {}
        self._stores: dict[Path, tuple[SqliteStore, int]] = {}
        """With the last change that its entry is of."""
        self._experiments: dict[str, tuple[Signature, ExperimentSight]] = {}

    def read(self) -> tuple[Entry, ...]:
        """All sweeps, by name, and the experiments that they are inside of with their stages."""
        from sweeptui.app.nesting import nested  # noqa: PLC0415 - it needs this module

        sweeps = self._sweeps()
        self._look_at_experiments()
        if not self._experiments:
            return sweeps
        return nested(sweeps, {name: sight for name, (_, sight) in self._experiments.items()}, self._dir)

    def _look_at_experiments(self) -> None:
        found = {}
        for folder in self._folders(EXPERIMENT_DATABASE):
            signature, known = _signature(folder, EXPERIMENT_DATABASE), self._experiments.get(folder.name)
            if known is not None and (known[0] == signature and known[1].holder is None):
                found[folder.name] = known
                continue
            try:
                found[folder.name] = signature, sight_experiment(folder, busy_timeout_s=BUSY_TIMEOUT_S)
            except StoreBusyError:
                if known is not None:
                    found[folder.name] = known
            except UserError as error:
                unreadable = ExperimentSight(folder.name, UNREADABLE, str(error), "", None, None, (), None)
                found[folder.name] = signature, unreadable
        self._experiments = found

    def _sweeps(self) -> tuple[Entry, ...]:
        found = self._folders()
        for folder in self._known.keys() - set(found):
            self._forget(folder)
        entries = []
        for folder in found:
            signature = _signature(folder)
            known = self._known.get(folder)
            if known is not None and _inode(known[0]) != _inode(signature):  # another sweep in the same place
                self._forget(folder)
                known = None
            if known is None or known[0] != signature or known[1].lives or known[1].label == LOCKED:
                self._known[folder] = signature, self._look(folder, known[1] if known else None)
            entries.append(self._known[folder][1])
        return tuple(entries)

    def close(self) -> None:
        for folder in list(self._known):
            self._forget(folder)

    def _folders(self, database: str = DATABASE) -> list[Path]:
        try:
            return sorted(folder for folder in self._dir.iterdir() if (folder / database).exists())
        except OSError:
            return []

    def _forget(self, folder: Path) -> None:
        self._known.pop(folder, None)
        if folder in self._stores:
            self._stores.pop(folder)[0].close()

    def _look(self, folder: Path, old: Entry | None) -> Entry:
        try:
            store, seen = self._stores.pop(folder, (None, -1))
            if store is None:
                store = SqliteStore.open(folder / DATABASE, readonly=True, busy_timeout_s=BUSY_TIMEOUT_S)
            try:
                store.refresh()
                entry = _entry(folder, store, old if store.state.last_seq == seen else None)
            except BaseException:
                store.close()
                raise
        except StoreBusyError as error:
            return replace(old or Entry(folder.name, folder, LOCKED), label=LOCKED, problem=str(error))
        except UserError as error:
            return Entry(folder.name, folder, UNREADABLE, problem=str(error))
        if entry.lives:
            self._stores[folder] = store, store.state.last_seq
        else:
            store.close()
        return entry


def _entry(folder: Path, store: SqliteStore, old: Entry | None) -> Entry:
    """What the store says. `old` says the same of all but who runs it, where nothing has changed since."""
    seen = sight(folder, store)
    if old is not None and not old.problem:
        return replace(old, label=seen.label, holder=seen.holder)
    state = store.state
    config = state.config
    return Entry(
        name=folder.name,
        folder=folder,
        label=seen.label,
        reason=state.reason,
        recipe=str(config.get("launch", {}).get("recipe") or recipe_of(state)),
        metric=" and ".join(each.name for each in objectives_of(config)),
        goal=goal(state),
        cost_unit=str(config.get("cost_unit", "seconds")),
        done=sum(count for status, count in state.counts.items() if status.terminal),
        max_trials=max(int(config.get("max_trials", 0)), len(state.trials)),
        running=sum(state.counts[status] for status in RUNNING),
        failed=state.counts[TrialStatus.FAILED],
        best=best_trial(state),
        created_at=state.created_at,
        run_s=state.run_s,
        spent=sum(trial.spent for trial in state.trials.values()),
        holder=seen.holder,
    )


def _signature(folder: Path, database: str = DATABASE) -> Signature:
    """What differs whenever the database has been written to."""
    found = []
    for name in (database, f"{database}-wal", f"{database}-journal"):
        with suppress(OSError):
            stat = (folder / name).stat()
            if stat.st_size:  # an empty journal comes and goes with those who only read
                found.append((stat.st_ino, stat.st_mtime_ns, stat.st_size))
    return tuple(found)


def _inode(signature: Signature) -> int:
    return signature[0][0] if signature else 0
