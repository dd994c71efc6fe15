"""What is run for a trial beside its training: preparations, several evaluations, exports."""

from __future__ import annotations

import contextlib
import json
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from engine_support import RAN, STARTED, WAIT, Driver, Sweep, finished, kill, sh

from sweeptui import launch
from sweeptui.core import scoring
from sweeptui.core.config import SimulationConfig, SweepTool
from sweeptui.core.errors import UserError
from sweeptui.core.flow import Flow
from sweeptui.core.reports import ParsedReport
from sweeptui.core.trial import FailureKind, JobOutcome, Stage, TrialStatus

SCORE = 'echo "{{\\"score\\": $2}}" >> "$SWEEPTUI_REPORT"; '
ROWS = 'echo "{{\\"rows\\": $2}}" >> "$SWEEPTUI_REPORT"; '
SIMULATIONS = [("arena/basic", 1.0), ("arena/combat", 3.0), ("maze", 8.0)]


def script(text: str, *words: str) -> list[str]:
    """A command that runs `text` with x as $1 and then `words`."""
    return [*sh(text), *words]


def whole(**changed: Any) -> dict[str, Any]:
    """A sweep's fields: prepare, train, three evaluations, export."""
    data = {"name": "data", "command": script(RAN + ROWS, "100"), "gives": {"rows": int}}
    export = {"name": "export", "command": script(RAN + 'echo "$2" > "$SWEEPTUI_TRIAL_DIR/exported"', "{in:rows}")}
    return {
        "train": RAN + 'echo "{{\\"checkpoint\\": \\"c\\"}}" >> "$SWEEPTUI_REPORT"',
        "evaluation_simulations": [
            {"name": name, "command": script(RAN + SCORE, str(score))} for name, score in SIMULATIONS
        ],
        "stages": [data, {"name": "train", "takes": {"rows": int}}, "eval", export],
        "max_trials": 1,
        **changed,
    }


ORDER = ["data", "train", "eval-arena-basic", "eval-arena-combat", "eval-maze", "export"]


def ran(sweep: Sweep, trial: int = 1) -> list[str]:
    """The stages that really ran, in order."""
    return [line.split()[1] for line in sweep.ran.read_text().splitlines() if line.startswith(f"trial_{trial:04d} ")]


def measuring(sweep: Sweep, name: str, **fields: Any) -> SweepTool:
    return sweep.tool(**fields).with_overrides([f"protein_config.metric={name}"])


# -- what is wrong is said before anything runs

