"""An axis may be bent before distances are taken: what changes fast at one end is then as smooth there as elsewhere.

A learning rate that matters in its lowest decade, a share that matters near 1: no lengthscale is right for the whole of
such an axis. Each axis gets a map of [0, 1] onto itself, Kumaraswamy's distribution function 1 - (1 - u^a)^b, with an a
and a b that are learnt, as Snoek et al. 2014 do with the beta distribution's ("Input Warping for Bayesian Optimization
of Non-Stationary Functions", arXiv:1402.0929).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

PRIOR_VARIANCE = 0.25
"""Of log a and log b, around the straight axis: a bend has to be shown by the data."""
FURTHEST = 1.5
"""Of log a and log b."""
_EDGE = 1e-6
"""From the ends of an axis: there the slope is infinite for an a or b below 1."""


@dataclass(frozen=True, slots=True)
class Bends:
    """The maps of the axes, for rows of features."""

    logs: Array
    """Of each axis's a, then of each one's b."""
    feature_axis: NDArray[np.int_]
    bendable: NDArray[np.bool_]
    """The features that are bent: those that are the place on a numeric axis."""

    def bend(self, x: Array) -> Array:
        """Rows of features, or one, with the bendable ones bent."""
        return np.where(self.bendable, 1 - self._parts(x)[2] ** self._powers()[1], x)

    def slope(self, x: Array) -> Array:
        """The derivative of each bent feature by what it was."""
        a, b = self._powers()
        u, grown, rest = self._parts(x)
        return np.where(self.bendable, (1 - 2 * _EDGE) * a * b * rest ** (b - 1) * grown / u, 1.0)

    def by_logs(self, x: Array) -> tuple[Array, Array]:
        """The derivatives of each bent feature by the log of its axis's a, and by that of b."""
        a, b = self._powers()
        u, grown, rest = self._parts(x)
        by_a = a * b * rest ** (b - 1) * grown * np.log(u)
        by_b = -b * rest**b * np.log(rest)
        return np.where(self.bendable, by_a, 0.0), np.where(self.bendable, by_b, 0.0)

    def _powers(self) -> tuple[Array, Array]:
        """a and b of each feature."""
        a, b = np.exp(self.logs).reshape(2, -1)
        return a[self.feature_axis], b[self.feature_axis]

    def _parts(self, x: Array) -> tuple[Array, Array, Array]:
        """u, u^a and 1 - u^a."""
        u = np.clip(x, 0.0, 1.0) * (1 - 2 * _EDGE) + _EDGE
        grown = u ** self._powers()[0]
        return u, grown, np.maximum(1 - grown, 1e-15)


def log_prior(logs: Array) -> tuple[float, Array]:
    """Normal around 0; and its gradient."""
    return -0.5 * float(logs @ logs) / PRIOR_VARIANCE, -logs / PRIOR_VARIANCE
