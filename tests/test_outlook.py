"""The optimizer page: what the process beside computes, and that it is asked once for what is known."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
from app_sweep import frame, until
from commandline import Project
from outlook_shown import shown

from sweeptui.app.cockpit import Cockpit
from sweeptui.app.outlook import Known, Outlooks, Running, answer_of, command, ends_of
from sweeptui.app.screens.optimizer import OptimizerPage
from sweeptui.core.analysis.summary import tool_of
from sweeptui.core.config import ProteinConfig, SweepTool
from sweeptui.core.stores.past import Past
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import Stage, TrialStatus

PARAMETERS = {
    "model.lr": {"distribution": "log_normal", "min": 1e-5, "max": 1e-2},
    "model.width": {"min": 0.0, "max": 1.0},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("outlook"))
    protein: dict[str, Any] = {"metric": "score", "goal": "maximize", "method": "bayes", "parameters": PARAMETERS}
    project.recipe(max_trials=9, max_parallel_jobs=2, protein_config=protein)
    project.run("recipe.yaml", "--sweep-name", "s", "--headless", "--quiet")
    return project


def screen(app: Cockpit) -> str:
    return "\n".join(frame(app))


@functools.cache
def compute(where: Path, which: int = 0, seq: int | None = None) -> dict[str, Any]:
    return answer_of(subprocess.Popen(command(where, which, seq), stdout=PIPE, stderr=PIPE, text=True))


def folder(project: Project) -> Path:
    return project.folder / "train_dir/sweeps/s"


def test_what_the_page_shows_is_computed_by_a_process_beside(project: Project) -> None:
    found = compute(folder(project))
    with closing(SqliteStore.open(folder(project) / "sweep.db", readonly=True)) as store:
        state = store.state
    predicted = [n for n, trial in sorted(state.trials.items()) if "score_mean" in trial.provenance]
    assert predicted, "no trial was suggested by a model"
    assert [row["number"] for row in found["stored"]["rows"]] == predicted
    first = found["stored"]["rows"][0]
    told = state.trials[predicted[0]]
    assert (first["mean"], first["observed"]) == (told.provenance["score_mean"], told.score)
    assert first["off"] == pytest.approx((told.score - first["mean"]) / told.provenance["score_std"])  # type: ignore[operator]
    assert [row["number"] for row in found["left_out"]["rows"]] == list(range(1, 10))
    assert [each["parameter"] for each in found["slices"]] == list(PARAMETERS)
    assert tool_of(state).space.contains(found["next"]["params"])
    assert {max(profile) for profile in found["next"]["improvement"].values()} == {1.0}
    assert found["importance"]["rows"][0]["parameter"] == "model.lr"


def test_where_there_is_too_little_it_says_so(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.run(project.recipe(), "--sweep-name", "s", "--headless", "--quiet")
    found = compute(folder(project))
    assert found["problem"] == "2 trials have a score inside the search space; this takes at least 4"
    with pytest.raises(RuntimeError, match="the models cannot be fitted"):
        compute(tmp_path / "nowhere")


def test_the_made_up_outlook_has_the_shape_of_a_real_one(project: Project) -> None:
    found = compute(folder(project))
    made_up = json.loads(json.dumps(shown()))
    assert made_up.keys() == found.keys()
    for key in ("next", "importance", "stored", "left_out"):
        assert made_up[key].keys() == found[key].keys()
    assert made_up["slices"][0].keys() == found["slices"][0].keys()
    assert made_up["importance"]["rows"][0].keys() == found["importance"]["rows"][0].keys()
    assert made_up["stored"]["rows"][0].keys() == found["stored"]["rows"][0].keys()


# -- of several metrics, of the past, and what is asked of the process


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten trials of two metrics that different parameters decide."""
    metrics = [{"name": "accuracy"}, {"name": "loss", "goal": "minimize"}]
    parameters = {name: {"min": 0.0, "max": 1.0} for name in ("a", "b")}
    tool = SweepTool(protein_config=ProteinConfig(metrics=metrics, parameters=parameters), train_command=["true"])
    where = tmp_path_factory.mktemp("both") / "train_dir/sweeps/both"
    with closing(SqliteStore.create(where / "sweep.db", "both", tool.to_json())) as store, store.transaction() as tx:
        for k in range(10):
            params = {"a": (k * 0.37) % 1, "b": (k * 0.71) % 1}
            number = tx.create_trial(params, 1, {"score_means": [0.5, 0.1], "score_stds": [0.1, 0.2]}).number
            tx.create_job(number, Stage.TRAIN, ["true"])
            tx.set_trial(number, status=TrialStatus.TRAINING)
            metrics_of = {"accuracy": params["a"], "loss": params["b"]}
            tx.set_trial(
                number, status=TrialStatus.COMPLETED, score=params["a"], metrics=metrics_of, end_order=k + 1, cost=1.0
            )
    return where