DATA = {"name": "data", "command": "true", "gives": {"rows": "int"}}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"stages": [DATA]}, "stages have no 'train', so train_command is never reached; add 'train' to them"),
        (
            {"stages": [DATA, "train"], "eval_command": "true"},
            "stages have no 'eval', so eval_command is never reached; add 'eval' to them",
        ),
        ({"stages": ["train", "eval"]}, "stages.1.name is 'eval', and there is no eval_command; set it, or remove"),
        ({"stages": ["eval", "train"], "eval_command": "true"}, "stages have 'eval' before 'train', when there is"),
        ({"stages": [DATA, DATA, "train"]}, "stages.1.name is 'data', which is there twice; rename one of the two"),
        ({"stages": [{"name": "data"}, "train"]}, "stages.0 is 'data', which has no command; give it one, or remove"),
        ({"stages": [{"name": "train", "timeout_s": 3.0}]}, "stages.0 is 'train', whose timeout_s is set elsewhere; "),
        ({"stages": [{**DATA, "name": "Data"}, "train"]}, "stages.0.name is 'Data'; use up to 60 lower-case letters"),
        ({"stages": [{**DATA, "name": "eval-x"}, "train"]}, "stages.0.name is 'eval-x', and names that start with"),
        ({"stages": [{**DATA, "gives": {"score": "int"}}, "train"]}, "stages.0.gives.score cannot be a field; use"),
        ({"stages": [{**DATA, "gives": {"rows": "integer"}}, "train"]}, "stages.0.gives.rows is 'integer'; did you me"),
        ({"stages": [{**DATA, "retry": 2}, "train"]}, "stages.0.retry is not a field; did you mean 'retries'?"),
        ({"stages": [{**DATA, "timeout_s": 0}, "train"]}, "stages.0.timeout_s is 0; it must be "),
        ({"routes": {"export": "local"}, "stages": [DATA, "train"]}, "routes has 'export'; use 'train', 'eval', 'data"),
        (
            {"evaluation_simulations": [{"name": "a", "command": "true"}, {"name": "b"}]},
            "evaluation_simulations.1.name is 'b', which has no command while others have one; give it one, or set",
        ),
        (
            {"evaluation_simulations": [{"name": "a/b"}, {"name": "a b"}], "eval_command": "true {simulation}"},
            "evaluation_simulations.1.name is 'a b', whose files would have the names of those of 'a/b'; rename one",
        ),
        # Between the stages: in the words of pipelines.
        (
            {"stages": ["train", {"name": "export", "command": "true", "takes": {"row": "int"}}, DATA]},
            "stages do not fit together: stage 'export' reads 'row', which nothing before it gives; ",
        ),
        (
            {"stages": [DATA, {"name": "train", "takes": {"rows": "str"}}]},
            "stages do not fit together: stage 'train' takes 'rows' as str, but it is int; change one",
        ),
        (
            {"stages": [{**DATA, "may_fail": True}, {"name": "train", "takes": {"rows": "int"}}]},
            "stages do not fit together: stage 'train' takes 'rows', which only stage 'data' gives, and that may fail",
        ),
        (
            {"stages": [DATA, "train"], "train_command": "true {in:row}"},
            "train_command: {in:row}: no stage before it gives 'row'; ",
        ),
        ({"train_command": "true {simulation}"}, "train_command: {simulation} is of one of several evaluation_simul"),
        (
            {"stages": ["train", {"name": "export", "command": "true {p:y}"}]},
            "command of stage 'export': {p:y}: no such parameter; the parameters are x",
        ),
        (
            {"stages": ["train", {"name": "export", "command": "no-such-program"}]},
            "command not found: no-such-program; ",
        ),
    ],
)
def test_a_mistake_in_the_stages_is_one_sentence(tmp_path: Path, fields: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as error:
        launch.prepare("test", SweepTool.from_json({**Sweep(tmp_path / "s").tool().to_json(), **fields}), tmp_path)
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "train_dir").exists()


def test_a_sweep_without_stages_is_trained_and_evaluated_as_ever(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path / "s")
    assert [step.stage for step in Flow.of(sweep.tool()).steps] == [Stage.TRAIN]
    both = sweep.tool(evaluate="true", evaluation_simulations=[{"name": "arena/basic"}])
    assert [step.stage for step in Flow.of(both).steps] == [Stage.TRAIN, Stage.EVAL]
    # Its stored configuration says nothing of stages, as that of an earlier version.
    old = {key: value for key, value in both.to_json().items() if key != "stages"}
    assert SweepTool.from_json(old) == both


def test_names_of_stages_are_one_object_each_and_no_paths() -> None:
    assert Stage("data") is Stage("data")
    assert Stage.of_simulation("Arena/Combat 2") == "eval-arena-combat-2"
    for name in ("../x", "a/b", "a.b", "", "A", "x" * 61):
        with pytest.raises(ValueError, match="is no name of a stage"):
            Stage(name)


# -- several evaluations make one score


def simulations(**weights: float) -> list[SimulationConfig]:
    return [SimulationConfig(name=name, weight=weights.get(name, 1.0)) for name, _ in SIMULATIONS]


