from __future__ import annotations

import json
import math
import os
import random
import statistics
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from sweeptui.core.errors import UserError
from sweeptui.core.optimizers.base import FailedTrial, History, PendingTrial, Suggestion
from sweeptui.core.optimizers.protein import gp, surrogate, turn
from sweeptui.core.optimizers.protein.acquisition import log_expected_improvement, naive
from sweeptui.core.optimizers.protein.axes import Axes
from sweeptui.core.optimizers.protein.candidates import MAX_CENTRES, around, choose_centres
from sweeptui.core.optimizers.protein.optimizer import ProteinOptimizer
from sweeptui.core.optimizers.protein.targets import (
    MAX_TRAINING,
    pareto_front,
    standardise_costs,
    training_subset,
)
from sweeptui.core.optimizers.protein.warp import warps
from sweeptui.core.optimizers.random import RandomOptimizer
from sweeptui.core.settings import ProteinSettings
from sweeptui.core.space import Choice, Integer, LogUniform, Space, Uniform
from sweeptui.core.trial import Observation

if TYPE_CHECKING:
    from collections.abc import Callable

    from sweeptui.core.trial import Params

SQUARE = Space.from_parameters({"x": Uniform(0.0, 1.0), "y": Uniform(0.0, 1.0)})


def protein(space: Space = SQUARE, goal: str = "maximize", seed: int = 0, **settings: Any) -> ProteinOptimizer:
    return ProteinOptimizer(space, goal=goal, settings=settings, seed=seed)


def bump(params: Params) -> float:
    return -((params["x"] - 0.3) ** 2) - (params["y"] - 0.6) ** 2


def history(
    count: int = 12,
    score: Callable[[Params], float] = bump,
    cost: Callable[[Params], float] = lambda params: math.exp(2 * params["x"]),
    space: Space = SQUARE,
) -> History:
    rng = random.Random(5)
    rows = [space.sample(rng) for _ in range(count)]
    return History(tuple(Observation(k, p, score(p), cost(p)) for k, p in enumerate(rows, 1)))


def one(chooser: ProteinOptimizer, seen: History, number: int = 13) -> Suggestion:
    [suggestion] = chooser.suggest(seen, number)
    return suggestion


# The course of a sweep


def test_it_starts_at_the_centre_goes_on_with_sobol_and_then_models() -> None:
    chooser = protein(num_random_samples=3)
    done: list[Observation] = []
    methods = []
    for number in range(1, 7):
        suggestion = one(chooser, History(tuple(done)), number)
        methods.append(suggestion.provenance["method"])
        done.append(Observation(number, suggestion.params, bump(suggestion.params), 1.0))
    assert methods == ["center", "sobol", "sobol", "sobol", "protein", "protein"]
    assert done[0].params == SQUARE.center()


def test_without_the_centre_the_first_is_a_sobol_point() -> None:
    assert one(protein(seed_with_search_center=False), History(), 1).provenance == {"method": "sobol"}


def test_sobol_points_belong_to_their_numbers_and_fill_the_cube() -> None:
    chooser = protein(num_random_samples=64, seed_with_search_center=False)
    batch = chooser.suggest(History(), 1, 64)
    assert chooser.suggest(History(), 40, 1)[0] == batch[39]
    for axis in ("x", "y"):
        eighths = [sum(e <= 8 * s.params[axis] < e + 1 for s in batch) for e in range(8)]
        assert min(eighths) >= 7
    assert protein(num_random_samples=64, seed=1).suggest(History(), 40, 1)[0] != batch[39]


def test_one_result_is_not_enough_for_a_model() -> None:
    assert one(protein(num_random_samples=0), history(1), 2).provenance["method"] == "sobol"
    assert one(protein(num_random_samples=0), history(2), 3).provenance["method"] == "protein"


