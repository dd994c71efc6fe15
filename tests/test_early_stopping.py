"""Schedulers on the real engine, with real processes: they do what the simulator says they do."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from engine_support import Sweep
from scheduled_training import EPOCHS

from sweeptui.core.optimizers.random import RandomOptimizer
from sweeptui.core.schedulers import resolve
from sweeptui.core.space import Space
from sweeptui.core.trial import JobOutcome, Params, Stage, TrialStatus
from sweeptui.testing import Outcome, simulate

SCRIPT = Path(__file__).with_name("scheduled_training.py")
PARAMETERS = {"x": {"distribution": "uniform", "min": 0.0, "max": 1.0}}
RUNGS = {"max_epochs": 9, "grace_period": 1}


class Nine:
    """What `scheduled_training.py` reports."""

    goal = "maximize"
    space = Space.from_parameters(PARAMETERS)

    def curve(self, params: Params) -> Sequence[tuple[float, float]]:
        return [(params["x"] * epoch, float(epoch)) for epoch in range(1, EPOCHS + 1)]


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    return Sweep(tmp_path)


def simulated(scheduler: str, options: dict[str, Any], max_trials: int) -> Outcome:
    optimizer = RandomOptimizer(Nine.space, goal="maximize", settings={}, seed=0)
    return simulate(resolve(scheduler, options), optimizer, Nine(), max_trials=max_trials)


def run(
    sweep: Sweep, scheduler: str, options: dict[str, Any], max_trials: int, hold: dict[str, Any], **fields: Any
) -> None:
    chosen = {"scheduler": scheduler, "scheduler_options": options, "max_trials": max_trials, "seed": 0}
    tool = sweep.tool(parameters=PARAMETERS, **chosen, **fields)
    command = [sys.executable, str(SCRIPT), "{p:x}"]
    tool = tool.model_copy(update={"train_command": command, "env": {**tool.env, "HOLD": json.dumps(hold)}})
    tool.kill_grace_s = 30.0
    assert sweep.run(tool).exit_code == 0
    sweep.assert_consistent()


def told(outcome: Outcome) -> list[tuple[Any, ...]]:
    return [(t.number, t.params, t.status, t.score, t.reason) for _, t in sorted(outcome.state.trials.items())]


def test_asha_stops_what_the_simulator_stops_and_says_why(sweep: Sweep) -> None:
    options = {**RUNGS, "variant": "stopping"}
    expected = simulated("asha", options, 8)
    stopped = [trial for trial in expected.state.trials.values() if trial.status is TrialStatus.STOPPED]
    assert len(stopped) >= 3
    run(sweep, "asha", options, 8, {repr(trial.params["x"]): [trial.step] for trial in stopped})
    state = sweep.state
    for trial in expected.state.trials.values():
        real = state.trials[trial.number]
        assert (real.params, real.status, real.score) == (trial.params, trial.status, trial.score)
        if trial.status is TrialStatus.STOPPED:
            assert real.reason == trial.reason
            assert real.reason.startswith("stopped at rung")
            assert "against cut" in real.reason
            assert real.failure is None
            (job,) = sweep.jobs(trial.number)
            assert job.outcome is JobOutcome.STOPPED
            assert job.ask_reason == trial.reason, "journalled before it was done"
            assert real.checkpoint is not None
            assert real.checkpoint.endswith("last.json"), "it had time for a last checkpoint"


@pytest.mark.parametrize("variant", ["promotion", "auto"])
def test_promotion_trains_on_from_checkpoints_and_pays_for_no_epoch_twice(sweep: Sweep, variant: str) -> None:
    options = {**RUNGS, "variant": variant}
    expected = simulated("asha", options, 9)
    run(sweep, "asha", options, 9, {"*": [1, 3]})
    state = sweep.state
    for trial in expected.state.trials.values():
        real = state.trials[trial.number]
        assert (real.params, real.status, real.score) == (trial.params, trial.status, trial.score)
        assert real.attempt == trial.attempt
        with sweep.store() as store:
            steps = [r.step for r in store.reports(trial.number, Stage.TRAIN) if r.score is not None]
        assert steps == list(range(1, len(steps) + 1)), "each epoch once, over all attempts"
        assert real.spent == len(steps) == real.cost
    assert {trial.attempt for trial in state.trials.values()} == {1, 2, 3}
    assert TrialStatus.COMPLETED in {trial.status for trial in state.trials.values()}


@pytest.mark.parametrize(("goes_on", "spent"), [(True, 9), (False, 4 + 9)])
def test_what_a_training_that_was_cut_off_has_cost_is_counted_once(sweep: Sweep, goes_on: bool, spent: int) -> None:
    """One that goes on from its checkpoint counts on from there; one that begins anew has cost both times."""
    script = f"""
