"""Parameters that exist only under a condition: in the space, in suggestions, in commands and by hand."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commandline import Project
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sweeptui.core.config import ProteinConfig
from sweeptui.core.errors import UserError, explain
from sweeptui.core.handmade import complete
from sweeptui.core.optimizers.base import History, SpaceExhaustedError
from sweeptui.core.optimizers.configurations import configuration_key, is_complete
from sweeptui.core.optimizers.protein.axes import Axes
from sweeptui.core.optimizers.registry import resolve
from sweeptui.core.space import Space
from sweeptui.core.template import Context, render
from sweeptui.core.trial import Observation, Stage

PARAMETERS: dict[str, Any] = {
    "nesterov": {"values": [True, False], "when": "momentum > 0.5"},
    "optimizer": {"values": ["sgd", "adam", "none"]},
    "momentum": {"min": 0.0, "max": 0.9, "mean": 0.6, "when": "optimizer == 'sgd'"},
    "beta": {"min": 1, "max": 3, "when": "optimizer == 'adam'"},
    "lr": {"distribution": "log_normal", "min": 1e-4, "max": 1e-1},
}
SPACE = Space.from_parameters(PARAMETERS, ["lr <= 0.05 or optimizer != 'none'", "beta * lr < 0.1"])
GRID = Space.from_parameters(
    {
        "a": {"values": ["x", "y"]},
        "b": {"min": 1, "max": 3, "when": "a == 'x'"},
        "c": {"values": [1, 2], "when": "b >= 2"},
        "d": {"values": [1, 2]},
    }
)


def names_of(params: Any) -> set[str]:
    """Which parameters there should be, said another way than by the code under test."""
    found = {"optimizer", "lr"}
    if params["optimizer"] == "sgd":
        found.add("momentum")
        if params["momentum"] > 0.5:
            found.add("nesterov")
    return found | ({"beta"} if params["optimizer"] == "adam" else set())


# -- the space


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=5, max_size=5))
def test_a_point_has_what_exists_and_comes_back(point: list[float]) -> None:
    params = SPACE.decode(point)
    assert set(params) == names_of(params)
    assert SPACE.contains(params)
    assert SPACE.decode(SPACE.encode(params)) == params
    assert json.loads(json.dumps(params)) == params
    assert is_complete(SPACE, params)
    extra = {**params, "beta": params.get("beta", 2)}
    assert configuration_key(SPACE, extra) == configuration_key(SPACE, params)
    assert SPACE.encode(extra) == SPACE.encode(params)
    assert SPACE.contains(extra) == (extra == params)
    [row] = Axes(SPACE).snap(np.array([point]))
    snapped = SPACE.decode(row.tolist())
    assert set(snapped) == names_of(snapped)
    assert row.tolist() == pytest.approx(SPACE.encode(snapped), abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32))
def test_draws_keep_conditions_and_constraints(seed: int) -> None:
    params = SPACE.sample(random.Random(seed))
    assert set(params) == names_of(params)
    assert params["lr"] <= 0.05 or params["optimizer"] != "none"
    assert params.get("beta", 0) * params["lr"] < 0.1, "it says nothing where there is no beta"


def test_a_constraint_on_what_does_not_exist_says_nothing() -> None:
    assert SPACE.allows({"optimizer": "sgd", "momentum": 0.1, "lr": 0.1})
    assert not SPACE.allows({"optimizer": "adam", "beta": 3, "lr": 0.1})
    assert set(SPACE.center()) == names_of(SPACE.center())


def test_a_space_goes_through_json_and_tells_what_changed() -> None:
    again = Space.from_json(json.loads(json.dumps(SPACE.to_json())))
    assert again == SPACE
    other = Space.from_parameters({**PARAMETERS, "beta": {"min": 1, "max": 3, "when": "optimizer != 'sgd'"}})
    assert "beta: when optimizer == 'adam' -> optimizer != 'sgd'" in SPACE.diff(other)
    assert "beta: when (none) -> optimizer == 'adam'" in Space.from_parameters(
        {**PARAMETERS, "beta": {"min": 1, "max": 3}}
    ).diff(SPACE)


def test_configurations_that_differ_in_nothing_that_exists_are_counted_once() -> None:
    every = {
        json.dumps(GRID.decode(list(point)))
        for point in itertools.product([0.2, 0.7], [0.1, 0.5, 0.9], [0.2, 0.7], [0.2, 0.7])
    }
    assert GRID.cardinality == len(every) == 12


@pytest.mark.parametrize(
    ("when", "sentence"),
    [
        ("beta > 1", "parameters.beta.when is 'beta > 1', which names beta itself"),
        ("opt == 1", "parameters.beta.when cannot be used: 'opt == 1' has opt, which is no parameter"),
        ("optimizer", "compare it with something"),
        ("nesterov == True", "goes round in a circle"),
        ("", "parameters.beta.when is empty"),
        (3, "parameters.beta.when is 3; it must be text"),
    ],
)
def test_a_condition_that_cannot_be_is_refused(when: Any, sentence: str) -> None:
    parameters = {**PARAMETERS, "beta": {"min": 1, "max": 3, "when": when}}
    if when == "nesterov == True":
        parameters["momentum"] = {"min": 0.0, "max": 1.0, "when": "beta > 1"}
    with pytest.raises(ValidationError) as caught:
        ProteinConfig(parameters=parameters)
    assert sentence in explain(caught.value)


def test_what_is_configured_comes_back() -> None:
    config = ProteinConfig(parameters=PARAMETERS)
    again = ProteinConfig.model_validate(json.loads(json.dumps(config.model_dump(mode="json"))))
    assert again.space == config.space
    assert again.parameters["beta"].when == "optimizer == 'adam'"


# -- the search


@pytest.mark.parametrize("method", ["random", "sobol", "genetic", "bayes", "optuna"])
def test_every_method_suggests_only_what_exists(method: str) -> None:
    optimizer = resolve(method)(SPACE, goal="maximize", settings={}, seed=0)
    done: list[Observation] = []
    for number in range(1, 15):
        [suggestion] = optimizer.suggest(History(tuple(done)), number)
        params = suggestion.params
        assert set(params) == names_of(params)
        assert SPACE.allows(params)
        assert params not in [o.params for o in done]
        done.append(Observation(number, params, float(number % 5), 1.0))


def test_grid_goes_through_each_once() -> None:
    optimizer = resolve("grid")(GRID, goal="maximize", settings={}, seed=0)
    found = optimizer.suggest(History(), 1, 99)
    assert len({json.dumps(s.params) for s in found}) == len(found) == 12
    with pytest.raises(SpaceExhaustedError):
        optimizer.suggest(History(tuple(Observation(k, s.params, 0.0, 1.0) for k, s in enumerate(found, 1))), 13)


def test_protein_learns_which_branch_is_good_and_where_in_it() -> None:
    space = Space.from_parameters(
        {
            "kind": {"values": ["a", "b"]},
            "x": {"min": 0.0, "max": 1.0, "when": "kind == 'a'"},
            "y": {"min": 0.0, "max": 1.0, "when": "kind == 'b'"},
        }
    )

    def score(params: Any) -> float:
        return 1 - (params["x"] - 0.8) ** 2 if params["kind"] == "a" else 0.5 - (params["y"] - 0.2) ** 2

    optimizer = resolve("bayes")(space, goal="maximize", settings={}, seed=0)
    done: list[Observation] = []
    for number in range(1, 17):
        [suggestion] = optimizer.suggest(History(tuple(done)), number)
        done.append(Observation(number, suggestion.params, score(suggestion.params), 1.0))
    assert max(o.score for o in done) > 0.9999


def test_features_of_configurations_without_a_parameter_do_not_depend_on_it() -> None:
    axes = Axes(SPACE)
    without = [SPACE.encode({"optimizer": "adam", "beta": 1, "lr": 0.01})]
    point = list(without[0])
    point[SPACE.axes.index("momentum")] = 0.1
    assert (axes.features(axes.snap(np.array([point]))) == axes.features(np.array(without))).all()
    there = np.array([SPACE.encode({"optimizer": "sgd", "momentum": 0.45, "lr": 0.01})])
    difference = (axes.features(there) - axes.features(np.array(without)))[0]
    column = int(np.searchsorted(axes.feature_axis, SPACE.axes.index("momentum")))
    assert difference[column + 1] == 0.5, "that there is one is a feature of its own"
    assert axes.numeric_features.sum() == 3


# -- commands, and configurations by hand


def argv(template: list[str], params: dict[str, Any]) -> list[str]:
    context = Context("s", 1, params, Stage.TRAIN, 1, 0, Path(), Path(), Path(), "score", searched=tuple(PARAMETERS))
    return render(template, context)


def test_an_argument_of_what_does_not_exist_is_left_out() -> None:
    template = ["train", "--lr", "{p:lr}", "--momentum", "{p:momentum}", "beta={p:beta}", "-v", "{overrides}"]
    assert argv(template, {"optimizer": "adam", "beta": 2, "lr": 0.1}) == [
        "train", "--lr", "0.1", "beta=2", "-v", "optimizer=adam", "beta=2", "lr=0.1",
    ]  # fmt: skip
    assert argv(template, {"optimizer": "sgd", "momentum": 0.5, "lr": 0.1})[:6] == [
        "train", "--lr", "0.1", "--momentum", "0.5", "-v",
    ]  # fmt: skip


def test_by_hand_what_does_not_exist_is_left_out_and_what_does_is_asked_for() -> None:
    base = {"optimizer": "sgd", "momentum": 0.1, "lr": 0.01}
    assert complete(SPACE, base, {"momentum": 0.2}, "trial_0001") == {**base, "momentum": 0.2}
    assert complete(SPACE, base, {"optimizer": "none"}, "trial_0001") == {"optimizer": "none", "lr": 0.01}
    with pytest.raises(UserError, match="beta is missing, and there is one when optimizer == 'adam'"):
        complete(SPACE, base, {"optimizer": "adam"}, "trial_0001")


def test_a_sweep_records_what_existed(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.recipe(
        protein_config={"method": "grid", "parameters": {
            "a": {"values": ["x", "y"]}, "b": {"values": [1, 2], "when": "a == 'x'"},
        }},
        max_trials=9,
        train_command=["{python}", "-S", "-c", "import os, sys; print(sys.argv[1:]); "
                       "open(os.environ['SWEEPTUI_REPORT'], 'a').write('{{\"score\": 1}}')", "{args}"],
    )  # fmt: skip
    out = project.run("recipe.yaml", "--sweep-name", "s").stdout
    assert [trial["params"] for trial in project.json("show", "s")["trials"]] == [
        {"a": "x", "b": 1}, {"a": "x", "b": 2}, {"a": "y"},
    ]  # fmt: skip
    assert "['--a=y']" in out
    params = tmp_path / "train_dir/sweeps/s/trials/trial_0003/params.json"
    assert json.loads(params.read_text()) == {"a": "y"}
