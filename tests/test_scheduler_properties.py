"""Any interleaving of what can happen to a sweep keeps the rungs, the budgets and the lineage of its scheduler.

The machine is that of test_engine_properties: the real orchestrator and store, jobs in a world that outlives them, with
reports, failures, pauses, kills, crashes at any write, and restarts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule, run_state_machine_as_test
from test_engine_properties import FAULTS, QUICK, Fault, SweepMachine

from sweeptui.core.dispatch import JobExit, JobPhase
from sweeptui.core.schedulers import resolve
from sweeptui.core.schedulers.rungs import Rungs
from sweeptui.core.state import Change, ChangeKind, SweepStatus
from sweeptui.core.trial import JobOutcome, TrialStatus


class ScheduledMachine(SweepMachine):
    """Reports have a score that depends on the trial, and a checkpoint that is really there."""

    done: ClassVar[Counter[str]] = Counter()
    """What the scheduler had done, by its name."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: Counter[str] = Counter()

    def reported(self, name: str, step: int) -> dict[str, Any]:
        folder = self.world.jobs[name].spec.trial_dir / "checkpoints"
        folder.mkdir(parents=True, exist_ok=True)
        checkpoint = folder / f"step_{step}"
        checkpoint.write_text(name)
        score = float(step * (1 + self.world.jobs[name].spec.trial * 7 % 5))
        return {"step": step, "total_steps": 9, "score": score, "cost": float(step), "checkpoint": str(checkpoint)}

    @rule(count=st.integers(2, 6), by=st.integers(1, 3), fault=FAULTS)
    def all_train(self, count: int, by: int, fault: Fault) -> None:
        """What runs reports ever later steps, and ends where it was told to."""
        for round_ in range(count):
            self.turns(1, fault if round_ == 1 else None)
            for name in self.world.live():
                if self.world.jobs[name].cancelled:
                    self.world.end(name, JobExit(code=None, signal=15, killed=True, run_s=1.0))
                elif self.world.jobs[name].phase is JobPhase.RUNNING:
                    self.steps[name] = min(9, self.steps[name] + by)
                    self.world.report(name, **self.reported(name, self.steps[name]))
        self.turns(1, None)

    @invariant()
    def it_decides_what_it_would_decide_after_a_restart(self) -> None:
        """From the store alone, with nothing remembered."""
        if self.orchestrator is None:
            return
        views = self.orchestrator._views
        view = views.view(self.orchestrator._tool, closing=False, full=False)
        assert view.rungs is not None
        fresh = Rungs(view.rungs.plan, view.goal)
        fresh.add(self.store.points(), view.trials)
        for trial in view.trials.values():
            assert view.rungs.of(trial) == fresh.of(trial)
            assert view.rungs.reached(trial.number) == fresh.reached(trial.number)
            assert view.rungs._bests.get(trial.number) == fresh._bests.get(trial.number)
        assert view.rungs._rungs == fresh._rungs
        anew = resolve(self.tool.scheduler, self.tool.scheduler_options)
        assert anew.decide(replace(view, rungs=fresh)) == self.orchestrator._scheduler.decide(view)

    @invariant()
    def the_lineage_holds(self) -> None:
        if self.orchestrator is None:
            return
        trials = self.store.state.trials
        places: set[tuple[int, int]] = set()
        for trial in trials.values():
            how = trial.provenance
            if "parent" not in how:
                continue
            parent = trials[how["parent"]]
            assert parent.number < trial.number
            assert how["generation"] == 1 + parent.provenance.get("generation", 1)
            assert (how["member"], how["generation"]) not in places, "one trial for each member and generation"
            places.add((how["member"], how["generation"]))
            begun = Path(how["checkpoint"])
            assert begun.parent == self.folder / "trials" / trial.id / "checkpoints"
            assert begun.read_text(), "it has its own copy, whole"
            assert self.tool.space.contains(trial.params)
            mutation = {name: value for name, value in trial.params.items() if parent.params[name] != value}
            assert mutation == how["mutation"]

    def _check(self, change: Change) -> None:
        super()._check(change)
        name = self.tool.scheduler
        if change.kind == ChangeKind.JOB_CHANGED and change.data.get("ask") == JobOutcome.STOPPED:
            assert change.data["ask_reason"]
            self.done[f"{name} stopped"] += 1
        if change.kind == ChangeKind.TRIAL_CREATED and "parent" in change.data["provenance"]:
            self.done[f"{name} forked"] += 1
        if change.kind == ChangeKind.TRIAL_CHANGED:
            if str(change.data.get("reason", "")).startswith("promoted"):
                self.done[f"{name} promoted"] += 1
            if change.data.get("status") == TrialStatus.STOPPED and "end_order" in change.data:
                assert "failure" not in change.data or change.data["failure"] is None


