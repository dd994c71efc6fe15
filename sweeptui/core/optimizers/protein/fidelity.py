"""Scores of trials that did not train to their end.

The score f(x, s) at a share s of the training falls short of the final one, f(x, 1), by an amount that shrinks to
nothing as s goes to 1:

    f(x, s) = f(x, 1) + phi(s) * (a + g(x)),    phi(s) = 1 - s ** p

with a normal and g a Gaussian process of the same kernel as f(., 1). phi is monotone and saturates: the smaller p, the
earlier a curve has done most of its rise. The shortfall's sign is not presumed, since scores may be losses and may get
worse. It is the linear truncated fidelity kernel of Wu et al. 2019 ("Practical Multi-fidelity Bayesian Optimization",
arXiv:1903.04703) with a learnt p and a constant. At s = 1 all of it is 0, so what is predicted needs the kernel of x
alone, and a sweep without unfinished trials pays nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

LEAST = 1e-3
"""Shares below it count as this much."""
PARAMETERS = 3
"""Logs of: the variance of g and of a, both over the signal's, and p."""
PRIOR_CENTRE = np.log([0.3, 1.0, 0.5])
PRIOR_VARIANCE = np.array([1.0, 4.0, 0.5])
LOW, HIGH = np.log([1e-3, 1e-2, 0.05]), np.log([30.0, 1e3, 3.0])


def usable(fidelities: Array) -> Array:
    """Between `LEAST` and 1; what is no number counts as 1."""
    return np.clip(np.where(np.isfinite(fidelities), fidelities, 1.0), LEAST, 1.0)


@dataclass(frozen=True, slots=True)
class Shortfall:
    """The part of a covariance matrix that is between unfinished trials."""

    factor: Array
    """What the kernel of x is multiplied by."""
    shift: Array
    """What is added then."""
    _parts: tuple[float, float, Array, Array]

    @classmethod
    def of(cls, fidelities: Array, logs: Array) -> Shortfall:
        own, common, power = (math.exp(value) for value in logs)
        grown = fidelities**power
        phi = 1.0 - grown
        slope = -power * np.log(fidelities) * grown
        together = np.outer(phi, phi)
        return cls(1.0 + own * together, common * together, (own, common, phi, slope))

    def gradient(self, sensitivity: Array, kernel: Array) -> Array:
        """By the three logs, of a value whose derivative by the covariance matrix is `sensitivity` / 2."""
        own, common, phi, slope = self._parts
        by_kernel = sensitivity * kernel
        return np.array(
            [
                0.5 * own * float(phi @ by_kernel @ phi),
                0.5 * common * float(phi @ sensitivity @ phi),
                float(slope @ (own * by_kernel + common * sensitivity) @ phi),
            ]
        )


def log_prior(logs: Array) -> tuple[float, Array]:
    """Normal in the logs; and its gradient."""
    deviation = logs - PRIOR_CENTRE
    return -0.5 * float(deviation @ (deviation / PRIOR_VARIANCE)), -deviation / PRIOR_VARIANCE
