"""Keeping away from where trials fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr

from sweeptui.core.optimizers.protein.gp import GaussianProcess, Matern, default_starts, fit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

MIN_FAILURES = 3
"""Fewer say more about bad luck than about a region."""
MOST = 150
"""The newest successes, and as many failures, that the model sees."""
ITERATIONS = 30
WEIGHTS = np.linspace(0.0, 0.95, 20)
"""Of the model beside the overall share."""


class Success:
    """The chance that a trial gives a score.

    A Gaussian process on +1 (a score) and -1 (none), squashed by the normal distribution (least-squares classification,
    Rasmussen and Williams 2006, section 6.5), mixed with the overall share of successes. The weight is what predicts
    each known trial best from all others: where failures lie in a region the model has nearly all of it, and where they
    come from outside (a full disk, a colleague) the share has. Rows are features. Raises `ModelError`.
    """

    def __init__(self, succeeded: Array, failed: Array, feature_axis: NDArray[np.int_]) -> None:
        succeeded, failed = succeeded[-MOST:], failed[-MOST:]
        self._share = (len(succeeded) + 1) / (len(succeeded) + len(failed) + 2)
        x = np.concatenate([succeeded, failed])
        labels = np.concatenate([np.ones(len(succeeded)), -np.ones(len(failed))])
        found, _ = fit(x, labels, feature_axis, Matern, default_starts(int(feature_axis.max()) + 1), ITERATIONS)
        self._model = GaussianProcess(x, labels, feature_axis, Matern, found)
        means, stds = self._model.leave_one_out()
        chance = ndtr(means / stds)
        mixed = WEIGHTS[:, None] * chance + (1 - WEIGHTS[:, None]) * self._share
        evidence = np.log(np.where(labels > 0, mixed, 1 - mixed)).sum(axis=1)
        # One observation's worth of doubt at either end.
        self._weight = float(WEIGHTS[np.argmax(evidence + np.log((WEIGHTS + 0.05) * (1.05 - WEIGHTS)))])

    @classmethod
    def learnt(cls, succeeded: Array, failed: Array, feature_axis: NDArray[np.int_]) -> Success | None:
        """None where there are too few failures to learn from."""
        return cls(succeeded, failed, feature_axis) if len(failed) >= MIN_FAILURES else None

    def log_chance(self, points: Array) -> Array:
        mean, std = self._model.predict(points)
        chance = ndtr(mean / np.hypot(std, self._model.noise_std))
        mixed: Array = np.log(self._weight * chance + (1 - self._weight) * self._share)
        return mixed
