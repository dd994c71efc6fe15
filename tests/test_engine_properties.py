"""Any interleaving of what can happen to a sweep keeps what must always hold.

The orchestrator and its store are real; jobs run in a world of their own that outlives them, as processes do.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar
from unittest import mock

import pytest
from engine_support import assert_replays
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sweeptui.core import disk, orchestrator
from sweeptui.core.config import SweepTool
from sweeptui.core.dispatch import Capacity, DispatchError, JobExit, JobPhase, JobSpec, JobUpdate, NoRoomError, Started
from sweeptui.core.files import Files, token
from sweeptui.core.limits import Ending
from sweeptui.core.optimizers.service import OptimizerService
from sweeptui.core.orchestrator import Orchestrator
from sweeptui.core.schedulers import resolve
from sweeptui.core.state import Change, ChangeKind, SweepStatus
from sweeptui.core.stores.base import LeaseHeldError, StoreFullError
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import JobState, TrialStatus, check_transition, trial_id

MOST_TRIALS = 6
Fault = tuple[str, int, str] | None
FAST_FOLDER = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
ENDS = {
    "success": JobExit(code=0, run_s=1.0),
    "no metric": JobExit(code=0, run_s=1.0),
    "crash": JobExit(code=1, run_s=1.0),
    "out of memory": JobExit(code=137, run_s=1.0),
    "timeout": JobExit(code=None, signal=15, timed_out=True, run_s=1.0),
    "lost": JobExit(code=None, lost=True),
}


FAULTS = st.none() | st.sampled_from(
    [
        *itertools.product(["commit"], [1, 2, 3, 4], ["die before", "die after", "full"]),
        *itertools.product(["deed"], [1, 2], ["die before", "die after"]),
    ]
)
"""At the so-many-th commit, or deed of the dispatcher, from now on."""


class CrashError(BaseException):
    """The orchestrator's process dies here."""


class Fuse:
    """Blows once, after so many steps."""

    def __init__(self, blown: Counter[str]) -> None:
        self.left = 0
        self.kind = ""
        self.blown = blown

    def set(self, steps: int, kind: str) -> None:
        self.left, self.kind = steps, kind

    def step(self) -> str:
        """Count one step; what happens at it."""
        self.left -= 1
        if self.left != 0:
            return ""
        self.blown[self.kind] += 1
        return self.kind


@dataclass
class WorldJob:
    spec: JobSpec
    phase: JobPhase = JobPhase.RUNNING
    exit: JobExit | None = None
    cancelled: bool = False


@dataclass
class World:
    """The machine: what runs there, whatever becomes of the orchestrator."""

    fuse: Fuse
    jobs: dict[str, WorldJob] = field(default_factory=dict)
    refusals: list[DispatchError] = field(default_factory=list)
    """What the next starts fail with."""
    reported: Counter[str] = field(default_factory=Counter)

    def live(self) -> list[str]:
        return [name for name, job in self.jobs.items() if job.exit is None]

    def report(self, name: str, **values: Any) -> None:
        path = self.jobs[name].spec.report_path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.reported[name] += 1
        with path.open("a") as file:
            file.write(json.dumps(values) + "\n")

    def end(self, name: str, how: JobExit) -> None:
        self.jobs[name].phase, self.jobs[name].exit = JobPhase.ENDED, how


