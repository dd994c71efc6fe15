"""How recipes are found and built, and what their authors are told when something is wrong."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sweeptui.core.errors import UserError
from sweeptui.core.reports import ReportReader, objective
from sweeptui.core.template import Context, check, render
from sweeptui.core.trial import Stage
from sweeptui.recipes import call
from sweeptui.recipes.find import OWN_RECIPES, check_command, find_recipe, list_recipes
from sweeptui.recipes.settings import apply_setting, parse_settings
from sweeptui.recipes.tool import TrainTool

RECIPE = """
from sweeptui import SweepTool

def mine(sweep_name: str, max_trials: int = 3, tag: str = "", rate: float = 0.1) -> SweepTool:
    '''Mine, of course.

    More of it.
    '''
    return SweepTool(
        sweep_name=sweep_name,
        max_trials=max_trials,
        train_command=["train", tag, str(rate)],
        protein_config={"parameters": {"lr": {"min": 0.1, "max": 0.2, "distribution": "uniform"}}},
    )
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return path


class FakeDistribution:
    def __init__(self, name: str) -> None:
        self.name = name


def offer(monkeypatch: pytest.MonkeyPatch, *offers: tuple[str, str, str]) -> None:
    """Let installed packages offer recipes: (distribution, name, target)."""
    points = [importlib.metadata.EntryPoint(name, target, "sweeptui.recipes") for _, name, target in offers]
    for point, (distribution, _, _) in zip(points, offers, strict=True):
        vars(point)["dist"] = FakeDistribution(distribution)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points)


# -- finding ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["my/mine.py:mine", "my/mine.py", "my.mine:mine", "my.mine.mine"])
def test_the_ways_to_name_a_recipe(project: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project / "my" / "mine.py", RECIPE)
    monkeypatch.delitem(sys.modules, "my.mine", raising=False)
    monkeypatch.delitem(sys.modules, "my", raising=False)
    before = list(sys.path)
    recipe = find_recipe(name, project)
    tool = recipe.build({"sweep_name": "7", "max_trials": "4", "tag": "007", "rate": "1e-3", "not_taken": 1})
    assert (tool.sweep_name, tool.max_trials, tool.train_command) == ("7", 4, ["train", "007", "0.001"])
    assert recipe.parameters == ("sweep_name", "max_trials", "tag", "rate")
    assert sys.path == before


def test_recipes_of_installed_packages(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project / "installed_recipe.py", RECIPE)
    monkeypatch.syspath_prepend(project)
    offer(monkeypatch, ("other", "mine", "installed_recipe:mine"), ("bad", "gone", "no_such_module:f"))
    assert find_recipe("mine", Path("/")).build({"sweep_name": "s"}).sweep_name == "s"
    listed = {recipe.name: recipe for recipe in list_recipes()}
    assert sorted(listed) == sorted(["gone", "mine", *OWN_RECIPES])
    assert (listed["mine"].origin, listed["mine"].line) == ("other", "Mine, of course.")
    assert listed["gone"].line.startswith("cannot be loaded: there is no module no_such_module")
    assert listed["ppo"].origin == "sweeptui"


def test_its_own_recipes_are_found_without_package_metadata(monkeypatch: pytest.MonkeyPatch, project: Path) -> None:
    offer(monkeypatch)
    assert [recipe.name for recipe in list_recipes()] == sorted(OWN_RECIPES)
    assert [recipe.name for recipe in list_recipes(sweeps_only=True)] == ["ppo", "quick_test", "spirals"]
    assert find_recipe("quick_test", project).build({}).max_trials == 5


def test_two_recipes_of_one_name(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, ("sweeptui", "ppo", "sweeptui.recipes.ppo:ppo"), ("other", "ppo", "other.recipes:ppo"))
    with pytest.raises(UserError) as error:
        find_recipe("ppo", project)
    for part in ("sweeptui (sweeptui.recipes.ppo:ppo)", "other (other.recipes:ppo)"):
        assert part in str(error.value)
    assert find_recipe("sweeptui.recipes.ppo:ppo", project).build({}).max_trials == 10


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pppo", "unknown recipe 'pppo'; did you mean 'ppo'?"),
        ("zzzz", "unknown recipe 'zzzz'; choose one of curriculum, hybrid, meta, ppo, quick_test, spirals"),
        ("no/such.py:f", "there is no file"),
        ("no/such.py", "there is no file"),
        ("no/such.yaml", "there is no file"),
        ("no.such.module", "there is no module no.such"),
        ("mine.py:mien", "mine.py has no function 'mien'; did you mean 'mine'?"),
        ("mine.py:SweepTool", "mine.py has no function 'SweepTool'; choose one of mine, other"),
        ("mine.py:", "mine.py has several recipes; choose mine.py:mine or mine.py:other"),
        ("empty.py", "empty.py has no function that returns a SweepTool"),
        ("not a name:f", "names no function"),
    ],
)
def test_what_is_not_there(project: Path, name: str, message: str) -> None:
    write(project / "mine.py", RECIPE + "\ndef other() -> SweepTool: ...\n")
    write(project / "empty.py", "from sweeptui import SweepTool\ndef helper() -> int: ...\n")
    with pytest.raises(UserError) as error:
        find_recipe(name, project).build({})
    assert message in str(error.value)
    assert "\n" not in str(error.value)


