"""Axes that are bent, so that what changes fast at one end of them is as smooth there as elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from test_protein import _slope

from sweeptui.core.distributions import Choice, Uniform
from sweeptui.core.optimizers.protein import gp, surrogate
from sweeptui.core.optimizers.protein.axes import Axes
from sweeptui.core.optimizers.protein.bending import Bends
from sweeptui.core.optimizers.protein.fidelity import FOREIGN
from sweeptui.core.space import Space

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEATURE_AXIS = np.array([0, 1, 1, 2])
BENDABLE = np.array([True, False, False, True])


def test_an_axis_keeps_its_order_and_its_ends_and_a_categorical_one_is_not_bent() -> None:
    bends = Bends(np.array([1.2, 0.9, -1.5, -0.7, 0.9, 1.5]), FEATURE_AXIS, BENDABLE)
    rows = np.linspace(0.0, 1.0, 101)[:, None] * np.ones(4)
    bent = bends.bend(rows)
    assert (np.diff(bent[:, [0, 3]], axis=0) > 0).all()
    assert bent[0, 0] == pytest.approx(0.0, abs=1e-5)
    assert bent[-1, 3] == pytest.approx(1.0, abs=1e-5)
    assert (bent[:, 1:3] == rows[:, 1:3]).all()
    straight = Bends(np.zeros(6), FEATURE_AXIS, BENDABLE)
    assert straight.bend(rows) == pytest.approx(rows, abs=2e-6)


@pytest.mark.parametrize("kernel", [gp.Matern, gp.SquaredExponential])
@pytest.mark.parametrize("partial", [False, True])
def test_gradients_are_those_of_what_they_belong_to(kernel: gp.Kernel, partial: bool) -> None:
    rng = np.random.default_rng(3)
    x, y = rng.random((15, 4)), rng.normal(size=15)
    shares = np.array([1.0] * 6 + [0.1, 0.3, 0.5, 0.9] + [FOREIGN] * 5) if partial else None
    discrepancy = np.log([0.4, 2.0, 0.6, 0.2, 0.7]) if partial else np.empty(0)
    posterior = gp._Posterior(x, y, FEATURE_AXIS, kernel, shares, BENDABLE)
    at = np.concatenate([[-0.5, 0.3, 0.1, -3.0], discrepancy, [0.4, 0.0, -0.6, -0.3, 0.2, 0.8]])
    assert posterior(at)[1] == pytest.approx(_slope(lambda v: posterior(v)[0], at), rel=1e-4, abs=1e-5)
    assert posterior.start(posterior.read(at)).tolist() == at.tolist()
    model = gp.GaussianProcess(x, y, FEATURE_AXIS, kernel, posterior.read(at), shares)
    point = rng.random(4)
    mean, std, by_mean, by_std = model.gradients(point)
    assert (mean, std) == pytest.approx(tuple(float(part[0]) for part in model.predict(point[None, :])))
    assert by_mean == pytest.approx(_slope(lambda v: model.gradients(v)[0], point), rel=1e-4, abs=1e-6)
    assert by_std == pytest.approx(_slope(lambda v: model.gradients(v)[1], point), rel=1e-4, abs=1e-6)


def test_a_score_that_changes_at_one_end_alone_is_foreseen_better() -> None:
    axes = Axes(Space.from_parameters({"x": Uniform(0.0, 1.0), "y": Uniform(0.0, 1.0), "c": Choice(["a", "b"])}))
    rng = np.random.default_rng(1)

    def score(at: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.sin(8 * at[:, 0] ** 4) + 0.3 * at[:, 1] + 0.2 * (at[:, 2] > 0.5))

    seen, unseen = axes.snap(rng.random((30, 3))), axes.snap(rng.random((300, 3)))
    known = axes.features(seen), score(seen), axes.feature_axis, gp.Matern

    def wrong(bendable: NDArray[np.bool_] | None) -> tuple[float, float]:
        found, evidence = gp.fit(*known, gp.default_starts(3), 40, None, bendable)
        predicted = gp.GaussianProcess(*known, found).predict_mean(axes.features(unseen))
        return float(np.sqrt(np.mean((predicted - score(unseen)) ** 2))), evidence

    straight, evidence = wrong(None)
    bent, evidence_bent = wrong(axes.numeric_features)
    assert bent < 0.6 * straight
    assert evidence_bent > evidence + 5
    best, *_ = surrogate.explain(axes, axes.features(seen), score(seen))
    assert best.model.hyperparameters.bends is not None


def test_where_there_is_nothing_to_bend_no_axis_is() -> None:
    axes = Axes(Space.from_parameters({"a": Choice(["x", "y", "z"]), "b": Choice([True, False])}))
    rows = axes.snap(np.random.default_rng(4).random((12, 2)))
    found = surrogate.explain(axes, axes.features(rows), rows[:, 0] + 0.3 * rows[:, 1])
    assert all(each.model.hyperparameters.bends is None for each in found)