class WorldDispatcher:
    """Implements `sweeptui.core.dispatch.Dispatcher` on a `World`, and may die before or after any of its deeds."""

    name = "world"

    def __init__(self, world: World) -> None:
        self._world = world
        self._watched: dict[str, bool] = {}

    def open(self) -> None:
        """Nothing to get ready."""

    def capacity(self, cpus: int, gpus: int) -> Capacity:
        return Capacity(free=True)

    def dispatch(self, specs: Sequence[JobSpec]) -> list[Started | DispatchError]:
        return [self._start(spec) for spec in specs]

    def _start(self, spec: JobSpec) -> Started | DispatchError:
        with self._deed():
            assert spec.token not in self._world.jobs, f"{spec.token} is started twice"
            at_once = [name for name in self._world.live() if self._world.jobs[name].spec.trial == spec.trial]
            assert not at_once, f"{spec.token} is started beside {at_once}"
            if self._world.refusals:
                return self._world.refusals.pop()
            self._world.jobs[spec.token] = WorldJob(spec)
            self._watched[spec.token] = True
        return Started(handle={"name": spec.token}, slot={"index": 0, "gpus": []})

    def adopt(self, token: str, trial_dir: Path, handle: Mapping[str, Any]) -> JobUpdate | None:
        job = self._world.jobs.get(token)
        if job is None:
            return None
        if job.exit is None:
            self._watched[token] = True
        return JobUpdate(token, job.phase, job.exit)

    def poll(self) -> list[JobUpdate]:
        ended = [name for name in self._watched if self._world.jobs[name].exit is not None]
        for name in ended:
            del self._watched[name]
        return [JobUpdate(name, JobPhase.ENDED, self._world.jobs[name].exit) for name in ended]

    def cannot_pause(self, token: str) -> str:
        return ""

    def pause_ends(self, token: str) -> bool:
        return False

    def pause(self, token: str) -> None:
        self._turn(token, JobPhase.PAUSED)

    def resume(self, token: str) -> None:
        self._turn(token, JobPhase.RUNNING)

    def cancel(self, token: str) -> None:
        with self._deed():
            if token in self._watched:
                self._world.jobs[token].cancelled = True

    def fileno_set(self) -> list[int]:
        return []

    def close(self) -> None:
        self._watched.clear()

    def _turn(self, token: str, phase: JobPhase) -> None:
        with self._deed():
            if token in self._watched and self._world.jobs[token].exit is None:
                self._world.jobs[token].phase = phase

    @contextlib.contextmanager
    def _deed(self) -> Iterator[None]:
        what = self._world.fuse.step()
        if what == "die before":
            raise CrashError
        yield
        if what == "die after":
            raise CrashError


def composed(store, tool, folder, dispatcher) -> tuple[OptimizerService, Orchestrator]:
    """A new orchestrator, as its process would begin with, and the optimizer that it asks."""
    optimizer = OptimizerService("random", tool.space, [tool.protein_config.goal], {}, tool.seed)
    scheduler = resolve(tool.scheduler, tool.scheduler_options)
    return optimizer, Orchestrator(store, tool, Files(folder), dispatcher, scheduler, optimizer)


class FragileStore(SqliteStore):
    """Dies, or has no room, at a chosen commit."""

    fuse: Fuse

    def _commit(self) -> None:
        what = self.fuse.step()
        if what == "die before":
            raise CrashError
        if what == "full":
            raise StoreFullError(self.path, "no room")
        super()._commit()
        if what == "die after":
            raise CrashError


