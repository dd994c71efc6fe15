"""The stages of a trial as users see them: on the command line and in the cockpit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from app_sweep import Sweep
from commandline import Project
from test_app_cockpit import cockpit, screen, until

from sweeptui.cli import main
from sweeptui.core.errors import UserError
from sweeptui.core.stagewords import words_of
from sweeptui.core.trial import JobOutcome, JobState, Stage, TrialStatus
from sweeptui.recipes.find import find_recipe

EXAMPLE = Path(__file__).parent.parent / "docs" / "examples" / "stages.yaml"
STAGES = ["data", "train", "eval-arena-basic", "eval-arena-combat", "eval-navigation", "export"]
CONFIG: dict[str, Any] = {
    "stages": [{"name": "data"}, {"name": "train"}, {"name": "eval"}, {"name": "export"}],
    "evaluation_simulations": [{"name": "arena/basic"}, {"name": "maze"}],
    "eval_command": ["evaluate", "{simulation}"],
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    shutil.copy(EXAMPLE, tmp_path)
    return Project(tmp_path)


def test_the_example_runs_from_the_command_line(project: Project) -> None:
    preview = project.run("stages.yaml", "--dry-run")
    assert [line.partition(":")[0] for line in preview.stdout.splitlines()] == STAGES
    assert "trainer.epochs=EPOCHS" in preview.stdout

    run = project.run("stages.yaml", "--headless", "--sweep-name", "s", "--max-trials", "1")
    assert "Scheduling data for trial_0001" in run.stdout
    assert "Scheduling trial 1/1: trial_0001" in run.stdout
    assert "Trial trial_0001: data done in" in run.stdout
    assert "Scheduling eval-arena-combat for trial_0001" in run.stdout

    shown = json.loads(project.run("show", "s", "--json").stdout)
    for trial in shown["trials"]:
        assert [job["stage"] for job in trial["jobs"]] == STAGES
        found = trial["metrics"]
        assert found["epochs"] == 5
        assert found["arena"] == pytest.approx((found["arena/basic"] + 2 * found["arena/combat"]) / 3)
        assert trial["score"] == pytest.approx(fmean([found["arena"], found["navigation"]]))
        assert (project.folder / "train_dir" / "sweeps" / "s" / "trials" / trial["id"] / "policy.json").exists()
    assert "20 episodes" in project.run("logs", "s", "1", "--stage", "eval-arena-combat").stdout
    said = project.error("logs", "s", "1", "--stage", "evaluate")
    assert said.endswith(f"; there are logs of {', '.join(STAGES)}")


def test_a_wrong_stage_is_named_and_nothing_is_run(project: Project) -> None:
    wrong = (project.folder / "stages.yaml").read_text().replace("takes: {epochs: int}", "takes: {epochs: str}")
    (project.folder / "stages.yaml").write_text(wrong)
    for how in ("--dry-run", "--headless"):
        said = project.error("stages.yaml", how)
        assert said.endswith("stage 'train' takes 'epochs' as str, but it is int; change one")
        line = wrong[: wrong.index("takes: {epochs: str}")].count("\n") + 1
        assert said.startswith(f"error: stages.yaml, line {line}: stages do not fit together: ")
    assert not project.written()


@pytest.mark.parametrize(
    ("stages", "line", "said"),
    [
        ("[train, {name: a, command: 'true', takes: {row: int}}]", 2, "stage 'a' reads 'row', which nothing before it"),
        (
            "\n- {name: d, command: 'true', gives: {n: int}}\n- train\n- name: a\n  command: 'true'\n  takes:\n"
            "    n: int\n    row: int",
            9,
            "stage 'a' reads 'row', which nothing before it gives",
        ),
        (
            "\n- {name: a, command: 'true', gives: {row: int}, may_fail: true}\n- name: train\n  takes: {row: int}",
            5,
            "stage 'train' takes 'row', which only stage 'a' gives, and that may fail; remove its may_fail",
        ),
        (
            "\n- train\n- eval\n- name: a\n  command: 'true'\n  takes: {row: int}",
            7,
            "stage 'a' reads 'row', which nothing before it gives",
        ),
    ],
)
def test_a_contract_that_does_not_hold_has_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stages: str, line: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    rest = "protein_config: {metric: m, parameters: {x: {min: 0.0, max: 1.0}}}\neval_command: 'true {simulation}'\n"
    more = "evaluation_simulations: [{name: a}, {name: b}]\n" if "eval" in stages else ""
    rest = rest if more else rest.partition("eval_command")[0]
    (tmp_path / "r.yaml").write_text(f"train_command: 'true {{p:x}}'\nstages: {stages}\n{rest}{more}")
    with pytest.raises(UserError) as error:
        find_recipe("r.yaml", tmp_path).build({})
    assert str(error.value).startswith(f"r.yaml, line {line}: stages do not fit together: {said}")


def test_what_a_trial_does_has_a_word() -> None:
    assert words_of(CONFIG) == {
        "data": "preparing",
        "export": "export",
        "eval-arena-basic": "evaluating 1/2",
        "eval-maze": "evaluating 2/2",
    }
    assert words_of({}) == {}
    assert words_of({**CONFIG, "stages": [], "eval_command": ["evaluate", "{simulations_json}"]}) == {}


ROUNDS: dict[str, Any] = {
    "stages": [{"name": "train"}, {"name": "eval"}, {"name": "export", "may_fail": True}, {"name": "publish"}],
    "evaluation_simulations": [{"name": "a"}, {"name": "b"}, {"name": "c"}],
    "eval_command": ["evaluate", "{simulation}"],
}


BETWEEN = [
    ("train", JobOutcome.COMPLETED, "trained"),
    ("eval-a", JobOutcome.COMPLETED, "evaluating 2/3"),
    ("eval-b", JobOutcome.CRASHED, "evaluating 2/3"),
    ("eval-b", JobOutcome.COMPLETED, "evaluating 3/3"),
    ("eval-c", JobOutcome.COMPLETED, "export"),
    ("export", JobOutcome.CRASHED, "publish"),
]
"""The stages of a trial, how each ends, and what the trial is said to do until the next one begins."""


def begin(sweep: Sweep, number: int, stage: str) -> int:
    """A stage begins. The job's id."""
    status = TrialStatus.TRAINING if stage == Stage.TRAIN else TrialStatus.EVALUATING
    with sweep.store.transaction() as tx:
        job = tx.create_job(number, Stage(stage), ("true",))
        tx.set_job(job.id, state=JobState.RUNNING, started_at=tx.now)
        tx.set_trial(number, status=status)
    return job.id


