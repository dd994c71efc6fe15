"""The unit cube as the model sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sweeptui.core.distributions import Distribution
    from sweeptui.core.space import Space


MAX_LEVELS = 4096
"""Values of an axis that are kept in a table."""
MAX_LABELS = 64
STEPS = (-4, -2, -1, 1, 2, 4)


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
        self.levels = [_levels(d) for d in self._distributions]
        """The coordinate of each value of a discrete axis, ascending; empty where there are more than a table holds."""
        self._edges = [(levels[1:] + levels[:-1]) / 2 for levels in self.levels]
        labels = zip(self.levels, self.categorical, strict=True)
        widths = [len(levels) if categorical else 1 for levels, categorical in labels]
        self.feature_axis = np.repeat(np.arange(self.count), widths)
        """For each feature, the axis it belongs to."""

    def snap(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """The coordinates of the values that would really be run."""
        snapped = np.clip(points, 0.0, 1.0)
        for axis, levels in enumerate(self.levels):
            if len(levels):
                snapped[:, axis] = levels[np.searchsorted(self._edges[axis], snapped[:, axis])]
            elif self._distributions[axis].cardinality is not None:
                snapped[:, axis] = [self._snap_one(axis, u) for u in snapped[:, axis]]
        return snapped

    def _snap_one(self, axis: int, u: float) -> float:
        distribution = self._distributions[axis]
        return distribution.to_unit(distribution.from_unit(float(u)))

    def neighbours(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points that differ from one of `points` on one discrete axis: the next few values, or all that are unordered.

        `points` are snapped, and so are their neighbours.
        """
        found = []
        for axis, levels in enumerate(self.levels):
            if len(levels) < 2:
                continue
            at = np.abs(points[:, axis][:, None] - levels).argmin(axis=1)
            for point, index in zip(points, at, strict=True):
                if self.categorical[axis]:
                    others = [other for other in range(min(len(levels), MAX_LABELS)) if other != index]
                else:
                    others = [index + step for step in STEPS if 0 <= index + step < len(levels)]
                for other in others:
                    moved = point.copy()
                    moved[axis] = levels[other]
                    found.append(moved)
        return np.array(found).reshape(-1, self.count)

    def features(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        columns = []
        for axis, levels in enumerate(self.levels):
            column = points[:, axis]
            if self.categorical[axis]:
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
        return np.asarray(rng.choice(self.levels[axis], size=count), dtype=np.float64)


def _levels(distribution: Distribution) -> NDArray[np.float64]:
    count = distribution.cardinality
    if count is None or (count > MAX_LEVELS and distribution.kind != "categorical"):
        return np.empty(0)
    return np.array(distribution.places(), dtype=np.float64)
