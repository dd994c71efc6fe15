"""Sweeps written for the system that came before, with only their import lines changed, in a project of their own."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sweeptui.core.config import SweepTool
from sweeptui.core.reports import ReportReader, objective
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.template import Context, check, default_eval_command, default_train_command, render
from sweeptui.core.trial import Stage, TrialStatus
from sweeptui.recipes.find import find_recipe


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(Path(__file__).parent / "examples", tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_stage(
    tool: SweepTool, template: list[str], stage: Stage, params: dict[str, Any], project: Path
) -> float | None:
    """Run one job of trial 1 as a sweep would; the objective it reported."""
    overrides = tool.train_overrides if stage is Stage.TRAIN else tool.eval_overrides
    check(template, f"{stage}_command", tool.space.names, overrides)
    trial_dir = project / "trial"
    trial_dir.mkdir(exist_ok=True)
    context = Context(
        sweep=tool.sweep_name or "",
        trial=1,
        params=params,
        stage=stage,
        attempt=1,
        seed=0,
        trial_dir=trial_dir,
        report_path=trial_dir / f"{stage}.jsonl",
        project_dir=project,
        metric=tool.protein_config.metric,
        overrides=overrides,
    )
    environment = {**os.environ, "SWEEPTUI_REPORT": str(context.report_path)}
    subprocess.run(render(template, context), cwd=project, env=environment, check=True, timeout=60)
    (report,) = ReportReader(context.report_path).read()
    return objective(report, tool.protein_config.metric)


def trained(project: Path) -> dict[str, Any]:
    saved: dict[str, Any] = json.loads((project / "train_dir/s_trial_0001/checkpoints/policy.json").read_text())
    return saved


def test_a_custom_sweep_over_a_recipe_module(project: Path) -> None:
    tool = find_recipe("custom_sweep.py:my_custom_sweep", project).build({"sweep_name": "s", "max_trials": 3})
    assert (tool.sweep_name, tool.max_trials, tool.dispatcher_type) == ("s", 3, "hybrid_remote_train")
    params = dict(tool.space.sample(random.Random(1)))
    score = run_stage(tool, default_train_command(tool, project), Stage.TRAIN, params, project)
    policy = trained(project)
    assert policy["pid"] != os.getpid()
    assert policy["trainer"]["optimizer"]["learning_rate"] == params["trainer.optimizer.learning_rate"]
    ppo = policy["trainer"]["losses"]["loss_configs"]["ppo"]
    assert ppo["clip_coef"] == params["trainer.losses.loss_configs.ppo.clip_coef"]
    assert score is None, "training reports under another name; the evaluation has the metric"
    assert run_stage(tool, default_eval_command(tool, project), Stage.EVAL, params, project) == policy["arena"]


def test_a_sweep_with_a_factory_of_tools(project: Path) -> None:
    recipe = find_recipe("experiments.sweep_arena.sweep_optimizer", project)
    tool = recipe.build({"sweep_name": "s", "max_trials": 3, "num_trials": 4})
    assert (tool.max_trials, tool.has_eval) == (4, False)
    assert tool.train_command is not None
    params = dict(tool.space.sample(random.Random(1)))
    assert 65536 <= params["trainer.batch_size"] <= 1048576
    score = run_stage(tool, tool.train_command, Stage.TRAIN, params, project)
    policy = trained(project)
    assert policy["pid"] != os.getpid()
    assert policy["trainer"]["batch_size"] == params["trainer.batch_size"]
    assert policy["trainer"]["ppo"]["gae_lambda"] == params["trainer.ppo.gae_lambda"]
    assert score == policy["arena"]


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ("custom_sweep.py:my_custom_sweep", ["--args", "max_trials=2", "--overrides", "dispatcher_type=local"]),
        (
            "experiments.sweep_arena.sweep_optimizer",
            ["--args", "num_trials=2", "--overrides", "sweep.protein.settings.num_random_samples=100"],
        ),
    ],
)
def test_the_whole_sweep_runs(project: Path, recipe: str, words: list[str]) -> None:
    command = [
        sys.executable,
        "-m",
        "sweeptui",
        recipe,
        "--sweep-name",
        "s",
        "--method",
        "random",
        "--headless",
        *words,
    ]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    with contextlib.closing(SqliteStore.open(project / "train_dir/sweeps/s/sweep.db", readonly=True)) as store:
        trials = list(store.state.trials.values())
    assert [trial.status for trial in trials] == [TrialStatus.COMPLETED] * 2
    best = max(trial.score or 0.0 for trial in trials)
    assert f"Score: {best}" in done.stdout
