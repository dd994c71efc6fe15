"""`export` and `import` as a user gives them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from commandline import Project
from exchange_support import contents, make, tool

from sweeptui.core.trial import Job, JobOutcome, JobState, Stage, Trial, TrialStatus
from sweeptui.exchange.records import Record
from sweeptui.folders import sweep_path

PARAMS = {"lr": 0.01, "n": 2, "opt": "adam"}
HYDRA = """\
# configs/sweep/quick.yaml
protein:
  num_random_samples: 5
  max_suggestion_cost: 3600
  resample_frequency: 0
  global_search_scale: 1
  random_suggestions: 1024
  suggestions_per_pareto: 256
metric: reward
goal: maximize
method: random
centre: 5e-4
parameters:
  trainer:
    optimizer:
      learning_rate: {distribution: log_normal, min: 1e-5, max: 1e-3, mean: "${centre}", scale: 0.5}
    batch_size: {distribution: uniform_pow2, min: 16, max: 128, scale: auto, mean: 64}
"""
PATCH = """\
# @package _global_
trainer:
  optimizer: {learning_rate: 7.31e-04, beta1: 0.9}
  total_timesteps: 1000
"""
TRAIN = """\
import json, os, sys
given = dict(word.split("=", 1) for word in sys.argv[1:])
assert given["trainer.optimizer.beta1"] == "0.9" and given["trainer.total_timesteps"] == "1000", given
with open(os.environ["SWEEPTUI_REPORT"], "a") as file:
    file.write(json.dumps({"reward": float(given["trainer.optimizer.learning_rate"]), "cost": 1}) + "\\n")
