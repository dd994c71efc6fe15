"""How much a candidate is wanted with several objectives: by how far it is expected to push their front out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import log_ndtr

from sweeptui.core.optimizers.protein.acquisition import log_improvement

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_LOG_SQRT_2PI = 0.5 * float(np.log(2 * np.pi))
_MOST = 60.0
CHUNK = 200_000
"""Candidates times boxes that are held at once."""


def log_expected_hypervolume_improvement(
    mean: Array, std: Array, lower: Array, upper: Array
) -> tuple[Array, Array, Array]:
    """The logarithm of what is expected to be won of the open boxes, and its derivatives by `mean` and `std`.

    `mean` and `std` have a row for each candidate and a column for each objective, `lower` and `upper` a row for each
    box of `boxes.open_boxes`. Exact for independent objectives: the part of a box that a point y wins has the sides
    min(y, upper) - lower, where that is positive, whose expectation is EI(lower) - EI(upper), and the expectation of a
    product is the product (Yang et al. 2019, "Efficient computation of expected hypervolume improvement"). In
    logarithms throughout, as in Ament et al. 2023 (arXiv:2310.20708), so that far away there is a gradient, too.
    """
    rows = max(1, CHUNK // len(lower))
    if len(mean) > rows:
        parts = [
            log_expected_hypervolume_improvement(mean[i : i + rows], std[i : i + rows], lower, upper)
            for i in range(0, len(mean), rows)
        ]
        return (
            np.concatenate([p[0] for p in parts]),
            np.concatenate([p[1] for p in parts]),
            np.concatenate([p[2] for p in parts]),
        )
    sides = [_log_side(mean[:, j], std[:, j], lower[:, j], upper[:, j]) for j in range(mean.shape[1])]
    log_won = np.sum([side.log_length for side in sides], axis=0)
    most = log_won.max(axis=1, keepdims=True)
    value = most[:, 0] + np.log(np.exp(log_won - most).sum(axis=1))
    share = log_won - value[:, None]
    by_mean = np.column_stack([side.slope(share, side.log_cdf) for side in sides])
    by_std = np.column_stack([side.slope(share, side.log_density) for side in sides])
    return value, by_mean, by_std


class _Side:
    """The expected length of one side of each box (columns) for each candidate (rows), and what its slope needs."""

    def __init__(self, log_length: Array, log_cdf: tuple[Array, Array], log_density: tuple[Array, Array]) -> None:
        self.log_length, self.log_cdf, self.log_density = log_length, log_cdf, log_density

    def slope(self, share: Array, ends: tuple[Array, Array]) -> Array:
        """The derivative of the whole, through this side: the difference between its two ends, by its share."""
        low, high = (np.exp(np.minimum(share - self.log_length + end, _MOST)) for end in ends)
        total: Array = (low - high).sum(axis=1)
        return total


def _log_side(mean: Array, std: Array, lower: Array, upper: Array) -> _Side:
    levels, places = np.unique(np.concatenate([lower, upper]), return_inverse=True)
    finite = np.isfinite(levels)
    z = (mean[:, None] - np.where(finite, levels, 0.0)) / std[:, None]
    minus = np.where(finite, 0.0, -np.inf)
    log_gain = log_improvement(z) + np.log(std)[:, None] + minus
    log_cdf = log_ndtr(z) + minus
    log_density = -0.5 * z**2 - _LOG_SQRT_2PI + minus
    low, high = places[: len(lower)], places[len(lower) :]
    gap = np.minimum(log_gain[:, high] - log_gain[:, low], -1e-12)
    log_length = log_gain[:, low] + np.log(-np.expm1(gap))
    return _Side(log_length, (log_cdf[:, low], log_cdf[:, high]), (log_density[:, low], log_density[:, high]))
