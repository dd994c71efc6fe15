"""`sweeptui best`: forms, budget, the front of score and cost, and what is said of noise."""

from __future__ import annotations

import ast
import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from commandline import Project

from sweeptui.core.analysis.best import nested
from sweeptui.core.analysis.forms import FORMS, as_form
from sweeptui.core.errors import UserError
from sweeptui.core.trial import Trial

PARAMS: dict[str, Any] = {"model.lr": 0.00012345678901234567, "model.layers": 3, "data": "a b'c", "flag": None}
COSTLY = """\
import json, os, sys
lr = float(sys.argv[1])
with open(os.environ["SWEEPTUI_REPORT"], "a") as file:
    file.write(json.dumps({"step": 1, "score": lr, "cost": 0.001 / lr}) + "\\n")
"""


def test_each_form_gives_back_every_digit() -> None:
    trial = Trial(3, PARAMS, 0, 0.0, score=0.5)
    forms = {form: as_form(form, "s", trial) for form in FORMS}
    assert yaml.safe_load(forms["yaml"]) == yaml.safe_load(forms["patch"]) == nested(PARAMS)
    assert json.loads(forms["json"]) == nested(PARAMS)
    assert ast.literal_eval(forms["python"].removeprefix("params = ")) == PARAMS
    words = dict(word.split("=", 1) for word in shlex.split(forms["overrides"]))
    lines = dict(shlex.split(line)[0].split("=", 1) for line in forms["env"].splitlines())
    assert float(words["model.lr"]) == float(lines["MODEL_LR"]) == PARAMS["model.lr"]
    assert lines["DATA"] == PARAMS["data"]
    with pytest.raises(UserError, match=r"a\.b and a_b would both be the variable A_B"):
        as_form("env", "s", Trial(1, {"a.b": 1, "a_b": 2}, 0, 0.0))


def test_budget_and_front_of_score_and_cost(tmp_path: Path) -> None:
    """The score to be minimized is the learning rate, and the cost its inverse: every trial is on the front."""
    project = Project(tmp_path)
    (tmp_path / "train.py").write_text(COSTLY)
    lr = {"model.lr": {"distribution": "log_normal", "min": 1e-5, "max": 1e-2}}
    protein = {"metric": "score", "goal": "minimize", "method": "random", "parameters": lr}
    project.run(project.recipe(max_trials=5, protein_config=protein), "--sweep-name", "s", "--headless", "--quiet")
    front = json.loads(project.run("best", "s", "--pareto", "--json").stdout)["pareto"]
    assert len(front) == 5
    assert [each["cost"] for each in front] == sorted(each["cost"] for each in front)
    middle = front[2]
    shape = json.loads(project.run("best", "s", "--budget", repr(middle["cost"]), "--no-patch", "--json").stdout)
    assert (shape["best"]["id"], shape["best"]["score"]) == (middle["id"], middle["score"])
    assert shape["trained"]["count"] == 1
    assert json.loads(project.run("best", "s", "--json", "--no-patch").stdout)["best"]["id"] == front[-1]["id"]
    text = project.run("best", "s", "--pareto").stdout
    assert all(repr(each["score"]) in text for each in front)
    said = project.run("best", "s", "--no-patch").stdout
    assert "how much of that was luck, `sweeptui validate s` tells" in said
    only = project.run("best", "s", "--format", "overrides").stdout
    assert only == f"model.lr={front[-1]['params']['model.lr']!r}\n"
    assert not (tmp_path / "configs").exists(), "--format and --no-patch write no file"
    assert "costs at most 1e-09" in project.run("best", "s", "--budget", "1e-9", code=3).stderr
    assert "above 0" in project.run("best", "s", "--budget", "-1", code=2).stderr
    assert "--budget" in project.run("best", "s", "--pareto", "--format", "yaml", code=2).stderr
