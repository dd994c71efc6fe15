"""The simulator and the real engine make the same decisions on the same events.

Both are given reports, failures, kills, pauses and requeues, one after the other; the engine's process dies at any
write on top of that. The engine is the real orchestrator on a real database, with jobs in a world that outlives it.
What it has journalled is what the simulator has done.
"""

from __future__ import annotations

import contextlib
import math
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar
from unittest import mock

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from test_engine_properties import FAST_FOLDER, QUICK, CrashError, FragileStore, Fuse, World, WorldDispatcher, composed

from sweeptui.core import disk, orchestrator
from sweeptui.core.config import SweepTool
from sweeptui.core.dispatch import JobExit
from sweeptui.core.optimizers.random import RandomOptimizer
from sweeptui.core.schedulers import resolve
from sweeptui.core.schedulers.base import Action, Create, Fork, Promote, Stop
from sweeptui.core.state import ChangeKind
from sweeptui.core.stores.base import LeaseHeldError
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import FailureKind, JobOutcome, Params, TrialStatus, trial_id
from sweeptui.testing import Simulator

EPOCHS = 9
TRIALS = 10
PARAMETERS = {"x": {"distribution": "uniform", "min": 0.0, "max": 1.0}}
FAULTS = st.none() | st.tuples(st.integers(1, 5), st.sampled_from(["die before", "die after"]))
"""At the so-many-th commit from now on."""


class Task:
    """Trainings of which some are alike, some diverge, and some get worse again."""

    goal = "maximize"

    def __init__(self) -> None:
        self.space = SweepTool.from_json(tool_fields({}, 1, Path())).space

    def curve(self, params: Params) -> Sequence[tuple[float, float]]:
        draw = random.Random(repr(params["x"]))
        worth = draw.choice([0.2, 0.5, 0.5, 0.9])
        scores = [worth * epoch - draw.choice([0.0, 0.0, 1.5]) for epoch in range(1, EPOCHS + 1)]
        if draw.random() < 0.15:
            scores[draw.randrange(EPOCHS) :] = [math.nan] * EPOCHS
        return [(score, float(epoch)) for epoch, score in zip(range(1, EPOCHS + 1), scores, strict=False)]


def tool_fields(scheduler: Mapping[str, Any], parallel: int, folder: Path) -> dict[str, Any]:
    return {
        "sweep_name": "same",
        "protein_config": {"method": "random", "parameters": PARAMETERS},
        "train_command": ["train", "{p:x}"],
        "working_dir": str(folder),
        "max_trials": TRIALS,
        "max_parallel_jobs": parallel,
        "breaker_failures": 0,
        "min_free_disk_mb": 0,
        **({"scheduler": dict(scheduler)} if scheduler else {}),
    }