@pytest.mark.parametrize(
    ("name", "score"),
    [
        ("avg_category_score", 5.0),  # arena is 2, maze 8
        ("avg_simulation_score", 4.0),
        ("arena", 2.0),
        ("evaluator/eval_arena/score", 2.0),
        ("arena/combat", 3.0),
        ("evaluator/eval_maze/score", 8.0),
        ("return", 4.0),
    ],
)
def test_the_metric_names_a_mean_over_simulations(tmp_path: Path, name: str, score: float) -> None:
    tool = measuring(Sweep(tmp_path / "s"), name, **whole())
    found = scoring.aggregated(Flow.of(tool), (name,), {"rows": 100, **dict(SIMULATIONS)})
    assert found["score"] == score
    assert found["metrics"] == {
        "rows": 100,
        **dict(SIMULATIONS),
        "arena": 2.0,
        "avg_category_score": 5.0,
        "avg_simulation_score": 4.0,
        name: score,
    }


def test_weights_count_within_a_category_and_over_all(tmp_path: Path) -> None:
    fields = whole()
    fields["evaluation_simulations"][0]["weight"] = 3.0
    tool = measuring(Sweep(tmp_path / "s"), "arena", **fields)
    found = scoring.aggregated(Flow.of(tool), ("arena",), dict(SIMULATIONS))
    assert found["score"] == 1.5
    assert found["metrics"]["avg_simulation_score"] == (3 * 1 + 3 + 8) / 5
    assert found["metrics"]["avg_category_score"] == (1.5 + 8) / 2


@pytest.mark.parametrize("name", ["evaluator/eval_arena/basic/score", "evaluator/arena/basic/score", "arena/basic"])
def test_a_simulation_may_report_under_its_own_name(name: str) -> None:
    (basic, *_) = simulations()
    assert scoring.values_of(ParsedReport(score=1.0, metrics={name: 2.0}), ("arena",), basic) == {"arena": 2.0}
    assert scoring.values_of(ParsedReport(metrics={"arena": 3.0}), ("arena",), basic) == {"arena": 3.0}


# -- the engine walks through it


def test_the_stages_run_in_order_and_hand_on_what_they_give(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path / "s")
    fields = whole(train=RAN + 'echo "{{\\"inputs\\": $SWEEPTUI_INPUTS}}" >> "$SWEEPTUI_REPORT"', max_trials=2)
    end = sweep.run(measuring(sweep, "avg_category_score", **fields))
    assert end.exit_code == 0
    for number in (1, 2):
        assert ran(sweep, number) == ORDER
        trial = sweep.state.trials[number]
        assert (trial.status, trial.score) == (TrialStatus.COMPLETED, 5.0)
        assert trial.metrics["rows"] == 100
        assert trial.metrics["inputs/rows"] == 100
        assert [job.stage for job in sweep.jobs(number)] == ORDER
        folder = sweep.database.parent / "trials" / trial.id
        assert (folder / "exported").read_text() == "100\n"
        assert (folder / "eval-arena-combat.1.log").exists()
    sweep.assert_consistent()


def test_one_command_evaluates_each_simulation_that_it_names(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path / "s")
    say = 'echo "$2 $3 $4 $SWEEPTUI_SIMULATION" >> "$RAN"; echo "{{\\"score\\": $3}}" >> "$SWEEPTUI_REPORT"'
    tool = sweep.tool(
        evaluation_simulations=[
            {"name": "arena/basic", "episodes": 2, "overrides": {"level": 1}},
            {"name": "maze", "episodes": 6},
        ]
    )
    tool = SweepTool.from_json(
        {
            **tool.to_json(),
            "eval_command": script(say, "{simulation}", "{simulation_episodes}", "{overrides}"),
            "eval_overrides": {"level": 0},
            "max_trials": 1,
        }
    )
    sweep.run(tool)
    assert sweep.ran.read_text().splitlines()[1:] == ["arena/basic 2 level=1 arena/basic", "maze 6 level=0 maze"]
    assert sweep.state.trials[1].score == 4.0