# -- broken recipes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\ndef f(:\n", "bad.py, line 2: the recipe file is not valid Python"),
        ("x = 1\n\nprint(undefined)\n", "bad.py, line 3: the recipe file failed with NameError: name 'undefined'"),
        ("import json\njson.loads('{')\n", "bad.py, line 2: the recipe file failed with JSONDecodeError"),
        ("import no_such_module\n", "bad.py, line 1: the recipe file failed with ModuleNotFoundError"),
        ("import sys\nsys.exit('no')\n", "bad.py, line 2: the recipe file failed with SystemExit: no"),
        ("def f():\n    x = 1\n    return {}['a']\n", "bad.py, line 3: recipe bad.py:f failed with KeyError: 'a'"),
        ("def f():\n    return 3\n", "recipe bad.py:f returned a int; it must return a SweepTool"),
        ("def f(lr, a=1): ...\n", "recipe bad.py:f needs the argument lr, and none was given"),
        (
            "from sweeptui import ParameterConfig\ndef f():\n    a = 1\n    return ParameterConfig(\n"
            "        distribution='uniform', min=2.0, max=1.0)\n",
            "bad.py, line 4: ",
        ),
    ],
)
def test_a_broken_recipe_names_its_own_line(project: Path, text: str, message: str) -> None:
    write(project / "bad.py", text)
    with pytest.raises(UserError) as error:
        find_recipe("bad.py:f", project).build({})
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_broken_module_names_its_own_line(project: Path) -> None:
    write(project / "broken_pkg" / "sweeps.py", "a = 1\n1 / 0\n")
    with pytest.raises(UserError, match=r"broken_pkg/sweeps\.py, line 2: .* ZeroDivisionError: division by zero"):
        find_recipe("broken_pkg.sweeps.f", project)


# -- YAML -----------------------------------------------------------------------------------------------------------

YAML = """\
sweep_name: from-yaml
train_command: python train.py --lr {p:lr}
protein_config:
  metric: score
  parameters:
    lr:
      distribution: log_normal
      min: 1e-5
      max: 1e-2
train_overrides: {date: 2024-01-01, mode: off, at: 12:30, id: 007, flag: true, none: ~}
"""


def test_a_yaml_recipe(project: Path) -> None:
    write(project / "sweep.yaml", YAML)
    recipe = find_recipe("sweep.yaml", project)
    tool = recipe.build({"max_trials": 3})
    assert recipe.parameters == ()
    assert tool.train_command == ["python", "train.py", "--lr", "{p:lr}"]
    assert tool.protein_config.parameters["lr"].min == 1e-5
    assert tool.train_overrides == {
        "date": "2024-01-01",
        "mode": "off",
        "at": "12:30",
        "id": "007",
        "flag": True,
        "none": None,
    }


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("  metric: score", "  metric: [score"), 5),
        (("  metric: score", "  metrik: score"), 4),
        (("      min: 1e-5", "      min: zero"), 8),
        (("      distribution: log_normal", "      distribution: log_norml"), 7),
        (("sweep_name: from-yaml", "max_trials: 0"), 1),
        (("train_overrides: {", "train_overrides: !!python/object/apply:os.system {"), 10),
        (("train_command: python train.py --lr {p:lr}", "train_command: [python, 3]"), 2),
    ],
)
def test_a_mistake_in_yaml_is_told_by_line(project: Path, change: tuple[str, str], line: int) -> None:
    assert change[0] in YAML
    write(project / "sweep.yaml", YAML.replace(*change))
    with pytest.raises(UserError, match=f"^sweep.yaml, line {line}: ") as error:
        find_recipe("sweep.yaml", project).build({})
    assert "\n" not in str(error.value)


