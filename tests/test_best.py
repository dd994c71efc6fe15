"""The best configurations: ranked as the goal says, in full precision, in every form."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from commandline import RECIPE, Project

from sweeptui.core.analysis.best import as_overrides, as_yaml, nested
from sweeptui.core.analysis.ranking import ranked
from sweeptui.core.config import SweepTool
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import JobState, Stage, Trial, TrialStatus

LR = 1.2345678901234567e-05


def trial(number: int, score: float | None, cost: float | None = 1.0, status: str = "completed") -> Trial:
    return Trial(
        number=number, params={"lr": LR}, seed=0, created_at=0.0, status=TrialStatus(status), score=score, cost=cost
    )


def test_ranking_follows_the_goal_and_keeps_negative_and_zero_scores() -> None:
    trials = [trial(1, -3.0), trial(2, 0.0), trial(3, -0.5), trial(4, None), trial(5, float("nan"))]
    assert [item.trial.number for item in ranked(trials, "maximize")] == [2, 3, 1]
    assert [item.trial.number for item in ranked(trials, "minimize")] == [1, 3, 2]


def test_failed_and_running_trials_are_not_ranked() -> None:
    trials = [trial(1, 9.0, status="failed"), trial(2, 9.0, status="training"), trial(3, 1.0, status="stopped")]
    assert [item.trial.number for item in ranked(trials, "maximize")] == [3]


def test_ties_share_a_rank_and_go_to_lower_cost_then_number() -> None:
    trials = [trial(1, 1.0, cost=None), trial(2, 1.0, cost=5.0), trial(3, 1.0, cost=2.0), trial(4, 1.0, cost=2.0)]
    order = ranked([*trials, trial(5, 0.5)], "maximize")
    assert [(item.rank, item.trial.number) for item in order] == [(1, 3), (1, 4), (1, 2), (1, 1), (5, 5)]


def test_yaml_is_nested_and_exact() -> None:
    params = {"a.b.lr": LR, "a.b.n": 3, "a.on": True, "name": "x: y", "huge": 1e300, "third": 1 / 3, "none": None}
    assert yaml.safe_load(as_yaml(params)) == nested(params)
    assert nested(params)["a"] == {"b": {"lr": LR, "n": 3}, "on": True}


def test_a_path_that_begins_another_stays_flat() -> None:
    assert nested({"a": 1, "a.b": 2, "c.d": 3}) == {"a": 1, "a.b": 2, "c": {"d": 3}}


def test_overrides_are_exact() -> None:
    assert as_overrides({"lr": LR, "n": 3, "on": True, "name": "x y"}) == [f"lr={LR!r}", "n=3", "on=true", "name=x y"]


PARAMS = [
    {"model.lr": LR, "model.depth": 3, "seedless": True},
    {"model.lr": 0.25, "model.depth": 3, "seedless": True},
    {"model.lr": 0.1 + 0.2, "model.depth": 4, "seedless": True},
]
SCORES = [-0.0703125, -0.0703125, -17.25]
COSTS = [9.0, 4.0, 1.0]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with a finished sweep "s" whose trials are as above, and one failed trial."""
    project = Project(tmp_path)
    recipe: dict[str, Any] = {**RECIPE, "train_command": ["python", "train.py", "run={run}", "{overrides}"]}
    tool = SweepTool.model_validate({**recipe, "train_overrides": {"steps": 10}, "sweep_name": "s"})
    database = tmp_path / "train_dir" / "sweeps" / "s" / "sweep.db"
    store = SqliteStore.create(database, "s", tool.to_json())
    with store.transaction() as tx:
        for params, score, cost in [*zip(PARAMS, SCORES, COSTS, strict=True), ({"model.lr": 1e-3}, None, None)]:
            number = tx.create_trial(params=params, seed=1, provenance={"method": "random"}).number
            job = tx.create_job(number, Stage.TRAIN, ["true"])
            tx.set_job(job.id, state=JobState.ENDED)
            tx.set_trial(number, status=TrialStatus.TRAINING)
            status = TrialStatus.FAILED if score is None else TrialStatus.COMPLETED
            tx.set_trial(number, status=status, score=score, cost=cost)
    store.close()
    return project


def test_best_prints_every_form(project: Project) -> None:
    out = project.run("best", "s").stdout
    assert out.startswith("Best run: s_trial_0002 (score: -0.0703125)\n")
    assert "Tied with: trial_0001" in out
    overrides = shlex.join(["model.lr=0.25", "model.depth=3", "seedless=true"])
    assert overrides in out.splitlines()
    command = next(line for line in out.splitlines() if line.endswith(overrides) and "train.py" in line)
    assert command == f"python train.py run=s_best steps=10 {overrides}"


def test_patch_file_is_a_hydra_patch(project: Project) -> None:
    out = project.run("best", "s").stdout
    patch = project.folder / "configs" / "trainer" / "patch" / "s_best.yaml"
    text = patch.read_text()
    assert text.startswith("# @package _global_\n")
    assert yaml.safe_load(text) == {"model": {"lr": 0.25, "depth": 3}, "seedless": True}
    assert f"{patch}\n   Use with: +trainer/patch=s_best" in out


def test_patch_goes_where_it_is_told_or_nowhere(project: Project) -> None:
    project.run("best", "s", "--no-patch")
    assert not (project.folder / "configs").exists()
    project.run("best", "s", "--output-dir", "mine/patches")
    assert (project.folder / "mine" / "patches" / "s_best.yaml").exists()
    (project.folder / "file").touch()
    assert "output-dir" in project.error("best", "s", "--output-dir", "file/below")


def test_top_n_shows_what_differs(project: Project) -> None:
    out = project.run("best", "s", "--top-n", "5", "--no-patch").stdout
    top = out.partition("Top 3")[2].partition("=====")[0]
    assert f"model.lr: {LR!r}" in top
    assert f"model.lr: {0.1 + 0.2!r}" in top
    assert "model.depth: 4" in top
    assert "seedless" not in top


def test_show_scores_lists_every_score(project: Project) -> None:
    out = project.run("best", "s", "--show-scores", "--no-patch").stdout
    assert (
        "1. trial_0002: -0.0703125, cost: 4.0\n  1. trial_0001: -0.0703125, cost: 9.0\n  3. trial_0003: -17.25" in out
    )


def test_json_has_the_documented_shape(project: Project) -> None:
    told = json.loads(project.run("best", "s", "--json", "--top-n", "2", "--show-scores").stdout)
    assert set(told) == {
        *("sweep", "metric", "goal", "best", "tied", "top", "yaml", "patch", "overrides", "command", "cwd", "scores"),
        *("budget", "trained"),
    }
    assert told["best"] == {
        "rank": 1,
        "run": "s_trial_0002",
        "id": "trial_0002",
        "number": 2,
        "score": -0.0703125,
        "cost": 4.0,
        "params": PARAMS[1],
    }
    assert told["tied"] == ["trial_0001"]
    assert [item["params"] for item in told["top"]] == [PARAMS[1], PARAMS[0]]
    assert len(told["scores"]) == 3
    assert told["patch"] == str(project.folder / "configs" / "trainer" / "patch" / "s_best.yaml")


def test_a_sweep_without_a_success_has_no_best(project: Project) -> None:
    project.recipe("crash")
    project.run("recipe.yaml", "--sweep-name", "failed", "--quiet", code=3)
    assert "failed" in project.error("best", "failed", code=3)
    assert not (project.folder / "configs").exists()
