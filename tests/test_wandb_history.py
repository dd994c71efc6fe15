"""Runs that W&B has already, taken over as a sweep, by the real client from a loopback server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commandline import Project
from fake_wandb import ENTITY, FakeWandb

from sweeptui.core.config import SweepTool
from sweeptui.core.distributions import (
    Choice,
    Constant,
    Distribution,
    Integer,
    LogUniform,
    PowerOfTwo,
    QUniform,
    Uniform,
)
from sweeptui.core.errors import UserError
from sweeptui.core.trial import Trial
from sweeptui.folders import sweep_path
from sweeptui.integrations import wandb_history
from sweeptui.survey import open_sweep

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
    words = ("import", "wandb", f"{ENTITY}/p/g", "--recipe", recipe(project))
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
        "were left out: their config has no n": 1,
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
    assert shown["trials"][0]["provenance"] == {"method": "import", "run": f"{ENTITY}/p/r1"}
    assert shown["trials"][1]["metrics"] == {"val.loss": 1, "other": "x"}
    project.run("recipe.yaml", "--headless", "--sweep-name", "g", "--max-trials", "6", code=None)
    after = project.json("show", "g")["trials"]
    assert [t["number"] for t in after] == [1, 2, 3, 4, 5, 6]
    assert [t["provenance"]["method"] for t in after[4:]] == ["import", "random"]


def take(tmp_path: Path, policy: wandb_history.Policy, name: str = "s") -> tuple[list[str], list[Trial]]:
    """The report and the trials of four runs, two of them outside of the space."""
    tool = SweepTool.from_json(
        {
            "train_command": ["x"],
            "protein_config": {"metric": "m", "parameters": {"lr": {"min": 0.0, "max": 1.0}, "c": {"values": ["a"]}}},
        }
    )
    configs = [{"lr": 1, "c": "a"}, {"lr": 7.5, "c": "a"}, {"lr": 0.5, "c": "b"}, {"lr": 0.25, "c": "a"}]
    runs = [wandb_history.Found(f"e/p/{n}", "finished", config, {"m": n}) for n, config in enumerate(configs)]
    report = wandb_history.write(tmp_path, name, tool, "e/p/g", runs, policy)
    with open_sweep(sweep_path(tmp_path, name)) as store:
        return report.lines(), list(store.state.trials.values())


def test_what_is_outside_of_the_space_is_dropped_clipped_or_kept(tmp_path: Path) -> None:
    lines, trials = take(tmp_path, "drop", "dropped")
    assert [trial.score for trial in trials] == [0, 3]
    assert lines == [
        "4 runs of e/p/g: 2 with a score and 0 without were taken",
        "1 were left out: their c is outside of the space",
        "1 were left out: their lr is outside of the space",
    ]
    lines, trials = take(tmp_path, "clip", "clipped")
    assert [trial.params["lr"] for trial in trials] == [1.0, 1.0, 0.25]
    assert lines[1:] == [
        "1 had values outside of the space, which were moved to its bounds",
        "1 were left out: nothing is near their c",
    ]
    lines, trials = take(tmp_path, "keep", "kept")
    assert [trial.params["lr"] for trial in trials] == [1.0, 7.5, 0.5, 0.25]
    assert lines[1:] == ["2 lie outside of the space: they are shown, and tell the optimizer nothing"]
    with pytest.raises(UserError, match="sweep 'kept' is there already"):
        take(tmp_path, "keep", "kept")


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


@pytest.mark.parametrize(
    ("distribution", "value", "nearest"),
    [
        (Uniform(0, 1), 7, 1.0),
        (LogUniform(1e-3, 1), 0, 1e-3),
        (Integer(1, 9), 3.4, 3),
        (Integer(1, 9), -5, 1),
        (QUniform(min=0, max=100, q=10), 44.0, 40),
        (PowerOfTwo(1, 64), 50, 64),
        (Constant("x"), "y", "x"),
        (Choice(["a", "b"]), "c", wandb_history._MISSING),
        (Integer(1, 9), "3", wandb_history._MISSING),
    ],
)
def test_the_nearest_value(distribution: Distribution, value: Any, nearest: Any) -> None:
    assert wandb_history._nearest(distribution, value) == nearest