class SweepMachine(RuleBasedStateMachine):
    """One sweep, and all that may happen to it."""

    blown_at_commit: ClassVar[Counter[str]] = Counter()
    blown_at_deed: ClassVar[Counter[str]] = Counter()
    endings: ClassVar[Counter[str]] = Counter()
    seen: ClassVar[Counter[str]] = Counter()
    SCHEDULER: ClassVar[Mapping[str, Any]] = {}
    """With its options; one of the simple ones where there is none."""
    FIELDS: ClassVar[Mapping[str, Any]] = {}
    """Of the sweep, besides."""
    GIVEN: ClassVar[Mapping[str, Any]] = {}
    """What jobs report that end well, besides."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="sweeptui-", dir=FAST_FOLDER))
        self.path = self.folder / "sweep.db"
        self.world = World(Fuse(self.blown_at_deed))
        self.fuse = FragileStore.fuse = Fuse(self.blown_at_commit)
        self.now = 1000.0
        self.clocks = contextlib.ExitStack()
        clock = SimpleNamespace(monotonic=lambda: self.now, time=lambda: 1e9 + self.now)
        for module in (orchestrator, disk):
            self.clocks.enter_context(mock.patch.object(module, "time", clock))
        self.orchestrator: Orchestrator | None = None
        self.ending: Ending | None = None
        self.checked = 0
        self.most_trials = 0
        self.statuses: dict[int, TrialStatus] = {}
        self.settled = False

    @initialize(
        has_eval=st.booleans(),
        parallel=st.integers(1, 3),
        sequential=st.booleans(),
        ahead=st.sampled_from([None, 0, 1, 2]),
        breaker=st.sampled_from([0, 2, 3]),
        lost=st.integers(0, 2),
        cost=st.sampled_from([None, 3.0]),
        usual=st.sampled_from(["success", "success", "crash"]),
    )
    def make(
        self,
        has_eval: bool,
        parallel: int,
        sequential: bool,
        ahead: int | None,
        breaker: int,
        lost: int,
        cost: float | None,
        usual: str,
    ) -> None:
        self.usual = usual
        self.tool = SweepTool.from_json(
            {
                "sweep_name": "any",
                "protein_config": {
                    "method": "random",
                    "parameters": {"x": {"distribution": "uniform", "min": 0.0, "max": 1.0}},
                },
                "train_command": ["train", "{p:x}"],
                "eval_command": ["evaluate", "{p:x}"] if has_eval else None,
                "working_dir": str(self.folder),
                "max_trials": MOST_TRIALS,
                "max_parallel_jobs": parallel,
                "scheduler": dict(self.SCHEDULER) or ("sequential" if sequential else "optimizing"),
                "suggest_ahead": ahead,
                "breaker_failures": breaker,
                "retries": {"lost": lost, "dispatch_error": 1},
                "max_cost": cost,
                "min_free_disk_mb": 0,
                **self.FIELDS,
            }
        )
        SqliteStore.create(self.path, "any", self.tool.to_json()).close()
        self.start()

    # -- the orchestrator's life

    @precondition(lambda self: self.orchestrator is None)
    @rule()
    def start(self) -> None:
        """Run the same command again."""
        self.ending = None
        self.store = FragileStore.open(
            self.path, safe_mode=False, clock=lambda: 1e9 + self.now, monotonic=lambda: self.now
        )
        try:
            self._take_over()
        except (CrashError, StoreFullError):
            self.store.close()
            return
        config = {key: value for key, value in self.store.state.config.items() if key != "launch"}
        self.tool = SweepTool.from_json(config)
        self.dispatcher = WorldDispatcher(self.world)
        self.optimizer, self.orchestrator = composed(self.store, self.tool, self.folder, self.dispatcher)
        self._guarded(self.orchestrator._begin)

    def _take_over(self) -> None:
        with contextlib.suppress(LeaseHeldError):
            return self.store.acquire_lease("test")
        self.now += 60  # the one that died has been silent for so long
        return self.store.acquire_lease("test")

    def _guarded(self, step: Any) -> None:
        """Let the orchestrator do a step; it may die in it, or have to do it again."""
        self.settled = False
        for _ in range(3):
            self.now += 1.0
            try:
                ending = step()
            except StoreFullError:
                self.now += 1.0
                continue
            except CrashError:
                self.drop()
                return
            self.settled = ending is None
            if ending is not None:
                self.ending = ending
                self.endings[ending.status] += 1
                self.drop()
            return
        raise AssertionError("one full disk, and three tries failed")

    @rule(n=st.integers(1, 4), fault=FAULTS)
    def turns(self, n: int, fault: Fault) -> None:
        if self.orchestrator is None:
            self.start()
        if fault is not None:
            where, steps, kind = fault
            (self.fuse if where == "commit" else self.world.fuse).set(steps, kind)
        self._turn(n)

    def _turn(self, n: int = 1) -> None:
        for _ in range(n):
            if self.orchestrator is not None:
                self._guarded(self.orchestrator._turn)

    @precondition(lambda self: self.orchestrator is not None)
    @rule(leave_running=st.booleans(), fault=FAULTS)
    def interrupt(self, leave_running: bool, fault: Fault) -> None:
        assert self.orchestrator is not None
        self.orchestrator.interrupt(leave_running)
        self.turns(1, fault)

    @precondition(lambda self: self.orchestrator is not None)
    @rule()
    def drop(self) -> None:
        """The process is gone: what it held in memory is gone, what it had open is closed."""
        assert self.orchestrator is not None
        self.store.close()
        self.optimizer.close()
        self.dispatcher.close()
        self.orchestrator._bell.close()
        self.orchestrator = None

    # -- the world goes on

    @rule(kind=st.sampled_from(["command not found", "disk full"]), fault=FAULTS)
    def next_start_fails(self, kind: str, fault: Fault) -> None:
        self.world.refusals.append(NoRoomError(kind) if kind == "disk full" else DispatchError(kind))
        self.turns(1, fault)

    @rule(fault=FAULTS)
    def go_on(self, fault: Fault) -> None:
        """One job after the other ends."""
        for _ in range(3):
            self.turns(1, fault)
            if self.world.live():
                self.job_ends(0, "as usual", None)

    @precondition(lambda self: self.world.live())
    @rule(which=st.integers(0, 5), how=st.sampled_from([*sorted(ENDS), "as usual", "as usual"]), fault=FAULTS)
    def job_ends(self, which: int, how: str, fault: Fault) -> None:
        how = self.usual if how == "as usual" else how
        live = self.world.live()
        name = live[which % len(live)]
        if how == "success":
            self.world.report(name, score=0.5, cost=1.0, checkpoint="c", **self.GIVEN)
        self.world.end(name, ENDS[how])
        self.turns(1, fault)

    @precondition(lambda self: self.world.live())
    @rule(which=st.integers(0, 5), step=st.integers(0, 9), fault=FAULTS)
    def job_reports(self, which: int, step: int, fault: Fault) -> None:
        live = self.world.live()
        name = live[which % len(live)]
        self.world.report(name, **self.reported(name, step))
        self.turns(1, fault)

    def reported(self, name: str, step: int) -> dict[str, Any]:
        """What a job reports at a step."""
        del name
        return {"step": step, "score": float(step)}

    @precondition(lambda self: any(self.world.jobs[name].cancelled for name in self.world.live()))
    @rule()
    def cancelled_jobs_end(self) -> None:
        for name in self.world.live():
            if self.world.jobs[name].cancelled:
                self.world.end(name, JobExit(code=None, signal=15, killed=True, run_s=1.0))

    # -- users

    def _submit(self, verb: str, **args: Any) -> None:
        with contextlib.closing(SqliteStore.open(self.path, safe_mode=False)) as other:
            other.submit(verb, args, "tester")

    @rule(
        verb=st.sampled_from(["pause", "resume", "kill", "requeue", "requeue", "unqueue", "evaluate"]),
        back=st.integers(-1, 3),
        undone=st.booleans(),
        fault=FAULTS,
    )
    def ask_of_trial(self, verb: str, back: int, undone: bool, fault: Fault) -> None:
        """Of one of the newest, or of one that is not there yet."""
        trials = [max(1, len(self.statuses) - back)]
        self._submit(verb, trials=trials)
        if undone:
            self._submit("unqueue", trials=trials)
        self.turns(1, fault)

    @rule(x=st.sampled_from([0.5, 0.25, 7]), back=st.integers(-1, 3), undone=st.booleans(), fault=FAULTS)
    def ask_for_a_trial_by_hand(self, x: float, back: int, undone: bool, fault: Fault) -> None:
        if back < 0:
            self._submit("inject", params={"x": x})
        else:
            self._submit("requeue", trials=[max(1, len(self.statuses) - back)], params={"x": x})
        if undone:
            self._submit("unqueue", trials=[len(self.statuses) + 1])
        self.turns(1, fault)

    @rule(verb=st.sampled_from(["pause", "resume", "resume"]), fault=FAULTS)
    def ask_of_sweep(self, verb: str, fault: Fault) -> None:
        self._submit(verb)
        self.turns(1, fault)

    @rule(kill=st.booleans(), fault=FAULTS)
    def stop(self, kill: bool, fault: Fault) -> None:
        self._submit("stop", kill=kill)
        self.turns(1, fault)

    @rule(key=st.sampled_from(["max_trials", "max_parallel_jobs"]), value=st.integers(0, MOST_TRIALS))
    def set(self, key: str, value: int) -> None:
        self._submit("set", **{key: value})

    # -- what must always hold

    @invariant()
    def nothing_is_lost(self) -> None:
        if self.orchestrator is None:
            return
        state = self.store.state
        assert sorted(state.trials) == list(range(1, len(state.trials) + 1))
        orders = [trial.end_order for trial in state.trials.values() if trial.end_order is not None]
        assert len(set(orders)) == len(orders)
        for trial in state.trials.values():
            if trial.status.terminal:
                assert trial.end_order is not None
                assert trial.ended_at is not None
                assert trial.reason
                assert trial.number not in state.running_jobs
            if trial.status in (TrialStatus.TRAINING, TrialStatus.EVALUATING):
                assert trial.number in state.running_jobs
            assert (trial.failure is not None) == (trial.status is TrialStatus.FAILED)
            assert (trial.paused_from is not None) == (trial.status is TrialStatus.PAUSED)
        for change in self.store.journal(after=self.checked):
            self._check(change)
            self.checked = change.seq
        running = {token(job): job for job in state.running_jobs.values()}
        for name in self.world.live():
            assert name in running, f"{name} runs and the sweep does not know it"
        for name, job in running.items():
            if job.state is not JobState.INTENT:
                assert name in self.world.jobs

    @invariant()
    def the_world_is_as_the_store_says(self) -> None:
        """After a turn that came to its end: what was asked for was passed on."""
        if self.orchestrator is None or not self.settled:
            return
        for job in self.store.state.running_jobs.values():
            there = self.world.jobs.get(token(job))
            if there is None or there.exit is not None:
                continue
            assert (there.phase is JobPhase.PAUSED) == (job.state is JobState.PAUSED)
            assert there.cancelled == (job.ask is not None)

    def _check(self, change: Change) -> None:
        """Follow the journal, row by row."""
        if change.kind in (ChangeKind.SWEEP_CREATED, ChangeKind.SWEEP_CHANGED) and "config" in change.data:
            self.most_trials = change.data["config"]["max_trials"]
        if change.kind == ChangeKind.TRIAL_CREATED:
            assert change.trial is not None
            self.seen["made by hand"] += change.data["provenance"]["method"] == "user"
            assert change.trial <= self.most_trials, "more trials than the budget allowed at that time"
            self.statuses[change.trial] = TrialStatus.PENDING
        if change.kind == ChangeKind.TRIAL_CHANGED and "status" in change.data:
            assert change.trial is not None
            new = TrialStatus(change.data["status"])
            step = (self.statuses[change.trial], new)
            if new.terminal and "end_order" not in change.data:  # no end: out of the queue again, the way it came
                self.seen["taken back"] += 1
                step = step if step[0] is TrialStatus.PAUSED else step[::-1]
            check_transition(trial_id(change.trial), *step)
            self.statuses[change.trial] = new

    def teardown(self) -> None:
        try:
            if hasattr(self, "tool"):
                self._let_all_end()
        finally:
            if self.orchestrator is not None:
                self.drop()
            self.clocks.close()
            shutil.rmtree(self.folder)

    def _let_all_end(self) -> None:
        """Without faults, and with every job a success, the sweep comes to its end."""
        self.fuse.set(0, "")
        self.world.fuse.set(0, "")
        self.world.refusals.clear()
        self._submit("set", max_trials=MOST_TRIALS)
        self._submit("resume")
        for number in range(1, MOST_TRIALS + 1):
            self._submit("resume", trials=[number])
        self.ending = None  # there are new commands: it has to be run again, even if it had ended
        for _ in range(60):
            if self.orchestrator is None:
                if self.ending is not None and self.ending.status is not SweepStatus.INTERRUPTED:
                    break
                self.start()
            else:
                self._turn()
            self.nothing_is_lost()
            self.cancelled_jobs_end()
            for name in self.world.live():
                self.world.jobs[name].phase = JobPhase.RUNNING
                self.world.report(name, score=1.0, cost=0.0, checkpoint="c", **self.GIVEN)
                self.world.end(name, ENDS["success"])
        assert self.orchestrator is None, "the sweep does not end"
        assert not self.world.live()
        with contextlib.closing(SqliteStore.open(self.path, readonly=True, safe_mode=False)) as store:
            assert_replays(store)
            assert self.ending is not None
            assert store.state.status is self.ending.status
            assert not store.state.running_jobs
            assert not store.state.commands
            stored = Counter(
                token(job)
                for n in store.state.trials
                for job in store.jobs(n)
                for report in store.reports(n)
                if report.job == job.id
            )
            assert stored == self.world.reported, "each report is stored once"
            done = [trial for trial in store.state.trials.values() if trial.status.terminal]
            if self.ending.reason.startswith("all"):
                assert len(done) == MOST_TRIALS


QUICK = settings(
    max_examples=100,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # to shrink a failure takes minutes, and thirty steps can be read as they are
    suppress_health_check=list(HealthCheck),
)


def test_whatever_happens_nothing_is_lost() -> None:
    run_state_machine_as_test(SweepMachine, settings=QUICK)
    assert set(SweepMachine.blown_at_commit) == {"die before", "die after", "full"}
    assert set(SweepMachine.blown_at_deed) == {"die before", "die after"}
    assert set(SweepMachine.endings) == {"finished", "stopped", "interrupted", "broken"}
    assert set(SweepMachine.seen) == {"made by hand", "taken back"}


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_whatever_happens_nothing_is_lost_deeper() -> None:
    deeper = settings(QUICK, max_examples=1500, stateful_step_count=50, derandomize=False)
    run_state_machine_as_test(SweepMachine, settings=deeper)
