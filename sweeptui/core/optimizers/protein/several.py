"""Protein with several objectives: a model of each, and the search for what pushes their front out the furthest."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sweeptui.core.optimizers.protein.boxes import crowding, non_dominated, open_boxes, ranks, thinned
from sweeptui.core.optimizers.protein.candidates import MAX_CENTRES
from sweeptui.core.optimizers.protein.feasibility import Success
from sweeptui.core.optimizers.protein.gp import GaussianProcess, Matern, SquaredExponential, default_starts, fit
from sweeptui.core.optimizers.protein.improvement import log_expected_hypervolume_improvement
from sweeptui.core.optimizers.protein.prediction import expected
from sweeptui.core.optimizers.protein.search import Ranked, Search
from sweeptui.core.optimizers.protein.surrogate import (
    COST_WEIGHT,
    FIT_ITERATIONS,
    MAX_FIT,
    Draw,
    over_limit,
    regress,
)
from sweeptui.core.optimizers.protein.targets import MAX_TRAINING, standardise_costs, training_subset
from sweeptui.core.optimizers.protein.turn import Turn
from sweeptui.core.optimizers.protein.warp import Warped, warps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sweeptui.core.optimizers.protein.axes import Axes
    from sweeptui.core.settings import ProteinSettings
    from sweeptui.core.trial import Observation

    Array = NDArray[np.float64]

SHAPES = 2
"""Of `warps`: as it is, or with what is far below the best drawn in. A finer knee would make the ends of the front
large and its middle small."""
MARGIN = 0.5
"""How far below the worst of all observations the reference lies, as a share of the range up to the best. A reference
near the front would leave nothing to be won beyond its ends, and a front that is one point would stay it."""
LEAST_RANGE = 0.1
"""In standard deviations of the scores, where they do not differ."""


@dataclass(frozen=True, slots=True)
class Objective:
    """The model of one objective, in the shape that explains it best."""

    warped: Warped
    model: GaussianProcess


class FrontModels(Search[Draw]):
    """Models of each objective and of the cost.

    `scores` (more is better; a row for each observation, a column for each objective) and `costs` are of all
    observations, ordered by trial number; `points`, in that order, of those in `kept`, which the models see. Raises
    `ModelError`.
    """

    def __init__(
        self,
        axes: Axes,
        options: ProteinSettings,
        kept: NDArray[np.int_],
        points: Array,
        scores: Array,
        costs: Array,
        failed: Array,
    ) -> None:
        super().__init__(axes, options.global_search_scale)
        self._cap = options.max_suggestion_cost
        self._features = features = axes.features(points)
        self._success = Success.learnt(features, axes.features(failed), axes.feature_axis)
        self._seen = [(float(column.min()), float(column.max())) for column in scores[kept].T]
        self._costs = standardise_costs(costs)
        self._cost_gp = None if self._costs.constant else regress(axes, features, self._costs.values[kept])
        learnt = training_subset(by_rank(scores[kept]), MAX_FIT)
        self.objectives = [_explained(axes, features, column, learnt) for column in scores[kept].T]
        self._reached = self._means(features)
        """What the models make of each observation: with noise, the best scores are often luck."""
        self._find_front()

    def _find_front(self) -> None:
        front = self._reached[non_dominated(self._reached)]
        worst = self._reached.min(axis=0)
        reference = worst - MARGIN * np.maximum(front.max(axis=0) - worst, LEAST_RANGE)
        self._lower, self._upper = open_boxes(thinned(front), reference)

    def _means(self, features: Array) -> Array:
        return np.column_stack([each.model.predict_mean(features) for each in self.objectives])

    def believe(self, points: Array) -> None:
        """Count pending trials at `points` as done with what the models expect, which then may be on the front."""
        if len(points) == 0:
            return
        features = self._axes.features(points)
        self._reached = np.concatenate([self._reached, self._means(features)])
        for each in self.objectives:
            each.model.believe(features)
        self._find_front()

    def expected(self, point: Array) -> list[tuple[float, float]]:
        """What to expect of each objective at a point, and half the width of the middle 68%, in its own unit."""
        features = self._axes.features(point[None, :])
        found = []
        for each, seen in zip(self.objectives, self._seen, strict=True):
            mean, std = each.model.predict(features)
            part = (1.0, float(mean[0]), math.hypot(float(std[0]), each.model.noise_std), each.warped)
            found.append(expected([part], len(self._features), seen))
        return found

    def _judge(self, points: Array, draw: Draw) -> Ranked:
        features = self._axes.features(points)
        predictions = [each.model.predict(features) for each in self.objectives]
        mean, std = (np.column_stack([of[part] for of in predictions]) for part in (0, 1))
        log_cost = np.zeros(len(points)) if self._cost_gp is None else self._cost_gp.predict_mean(features)
        value = log_expected_hypervolume_improvement(mean - draw.margin, std, self._lower, self._upper)[0]
        value = value - COST_WEIGHT * self._costs.spread * log_cost
        if self._success is not None:
            value = value + self._success.log_chance(features)
        cost = np.exp(log_cost * self._costs.spread + self._costs.centre)
        return Ranked(points, mean, std, cost, value, over_limit(self._cap, cost, features, self._cost_gp, self._costs))

    def _wanted(self, features: Array, draw: Draw) -> tuple[float, Array]:
        predictions = [each.model.gradients(features) for each in self.objectives]
        mean = np.array([[each[0] for each in predictions]])
        std = np.array([[each[1] for each in predictions]])
        value, by_mean, by_std = log_expected_hypervolume_improvement(mean - draw.margin, std, self._lower, self._upper)
        slope = by_mean[0] @ np.array([each[2] for each in predictions])
        slope = slope + by_std[0] @ np.array([each[3] for each in predictions])
        total = float(value[0])
        if self._cost_gp is not None:
            log_cost, _, cost_slope, _ = self._cost_gp.gradients(features)
            total -= COST_WEIGHT * self._costs.spread * log_cost
            slope = slope - COST_WEIGHT * self._costs.spread * cost_slope
        return total, slope


def _explained(axes: Axes, features: Array, scores: Array, learnt: NDArray[np.int_]) -> Objective:
    """The shape and the kernel with the most evidence."""
    best: tuple[float, Objective] | None = None
    for warped in warps(scores)[:SHAPES]:
        for kernel in (Matern, SquaredExponential):
            found, evidence = fit(
                features[learnt],
                warped.values[learnt],
                axes.feature_axis,
                kernel,
                default_starts(axes.count),
                FIT_ITERATIONS,
            )
            evidence += warped.log_density * len(learnt) / len(scores)
            if best is None or evidence > best[0]:
                model = GaussianProcess(features, warped.values, axes.feature_axis, kernel, found)
                best = evidence, Objective(warped, model)
    assert best is not None
    return best[1]


def by_rank(scores: Array) -> Array:
    """One number for each row that puts the front before all else, then the next one: for who is kept of many."""
    return np.asarray(-ranks(scores, 2 * MAX_TRAINING), dtype=np.float64)


class FrontTurn(Turn[FrontModels]):
    """For several objectives."""

    @property
    def acquisition(self) -> str:
        return "ehvi"

    def _usable(self, observation: Observation) -> bool:
        # A front of scores that were reached in different shares of the training compares what cannot be compared.
        complete = observation.fidelity >= 1 and len(observation.scores) == len(self._signs)
        return complete and all(map(math.isfinite, observation.scores))

    def _scores(self) -> Array:
        """With the signs in which more is better."""
        rows = [observation.scores for observation in self._rows]
        return np.asarray(np.array(rows, dtype=np.float64) * np.array(self._signs), dtype=np.float64)

    def _fitted(self) -> FrontModels:
        scores = self._scores()
        kept = training_subset(by_rank(scores)) if len(scores) > MAX_TRAINING else np.arange(len(scores))
        points = self._points([self._rows[index].params for index in kept])
        return FrontModels(self._axes, self._options, kept, points, scores, self._costs(), self._failed[-MAX_TRAINING:])

    def _costs(self) -> Array:
        return self._cost_and_share(self._rows)[0]

    def _front(self) -> list[int]:
        members = np.flatnonzero(non_dominated(self._scores()))
        return [int(index) for index in members[np.argsort(self._costs()[members], kind="stable")]]

    def _centres(self, models: FrontModels, rng: np.random.Generator) -> Sequence[int]:
        """As many of the front as are searched around: the loneliest half, and others by chance."""
        del models
        scores = self._scores()
        members = np.flatnonzero(non_dominated(scores))
        if len(members) <= MAX_CENTRES:
            return [int(index) for index in members]
        lonely = np.argsort(-crowding(scores[members]), kind="stable")
        others = rng.choice(lonely[MAX_CENTRES // 2 :], MAX_CENTRES - MAX_CENTRES // 2, replace=False)
        return [int(members[place]) for place in (*lonely[: MAX_CENTRES // 2], *others)]

    def _predicted(self, models: FrontModels, point: Array) -> dict[str, Any]:
        pairs = models.expected(point)
        means = [sign * mean for sign, (mean, _) in zip(self._signs, pairs, strict=True)]
        stds = [std for _, std in pairs]
        if not all(map(math.isfinite, (*means, *stds))):
            return {}
        return {"score_mean": means[0], "score_std": stds[0], "score_means": means, "score_stds": stds}
