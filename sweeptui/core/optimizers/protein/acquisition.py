"""How much a candidate is wanted. Larger is better, and only the order matters.

All work on standardised scores, where more is better, so none depends on the score's sign or scale. Each returns its
values and their derivatives with respect to the predicted mean, the standard deviation and the predicted log cost.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import erfcx, log_ndtr

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Judged = tuple[Array, Array, Array, Array]

_LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)
RANDOM_MARGIN = 0.1
RANDOM_OPTIMISM = 0.5
_HOPELESS = 0.05


def log_expected_improvement(
    mean: Array, std: Array, log_cost: Array, incumbent: float, cost_weight: float = 0.0, noise_std: float = 0.0
) -> Judged:
    """Log of expected improvement, over cost to the power of `cost_weight`.

    Stable where the improvement is tiny, and with a usable gradient there (Ament et al. 2023, arXiv:2310.20708). With
    a `noise_std` it is augmented: times 1 - noise_std / sqrt(std^2 + noise_std^2), the share of the deviation that a
    trial can still take away (Huang et al. 2006, doi:10.1007/s10898-005-2454-3). So next to what was tried, where only
    noise is left to see, nothing is wanted.
    """
    z = (mean - incumbent) / std
    log_h = log_improvement(z)
    slope = np.exp(log_ndtr(z) - log_h)
    value = log_h + np.log(std) - cost_weight * log_cost
    by_std = (1 - z * slope) / std
    if noise_std > 0:
        # 1 - noise / whole, written so that it keeps its digits where the noise is nearly all.
        whole = np.sqrt(std**2 + noise_std**2)
        value = value + 2 * np.log(std) - np.log(whole) - np.log(whole + noise_std)
        by_std = by_std + 2 / std - std / whole**2 - std / (whole * (whole + noise_std))
    return value, slope / std, by_std, np.full_like(mean, -cost_weight)


def log_improvement(z: Array) -> Array:
    """log(phi(z) + z Phi(z)) = log phi(z) + log(1 - |z| sqrt(pi/2) erfcx(|z|/sqrt 2)) below 0; far out 1/z^2."""
    near = np.maximum(z, -1.0)
    log_near = np.log(np.exp(-0.5 * near**2 - _LOG_SQRT_2PI) + near * np.exp(log_ndtr(near)))
    far = np.clip(z, -1e3, -1.0)
    bracket = 1 + far * math.sqrt(math.pi / 2) * erfcx(-far / math.sqrt(2))
    log_far = -0.5 * far**2 - _LOG_SQRT_2PI + np.log(np.maximum(bracket, 1e-12))
    beyond = np.minimum(z, -1e3)
    log_beyond = -0.5 * beyond**2 - _LOG_SQRT_2PI - 2 * np.log(-beyond)
    log_h: Array = np.where(z > -1, log_near, np.where(z > -1e3, log_far, log_beyond))
    return log_h


def upper_confidence_bound(mean: Array, std: Array, beta: float) -> Judged:
    return mean + beta * std, np.ones_like(mean), np.full_like(mean, beta), np.zeros_like(mean)


def naive(mean: Array, std: Array, position: Array, target: float, optimism: float) -> Judged:
    """Protein's own: a good score, at a cost near a target that differs from trial to trial.

    `position`: predicted log cost, 0 at the cheapest of the front and 1 at its dearest. Where the original multiplies
    a signed score with a weight that may fall below 0, and so can end up choosing the worst, both factors here are
    positive: the chance that a standard normal is below the score, and the closeness to the target.
    """
    away = position - target
    closeness = np.maximum(1 - np.abs(away), _HOPELESS)
    optimistic = mean + optimism * std
    log_quality = log_ndtr(optimistic)
    slope = np.exp(-0.5 * optimistic**2 - _LOG_SQRT_2PI - log_quality)
    pull = np.where(closeness > _HOPELESS, -np.sign(away) / closeness, 0.0)
    return log_quality + np.log(closeness), slope, optimism * slope, pull
