"""Sweeps that run at once inside experiments never make more trials together than the budgets around them allow."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import ClassVar

import pytest
from app_sweep import toasts, until
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from sweeptui.app.cockpit import Cockpit
from sweeptui.budgets import around, change, release, reserve
from sweeptui.cli import main
from sweeptui.core.errors import UserError
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import TrialStatus
from sweeptui.experiments import RandomOptimizer, SweepExperiment, Uniform
from sweeptui.experiments.scope import Scope
from sweeptui.folders import DATABASE, EXPERIMENT_DATABASE, sweep_names, sweep_path

FAST_FOLDER = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
OUTER, INNER = 9, 5
PATIENCE_S = 150.0


def scopes(root: Path, outer: int | None = OUTER, inner: int | None = INNER) -> tuple[Scope, Scope]:
    """An experiment inside another one, each with a store."""
    found = Scope("out", root, outer)
    nested = Scope("out.in", root, inner, found)
    for scope in (found, nested):
        path = sweep_path(root, scope.name) / EXPERIMENT_DATABASE
        if not path.exists():
            SqliteStore.create(path, scope.name, {"budget": scope.budget}).close()
    return found, nested


def sweep_of(root: Path, name: str) -> SqliteStore:
    path = sweep_path(root, name) / DATABASE
    return SqliteStore.open(path) if path.exists() else SqliteStore.create(path, name, {})


def trials(root: Path, prefix: str = "out") -> int:
    """How many there are in all sweeps inside of an experiment."""
    total = 0
    for name in sweep_names(root):
        if name.startswith(f"{prefix}."):
            with closing(SqliteStore.open(sweep_path(root, name) / DATABASE, readonly=True)) as store:
                total += store.state.last_trial
    return total


class BudgetMachine(RuleBasedStateMachine):
    """Sweeps of two experiments, one inside the other: begun, going on, over, killed, in any order."""

    seen: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="sweeptui-", dir=FAST_FOLDER))
        outer, inner = scopes(self.root)
        self.scope = {"out.a": outer, "out.b": outer, "out.in.c": inner, "out.in.d": inner}
        self.given: dict[str, int] = {}
        """Of the sweeps that run."""
        self.made: Counter[str] = Counter()
        self.asked: dict[str, tuple[int | None, int]] = {}
        """What a sweep that was killed had asked for, and got."""
        self.asked_now: dict[str, int | None] = {}

    names = st.sampled_from(["out.a", "out.b", "out.in.c", "out.in.d"])

    @rule(name=names, wanted=st.sampled_from([None, 1, 2, 4, 8]))
    def begin(self, name: str, wanted: int | None) -> None:
        if name in self.given:
            return
        if name in self.asked:
            wanted = self.asked[name][0]
        try:
            given = reserve(self.scope[name].budgets, name, wanted)
        except UserError as error:
            assert "its budget is used up" in str(error)
            self.seen["refused"] += 1
            assert name not in self.asked, "what it had reserved is still there"
            return
        assert given is not None
        if name in self.asked:
            self.seen["gone on"] += 1
            assert given == self.asked.pop(name)[1]
        self.seen["cut down" if wanted is None or given < wanted else "as asked for"] += 1
        self.given[name] = given
        self.asked_now[name] = wanted
        sweep_of(self.root, name).close()

    @rule(name=names, most=st.integers(1, 8))
    def train(self, name: str, most: int) -> None:
        """A sweep makes trials, as many as it may."""
        if name not in self.given:
            return
        with closing(sweep_of(self.root, name)) as store:
            for _ in range(min(most, self.given[name] - self.made[name])):
                with store.transaction() as tx:
                    tx.create_trial({"x": 1.0}, 1, {})
                self.made[name] += 1

    @rule(name=names)
    def end(self, name: str) -> None:
        if self.given.pop(name, None) is not None:
            release(self.scope[name].budgets, name)
            self.seen["ended"] += 1

    @rule(name=names, trials=st.integers(1, 9))
    def set_max_trials(self, name: str, trials: int) -> None:
        """A user changes how many a running sweep makes."""
        if name not in self.given:
            return
        try:
            change(around(self.root, name), name, trials)
        except UserError as error:
            assert f"max_trials is {trials}, but of the budget" in str(error)
            self.seen["not set"] += 1
            return
        self.seen["set"] += 1
        self.given[name] = self.asked_now[name] = trials

    @rule(name=names, trials=st.integers(1, 9))
    def go_on_by_hand(self, name: str, trials: int) -> None:
        """A user runs a sweep that nobody runs, to so many trials."""
        if name in self.given:
            return
        try:
            change(around(self.root, name), name, trials)
        except UserError as error:
            assert f"max_trials is {trials}, but of the budget" in str(error)
            self.seen["not by hand"] += 1
            return
        self.seen["by hand"] += 1
        sweep_of(self.root, name).close()
        self.asked.pop(name, None)
        self.given[name] = self.asked_now[name] = trials

    @rule()
    def kill(self) -> None:
        """The process that runs them all is gone."""
        self.asked |= {name: (self.asked_now[name], given) for name, given in self.given.items()}
        self.given.clear()

    @invariant()
    def no_budget_is_overrun(self) -> None:
        assert trials(self.root) <= OUTER
        assert trials(self.root, "out.in") <= INNER

    def teardown(self) -> None:
        """All that was begun comes to its end, and what is left then is all that was not used."""
        try:
            for name in list(self.asked):
                self.begin(name, None)
            for name in list(self.given):
                self.train(name, 8)
            for name in list(self.given):
                self.end(name)
            self.no_budget_is_overrun()
            left = OUTER - trials(self.root)
            with contextlib.nullcontext() if left else pytest.raises(UserError):
                assert reserve(self.scope["out.a"].budgets, "out.new", None) == left
        finally:
            shutil.rmtree(self.root)


def test_no_interleaving_overruns_a_budget() -> None:
    BudgetMachine.seen.clear()
    run_state_machine_as_test(
        BudgetMachine,
        settings=settings(
            max_examples=24,
            stateful_step_count=24,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert set(BudgetMachine.seen) == {
        *("refused", "gone on", "cut down", "as asked for", "ended", "set", "not set", "by hand", "not by hand")
    }


def test_what_is_asked_for_at_the_same_moment_is_given_once(tmp_path: Path) -> None:
    outer, _ = scopes(tmp_path, 12)
    start = threading.Barrier(4)
    given: list[int | None] = []

    def ask(name: str) -> None:
        start.wait(60)
        with contextlib.suppress(UserError):
            given.append(reserve(outer.budgets, name, 5))

    threads = [threading.Thread(target=ask, args=(f"out.s{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(given, key=str) == [2, 5, 5]


def test_what_a_trial_had_reserved_is_free_once_it_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outer, _ = scopes(tmp_path, 8)
    with closing(sweep_of(tmp_path, "out.search")) as store:
        with store.transaction() as tx:
            tx.create_trial({"x": 1.0}, 1, {})
        with monkeypatch.context() as inside:
            inside.setenv("SWEEPTUI_SWEEP", "out.search")
            inside.setenv("SWEEPTUI_TRIAL_DIR", str(tmp_path / "trial_0001"))
            assert reserve(outer.budgets, "out.search.trial_0001-1", 6) == 6
        assert reserve(outer.budgets, "out.next", 6) == 1, "one is the trial itself"
        with store.transaction() as tx:
            tx.set_trial(1, status=TrialStatus.KILLED)
        assert reserve(outer.budgets, "out.other", 6) == 6


def test_the_same_sweep_may_ask_for_more_later(tmp_path: Path) -> None:
    outer, _ = scopes(tmp_path, 8)
    assert reserve(outer.budgets, "out.a", 5) == 5
    assert reserve(outer.budgets, "out.b", 5) == 3
    release(outer.budgets, "out.a")
    assert reserve(outer.budgets, "out.b", 5) == 3, "run again it is what it was"
    assert reserve(outer.budgets, "out.b", 7) == 7
    assert reserve(Scope("out", tmp_path, 10).budgets, "out.c", 5) == 3
    with pytest.raises(UserError, match=r"used up or reserved for 2 sweeps that may still go on; run it with a larger"):
        reserve(Scope("out", tmp_path, 10).budgets, "out.d", 5)
    assert reserve(Scope("out", tmp_path).budgets, "out.e", 5) == 5


def sweep_inside(root: Path) -> SqliteStore:
    """The store of a sweep that nobody runs, of 2 trials, in an experiment of 8 of which another sweep has 5."""
    outer, _ = scopes(root, 8)
    assert reserve(outer.budgets, "out.other", 5) == 5
    assert reserve(outer.budgets, "out.a", 2) == 2
    tool = SweepExperiment("out.a", RandomOptimizer({"x": Uniform(0.0, 1.0)}), train=["true"]).tool("out.a", 2)
    return SqliteStore.create(sweep_path(root, "out.a") / DATABASE, "out.a", tool.to_json())


@pytest.fixture
def inside(tmp_path: Path) -> SqliteStore:
    return sweep_inside(tmp_path)


def test_max_trials_of_a_sweep_inside_keeps_to_the_budget(
    tmp_path: Path, inside: SqliteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(*words: str) -> tuple[int, str]:
        code = main(["set", "out.a", *words, "--root", os.fspath(tmp_path)])
        inside.refresh()
        said = capsys.readouterr()
        return code, said.out + said.err

    refused = (
        "error: max_trials is 4, but of the budget of 8 trials of experiment out 3 are left for out.a; use 3 or less"
    )
    assert told("--max-trials", "4", "--max-parallel-jobs", "7") == (
        2,
        f"{refused}, or run the experiment with a larger budget\n",
    )
    assert (inside.state.config["max_trials"], inside.state.config["max_parallel_jobs"]) == (2, 1), "nothing is changed"
    assert told("--max-trials", "3") == (0, "max_trials is 3\n")
    assert inside.state.config["max_trials"] == 3
    with pytest.raises(UserError, match="used up or reserved for 2 sweeps"):
        reserve(around(tmp_path, "out.new"), "out.new", 1)
    assert told("--max-trials", "1") == (0, "max_trials is 1\n")
    assert reserve(around(tmp_path, "out.new"), "out.new", None) == 2, "what it gave up is for others"
    assert told("--max-parallel-jobs", "7") == (0, "max_parallel_jobs is 7\n")
    inside.close()


async def test_max_trials_of_a_sweep_inside_is_refused_in_the_cockpit(
    tmp_path: Path, inside: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    app = Cockpit(inside.path.parent, None, utf8=True)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until(pilot, lambda: app.snapshot is not None, "the first snapshot")
        await pilot.press("m", "backspace", "9", "enter")
        await until(pilot, lambda: any("3 are left for out.a; use 3 or less" in each for each in toasts(app)), "a no")
        assert app.steering.limit("max_trials") == 2, "as the sweep has it"
        await pilot.press("ctrl+z")
        await until(pilot, lambda: any("nothing to undo" in each for each in toasts(app)), "the refusal")
        await pilot.press("m", "backspace", "3", "enter")
        await until(pilot, lambda: app.snapshot is not None and app.snapshot.max_trials == 3, "the change")
    inside.close()


SCRIPT = """
import sys
from sweeptui.experiments import *

