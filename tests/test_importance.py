"""Importance against the library called directly, and what is said of it where the data cannot tell."""

from __future__ import annotations

import math
import random
import warnings
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from sweeptui.core.analysis import importance as module
from sweeptui.core.analysis.belief import Belief
from sweeptui.core.analysis.evidence import Evidence, TooFewTrialsError
from sweeptui.core.analysis.importance import Importance, importance
from sweeptui.core.analysis.interactions import interactions
from sweeptui.core.errors import UserError
from sweeptui.core.optimizers.base import History
from sweeptui.core.optimizers.protein.optimizer import ProteinOptimizer
from sweeptui.core.space import Space
from sweeptui.core.trial import Observation

SPACE = Space.from_parameters(
    {
        "width": {"min": 0.0, "max": 1.0},
        "activation": {"values": ["relu", "tanh", "gelu"]},
        "layers": {"min": 1, "max": 8},
        "dropout": {"min": 0.0, "max": 1.0},
    }
)
THEIRS = {
    "width": FloatDistribution(0.0, 1.0),
    "activation": CategoricalDistribution([0, 1, 2]),
    "layers": IntDistribution(1, 8),
    "dropout": FloatDistribution(0.0, 1.0),
}


def observed(space: Space, score: Any, count: int, seed: int = 0) -> list[Observation]:
    rng = random.Random(seed)
    rows = (space.sample(rng) for _ in range(count))
    return [Observation(number, params, score(params, rng), 1.0) for number, params in enumerate(rows, 1)]


def by_width(params: Any, rng: random.Random) -> float:
    bonus = {"relu": 0.0, "tanh": 0.4, "gelu": 0.0}[params["activation"]]
    return float(3 * params["width"] + bonus + rng.gauss(0, 0.05))


def evidence(observations: list[Observation], goal: str = "maximize") -> Evidence:
    return Evidence("score", goal, observations)


@pytest.fixture(autouse=True)
def few_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESAMPLES", 4)


def shares(found: Importance) -> dict[str, float]:
    return {row.parameter: row.mean for row in found.rows}


