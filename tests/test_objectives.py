"""Several metrics at once: as they are declared, reported, kept, printed and resumed."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import yaml
from commandline import Project
from pydantic import ValidationError

from sweeptui.core.config import ProteinConfig, SweepTool
from sweeptui.core.errors import explain
from sweeptui.core.objectives import Objective, front, objectives_of
from sweeptui.core.trial import Trial, TrialStatus

METRICS = [{"name": "accuracy", "goal": "maximize"}, {"name": "latency", "goal": "minimize"}]
PARAMETERS = {"x": {"min": 0.0, "max": 1.0}}

TRAIN = """
import json, os, sys
x, mode = float(sys.argv[1]), sys.argv[2]
report = {"accuracy": x, "latency": 10 * x, "step": 1}
if mode == "forgets":
    del report["latency"]
if mode == "nan":
    report["latency"] = "nan"
if mode == "log":
    print(f"accuracy={x}"); print(f"latency={10 * x} ms"); sys.exit()
with open(os.environ["SWEEPTUI_REPORT"], "a") as file:
    for name, value in report.items():
        file.write(json.dumps({name: value}) + "\\n")
"""


def config(**fields: Any) -> ProteinConfig:
    return ProteinConfig(**{"metrics": METRICS, "parameters": PARAMETERS, "method": "random", **fields})


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    (tmp_path / "several.py").write_text(TRAIN)
    return project


def recipe(project: Project, mode: str = "ok", metrics: Any = METRICS, **fields: Any) -> str:
    searched = {"metrics": metrics, "method": "random", "parameters": PARAMETERS}
    command = ["{python}", "-S", "several.py", "{p:x}", mode]
    return project.recipe(train_command=command, protein_config=searched, max_trials=3) if not fields else (
        project.recipe(train_command=command, protein_config=searched, **{"max_trials": 3, **fields})
    )  # fmt: skip


# -- how they are declared


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"metric": "accuracy"}, "metrics and metric are both set"),
        ({"goal": "minimize"}, "metrics and goal are both set"),
        ({"metrics": []}, "metrics is empty"),
        ({"metrics": [METRICS[0], METRICS[0]]}, "metrics has 'accuracy' twice"),
        ({"metrics": [{"name": "a", "goal": "up"}]}, "metrics.0.goal is 'up'"),
        ({"metrics": [{"goal": "minimize"}]}, "metrics.0.name is missing"),
        ({"metrics": [{"name": n} for n in "abcde"]}, "metrics has 5 metrics"),
        ({"settings": {"acquisition": "ucb"}}, "settings.acquisition is 'ucb', and several metrics"),
    ],
)
def test_a_mistake_is_named(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError) as caught:
        config(**fields)
    assert sentence in explain(caught.value)


def test_what_is_given_comes_back_and_one_metric_is_the_metric() -> None:
    tool = SweepTool(protein_config=config(), train_command=["true"])
    again = SweepTool.from_json(json.loads(json.dumps(tool.to_json())))
    assert again.protein_config == tool.protein_config
    assert again.protein_config.objectives == (Objective("accuracy", "maximize"), Objective("latency", "minimize"))
    assert objectives_of(tool.to_json()) == tool.protein_config.objectives
    one = config(metrics=METRICS[1:])
    assert (one.metric, one.goal, one.metrics) == ("latency", "minimize", None)
    assert one == ProteinConfig(metric="latency", goal="minimize", method="random", parameters=PARAMETERS)


def test_a_target_and_a_regex_without_a_group_for_each_are_refused() -> None:
    for fields, sentence in (
        ({"target_score": 1.0}, "target_score is set, and there are several metrics"),
        ({"metric_source": "wandb"}, "metric_source is 'wandb', and there are several metrics"),
        ({"metric_source": "log", "metric_regex": r"accuracy=(?P<accuracy>\S+)"}, "needs a group named latency"),
    ):
        with pytest.raises(ValidationError) as caught:
            SweepTool(protein_config=config(), train_command=["true"], **fields)
        assert sentence in explain(caught.value)


# -- the front


def trial(number: int, accuracy: Any, latency: Any, status: str = "completed") -> Trial:
    metrics = {"accuracy": accuracy, "latency": latency}
    return Trial(
        number, {}, 0, 0.0, TrialStatus(status), score=None if isinstance(accuracy, str) else accuracy, metrics=metrics
    )


def test_the_front_has_what_is_beaten_in_neither_goal_ties_too() -> None:
    objectives = config().objectives
    trials = [
        trial(1, 0.5, 5.0), trial(2, 0.9, 9.0), trial(3, 0.4, 6.0), trial(4, 0.9, 9.0), trial(5, 0.1, 1.0),
        trial(6, 0.99, None), trial(7, 0.99, "nan"), trial(8, 1.0, 0.0, "failed"), trial(9, 0.9, 9.5),
    ]  # fmt: skip
    assert [member.trial.number for member in front(trials, objectives)] == [2, 4, 1, 5]


# -- a sweep


def test_a_sweep_keeps_tells_and_prints_all_of_them(project: Project) -> None:
    recipe(project)
    out = project.run("recipe.yaml", "--sweep-name", "s").stdout
    assert "Metrics: accuracy (maximize), latency (minimize), method: random" in out
    shown = project.json("show", "s")
    first = shown["trials"][0]
    x = first["params"]["x"]
    assert (first["score"], first["metrics"]) == (x, {"accuracy": x, "latency": 10 * x})
    assert f"trial_0001 completed with accuracy: {x!r}, latency: {10 * x!r}" in out
    assert "Front: 3 of 3 trials are beaten by no other" in out
    assert [each["name"] for each in shown["metrics"]] == ["accuracy", "latency"]
    assert {each["id"] for each in shown["front"]} == {"trial_0001", "trial_0002", "trial_0003"}

    # The fastest is the least accurate here, so every trial is on the front.
    best = project.json("best", "s")
    assert [each["scores"]["accuracy"] for each in best["front"]] == sorted(
        (each["params"]["x"] for each in shown["trials"]), reverse=True
    )
    text = project.run("best", "s").stdout
    assert "Front of s: 3 of 3 runs are beaten by no other" in text
    documents = yaml.safe_load(text.partition("As YAML:\n")[2].partition("\nFor a config")[0])
    assert [each["params"]["x"] for each in documents] == [each["params"]["x"] for each in best["front"]]
    assert not (project.folder / "configs").exists()

    fastest = project.json("best", "s", "--by", "latency")
    assert fastest["by"] == "latency"
    assert fastest["best"]["id"] == best["front"][-1]["id"]
    assert "latency" in (project.folder / "configs/trainer/patch/s_best.yaml").read_text()
    assert "--by 'latencyy' is no metric of this sweep; did you mean 'latency'?" in project.error(
        "best", "s", "--by", "latencyy"
    )
    assert "--by accuracy" in project.error("best", "s", "--top-n", "2")

    # Other metrics are another search.
    recipe(project, metrics=[METRICS[0], {"name": "latency", "goal": "maximize"}])
    refused = project.error("recipe.yaml", "--sweep-name", "s")
    assert "metrics: accuracy (maximize), latency (minimize) -> accuracy (maximize), latency (maximize)" in refused
    recipe(project, max_trials=4)
    project.run("recipe.yaml", "--sweep-name", "s")
    assert project.json("show", "s")["trial_count"] == 4


@pytest.mark.parametrize(
    ("mode", "failure", "sentence"),
    [
        ("forgets", "no_metric", "never reported 'latency'; call sweeptui.report(latency=...)"),
        ("nan", "invalid_metric", "'latency' was reported as nan"),
    ],
)
def test_a_trial_without_one_of_them_fails_and_names_it(
    project: Project, mode: str, failure: str, sentence: str
) -> None:
    recipe(project, mode, max_trials=1)
    project.run("recipe.yaml", "--sweep-name", "s", code=3)
    [only] = project.json("show", "s")["trials"]
    assert (only["status"], only["failure"]) == ("failed", failure)
    assert sentence in only["reason"]
    assert "no trial of sweep s has given all scores" in project.error("best", "s", code=3)


def test_they_can_stand_on_different_lines_of_a_log(project: Project) -> None:
    recipe(
        project, "log", max_trials=1, metric_source="log",
        metric_regex=r"accuracy=(?P<accuracy>\S+)|latency=(?P<latency>\S+)",
    )  # fmt: skip
    project.run("recipe.yaml", "--sweep-name", "s")
    [only] = project.json("show", "s")["trials"]
    x = only["params"]["x"]
    assert only["metrics"] == {"accuracy": x, "latency": 10 * x}


def test_what_the_evaluation_leaves_out_its_training_has_said(project: Project) -> None:
    write = "import json, os, sys; open(os.environ['SWEEPTUI_REPORT'], 'a').write(json.dumps({}) + chr(10))"
    searched = {"metrics": METRICS, "method": "random", "parameters": PARAMETERS}
    project.recipe(
        protein_config=searched, max_trials=1,
        train_command=["{python}", "-S", "-c", write.replace("{}", "dict(accuracy=0.1, latency=3.0)")
                       .replace("{", "{{").replace("}", "}}")],
        eval_command=["{python}", "-S", "-c", write.replace("{}", "dict(accuracy=0.7)")],
    )  # fmt: skip
    project.run("recipe.yaml", "--sweep-name", "s")
    [front_] = project.json("best", "s")["front"]
    assert front_["scores"] == {"accuracy": 0.7, "latency": 3.0}


def test_protein_searches_the_front_of_a_real_sweep(project: Project) -> None:
    searched = {"metrics": METRICS, "parameters": PARAMETERS, "settings": {"num_random_samples": 2}}
    command = ["{python}", "-S", "several.py", "{p:x}", "ok"]
    project.recipe(train_command=command, protein_config=searched, max_trials=5)
    project.run("recipe.yaml", "--sweep-name", "s")
    trials = project.json("show", "s")["trials"]
    provenance = trials[-1]["provenance"]
    assert provenance["acquisition"] == "ehvi"
    assert len(provenance["score_means"]) == 2
    database = project.folder / "train_dir/sweeps/s/sweep.db"
    with sqlite3.connect(database) as db:
        assert json.loads(db.execute("SELECT metrics FROM trials WHERE number = 5").fetchone()[0]).keys() == {
            "accuracy", "latency",
        }  # fmt: skip