import json, os, sys
begun = os.environ.get("SWEEPTUI_CHECKPOINT") if {goes_on} else None
epoch = int(begun or 0)
while epoch < 9:
    epoch += 1
    line = dict(step=epoch, total_steps=9, score=epoch, cost=epoch, checkpoint=str(epoch))
    open(os.environ["SWEEPTUI_REPORT"], "a").write(json.dumps(line) + "\\n")
    if epoch == 4 and not os.path.exists("cut"):
        open("cut", "w").close()
        sys.exit(1)
"""
    tool = sweep.tool(parameters=PARAMETERS, max_trials=1, retries={"crashed": 1})
    command = [sys.executable, "-c", script.replace("{", "{{").replace("}", "}}")]
    tool = tool.model_copy(update={"train_command": command, "working_dir": str(sweep.folder)})
    assert sweep.run(tool).exit_code == 0
    trial = sweep.state.trials[1]
    assert trial.attempt == 2, "it was cut off"
    assert (trial.cost, trial.spent) == (9, spent)


def test_pbt_hands_checkpoints_over_and_keeps_the_lineage(sweep: Sweep) -> None:
    options = {"population_size": 3, "num_generations": 3, "max_epochs": 9, "truncation": 0.34, "quorum": 1.0}
    run(sweep, "pbt", options, 9, {"*": [3, 6]})
    state = sweep.state
    assert len(state.trials) == 9
    children = [trial for trial in state.trials.values() if "parent" in trial.provenance]
    assert [trial.provenance["generation"] for trial in children] == [2, 2, 2, 3, 3, 3]
    for child in children:
        parent = state.trials[child.provenance["parent"]]
        begun = Path(child.provenance["checkpoint"])
        assert begun.parent == sweep.database.parent / "trials" / child.id / "checkpoints"
        handed = json.loads(begun.read_text())
        assert handed == {"epoch": 3 * (child.provenance["generation"] - 1), "x": parent.params["x"]}
        assert Nine.space.contains(child.params)
        differs = {name: value for name, value in child.params.items() if parent.params[name] != value}
        assert child.provenance["mutation"] == differs
        with sweep.store() as store:
            steps = [r.step for r in store.reports(child.number, Stage.TRAIN) if r.score is not None]
        assert steps == [handed["epoch"] + n for n in (1, 2, 3)]
        assert child.spent == 3
    assert any(trial.provenance["mutation"] for trial in children), "one of the worst was replaced"
    ends = [trial.status for trial in children if trial.provenance["generation"] == 3]
    assert ends == [TrialStatus.COMPLETED] * 3


def test_an_own_scheduler_is_found_by_module_and_class(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    module = sweep.folder / "impatient.py"
    module.write_text(
        "from sweeptui.schedulers import Resources, Scheduler\n"
        "class Impatient(Scheduler):\n"
        "    limit: float = 1.0\n"
        "    def should_stop(self, trial):\n"
        "        return trial.score > self.limit\n"
        "    def allocate_resources(self, trial):\n"
        "        return Resources(time_limit=50.0)\n"
    )
    monkeypatch.syspath_prepend(str(sweep.folder))
    run(sweep, "impatient:Impatient", {"limit": -1.0}, 2, {"*": [1]})
    for trial in sweep.state.trials.values():
        assert (trial.status, trial.reason) == (TrialStatus.STOPPED, "stopped by Impatient")
