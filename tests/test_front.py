"""The size of a front and what is expected to be won of it, against counting and chance; the search for one."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeptui.core.analysis.hypervolume import contribution, history, hypervolume, reference_below
from sweeptui.core.optimizers.base import History
from sweeptui.core.optimizers.protein.boxes import MAX_FRONT, non_dominated, open_boxes, ranks, thinned
from sweeptui.core.optimizers.protein.improvement import log_expected_hypervolume_improvement
from sweeptui.core.optimizers.registry import resolve
from sweeptui.core.space import Space
from sweeptui.core.trial import Observation


def counted(points: list[tuple[int, ...]], size: int = 5) -> int:
    """The unit cells of a grid that lie below one of the points."""
    cells = itertools.product(range(size), repeat=len(points[0]))
    return sum(any(all(c < p for c, p in zip(cell, point, strict=True)) for point in points) for cell in cells)


def fronts(objectives: int):
    return st.lists(st.tuples(*[st.integers(0, 5)] * objectives), min_size=1, max_size=9)


@pytest.mark.parametrize("objectives", [2, 3, 4])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_hypervolume_is_what_counting_cells_gives(objectives: int, data: st.DataObject) -> None:
    points = data.draw(fronts(objectives))
    zero = (0,) * objectives
    assert hypervolume(points, zero) == counted(points)
    assert contribution(points[-1], points[:-1], zero) == counted(points) - hypervolume(points[:-1], zero)
    assert history(points, zero) == [hypervolume(points[: k + 1], zero) for k in range(len(points))]


@pytest.mark.parametrize("objectives", [2, 3, 4])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_open_boxes_are_disjoint_and_are_all_that_no_point_beats(objectives: int, data: st.DataObject) -> None:
    points = data.draw(fronts(objectives))
    lower, upper = open_boxes(np.array(points, dtype=float), np.zeros(objectives))
    upper = np.minimum(upper, 5.0)
    sizes = np.prod(np.maximum(upper - lower, 0.0), axis=1)
    assert sizes.sum() == 5**objectives - counted(points)
    middle = np.array(list(itertools.product(range(5), repeat=objectives))) + 0.5
    inside = ((middle[:, None] > lower) & (middle[:, None] < upper)).all(axis=2).sum(axis=1)
    beaten = (middle[:, None] < np.array(points)).all(axis=2).any(axis=1)
    assert (inside == ~beaten).all()


@settings(max_examples=60, deadline=None)
@given(fronts(3))
def test_non_dominated_is_by_definition(points: list[tuple[int, ...]]) -> None:
    rows = np.array(points, dtype=float)
    beaten = [any((other >= row).all() and (other > row).any() for other in rows) for row in rows]
    assert non_dominated(rows).tolist() == [not each for each in beaten]
    assert ((ranks(rows, len(rows)) == 0) == non_dominated(rows)).all()


@pytest.mark.parametrize("objectives", [2, 3, 4])
def test_expected_improvement_is_what_chance_gives_and_its_slopes_are_its_own(objectives: int) -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 1, (6, objectives))
    zero = np.zeros(objectives)
    lower, upper = open_boxes(points, zero)
    mean, std = rng.uniform(0, 1, (1, objectives)), rng.uniform(0.1, 0.4, (1, objectives))
    value, by_mean, by_std = log_expected_hypervolume_improvement(mean, std, lower, upper)
    drawn = mean + std * rng.standard_normal((4000, objectives))
    front = points[non_dominated(points)].tolist()
    won = [contribution(tuple(each), front, tuple(zero)) for each in drawn]
    assert math.exp(value[0]) == pytest.approx(np.mean(won), abs=4 * np.std(won) / math.sqrt(len(won)))
    for column in range(objectives):
        for slope, which in ((by_mean, 0), (by_std, 1)):
            moved = []
            for step in (-1e-6, 1e-6):
                at = [mean.copy(), std.copy()]
                at[which][0, column] += step
                moved.append(log_expected_hypervolume_improvement(*at, lower, upper)[0][0])
            assert slope[0, column] == pytest.approx((moved[1] - moved[0]) / 2e-6, rel=1e-4, abs=1e-6)


def test_where_nothing_can_be_won_there_is_still_a_slope() -> None:
    lower, upper = open_boxes(np.array([[1.0, 1.0]]), np.zeros(2))
    value, by_mean, by_std = log_expected_hypervolume_improvement(
        np.full((1, 2), -40.0), np.full((1, 2), 0.1), lower, upper
    )
    assert np.isfinite(value).all()
    assert (by_mean > 0).all()
    assert np.isfinite(by_std).all()


def test_a_thinned_front_keeps_its_ends() -> None:
    across = np.linspace(0, 1, 300)
    few = thinned(np.column_stack([across, 1 - across]))
    assert len(few) == MAX_FRONT[2]
    assert few[:, 0].min() == 0
    assert few[:, 0].max() == 1


def test_a_reference_is_below_the_front_in_all() -> None:
    assert reference_below([(1.0, 0.0), (0.0, 1.0), (-9.0, -9.0)]) == pytest.approx((-0.1, -0.1))
    assert reference_below([(2.0, 3.0), (1.0, 3.0)]) == pytest.approx((0.9, 2.7))


# -- the search

SQUARE = Space.from_parameters({"x": {"min": 0.0, "max": 1.0}, "y": {"min": 0.0, "max": 1.0}})


def volume_found(method: str, goals: tuple[str, str], trials: int = 20, seed: int = 0) -> float:
    """Of the trade-off f = (x + y^2, (1 - x)^2 + y^2), minimised (or minus it maximised) below (2, 2)."""
    signs = [1.0 if goal == "minimize" else -1.0 for goal in goals]
    optimizer = resolve(method)(SQUARE, goal=goals[0], goals=goals, settings={}, seed=seed)
    done: list[Observation] = []
    for number in range(1, trials + 1):
        [suggestion] = optimizer.suggest(History(tuple(done)), number)
        x, y = suggestion.params["x"], suggestion.params["y"]
        scores = (signs[0] * (x + y * y), signs[1] * ((1 - x) ** 2 + y * y))
        done.append(Observation(number, suggestion.params, scores[0], 1.0, 1.0, scores))
    return hypervolume([[-s * v for s, v in zip(signs, o.scores, strict=True)] for o in done], (-2.0, -2.0))


def test_protein_finds_a_larger_front_than_chance_whatever_the_goals() -> None:
    found = volume_found("bayes", ("minimize", "minimize"), 16)
    assert found > max(volume_found("random", ("minimize", "minimize"), seed=seed) for seed in range(5))
    assert found > 0.97 * (4 - 1 / 3), "nearly all there is"
    assert volume_found("bayes", ("minimize", "minimize"), 9) == volume_found("bayes", ("maximize", "minimize"), 9)


def test_genetic_search_breeds_the_front() -> None:
    found = [volume_found("genetic", ("minimize", "maximize"), 60, seed) for seed in range(4)]
    blind = [volume_found("random", ("minimize", "maximize"), 60, seed) for seed in range(4)]
    assert sum(found) > sum(blind)


@pytest.mark.parametrize("method", ["optuna", "nevergrad"])
def test_adapters_tell_all_scores(method: str) -> None:
    assert volume_found(method, ("minimize", "maximize"), 12) > 0


@pytest.mark.slow
def test_ax_is_told_all_scores() -> None:
    assert volume_found("ax", ("minimize", "maximize"), 9) > 0