def test_yaml_that_is_no_mapping(project: Path) -> None:
    write(project / "sweep.yml", "- a\n- b\n")
    with pytest.raises(UserError, match="a recipe is a mapping"):
        find_recipe("sweep.yml", project).build({})


# -- commands -------------------------------------------------------------------------------------------------------


def test_commands_that_exist(project: Path) -> None:
    write(project / "run.sh", "").chmod(0o755)
    for program in ("sh", "{python}", sys.executable, "./run.sh", "{p:program}"):
        check_command([program, "x"], project)


@pytest.mark.parametrize("program", ["no-such-command-here", "./no.sh", "/no/such/thing"])
def test_a_command_that_does_not_exist(project: Path, program: str) -> None:
    with pytest.raises(UserError, match=f"command not found: {program}"):
        check_command([program], project)


# -- settings -------------------------------------------------------------------------------------------------------


@dataclass
class Optimizer:
    learning_rate: float = 0.1


@dataclass
class Trainer:
    optimizer: Optimizer = field(default_factory=Optimizer)
    losses: dict[str, Any] = field(default_factory=lambda: {"ppo": {"clip": 0.1}})


class Tool(TrainTool):
    def __init__(self) -> None:
        self.trainer = Trainer()


def test_overrides_reach_into_objects_and_dictionaries() -> None:
    tool = Tool()
    for path, value in parse_settings(["trainer.optimizer.learning_rate=1e-05", "trainer.losses.ppo.clip=0.3"]).items():
        tool.override(path, value)
    assert tool.trainer == Trainer(Optimizer(1e-05), {"ppo": {"clip": 0.3}})


