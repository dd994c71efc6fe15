"""W&B's sweep files as recipes: what every distribution, macro and key means, and every mistake with its line."""

from __future__ import annotations

import math
import random
import shutil
import statistics
import textwrap
from pathlib import Path
from statistics import NormalDist
from typing import Any

import pytest
import yaml

from sweeptui.core.config import SweepTool
from sweeptui.core.distributions import Distribution
from sweeptui.core.errors import UserError
from sweeptui.core.template import Context, render
from sweeptui.core.trial import Stage
from sweeptui.recipes.find import find_recipe
from sweeptui.recipes.wandb_sweep import is_wandb_sweep, notes_on, read_wandb_sweep

MINIMAL = {"program": "train.py", "method": "random", "metric": {"name": "loss"}}


def sweep(tmp_path: Path, environ: dict[str, str] | None = None, **keys: Any) -> SweepTool:
    data = {**MINIMAL, "parameters": {"lr": {"min": 0.1, "max": 0.5}}, **keys}
    file = tmp_path / "sweep.yaml"
    file.write_text(yaml.safe_dump({key: value for key, value in data.items() if value is not None}))
    return read_wandb_sweep(file, environ)


def distribution(tmp_path: Path, **spec: Any) -> Distribution:
    return sweep(tmp_path, parameters={"x": spec}).space.distributions["x"]


def argv(tool: SweepTool, folder: Path, **params: Any) -> list[str]:
    assert tool.train_command is not None
    nested = tool.wandb.nested if tool.wandb else {}
    context = Context("s", 1, params, Stage.TRAIN, 1, 0, folder, folder / "r", folder, "loss", nested=nested)
    return render(tool.train_command, context)


E = math.e
MIDDLE = NormalDist()
QUARTILES = {
    "uniform": ({"min": 2.0, "max": 4.0}, [2.5, 3.0, 3.5]),
    "log_uniform": ({"min": -4, "max": 0}, [E**-3, E**-2, E**-1]),
    "log_uniform_values": ({"min": 1e-4, "max": 1}, [1e-3, 1e-2, 1e-1]),
    "inv_log_uniform": ({"min": 0, "max": 4}, [E**-3, E**-2, E**-1]),
    "inv_log_uniform_values": ({"min": 1e-4, "max": 1}, [1e-3, 1e-2, 1e-1]),
    "normal": ({"mu": 3, "sigma": 2}, [3 + 2 * MIDDLE.inv_cdf(p) for p in (0.25, 0.5, 0.75)]),
    "log_normal": ({"mu": 1, "sigma": 0.5}, [math.exp(1 + 0.5 * MIDDLE.inv_cdf(p)) for p in (0.25, 0.5, 0.75)]),
    "beta": ({"a": 2, "b": 1}, [0.5, math.sqrt(0.5), math.sqrt(0.75)]),
}


@pytest.mark.parametrize("name", QUARTILES)
def test_a_distribution_has_the_quartiles_that_wandb_gives_it(tmp_path: Path, name: str) -> None:
    spec, quartiles = QUARTILES[name]
    made = distribution(tmp_path, distribution=name, **spec)
    assert [made.from_unit(p) for p in (0.25, 0.5, 0.75)] == pytest.approx(quartiles, rel=1e-5)


@pytest.mark.parametrize("name", ["uniform", "log_uniform", "log_uniform_values", "normal", "log_normal", "beta"])
def test_a_q_distribution_is_the_same_rounded(tmp_path: Path, name: str) -> None:
    spec, _ = QUARTILES[name]
    smooth = distribution(tmp_path, distribution=name, **spec)
    stepped = distribution(tmp_path, distribution=f"q_{name}", q=0.5, **spec)
    for place in (k / 97 for k in range(98)):
        assert stepped.from_unit(place) == round(smooth.from_unit(place) / 0.5) * 0.5
    assert stepped.cardinality is not None


def test_a_whole_q_gives_whole_numbers_and_the_ends_half_a_share(tmp_path: Path) -> None:
    made = distribution(tmp_path, distribution="q_uniform", min=10, max=30, q=10)
    rng = random.Random(0)
    drawn = [made.from_unit(rng.random()) for _ in range(4000)]
    assert {type(value) for value in drawn} == {int}
    assert [drawn.count(value) / 4000 for value in (10, 20, 30)] == pytest.approx([0.25, 0.5, 0.25], abs=0.03)
    default = distribution(tmp_path, distribution="q_normal", mu=0, sigma=2)
    assert type(default.from_unit(0.9)) is int