class Simulated(Simulator):
    """Says what it did in the words of `Engine.read`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.decisions: list[tuple[Any, ...]] = []

    def _do(self, action: Action) -> bool:
        before = self.state.last_trial
        at = len(self.decisions)
        done = super()._do(action)
        if not done:
            return done
        found: list[tuple[Any, ...]] = []
        match action:
            case Create():
                new = [self.state.trials[number] for number in range(before + 1, self.state.last_trial + 1)]
                found = [("create", trial.number, trial.params["x"]) for trial in new]
            case Promote(number, reason):
                found = [("promote", number, reason)]
            case Stop(number, reason):
                found = [("stop", number, reason)]
            case Fork(parent, params, provenance):
                found = [("fork", before + 1, parent, params["x"], provenance["generation"], provenance["mutation"])]
        self.decisions[at:at] = found
        return done


class Engine:
    """The orchestrator, whose life ends and begins again, and the world of its jobs."""

    def __init__(self, folder: Path, scheduler: Mapping[str, Any], parallel: int, task: Task, died: Counter[str]):
        self.folder, self.task = folder, task
        self.path = folder / "sweep.db"
        self.world = World(Fuse(Counter()))
        self.fuse = FragileStore.fuse = Fuse(died)
        self.now = 1000.0
        self.over = False
        self.decisions: list[tuple[Any, ...]] = []
        self.read_up_to = 0
        self.done: dict[str, int] = {}
        """The last epoch of each job that runs."""
        self.tool = SweepTool.from_json(tool_fields(scheduler, parallel, folder))
        SqliteStore.create(self.path, "same", self.tool.to_json()).close()
        self.begin()

    def begin(self) -> None:
        """Run the same command again."""
        self.store = FragileStore.open(
            self.path, safe_mode=False, clock=lambda: 1e9 + self.now, monotonic=lambda: self.now
        )
        with contextlib.suppress(LeaseHeldError):
            self.store.acquire_lease("test")
            self._compose()
            return
        self.now += 60  # the one that died has been silent for so long
        self.store.acquire_lease("test")
        self._compose()

    def _compose(self) -> None:
        self.dispatcher = WorldDispatcher(self.world)
        self.optimizer, self.orchestrator = composed(self.store, self.tool, self.folder, self.dispatcher)
        self.orchestrator._begin()

    def drop(self) -> None:
        """The process is gone."""
        self.store.close()
        self.optimizer.close()
        self.dispatcher.close()
        self.orchestrator._bell.close()

    def turn(self) -> None:
        self.now += 1.0
        try:
            ending = self.orchestrator._turn()
        except CrashError:
            self.drop()
            self.fuse.set(0, "")
            self.begin()
            return
        self.over = ending is not None

    def settle(self) -> None:
        """Turn until nothing comes of it; what was told to end has ended by the next turn."""
        quiet = 0
        while quiet < 2 and not self.over:
            last = self.store.state.last_seq
            self.turn()
            quiet = quiet + 1 if self.store.state.last_seq == last else 0
            for name in self.world.live():
                if self.world.jobs[name].cancelled:
                    self.world.end(name, JobExit(code=None, signal=15, killed=True, run_s=1.0))
                elif self.epoch(name) >= EPOCHS:
                    self.world.end(name, JobExit(code=0, run_s=1.0))  # nothing was left to train
                else:
                    continue
                quiet = 0

    def name_of(self, number: int) -> str:
        return next(name for name in self.world.live() if self.world.jobs[name].spec.trial == number)

    def epoch(self, name: str) -> int:
        """The one that a job has come to; at first that of the checkpoint it was given."""
        if name not in self.done:
            given = self.world.jobs[name].spec.env.get("SWEEPTUI_CHECKPOINT")
            self.done[name] = int(Path(given).read_text()) if given else 0
        return self.done[name]

    def advance(self, number: int, *, checkpoint: bool) -> None:
        name = self.name_of(number)
        spec = self.world.jobs[name].spec
        epoch = self.done[name] = self.epoch(name) + 1
        score, cost = self.task.curve(self.store.state.trials[number].params)[epoch - 1]
        values: dict[str, Any] = {"step": epoch, "total_steps": EPOCHS, "score": score, "cost": cost}
        if checkpoint:
            folder = spec.trial_dir / "checkpoints"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"epoch_{epoch}").write_text(str(epoch))
            values["checkpoint"] = str(folder / f"epoch_{epoch}")
        self.world.report(name, **values)
        if epoch == EPOCHS:
            self.world.end(name, JobExit(code=0, run_s=1.0))

    def ask(self, verb: str, **args: Any) -> None:
        with contextlib.closing(SqliteStore.open(self.path, safe_mode=False)) as other:
            other.submit(verb, args, "tester")

    def read(self) -> None:
        """Take up what was decided, as the journal has it."""
        for change in self.store.journal(after=self.read_up_to):
            self.read_up_to = change.seq
            number, data = change.trial, change.data
            if change.kind == ChangeKind.TRIAL_CREATED:
                how, x = data["provenance"], data["params"]["x"]
                made: tuple[Any, ...] = ("create", number, x)
                if "parent" in how:
                    made = ("fork", number, how["parent"], x, how["generation"], how["mutation"])
                self.decisions.append(made)
            elif change.kind == ChangeKind.TRIAL_CHANGED and str(data.get("reason")).startswith("promoted"):
                self.decisions.append(("promote", number, data["reason"]))
            elif change.kind == ChangeKind.JOB_CHANGED and data.get("ask") == JobOutcome.STOPPED:
                self.decisions.append(("stop", number, data["ask_reason"]))


class Agreement(RuleBasedStateMachine):
    """What happens, happens to both."""

    SCHEDULER: ClassVar[Mapping[str, Any]]
    EXAMPLES: ClassVar[int] = 15
    SLOTS: ClassVar[tuple[int, int]] = (1, 3)
    """At least and at most."""
    seen: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="sweeptui-", dir=FAST_FOLDER))
        self.clocks = contextlib.ExitStack()
        clock = SimpleNamespace(monotonic=lambda: self.engine.now, time=lambda: 1e9 + self.engine.now)
        for module in (orchestrator, disk):
            self.clocks.enter_context(mock.patch.object(module, "time", clock))
        self.engine: Any = SimpleNamespace(now=1000.0)

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        self.make(data.draw(st.integers(*self.SLOTS)))

    def make(self, parallel: int) -> None:
        task = Task()
        self.engine = Engine(self.folder, self.SCHEDULER, parallel, task, self.seen)
        tool = self.engine.tool
        optimizer = RandomOptimizer(task.space, goal="maximize", settings={}, seed=tool.seed)
        scheduler = resolve(tool.scheduler, tool.scheduler_options)
        self.simulator = Simulated(scheduler, optimizer, task, workers=parallel, max_trials=TRIALS, seed=tool.seed)
        self._go_on(None)

    # -- what happens

    @rule(which=st.lists(st.integers(0, 2), min_size=1, max_size=3), saved=st.booleans(), times=st.integers(1, 9),
          fault=FAULTS)  # fmt: skip
    def some_train(self, which: list[int], saved: bool, times: int, fault: Any) -> None:
        """Some do an epoch, at the same moment; and so again."""
        for turn in range(times):
            running = self.running()
            chosen = {running[index % len(running)] for index in which if running}
            # What is reported at the same moment is read job by job.
            for number in [each for each in self.engine.store.state.running_jobs if each in chosen]:
                # Most make checkpoints, those of one parity not always.
                checkpoint = saved or number % 2 == 0
                self.simulator.advance(number, checkpoint=checkpoint)
                self.engine.advance(number, checkpoint=checkpoint)
                self.seen["report"] += 1
            self._go_on(fault if turn == 1 else None)

    @rule(which=st.integers(0, 2), code=st.sampled_from([1, 137]))
    def one_fails(self, which: int, code: int) -> None:
        if not (running := self.running()):
            return
        number = running[which % len(running)]
        kind = FailureKind.CRASHED if code == 1 else FailureKind.OUT_OF_MEMORY
        self.simulator.end(self.simulator.state.running_jobs[number], TrialStatus.FAILED, "", kind)
        self.engine.world.end(self.engine.name_of(number), JobExit(code=code, run_s=1.0))
        self.seen["failure"] += 1
        self._go_on(None)

    @rule(which=st.integers(0, 2), fault=FAULTS)
    def one_is_killed(self, which: int, fault: Any) -> None:
        if not (running := self.running()):
            return
        number = running[which % len(running)]
        self.simulator.end(self.simulator.state.running_jobs[number], TrialStatus.KILLED, "")
        self.engine.ask("kill", trials=[number])
        self.seen["kill"] += 1
        self._go_on(fault)

    @rule(which=st.integers(0, 9))
    def one_is_queued_again(self, which: int) -> None:
        ended = [n for n, trial in self.simulator.state.trials.items() if trial.status.terminal]
        if not ended or self.engine.over:
            return
        number = ended[which % len(ended)]
        self.simulator.requeue(number)
        self.engine.ask("requeue", trials=[number])
        self.seen["requeue"] += 1
        self._go_on(None)

    @rule(fault=FAULTS)
    def pause_or_go_on(self, fault: Any) -> None:
        if self.engine.over:
            return
        self.simulator.paused = not self.simulator.paused
        self.engine.ask("pause" if self.simulator.paused else "resume")
        self.seen["pause"] += 1
        self._go_on(fault)

    @rule(which=st.integers(0, 2))
    def pause_one_or_let_it_go_on(self, which: int) -> None:
        state = self.simulator.state
        open_trials = [trial for trial in state.active if trial.number in state.running_jobs]
        if not open_trials or self.engine.over:
            return
        trial = open_trials[which % len(open_trials)]
        paused = trial.status is TrialStatus.PAUSED
        new: Any = {"status": trial.paused_from, "paused_from": None} if paused else {
            "status": TrialStatus.PAUSED, "paused_from": trial.status}  # fmt: skip
        state.put_trial(replace(trial, **new))
        self.engine.ask("resume" if paused else "pause", trials=[trial.number])
        self.seen["pause of one"] += 1
        self._go_on(None)

    @rule()
    def restart(self) -> None:
        if not self.engine.over:
            self.engine.drop()
            self.engine.begin()
            self._go_on(None)

    def running(self) -> list[int]:
        """The trials that train now, and are not paused."""
        if self.engine.over:
            return []
        state = self.simulator.state
        return [n for n in sorted(state.running_jobs) if state.trials[n].status is TrialStatus.TRAINING]

    def _go_on(self, fault: Any) -> None:
        if self.engine.over:
            assert not self.simulator.state.active
            return
        if fault is not None:
            self.engine.fuse.set(*fault)
        self.simulator.decide()
        self.engine.settle()
        self.engine.fuse.set(0, "")
        self.they_decided_the_same()

    # -- what must hold

    def they_decided_the_same(self) -> None:
        known = len(self.engine.decisions)
        self.engine.read()
        assert self.engine.decisions == self.simulator.decisions
        for kind, *_ in self.engine.decisions[known:]:
            self.seen[kind] += 1
        for number, trial in self.engine.store.state.trials.items():
            expected = self.simulator.state.trials[number]
            same = ("status", "step", "attempt", "failure")
            assert [getattr(trial, f) for f in same] == [getattr(expected, f) for f in same], trial_id(number)
            assert repr(trial.score) == repr(expected.score) or expected.status is not TrialStatus.COMPLETED

    def teardown(self) -> None:
        try:
            if isinstance(self.engine, Engine):
                self.engine.drop()
        finally:
            self.clocks.close()
            shutil.rmtree(self.folder)


RUNGS = {"max_epochs": 9, "reduction_factor": 2, "grace_period": 1}


class Stopping(Agreement):
    SCHEDULER: ClassVar[Mapping[str, Any]] = {"name": "asha", **RUNGS, "variant": "stopping"}


class Auto(Agreement):
    SCHEDULER: ClassVar[Mapping[str, Any]] = {"name": "asha", **RUNGS}
    SLOTS: ClassVar[tuple[int, int]] = (1, 1)


class Brackets(Agreement):
    SCHEDULER: ClassVar[Mapping[str, Any]] = {"name": "asha", **RUNGS, "brackets": 2}
    EXAMPLES: ClassVar[int] = 30
    """With fewer trials in each bracket, one is seldom stopped."""


class Promoting(Agreement):
    SCHEDULER: ClassVar[Mapping[str, Any]] = {"name": "asha", **RUNGS, "variant": "promotion"}


class Hyper(Agreement):
    SCHEDULER: ClassVar[Mapping[str, Any]] = {"name": "hyperband", **RUNGS, "grace_period": 4}


class Population(Agreement):
    SCHEDULER: ClassVar[Mapping[str, Any]] = {
        "name": "pbt", "population_size": 3, "num_generations": 3, "max_epochs": 9,
        "exploit_method": "binary_tournament"}  # fmt: skip


MACHINES: dict[type[Agreement], set[str]] = {
    Stopping: {"stop"},
    Auto: {"stop", "promote"},
    Brackets: {"stop"},
    Promoting: {"stop", "promote"},
    Hyper: {"stop", "promote"},
    Population: {"stop", "fork"},
}
EVENTS = {"report", "failure", "kill", "requeue", "pause", "pause of one", "create", "die before", "die after"}


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.__name__)
def test_the_simulator_and_the_engine_decide_the_same(machine: type[Agreement]) -> None:
    machine.seen.clear()
    run_state_machine_as_test(machine, settings=settings(QUICK, max_examples=machine.EXAMPLES, stateful_step_count=30))
    assert set(machine.seen) >= MACHINES[machine] | EVENTS


def test_a_bracket_that_was_over_is_looked_at_again_where_a_trial_of_it_is_queued_again() -> None:
    """A scheduler that runs on and one that is made anew then promote the same."""
    state = Hyper()
    try:
        state.make(parallel=2)
        state.one_is_killed(fault=None, which=0)
        state.some_train(fault=None, saved=False, times=1, which=[0, 2])
        for _ in range(2):
            state.one_is_killed(fault=None, which=2)
        state.some_train(fault=None, saved=False, times=9, which=[2])
        state.some_train(fault=None, saved=True, times=9, which=[0, 2])
        state.one_is_queued_again(which=1)
        state.one_is_killed(fault=None, which=2)
        state.one_is_queued_again(which=5)
        state.some_train(fault=None, saved=False, times=1, which=[2])
        state.restart()
        state.some_train(fault=None, saved=True, times=8, which=[0, 2])
        assert state.engine.decisions[-1][0] == "promote"
    finally:
        state.teardown()


def test_a_trial_that_was_queued_again_twice_is_compared_alike() -> None:
    """What it reported before the second time is set aside by both, also where it counted for others by then."""
    both = Promoting()
    try:
        both.make(parallel=1)
        both.pause_or_go_on(None)
        both.some_train(fault=None, saved=True, times=6, which=[2])
        both.pause_or_go_on(None)
        both.one_is_queued_again(5)
        both.some_train(fault=None, saved=False, times=8, which=[2, 1, 2])
        both.one_is_queued_again(3)
        both.one_is_killed(1, None)
        both.one_is_queued_again(3)
        both.pause_or_go_on(None)
        both.one_is_queued_again(0)
        both.pause_or_go_on(None)
        both.some_train(fault=None, saved=True, times=5, which=[0, 1, 1])
        both.one_is_queued_again(2)
        both.one_is_killed(2, None)
        both.one_fails(which=2, code=137)
    finally:
        both.teardown()


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.__name__)
def test_the_simulator_and_the_engine_decide_the_same_for_long(machine: type[Agreement]) -> None:
    deeper = settings(QUICK, max_examples=300, stateful_step_count=50, derandomize=False)
    run_state_machine_as_test(machine, settings=deeper)