RUNGS = {"max_epochs": 9, "reduction_factor": 2, "grace_period": 1}


class StoppingMachine(ScheduledMachine):
    SCHEDULER: ClassVar[Mapping[str, Any]] = {"name": "asha", **RUNGS, "variant": "stopping"}


class AutoMachine(ScheduledMachine):
    SCHEDULER: ClassVar[Mapping[str, Any]] = {"name": "asha", **RUNGS}


class PromotingMachine(ScheduledMachine):
    SCHEDULER: ClassVar[Mapping[str, Any]] = {"name": "asha", **RUNGS, "variant": "promotion"}


class HyperbandMachine(ScheduledMachine):
    SCHEDULER: ClassVar[Mapping[str, Any]] = {"name": "hyperband", **RUNGS, "grace_period": 4}


class PBTMachine(ScheduledMachine):
    SCHEDULER: ClassVar[Mapping[str, Any]] = {
        "name": "pbt",
        "population_size": 2,
        "num_generations": 3,
        "max_epochs": 9,
        "exploit_method": "binary_tournament",
        "explore_method": "resample",
    }


MACHINES = {
    StoppingMachine: {"asha stopped"},
    AutoMachine: {"asha stopped", "asha promoted"},
    PromotingMachine: {"asha stopped", "asha promoted"},
    HyperbandMachine: {"hyperband stopped", "hyperband promoted"},
    PBTMachine: {"pbt stopped", "pbt forked"},
}


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.__name__)
def test_whatever_happens_the_scheduler_keeps_its_word(machine: type[ScheduledMachine]) -> None:
    machine.done.clear()
    run_state_machine_as_test(machine, settings=settings(QUICK, max_examples=20))
    assert set(machine.done) >= MACHINES[machine]


def test_a_pause_before_a_promotion_does_not_end_the_sweep() -> None:
    machine = PromotingMachine()
    try:
        machine.make(
            has_eval=False, parallel=1, sequential=False, ahead=0, breaker=0, lost=0, cost=None, usual="success"
        )
        machine._submit("set", max_trials=2)
        for number in (1, 2):
            machine._turn(2)
            (name,) = machine.world.live()
            machine.world.report(name, **machine.reported(name, 1))
            machine._turn(2)
            assert machine.world.jobs[name].cancelled
            if number == 2:
                machine._submit("pause")
            machine.world.end(name, JobExit(code=None, signal=15, killed=True, run_s=1.0))
        machine._turn(3)
        assert machine.ending is None
        assert machine.store.state.status is SweepStatus.PAUSED
        assert not machine.world.live()
        machine._submit("resume")
        machine._turn(3)
        (name,) = machine.world.live()
        assert name.endswith(".train.2"), "one of the best is trained on"
    finally:
        machine.teardown()


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.__name__)
def test_whatever_happens_the_scheduler_keeps_its_word_deeper(machine: type[ScheduledMachine]) -> None:
    run_state_machine_as_test(
        machine, settings=settings(QUICK, max_examples=500, stateful_step_count=50, derandomize=False)
    )