@pytest.mark.parametrize("goal", ["maximize", "minimize"])
def test_predictions_are_in_the_users_sign_and_units(goal: str) -> None:
    sign = 1 if goal == "maximize" else -1
    seen = history(14, score=lambda p: sign * (1000 + 50 * bump(p)))
    provenance = one(protein(goal=goal), seen, 15).provenance
    assert provenance["method"] == "protein"
    assert provenance["acquisition"] == "ei"
    assert provenance["n_observations"] == 14
    assert provenance["score_mean"] == pytest.approx(sign * 1000, rel=0.02)
    assert 0 < provenance["score_std"] < 20
    assert provenance["cost_mean"] == pytest.approx(math.exp(0.6), rel=0.5)


def test_it_beats_random_search_clearly() -> None:
    space = Space.from_parameters({f"p{i}": LogUniform(1e-4, 1.0) for i in range(3)})

    def loss(params: Params) -> float:
        return sum((math.log10(params[f"p{i}"]) + 1 + i / 2) ** 2 for i in range(3))

    def best(chooser: ProteinOptimizer | RandomOptimizer, count: int = 16) -> float:
        done: list[Observation] = []
        for number in range(1, count + 1):
            [s] = chooser.suggest(History(tuple(done)), number)
            done.append(Observation(number, s.params, loss(s.params), 1.0))
        return min(o.score for o in done)

    model = [best(protein(space, "minimize", seed, num_random_samples=4)) for seed in range(3)]
    blind = [best(RandomOptimizer(space, goal="minimize", settings={}, seed=seed)) for seed in range(20)]
    assert statistics.median(model) < statistics.median(blind) / 10
    assert max(model) < statistics.median(blind)


# Pending and failed trials


def test_pending_trials_push_the_next_away() -> None:
    seen = history(14)
    chooser = protein()
    first = one(chooser, seen, 15)
    alone = one(chooser, seen, 16)
    waiting = History(seen.observations, (), (PendingTrial(15, first.params),))
    beside = one(chooser, waiting, 16)

    def distance(suggestion: Suggestion) -> float:
        return math.dist(SQUARE.encode(suggestion.params), SQUARE.encode(first.params))

    assert distance(beside) > 2 * distance(alone)


def test_believing_keeps_the_mean_and_takes_the_uncertainty() -> None:
    rng = np.random.default_rng(0)
    x = rng.random((10, 2))
    y = warps(x.sum(axis=1))[0].values
    found, _ = gp.fit(x, y, np.arange(2), gp.Matern, gp.default_starts(2), 40)
    model = gp.GaussianProcess(x, y, np.arange(2), gp.Matern, found)
    at = np.array([[0.05, 0.95], [0.9, 0.1]])
    mean, std = model.predict(at)
    model.believe(at[:1])
    mean_after, std_after = model.predict(at)
    assert mean_after == pytest.approx(mean, abs=1e-6)
    assert std_after[0] < std[0]


def test_failures_are_no_scores() -> None:
    """Whatever failed: with too few failures to call a region bad, the model sees what it saw without them."""
    seen = history(14)
    failed = (FailedTrial(15, {"x": 0.9, "y": 0.1}, "crashed"),)
    plain, warned = one(protein(), seen, 16), one(protein(), History(seen.observations, failed), 16)
    assert warned.params == plain.params
    assert warned.provenance == plain.provenance


