"""The search for the candidate that is wanted most, whatever the models are."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
from scipy.optimize import minimize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sweeptui.core.optimizers.protein.axes import Axes

    Array = NDArray[np.float64]

Drawn = TypeVar("Drawn")
"""What chance decides in one trial's acquisition."""

CLIMBED = 6
"""Candidates that climb the acquisition's gradient."""
CLIMB_ITERATIONS = 30
APART = 0.1
"""Between the starts of climbs, as a share of the cube's diagonal."""
ROUNDS = 3
"""Of the search among the neighbours on discrete axes."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """Candidates and what is predicted of them, in standardised units; `order` has the most wanted first."""

    points: Array
    mean: Array
    std: Array
    cost: Array
    """In the user's unit."""
    value: Array
    over_cost: NDArray[np.bool_]

    @property
    def order(self) -> NDArray[np.int_]:
        """What is over the cost limit comes last, the cheapest of it first."""
        return np.lexsort((-self.value, np.where(self.over_cost, self.cost, 0.0), self.over_cost))


@dataclass(frozen=True, slots=True)
class Region:
    """What a search stays within, on the numeric axes."""

    centre: Array
    """A point of the cube."""
    factor: float
    """On a local search's reach, in each direction."""


class Search(ABC, Generic[Drawn]):
    """Candidates are judged, the best climb the gradient, and their discrete neighbours are tried."""

    def __init__(self, axes: Axes, scale: float) -> None:
        """`scale`: factor on the reach of a local search."""
        self._axes = axes
        self._search_scale = scale

    @abstractmethod
    def _judge(self, points: Array, draw: Drawn) -> Ranked:
        """What is predicted of snapped points, and how much each is wanted."""

    @abstractmethod
    def _wanted(self, features: Array, draw: Drawn) -> tuple[float, Array]:
        """How much one row of features is wanted, and the gradient of that."""

    def rank(self, near: Array, anywhere: Array, draw: Drawn, region: Region | None = None) -> Ranked:
        """Judge the candidates, and those that the best of them climb to: those of `near` within their reach.

        Where there is a `region`, nothing climbs out of it.
        """
        first = self._judge(self._axes.snap(np.concatenate([near, anywhere])), draw)
        starts = self._starts(first, APART if region is None else APART * min(1.0, region.factor))
        reaches = [1.0 if start < len(near) else math.inf for start in starts]
        climbed = [
            self._climb(first.points[start], draw, reach, region) for start, reach in zip(starts, reaches, strict=True)
        ]
        parts = [first, self._judge(self._axes.snap(np.array(climbed)), draw)]
        for _ in range(ROUNDS):
            best = parts[-1].points[parts[-1].order[:2]]
            near = self._axes.neighbours(best)
            if not len(near):
                break
            parts.append(self._judge(near, draw))
        if len(parts) > 2:
            whole = _joined(parts)
            again = [self._climb(start, draw, 1.0, region) for start in whole.points[whole.order[:2]]]
            parts.append(self._judge(self._axes.snap(np.array(again)), draw))
        return _joined(parts)

    def _starts(self, ranked: Ranked, apart: float) -> list[int]:
        """The most wanted candidates that are not all in one place."""
        least = (apart**2) * self._axes.count
        chosen: list[int] = []
        for index in ranked.order[:400].tolist():
            point = ranked.points[index]
            if all(((point - ranked.points[other]) ** 2).sum() > least for other in chosen):
                chosen.append(index)
                if len(chosen) == CLIMBED:
                    break
        return chosen

    def _climb(self, start: Array, draw: Drawn, reach: float, region: Region | None) -> Array:
        """Gradient ascent on the numeric axes, at most `reach` times the local one away, and within the region."""
        numeric = self._axes.numeric_features
        if not numeric.any():
            return start
        features = self._axes.features(start[None, :])[0]

        def loss(moving: Array) -> tuple[float, Array]:
            features[numeric] = moving
            value, slope = self._wanted(features, draw)
            return -value, -slope[numeric]

        first = features[numeric].copy()
        centre, factor = (first, reach) if region is None else (region.centre[~self._axes.categorical], region.factor)
        furthest = (
            np.minimum(self._axes.numeric_radius * self._search_scale * factor, 1.0) if factor < math.inf else 1.0
        )
        low, high = (centre - furthest).clip(0.0, 1.0), (centre + furthest).clip(0.0, 1.0)
        found = minimize(
            loss,
            first.clip(low, high),
            jac=True,
            method="L-BFGS-B",
            bounds=list(zip(low, high, strict=True)),
            options={"maxiter": CLIMB_ITERATIONS, "ftol": 1e-7},
        )
        features[numeric] = found.x if np.isfinite(found.x).all() else first
        climbed: Array = self._axes.from_features(features[None, :], like=start[None, :])[0]
        return climbed


def _joined(parts: list[Ranked]) -> Ranked:
    return Ranked(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("points", "mean", "std", "cost", "value", "over_cost")
        )
    )
