"""What Protein makes of trials that were stopped, of learning curves, and of how sure it says it is."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest
from test_protein import SQUARE, _slope, bump, one, protein

from sweeptui.core.config import ProteinSettings
from sweeptui.core.optimizers.base import History
from sweeptui.core.optimizers.protein import centre, gp
from sweeptui.core.optimizers.protein.axes import Axes
from sweeptui.core.optimizers.protein.fidelity import FOREIGN
from sweeptui.core.optimizers.protein.turn import ScoreTurn
from sweeptui.core.trial import Observation


def unfinished(k: int, params: Any, share: float, rise: float) -> Observation:
    """A trial that was stopped: `rise` below its final score at the beginning, at the cost of what was done."""
    return Observation(k, params, bump(params) - rise * (1 - share**0.5), share, share)


def test_stopped_trials_are_learnt_from_and_are_no_final_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(5)
    places = sorted((SQUARE.sample(rng) for _ in range(24)), key=bump, reverse=True)
    stopped = [unfinished(k, params, (0.1, 0.3)[k % 2], 4.0) for k, params in enumerate(places[:20], 1)]
    ended = [Observation(20 + k, params, bump(params), 1.0) for k, params in enumerate(places[20:], 1)]
    believed = one(protein(), History((*stopped, *ended)), 41)
    assert bump(believed.params) > -5e-3, "which is a little nearer to the centre"
    monkeypatch.setattr(centre, "CENTRE_WEIGHT", 0.0)
    found = one(protein(), History((*stopped, *ended)), 41)
    blind = one(protein(), History(tuple(ended)), 41)
    taken_for_final = one(
        protein(), History((*(Observation(o.number, o.params, o.score, o.cost) for o in stopped), *ended)), 41
    )
    best = max(bump(params) for params in places[20:])
    assert best < -0.2
    assert bump(found.params) > -1e-3
    assert max(bump(blind.params), bump(taken_for_final.params)) < -0.05
    predicted, std = found.provenance["score_mean"], found.provenance["score_std"]
    assert abs(predicted - bump(found.params)) < 2 * std + 0.1
    assert found.provenance["cost_mean"] == pytest.approx(1.0, rel=0.05), "of a complete training"


def test_points_of_a_learning_curve_are_no_trials_of_their_own() -> None:
    rng = random.Random(6)
    places = [SQUARE.sample(rng) for _ in range(7)]
    ended = [Observation(k, params, bump(params), 1.0) for k, params in enumerate(places, 1)]
    points = [unfinished(k, params, share, 1.0) for k, params in enumerate(places, 1) for share in (0.25, 0.5)]
    assert one(protein(), History(tuple(ended[:4]), curves=tuple(points[:8])), 5).provenance == {"method": "sobol"}
    found = one(protein(), History(tuple(ended), curves=tuple(points)), 8)
    assert found.provenance["n_observations"] == 7
    assert found == one(protein(), History(tuple(ended[::-1]), curves=tuple(points[::-1])), 8)


def test_learning_curves_tell_how_far_a_stopped_trial_would_have_come() -> None:
    """Trials learn at different speeds and were stopped early; how a curve goes on only the few complete ones show."""

    def at(params: Any, share: float) -> float:
        return bump(params) - (1 + 2 * params["x"]) * (1 - share**0.3)

    wrong: dict[bool, float] = {False: 0.0, True: 0.0}
    for seed in range(2):
        rng = random.Random(seed)
        places = [SQUARE.sample(rng) for _ in range(20)]
        seen = []
        for k, params in enumerate(places, 1):
            share = 1.0 if k > 16 else (1 / 9, 1 / 3)[k % 3 == 0]
            seen.append(Observation(k, params, at(params, share) + rng.gauss(0, 0.005), share, share))
        points = [
            Observation(o.number, o.params, at(o.params, share) + rng.gauss(0, 0.005), share, share)
            for o in seen
            for share in (1 / 8, 1 / 3)
            if share < 0.8 * o.fidelity
        ]
        for known in (False, True):
            turn = ScoreTurn(
                SQUARE, Axes(SQUARE), ProteinSettings(), [1.0], 0, History(tuple(seen), curves=tuple(points * known))
            )
            surrogate = turn._fitted()
            for _ in range(25):
                params = SQUARE.sample(random.Random(rng.random()))
                wrong[known] += abs(surrogate.expected(np.array(SQUARE.encode(params)))[0] - bump(params))
    assert wrong[True] < 0.9 * wrong[False]


@pytest.mark.parametrize("kernel", [gp.Matern, gp.SquaredExponential])
def test_gradients_with_unfinished_and_foreign_trials(kernel: gp.Kernel) -> None:
    rng = np.random.default_rng(4)
    x, y = rng.random((14, 3)), rng.normal(size=14)
    shares = np.array([1.0] * 5 + [0.1, 0.3, 0.5, 0.9] + [FOREIGN] * 5)
    posterior = gp._Posterior(x, y, np.array([0, 1, 2]), kernel, shares)
    at = np.concatenate([[-0.5, 0.3, 0.1, -3.0], np.log([0.4, 2.0, 0.6, 0.2, 0.7])])
    assert posterior(at)[1] == pytest.approx(_slope(lambda v: posterior(v)[0], at), rel=1e-4, abs=1e-5)


def test_intervals_hold_what_they_say() -> None:
    """After few trials too: a model that was chosen on seven points is not to be believed to the third digit."""
    inside = []
    for seed in range(4):
        chooser = protein(seed=seed)
        seen: list[Observation] = []
        for number in range(1, 15):
            suggestion = one(chooser, History(tuple(seen)), number)
            x, y = suggestion.params["x"], suggestion.params["y"]
            score = math.exp(-40 * ((x - 0.7) ** 2 + (y - 0.2) ** 2)) + 0.1 * math.sin(25 * x)
            if "score_std" in suggestion.provenance:
                inside.append(
                    abs(score - suggestion.provenance["score_mean"]) < 1.645 * suggestion.provenance["score_std"]
                )
            seen.append(Observation(number, suggestion.params, score, 1.0))
    assert len(inside) == 4 * 8
    assert sum(inside) / len(inside) > 0.6
