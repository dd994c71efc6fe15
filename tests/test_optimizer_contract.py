"""What every optimizer must do, whatever it is: the contract of `sweeptui.core.optimizers.base`."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from sweeptui.core.distributions import Constant, Logit, PowerOfTwo
from sweeptui.core.optimizers.base import FailedTrial, History, PendingTrial, SpaceExhaustedError, Suggestion
from sweeptui.core.optimizers.registry import resolve
from sweeptui.core.space import Choice, Integer, LogUniform, Space, Uniform
from sweeptui.core.trial import Observation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sweeptui.core.optimizers.base import Optimizer

METHODS = ["random", "bayes"]
SMALL = {"num_random_samples": 2, "random_suggestions": 128, "suggestions_per_pareto": 32}

CONSTANT = Constant("adam")

SPACES: dict[str, dict[str, Any]] = {
    "one axis": {"lr": LogUniform(1e-5, 1e-1)},
    "mixed": {
        "lr": LogUniform(1e-5, 1e-1),
        "gamma": Logit(0.8, 0.9999),
        "hidden": PowerOfTwo(24, 600),
        "layers": Integer(1, 4),
        "activation": Choice(["relu", "tanh", None, 3]),
        "optimizer": CONSTANT,
    },
    "all categorical": {"a": Choice(["x", "y", "z"]), "b": Choice([True, False]), "c": Choice([1, 2, 3, 4, 5])},
    "integers": {"n": Integer(-50, 1000), "m": Integer(0, 7)},
}


def space_of(name: str) -> Space:
    return Space.from_parameters(SPACES[name])


def optimizer(
    method: str, space: Space, goal: str = "maximize", seed: int = 0, settings: Mapping[str, Any] | None = None
) -> Optimizer:
    return resolve(method)(space, goal=goal, settings=SMALL if settings is None else settings, seed=seed)


def observations(
    space: Space, count: int, score: Callable[[int], float] = lambda k: float(k % 5), cost: float = 2.0
) -> list[Observation]:
    rng = random.Random(7)
    return [Observation(k, space.sample(rng), score(k), cost * (1 + k % 3)) for k in range(1, count + 1)]


def check_suggestion(space: Space, suggestion: Suggestion) -> None:
    assert set(suggestion.params) == set(space.names)
    assert space.contains(suggestion.params)
    assert json.loads(json.dumps(suggestion.params, allow_nan=False)) == suggestion.params
    assert json.loads(json.dumps(suggestion.provenance, allow_nan=False)) == suggestion.provenance
    assert suggestion.provenance["method"] in {"center", "sobol", "protein", "resample", "random"}


def as_json(suggestions: list[Suggestion]) -> str:
    return json.dumps([[s.params, s.provenance] for s in suggestions])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", SPACES)
def test_from_the_first_trial_on_suggestions_are_json_inside_the_space(method: str, name: str) -> None:
    space = space_of(name)
    chooser = optimizer(method, space)
    done: list[Observation] = []
    for number in range(1, 7):
        [suggestion] = chooser.suggest(History(tuple(done)), number)
        check_suggestion(space, suggestion)
        assert "fallback" not in suggestion.provenance
        done.append(Observation(number, suggestion.params, float(number % 3), 1.0 + number))


@pytest.mark.parametrize("method", METHODS)
def test_a_suggestion_depends_on_nothing_but_its_arguments(method: str) -> None:
    space = space_of("mixed")
    history = History(
        tuple(observations(space, 10)),
        (FailedTrial(11, space.sample(random.Random(1)), "crashed"),),
        (PendingTrial(12, space.sample(random.Random(2))),),
    )
    used = optimizer(method, space)
    used.suggest(History(), 1, 3)
    used.suggest(history, 40)
    random.seed(1)
    torch.manual_seed(1)
    first = as_json(used.suggest(history, 13, 2))
    random.seed(2)
    torch.manual_seed(2)
    states = random.getstate(), torch.random.get_rng_state(), np.random.get_state()[1]
    assert as_json(optimizer(method, Space.from_json(space.to_json())).suggest(history, 13, 2)) == first
    assert random.getstate() == states[0]
    assert torch.equal(torch.random.get_rng_state(), states[1])
    assert (np.random.get_state()[1] == states[2]).all()
    assert as_json(optimizer(method, space, seed=1).suggest(history, 13, 2)) != first


@pytest.mark.parametrize("method", METHODS)
def test_the_order_in_which_results_came_in_does_not_matter(method: str) -> None:
    space = space_of("mixed")
    done = observations(space, 12)
    failed = [FailedTrial(k, space.sample(random.Random(k)), "crashed") for k in range(13, 17)]
    pending = [PendingTrial(k, space.sample(random.Random(k))) for k in range(17, 20)]
    forward = History(tuple(done), tuple(failed), tuple(pending))
    backward = History(tuple(done[::-1]), tuple(failed[::-1]), tuple(pending[::-1]))
    chooser = optimizer(method, space)
    assert as_json(chooser.suggest(forward, 20)) == as_json(chooser.suggest(backward, 20))


@pytest.mark.parametrize("method", METHODS)
def test_two_at_once_are_the_same_as_one_after_the_other(method: str) -> None:
    space = space_of("mixed")
    done = tuple(observations(space, 8))
    chooser = optimizer(method, space)
    first, second = chooser.suggest(History(done), 9, 2)
    [again] = chooser.suggest(History(done, (), (PendingTrial(9, first.params),)), 10)
    assert again.params == second.params


HARD_DATA: dict[str, Callable[[Space], list[Observation]]] = {
    "one": lambda space: observations(space, 1),
    "two": lambda space: observations(space, 2),
    "constant": lambda space: observations(space, 9, score=lambda _: 3.0),
    "zero": lambda space: observations(space, 9, score=lambda _: 0.0),
    "duplicates": lambda space: [Observation(k, space.center(), float(k), 1.0) for k in range(1, 10)],
    "equal duplicates": lambda space: [Observation(k, space.center(), 1.0, 1.0) for k in range(1, 10)],
    "huge": lambda space: observations(space, 9, score=lambda k: (-1.0) ** k * 1.7e308),
    "one huge": lambda space: observations(space, 9, score=lambda k: 1.7e308 if k == 4 else float(k)),
    "one terrible": lambda space: observations(space, 9, score=lambda k: -1.7e308 if k == 4 else float(k)),
    "tiny": lambda space: observations(space, 9, score=lambda k: k * 5e-324),
    "tiny differences": lambda space: observations(space, 9, score=lambda k: 1e12 + k * 1e-4),
    "huge costs": lambda space: observations(space, 9, cost=1e300),
    "tiny costs": lambda space: observations(space, 9, cost=1e-300),
    "zero costs": lambda space: observations(space, 9, cost=0.0),
    "negative costs": lambda space: observations(space, 9, cost=-1.0),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("data", HARD_DATA)
def test_no_data_is_too_poor_for_a_suggestion(method: str, data: str) -> None:
    for name in ("one axis", "mixed"):
        space = space_of(name)
        suggestions = optimizer(method, space).suggest(History(tuple(HARD_DATA[data](space))), 10, 2)
        assert len(suggestions) == 2
        for suggestion in suggestions:
            check_suggestion(space, suggestion)


@pytest.mark.parametrize("method", METHODS)
def test_when_everything_fails_it_goes_on_elsewhere(method: str) -> None:
    space = space_of("mixed")
    chooser = optimizer(method, space)
    failed: list[FailedTrial] = []
    for number in range(1, 12):
        [suggestion] = chooser.suggest(History(failures=tuple(failed)), number)
        assert suggestion.params not in [f.params for f in failed]
        failed.append(FailedTrial(number, suggestion.params, "crashed"))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", SPACES)
def test_a_batch_repeats_neither_itself_nor_what_is_tried_or_pending(method: str, name: str) -> None:
    space = space_of(name)
    done = {json.dumps(o.params): o for o in observations(space, 6)}
    pending = [s.params for s in optimizer(method, space).suggest(History(tuple(done.values())), 7, 4)]
    history = History(tuple(done.values()), (), tuple(PendingTrial(7 + i, p) for i, p in enumerate(pending)))
    batch = [s.params for s in optimizer(method, space).suggest(history, 11, 8)]
    keys = [json.dumps(params) for params in [*(o.params for o in done.values()), *pending, *batch]]
    assert len(batch) == 8
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("method", METHODS)
def test_minimising_f_is_maximising_minus_f(method: str) -> None:
    space = space_of("mixed")
    done = observations(space, 12, score=lambda k: (k * 7919 % 31) / 3)
    flipped = [Observation(o.number, o.params, -o.score, o.cost) for o in done]
    low = optimizer(method, space, goal="minimize").suggest(History(tuple(done)), 13, 3)
    high = optimizer(method, space, goal="maximize").suggest(History(tuple(flipped)), 13, 3)
    assert [s.params for s in low] == [s.params for s in high]
    for one, other in zip(low, high, strict=True):
        if "score_mean" in one.provenance:
            assert one.provenance["score_mean"] == -other.provenance["score_mean"]
            assert one.provenance["score_std"] == other.provenance["score_std"]


@pytest.mark.parametrize("method", METHODS)
def test_a_finite_space_is_used_up_and_then_it_says_so(method: str) -> None:
    space = space_of("all categorical")
    assert space.cardinality == 30
    chooser = optimizer(method, space)
    done = [Observation(k, s.params, float(k % 3), 1.0) for k, s in enumerate(chooser.suggest(History(), 1, 22), 1)]
    for number in range(23, 29):
        [suggestion] = chooser.suggest(History(tuple(done)), number)
        done.append(Observation(number, suggestion.params, float(number % 4), 1.0))
    last = chooser.suggest(History(tuple(done)), 29, 8)
    assert len(last) == 2, "what is left, where less is left than was asked for"
    assert len({json.dumps(dict(item.params)) for item in (*done, *last)}) == 30
    done += [Observation(29 + i, s.params, 0.0, 1.0) for i, s in enumerate(last)]
    with pytest.raises(SpaceExhaustedError, match="all 30 configurations"):
        chooser.suggest(History(tuple(done)), 31)


@pytest.mark.parametrize("method", METHODS)
def test_a_space_of_constants_has_one_trial(method: str) -> None:
    space = Space.from_parameters({"optimizer": CONSTANT})
    chooser = optimizer(method, space)
    [only] = chooser.suggest(History(), 1)
    assert only.params == {"optimizer": "adam"}
    with pytest.raises(SpaceExhaustedError):
        chooser.suggest(History((Observation(1, only.params, 1.0, 1.0),)), 2)


@pytest.mark.parametrize("method", METHODS)
def test_older_trials_outside_a_changed_space_are_left_out(method: str) -> None:
    space = Space.from_parameters({"lr": LogUniform(1e-4, 1e-2), "layers": Integer(1, 2)})
    outside = [
        Observation(1, {"lr": 0.5, "layers": 1}, 9.0, 1.0),
        Observation(2, {"lr": 1e-3}, 9.0, 1.0),
        Observation(3, {"lr": 1e-3, "layers": 7}, 9.0, 1.0),
        Observation(4, {"lr": "high", "layers": 1}, 9.0, 1.0),
    ]
    inside = observations(space, 6)
    moved = [Observation(o.number + 4, o.params, o.score, o.cost) for o in inside]
    with_them = optimizer(method, space).suggest(History((*outside, *moved)), 11)
    assert as_json(with_them) == as_json(optimizer(method, space).suggest(History(tuple(moved)), 11))


def test_uniform_axes_reach_their_ends() -> None:
    space = Space.from_parameters({"x": Uniform(0.0, 1.0)})
    done = [Observation(k, {"x": k / 10}, k / 10, 1.0) for k in range(1, 9)]
    [suggestion] = optimizer("bayes", space).suggest(History(tuple(done)), 9)
    assert suggestion.params["x"] == 1.0
