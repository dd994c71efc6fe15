"""Kill an experiment at every write to any journal, run it again, and see that nothing can be told.

The writes are those of its own store and of the sweeps inside it, and of the sweeps that its trials run.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.families import sight_experiment
from sweeptui.folders import DATABASE, experiment_names, sweep_names, sweep_path

FAST_FOLDER = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
DRIVER = Path(__file__).with_name("nested_driver.py")
BUDGETS = {"curriculum": 20, "hybrid": 20, "meta": 3, "meta twice": 5, "nested": 3}
SAMPLED = {"curriculum": (10, 38, 71), "meta": (18,)}
"""Moments, as `nested_driver.mortal` counts them."""


class Driver:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = 0
        (folder / "path").mkdir()
        shutil.copy(DRIVER, folder / "path" / "sitecustomize.py")
        self.process = subprocess.Popen(
            [sys.executable, str(DRIVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, name: str, root: Path, **request: Any) -> int:
        """The exit code; negative for a signal."""
        root.mkdir(exist_ok=True)
        common = {"name": name, "root": str(root), "budget": BUDGETS[name], "path": str(self.folder / "path")}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(common | request) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def place(self) -> Path:
        self.runs += 1
        return self.folder / f"run{self.runs}"

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()


@pytest.fixture
def driver() -> Iterator[Driver]:
    with tempfile.TemporaryDirectory(prefix="sweeptui-", dir=FAST_FOLDER) as folder:
        driver = Driver(Path(folder))
        yield driver
        driver.close()


def outcome(root: Path) -> dict[str, Any]:
    """What must be the same whatever happened on the way."""
    sweeps = {}
    for name in sweep_names(root):
        with closing(SqliteStore.open(sweep_path(root, name) / DATABASE, readonly=True)) as store:
            sweeps[name] = (
                store.state.status,
                store.state.config["max_trials"],
                [(t.number, repr(t.params), t.seed, t.status, t.score) for _, t in sorted(store.state.trials.items())],
            )
    stages = {}
    for name in experiment_names(root):
        sight = sight_experiment(sweep_path(root, name))
        stages[name] = (sight.label, [(stage.path, stage.state) for stage in sight.stages])
    return {"said": (root / "said").read_text(), "sweeps": sweeps, "stages": stages}


def said(root: Path) -> str:
    return (root / "out").read_text()


def kill_and_go_on(driver: Driver, name: str, expected: dict[str, Any], *, at_once: bool = False, **where: int) -> str:
    """Kill an experiment at a write and run it again; what that write was, "" where there is none."""
    root = driver.place()
    code = driver.run(name, root, at_once=at_once, **where)
    if "die_inside" in where:
        # The trial is tried again by the sweep around it: nothing of the experiment has ended.
        assert code == 0, said(root)
    elif code == 0:
        assert not (root / "died").exists()
    else:
        assert code == -signal.SIGKILL, said(root)
        assert driver.run(name, root, at_once=at_once) == 0, said(root)
    assert outcome(root) == expected, where
    witness = (root / "died").read_text() if (root / "died").exists() else ""
    shutil.rmtree(root, ignore_errors=True)
    return witness


def whole(driver: Driver, name: str, *, at_once: bool = False) -> dict[str, Any]:
    root = driver.place()
    assert driver.run(name, root, at_once=at_once) == 0, said(root)
    return outcome(root)


def test_an_experiment_killed_at_a_write_comes_to_the_same(driver: Driver) -> None:
    expected = whole(driver, "curriculum")
    deaths = [kill_and_go_on(driver, "curriculum", expected, die_at=at) for at in SAMPLED["curriculum"]]
    assert all(deaths)
    assert len({death.partition(":")[0] for death in deaths}) > 1, "in the experiment's journal and in a sweep's"


def test_a_trial_that_runs_sweeps_killed_at_a_write_comes_to_the_same(driver: Driver) -> None:
    expected = whole(driver, "meta")
    deaths = [kill_and_go_on(driver, "meta", expected, die_inside=at) for at in SAMPLED["meta"]]
    assert all(deaths)


def test_an_experiment_inside_an_experiment_killed_at_any_write_comes_to_the_same(driver: Driver) -> None:
    """In each gap between two writes to any of the five journals, with trainings that end at once.

    In every other gap at its end, when all is done that lies between, else at its beginning.
    """
    expected = whole(driver, "nested", at_once=True)
    made = {name: len(trials) for name, (_, _, trials) in expected["sweeps"].items()}
    assert list(made.values()) == [1, 1, 1], "the last asked for more than the budget had left"
    places: Counter[str] = Counter()
    gap = 1
    while death := kill_and_go_on(driver, "nested", expected, die_at=2 * gap + gap % 2, at_once=True):
        places[death.partition(":")[0]] += 1
        gap += 1
    assert set(places) == {"n", "n.in", *made}


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(
    ("name", "where"),
    [("curriculum", "die_at"), ("meta twice", "die_at"), ("meta twice", "die_inside"), ("hybrid", "die_at")],
)
def test_an_experiment_killed_at_any_write_comes_to_the_same(driver: Driver, name: str, where: str) -> None:
    expected = whole(driver, name)
    places: Counter[str] = Counter()
    at = 1
    while death := kill_and_go_on(driver, name, expected, **{where: at}):
        places[death.partition(":")[0]] += 1
        at += 1
    assert len(places) >= 2, "in several journals"
    assert sum(places.values()) > 20