def test_the_shapes_have_wandbs_defaults(tmp_path: Path) -> None:
    assert distribution(tmp_path, distribution="normal").to_json() == {"distribution": "normal", "mu": 0, "sigma": 1}
    assert distribution(tmp_path, distribution="beta").from_unit(0.25) == pytest.approx(0.25)
    rng = random.Random(0)
    drawn = [math.log(distribution(tmp_path, distribution="log_normal").from_unit(rng.random())) for _ in range(500)]
    assert statistics.fmean(drawn) == pytest.approx(0, abs=0.15)
    assert statistics.stdev(drawn) == pytest.approx(1, abs=0.15)


def test_probabilities_are_shares(tmp_path: Path) -> None:
    made = distribution(tmp_path, values=["a", "b", "c"], probabilities=[0.5, 0.0, 0.5])
    assert [made.from_unit(p) for p in (0.0, 0.49, 0.51, 1.0)] == ["a", "a", "c", "c"]
    assert not made.contains("b")


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ({"values": [1, None, "x", [1, 2], {"a": 1}]}, "categorical"),
        ({"value": {"a": 1}}, "constant"),
        ({"min": 1, "max": 4}, "int_uniform"),
        ({"min": 1, "max": 4.0}, "uniform"),
        ({"values": ["a", "b"], "probabilities": [0.1, 0.9]}, "categorical_w_probabilities"),
    ],
)
def test_a_distribution_that_is_not_named_is_inferred(tmp_path: Path, spec: dict[str, Any], name: str) -> None:
    assert distribution(tmp_path, **spec).name == name


