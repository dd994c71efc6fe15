"""Conditions between parameters: read safely, and satisfied by every suggestion."""

from __future__ import annotations

import json
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeptui import cli
from sweeptui.core.config import ProteinConfig, SweepTool
from sweeptui.core.constraints import Constraint
from sweeptui.core.errors import UserError
from sweeptui.core.handmade import complete
from sweeptui.core.optimizers.base import History, SpaceExhaustedError
from sweeptui.core.optimizers.registry import resolve
from sweeptui.core.space import Choice, Integer, Space, Uniform
from sweeptui.core.trial import Observation

NAMES = ["trainer.batch_size", "trainer.minibatch_size", "low", "high", "opt"]


@pytest.mark.parametrize(
    ("text", "params", "holds"),
    [
        ("low < high", {"low": 1, "high": 2}, True),
        ("low < high", {"low": 2, "high": 2}, False),
        ("batch_size % minibatch_size == 0", {"trainer.batch_size": 96, "trainer.minibatch_size": 32}, True),
        ("trainer.batch_size % minibatch_size == 0", {"trainer.batch_size": 96, "trainer.minibatch_size": 64}, False),
        ("0 < low < high <= 10", {"low": 1, "high": 10}, True),
        ("not low > high or opt == 'adam'", {"low": 5, "high": 1, "opt": "adam"}, True),
        ("opt in ['adam', None]", {"opt": None}, True),
        ("opt not in ('adam', 'sgd')", {"opt": "sgd"}, False),
        ("max(low, high) ** 2 - abs(-low) // 1 <= 3 * high / 1.5", {"low": 1, "high": 2}, True),
        ("high / low > 1", {"low": 0, "high": 2}, False),
        ("low < high", {"low": None, "high": 2}, False),
        ("low ** high > 0", {"low": 9**9, "high": 9**9}, False),
        ("opt * 3 == 'aaa'", {"opt": "a"}, False),
    ],
)  # fmt: skip
def test_what_holds(text, params, holds):
    assert Constraint(text, NAMES).holds(params) is holds


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("low <", "'low <' is no condition"),
        ("", "'' is no condition"),
        ("low", "compare it with something"),
        ("low + high", "compare it with something"),
        ("1 < 2", "names no parameter"),
        ("lowe < high", "lowe, which is no parameter; did you mean 'low'?"),
        ("__import__('os').system('true') == low", "cannot have"),
        ("(lambda: low)() == 1", "cannot have"),
        ("[x for x in low] == 1", "cannot have"),
        ("low.__class__ == 1", "low.__class__, which is no parameter"),
        ("f'{low}' == '1'", "cannot have"),
        ("low if high else 1 == 1", "cannot have"),
        ("max(low, key=abs) == 1", "cannot have"),
        ("(" * 5000 + "low < 1" + ")" * 5000, "is no condition"),
    ],
)
def test_what_is_refused(text, sentence):
    with pytest.raises(UserError) as caught:
        Constraint(text, NAMES)
    assert sentence in str(caught.value)


def test_a_name_that_two_parameters_end_with():
    with pytest.raises(UserError, match=r"which may be a\.size or b\.size; write one of them"):
        Constraint("size < 3", ["a.size", "b.size"])


@given(st.text(max_size=60))
def test_no_text_does_anything_but_hold_or_be_refused(text):
    try:
        constraint = Constraint(text, ["a", "b"])
    except UserError:
        return
    began = time.process_time()
    assert constraint.holds({"a": 10**300, "b": 7.5}) in (True, False)
    assert time.process_time() - began < 5


SPACE = Space(
    {"batch": Integer(1, 64), "mini": Integer(1, 64), "low": Uniform(0.0, 1.0), "high": Uniform(0.0, 1.0)},
    ["batch % mini == 0", "low < high"],
)


@pytest.mark.parametrize("method", ["random", "sobol", "genetic", "bayes", "optuna"])
def test_every_suggestion_satisfies_them(method):
    chooser = resolve(method)(SPACE, goal="maximize", settings={}, seed=0)
    done = []
    for number in range(1, 13, 2):
        for suggestion in chooser.suggest(History(tuple(done)), number, 2):
            assert SPACE.allows(suggestion.params), (method, suggestion)
            score = suggestion.params["batch"] * suggestion.params["high"]
            done.append(Observation(number + len(done) % 2, suggestion.params, score, 1.0))
    assert len(done) == 12