@pytest.mark.parametrize("goal", ["maximize", "minimize"])
@pytest.mark.parametrize("evaluator", ["fanova", "mdi", "ped-anova"])
def test_shares_are_what_the_library_says_of_the_same_trials(evaluator: str, goal: str) -> None:
    observations = observed(SPACE, by_width, 24)
    study = optuna.create_study(direction=goal)
    labels = ["relu", "tanh", "gelu"]
    for each in observations:
        params = {**each.params, "activation": labels.index(each.params["activation"])}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=THEIRS, value=each.score))
    makers = {
        "fanova": lambda: optuna.importance.FanovaImportanceEvaluator(seed=3),
        "mdi": lambda: optuna.importance.MeanDecreaseImpurityImportanceEvaluator(seed=3),
        "ped-anova": optuna.importance.PedAnovaImportanceEvaluator,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = optuna.importance.get_param_importances(study, evaluator=makers[evaluator]())
    found = importance(SPACE, evidence(observations, goal), evaluator, seed=3)
    assert shares(found) == pytest.approx({name: float(value) for name, value in expected.items()})
    assert sum(shares(found).values()) == pytest.approx(1)
    assert [row.mean for row in found.rows] == sorted((row.mean for row in found.rows), reverse=True)
    assert all(row.low <= row.mean <= row.high for row in found.rows)


def test_lengthscale_shares_are_those_of_the_models_that_suggest() -> None:
    observations = observed(SPACE, by_width, 30)
    belief = Belief(SPACE, evidence(observations))
    lengths = belief.lengthscales
    assert min(lengths, key=lengths.__getitem__) == "width"
    found = importance(SPACE, evidence(observations), "protein")
    assert shares(found)["width"] == pytest.approx(
        dict(zip(SPACE.axes, belief.relevance_at_mode(), strict=True))["width"]
    )
    assert found.rows[0].parameter == "width"
    assert found.rows[0].told
    assert "more than chance: width" in found.verdict


def test_where_scores_are_chance_nothing_is_called_important() -> None:
    found = importance(SPACE, evidence(observed(SPACE, lambda _, rng: rng.gauss(0, 1), 20, seed=5)), "ped-anova")
    assert not found.tells
    assert not any(row.told for row in found.rows)
    assert found.warnings[0].startswith("20 trials cannot tell")


def test_a_logarithmic_axis_is_averaged_as_it_is_searched() -> None:
    space = Space.from_parameters(
        {"lr": {"distribution": "log_normal", "min": 1e-5, "max": 1e-1}, "other": {"min": 0.0, "max": 1.0}}
    )
    observations = observed(space, lambda p, rng: -abs(math.log10(p["lr"]) + 4) + rng.gauss(0, 0.01), 40)
    assert shares(importance(space, evidence(observations), "fanova"))["lr"] > 0.9


def test_conditional_parameters_count_and_it_is_said_how() -> None:
    space = Space.from_parameters(
        {
            "optimizer": {"values": ["sgd", "adam"]},
            "momentum": {"min": 0.0, "max": 1.0, "when": "optimizer == 'sgd'"},
            "lr": {"min": 0.0, "max": 1.0},
        }
    )
    observations = observed(space, lambda p, rng: p.get("momentum", 0.5) * 2 + rng.gauss(0, 0.05), 40)
    for evaluator in ("mdi", "ped-anova", "protein"):
        found = importance(space, evidence(observations), evaluator)
        assert {row.parameter for row in found.rows} == set(space.axes)
        assert any("momentum" in warning for warning in found.warnings)
    (momentum,) = Belief(space, evidence(observations)).slices(parameters=["momentum"])
    assert momentum.mean[-1] - momentum.mean[0] == pytest.approx(2, abs=0.3)


def test_what_cannot_be_said_is_refused_with_the_reason() -> None:
    few = observed(SPACE, by_width, 3)
    with pytest.raises(TooFewTrialsError, match="3 trials have a score inside the search space; this takes at least 4"):
        importance(SPACE, evidence(few), "mdi")
    with pytest.raises(TooFewTrialsError):
        Belief(SPACE, evidence(few))
    same = observed(SPACE, lambda _p, _r: 1.0, 9)
    with pytest.raises(UserError, match="all 9 trials have the same score"):
        importance(SPACE, evidence(same), "mdi")
    with pytest.raises(UserError, match="fanova"):
        importance(SPACE, evidence(few), "fanowa")
    one = Space.from_parameters({"lr": {"min": 0.0, "max": 1.0}})
    with pytest.raises(UserError, match="lr is all that is searched"):
        importance(one, evidence(observed(one, lambda p, _: p["lr"], 9)), "mdi")


def test_a_library_that_is_missing_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(module.MissingError, match=r"pip install 'sweeptui\[analysis\]'"):
        importance(SPACE, evidence(observed(SPACE, by_width, 9)), "mdi")


def test_stopped_trials_are_left_to_protein() -> None:
    full = observed(SPACE, by_width, 12)
    stopped = [Observation(20 + k, each.params, each.score / 2, 0.5, 0.5) for k, each in enumerate(full[:4])]
    found = importance(SPACE, evidence([*full, *stopped]), "ped-anova")
    assert found.trials == 12
    assert any("4 trials that were stopped early" in warning for warning in found.warnings)
    assert importance(SPACE, evidence([*full, *stopped]), "protein").trials == 16


def test_slices_say_the_score_in_the_users_sign() -> None:
    for goal, sign in (("maximize", 1.0), ("minimize", -1.0)):
        observations = observed(SPACE, lambda p, rng, sign=sign: sign * by_width(p, rng), 40)
        belief = Belief(SPACE, evidence(observations, goal))
        width, activation, layers, _ = belief.slices()
        assert np.array(width.mean) == pytest.approx(sign * (3 * np.array(width.values) + 0.13), abs=0.25)
        assert activation.values == ("relu", "tanh", "gelu")
        assert layers.values == tuple(range(1, 9))
        assert all(spread > 0 for spread in width.spread)


def test_a_slice_through_a_trial_is_what_the_optimizer_would_predict_there() -> None:
    observations = observed(SPACE, by_width, 25)
    through = dict(observations[7].params)
    belief = Belief(SPACE, evidence(observations))
    (width,) = belief.slices(through, ["width"])
    nearest = min(range(len(width.values)), key=lambda index: abs(width.values[index] - through["width"]))
    assert width.mean[nearest] == pytest.approx(observations[7].score, abs=0.2)
    suggestion = ProteinOptimizer(SPACE, goal="maximize", settings={}, seed=0).suggest(History(observations), 26)[0]
    (there,) = belief.slices(suggestion.params, ["width"])
    at = np.interp(suggestion.params["width"], there.values, there.mean)
    assert at == pytest.approx(suggestion.provenance["score_mean"], abs=0.1)


def test_interactions_are_found_where_there_are_any() -> None:
    space = Space.from_parameters({name: {"min": 0.0, "max": 1.0} for name in ("a", "b", "c")})

    def product(params: Any, rng: random.Random) -> float:
        return float((params["a"] - 0.5) * (params["b"] - 0.5) * 4 + params["c"] + rng.gauss(0, 0.02))

    known = evidence(observed(space, product, 60))
    first, *others = interactions(space, known, Belief(space, known))
    assert first.parameters in (("a", "b"), ("b", "a"))
    assert first.told
    # Variances of 4 (a - 1/2)(b - 1/2) and of c: 1/9 and 1/12.
    assert first.share == pytest.approx((1 / 9) / (1 / 9 + 1 / 12), abs=0.15)
    assert first.low <= first.share <= first.high
    assert all(each.share < 0.05 for each in others)


def test_what_models_of_noise_believe_is_not_told() -> None:
    axes: dict[str, Any] = {name: {"min": 0.0, "max": 1.0} for name in ("a", "b", "c")}
    space = Space.from_parameters({**axes, "kind": {"values": ["x", "y", "z"]}, "depth": {"values": [1, 2, 3, 4]}})
    believed = told = 0
    for seed in range(8):
        known = evidence(observed(space, lambda _params, rng: rng.gauss(0, 1), 24, seed=seed))
        belief = Belief(space, known)
        believed += any(each.told for each in belief.interactions())
        told += any(each.told for each in interactions(space, known, belief))
    assert believed >= 2, "the models alone are deceived"
    assert told < believed


def test_predictions_of_what_was_left_out_hold_what_they_promise() -> None:
    observations = observed(SPACE, by_width, 60)
    foretold = Belief(SPACE, evidence(observations, "minimize")).leave_one_out()
    assert [each.number for each in foretold] == [each.number for each in observations]
    errors = [abs(each.mean - each.observed) / each.spread for each in foretold]
    assert 0.5 < sum(error < 1 for error in errors) / len(errors) < 0.97
    assert np.corrcoef([each.mean for each in foretold], [each.observed for each in foretold])[0, 1] > 0.95
