"""Runs that W&B has already, taken over as a sweep, by the real client from a loopback server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commandline import Project
from fake_wandb import ENTITY, FakeWandb

from sweeptui.core.errors import UserError
from sweeptui.integrations import wandb_history

pytest.importorskip("wandb")


@pytest.fixture
def server() -> Iterator[FakeWandb]:
    with FakeWandb() as server:
        yield server


def add(server: FakeWandb, name: str, state: str, config: dict[str, Any], group: str = "g", **summary: Any) -> None:
    wrapped = {key: {"value": value} for key, value in config.items()}
    sent = {"groupName": group, "state": state, "config": json.dumps(wrapped), "summaryMetrics": json.dumps(summary)}
    server.runs.upsert((ENTITY, "p", name), sent)


def recipe(project: Project) -> str:
    """Needs no W&B to be run."""
    space = {"model": {"lr": {"min": 0.0, "max": 1.0}}, "n": {"min": 1, "max": 4}, "k": {"value": "x"}}
    config = {"metric": "val.loss", "goal": "minimize", "method": "random", "parameters": space}
    return project.recipe(protein_config=config, train_command=["{python}", "-S", "train.py", "{p:lr}", "ok"])


def test_a_group_is_taken_over_counted_and_gone_on_with(tmp_path: Path, server: FakeWandb) -> None:
    project = Project(tmp_path)
    words = ("import", "wandb", f"{ENTITY}/p/g", "--recipe", recipe(project), "--outside", "drop")
    env = server.environment(str(tmp_path))
    add(server, "r1", "finished", {"model": {"lr": 0.25}, "n": 2.0}, val={"loss": 3}, _runtime=12.5)
    add(server, "r2", "finished", {"model.lr": 1, "n": 4}, val={"loss": 1}, other="x")
    add(server, "r3", "crashed", {"model": {"lr": 0.5}, "n": 1}, val={"loss": 0})
    add(server, "r4", "finished", {"model": {"lr": 0.5}, "n": 3}, loss=0)
    add(server, "r5", "finished", {"model": {"lr": 7.5}, "n": 9}, val={"loss": 2})
    add(server, "r6", "running", {"model": {"lr": 0.5}, "n": 1}, val={"loss": 0})
    add(server, "r7", "finished", {"model": {"lr": 0.5}}, val={"loss": 0})
    add(server, "r8", "finished", {"model": {"lr": 0.5}, "n": 1}, val={"loss": "NaN"})
    add(server, "record", "finished", {}, rec="{}")
    server.runs.change((ENTITY, "p", "record"), lambda run: setattr(run, "job_type", "sweep-record"))
    add(server, "other", "finished", {"model": {"lr": 0.5}, "n": 1}, group="h", val={"loss": 0})

    said = json.loads(project.run(*words, "--json", **env).stdout)
    assert (said["sweep"], said["runs"], said["completed"], said["failed"]) == ("g", 8, 2, 3)
    assert said["counts"] == {
        "were left out: they have not ended": 1,
        "were left out: they have no n": 1,
        "were left out: their model.lr is outside of the space": 1,
    }
    assert server.counts()["Runs"] == 1
    assert server.counts()["Run"] == 0
    shown = project.json("show", "g")
    assert shown["state"] == "finished"
    trials = [
        (t["status"], t["failure"], t["score"], t["params"]["model.lr"], t["params"]["n"]) for t in shown["trials"]
    ]
    assert trials == [
        ("completed", None, 3.0, 0.25, 2),
        ("completed", None, 1.0, 1.0, 4),
        ("failed", "crashed", None, 0.5, 1),
        ("failed", "no_metric", None, 0.5, 3),
        ("failed", "invalid_metric", None, 0.5, 1),
    ]
    assert [t["cost"] for t in shown["trials"]][:2] == [12.5, None]
    assert shown["trials"][0]["provenance"] == {"method": "import", "imported": f"{ENTITY}/p/r1"}
    assert shown["trials"][1]["metrics"] == {"val.loss": 1, "other": "x"}
    project.run("recipe.yaml", "--headless", "--sweep-name", "g", "--max-trials", "6", code=None)
    after = project.json("show", "g")["trials"]
    assert [t["number"] for t in after] == [1, 2, 3, 4, 5, 6]
    assert [t["provenance"]["method"] for t in after[4:]] == ["import", "random"]


def test_many_runs_take_a_request_for_each_page(tmp_path: Path, server: FakeWandb) -> None:
    project = Project(tmp_path)
    for number in range(1203):
        add(server, f"r{number:04d}", "finished", {"model": {"lr": number / 2000}, "n": 1}, val={"loss": number})
        server.runs.change((ENTITY, "p", f"r{number:04d}"), lambda run: setattr(run, "sweep", "abc"))
    words = ("import", "wandb", f"{ENTITY}/p/sweeps/abc", "--recipe", recipe(project), "--json")
    said = json.loads(project.run(*words, **server.environment(str(tmp_path))).stdout)
    assert (said["sweep"], said["completed"]) == ("abc", 1203)
    assert server.counts()["Runs"] == 3
    assert server.counts()["Run"] == 0


def test_what_cannot_be_read_is_one_sentence_and_nothing_is_written(tmp_path: Path, server: FakeWandb) -> None:
    project = Project(tmp_path)
    words = ("import", "wandb", f"{ENTITY}/absent/g", "--recipe", recipe(project))
    said = project.run(*words, code=2, **server.environment(str(tmp_path))).stderr
    assert said.startswith(f"error: {ENTITY}/absent/g cannot be read from W&B: ")
    assert said.count("\n") == 1
    assert not project.written()
    with pytest.raises(UserError, match="'a/b' is no place on W&B; write ENTITY/PROJECT/GROUP"):
        wandb_history.fetch("a/b")
