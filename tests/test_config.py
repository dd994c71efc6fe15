"""What a user writes: every field, every mistake in one sentence, overrides, and the way through JSON and back."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import sweeptui
from sweeptui.core.config import (
    ParameterConfig,
    ProteinConfig,
    ProteinSettings,
    SimulationConfig,
    SweepConfig,
    SweepTool,
)
from sweeptui.core.distributions import DISTRIBUTIONS, Logit
from sweeptui.core.errors import UserError, explain
from sweeptui.core.space import Choice, Integer, LogUniform, Uniform
from sweeptui.core.trial import FailureKind, Stage

calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine is no failure."""

LR = "trainer.optimizer.learning_rate"


def protein(**fields: Any) -> ProteinConfig:
    return ProteinConfig(**{"parameters": {LR: LogUniform(1e-5, 1e-2), "layers": Integer(1, 4)}, **fields})


def tool(**fields: Any) -> SweepTool:
    return SweepTool(**{"protein_config": protein(), **fields})


def mistake(make: Any, **fields: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        make(**fields)
    return explain(caught.value)


# What the guides show, with only the import lines changed.


def test_the_custom_sweep_of_the_orchestrator_guide() -> None:
    def my_custom_sweep(
        sweep_name: str | None = None,
        max_trials: int = 20,
    ) -> SweepTool:
        protein_config = ProteinConfig(
            metric="evaluator/eval_arena/score",
            goal="maximize",
            method="bayes",
            parameters={
                "trainer.optimizer.learning_rate": ParameterConfig(
                    min=1e-5,
                    max=1e-2,
                    distribution="log_normal",
                    mean=1e-3,
                    scale="auto",
                ),
                "trainer.losses.loss_configs.ppo.clip_coef": ParameterConfig(
                    min=0.05,
                    max=0.3,
                    distribution="uniform",
                    mean=0.175,
                    scale="auto",
                ),
                "trainer.losses.loss_configs.ppo.ent_coef": ParameterConfig(
                    min=0.0001,
                    max=0.01,
                    distribution="log_normal",
                    mean=0.001,
                    scale="auto",
                ),
            },
            settings=ProteinSettings(
                num_random_samples=5,
                max_suggestion_cost=300,
            ),
        )
        return SweepTool(
            sweep_name=sweep_name,
            protein_config=protein_config,
            max_trials=max_trials,
            recipe_module="experiments.recipes.arena",
            train_entrypoint="train_shaped",
            eval_entrypoint="evaluate",
            max_parallel_jobs=1,
            dispatcher_type="hybrid_remote_train",
        )

    sweep = my_custom_sweep("mine", 3)
    assert sweep.built_in_stages == (Stage.TRAIN, Stage.EVAL)
    assert sweep.space.center() == {
        "trainer.optimizer.learning_rate": 1e-3,
        "trainer.losses.loss_configs.ppo.clip_coef": 0.175,
        "trainer.losses.loss_configs.ppo.ent_coef": 0.001,
    }


def test_the_experiment_of_the_sweep_system() -> None:
    def sweep_optimizer(sweep_name: str, num_trials: int = 10) -> SweepTool:
        protein_config = ProteinConfig(
            metric="arena",
            goal="maximize",
            method="bayes",
            parameters={
                "trainer": {
                    "optimizer": {
                        "learning_rate": ParameterConfig(min=1e-5, max=1e-2, distribution="log_normal"),
                    },
                    "ppo": {
                        "clip_coef": ParameterConfig(min=0.05, max=0.3, distribution="uniform"),
                        "ent_coef": ParameterConfig(min=0.0001, max=0.01, distribution="log_normal"),
                        "gae_lambda": ParameterConfig(min=0.8, max=0.99, distribution="uniform"),
                    },
                    "batch_size": ParameterConfig(min=65536, max=1048576, distribution="int_uniform"),
                }
            },
        )
        sweep_config = SweepConfig(
            num_trials=num_trials,
            protein=protein_config,
            evaluation_simulations=[SimulationConfig(name="arena/basic"), SimulationConfig(name="arena/combat")],
        )

        def train_factory(run_name: str) -> str:
            return run_name

        return SweepTool(
            sweep=sweep_config,
            sweep_name=sweep_name,
            train_tool_factory=train_factory,
        )

    sweep = sweep_optimizer("mine", 7)
    assert sweep.max_trials == 7
    assert sweep.sweep is None
    assert sweep.train_tool_factory is not None
    assert [simulation.name for simulation in sweep.evaluation_simulations] == ["arena/basic", "arena/combat"]
    assert sweep.space.names == [
        "trainer.optimizer.learning_rate",
        "trainer.ppo.clip_coef",
        "trainer.ppo.ent_coef",
        "trainer.ppo.gae_lambda",
        "trainer.batch_size",
    ]


# The way through JSON


PARAMETERS = st.dictionaries(
    st.from_regex(r"[a-z]{1,3}(\.[a-z]{1,3}){0,2}", fullmatch=True),
    st.sampled_from(
        [
            LogUniform(1e-5, 1e-2, mean=1e-3, scale="time"),
            Integer(1, 4),
            Choice(["a", None, [64, 64], 1.0]),
            Logit(0.8, 0.9999),
            ParameterConfig(distribution="uniform_pow2", min=16, max=100, scale=0.3),
            ParameterConfig(min=0.1, max=2),
            ParameterConfig(value=None),
            ParameterConfig(values=((1, 2), (3, 4))),
            {"distribution": "constant", "value": {"deep": [1]}},
        ]
    ),
    min_size=1,
    max_size=5,
)


@calm
@given(
    parameters=PARAMETERS,
    max_trials=st.integers(1, 10**6),
    command=st.none() | st.lists(st.text(min_size=1), min_size=1),
    overrides=st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.lists(st.text())),
    retries=st.dictionaries(st.sampled_from(FailureKind), st.integers(0, 9)),
    target=st.none() | st.floats(allow_nan=False, allow_infinity=False),
)
def test_a_sweep_is_the_same_after_json(
    parameters: dict[str, Any],
    max_trials: int,
    command: list[str] | None,
    overrides: dict[str, Any],
    retries: dict[FailureKind, int],
    target: float | None,
) -> None:
    sweep = tool(
        protein_config=protein(parameters=parameters),
        max_trials=max_trials,
        train_command=command,
        train_overrides=overrides,
        retries=retries,
        target_score=target,
    )
    again = SweepTool.from_json(json.loads(json.dumps(sweep.to_json(), allow_nan=False)))
    assert again == sweep
    assert again.space == sweep.space
    assert again.to_json() == sweep.to_json()
    assert again.search_signature() == sweep.search_signature()


