from __future__ import annotations

import json

import pytest

from sweeptui.core.errors import UserError
from sweeptui.core.optimizers import registry
from sweeptui.core.optimizers.base import History, PendingTrial
from sweeptui.core.optimizers.random import RandomOptimizer
from sweeptui.core.optimizers.seeding import stream_seed
from sweeptui.core.search import ParameterConfig
from sweeptui.core.space import Choice, Integer, LogUniform, Space, Uniform
from sweeptui.core.trial import Observation

SPACE = Space.from_parameters({"lr": LogUniform(1e-5, 1e-1), "x": Uniform(-1.0, 1.0)})


def test_trial_k_gets_the_same_draw_whatever_happened_before() -> None:
    chooser = RandomOptimizer(SPACE, goal="maximize", settings={}, seed=3)
    batch = chooser.suggest(History(), 1, 10)
    done = tuple(Observation(k, s.params, 1.0, 1.0) for k, s in enumerate(batch[:6], 1))
    assert chooser.suggest(History(done), 7, 4) == batch[6:]
    assert all(s.provenance == {"method": "random"} for s in batch)


def test_draws_fill_the_unit_cube() -> None:
    chooser = RandomOptimizer(SPACE, goal="maximize", settings={}, seed=0)
    rows = [SPACE.encode(s.params) for s in chooser.suggest(History(), 1, 800)]
    for axis in range(2):
        quarters = [sum(q <= 4 * row[axis] < q + 1 for row in rows) for q in range(4)]
        assert min(quarters) > 150


def test_a_repeat_in_a_finite_space_is_drawn_again_and_only_then() -> None:
    space = Space.from_parameters({"a": Choice(["x", "y"]), "n": Integer(1, 3)})
    chooser = RandomOptimizer(space, goal="maximize", settings={}, seed=0)
    [free] = chooser.suggest(History(), 5)
    taken = History(pending=(PendingTrial(4, free.params),))
    [other] = chooser.suggest(taken, 5)
    assert other.params != free.params
    assert chooser.suggest(taken, 5) == [other]
    assert len({json.dumps(dict(s.params)) for s in chooser.suggest(History(), 1, 6)}) == 6


def test_a_stream_has_the_same_seed_everywhere() -> None:
    assert stream_seed(0, 1, "random") == 11618431860481965384
    assert stream_seed(0, 11, "a") != stream_seed(0, 1, "1a")


@pytest.mark.parametrize(
    ("method", "sentence"),
    [
        ("bays", "did you mean 'bayes'"),
        ("zzz", "choose one of ax, bayes, genetic"),
        ("ax:GP", "has no variants"),
        ("optuna:", "names no variant"),
    ],
)
def test_an_unknown_method_is_refused_in_one_sentence(method: str, sentence: str) -> None:
    for ask in (registry.resolve, registry.needs_process, registry.check):
        with pytest.raises(UserError, match=sentence):
            ask(method)


def test_only_the_lightest_run_in_the_sweeps_own_process() -> None:
    assert {name for name in registry.methods() if not registry.needs_process(name)} == {"grid", "random"}


def test_where_nothing_is_searched_it_is_repeated() -> None:
    space = Space.from_parameters({"x": ParameterConfig(distribution="constant", value=0.5)})
    chooser = RandomOptimizer(space, goal="maximize", settings={}, seed=0)
    tried = History((Observation(1, {"x": 0.5}, 1.0, 1.0),))
    assert [each.params for each in chooser.suggest(tried, 2, 3)] == [{"x": 0.5}] * 3