def test_each_metric_has_its_own_outlook(both: Path) -> None:
    first, second = compute(both), compute(both, 1)
    assert [found["metric"] for found in (first, second)] == ["accuracy", "loss"]
    assert [found["importance"]["rows"][0]["parameter"] for found in (first, second)] == ["a", "b"]
    assert (first["through"], second["through"]) == ("trial_0009", "trial_0001"), "the best by that metric"
    assert {(row["mean"], row["spread"]) for row in second["stored"]["rows"]} == {(0.1, 0.2)}
    assert second["stored"]["rows"][3]["observed"] == pytest.approx(0.13)


def test_of_the_past_it_is_what_was_known_then(both: Path) -> None:
    with closing(SqliteStore.open(both / "sweep.db", readonly=True)) as store:
        past = Past(store)
        ends = [seq for seq in range(1, past.last + 1) if (past.go_to(seq), past.state.ended)[1] == 5]
    assert compute(both, 0, ends[0])["trials"] == 5
    assert compute(both)["trials"] == 10


async def test_m_goes_on_to_the_next_metric_on_the_page_and_in_the_plots(both: Path) -> None:
    app = Cockpit(both, utf8=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.snapshot is not None, "the first snapshot")
        await pilot.press("O")
        await until(pilot, lambda: "10 trials of accuracy" in screen(app), "the first metric")
        assert "metric 1 of 2" in screen(app)
        await pilot.press("M")
        await until(pilot, lambda: "10 trials of loss" in screen(app), "the second one")
        await pilot.press("escape", "5")
        await until(pilot, lambda: "importance for loss" in screen(app), "the same in the plots")
        assert "loss by b" in screen(app), "the most important parameter first"
        app.plotting.pane.focus()
        await pilot.press("X")
        await until(pilot, lambda: "loss by a" in screen(app), "the next parameter")
        await pilot.press("M")
        await until(pilot, lambda: "importance for accuracy" in screen(app), "back to the first one")


async def test_it_is_asked_again_where_a_tenth_more_is_known_and_ended_with_the_cockpit(
    both: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    class Slow(Running):
        def __init__(self, folder: Path, which: int, ends: int, trials: int, *more: Any) -> None:
            asked.append(trials)
            super().__init__(folder, which, ends, trials, *more)

    sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
    monkeypatch.setattr("sweeptui.app.outlook.Running", Slow)
    monkeypatch.setattr("sweeptui.app.outlook.command", lambda *_: sleeper)
    app = Cockpit(both, utf8=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.snapshot is not None, "the first snapshot")
        outlook, shown_now = app.pages.outlook, app.snapshot
        assert shown_now is not None
        counts = {TrialStatus.COMPLETED: 20}
        outlook.keep(0, Known(ends_of(shown_now), 20, shown()))
        for done in (20, 21, 22):
            counts = {TrialStatus.COMPLETED: done}
            outlook.look(replace(shown_now, counts=counts), always=False)
        assert asked == [22]
        running = outlook._running
        assert running is not None
        await until(pilot, lambda: running._process is not None, "the process")
        process = running._process
    assert process is not None
    assert process.wait(60) != 0, "nobody looks any more"


def test_more_than_chance_is_written_where_anything_is(both: Path) -> None:
    for told in (True, False):
        outlooks = Outlooks(both, lambda _message: None)
        outlooks.keep(0, Known(1, 1, shown(told=told)))
        page = OptimizerPage(outlooks)
        section = page._importance(shown(told=told), 60)
        assert (section.note == "✔ more than chance") is told