def test_it_keeps_away_from_where_trials_fail() -> None:
    seen = history(40, score=lambda p: p["x"])
    seen = History([o for o in seen.observations if o.params["x"] < 0.6])
    crowd = tuple(FailedTrial(41 + i, {"x": 0.75 + 0.05 * (i % 6), "y": 0.2 * (i // 6)}, "crashed") for i in range(36))
    assert one(protein(), seen, 77).params["x"] > 0.8
    assert one(protein(), History(seen.observations, crowd), 77).params["x"] < 0.75


def test_what_is_pending_raises_the_bar() -> None:
    """The next has to improve on what the model expects of those that run, or a batch would be one point many times."""
    seen = history(14)
    batch = protein().suggest(seen, 15, 4)
    points = [SQUARE.encode(suggestion.params) for suggestion in batch]
    nearest = min(math.dist(a, b) for i, a in enumerate(points) for b in points[:i])
    assert nearest > 1e-3


def test_another_process_suggests_the_same() -> None:
    program = (
        "import json; from tests.test_protein import history, one, protein;"
        "print(json.dumps([one(protein(seed=3), history(n), 30).params for n in (3, 9, 20)]))"
    )
    told = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1],
        env=os.environ | {"PYTHONHASHSEED": "77", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert json.loads(told.stdout) == [one(protein(seed=3), history(n), 30).params for n in (3, 9, 20)]


def test_a_long_history_is_bounded_before_the_models_see_it(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = []
    fit = surrogate.fit
    monkeypatch.setattr(surrogate, "fit", lambda x, *rest: (rows.append(len(x)), fit(x, *rest))[1])
    space = Space.from_parameters({f"x{k}": Uniform(0.0, 1.0) for k in range(20)})
    seen = history(3000, score=lambda p: -sum((v - 0.4) ** 2 for v in p.values()), cost=lambda _: 1.0, space=space)
    suggestion = one(protein(space, random_suggestions=64, suggestions_per_pareto=16), seen, 3001)
    assert suggestion.provenance["n_observations"] == 3000
    assert suggestion.provenance["method"] == "protein"
    assert set(rows) == {surrogate.MAX_FIT}
    assert len(turn.training_subset(np.arange(3000.0))) == MAX_TRAINING


def test_repeated_trials_tell_how_noisy_a_score_is() -> None:
    rng = np.random.default_rng(4)
    x = np.repeat(rng.random((12, 2)), 3, axis=0)
    truth = np.sin(3 * x[:, 0]) + x[:, 1]
    spread = []
    for noise in (0.0, 0.5):
        [best, *_] = surrogate.explain(Axes(SQUARE), x, truth + noise * rng.normal(size=len(x)))
        spread.append(math.exp(best.model.hyperparameters.log_noise))
    assert spread[0] < 1e-3 < 1e-2 < spread[1]


# Every setting has an effect


def test_num_random_samples() -> None:
    seen = history(5)
    assert one(protein(num_random_samples=4), seen, 6).provenance["method"] == "protein"
    assert one(protein(num_random_samples=5), seen, 6).provenance["method"] == "sobol"


def test_max_suggestion_cost_is_a_wall_where_there_is_a_way_round_it() -> None:
    seen = history(16, score=lambda p: p["x"])
    free, capped = one(protein(), seen, 17), one(protein(max_suggestion_cost=3.0), seen, 17)
    assert free.provenance["cost_mean"] > 5
    assert capped.provenance["cost_mean"] <= 3.0
    assert "over_cost" not in capped.provenance


def test_where_all_is_over_the_cost_limit_the_cheapest_is_taken_and_marked() -> None:
    seen = history(16, score=lambda p: p["x"])
    suggestion = one(protein(max_suggestion_cost=0.5), seen, 17)
    assert suggestion.params["x"] < 0.02
    assert "more than 0.5" in suggestion.provenance["over_cost"]


def test_resample_frequency_goes_by_the_trials_number() -> None:
    seen = history(12)
    chooser = protein(resample_frequency=4)
    methods = [one(chooser, seen, number).provenance["method"] for number in range(13, 21)]
    assert methods == ["protein"] * 3 + ["resample"] + ["protein"] * 3 + ["resample"]
    again = one(chooser, seen, 16)
    front = pareto_front(np.array([o.score for o in seen.observations]), np.array([o.cost for o in seen.observations]))
    assert again.provenance["resample_of"] in [seen.observations[i].number for i in front]
    assert again.params == next(o.params for o in seen.observations if o.number == again.provenance["resample_of"])
    first = seen.observations[again.provenance["resample_of"] - 1]
    more = History((*seen.observations, Observation(16, first.params, first.score, first.cost)))
    assert one(chooser, more, 20).params != again.params, "the one that was run the fewest times"


def test_global_search_scale_and_the_parameters_scale_bound_a_local_search() -> None:
    axes = Axes(SQUARE)
    centre = np.full((1, 2), 0.5)
    for scale in (0.1, 1.0):
        reach = np.abs(around(centre, axes, scale, 4000, np.random.default_rng(0)) - 0.5).max(axis=0)
        assert (reach <= axes.radius * scale).all()
        assert (reach > 0.9 * axes.radius * scale).all()
    assert list(axes.radius) == [0.25, 0.25], "auto: half of an axis that runs from -1 to 1"
    seen = history(14, score=lambda p: p["x"] + p["y"], cost=lambda _: 1.0)
    best = max(seen.observations, key=lambda o: o.score).params
    for scale, reached in ((0.05, False), (2.0, True)):
        chosen = one(protein(global_search_scale=scale, random_suggestions=0), seen).params
        assert (chosen == {"x": 1.0, "y": 1.0}) is reached
        # A candidate lies within one radius of its centre, and climbs for at most one more.
        assert all(abs(chosen[name] - best[name]) <= 2 * 0.25 * scale + 1e-9 for name in best)


def test_suggestion_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    rank = turn.Surrogate.rank

    def counted(self: Any, near: Any, anywhere: Any, draw: Any) -> Any:
        sizes.append(len(near) + len(anywhere))
        return rank(self, near, anywhere, draw)

    monkeypatch.setattr(turn.Surrogate, "rank", counted)
    seen = history(12, cost=lambda _: 1.0)
    for settings in ({"random_suggestions": 10}, {"random_suggestions": 0}, {"suggestions_per_pareto": 0}):
        one(protein(**settings), seen)
    one(protein(random_suggestions=0, suggestions_per_pareto=7), seen)
    centres = (sizes[1]) // 256
    assert sizes == [10 + 256 * centres, 256 * centres, 1024, 7 * centres]
    assert centres in (1, 2)


def test_cost_draws_the_search_to_what_is_cheap() -> None:
    def mean_x(cost: Callable[[Params], float]) -> float:
        seen = history(16, score=lambda p: -((p["y"] - 0.6) ** 2), cost=cost)
        return statistics.mean(s.params["x"] for s in protein().suggest(seen, 17, 6))

    assert mean_x(lambda p: math.exp(12 * p["x"])) < mean_x(lambda p: math.exp(-12 * p["x"])) - 0.2


def test_expansion_rate_is_how_far_beyond_the_front_naive_aims() -> None:
    seen = history(16, score=lambda p: p["x"])
    near, far = (
        [s.provenance["cost_mean"] for s in protein(acquisition="naive", expansion_rate=rate).suggest(seen, 17, 8)]
        for rate in (0.0, 3.0)
    )
    assert statistics.mean(near) < statistics.mean(far)


def test_naive_spreads_over_costs() -> None:
    seen = history(16, score=lambda p: p["x"])
    costs = [s.provenance["cost_mean"] for s in protein(acquisition="naive").suggest(seen, 17, 10)]
    assert max(costs) > 2 * min(costs)


def test_acquisition_and_its_settings() -> None:
    seen = history(9, score=lambda p: math.sin(9 * p["x"]) + p["y"])
    chosen = {name: one(protein(acquisition=name), seen, 10).params["x"] for name in ("ei", "ucb", "naive")}
    assert len(set(chosen.values())) == 3
    assert protein(acquisition_fn="ucb").suggest(seen, 10) == protein(acquisition="ucb").suggest(seen, 10)
    stds = [one(protein(acquisition="ucb", ucb_beta=b), seen, 10).provenance["score_std"] for b in (0.0, 10.0)]
    assert stds[0] < stds[1]


@pytest.mark.parametrize("acquisition", ["ei", "ucb", "naive"])
def test_randomize_acquisition(acquisition: str) -> None:
    seen = history(9, score=lambda p: math.sin(9 * p["x"]) + p["y"])
    plain, drawn = (
        [s.params for s in protein(acquisition=acquisition, randomize_acquisition=r).suggest(seen, 10, 3)]
        for r in (False, True)
    )
    assert plain != drawn
    assert one(protein(acquisition=acquisition, randomize_acquisition=True), seen, 10).params == drawn[0]


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"num_random_samples": -1}, "num_random_samples is -1"),
        ({"num_random_samples": True}, "num_random_samples is True"),
        ({"random_suggestions": 1.5}, "random_suggestions is 1.5"),
        ({"max_suggestion_cost": 0}, "max_suggestion_cost is 0"),
        ({"global_search_scale": 0.0}, "global_search_scale is 0.0"),
        ({"global_search_scale": math.nan}, "global_search_scale is nan"),
        ({"expansion_rate": -0.1}, "expansion_rate is -0.1"),
        ({"ucb_beta": "2"}, "ucb_beta is '2'"),
        ({"seed_with_search_center": 1}, "seed_with_search_center is 1"),
        ({"acquisition": "pi"}, "acquisition is 'pi'"),
        ({"resample_frequency": 1}, "resample_frequency is 1"),
        ({"random_suggestions": 0, "suggestions_per_pareto": 0}, "both 0"),
        ({"random_sugestions": 9}, "random_sugestions is not a field"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(UserError, match=named):
        ProteinSettings.from_mapping(settings)


# Fallbacks are marked


def test_a_model_that_cannot_be_had_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def broken(matrix: Any, **options: Any) -> tuple[Any, int]:
        calls.append(options)
        return matrix, 1

    monkeypatch.setattr(gp.lapack, "dpotrf", broken)
    suggestion = one(protein(), history())
    assert len(calls) >= len(gp.JITTERS)
    assert suggestion.provenance["method"] == "random"
    assert "could not be factorised" in suggestion.provenance["fallback"]


# Parts


def test_log_expected_improvement_is_finite_and_right_from_certain_to_hopeless() -> None:
    z = np.array([-1e6, -2e3, -50.0, -5.0, -1.0, -0.999, 0.0, 3.0, 1e4])
    value, by_mean, by_std, by_cost = log_expected_improvement(z, np.ones_like(z), np.zeros_like(z), 0.0)
    assert np.isfinite(value).all()
    assert np.isfinite(by_mean).all()
    assert np.isfinite(by_std).all()
    assert (by_mean > 0).all()
    assert (by_cost == 0).all()
    assert (np.diff(value) > 0).all()
    assert value[6].item() == pytest.approx(math.log(1 / math.sqrt(2 * math.pi)))
    assert value[3].item() == pytest.approx(math.log(5.346e-8), rel=1e-3)


def test_improvement_is_augmented_by_the_share_of_the_deviation_that_a_trial_can_take_away() -> None:
    mean, std, none = np.array([-2.0, 0.0, 0.0, 1.0]), np.array([1.0, 1e-5, 0.3, 40.0]), np.zeros(4)
    plain, by_mean, _, _ = log_expected_improvement(mean, std, none, 0.1)
    value, by_mean_too, by_std, _ = log_expected_improvement(mean, std, none, 0.1, 0.0, 0.4)
    share = std**2 / (std**2 + 0.16) / (1 + 0.4 / np.sqrt(std**2 + 0.16))
    assert value - plain == pytest.approx(np.log(share), rel=1e-6)
    assert by_mean_too == pytest.approx(by_mean)
    step = std * 1e-5
    ahead, behind = (log_expected_improvement(mean, std + sign * step, none, 0.1, 0.0, 0.4)[0] for sign in (1, -1))
    assert by_std == pytest.approx((ahead - behind) / (2 * step), rel=1e-4)


def test_naive_never_prefers_the_worse_of_two_at_one_cost() -> None:
    mean = np.linspace(-30, 3, 50)
    for target in (0.0, 1.25, 4.0):
        value, by_mean, _, _ = naive(mean, np.ones_like(mean), np.full_like(mean, 0.2), target, 0.0)
        assert (np.diff(value) > 0).all()
        assert (by_mean > 0).all()


def test_a_front_keeps_one_of_equal_trials_and_is_never_empty() -> None:
    assert pareto_front(np.ones(5), np.ones(5)).tolist() == [0]
    assert pareto_front(np.array([1.0, 3.0, 2.0, 3.0]), np.array([1.0, 5.0, 6.0, 9.0])).tolist() == [0, 1]
    assert choose_centres(np.arange(50), 20).tolist()[0] == 20
    assert len(choose_centres(np.arange(50), 20)) == MAX_CENTRES


def test_a_disaster_does_not_flatten_the_rest() -> None:
    rng = np.random.default_rng(1)
    x = rng.random((20, 1))
    y = np.sin(4 * x[:, 0])
    y[3] = -1e9
    [best, *_] = surrogate.explain(Axes(Space.from_parameters({"x": Uniform(0.0, 1.0)})), x, y)
    assert math.isfinite(best.warped.knee)
    others = np.delete(best.warped.values, 3)
    assert np.ptp(others) > 0.2


def test_the_shape_of_the_scores_is_chosen_by_what_explains_them() -> None:
    x = np.random.default_rng(1).random((40, 2))
    axes = Axes(SQUARE)
    smooth = np.sin(3 * x[:, 0]) + x[:, 1]
    assert math.isinf(surrogate.explain(axes, x, smooth)[0].warped.knee)
    steep = -np.exp(8 * ((x - 0.5) ** 2).sum(axis=1) * 4)
    assert math.isfinite(surrogate.explain(axes, x, steep)[0].warped.knee)


@pytest.mark.parametrize("offset", [0.0, 1e3, -1e300])
def test_warped_scores_are_standardised_in_order_and_can_be_restored(offset: float) -> None:
    y = np.array([1.0, 5.0, 2.0, -30.0, 4.9]) * max(1.0, abs(offset) / 100) + offset
    for warped in warps(y):
        assert (np.argsort(warped.values) == np.argsort(y)).all()
        assert warped.values.mean() == pytest.approx(0.0, abs=1e-9)
        assert warped.values.std() == pytest.approx(1.0)
        for value, target in zip(y, warped.values, strict=True):
            assert float(warped.restored(np.array([target]))[0]) == pytest.approx(value, rel=1e-6)
    [constant] = warps(np.full(4, 7.0))
    assert (constant.values == 0).all()
    assert constant.restored(np.array([0.0, 1.0])) == pytest.approx(7.0, abs=1e-12)


@pytest.mark.parametrize("kernel", [gp.Matern, gp.SquaredExponential])
def test_the_process_is_that_of_gpytorch(kernel: gp.Kernel) -> None:
    gpytorch = pytest.importorskip("gpytorch")
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(2)
    x, y, at = rng.random((12, 3)), rng.normal(size=12), rng.random((5, 3))
    lengthscales, noise = np.array([0.3, 0.7, 2.0]), 0.05
    model = gp.GaussianProcess(x, y, np.arange(3), kernel, gp.Hyperparameters(np.log(lengthscales), math.log(noise)))
    theirs = gpytorch.kernels.MaternKernel(2.5, ard_num_dims=3)
    if kernel is gp.SquaredExponential:
        theirs = gpytorch.kernels.RBFKernel(ard_num_dims=3)
    theirs = theirs.double()
    theirs.lengthscale = torch.as_tensor(lengthscales)
    with torch.no_grad():
        covariance = model.variance * (theirs(torch.as_tensor(x)).to_dense() + noise * torch.eye(12))
        cross = model.variance * theirs(torch.as_tensor(at), torch.as_tensor(x)).to_dense()
        solved = torch.linalg.solve(covariance, cross.T)
        mean = model.mean + solved.T @ torch.as_tensor(y - model.mean)
        variance = model.variance - (cross.T * solved).sum(dim=0)
    assert model.predict(at)[0] == pytest.approx(mean.numpy(), abs=1e-6)
    assert model.predict(at)[1] == pytest.approx(variance.sqrt().numpy(), abs=1e-6)
    assert model.predict_mean(at) == pytest.approx(mean.numpy(), abs=1e-6)


@pytest.mark.parametrize("kernel", [gp.Matern, gp.SquaredExponential])
def test_gradients_are_those_of_what_they_belong_to(kernel: gp.Kernel) -> None:
    rng = np.random.default_rng(3)
    x, y = rng.random((15, 4)), rng.normal(size=15)
    feature_axis = np.array([0, 1, 1, 2])
    posterior = gp._Posterior(x, y, feature_axis, kernel, None)
    at = np.array([-0.5, 0.3, 0.1, -3.0])
    assert posterior(at)[1] == pytest.approx(_slope(lambda v: posterior(v)[0], at), rel=1e-4, abs=1e-5)
    model = gp.GaussianProcess(x, y, feature_axis, kernel, posterior.read(at))
    point = rng.random(4)
    mean, std, by_mean, by_std = model.gradients(point)
    assert (mean, std) == pytest.approx(tuple(float(part[0]) for part in model.predict(point[None, :])))
    assert by_mean == pytest.approx(_slope(lambda v: model.gradients(v)[0], point), rel=1e-4, abs=1e-6)
    assert by_std == pytest.approx(_slope(lambda v: model.gradients(v)[1], point), rel=1e-4, abs=1e-6)


def _slope(function: Callable[[Any], float], at: Any) -> Any:
    steps = np.eye(len(at)) * 1e-5
    return np.array([(function(at + step) - function(at - step)) / 2e-5 for step in steps])


def test_costs_are_learnt_on_a_log_scale() -> None:
    logs = standardise_costs(np.array([1.0, 10.0, 100.0]))
    assert np.diff(logs.values).tolist() == pytest.approx([np.diff(logs.values)[0]] * 2)
    assert standardise_costs(np.full(3, 4.0)).constant


def test_a_long_sweep_is_modelled_from_its_best_its_newest_and_a_share_of_the_rest() -> None:
    y = np.random.default_rng(0).normal(size=3000)
    kept = training_subset(y)
    assert len(kept) == len(set(kept.tolist())) == MAX_TRAINING
    assert set(np.argsort(-y)[:100]) <= set(kept.tolist())
    assert set(range(2900, 3000)) <= set(kept.tolist())
    assert y[kept].min() < np.quantile(y, 0.05)
    assert training_subset(y[:400]).tolist() == list(range(400))


def test_axes_see_what_will_be_run() -> None:
    space = Space.from_parameters({"c": Choice(["a", "b", "c"]), "n": Integer(1, 4), "x": Uniform(0.0, 1.0)})
    axes = Axes(space)
    snapped = axes.snap(np.random.default_rng(0).random((200, 3)))
    for row in snapped:
        assert space.encode(space.decode(row.tolist())) == pytest.approx(row.tolist(), abs=1e-11)
    assert len(np.unique(snapped[:, 1])) == 4
    features = axes.features(snapped)
    assert features.shape == (200, 5)
    apart = ((features[:, None, :3] - features[None, :, :3]) ** 2).sum(axis=2)
    different = np.abs(snapped[:, None, 0] - snapped[None, :, 0]) > 1e-9
    assert apart == pytest.approx(different.astype(float))
    assert (axes.from_features(features, like=snapped) == snapped).all()


def test_neighbours_differ_in_one_discrete_value() -> None:
    space = Space.from_parameters({"c": Choice(["a", "b", "c"]), "n": Integer(1, 9), "x": Uniform(0.0, 1.0)})
    axes = Axes(space)
    [start] = axes.snap(np.array([[0.1, 0.0, 0.3]]))
    near = [space.decode(point.tolist()) for point in axes.neighbours(start[None, :])]
    assert [(p["c"], p["n"]) for p in near] == [("b", 1), ("c", 1), ("a", 2), ("a", 3), ("a", 5)]
    assert {p["x"] for p in near} == {0.3}