def test_json_leaves_the_factory_out() -> None:
    sweep = tool(train_tool_factory=print)
    assert not {"train_tool_factory", "sweep"} & sweep.to_json().keys()
    assert SweepTool.from_json(sweep.to_json()).train_tool_factory is None


def test_json_of_another_version_is_a_users_mistake() -> None:
    with pytest.raises(UserError, match=r"^future_field is not a field"):
        SweepTool.from_json({**tool().to_json(), "future_field": 1})


def test_the_signature_is_what_old_trials_depend_on() -> None:
    assert tool().search_signature() == tool(max_trials=99, seed=4, scheduler="sequential").search_signature()
    assert tool().search_signature() != tool(protein_config=protein(goal="minimize")).search_signature()
    assert tool().search_signature() != tool(protein_config=protein(metric="loss")).search_signature()


def test_the_schema_is_complete() -> None:
    schema = json.loads(json.dumps(SweepTool.model_json_schema()))
    fields = schema["properties"]
    assert fields.keys() == {*SweepTool.model_fields, "num_trials"} - {"train_tool_factory"}
    assert fields["max_trials"]["minimum"] == 1
    assert schema["additionalProperties"] is False
    parameter = schema["$defs"]["ParameterConfig"]["properties"]
    assert parameter["distribution"]["enum"] == sorted(DISTRIBUTIONS)
    assert "acquisition_fn" in schema["$defs"]["ProteinSettings"]["properties"]


# What a field becomes


def test_parameters_may_be_given_in_any_form() -> None:
    config = protein(
        parameters={
            "a": LogUniform(1e-4, 1e-1),
            "b": {"min": 1, "max": 5},
            "c": {"d": ParameterConfig(values=[1, "x"]), "e.f": Uniform(0, 1)},
            "g": {"value": "adam"},
        }
    )
    assert {name: parameter.distribution for name, parameter in config.parameters.items()} == {
        "a": "log_normal",
        "b": "int_uniform",
        "c.d": "categorical",
        "c.e.f": "uniform",
        "g": "constant",
    }