def test_a_stage_that_breaks_its_promise_fails_with_its_name_and_field(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path / "s")
    fields = whole(max_trials=2, parameters={"x": {"distribution": "categorical", "values": ["1.5", "x"]}})
    fields["stages"][0]["command"] = script(RAN + '[ $1 = x ] || echo "{{\\"rows\\": $1}}" >> "$SWEEPTUI_REPORT"')
    sweep.run(sweep.tool(**fields, method="grid"))
    wrong, missing = sweep.state.trials[1], sweep.state.trials[2]
    assert {wrong.status, missing.status} == {TrialStatus.FAILED}
    assert (wrong.failure, missing.failure) == (FailureKind.INVALID_METRIC, FailureKind.NO_METRIC)
    assert wrong.reason.startswith("stage 'data' gives 'rows' as int, and reported 1.5; ")
    assert missing.reason.startswith("stage 'data' gives 'rows' as int, and never reported it; call sweeptui.report(")
    assert sweep.runs() == Counter({"trial_0001 data": 1, "trial_0002 data": 1})


def test_timeouts_and_retries_of_a_stage_act(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path / "s")
    fields = whole()
    fields["stages"][0] |= {"command": script(RAN + "sleep 60"), "timeout_s": 0.3, "retries": 1, "gives": {}}
    fields["stages"][1] = "train"
    fields["stages"][3] = {"name": "export", "command": script(RAN), "may_fail": True}
    sweep.run(sweep.tool(**fields))
    trial = sweep.state.trials[1]
    assert (trial.status, trial.failure) == (TrialStatus.FAILED, FailureKind.TIMEOUT)
    assert trial.reason.startswith("data ran longer than timeout_s of stage 'data' (")
    assert ran(sweep) == ["data", "data"]
    assert trial.attempt == 0


def test_a_stage_that_may_fail_leaves_the_trial_its_score(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path / "s")
    fields = whole()
    fields["stages"][3] |= {"command": script(RAN + "exit 3"), "retries": 1, "may_fail": True}
    sweep.run(sweep.tool(**fields))
    trial = sweep.state.trials[1]
    assert (trial.status, trial.score) == (TrialStatus.COMPLETED, 4.0)
    assert trial.reason == "goes on without export: export exited with code 3"
    assert ran(sweep) == [*ORDER, "export"]


def test_an_export_that_must_not_fail_fails_the_trial(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path / "s")
    fields = whole()
    fields["stages"][3] |= {"command": script(RAN + '[ -e "$SIGNS/go" ]')}
    tool = sweep.tool(**fields)
    sweep.run(tool)
    trial = sweep.state.trials[1]
    assert (trial.status, trial.reason) == (TrialStatus.FAILED, "export exited with code 1")

    # Asked for again, all that comes after the training is done again, and nothing before it.
    sweep.go()
    with sweep.store() as store:
        store.submit("evaluate", {"trials": [1]}, "tester")
    sweep.run(tool)
    assert sweep.state.trials[1].status is TrialStatus.COMPLETED
    assert ran(sweep) == [*ORDER, *ORDER[2:]]
    # Requeued, it is trained again on what was prepared.
    with sweep.store() as store:
        store.submit("requeue", {"trials": [1]}, "tester")
    sweep.run(tool)
    trial = sweep.state.trials[1]
    assert (trial.status, trial.score, trial.metrics["rows"]) == (TrialStatus.COMPLETED, 4.0, 100)
    assert ran(sweep) == [*ORDER, *ORDER[2:], *ORDER[1:]]
    assert (trial.attempt, trial.eval_attempt) == (2, 3)
    sweep.assert_consistent()


def test_a_trial_that_failed_in_its_preparation_is_prepared_again_when_requeued(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path / "s")
    fields = whole()
    fields["stages"][0]["command"] = script(RAN + '[ -e "$SIGNS/go" ] && ' + ROWS, "100")
    tool = sweep.tool(**fields)
    sweep.run(tool)
    assert sweep.state.trials[1].reason == "data exited with code 1"
    sweep.go()
    with sweep.store() as store:
        store.submit("requeue", {"trials": [1]}, "tester")
    sweep.run(tool)
    assert ran(sweep) == ["data", *ORDER]
    assert sweep.state.trials[1].status is TrialStatus.COMPLETED