def test_a_grid_goes_through_every_value_of_steps(tmp_path: Path) -> None:
    tool = sweep(
        tmp_path,
        method="grid",
        parameters={"a": {"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.25}, "b": {"values": [1, 2]}},
    )
    assert tool.max_trials == tool.space.cardinality == 10


def test_what_the_keys_become(tmp_path: Path) -> None:
    tool = sweep(
        tmp_path,
        method="bayes",
        metric={"name": "val.acc", "goal": "maximize", "target": 1},
        run_cap=7,
        name="My search: lr",
        description="why",
        project="p",
        entity="e",
        kind="sweep",
    )
    assert tool.protein_config.method == "bayes"
    assert (tool.protein_config.metric, tool.protein_config.goal) == ("val.acc", "maximize")
    assert (tool.target_score, tool.max_trials, tool.sweep_name) == (1.0, 7, "My-search-lr")
    assert tool.metric_source == "wandb"
    assert tool.wandb is not None
    assert (tool.wandb.project, tool.wandb.entity, tool.wandb.notes) == ("p", "e", "why")
    assert sweep(tmp_path).protein_config.goal == "minimize"


def test_early_terminate_is_a_scheduler(tmp_path: Path) -> None:
    tool = sweep(tmp_path, early_terminate={"type": "hyperband", "min_iter": 3, "eta": 2, "strict": True})
    assert tool.scheduler == "early_terminate"
    assert tool.scheduler_options == {"min_iter": 3, "eta": 2, "strict": True}
    assert "strict has no effect" in notes_on(tmp_path / "sweep.yaml", limited=True)[0]


def test_yaml_is_read_as_wandb_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(
        "program: t.py\nmethod: grid\nmetric: {name: m}\n"
        "parameters: {flag: {values: [yes, no]}, text: {values: [1e-5, 12]}}\n"
    )
    space = read_wandb_sweep(file).space.to_json()
    assert space["flag"]["values"] == [True, False]
    assert space["text"]["values"] == ["1e-5", 12]


def test_nested_parameters_arrive_as_wandbs_agent_sends_them(tmp_path: Path) -> None:
    tool = sweep(
        tmp_path,
        command=["train", "${args}"],
        parameters={
            "a.b": {"value": 1},
            "opt": {"parameters": {"name": {"values": ["adam"]}, "in": {"parameters": {"wd": {"value": None}}}}},
        },
    )
    params = {"a.b": 1, "opt.name": "adam", "opt.in.wd": None}
    assert argv(tool, tmp_path, **params) == ["train", "--a.b=1", "--opt={'name': 'adam', 'in': {'wd': None}}"]


MACROS = {
    "${args}": ["--a=True", "--b=False", "--c=[1, 'x']"],
    "${args_no_equals}": ["--a", "True", "--b", "False", "--c", "[1, 'x']"],
    "${args_no_hyphens}": ["a=True", "b=False", "c=[1, 'x']"],
    "${args_no_boolean_flags}": ["--a", "--c=[1, 'x']"],
    "${args_append_hydra}": ["+a=True", "+b=False", "+c=[1, 'x']"],
    "${args_override_hydra}": ["++a=True", "++b=False", "++c=[1, 'x']"],
    "${args_json}": ['{"a": true, "b": false, "c": [1, "x"]}'],
    "${program}": ["train.py"],
    "${env}": ["/usr/bin/env"],
    "--n={x}": ["--n={x}"],
    "echo $HOME ${HOME}": ["echo $HOME ${HOME}"],
    12: ["12"],
    True: ["True"],
}


@pytest.mark.parametrize("macro", MACROS, ids=str)
def test_a_macro_is_what_wandbs_agent_makes_of_it(tmp_path: Path, macro: Any) -> None:
    tool = sweep(tmp_path, command=["run", macro])
    assert argv(tool, tmp_path, a=True, b=False, c=[1, "x"]) == ["run", *MACROS[macro]]


def test_macros_are_the_real_agents(tmp_path: Path) -> None:
    utils = pytest.importorskip("wandb.sdk.launch.sweeps.utils")
    params = {"a": True, "b": False, "c": 1e-05, "d": None, "e": "x y", "f": [1, {"g": 2.5}]}
    made = utils.create_sweep_command_args({"args": {name: {"value": value} for name, value in params.items()}})
    for name in made.keys() - {"args_dict"}:
        assert argv(sweep(tmp_path, command=[f"${{{name}}}"]), tmp_path, **params) == made[name], name


def test_variables_are_looked_up_anywhere_in_an_item(tmp_path: Path) -> None:
    environ = {"DATA": "/data", "N_1": "${program}", "PATH": ""}
    tool = sweep(tmp_path, environ, command=["${interpreter}", "--in=${envvar:DATA}/x/${envvar:DATA}", "${envvar:N_1}"])
    assert tool.train_command == ["{python}", "--in=/data/x//data", "train.py"]


BAD = [
    ("metod: random", 3, "metod is no key of a W&B sweep file; did you mean 'method'?"),
    ("method: custom", 3, "method is 'custom'; choose one of bayes, grid, random"),
    ("run_cap: 0", 3, "run_cap is 0; it must be a whole number above 0"),
    ("metric: {goal: maximize}", 3, "metric.name is None"),
    ("metric: {name: a, gaol: maximize}", 3, "metric.gaol is not a key of metric; did you mean 'goal'?"),
    ("metric: {name: a, goal: up}", 3, "metric.goal is 'up'; it must be minimize or maximize"),
    ("command:\n  - python\n  - ${arg}", 5, "command.1 is '${arg}', which is no macro; did you mean 'args'?"),
    ("command: ['--p=${program}']", 3, "command.0 is '--p=${program}'; a macro is replaced only as an item of its own"),
    ("command: ['${args_dict}']", 3, "of which W&B's agent makes bare names; use ${args_json}"),
    ("command: ['a${envvar:NOT_SET_HERE}']", 3, "the environment variable NOT_SET_HERE is not set"),
    ("command: [[a]]", 3, "command.0 is ['a']; it must be text or a number"),
    ("command: python", 3, "command is 'python'; it must be a list of arguments"),
    ("image_uri: x", 3, "image_uri is for W&B Launch, which cannot be run here"),
    (
        "early_terminate: {type: hyperband, max_itr: 3}",
        3,
        "early_terminate.max_itr is no key of it; did you mean 'max",
    ),
    ("early_terminate:\n  s: 2\n  type: median", 5, "early_terminate.type is 'median'; it must be 'hyperband'"),
    ("early_terminate: {type: hyperband}", 3, "early_terminate.min_iter is missing; give min_iter, or max_iter and s"),
    ("early_terminate: hyperband", 3, "early_terminate is 'hyperband'; it must have a type"),
    ("parameters: {}", 3, "parameters is {}"),
    ("parameters:\n  lr: 3", 4, "parameters.lr is 3; it must be a mapping"),
    (
        "parameters:\n  lr:\n    min: 1e-5\n    max: 1",
        5,
        "lr.min is '1e-5', which is text in YAML, where 1e-5",
    ),
    ("parameters:\n  lr:\n    min: 1\n    max: 1", 5, "parameters.lr.min is 1 and max is 1; min must be below max"),
    ("parameters:\n  lr:\n    min: 1\n    mean: 2\n    max: 3", 6, "parameters.lr.mean is not a key of int_uniform"),
    ("parameters:\n  lr: {distribution: log_uniform, min: 1}", 4, "parameters.lr.max is missing"),
    ("parameters:\n  lr: {distribution: log_uniform, min: 1, max: 1.0e+3}", 4, "lr.max is 1000.0, an exponent of e"),
    ("parameters:\n  lr: {distribution: loguniform, min: 1, max: 2}", 4, "distribution is 'loguniform'; did you mean"),
    ("parameters:\n  lr: {distribution: log_uniform_values, min: 0, max: 2}", 4, "lr.min is 0, which has no logarithm"),
    ("parameters:\n  lr: {distribution: normal, sigma: 0}", 4, "parameters.lr.sigma is 0; it must be above 0"),
    ("parameters:\n  a: {values: [1, 2], probabilities: [0.5, 0.6]}", 4, "a.probabilities is [0.5, 0.6]"),
    ("parameters:\n  g:\n    parameters:\n      h: {min: 2, max: 1}", 6, "g.parameters.h.min is 2 and max is 1"),
    ("parameters:\n  g:\n    parameters: {h: {value: 1}}\n    min: 1", 6, "g.min stands beside parameters"),
    ("parameters:\n  a b: {value: 1}", 4, "cannot be a parameter's name ('a b')"),
    ("method: grid\nparameters:\n  lr: {min: 0.1, max: 0.5}", 3, "method is 'grid', and lr has no end of values"),
]


@pytest.mark.parametrize(("lines", "line", "sentence"), BAD, ids=[lines.splitlines()[-1] for lines, _, _ in BAD])
def test_a_mistake_is_told_with_its_line(tmp_path: Path, lines: str, line: int, sentence: str) -> None:
    rest = {key: value for key, value in MINIMAL.items() if f"{key}:" not in lines}
    rest["parameters"] = {"lr": {"min": 0.1, "max": 0.5}}
    if "parameters:" in lines:
        del rest["parameters"]
    file = tmp_path / "sweep.yaml"
    file.write_text(f"# a comment\n\n{lines}\n{yaml.safe_dump(rest)}")
    with pytest.raises(UserError) as caught:
        read_wandb_sweep(file, {})
    assert str(caught.value).startswith(f"sweep.yaml, line {line}: ")
    assert sentence in str(caught.value)


def test_a_recipe_is_not_taken_for_a_sweep_file() -> None:
    assert is_wandb_sweep({"method": "random"})
    assert not is_wandb_sweep({"train_command": ["x"], "protein_config": {}, "method": "random"})
    assert not is_wandb_sweep({"max_trials": 3})
    assert not is_wandb_sweep(["method"])


def test_what_has_no_effect_is_said(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(
        textwrap.dedent("""\
            program: train.py
            method: random
            controller: {type: local}
            metric:
              name: m
              impute: worst
            parameters: {a: {min: 0.0, max: 1.0}}
            """)
    )
    said = notes_on(file, limited=False)
    assert [note.partition(":")[0] for note in said] == [
        "sweep.yaml, line 6",
        "sweep.yaml, line 3",
        "sweep.yaml, line 1",
    ]
    assert "impute has no effect" in said[0]
    assert "it ends after 10 trials" in said[2]
    assert len(notes_on(file, limited=True)) == 2


def test_without_a_metric_the_running_time_ranks(tmp_path: Path) -> None:
    tool = sweep(tmp_path, metric=None)
    assert (tool.protein_config.metric, tool.protein_config.goal) == ("_runtime", "minimize")
    assert "there is no metric" in notes_on(tmp_path / "sweep.yaml", limited=True)[0]


def test_the_example_is_a_recipe(tmp_path: Path) -> None:
    shutil.copytree(Path(__file__).parent / "examples" / "wandb", tmp_path, dirs_exist_ok=True)
    tool = find_recipe("sweep.yaml", tmp_path).build({})
    assert list(tool.space.distributions) == ["epochs", "seed", "batch_size", "optimizer.lr"]
    assert tool.wandb is not None
    assert tool.wandb.nested == {"optimizer.lr": ["optimizer", "lr"]}
    assert SweepTool.from_json(tool.to_json()).to_json() == tool.to_json()
