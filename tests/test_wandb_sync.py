"""What scripts have logged to W&B offline, uploaded afterwards by the client's own command."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from commandline import Project
from fake_wandb import ENTITY, FakeWandb

settings = pytest.importorskip("wandb").Settings.model_fields

SCRIPT = """\
import os, sys, time, wandb

settings = wandb.Settings(console="off", x_disable_stats=True, disable_git=True)
twice = os.environ["SWEEPTUI_RUN"].endswith("1")
run = wandb.init(settings=settings)
run.log({"score": run.config.lr})
if twice:
    run.finish()
    time.sleep(1.1)  # W&B's client names a run's folder by the second
    run = wandb.init(settings=settings)
    run.summary["score"] = 42
"""


@pytest.fixture
def server() -> Iterator[FakeWandb]:
    with FakeWandb() as server:
        yield server


@pytest.mark.skipif(
    "x_transaction_log_flush_interval" not in settings, reason="this client marks as uploaded what was refused"
)
def test_offline_runs_are_uploaded_once_and_after_a_failure_the_rest(tmp_path: Path, server: FakeWandb) -> None:
    project = Project(tmp_path)
    (tmp_path / "script.py").write_text(SCRIPT)
    env = server.environment(str(tmp_path), PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    name = project.recipe(
        train_command=["python", "script.py"],
        metric_source="wandb",
        wandb={"project": "p", "mode": "offline"},
        max_parallel_jobs=2,
        protein_config={"method": "random", "parameters": {"lr": {"min": 0.1, "max": 0.9}}},
    )
    project.run(name, "--headless", "--sweep-name", "s", **env)
    assert not server.requests
    first, second = project.json("show", "s")["trials"]
    assert first["score"] == 42
    assert second["score"] == second["params"]["lr"]

    # Where a project is not to be had, nothing is uploaded, and nothing is taken for uploaded.
    fault = server.fault("UpsertBucket", status=403, times=-1, where=lambda request: request.run.endswith("t0002.a1"))
    lines = project.run("sync", "s", code=1, **env).stdout.splitlines()
    assert fault.fired
    assert [line.split(":")[0] for line in lines] == [
        "s trial_0001 train 1",
        "s trial_0001 train 1",
        "s trial_0002 train 1",
    ]
    assert [" uploaded" in line for line in lines] == [True, True, False]
    assert " failed: " in lines[2]
    server.mend()
    rows = [json.loads(line) for line in project.run("sync", "--json", **env).stdout.splitlines()]
    assert [row["state"] for row in rows] == ["was uploaded before", "was uploaded before", "uploaded"]
    runs = {run.name[-8:]: run for run in server.runs.all(ENTITY, "p")}
    assert runs.keys() == {"t0001.a1", "t0002.a1"}
    assert {run.group for run in runs.values()} == {"s"}
    assert runs["t0001.a1"].summary["score"] == 42
    assert runs["t0002.a1"].config["lr"]["value"] == second["params"]["lr"]
    assert runs["t0002.a1"].summary["score"] == second["score"]