def test_overrides_of_models_are_validated() -> None:
    tool = find_recipe("quick_test", Path()).build({})
    apply_setting(tool, "protein_config.settings.num_random_samples", 9)
    assert tool.protein_config.settings.num_random_samples == 9
    with pytest.raises(UserError, match=r"protein_config\.settings\.num_random_samples"):
        apply_setting(tool, "protein_config.settings.num_random_samples", "many")
    assert tool.protein_config.settings.num_random_samples == 9


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("trainer.optimiser.learning_rate", "trainer has no field 'optimiser'; did you mean 'optimizer'?"),
        ("trainer.optimizer.lr", "trainer.optimizer has no field 'lr'; choose one of learning_rate"),
        ("trainer.losses.ppo.klip", "trainer.losses.ppo has no field 'klip'; did you mean 'clip'?"),
        ("trainr", "Tool has no field 'trainr'; did you mean 'trainer'?"),
        ("trainer.optimizer.learning_rate.x", "trainer.optimizer.learning_rate has no field 'x'; it has none"),
        ("override", "Tool has no field 'override'"),
    ],
)
def test_an_unknown_path_names_the_nearest(path: str, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        Tool().override(path, 1)


def test_a_setting_without_a_value() -> None:
    with pytest.raises(UserError, match="'lr' is not a setting; write name=value"):
        parse_settings(["lr"])


# -- calling --------------------------------------------------------------------------------------------------------

ENTRY_POINTS = """
from sweeptui import TrainTool, SweepTool, report

class Tool(TrainTool):
    def __init__(self, run):
        self.run, self.lr = run, 0.0
    def invoke(self, args):
        print(self.run, self.lr, args)
        return 0 if self.lr > 0 else 4
    def evaluate(self, simulations):
        return {"arena": len(simulations)}

def train(run: str): return Tool(run)
def plain(run: str, epochs: int = 1): print(run, epochs)
def own(overrides: dict): print(overrides)
def wrong(): return "done"
def sweep(sweep_name: str, num_trials: int = 2) -> SweepTool:
    return SweepTool(
        sweep={
            "num_trials": num_trials,
            "protein": {"parameters": {"lr": {"min": 0.1, "max": 0.2, "distribution": "uniform"}}},
            "evaluation_simulations": [{"name": "a"}, {"name": "b"}],
        },
        sweep_name=sweep_name,
        train_tool_factory=train,
    )
"""


@pytest.mark.parametrize(
    ("argv", "code", "out"),
    [
        (["points.train", "--args", "run=007", "x=1", "--overrides", "lr=1e-3"], 0, "007 0.001 {'x': 1}"),
        (["points:train", "--args", "run=r"], 4, "r 0.0 {}"),
        (["points.py:plain", "--args", "run=r", "epochs=5"], 0, "r 5"),
        (["points.own", "--overrides", "a.b=2"], 0, "{'a.b': 2}"),
        (
            ["points.train", "--args", "run=r", "--overrides", "ln=1"],
            2,
            "Tool has no field 'ln'; choose one of lr, run",
        ),
        (["points.train"], 2, "points.train needs the argument run"),
        (["points.plain", "--args", "run=r", "epoch=5"], 2, "points.plain takes no argument epoch"),
        (["points.plain", "--args", "run=r", "--overrides", "a=1"], 2, "points.plain returned nothing, not a tool"),
        (["points.wrong"], 2, "points.wrong returned a str; return a tool, an exit code or nothing"),
        (["points.tain"], 2, "points has no function 'tain'; did you mean 'train'?"),
    ],
)
def test_calling_an_entry_point(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    argv: list[str],
    code: int,
    out: str,
) -> None:
    write(project / "points.py", ENTRY_POINTS)
    monkeypatch.delitem(sys.modules, "points", raising=False)
    assert call.main(argv) == code
    printed = capsys.readouterr()
    assert out in (printed.out if code in (0, 4) else printed.err)


def test_a_factory_is_called_in_the_training_process(project: Path) -> None:
    write(project / "points.py", ENTRY_POINTS)
    tool = find_recipe("points.py:sweep", project).build({"sweep_name": "s{1}", "num_trials": 6} | {"sweep_name": "s"})
    assert tool.train_command is not None
    check(tool.train_command, "train_command", tool.space.names)
    report_path = project / "reports.jsonl"
    done = run(render(tool.train_command, context(project, Stage.TRAIN, report_path, params={"lr": 0.15})), report_path)
    assert done.stdout == "s_trial_0001 0.15 {'run': 's_trial_0001'}\n"
    (report,) = ReportReader(report_path).read()
    assert report.metrics == {"arena": 2}, "the simulations were evaluated"


def context(project: Path, stage: Stage, report_path: Path, **changes: Any) -> Context:
    fields: dict[str, Any] = {
        "sweep": "s",
        "trial": 1,
        "params": {},
        "stage": stage,
        "attempt": 1,
        "seed": 5,
        "trial_dir": project / "trial_0001",
        "report_path": report_path,
        "project_dir": project,
        "metric": "score",
    }
    return Context(**{**fields, **changes})


def run(argv: list[str], report_path: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SWEEPTUI_REPORT": str(report_path)}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == code, done.stderr
    return done


# -- quick_test -----------------------------------------------------------------------------------------------------


def test_quick_test_trains_and_evaluates(project: Path) -> None:
    tool = find_recipe("quick_test", project).build({})
    assert tool.has_eval
    params = tool.space.center()
    metric = tool.protein_config.metric
    names = tool.space.names
    scores = []
    for attempt in ("a", "b"):
        train_reports, eval_reports = project / f"train.{attempt}", project / f"eval.{attempt}"
        for field_name, template in (("train_command", tool.train_command), ("eval_command", tool.eval_command)):
            assert template is not None
            check(template, field_name, names)
        done = run(
            render(tool.train_command or [], context(project, Stage.TRAIN, train_reports, params=params)), train_reports
        )
        assert "Epoch 10 [s_trial_0001] / " in done.stdout
        curve = ReportReader(train_reports).read()
        assert [r.step for r in curve if r.step][-1] == curve[0].total_steps
        assert curve[-1].checkpoint == str(project / "trial_0001" / "checkpoints" / "last.json")
        evaluation = context(project, Stage.EVAL, eval_reports, checkpoint=curve[-1].checkpoint, metric=metric)
        run(render(tool.eval_command or [], evaluation), eval_reports)
        (report,) = ReportReader(eval_reports).read()
        scores.append(objective(report, metric))
        assert metric in report.metrics
    assert scores[0] == scores[1], "the seed decides"


def test_quick_test_over_another_module(project: Path) -> None:
    given = {
        "recipe_module": "m.n",
        "train_entrypoint": "fit",
        "eval_entrypoint": "judge",
        "sweep_name": "x",
        "max_trials": 2,
    }
    tool = find_recipe("quick_test", project).build(given)
    assert {name: getattr(tool, name) for name in given} == given
    assert tool.train_command is None


def test_quick_train_refuses_what_it_does_not_know(project: Path) -> None:
    argv = [sys.executable, "-m", "sweeptui.recipes.quick_train", "--run", "r", "--trial-dir", str(project)]
    done = run([*argv, "--overrides", "trainer.epoch=3"], project / "r", code=2)
    assert done.stderr == "error: trainer.epoch: trainer has no field 'epoch'; did you mean 'epochs'?\n"