def test_commands_are_argument_lists() -> None:
    sweep = tool(train_command="python 'my train.py' --lr={p:lr}", eval_command=("python", "eval.py"))
    assert sweep.train_command == ["python", "my train.py", "--lr={p:lr}"]
    assert sweep.eval_command == ["python", "eval.py"]


@pytest.mark.parametrize(
    ("fields", "has_eval"),
    [
        ({}, False),
        ({"recipe_module": "m"}, True),
        ({"recipe_module": "m", "eval_entrypoint": None}, False),
        ({"recipe_module": "m", "train_command": "true"}, False),
        ({"train_command": "true"}, False),
        ({"train_command": "true", "eval_command": "true"}, True),
    ],
)
def test_a_sweep_knows_whether_it_evaluates(fields: dict[str, Any], has_eval: bool) -> None:
    assert tool(**fields).has_eval is has_eval
    assert len(tool(**fields).built_in_stages) == 1 + has_eval


def test_retries_change_the_defaults() -> None:
    assert tool(retries={"crashed": 1, "lost": 0}).retries == {
        FailureKind.LOST: 0,
        FailureKind.DISPATCH_ERROR: 3,
        FailureKind.PREEMPTED: 100,
        FailureKind.CRASHED: 1,
    }
    assert tool().retries is not tool().retries


def test_other_names_of_fields() -> None:
    assert tool(num_trials=3).max_trials == 3
    assert ProteinSettings(acquisition_fn="ucb").acquisition == "ucb"
    assert SweepTool(sweep={"max_trials": 4, "protein": protein()}).max_trials == 4


def test_a_path_may_be_a_path(tmp_path: Path) -> None:
    assert tool(working_dir=tmp_path).working_dir == str(tmp_path)