def pass_stage(sweep: Sweep, number: int, stage: str, outcome: JobOutcome) -> int:
    """A stage begins and ends, and the next one has not begun. The job's id."""
    job = begin(sweep, number, stage)
    with sweep.store.transaction() as tx:
        tx.set_job(job, state=JobState.ENDED, outcome=outcome)
        tx.set_trial(number, status=TrialStatus.TRAINED)
    return job


async def test_between_two_evaluations_a_trial_is_evaluated(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, **ROUNDS)
    number = sweep.trial()
    async with cockpit(sweep, select=number) as (app, pilot):
        for stage, outcome, word in BETWEEN:
            last = pass_stage(sweep, number, stage, outcome)
            await until(pilot, lambda word=word: f"◌ {word}" in screen(app), word)
        await pilot.press("slash", *"state:publish", "enter")
        await until(pilot, lambda: "◌ publish" in screen(app), "the filter finds it")
        await pilot.press("slash", *["backspace"] * 14, "enter")
        with sweep.store.transaction() as tx:
            tx.set_trial(number, requeued_after_job=last)
        await until(pilot, lambda: "◌ trained" in screen(app), "all of it is to be done again")


def test_show_says_what_a_trial_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = Sweep(tmp_path, **ROUNDS)
    number = sweep.trial()

    def shown(*how: str) -> str:
        assert main(["show", sweep.folder.name, "--root", str(tmp_path), *how]) == 0
        return capsys.readouterr().out

    for stage, outcome, word in BETWEEN:
        pass_stage(sweep, number, stage, outcome)
        assert f"trial_0001  {word}  " in shown()
    assert json.loads(shown("--json"))["trials"][0]["status"] == "trained"
    begin(sweep, number, "publish")
    assert "trial_0001  publish  " in shown()
    sweep.set(number, TrialStatus.PAUSED)
    assert "trial_0001  paused  " in shown()


async def test_the_cockpit_shows_the_stages(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, **CONFIG)
    number = sweep.trial()
    sweep.start(number, Stage("data"))
    sweep.write_log(number, "prepared 100 rows\n", Stage("data"))
    async with cockpit(sweep, select=number) as (app, pilot):
        await until(pilot, lambda: "▶ preparing" in screen(app), "the preparation")
        await until(pilot, lambda: "prepared 100 rows" in screen(app), "its log")
        await pilot.press("slash", *"state:export", "enter")
        await until(pilot, lambda: "▶ preparing" not in screen(app), "no trial that is exported")
        await pilot.press("slash", *["backspace"] * 12, *"state:prep", "enter")
        await until(pilot, lambda: "▶ preparing" in screen(app), "the trial that is prepared")
        await pilot.press("slash", *["backspace"] * 12, "enter")
        for stage in (Stage.TRAIN, Stage("eval-arena-basic"), Stage("eval-maze")):
            sweep.end(number, 0.5)
            sweep.set(number, TrialStatus.PENDING)
            sweep.set(number, TrialStatus.TRAINING)
            if stage.evaluates:
                sweep.set(number, TrialStatus.TRAINED)
            sweep.start(number, stage)
            sweep.write_log(number, f"this is {stage}\n", stage)
        await until(pilot, lambda: "▶ evaluating 2/2" in screen(app), "the second evaluation")
        await until(pilot, lambda: "this is eval-maze" in screen(app), "its log")
        assert "Log trial_0001 eval-maze" in screen(app)
        for said in ("prepared 100 rows", "this is train", "this is eval-arena-basic", "this is eval-maze"):
            await pilot.press("l")
            await until(pilot, lambda said=said: said in screen(app), f"the log with {said}")
        await pilot.press("slash", *"state:evaluating", "enter")
        await until(pilot, lambda: "▶ evaluating 2/2" in screen(app))
        await pilot.press("enter")
        await until(pilot, lambda: "eval-arena-basic 1" in screen(app), "the trial's timeline")
        assert "data 1 " in screen(app)
