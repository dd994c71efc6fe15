"""The unit cube as the model sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sweeptui.core.distributions import Distribution
    from sweeptui.core.space import Space


class Axes:
    """The axes of a space: what their points snap to, how far a local search reaches, and the model's features.

    A numeric axis is one feature. A categorical axis is one-hot, scaled so that two different values are at distance 1:
    with one lengthscale per axis that is a kernel on the Hamming distance.
    """

    def __init__(self, space: Space) -> None:
        self._distributions = [space.distributions[name] for name in space.axes]
        self.count = len(self._distributions)
        self.categorical = np.array([d.kind == "categorical" for d in self._distributions], dtype=bool)
        self.radius = np.array([0.0 if d.kind == "categorical" else d.scale / 2 for d in self._distributions])
        """Reach of a local search in units of the cube; `scale` is in units of an axis from -1 to 1."""
        self._levels = [_levels(d) if d.kind == "categorical" else np.empty(0) for d in self._distributions]
        widths = [len(levels) or 1 for levels in self._levels]
        self.feature_axis = np.repeat(np.arange(self.count), widths)
        """For each feature, the axis it belongs to."""

    def snap(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """The coordinates of the values that would really be run."""
        snapped = np.clip(points, 0.0, 1.0)
        for axis, distribution in enumerate(self._distributions):
            if distribution.cardinality is not None:
                column = [distribution.to_unit(distribution.from_unit(float(u))) for u in snapped[:, axis]]
                snapped[:, axis] = column
        return snapped

    def features(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        columns = []
        for axis, levels in enumerate(self._levels):
            column = points[:, axis]
            if len(levels):
                nearest = np.abs(column[:, None] - levels).argmin(axis=1)
                columns.append(np.eye(len(levels))[nearest] * np.sqrt(0.5))
            else:
                columns.append(column[:, None])
        return np.concatenate(columns, axis=1)

    def from_features(self, features: NDArray[np.float64], like: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points whose numeric axes are taken from `features` and whose categorical ones from `like`."""
        points = like.copy()
        for axis in np.flatnonzero(~self.categorical):
            points[:, axis] = features[:, np.searchsorted(self.feature_axis, axis)]
        return points

    @property
    def numeric_features(self) -> NDArray[np.bool_]:
        return ~self.categorical[self.feature_axis]

    @property
    def numeric_radius(self) -> NDArray[np.float64]:
        """`radius` of the numeric axes, in the order of their features."""
        return np.asarray(self.radius[~self.categorical], dtype=np.float64)

    def random_levels(self, axis: int, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
        return np.asarray(rng.choice(self._levels[axis], size=count), dtype=np.float64)


def _levels(distribution: Distribution) -> NDArray[np.float64]:
    """The coordinate of each value of a categorical axis."""
    count = distribution.cardinality or 1
    return np.array([distribution.to_unit(distribution.from_unit((i + 0.5) / count)) for i in range(count)])
