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
PRESENCE = 0.5
"""Between a configuration with a numeric parameter and one without, before the lengthscale: half of its axis."""
STEPS = (-4, -2, -1, 1, 2, 4)


class Axes:
    """The axes of a space: what their points snap to, how far a local search reaches, and the model's features.

    A parameter that does not exist stands at the centre of its axis, and what is numeric has a second feature that says
    whether it exists; of one that is categorical no value is set. So two configurations without it are not apart in it,
    whatever it would have been, and one with it is apart from one without by a distance that is learnt.

    A numeric axis is one feature. A categorical axis is one-hot, scaled so that two different values are at distance 1:
    with one lengthscale per axis that is a kernel on the Hamming distance.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        self._distributions = [space.distributions[name] for name in space.axes]
        self.conditional = np.array([name in space.conditions.of for name in space.axes], dtype=bool)
        self.centre = np.array([d.to_unit(d.from_unit(d.center)) for d in self._distributions])
        """Each parameter's `mean`. There stands one that does not exist."""
        deciding = set(space.conditions.deciding)
        self._deciding = [axis for axis, name in enumerate(space.axes) if name in deciding]
        self.count = len(self._distributions)
        self.categorical = np.array([d.kind == "categorical" for d in self._distributions], dtype=bool)
        self.radius = np.array([0.0 if d.kind == "categorical" else d.scale / 2 for d in self._distributions])
        """Reach of a local search in units of the cube; `scale` is in units of an axis from -1 to 1."""
        self.levels = [_levels(d) for d in self._distributions]
        """The coordinate of each value of a discrete axis, ascending; empty where there are more than a table holds."""
        self._edges = [(levels[1:] + levels[:-1]) / 2 for levels in self.levels]
        labels = list(zip(self.levels, self.categorical, strict=True))
        widths = [
            len(levels) if categorical else 1 + conditional
            for (levels, categorical), conditional in zip(labels, self.conditional.tolist(), strict=True)
        ]
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
        return self._without_absent(snapped)

    def _without_absent(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        if not self.conditional.any():
            return points
        return np.where(self.exists(points), points, self.centre)

    def exists(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which parameters there are at snapped points; asked once for all points with the same deciding values."""
        if len(points) == 0:
            return np.ones(points.shape, dtype=np.bool_)
        different, which = np.unique(points[:, self._deciding], axis=0, return_inverse=True)
        rows = np.repeat(self.centre[None, :], len(different), axis=0)
        rows[:, self._deciding] = different
        there = [self._space.decode(row) for row in rows.tolist()]
        known = np.array([[name in each for name in self._space.axes] for each in there], dtype=np.bool_)
        return np.asarray(known[which.reshape(-1)], dtype=np.bool_)

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
        return self._without_absent(np.array(found).reshape(-1, self.count))

    def features(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        columns = []
        there = self.exists(points) if self.conditional.any() else None
        for axis, levels in enumerate(self.levels):
            column = points[:, axis]
            if self.categorical[axis]:
                nearest = np.abs(column[:, None] - levels).argmin(axis=1)
                one_hot = np.eye(len(levels))[nearest] * np.sqrt(0.5)
                columns.append(one_hot if there is None else one_hot * there[:, [axis]])
            else:
                columns.append(column[:, None])
                if there is not None and self.conditional[axis]:
                    columns.append(there[:, [axis]] * PRESENCE)
        return np.concatenate(columns, axis=1)

    def from_features(self, features: NDArray[np.float64], like: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points whose numeric axes are taken from `features` and whose categorical ones from `like`."""
        points = like.copy()
        for axis in np.flatnonzero(~self.categorical):
            points[:, axis] = features[:, np.searchsorted(self.feature_axis, axis)]
        return points

    @property
    def numeric_features(self) -> NDArray[np.bool_]:
        first = np.concatenate((np.ones(1, dtype=np.bool_), self.feature_axis[1:] != self.feature_axis[:-1]))
        return np.asarray(~self.categorical[self.feature_axis] & first, dtype=np.bool_)

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
