"""What Protein makes of failures: a region that fails is learnt, and bad luck is not taken for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from sweeptui.core.optimizers.protein.feasibility import Success
from sweeptui.core.optimizers.protein.prediction import expected
from sweeptui.core.optimizers.protein.warp import warps

if TYPE_CHECKING:
    from numpy.typing import NDArray

AXES = np.arange(3)


def log_loss(fails: NDArray[np.bool_], chance: NDArray[np.float64]) -> float:
    return float(-np.log(np.where(fails, 1 - chance, chance)).mean())


@pytest.mark.parametrize("seed", range(3))
def test_a_region_that_fails_is_learnt(seed: int) -> None:
    rng = np.random.default_rng(seed)
    known, asked = rng.random((60, 3)), rng.random((400, 3))
    fails, would_fail = (x[:, 0] + 0.5 * x[:, 1] > 1.0 for x in (known, asked))
    success = Success(known[~fails], known[fails], AXES)
    share = np.full(400, (~fails).mean())
    assert log_loss(would_fail, np.exp(success.log_chance(asked))) < 0.8 * log_loss(would_fail, share)


@pytest.mark.parametrize("seed", range(3))
def test_failures_from_outside_are_no_region(seed: int) -> None:
    rng = np.random.default_rng(seed)
    known, asked = rng.random((60, 3)), rng.random((400, 3))
    fails = rng.random(60) < 0.2
    chance = np.exp(Success(known[~fails], known[fails], AXES).log_chance(asked))
    assert np.quantile(chance, 0.1) > 0.5
    assert chance.mean() == pytest.approx((~fails).mean(), abs=0.1)


def test_nothing_is_expected_far_beyond_what_was_seen() -> None:
    """A shape that looks closely at the best stretches its other end without bound."""
    scores = np.array([0.73, 0.8, 0.97, 0.5, 0.9])
    narrow = warps(scores)[-1]
    middle, half = expected([(1.0, 0.0, 3.0, narrow)], 5, (0.5, 0.97))
    assert 0.03 <= middle <= 1.44
    assert half <= (0.97 + 0.47 - 0.03) / 2
