"""Scripts that log to W&B, as trials: the real client in real processes, offline and against a loopback server."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from commandline import Project
from fake_wandb import ENTITY, FakeWandb

from sweeptui.core.errors import UserError
from sweeptui.core.files import Files
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.tracking import WandbConfig, environment, write_files
from sweeptui.core.trial import Job, Report, Stage, Trial, TrialStatus

dict_from_config_file = pytest.importorskip("wandb.sdk.lib.config_util").dict_from_config_file

SCRIPT = """\
import json, os, sys, time

mode = json.load(open(os.environ["SWEEPTUI_PARAMS"]))["mode"]
if mode == "none":
    sys.exit()
import wandb

folder = None
if mode == "elsewhere":
    folder = os.environ["SWEEPTUI_TRIAL_DIR"] + "/own"
    os.mkdir(folder)
run = wandb.init(dir=folder, settings=wandb.Settings(console="off", x_disable_stats=True, disable_git=True))
assert run.config.mode == mode
for step in range(3):
    run.log({"val": {"loss": 3 - step}} if mode != "silent" else {"other": step})
if mode == "wait":
    while not os.path.exists("go"):
        time.sleep(0.05)
run.summary["mode"] = mode
"""


needs_flushing = pytest.mark.skipif(
    "x_transaction_log_flush_interval" not in pytest.importorskip("wandb").Settings.model_fields,
    reason="this client writes its log when a block is full, not at an interval",
)
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
"""What ${interpreter} is looked up in."""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    (tmp_path / "script.py").write_text(SCRIPT)
    return project


@pytest.fixture
def server() -> Iterator[FakeWandb]:
    with FakeWandb() as server:
        yield server


def write(project: Project, name: str, *modes: str, **keys: Any) -> str:
    data = {
        "program": "script.py",
        "name": name,
        "project": "p",
        "method": "grid",
        "metric": {"name": "val.loss", "goal": "minimize"},
        "command": ["${interpreter}", "${program}"],
        "parameters": {"mode": {"values": list(modes)}, "model": {"parameters": {"lr": {"value": 0.1}}}},
        **keys,
    }
    (project.folder / f"{name}.yaml").write_text(yaml.safe_dump(data))
    return f"{name}.yaml"


def trials(project: Project, name: str) -> dict[str, Trial]:
    """By mode."""
    store = SqliteStore.open(project.folder / "train_dir" / "sweeps" / name / "sweep.db", readonly=True)
    try:
        return {trial.params["mode"]: trial for trial in store.state.trials.values()}
    finally:
        store.close()


def reports(project: Project, name: str, number: int) -> list[Report]:
    store = SqliteStore.open(project.folder / "train_dir" / "sweeps" / name / "sweep.db", readonly=True)
    try:
        return list(store.reports(number))
    finally:
        store.close()


def test_what_a_job_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_FINISH_TIMEOUT", "5")
    wandb = WandbConfig(project="p", nested={"a.b": ["a", "b"]})
    trial = Trial(7, {"a.b": 1e-05, "c.d": "ü: x"}, seed=0, created_at=12.5)
    job = Job(3, 7, Stage.EVAL, 2, created_at=13.0)
    files = Files(tmp_path / "s")
    told = environment(wandb, "s", files, trial, job)
    folder = tmp_path / "s" / "trials" / "trial_0007"
    assert told == {
        "WANDB_PROJECT": "p",
        "WANDB_RUN_ID": told["WANDB_RUN_ID"],
        "WANDB_RUN_GROUP": "s",
        "WANDB_NAME": "s.trial_0007.eval.2",
        "WANDB_JOB_TYPE": "eval",
        "WANDB_RESUME": "allow",
        "WANDB_SERVICE": "",
        "WANDB_X_TRANSACTION_LOG_FLUSH_INTERVAL": "2",
        "WANDB_DIR": str(folder / "eval.2.wandb"),
        "WANDB_SWEEP_PARAM_PATH": str(folder / "wandb-config.yaml"),
    }
    assert re.fullmatch(r"s-[0-9a-f]{8}\.t0007\.e2", told["WANDB_RUN_ID"])
    other = replace(trial, created_at=12.6)
    assert environment(wandb, "s", files, other, job)["WANDB_RUN_ID"] != told["WANDB_RUN_ID"]
    assert len(environment(wandb, "n" * 100, files, trial, job)["WANDB_RUN_ID"]) <= 64
    write_files(wandb, files, job, trial.params)
    assert dict_from_config_file(told["WANDB_SWEEP_PARAM_PATH"]) == {"a": {"b": 1e-05}, "c.d": "ü: x"}
    monkeypatch.delenv("WANDB_FINISH_TIMEOUT")
    assert environment(wandb, "s", files, trial, job)["WANDB_FINISH_TIMEOUT"] == "600"


def test_the_example_is_swept_offline_with_the_losses_as_curve_and_score(tmp_path: Path) -> None:
    project = Project(tmp_path)
    shutil.copytree(Path(__file__).parent / "examples" / "wandb", tmp_path, dirs_exist_ok=True)
    home = {"WANDB_MODE": "offline", "WANDB_CONFIG_DIR": str(tmp_path), "WANDB_CACHE_DIR": str(tmp_path), "PATH": PATH}
    said = project.run(
        "sweep.yaml", "--headless", "--sweep-name", "s", "--method", "random", "--max-trials", "2",
        "--max-parallel-jobs", "2", "--set", "min_free_disk_mb=0", **home,
    )  # fmt: skip
    assert "note:" not in said.stderr
    shown = json.loads(project.run("show", "s", "--json").stdout)
    for trial in shown["trials"]:
        assert trial["status"] == "completed"
        assert trial["score"] == trial["metrics"]["loss"]
        assert trial["params"]["optimizer.lr"] > 0
        curve = reports(project, "s", trial["number"])
        assert [report.step for report in curve] == list(range(30))
        assert curve[-1].score == trial["score"] < (curve[0].score or 0)


def test_each_run_lands_in_its_group_and_every_mode_has_its_end(project: Project, server: FakeWandb) -> None:
    recipe = write(project, "online", "ok", "elsewhere", "silent", description="why")
    env = server.environment(str(project.folder), PATH=PATH)
    project.run(recipe, "--headless", "--max-parallel-jobs", "3", "--set", "min_free_disk_mb=0", code=0, **env)
    found = trials(project, "online")
    assert found["ok"].score == found["elsewhere"].score == 1.0
    assert found["ok"].metrics["mode"] == "ok"
    assert found["silent"].status is TrialStatus.FAILED
    assert found["silent"].failure == "no_metric"
    assert "never logged 'val.loss': neither the history nor the summary" in found["silent"].reason
    runs = {run.config["mode"]["value"]: run for run in server.runs.listed(ENTITY, "p", {}, "")}
    for mode, trial in found.items():
        run = runs[mode]
        assert (run.group, run.job_type, run.state, run.notes) == ("online", "train", "finished", "why")
        assert run.display_name == f"online.{trial.id}"
        assert run.config["model"]["value"] == {"lr": 0.1}
        assert f".t{trial.number:04d}.a1" in run.name
    assert runs["ok"].summary["val"]["loss"] == 1
    # Only what left nothing on this machine was asked for.
    assert {request.run for request in server.requests if request.operation == "Run"} <= {runs["elsewhere"].name}


@needs_flushing
def test_a_second_attempt_has_a_run_of_its_own_and_the_curve_is_seen_while_it_runs(
    project: Project, server: FakeWandb
) -> None:
    recipe = write(project, "again", "wait")
    env = server.environment(str(project.folder), PATH=PATH)
    words = (recipe, "--headless", "--set", "min_free_disk_mb=0")
    with project.start(*words, **env) as process:
        try:
            deadline = time.monotonic() + 60
            while True:
                assert time.monotonic() < deadline
                assert process.poll() is None
                # Until it is made, its file may be there and be no store.
                with contextlib.suppress(UserError):
                    if len(reports(project, "again", 1)) == 3:
                        break
                time.sleep(0.1)
            assert trials(project, "again")["wait"].status is TrialStatus.TRAINING
        finally:
            (project.folder / "go").touch()
        assert process.wait(60) == 0
    project.run("requeue", "again", "1")
    project.run(*words, **env)
    assert trials(project, "again")["wait"].attempt == 2
    runs = {run.name[-2:]: run for run in server.runs.listed(ENTITY, "p", {"group": "again"}, "")}
    assert runs.keys() == {"a1", "a2"}
    assert runs["a2"].display_name == "again.trial_0001.2"
    assert all(run.summary["val"]["loss"] == 1 for run in runs.values())


def test_a_score_that_is_nowhere_ends_the_trial_in_time(project: Project, server: FakeWandb) -> None:
    recipe = write(project, "gone", "none")
    server.stop()
    env = server.environment(str(project.folder), PATH=PATH)
    fields = ("--set", "min_free_disk_mb=0", "wandb.metric_timeout_s=6")
    project.run(recipe, "--headless", *fields, code=3, **env)
    reason = trials(project, "gone")["none"].reason
    assert "has no W&B run; does the script call wandb.init()?; asked W&B about" in reason
    assert "Error" in reason


def test_a_ppo_sweep_is_mirrored_and_its_trainings_and_evaluations_log(project: Project, server: FakeWandb) -> None:
    pytest.importorskip("stable_baselines3")
    with project.start(
        *("ppo", "--headless", "--sweep-name", "learned", "--max-trials", "1", "--method", "random"),
        *("--args", "total_timesteps=512", "episodes=1", "--train-override", "trainer.batch_size=256"),
        *("--set", "min_free_disk_mb=0", "--store", "wandb", "--wandb-project", "p"),
        **server.environment(str(project.folder), WANDB_CONSOLE="off", WANDB__DISABLE_STATS="true"),
    ) as process:
        said, errors = process.communicate(timeout=170)
    assert process.returncode == 0, said + errors
    shown = project.json("show", "learned")
    [trial] = shown["trials"]
    runs = {run.job_type: run for run in server.runs.all(ENTITY, "p")}
    assert {run.group for run in runs.values()} == {"learned"}
    training, evaluation, record = runs["train"], runs["eval"], runs["sweep-record"]
    assert evaluation.summary[shown["metric"]] == record.summary["score"] == trial["score"]
    assert training.summary["agent_step"] == 512
    assert training.state == evaluation.state == record.state == "finished"
    for name, value in trial["params"].items():
        assert training.config[name]["value"] == evaluation.config[name]["value"] == value
