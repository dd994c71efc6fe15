"""Sweeps mirrored to a W&B server for tests: one server a process, for the client remembers its settings."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from fake_wandb import FakeWandb

from sweeptui.core.state import SweepState
from sweeptui.core.stores.rows import SWEEP_COLUMNS
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.stores.wandb import process
from sweeptui.core.stores.wandb.book import Standing, standing
from sweeptui.core.stores.wandb.mirror import Mirror
from sweeptui.core.stores.wandb.process import Process, Settings
from sweeptui.core.trial import Job

T = TypeVar("T")
DATABASE = process.DATABASE
PATIENCE_S = 60.0
CONFIG = {
    "max_trials": 10,
    "protein_config": {"metric": "score", "goal": "maximize", "method": "random", "parameters": {}},
    "env": {},
}


def until(condition: Callable[[], T]) -> T:
    """Wait for a condition to hold; what it gave."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {PATIENCE_S} s"
        time.sleep(0.02)
    return found


@dataclass
class Bench:
    """One W&B project on the server, and folders that stand for machines."""

    server: FakeWandb | None
    """None where it is the real service."""
    project: str
    entity: str
    path: Path
    sweep: str
    ttl_s: float = 60.0

    def settings(self, label: str = "test") -> Settings:
        return Settings(self.sweep, self.project, self.entity, self.ttl_s, label)

    def folder(self, machine: str) -> Path:
        return self.path / machine / self.sweep

    def create(self, machine: str = "a") -> SqliteStore:
        return SqliteStore.create(self.folder(machine) / DATABASE, self.sweep, CONFIG)

    @contextmanager
    def mirror(self, machine: str, store: SqliteStore) -> Iterator[Mirror]:
        mirror = Mirror(self.folder(machine), store, machine, self.ttl_s)
        remote = self.settings().connect()
        mirror.connect(remote)
        try:
            yield mirror
        finally:
            remote.close()

    def send(
        self, store: SqliteStore, machine: str = "a", write: Callable[[SqliteStore], None] = lambda _: None
    ) -> None:
        """Run the sweep on a machine for a moment: become its leader, write, bring it all to W&B, and let go."""
        with self.mirror(machine, store) as mirror:
            mirror.look()
            assert mirror.join() is None
            write(store)
            mirror.push()
            mirror.release()

    def rebuilt(self, machine: str = "b") -> SqliteStore:
        """The sweep on a machine that has never seen it."""
        process.fetch(self.folder(machine), self.settings())
        return SqliteStore.open(self.folder(machine) / DATABASE)

    def run(self, name: str) -> Any:
        assert self.server is not None
        return self.server.runs.now(self.entity, self.project, name)


class Machine:
    """The mirror's process, as a thread of this one, on a store of its own."""

    def __init__(self, bench: Bench, name: str, events: list[dict[str, Any]] | None = None) -> None:
        self.bench, self.name = bench, name
        self.folder = bench.folder(name)
        self.store = SqliteStore.open(self.folder / DATABASE)
        self.process = Process(self.folder, bench.settings(name), self.store)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.error: BaseException | None = None
        self.thread.start()

    def _run(self) -> None:
        try:
            self.process.run()
        except BaseException as error:
            self.error = error

    @property
    def standing(self) -> Standing:
        assert self.error is None, self.error
        return standing(self.folder) or Standing("connecting")

    @contextmanager
    def writing(self) -> Iterator[Any]:
        """Write as the orchestrator on that machine does."""
        with closing(SqliteStore.open(self.folder / DATABASE)) as store, store.transaction() as tx:
            yield tx

    def finish(self) -> None:
        self.process.finishing = True
        self._end()

    def die(self) -> None:
        """Without a word to W&B, as when the machine is gone."""
        self.process.finish = lambda **_: None  # type: ignore[method-assign]
        self.finish()

    def _end(self) -> None:
        self.process.wake.set()
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()
        self.store.close()
        assert self.error is None, self.error


def contents(store: SqliteStore) -> tuple[dict[str, Any], dict[int, Any], list[Job]]:
    """All of a sweep that is to be the same wherever it lies."""
    store.refresh()
    return *_of(store.state), [job for number in sorted(store.state.trials) for job in store.jobs(number)]


def _of(state: SweepState) -> tuple[dict[str, Any], dict[int, Any]]:
    sweep = {name: getattr(state, name) for name in SWEEP_COLUMNS}
    # NaN is not equal to itself, and is to be here.
    return sweep, {number: repr(trial) for number, trial in sorted(state.trials.items())}


@contextmanager
def real_bench(path: Path) -> Iterator[Bench]:
    """A sweep on W&B itself, deleted afterwards. Skips where there is no key, or no project to test in."""
    names = ("WANDB_API_KEY", "SWEEP_TEST_WANDB_ENTITY", "SWEEP_TEST_WANDB_PROJECT")
    missing = [name for name in names if not os.environ.get(name)]
    if missing or os.environ.get("WANDB_BASE_URL", "").startswith("http://127."):
        pytest.skip(f"not on W&B itself: set {', '.join(missing) or 'no WANDB_BASE_URL'}, and run -m wandb_real alone")
    bench = Bench(None, os.environ[names[2]], os.environ[names[1]], path, new_name())
    try:
        yield bench
    finally:
        import wandb

        for run in wandb.Api().runs(f"{bench.entity}/{bench.project}", filters={"group": bench.sweep}):
            run.delete()


def new_name() -> str:
    return f"sweep-{uuid4().hex[:8]}"