BASE = SweepExperiment(None, RandomOptimizer({"x": Uniform(0.0, 1.0)}), train=["{python}", "work.py", "{overrides}"])
meta = MetaExperiment("m", base=BASE, optimizer=GridOptimizer(), space={"method": Choice(["random", "sobol"])},
                      configurations=2, trials=4, repeats=1, max_parallel_jobs=2)
meta.run(budget=7)
"""
WORK = """
import sys, time
from pathlib import Path
import sweeptui

while not Path("go").exists():
    time.sleep(0.02)
sweeptui.report(step=1, score=float(sys.argv[1].partition("=")[2]))
"""


def test_parallel_sweeps_of_an_experiment_keep_to_its_budget_even_if_it_is_killed(tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(SCRIPT)
    (tmp_path / "work.py").write_text(WORK)
    argv = [sys.executable, "flow.py"]
    inner = [f"m.search.trial_000{number}-1" for number in (1, 2)]
    killed = subprocess.Popen(argv, cwd=tmp_path, stderr=subprocess.PIPE)
    deadline = time.monotonic() + PATIENCE_S
    while not set(inner) <= set(sweep_names(tmp_path)):
        assert killed.poll() is None, killed.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    killed.kill()
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    (tmp_path / "go").touch()
    done = subprocess.run(argv, check=False, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    made = {}
    for name in sweep_names(tmp_path):
        with closing(SqliteStore.open(sweep_path(tmp_path, name) / DATABASE, readonly=True)) as store:
            made[name] = store.state.last_trial
    assert made["m.search"] == 2
    assert sorted(made[name] for name in inner) == [1, 4]
