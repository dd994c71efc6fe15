"""Scores that are not those of a complete trial of this sweep: of unfinished trials, and of another sweep's.

The score f(x, s) at a share s of the training falls short of the final one, f(x, 1), by an amount that shrinks to
nothing as s goes to 1:

    f(x, s) = f(x, 1) + phi(s) * (a + g(x)),    phi(s) = 1 - s ** p

with a normal and g a Gaussian process of the same kernel as f(., 1). phi is monotone and saturates: the smaller p, the
earlier a curve has done most of its rise. The shortfall's sign is not presumed, since scores may be losses and may get
worse. It is the linear truncated fidelity kernel of Wu et al. 2019 ("Practical Multi-fidelity Bayesian Optimization",
arXiv:1903.04703) with a learnt p and a constant.

A trial of another sweep is off in the same way, by a_o + g_o(x) with parts of their own: how much two sweeps have in
common is learnt. Where all are complete trials of this sweep the whole is 0, so what is predicted needs the kernel of x
alone, and a sweep without the others pays nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FOREIGN = 0.0
"""In the place of a share: the trial is another sweep's."""
LEAST = 1e-3
"""Shares of this sweep's trials below it count as this much."""
# Logs of: the variance of g and of a, both over the signal's, and p; and of g_o and a_o.
PRIOR_CENTRE = np.log([0.3, 1.0, 0.5, 0.1, 1.0])
PRIOR_VARIANCE = np.array([1.0, 4.0, 0.5, 2.0, 4.0])
LOW, HIGH = np.log([1e-3, 1e-2, 0.05, 1e-3, 1e-3]), np.log([30.0, 1e3, 3.0, 30.0, 1e3])


def usable(shares: Array) -> Array:
    """Between `LEAST` and 1; what is no number counts as 1."""
    return np.clip(np.where(np.isfinite(shares), shares, 1.0), LEAST, 1.0)


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """The part of a covariance matrix that is between scores that are off."""

    factor: Array
    """What the kernel of x is multiplied by."""
    shift: Array
    """What is added then."""
    _terms: tuple[tuple[float, float, Array], tuple[float, float, Array]]
    _slope: Array
    """Of phi by log p."""

    @classmethod
    def of(cls, shares: Array, logs: Array) -> Discrepancy:
        own, common, power, other_own, other_common = (math.exp(value) for value in logs)
        foreign = np.where(shares == FOREIGN, 1.0, 0.0)
        safe = np.where(shares == FOREIGN, 1.0, shares)
        grown = safe**power
        phi = 1.0 - grown
        slope = -power * np.log(safe) * grown
        short, off = np.outer(phi, phi), np.outer(foreign, foreign)
        return cls(
            1.0 + own * short + other_own * off,
            common * short + other_common * off,
            ((own, common, phi), (other_own, other_common, foreign)),
            slope,
        )

    def gradient(self, sensitivity: Array, kernel: Array) -> Array:
        """By the logs, of a value whose derivative by the covariance matrix is `sensitivity` / 2."""
        by_kernel = sensitivity * kernel
        own, common, phi = self._terms[0]
        by_power = float(self._slope @ (own * by_kernel + common * sensitivity) @ phi)
        found = []
        for of_g, of_a, which in self._terms:
            found += [0.5 * of_g * float(which @ by_kernel @ which), 0.5 * of_a * float(which @ sensitivity @ which)]
        return np.array([*found[:2], by_power, *found[2:]])


def log_prior(logs: Array) -> tuple[float, Array]:
    """Normal in the logs; and its gradient."""
    deviation = logs - PRIOR_CENTRE
    return -0.5 * float(deviation @ (deviation / PRIOR_VARIANCE)), -deviation / PRIOR_VARIANCE
