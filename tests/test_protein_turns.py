"""Where a trial looks, and through which model."""

from __future__ import annotations

import random

import numpy as np
import pytest
from test_protein import SQUARE, history, one, protein

from sweeptui.core.optimizers.base import History, Suggestion
from sweeptui.core.optimizers.protein import turn
from sweeptui.core.optimizers.protein.axes import Axes
from sweeptui.core.optimizers.protein.focus import TURNS, WIDEST, region_factor
from sweeptui.core.trial import Observation


def turned(number: int, count: int = 24) -> Suggestion:
    return one(protein(), history(count), number)


def test_trials_take_turns_in_where_they_look() -> None:
    assert [turned(number).provenance["focus"] for number in (30, 31, 32)] == [focus.value for focus in TURNS]
    assert turned(21, count=8).provenance["focus"] == "all shapes", "few trials are no search that could stall"


def test_a_region_around_the_best_bounds_its_turn() -> None:
    seen = history(24)
    best = max(seen.observations, key=lambda o: o.score)
    found = one(protein(), seen, 30)
    away = np.abs(np.array(SQUARE.encode(found.params)) - np.array(SQUARE.encode(best.params)))
    reach = Axes(SQUARE).radius * WIDEST
    assert (away <= reach + 1e-9).all()


def test_the_region_grows_with_success_and_shrinks_without() -> None:
    axes = Axes(SQUARE)
    step = axes.radius / 8
    better = np.array([0.2 + k * step for k in range(6)])
    assert region_factor(better, np.arange(6.0), axes, 1.0) == WIDEST
    worse = np.concatenate([better[:1], 0.2 + np.outer(np.linspace(0.1, 0.9, 9), step)])
    assert region_factor(worse, -np.arange(10.0), axes, 1.0) == pytest.approx(1 / 8)
    far = np.concatenate([better[:1], np.full((9, 2), 0.95)])
    assert region_factor(far, -np.arange(10.0), axes, 1.0) == 1.0, "what lay elsewhere says nothing of the region"


def test_a_region_that_is_over_the_cost_limit_is_left() -> None:
    rng = random.Random(3)
    places = [SQUARE.sample(rng) for _ in range(24)]
    rows = [Observation(k, params, params["x"], 1 + 1000 * params["x"]) for k, params in enumerate(places, 1)]
    assert max(o.score for o in rows) > 0.8
    found = one(protein(max_suggestion_cost=300.0), History(tuple(rows)), 30)
    assert found.provenance["focus"] == "all shapes"
    assert found.params["x"] < 0.35


def test_where_scores_are_rough_the_next_trial_is_not_beside_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(5)
    places = [SQUARE.sample(rng) for _ in range(12)] + [{"x": 0.6 + k / 1000, "y": 0.6} for k in range(12)]
    rough = [-3 * ((p["x"] - 0.6) ** 2 + (p["y"] - 0.6) ** 2) + rng.choice((-0.2, 0.0, 0.2)) for p in places]
    pairs = zip(places, rough, strict=True)
    rows = History(tuple(Observation(number, *pair, 1.0) for number, pair in enumerate(pairs, 1)))
    tried = np.array([SQUARE.encode(params) for params in places])

    def nearest() -> float:
        found = [SQUARE.encode(one(protein(), rows, number).params) for number in range(31, 37)]
        return float(np.median([np.abs(tried - place).max(axis=1).min() for place in found]))

    wary = nearest()
    monkeypatch.setattr(turn, "NOISE_WEIGHT", 0.0)
    assert wary > 2 * nearest()
