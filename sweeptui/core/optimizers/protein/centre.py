"""What is believed before the first trial: that the best is nearer to the search's centre than to a far corner.

A model of few trials is least sure in the corners of the space, of which there are two to the power of the axes, and
would look there first, trial after trial.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sweeptui.core.optimizers.protein.axes import Axes

    Array = NDArray[np.float64]

CENTRE_WEIGHT = 3.0
"""Of what is believed, after one observation: after n, a part in n of that."""


@dataclass(frozen=True, slots=True)
class Pull:
    """The logarithm of a normal prior around the centre, to be added to that of an improvement.

    A belief about where the best lies is weighted so in Hvarfner et al. 2022 (arXiv:2204.11051); the centre is each
    parameter's `mean`. The value is 0 at the centre, and `weight` less for each numeric axis on which a point is at the
    end that is farther from it.
    """

    centre: Array
    """Of the numeric axes."""
    reach: Array
    """From the centre to the farther end."""
    numeric: NDArray[np.bool_]
    """Which axes of a point."""
    weight: float

    @classmethod
    def of(cls, axes: Axes, observations: int) -> Pull:
        numeric = ~axes.categorical
        centre = axes.centre[numeric]
        return cls(centre, np.maximum(centre, 1 - centre), numeric, CENTRE_WEIGHT / max(1, observations))

    def value(self, points: Array) -> Array:
        """Of points of the unit cube."""
        away = (points[:, self.numeric] - self.centre) / self.reach
        pulled: Array = -self.weight * (away**2).sum(axis=1)
        return pulled

    def gradient(self, numeric: Array) -> tuple[float, Array]:
        """The value at a point of which the numeric coordinates are given, and its derivatives by them."""
        away = (numeric - self.centre) / self.reach
        return -self.weight * float((away**2).sum()), -2 * self.weight * away / self.reach