def test_a_job_that_is_killed_is_tried_again_at_its_stage(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path / "s")
    fields = whole()
    fields["evaluation_simulations"][1]["command"] = script(RAN + STARTED + WAIT + SCORE, "3")
    with sweep.running(sweep.tool(**fields)) as running:
        job = "trial_0001.eval-arena-combat.1"
        pid = sweep.started(job)
        kill(sweep.keeper_of(job))
        kill(pid)
        sweep.started("trial_0001.eval-arena-combat.2")
        sweep.go()
        running.ending()
    assert ran(sweep) == [*ORDER[:3], ORDER[3], *ORDER[3:]]
    assert [job.outcome for job in sweep.jobs(1) if job.stage == "eval-arena-combat"] == [
        JobOutcome.LOST,
        JobOutcome.COMPLETED,
    ]
    assert sweep.state.trials[1].score == 4.0


def test_a_kill_in_any_stage_is_gone_on_from_there(tmp_path: Path) -> None:
    """After the intent of each stage's job is written, and before its end is."""
    simulations = whole()["evaluation_simulations"][1:]
    order = [stage for stage in ORDER if stage != "eval-arena-basic"]

    def campaign(driver: Driver, folder: Path, write: str, before: bool) -> None:
        for stage in order:
            sweep = Sweep(folder / stage)
            tool = measuring(sweep, "avg_category_score", **whole(evaluation_simulations=simulations))
            at = write.format(stage)
            code, said = driver.run(sweep, tool, die_at=at, die_before=before)
            assert (code, at in said) == (-signal.SIGKILL, True), said
            done = [job.stage for job in sweep.jobs(1)]
            assert done == order[: order.index(stage) + 1]
            code, said = driver.run(sweep, tool)
            assert (code, said.get("status")) == (0, "finished"), said
            trial = sweep.state.trials[1]
            assert (trial.status, trial.score) == (TrialStatus.COMPLETED, 5.5), at
            assert ran(sweep) == order, at
            assert [job.stage for job in sweep.jobs(1)] == order
            sweep.assert_consistent()

    with contextlib.closing(Driver()) as one, contextlib.closing(Driver()) as other, ThreadPoolExecutor(2) as pool:
        meant = pool.submit(campaign, one, tmp_path / "meant", "job.created {}.1 1", False)
        ended = pool.submit(campaign, other, tmp_path / "ended", "job.changed {}.1 1 ended", True)
        meant.result()
        ended.result()


def test_a_budget_that_is_used_up_in_a_preparation_lets_the_trial_finish(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path / "s")
    fields = whole(max_cost=1.0, cost_unit="seconds", max_trials=3)
    fields["stages"][0]["command"] = script(RAN + ROWS + 'echo "{{\\"cost\\": 5}}" >> "$SWEEPTUI_REPORT"', "100")
    end = sweep.run(sweep.tool(**fields))
    assert end.exit_code == 5
    assert ran(sweep) == ORDER
    assert [trial.status for trial in sweep.state.trials.values()] == [TrialStatus.COMPLETED]
    assert finished(sweep.state)


def test_several_metrics_are_averaged_each(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path / "s")
    report = 'echo "{{\\"accuracy\\": $2, \\"latency\\": $3}}" >> "$SWEEPTUI_REPORT"'
    tool = sweep.tool(
        evaluation_simulations=[
            {"name": "a", "command": script(report, "1", "10")},
            {"name": "b", "command": script(report, "2", "30")},
        ],
        max_trials=1,
    ).to_json()
    del tool["protein_config"]["metric"], tool["protein_config"]["goal"]
    tool["protein_config"]["metrics"] = [{"name": "accuracy"}, {"name": "latency", "goal": "minimize"}]
    sweep.run(SweepTool.from_json(tool))
    trial = sweep.state.trials[1]
    assert (trial.status, trial.score) == (TrialStatus.COMPLETED, 1.5), trial.reason
    assert json.loads(json.dumps(dict(trial.metrics))) == {
        "accuracy": 1.5,
        "latency": 20.0,
        "a/accuracy": 1.0,
        "a/latency": 10.0,
        "b/accuracy": 2.0,
        "b/latency": 30.0,
    }