def test_assignments_are_checked() -> None:
    sweep = tool()
    sweep.train_command = "echo hi"  # type: ignore[assignment]
    assert sweep.train_command == ["echo", "hi"]
    assert sweep.sweep is None
    with pytest.raises(ValidationError):
        sweep.max_trials = 0
    with pytest.raises(ValidationError):
        sweep.max_trails = 3  # type: ignore[attr-defined]
    assert sweep.max_trials == 10


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package that offers an optimizer and a scheduler."""
    info = tmp_path / "plugins-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugins\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[sweeptui.optimizers]\nhill_climb = plugins:make\n[sweeptui.schedulers]\nlazy = plugins:Lazy\n"
    )
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("plugins")
def test_methods_and_schedulers_of_other_packages() -> None:
    assert tool(protein_config=protein(method="hill_climb"), scheduler="lazy").scheduler == "lazy"
    assert mistake(protein, method="hill_clim") == "method is 'hill_clim'; did you mean 'hill_climb'?"


# Mistakes


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"max_trails": 3}, "max_trails is not a field; did you mean 'max_trials'?"),
        ({"goal": "minimize"}, "goal is not a field; did you mean protein_config.goal?"),
        ({"max_trials": 0}, "max_trials is 0; it must be at least 1"),
        ({"max_trials": -4}, "max_trials is -4; it must be at least 1"),
        ({"max_trials": True}, "max_trials is True; it must be a whole number"),
        ({"max_trials": 2.5}, "max_trials is 2.5; it must be a whole number"),
        ({"max_trials": "3"}, "max_trials is '3'; it must be a whole number, not text in quotes"),
        ({"max_trials": 3, "num_trials": 3}, "num_trials and max_trials are both set; remove one of the two"),
        ({"max_parallel_jobs": 0}, "max_parallel_jobs is 0; it must be at least 1"),
        ({"suggest_ahead": -1}, "suggest_ahead is -1; it must be at least 0"),
        ({"monitoring_interval": 0}, "monitoring_interval is 0; it must be above 0"),
        ({"train_timeout_s": math.inf}, "train_timeout_s is inf; it must be a finite number"),
        ({"target_score": math.nan}, "target_score is nan; it must be a finite number"),
        ({"max_cost": "10"}, "max_cost is '10'; it must be a number, not text in quotes"),
        ({"capture_output": 1}, "capture_output is 1; it must be true or false"),
        ({"dispatcher_type": "lokal"}, "dispatcher_type is 'lokal'; did you mean 'local'?"),
        ({"dispatcher_type": "k8s"}, "dispatcher_type is 'k8s'; choose one of hybrid_remote_train, local, skypilot"),
        ({"scheduler": "optimising"}, "scheduler is 'optimising'; did you mean 'optimizing'?"),
        (
            {"skypilot": {"clusters": 2}},
            "skypilot.clusters is set, but mode is 'managed'; set mode to 'cluster'",
        ),
        ({"wandb": {"mode": "on"}}, "wandb.mode is 'on'; choose one of disabled, offline, online"),
        ({"wandb": {"projekt": "x"}}, "wandb.projekt is not a field; did you mean 'project'?"),
        ({"metric_source": "stdout"}, "metric_source is 'stdout'; choose one of log, report"),
        ({"metric_source": "log"}, "metric_regex is missing, and metric_source is 'log'; give one with a group named"),
        ({"metric_regex": "(?P<score>.)"}, "metric_regex is set, but metric_source is 'report'; set metric_source"),
        ({"metric_source": "log", "metric_regex": "("}, "metric_regex is '(', which is no regular expression: missing"),
        ({"metric_source": "log", "metric_regex": "x"}, "metric_regex is 'x'; it needs a group named score"),
        ({"train_command": "a 'b"}, 'train_command is "a \'b", which cannot be split into arguments (No closing quota'),
        ({"train_command": "  "}, "train_command is empty; give the program and its arguments"),
        ({"eval_command": []}, "eval_command is empty; give the program and its arguments"),
        ({"train_command": ["sleep", 3]}, "train_command.1 is 3; it must be text: put it in quotes"),
        ({"sweep_name": "a/b"}, "sweep_name is 'a/b'; use up to 100 letters, digits, dots, dashes and underscores"),
        ({"sweep_name": "a..b"}, "sweep_name is 'a..b'; use up to 100"),
        ({"sweep_name": "-a"}, "sweep_name is '-a'; use up to 100"),
        ({"sweep_name": "a\n"}, "sweep_name is 'a\\n'; use up to 100"),
        ({"sweep_name": "a" * 101}, "sweep_name is 'aaa"),
        ({"retries": {"crashd": 1}}, "retries.crashd is 'crashd'; did you mean 'crashed'?"),
        ({"retries": {"crashed": -1}}, "retries.crashed is -1; it must be at least 0"),
        ({"env": {"A": 1}}, "env.A is 1; it must be text: put it in quotes"),
        ({"env": {"A=B": "1"}}, "env has 'A=B', which no environment can hold"),
        ({"train_overrides": {"a": math.nan}}, "train_overrides.a is nan, which JSON cannot hold; use numbers, text"),
        ({"evaluation_simulations": [{"name": "x", "episodes": 0}]}, "evaluation_simulations.0.episodes is 0; it must"),
        ({"evaluation_simulations": [{}]}, "evaluation_simulations.0.name is missing; give it a value"),
        ({"train_tool_factory": 3}, "train_tool_factory is 3; it must be a function"),
        ({"sweep": SweepConfig(protein=protein())}, "sweep and protein_config are both set; set protein_config inside"),
        ({"protein_config": None}, "protein_config is None; it must be a mapping of its fields"),
        ({"protein_config": {}}, "protein_config.parameters is missing; give it a value"),
        ({"seed": -1}, "seed is -1; it must be at least 0"),
    ],
)
def test_a_mistake_in_a_sweep(fields: dict[str, Any], sentence: str) -> None:
    message = mistake(tool, **fields)
    assert message.startswith(sentence)
    assert "\n" not in message


def test_a_sweep_without_a_search() -> None:
    assert mistake(SweepTool, max_trials=3) == "protein_config is missing; say what to search, or give sweep"
    broken = {"protein": {"parameters": {"lr": {"min": 1, "max": 1}}}}
    assert mistake(SweepTool, sweep=broken).startswith("sweep.protein.parameters.lr.min is 1 and max is 1;")


def test_a_grid_over_a_range_without_end() -> None:
    sentence = f"method is 'grid', and {LR} has no end of values; give it values, or use int_uniform"
    assert mistake(protein, method="grid") == sentence
    assert ProteinConfig(method="grid", parameters={"layers": Integer(1, 4)}).method == "grid"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"method": "bayse"}, "method is 'bayse'; did you mean 'bayes'?"),
        ({"method": "genetics"}, "method is 'genetics'; did you mean 'genetic'?"),
        ({"method": "ax:GP"}, "method is 'ax:GP', and only optuna and nevergrad have variants, as optuna:GPSampler"),
        ({"goal": "max"}, "goal is 'max'; choose one of maximize, minimize"),
        ({"goal": "maximise"}, "goal is 'maximise'; did you mean 'maximize'?"),
        ({"metric": ""}, "metric is empty; give it a value"),
        ({"parameters": {}}, "parameters is empty; give at least one parameter to search"),
        ({"parameters": [1]}, "parameters is [1]; it must be a mapping of names to values"),
        ({"parameters": {"lr": 0.1}}, "parameters.lr is 0.1, which is no parameter; give it min and max"),
        ({"parameters": {"lr": {"minn": 1, "max": 2}}}, "parameters.lr.minn is not a field; did you mean 'min'?"),
        (
            {"parameters": {"trainer": {"optimizer": {"learning_rate": {"min": 0.1, "max": 0.01}}}}},
            "parameters.trainer.optimizer.learning_rate.min is 0.1 and max is 0.01; min must be below max",
        ),
        (
            {"parameters": {LR: {"min": 0.0, "max": 1.0, "distribution": "log_normal"}}},
            "parameters.trainer.optimizer.learning_rate.min is 0, which has no logarithm; it must be above 0",
        ),
        (
            {"parameters": {LR: {"min": 0.0, "max": 1.0}, "trainer": {"optimizer": {"learning_rate": Integer(1, 2)}}}},
            "parameters.trainer.optimizer.learning_rate is given twice, flat and nested; remove one of the two",
        ),
        ({"settings": {"acquisition_fn": "pi"}}, "settings.acquisition is 'pi'; "),
        ({"settings": {"acquisition": "ei", "acquisition_fn": "ei"}}, "settings.acquisition_fn and acquisition are"),
        ({"settings": {"num_random_sample": 3}}, "settings.num_random_sample is not a field; did you mean 'num_rand"),
        ({"settings": {"max_suggestion_cost": 0}}, "settings.max_suggestion_cost is 0; it must be above 0"),
    ],
)
def test_a_mistake_in_a_search(fields: dict[str, Any], sentence: str) -> None:
    assert mistake(protein, **fields).startswith(sentence)
    assert mistake(SweepTool, protein_config={"parameters": {"x": {"value": 1}}, **fields}).startswith(
        f"protein_config.{sentence}"
    )


def test_all_mistakes_are_counted_and_each_has_its_place() -> None:
    nested = {"a": {"b": {"min": 2, "max": 1}}, "c.d": {"values": []}, "e": {"value": 1, "scael": 2}}
    with pytest.raises(ValidationError) as caught:
        SweepTool(protein_config={"parameters": nested, "goal": "max"})
    assert explain(caught.value).endswith(" (and 3 more)")
    assert {error["loc"] for error in caught.value.errors()} == {
        ("protein_config", "goal"),
        ("protein_config", "parameters", "a", "b", "min"),
        ("protein_config", "parameters", "c.d", "values"),
        ("protein_config", "parameters", "e", "scael"),
    }


def test_a_mistake_may_hold_braces() -> None:
    assert mistake(tool, train_command="a '{run}").startswith('train_command is "a \'{run}"')


# path=value


@pytest.mark.parametrize(
    ("setting", "read"),
    [
        ("max_trials=20", lambda sweep: sweep.max_trials == 20),
        ("num_trials=20", lambda sweep: sweep.max_trials == 20),
        ("sweep.num_trials=20", lambda sweep: sweep.max_trials == 20),
        (
            "protein_config.settings.num_random_samples=20",
            lambda sweep: sweep.protein_config.settings.num_random_samples == 20,
        ),
        (
            "sweep.protein.settings.num_random_samples=20",
            lambda sweep: sweep.protein_config.settings.num_random_samples == 20,
        ),
        ("protein.settings.acquisition_fn=ucb", lambda sweep: sweep.protein_config.settings.acquisition == "ucb"),
        (
            "protein.settings.max_suggestion_cost=3e2",
            lambda sweep: sweep.protein_config.settings.max_suggestion_cost == 300,
        ),
        (f"protein_config.parameters.{LR}.max=1e-1", lambda sweep: sweep.space.distributions[LR].max == 0.1),
        (f'protein.parameters.{LR}={{"value": 0.5}}', lambda sweep: sweep.space.center()[LR] == 0.5),
        ("protein.parameters.layers.max=9", lambda sweep: sweep.space.distributions["layers"].max == 9),
        ("capture_output=false", lambda sweep: sweep.capture_output is False),
        ("train_timeout_s=null", lambda sweep: sweep.train_timeout_s is None),
        ("train_command=python a.py --x=1", lambda sweep: sweep.train_command == ["python", "a.py", "--x=1"]),
        ('train_command=["a", "b c"]', lambda sweep: sweep.train_command == ["a", "b c"]),
        (
            "train_overrides.trainer.total_timesteps=100",
            lambda sweep: sweep.train_overrides["trainer.total_timesteps"] == 100,
        ),
        ('train_overrides={"a": 1}', lambda sweep: sweep.train_overrides == {"a": 1}),
        ("retries.crashed=2", lambda sweep: sweep.retries[FailureKind.CRASHED] == 2),
        ("env.SEED=007", lambda sweep: sweep.env == {"SEED": "007"}),
        ("evaluation_simulations.0.episodes=3", lambda sweep: sweep.evaluation_simulations[0].episodes == 3),
        (
            "evaluation_simulations.0.overrides.a.b=1",
            lambda sweep: sweep.evaluation_simulations[0].overrides == {"a.b": 1},
        ),
        ("wandb.project=p", lambda sweep: sweep.wandb.project == "p"),
        ("metric_source=report", lambda sweep: sweep.metric_source == "report"),
    ],
)
def test_a_setting_reaches_its_field(setting: str, read: Any) -> None:
    before = tool(evaluation_simulations=[{"name": "arena"}], train_tool_factory=print)
    after = before.with_overrides([setting])
    assert read(after)
    assert after.train_tool_factory is print
    assert before == tool(evaluation_simulations=[{"name": "arena"}], train_tool_factory=print)


def test_settings_are_checked_together() -> None:
    sweep = tool().with_overrides(["protein.parameters.layers.min=10", "protein.parameters.layers.max=20"])
    assert sweep.space.distributions["layers"] == Integer(10, 20)
    assert sweep.with_overrides(["metric_source=log", "metric_regex=s=(?P<score>.*)"]).metric_source == "log"


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("max_trials", "'max_trials' is no setting; write path=value"),
        ("=3", "'=3' is no setting; write path=value"),
        ("max_trails=3", "max_trails is not a field; did you mean 'max_trials'?"),
        (
            "settings.ucb_beta=3",
            "settings.ucb_beta is not a field ('settings' is unknown); did you mean protein_config.s",
        ),
        (
            "protein.settings.num_random_sample=3",
            "protein.settings.num_random_sample is not a field ('num_random_sample'",
        ),
        ("train_tool_factory=print", "train_tool_factory is not a field;"),
        ("max_trials=many", "max_trials is 'many'; it must be a whole number"),
        ("max_trials.x=1", "max_trials.x is not a field; what comes before 'x' has no fields"),
        ("max_cost.usd=1", "max_cost.usd is not a field; what comes before 'usd' has no fields"),
        (
            "protein.parameters.layers.max=0",
            "protein_config.parameters.layers.min is 1 and max is 0; min must be below",
        ),
        (
            "protein.parameters.layers.maximum=9",
            "protein.parameters.layers.maximum is not a field ('maximum' is unknown)",
        ),
        (
            "protein.parameters.layer.max=9",
            "protein.parameters.layer.max is not a field ('layer.max' is unknown); did you",
        ),
        ("retries.crashd=1", "retries.crashd is 'crashd'; did you mean 'crashed'?"),
        ("evaluation_simulations.1.episodes=3", "evaluation_simulations.1.episodes is not a field ('1' is unknown)"),
        ("sweep_name=2024", "sweep_name is 2024; it must be text: put it in quotes"),
    ],
)
def test_a_mistake_in_a_setting(setting: str, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        tool(evaluation_simulations=[{"name": "arena"}]).with_overrides([setting])
    assert str(caught.value).startswith(sentence)


# The package


def test_the_package_exports_what_recipes_need() -> None:
    for name in sweeptui.__all__:
        assert getattr(sweeptui, name) is not None
        assert name in dir(sweeptui)
    assert sweeptui.SweepTool is SweepTool
    with pytest.raises(AttributeError, match="no attribute 'SweepTol'"):
        _ = sweeptui.SweepTol


def imported_by(statement: str) -> set[str]:
    code = f"import sys; before = set(sys.modules); {statement}; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_what_is_not_used_is_not_imported() -> None:
    alone = imported_by("import sweeptui")
    assert {name for name in alone if not name.startswith("sweeptui")} <= {"__future__"}
    reporting = imported_by("from sweeptui import report; report(step=1)")
    assert not {"pydantic", "sweeptui.core"} & reporting
    config = imported_by("import sweeptui.core.config")
    assert not {"numpy", "scipy", "torch", "textual", "yaml"} & config