"""


def swept(tmp_path: Path) -> Path:
    records = []
    for n in (1, 2):
        trial = Trial(n, PARAMS, n, 1.0, TrialStatus.COMPLETED, score=float(n), cost=1.0, end_order=n, attempt=1)
        job = Job(n, n, Stage.TRAIN, 1, 1.0, JobState.ENDED, outcome=JobOutcome.COMPLETED)
        records.append(Record(trial, (job,)))
    folder = make(tmp_path, "s", records, tool(working_dir=str(tmp_path)))
    (folder / "trials/trial_0001").mkdir(parents=True)
    (folder / "trials/trial_0001/train.1.log").write_text("hello\n")
    return folder


def test_a_file_is_not_overwritten_unless_told_and_stdout_is_a_file_too(tmp_path: Path) -> None:
    swept(tmp_path)
    project = Project(tmp_path)
    assert project.json("export", "s", "--format", "csv")["file"] == "s.csv"
    (tmp_path / "s.csv").write_text("mine")
    assert "s.csv is there already; choose another --output" in project.error("export", "s", "--format", "csv")
    assert (tmp_path / "s.csv").read_text() == "mine"
    said = project.run("export", "s", "--format", "csv", "--force").stdout
    assert said.startswith("s.csv: 2 trials, without the learning curves, the attempts")
    assert project.run("export", "s", "--format", "csv", "-o", "-").stdout == (tmp_path / "s.csv").read_text()
    assert "--output is '-', and parquet is no text" in project.error("export", "s", "--format", "parquet", "-o", "-")
    assert "cannot be written: No such file" in project.error("export", "s", "--format", "csv", "-o", "no/where.csv")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_one_file_opens_anywhere_and_is_imported_with_journal_and_logs(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    folder, there = swept(tmp_path / "here"), Project(tmp_path / "there")
    Project(tmp_path / "here").run("export", "s", "--format", "sweep")
    shutil.move(tmp_path / "here/s.sweep", tmp_path / "there/s.sweep")
    (tmp_path / "there/s.sweep").chmod(0o444)
    shown = there.json("show", "./s.sweep")
    assert (shown["name"], [trial["score"] for trial in shown["trials"]]) == ("s", [1.0, 2.0])
    assert there.run("logs", "s.sweep", "1").stdout == "hello\n"
    assert not there.written()
    there.run("import", "sweep", "s.sweep", "--sweep-name", "again")
    again = sweep_path(tmp_path / "there", "again")
    assert contents(again) == contents(folder)
    assert (again / "trials/trial_0001/train.1.log").read_text() == "hello\n"
    assert there.json("list")[0]["name"] == "again"
    there.run("import", "sweep", str(folder), "--sweep-name", "folder")
    assert contents(sweep_path(tmp_path / "there", "folder")) == contents(folder)


def test_a_csv_of_ours_feeds_a_recipe(tmp_path: Path) -> None:
    project = Project(tmp_path)
    (tmp_path / "runs.csv").write_text("model.lr,score,cost\n0.001,3,1\n0.5,4,1\n0.002,2,1\n")
    words = ("import", "csv", "runs.csv", "--recipe", "recipe.yaml")
    refused = project.error(*words)
    assert "trial 2 has model.lr = 0.5, outside of the search space (log_normal, 1e-05 to 0.01); say what" in refused
    assert not project.written()
    said = project.run(*words, "--outside", "drop").stdout.splitlines()
    assert said[:2] == [
        "3 trials of runs.csv: 2 with a score and 0 without were taken",
        "1 were left out: their model.lr is outside of the space",
    ]
    project.run("recipe.yaml", "--headless", "--sweep-name", "runs", "--max-trials", "3")
    trials = project.json("show", "runs")["trials"]
    assert [trial["provenance"].get("imported") for trial in trials] == ["runs.csv", "runs.csv", None]
    warm = project.json("recipe.yaml", "--sweep-name", "w", "--warm-start", "runs", "--method", "bayes", "--dry-run")
    assert warm[0]["stage"] == "train"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("import", "csv", "no.csv"), "there is no file no.csv"),
        (("import", "csv", "no.csv", "--train-command", "x"), "--train-command is not for `import csv`; leave it out"),
        (("import", "hydra", "no.yaml", "--recipe", "x"), "--recipe is not for `import hydra`; leave it out"),
        (("import", "wandb", "a/b/c"), "--recipe is missing"),
        (("import", "sweep", "train.py"), "train.py is neither a sweep's folder nor a file that"),
        (("import", "csv", "x.csv", "--study", "y"), "--study is 'y', and only optuna has studies; leave it out"),
        (("export", "s", "--format", "csv", "--no-logs"), "--no-logs is for --format sweep"),
        (("show", "./train.py"), "train.py is no sweep; `sweeptui export SWEEP --format sweep` writes a file that is"),
    ],
)
def test_mistakes_are_one_sentence(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    assert said in Project(tmp_path).error(*words)


def test_a_hydra_style_sweep_becomes_a_recipe_that_runs(tmp_path: Path) -> None:
    project = Project(tmp_path)
    (tmp_path / "quick.yaml").write_text(HYDRA)
    (tmp_path / "best.yaml").write_text(PATCH)
    (tmp_path / "mytrain.py").write_text(TRAIN)
    words = ("import", "hydra", "quick.yaml", "--patch", "best.yaml")
    assert "--train-command is missing" in project.error(*words)
    said = project.run(*words, "--train-command", "{python} -S mytrain.py {overrides}").stdout.splitlines()
    assert said == [
        "centre of quick.yaml was left out: it is no part of a search",
        "trainer.optimizer.learning_rate of best.yaml was left out: it is searched",
        "run it:  sweeptui quick.recipe.yaml --max-trials N",
    ]
    recipe = yaml.safe_load((tmp_path / "quick.recipe.yaml").read_text())
    assert recipe["protein_config"]["settings"]["max_suggestion_cost"] == 3600
    assert recipe["train_overrides"] == {"trainer.optimizer.beta1": 0.9, "trainer.total_timesteps": 1000}
    assert "quick.recipe.yaml is there already" in project.error(*words, "--train-command", "true")
    project.run(
        "quick.recipe.yaml", "--headless", "--sweep-name", "h", "--max-trials", "1", "--set", "min_free_disk_mb=0"
    )
    [trial] = project.json("show", "h")["trials"]
    assert trial["status"] == "completed"
    assert trial["score"] == trial["params"]["trainer.optimizer.learning_rate"]


def test_the_shape_of_a_program_is_read_too_and_what_refers_to_nothing_is_refused(tmp_path: Path) -> None:
    project = Project(tmp_path)
    lr = {"distribution": "log_normal", "min": 1e-5, "max": 1e-2, "scale": "auto", "mean": 3e-4}
    tree = {"protein": {"num_random_samples": 50}, "parameters": {"metric": "reward", "goal": "minimize", "lr": lr}}
    (tmp_path / "a.yaml").write_text(json.dumps({"sweep": tree}))
    project.run("import", "hydra", "a.yaml", "--train-command", "true {overrides}", "-o", "b.yaml")
    protein = yaml.safe_load((tmp_path / "b.yaml").read_text())["protein_config"]
    assert (protein["metric"], protein["goal"], list(protein["parameters"])) == ("reward", "minimize", ["lr"])
    (tmp_path / "c.yaml").write_text("metric: m\nparameters: {x: {min: 0, max: '${trainer.top}'}}\n")
    refused = project.error("import", "hydra", "c.yaml", "--train-command", "true")
    assert "c.yaml has ${trainer.top}, which stands nowhere in it; write the value itself" in refused