def test_a_grid_leaves_out_what_they_forbid_and_ends():
    space = Space({"a": Integer(1, 4), "b": Integer(1, 4)}, ["a % b == 0"])
    chooser = resolve("grid")(space, goal="maximize", settings={}, seed=0)
    found = [tuple(s.params.values()) for s in chooser.suggest(History(), 1, 99)]
    assert found == [(a, b) for a in range(1, 5) for b in range(1, 5) if a % b == 0]
    done = History(tuple(Observation(k, {"a": a, "b": b}, 1.0, 1.0) for k, (a, b) in enumerate(found, 1)))
    for method in ("grid", "random"):
        with pytest.raises(SpaceExhaustedError):
            resolve(method)(space, goal="maximize", settings={}, seed=0).suggest(done, 99)


def test_the_search_starts_as_near_to_its_center_as_they_allow():
    space = Space({"a": Uniform(0.0, 1.0), "b": Uniform(0.0, 1.0)}, ["a < b"])
    center = space.center()
    assert space.allows(center)
    assert abs(center["a"] - 0.5) + abs(center["b"] - 0.5) < 0.2
    assert space.center() == center
    assert Space(space.distributions).center() == {"a": 0.5, "b": 0.5}


def test_they_travel_with_the_space():
    again = Space.from_json(SPACE.to_json())
    assert again == SPACE
    assert [c.text for c in again.constraints] == ["batch % mini == 0", "low < high"]
    assert "the constraint 'low < high' was removed" in SPACE.diff(Space(SPACE.distributions, ["batch % mini == 0"]))


def protein(**fields):
    parameters = {"a": {"min": 0.0, "max": 1.0}, "b": {"min": 0.0, "max": 1.0}}
    return ProteinConfig(parameters=parameters, **fields)


def test_a_recipe_declares_them_and_old_trials_mean_the_same():
    bound, free = (SweepTool(protein_config=protein(constraints=c)) for c in (["a < b"], []))
    assert SweepTool.from_json(bound.to_json()).space.constraints == bound.space.constraints
    assert bound.search_signature() == free.search_signature()


@pytest.mark.parametrize(
    ("constraint", "sentence"),
    [
        (
            "a < c",
            "'a < c' has c, which is no parameter; choose one of a, b",
        ),
        (
            "a > 2",
            "none of 20,000 random configurations satisfies the constraints",
        ),
    ],
)
def test_a_mistake_is_one_sentence(constraint, sentence):
    tool = {"protein_config": {"parameters": {"a": {"min": 0.0, "max": 1.0}, "b": {"values": [1]}},
                               "constraints": [constraint]}}  # fmt: skip
    with pytest.raises(UserError) as caught:
        SweepTool.from_json(tool)
    assert str(caught.value) == f"protein_config.constraints cannot be used: {sentence}"


def test_a_trial_made_by_hand_has_to_satisfy_them():
    with pytest.raises(UserError, match=r"low < high does not hold for low=0.5, high=0.25; change one of them"):
        complete(SPACE, SPACE.center(), {"low": 0.5, "high": 0.25}, "the center")


def test_a_sweep_with_constraints_runs(tmp_path, capsys):
    (tmp_path / "recipe.yaml").write_text(
        'train_command: >-\n  {python} -c "import sweeptui, sys; sweeptui.report(score=float(sys.argv[1]))" {p:a}\n'
        "protein_config:\n  parameters:\n    a: {min: 0.0, max: 1.0}\n    b: {min: 0.0, max: 1.0}\n"
        "  constraints: [a + 0.5 < b]\n"
    )
    recipe, root = str(tmp_path / "recipe.yaml"), str(tmp_path)
    options = ["--max-trials", "5", "--method", "random", "--sweep-name", "bound"]
    code = cli.main([recipe, "--headless", "--root", root, *options])
    assert code == 0, capsys.readouterr()
    capsys.readouterr()
    assert cli.main(["show", "bound", "--root", str(tmp_path), "--json"]) == 0
    trials = json.loads(capsys.readouterr().out)["trials"]
    assert len(trials) == 5
    assert all(trial["params"]["a"] + 0.5 < trial["params"]["b"] for trial in trials)


def test_rejection_finds_rare_configurations():
    rare = Space({f"c{k}": Choice([0, 1, 2, 3]) for k in range(5)}, ["c0 + c1 + c2 + c3 + c4 == 15"])
    assert set(rare.sample(random.Random(1)).values()) == {3}
