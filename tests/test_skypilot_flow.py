"""The stages of a recipe, and the sweeps of experiments, on a scripted SkyPilot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from app_sweep import frame, until
from engine_support import Sweep
from scripted_sky import FakeJob, ScriptedSky
from test_skypilot_sweep import sky  # noqa: F401 - a fixture

from sweeptui.app.cockpit import Cockpit
from sweeptui.core.errors import UserError
from sweeptui.core.experiments import Pipeline
from sweeptui.core.trial import JobOutcome, TrialStatus
from sweeptui.dispatchers.skypilot.gateway import RemoteState
from sweeptui.experiments import (
    CurriculumExperiment,
    Experiment,
    MetaExperiment,
    RandomOptimizer,
    SweepExperiment,
    Uniform,
)
from sweeptui.folders import sweep_names

SEARCH = {"x": {"distribution": "uniform", "min": 0.0, "max": 1.0}}
SCORES = {"eval-arena-basic": 1.0, "eval-maze": 3.0}
WORDS = {
    "data": "▶ preparing",
    "train": "▶ training",
    "eval-arena-basic": "▶ evaluating 1/2",
    "eval-maze": "▶ evaluating 2/2",
    "export": "▶ export",
}
"""The stages in their order, and what the cockpit says of a trial in each."""


def staged(sweep: Sweep, **fields: Any) -> Any:
    return sweep.tool(
        **{
            "train_command": ["train", "{in:rows}", "{checkpoint}"],
            "evaluation_simulations": [
                {"name": "arena/basic", "command": ["evaluate", "{simulation}", "{checkpoint}"]},
                {"name": "maze", "command": ["evaluate", "{simulation}", "{checkpoint}"]},
            ],
            "stages": [
                {"name": "data", "command": ["prepare"], "gives": {"rows": int}, "retries": 1},
                {"name": "train", "takes": {"rows": int}},
                "eval",
                {"name": "export", "command": ["export", "{checkpoint}"], "gives": {"size": int}},
            ],
            "dispatcher_type": "skypilot",
            "skypilot": {"checkpoints": "/shared"},
            "monitoring_interval": 0.02,
            "max_trials": 1,
            **fields,
        }
    )


def stage_of(job: FakeJob) -> str:
    return str(job.submission.task["envs"]["SWEEPTUI_JOB"]).split(".")[1]


def argv_of(job: FakeJob) -> list[str]:
    argv: list[str] = json.loads(job.submission.task["run"].rpartition("' '")[2][:-1])["argv"]
    return argv


def ends_well(job: FakeJob) -> None:
    """As the program of each stage would."""
    stage = stage_of(job)
    said: dict[str, Any] = {"data": {"rows": 100}, "train": {"checkpoint": "/shared/c"}, "export": {"size": 7}}.get(
        stage, {"score": SCORES.get(stage)}
    )
    job.report(step=1, **said)
    job.end(RemoteState.SUCCEEDED, code=0, signal=None, run_s=3.0)


def launched(sky: ScriptedSky) -> list[FakeJob]:  # noqa: F811
    return sorted((job for jobs in sky.jobs.values() for job in jobs), key=lambda job: int(job.remote_id))


async def test_the_stages_run_in_their_order_there_and_the_cockpit_says_which(
    tmp_path: Path,
    sky: ScriptedSky,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    sky.new = lambda job: setattr(job, "state", RemoteState.PROVISIONING)
    sweep = Sweep(tmp_path)
    with sweep.running(staged(sweep)):
        sweep.until(lambda state: state.trials)
        app = Cockpit(sweep.database.parent, None, utf8=True)
        async with app.run_test(size=(120, 40)) as pilot:

            async def says(word: str) -> None:
                await until(pilot, lambda: any(f" {word} " in line for line in frame(app)), word)

            for at, (stage, word) in enumerate(WORDS.items()):
                await until(pilot, lambda at=at: len(launched(sky)) > at, stage)
                jobs = launched(sky)
                assert [stage_of(job) for job in jobs] == list(WORDS)[: at + 1], "one after the other"
                await says("◌ starting")
                jobs[-1].state = RemoteState.RUNNING
                jobs[-1].say(f"this is {stage}")
                await says(word)
                await until(
                    pilot, lambda stage=stage: any(f"this is {stage}" in line for line in frame(app)), "its log"
                )
                ends_well(jobs[-1])
            await says("✔ done")
    trial, jobs_there = sweep.state.trials[1], launched(sky)
    assert (trial.status, trial.score) == (TrialStatus.COMPLETED, 2.0)
    assert trial.metrics["rows"] == 100
    assert trial.metrics["size"] == 7
    assert [argv_of(job) for job in jobs_there] == [
        ["prepare"],
        ["train", "100", ""],
        ["evaluate", "arena/basic", "/shared/c"],
        ["evaluate", "maze", "/shared/c"],
        ["export", "/shared/c"],
    ]
    assert len({job.name for job in jobs_there}) == 5
    sweep.assert_consistent()


def test_a_stage_that_fails_or_loses_its_machine_is_tried_again_before_the_next(
    tmp_path: Path,
    sky: ScriptedSky,  # noqa: F811
) -> None:
    def new(job: FakeJob) -> None:
        is_first = job.submission.task["envs"]["SWEEPTUI_JOB"].endswith(".1")
        if stage_of(job) == "data" and is_first:
            job.end(RemoteState.FAILED, code=1, signal=None, run_s=1.0)
        elif stage_of(job) == "eval-maze" and is_first:
            job.state = RemoteState.PREEMPTED
        else:
            ends_well(job)

    sky.new = new
    sweep = Sweep(tmp_path)
    sweep.run(staged(sweep, max_trials=2))
    for number, trial in sweep.state.trials.items():
        assert (trial.status, trial.score) == (TrialStatus.COMPLETED, 2.0)
        assert [(str(job.stage), job.outcome) for job in sweep.jobs(number)] == [
            ("data", JobOutcome.CRASHED),
            ("data", JobOutcome.COMPLETED),
            ("train", JobOutcome.COMPLETED),
            ("eval-arena-basic", JobOutcome.COMPLETED),
            ("eval-maze", JobOutcome.PREEMPTED),
            ("eval-maze", JobOutcome.COMPLETED),
            ("export", JobOutcome.COMPLETED),
        ]
    sweep.assert_consistent()


def test_stages_here_and_there_take_turns(tmp_path: Path, sky: ScriptedSky) -> None:  # noqa: F811
    sky.new = ends_well
    sweep = Sweep(tmp_path)
    rows = 'echo "{{\\"rows\\": 5}}" >> "$SWEEPTUI_REPORT"'
    tool = staged(sweep, routes={"data": "local", "export": "local"}).to_json()
    tool["stages"][0]["command"] = ["/bin/sh", "-c", rows]
    tool["stages"][3] |= {"command": ["/bin/sh", "-c", 'echo "{{\\"size\\": 6}}" >> "$SWEEPTUI_REPORT"']}
    sweep.run(sweep.tool(**{name: value for name, value in tool.items() if name not in ("protein_config", "sweep")}))
    trial = sweep.state.trials[1]
    assert (trial.status, trial.score, trial.metrics["size"]) == (TrialStatus.COMPLETED, 2.0, 6)
    assert [stage_of(job) for job in launched(sky)] == ["train", "eval-arena-basic", "eval-maze"]
    assert argv_of(launched(sky)[0])[:2] == ["train", "5"]
    assert [str(job.stage) for job in sweep.jobs(1)] == list(WORDS)


class There(Experiment):
    """A sweep in each of its two stages, on machines elsewhere."""

    def pipeline(self) -> Pipeline:
        sweep = SweepExperiment(
            None,
            RandomOptimizer({"x": Uniform(0.0, 1.0)}),
            train=["train", "{p:x}"],
            dispatcher_type="skypilot",
            monitoring_interval=0.02,
        )
        return (
            Pipeline()
            .stage("first", lambda _: sweep.run(2))
            .through(first=dict)
            .stage("second", lambda _: sweep.run(9))
            .through(second=dict)
        )


def test_the_sweeps_of_an_experiment_run_there_within_its_budget(
    tmp_path: Path,
    sky: ScriptedSky,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)

    def new(job: FakeJob) -> None:
        job.report(step=1, score=float(argv_of(job)[1]))
        job.end(RemoteState.SUCCEEDED, code=0, signal=None, run_s=3.0)

    sky.new = new
    result: Any = There("there").run(5, root=tmp_path)
    assert [len(result[stage]["trials"]) for stage in ("first", "second")] == [2, 3]
    assert sorted(sweep_names(tmp_path)) == ["there.first", "there.second"]
    assert len(launched(sky)) == 5
    slugs = ["-first-" if "-there-first-" in job.name else "-second-" for job in launched(sky)]
    assert slugs == ["-first-"] * 2 + ["-second-"] * 3


ELSEWHERE = [
    ({"dispatcher_type": "skypilot"}, "dispatcher_type is 'skypilot'"),
    ({"dispatcher_type": "hybrid_remote_train"}, "dispatcher_type is 'hybrid_remote_train'"),
    ({"routes": {"x=0.5": "skypilot"}}, "routes has 'x=0.5': 'skypilot'"),
]


@pytest.mark.parametrize(("fields", "said"), ELSEWHERE)
def test_sweeps_that_are_trials_are_run_here(tmp_path: Path, fields: dict[str, Any], said: str) -> None:
    base = SweepExperiment(None, RandomOptimizer({"x": Uniform(0.0, 1.0)}), train=["true"])
    with pytest.raises(UserError) as refused:
        MetaExperiment("m", base=base, **fields).run(9, root=tmp_path)
    assert str(refused.value) == (
        f"{said}, but the trials of a MetaExperiment are whole sweeps, which this machine runs; give it to base, the"
        " SweepExperiment whose trials may run there"
    )
    assert not list(tmp_path.iterdir())


def test_what_a_curriculum_hands_on_must_be_where_the_next_machine_finds_it(
    tmp_path: Path,
    sky: ScriptedSky,  # noqa: F811
) -> None:
    def curriculum(**fields: Any) -> CurriculumExperiment:
        return CurriculumExperiment(
            "c",
            tasks=[{"level": 1}, {"level": 2}],
            mastery=0.5,
            trials=1,
            carry="init",
            optimizer=RandomOptimizer({"x": Uniform(0.0, 1.0)}),
            train=["train", "{overrides}"],
            dispatcher_type="skypilot",
            monitoring_interval=0.02,
            **fields,
        )

    with pytest.raises(UserError) as refused:
        curriculum().run(4, root=tmp_path)
    assert str(refused.value) == (
        "skypilot.checkpoints is missing: carry is 'init', and a checkpoint that is trained on SkyPilot stays on its"
        " machine; give a path that all machines share, a bucket (s3://bucket/folder) or 'reported', or carry=None"
    )
    assert not list(tmp_path.iterdir())

    def new(job: FakeJob) -> None:
        job.report(step=1, score=0.7, checkpoint=f"/shared/{job.remote_id}")
        job.end(RemoteState.SUCCEEDED, code=0, signal=None, run_s=3.0)

    sky.new = new
    result: Any = curriculum(skypilot={"checkpoints": "/shared"}).run(4, root=tmp_path)
    assert [each["mastered"] for each in result["outcomes"]] == [True, True]
    assert "init=/shared/1" in argv_of(launched(sky)[1])
