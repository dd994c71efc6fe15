"""Experiments on the start screen: one tree of stages, sweeps and experiments, gone into and back, stopped, watched."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from app_sweep import frame, toasts, until, widths
from test_app_home import home, names, row, screen, sweep
from tmux_terminal import start  # noqa: F401 - a fixture

from sweeptui import acting, launch
from sweeptui.cli import main
from sweeptui.core.errors import UserError
from sweeptui.core.experiments import Pipeline, StageError, StoreMemory
from sweeptui.core.experiments.running import Runner
from sweeptui.core.state import SweepStatus
from sweeptui.families import sight_experiment

AGAIN = "failed trials that are queued again: 2 of flow.first"


@pytest.fixture(autouse=True)
def _still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    monkeypatch.delenv("NO_COLOR", raising=False)


def experiment(root: Path, name: str, pipeline: Pipeline, budget: int | None = None) -> Any:
    told = {"kind": "HybridExperiment", "budget": budget}
    with StoreMemory(launch.sweeps_dir(root) / name / "experiment.db", name, "experiment", told) as memory:
        return Runner(pipeline, {}, memory).run()


def tree(root: Path) -> None:
    """A finished experiment with another one in a stage, one that failed, and a sweep on its own."""
    flow = Pipeline().stage("explore", lambda: 1).through(a=int).stage("refine it", lambda: 2).through(b=int)
    experiment(root, "mix", flow.stage("decide", lambda: 3).through(c=int), budget=30)
    sweep(root, "mix.explore", [0.5, 0.7], SweepStatus.FINISHED).store.close()
    experiment(root, "mix.inner", Pipeline().stage("s", lambda: 1).through(a=int))
    sweep(root, "mix.inner.s", [0.6], SweepStatus.FINISHED).store.close()
    sweep(root, "mix.refine-it", [0.9, None], SweepStatus.FINISHED).store.close()
    sweep(root, "mix.refine-it.trial_0001-1", [0.95], SweepStatus.FINISHED).store.close()
    with pytest.raises(StageError):
        experiment(root, "bad", Pipeline().stage("boom", lambda: 1 / 0).through(a=float))
    sweep(root, "lone", [0.2], SweepStatus.FINISHED).store.close()


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_into_an_experiment_and_back(tmp_path: Path, size: tuple[int, int]) -> None:
    tree(tmp_path)
    async with home(tmp_path, size) as (app, pilot):
        assert sorted(names(app)) == ["bad", "lone", "mix"], "what is inside is not listed beside it"
        assert "✗ broken" in row(app, "bad")
        assert "6/30" in row(app, "mix"), "trials of all sweeps inside, of its budget"
        app.sweeps.table.select("mix")
        await pilot.press("enter")
        assert "sweeps / mix" in screen(app)
        titles = [(entry.title, entry.depth) for entry in app.sweeps.table.entries]
        assert titles == [
            ("explore", 1),
            ("explore", 2),
            ("refine it", 1),
            ("refine-it", 2),
            ("trial_0001-1", 3),
            ("decide", 1),
            ("inner", 1),
            ("s", 2),
            ("s", 3),
        ]
        assert widths(app) == {size[0]}
        app.sweeps.table.select("mix.inner")
        await pilot.press("enter")
        assert "sweeps / mix / inner" in screen(app)
        assert len(app.sweeps.table.entries) == 2
        await pilot.press("backspace")
        assert app.sweeps.table.cursor == "mix.inner"
        assert "sweeps / mix" in screen(app)
        await pilot.press("escape")
        assert app.sweeps.table.cursor == "mix"
        assert sorted(names(app)) == ["bad", "lone", "mix"]


async def test_a_stage_leads_to_the_sweep_that_it_ran(tmp_path: Path) -> None:
    tree(tmp_path)
    async with home(tmp_path, inside="mix") as (app, pilot):
        app.sweeps.table.select("mix:decide")
        await pilot.press("enter")
        await until(pilot, lambda: "decide ran no sweep" in toasts(app), "the refusal")
        app.sweeps.table.select("mix:explore")
        await pilot.press("enter")
    assert app.return_value is not None
    assert app.return_value.folder.name == "mix.explore"


async def test_words_find_what_is_inside(tmp_path: Path) -> None:
    tree(tmp_path)
    async with home(tmp_path) as (app, pilot):
        await pilot.press("slash", *"mix.ref")
        await until(pilot, lambda: names(app) == ["mix.refine-it", "mix.refine-it.trial_0001-1"], "the filter")
        await pilot.press("escape")
        assert len(names(app)) == 3


async def test_an_experiment_is_deleted_with_all_that_is_inside_it(tmp_path: Path) -> None:
    tree(tmp_path)
    async with home(tmp_path) as (app, pilot):
        app.sweeps.table.select("mix")
        await pilot.press("d")
        await until(pilot, lambda: "Delete mix and 5 inside it" in screen(app), "the question")
        await pilot.press("y")
        await until(pilot, lambda: sorted(names(app)) == ["bad", "lone"], "the deletion")
    left = {folder.name for folder in launch.sweeps_dir(tmp_path).iterdir()}
    assert left == {"bad", "lone", ".trash"}


async def test_an_experiment_that_nobody_runs_is_stopped_with_its_sweep(tmp_path: Path) -> None:
    class Killed(BaseException):
        """In place of kill -9."""

    def dies() -> int:
        sweep(tmp_path, "cut.search", [0.5], SweepStatus.RUNNING, train_command=["true"]).store.close()
        raise Killed

    with pytest.raises(Killed):
        experiment(tmp_path, "cut", Pipeline().stage("search", dies).through(a=int))
    async with home(tmp_path) as (app, pilot):
        assert "interrupted" in row(app, "cut")
        app.sweeps.table.select("cut")
        await pilot.press("K")
        await until(pilot, lambda: "Stop cut and all that runs inside it" in screen(app), "the question")
        await pilot.press("y")
        await until(pilot, lambda: "stopped" in row(app, "cut"), "the end")
        await pilot.press("x")
        await until(pilot, lambda: "cut is stopped: nothing of it runs" in toasts(app), "the refusal")
        await pilot.press("enter")
        await until(
            pilot, lambda: any("search" in line and "stopped" in line for line in frame(app)), "the sweep's end"
        )
    assert sight_experiment(launch.sweeps_dir(tmp_path) / "cut").label == "stopped"


async def test_an_experiment_is_paused_and_goes_on(tmp_path: Path) -> None:
    begun, go = threading.Event(), threading.Event()

    def first() -> int:
        begun.set()
        assert go.wait(60)
        return 1

    flow = Pipeline().stage("first", first).through(a=int).stage("second", lambda: 2).through(b=int)
    runs = threading.Thread(target=experiment, args=(tmp_path, "flow", flow), daemon=True)
    runs.start()
    assert begun.wait(60)
    live = sweep(tmp_path, "flow.first", [0.5, None, None], SweepStatus.RUNNING)
    live.store.acquire_lease("experiment", ttl_s=60)
    place = launch.sweeps_dir(tmp_path) / "flow"

    def asked() -> dict[str, Any]:
        live.store.refresh()
        return {command.verb: command.args for command in live.store.state.commands.values()}

    async with home(tmp_path) as (app, pilot):
        app.sweeps.table.select("flow")
        await pilot.press("p")
        await until(pilot, lambda: "paused" in row(app, "flow"), "the pause")
        assert asked() == {"pause": {}}, "what is inside is told as well"
        go.set()
        await until(pilot, lambda: sight_experiment(place).stages[-1].state == "done", "the end of what ran")
        assert [stage.path for stage in sight_experiment(place).stages] == ["first"], "nothing new is begun"
        await pilot.press("r")
        await until(pilot, lambda: AGAIN in toasts(app), "the answer")
        assert asked()["requeue"] == {"trials": [2, 3]}
        await pilot.press("p")
        await until(pilot, lambda: "finished" in row(app, "flow"), "the end")
        await pilot.press("p")
        await until(pilot, lambda: "flow is finished: only what runs can be paused" in toasts(app), "the refusal")
        await pilot.press("enter")
        app.sweeps.table.select("flow.first")
        await pilot.press("p")
        await until(pilot, lambda: "told to pause: flow.first" in toasts(app), "the answer")
        await pilot.press("r")
        await until(pilot, lambda: toasts(app).count(AGAIN) == 2, "the answer")
    runs.join(60)
    live.store.close()
    assert [stage.path for stage in sight_experiment(place).stages] == ["first", "second"]


def test_commands_for_sweeps_say_what_an_experiment_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree(tmp_path)
    for words in (["best", "mix"], ["kill", "mix", "1"], ["attach", "mix"]):
        assert main([*words, "--root", os.fspath(tmp_path)]) == 2
        assert "mix is an experiment" in capsys.readouterr().err
    assert main(["frame", "mix", "--root", os.fspath(tmp_path), "--size", "100x30"]) == 0
    assert "sweeps / mix" in capsys.readouterr().out
    with pytest.raises(UserError, match="there is no experiment 'lone'"):
        acting.stop_experiment(tmp_path, "lone", kill=False, actor="me")


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_an_experiment_is_watched_while_it_runs(tmp_path: Path, start: Any) -> None:  # noqa: F811
    words = ("curriculum", "--sweep-name", "live", "--args", "epochs=4", "trials=1", "mastery=0.1")
    terminal = start(*words, width=120, height=40)
    terminal.shows("sweeps / live", "optimize_task")
    for task in range(4):  # a minute for each
        terminal.shows(f"loop1[{task}]/check_mastery")
    terminal.press("Down", "Down", "Enter")
    terminal.shows("sweeptui live.loop1-0-optimize_task", "Trials 1")
    terminal.press("q")
    terminal.shows("sweeps / live")
    terminal.press("q")
    terminal.shows("turns 2.5, epochs 4: mastered", "EXIT=0")
