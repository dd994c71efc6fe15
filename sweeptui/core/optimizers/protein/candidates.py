"""Where the next trial is looked for: points of the unit cube, not yet snapped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats.qmc import Sobol

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sweeptui.core.optimizers.protein.axes import Axes

MAX_CENTRES = 8
"""Searched around in one suggestion; from a longer front, an even share by cost."""
FINEST = 6.0
"""Local samples reach between the full radius and 2**-FINEST of it, so that both a jump and a polish are offered."""
RELABEL = 0.5
"""Chance that a local sample draws a categorical value anew, at full reach."""


def sobol_point(axes: Axes, seed: int, index: int) -> NDArray[np.float64]:
    """Point `index` of the scrambled Sobol sequence of `seed`."""
    engine = Sobol(axes.count, scramble=True, rng=np.random.default_rng(seed))
    engine.fast_forward(index)
    point: NDArray[np.float64] = engine.random(1)[0]
    return point


def choose_centres(front: NDArray[np.int_], incumbent: int) -> NDArray[np.int_]:
    """The incumbent, and the front (cheapest first) thinned to what `MAX_CENTRES` leaves, its two ends kept."""
    others = front[front != incumbent]
    if len(others) >= MAX_CENTRES:
        others = others[np.linspace(0, len(others) - 1, MAX_CENTRES - 1).round().astype(int)]
    return np.concatenate(([incumbent], others))


def around(
    centres: NDArray[np.float64], axes: Axes, scale: float, count: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """`count` points around each centre, each axis within `scale` times its radius."""
    base = np.repeat(centres, count, axis=0)
    reach = 2.0 ** -rng.uniform(0.0, FINEST, size=(len(base), 1))
    points = base + rng.uniform(-1.0, 1.0, size=base.shape) * reach * axes.radius * scale
    for axis in np.flatnonzero(axes.categorical):
        anew = rng.random(len(base)) < min(1.0, RELABEL * scale) * reach[:, 0]
        points[:, axis] = np.where(anew, axes.random_levels(int(axis), len(base), rng), base[:, axis])
    clipped: NDArray[np.float64] = np.clip(points, 0.0, 1.0)
    return clipped
