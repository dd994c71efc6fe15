"""From an argv template to a command, and what is refused before one is run."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeptui.core.config import SweepTool
from sweeptui.core.errors import UserError
from sweeptui.core.template import (
    NAMES,
    Context,
    check,
    default_eval_command,
    default_train_command,
    literal,
    render,
)
from sweeptui.core.trial import Stage
from sweeptui.core.values import format_value, parse_value

PARAMS = {"trainer.optimizer.lr": 1e-05, "trainer.layers": 3, "trainer.losses.ppo.clip": 0.2}


def context(stage: Stage = Stage.TRAIN, **changes: Any) -> Context:
    fields: dict[str, Any] = {
        "sweep": "s",
        "trial": 7,
        "params": PARAMS,
        "stage": stage,
        "attempt": 2,
        "seed": 11,
        "trial_dir": Path("/x/trials/trial_0007"),
        "report_path": Path("/x/trials/trial_0007/train.2.reports.jsonl"),
        "project_dir": Path("/x"),
        "metric": "evaluator/eval_arena/score",
        "overrides": {"steps": 100, "tag": None},
    }
    return Context(**{**fields, **changes})


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("--run={run}", "--run=s_trial_0007"),
        ("{sweep}/{trial_id}/{trial}", "s/trial_0007/7"),
        ("{stage}.{attempt}.{seed}", "train.2.11"),
        ("{trial_dir}", "/x/trials/trial_0007"),
        ("{report_path}", "/x/trials/trial_0007/train.2.reports.jsonl"),
        ("{params_file}", "/x/trials/trial_0007/params.json"),
        ("{params_json}", json.dumps(PARAMS)),
        ("{p:trainer.optimizer.lr}", "1e-05"),
        ("lr={p:lr},clip={p:ppo.clip}", "lr=1e-05,clip=0.2"),
        ("{python}", sys.executable),
        ("{recipe_module}.{train_entrypoint}", "m.train"),
        ("{eval_entrypoint}", ""),
        ("{metric} {gpus}", "evaluator/eval_arena/score 1"),
        ("{simulations_json}", '[{"name": "a"}]'),
        ("{checkpoint}", ""),
        ("{{run}} {{}}", "{run} {}"),
        ('{{"lr": {p:lr}}}', '{"lr": 1e-05}'),
        ("plain $HOME ; rm", "plain $HOME ; rm"),
    ],
)
def test_placeholders(item: str, expected: str) -> None:
    check([item], "train_command", PARAMS)
    given_context = context(recipe_module="m", train_entrypoint="train", gpus=1, simulations=[{"name": "a"}])
    assert render([item], given_context) == [expected]


def test_every_placeholder_stands_for_something() -> None:
    template = [f"{{{name}}}" for name in NAMES]
    check(template, "train_command", PARAMS)
    render(template, context())
    render(template, context(Stage.EVAL, checkpoint="c.pt"))


def test_lists_are_arguments_of_their_own() -> None:
    template = ["train", "--overrides", "{overrides}", "--", "{args}"]
    settings = [
        "steps=100",
        "tag=null",
        "trainer.optimizer.lr=1e-05",
        "trainer.layers=3",
        "trainer.losses.ppo.clip=0.2",
    ]
    check(template, "train_command", PARAMS, {"steps": 100})
    assert render(template, context()) == ["train", "--overrides", *settings, "--", *(f"--{s}" for s in settings)]


def test_an_evaluation_is_given_its_own_overrides_only() -> None:
    assert render(["{overrides}"], context(Stage.EVAL, overrides={"episodes": 5})) == ["episodes=5"]


def test_a_value_is_never_a_template_or_a_second_argument() -> None:
    params = {"name": "{seed} {{x}} a b"}
    assert render(["{p:name}", "{overrides}"], context(params=params, overrides={})) == [
        "{seed} {{x}} a b",
        "name={seed} {{x}} a b",
    ]


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("{rnu}", r"train_command: unknown placeholder \{rnu\}; did you mean \{run\}\?"),
        ('{"lr": 1}', "write {{ and }} for literal braces"),
        ("{}", "unknown placeholder"),
        ("a{b", "single {; write {{"),
        ("a}b", "single }; write }}"),
        ("x={overrides}", r"\{overrides\} stands for several arguments.*not a part of 'x=\{overrides\}'"),
        ("{p:lrr}", r"\{p:lrr\}: no such parameter; did you mean \{p:lr\}\?"),
        ("{p:zzz}", "no such parameter; the parameters are trainer.optimizer.lr"),
    ],
)
def test_mistakes_are_named(item: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check(["python", item], "train_command", PARAMS)


def test_a_last_part_that_two_parameters_share_is_refused() -> None:
    with pytest.raises(UserError, match=r"a\.lr and b\.lr both end in it"):
        check(["{p:lr}"], "train_command", ["a.lr", "b.lr"])
    check(["{p:a.lr}", "{p:lr}"], "train_command", ["a.lr", "lr"])


def test_an_empty_command_is_refused() -> None:
    with pytest.raises(UserError, match="eval_command is empty"):
        check([], "eval_command", PARAMS)


def test_overrides_need_a_place() -> None:
    with pytest.raises(UserError, match=r"eval_overrides is set, but eval_command has no \{overrides\}"):
        check(["eval"], "eval_command", PARAMS, {"episodes": 1})
    check(["eval", "{args}"], "eval_command", PARAMS, {"episodes": 1})


def test_an_override_of_a_searched_parameter_is_refused() -> None:
    with pytest.raises(UserError, match=r"train_overrides sets trainer\.layers, which the sweep searches"):
        check(["train", "{overrides}"], "train_command", PARAMS, {"trainer.layers": 2})
    check(["eval", "{overrides}"], "eval_command", PARAMS, {"trainer.layers": 2})


def test_an_evaluation_without_a_checkpoint_says_so() -> None:
    with pytest.raises(UserError, match="trial_0007 has reported no checkpoint"):
        render(["eval", "{checkpoint}"], context(Stage.EVAL))


def test_the_checkpoint_folder(tmp_path: Path) -> None:
    trial_dir = tmp_path / "trials" / "trial_0007"
    own, theirs = trial_dir / "checkpoints", tmp_path / "train_dir" / "s_trial_0007" / "checkpoints"

    def folder(checkpoint: str | None = None) -> str:
        return context(Stage.EVAL, trial_dir=trial_dir, project_dir=tmp_path, checkpoint=checkpoint).checkpoint_dir

    assert folder() == str(own)
    own.mkdir(parents=True)
    assert folder() == str(own)
    theirs.mkdir(parents=True)
    assert folder() == str(theirs)
    (own / "last.pt").touch()
    assert folder() == str(own)
    assert folder("out/last.pt") == "out"
    assert folder("s3://bucket/run/last.pt") == "s3://bucket/run"
    assert folder("last.pt") == "."
    assert folder(str(theirs)) == str(theirs)


def tool(**changes: Any) -> SweepTool:
    fields: dict[str, Any] = {
        "recipe_module": "experiments.recipes.arena",
        "train_entrypoint": "train_shaped",
        "protein_config": {"parameters": {"lr": {"min": 0.1, "max": 0.2, "distribution": "uniform"}}},
    }
    return SweepTool.model_validate({**fields, **changes})


def test_the_default_commands_of_a_project_with_its_own_runner(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "run.py").touch()
    train = default_train_command(tool(), tmp_path)
    assert render(train, context(overrides={}, params={"a.lr": 0.5})) == [
        *("uv", "run", "./tools/run.py", "experiments.recipes.arena.train_shaped"),
        *("--args", "run=s_trial_0007", "--overrides", "a.lr=0.5"),
    ]
    evaluation = default_eval_command(tool(eval_overrides={"push": True}), tmp_path)
    rendered = render(
        evaluation, context(Stage.EVAL, overrides={"push": True}, checkpoint="train_dir/r/checkpoints/1.pt")
    )
    assert rendered == [
        *("uv", "run", "./tools/run.py", "experiments.recipes.arena.evaluate"),
        *("--args", "policy_uri=file://train_dir/r/checkpoints", "--overrides", "push=true"),
    ]


def test_the_default_commands_of_any_other_project(tmp_path: Path) -> None:
    own = [sys.executable, "-m", "sweeptui.recipes.call"]
    train = default_train_command(tool(), tmp_path)
    assert render(train, context())[:4] == [*own, "experiments.recipes.arena.train_shaped"]
    simulated = tool(evaluation_simulations=[{"name": "arena/basic"}])
    evaluation = default_eval_command(simulated, tmp_path)
    assert render(evaluation, context(Stage.EVAL, simulations=[{"name": "arena/basic"}], checkpoint="c/1.pt")) == [
        *own,
        "experiments.recipes.arena.evaluate",
        *("--args", "policy_uri=file://c", 'simulations=[{"name": "arena/basic"}]'),
    ]


@given(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_what_is_written_as_an_argument_is_read_back(value: Any) -> None:
    read = parse_value(format_value(value))
    assert read == value
    assert type(read) is type(value)


@given(
    st.recursive(st.integers() | st.booleans() | st.text(), st.lists, max_leaves=6).filter(
        lambda v: isinstance(v, list)
    )
)
def test_lists_are_read_back(value: Any) -> None:
    assert parse_value(format_value(value)) == value


@pytest.mark.parametrize("text", ["0001", "", "a b", "{x", "2024-01-01", "off", "nan", "NaN", "Infinity", "[" * 50_000])
def test_texts_stay_as_they_are(text: str) -> None:
    assert parse_value(format_value(text)) == text


@given(st.text())
def test_literal_text_renders_to_itself(text: str) -> None:
    check([literal(text)], "train_command", [])
    assert render([literal(text)], context()) == [text]
