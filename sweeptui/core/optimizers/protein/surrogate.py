"""The fitted models of one suggestion, and how they rank candidates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

from sweeptui.core.optimizers.protein import acquisition
from sweeptui.core.optimizers.protein.feasibility import log_success
from sweeptui.core.optimizers.protein.fidelity import FOREIGN
from sweeptui.core.optimizers.protein.gp import (
    GaussianProcess,
    Hyperparameters,
    Kernel,
    Matern,
    SquaredExponential,
    default_starts,
    fit,
)
from sweeptui.core.optimizers.protein.prediction import expected
from sweeptui.core.optimizers.protein.targets import complete_front, standardise_costs, training_subset
from sweeptui.core.optimizers.protein.warp import Warped, warps

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sweeptui.core.optimizers.protein.axes import Axes
    from sweeptui.core.optimizers.protein.settings import ProteinOptions

    Array = NDArray[np.float64]

CLIMBED = 6
"""Candidates that climb the acquisition's gradient."""
CLIMB_ITERATIONS = 30
APART = 0.1
"""Between the starts of climbs, as a share of the cube's diagonal."""
ROUNDS = 3
"""Of the search among the neighbours on discrete axes."""
CAUTION = 1.0
"""Deviations of the predicted log cost that a candidate must stay below the cost limit: where nothing was tried yet,
the model only knows the average."""
MAX_FIT = 150
"""Observations that hyperparameters are learnt from; predictions use up to `targets.MAX_TRAINING`."""
FIT_ITERATIONS = 40
SMOOTH_TRIED = 2
"""Of the shapes best explained with the Matern kernel: those that the smoother kernel is tried on."""
TEMPERATURE = 3.0
MAX_EXPLANATIONS = 4
MIN_WEIGHT = 0.05
COST_WEIGHT = 0.15
"""Expected improvement is divided by the predicted cost to this power: ten times the cost must promise 1.4 times the
improvement. At 1, as "improvement per unit of cost" would have it, a search stays with what is cheap and poor."""


@dataclass(frozen=True, slots=True)
class Draw:
    """What chance decides in one trial's acquisition."""

    beta: float
    margin: float
    optimism: float
    cost_target: float

    @classmethod
    def of(cls, options: ProteinOptions, rng: np.random.Generator) -> Draw:
        cost_target = (1 + options.expansion_rate) * rng.uniform()
        beta, margin, optimism = rng.exponential(size=3)
        if not options.randomize_acquisition:
            return cls(options.ucb_beta, 0.0, 0.0, cost_target)
        return cls(
            options.ucb_beta * beta,
            acquisition.RANDOM_MARGIN * margin,
            acquisition.RANDOM_OPTIMISM * optimism,
            cost_target,
        )


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


class Surrogate:
    """Models of score and cost.

    `scores` (more is better), `costs` (of a complete training) and `shares` (of it that was done, or `FOREIGN`) are of
    all observations, ordered by trial number; `points`, in that order, of those in `kept`, which the models see. Raises
    `ModelError`.
    """

    def __init__(
        self,
        axes: Axes,
        options: ProteinOptions,
        kept: NDArray[np.int_],
        points: Array,
        scores: Array,
        costs: Array,
        shares: Array,
        failed: Array,
    ) -> None:
        self._axes = axes
        self._options = options
        self._features = features = axes.features(points)
        self._failed_features = axes.features(failed)
        self.front = complete_front(scores, costs, shares)
        # What another sweep's trials cost, on another machine perhaps, is not this one's.
        own = shares > FOREIGN
        self.costs = standardise_costs(costs, own)
        partial = shares[kept] if (shares[kept] < 1).any() else None
        self._explanations = explain(axes, features, scores[kept], partial)
        ours = own[kept]
        self._cost_gp = None
        if not self.costs.constant:
            self._cost_gp = _regress(axes, features[ours], self.costs.values[kept][ours])
        # What an unfinished trial would have reached is a guess: it is nothing to improve on while others have ended.
        proven = np.flatnonzero(shares[kept] == 1) if (shares[kept] == 1).any() else np.arange(len(kept))
        means = [each.model.predict_mean(features[proven]) for each in self._explanations]
        self._best_means = [float(mean.max()) for mean in means]
        self.incumbent = int(kept[proven[int(means[0].argmax())]])
        """Index of the observed point with the best posterior mean: with noise, the best score is often luck."""
        front_costs = self.costs.values[self.front]
        self._cheapest = float(front_costs.min())
        self._cost_range = float(front_costs.max()) - self._cheapest

    def believe(self, points: Array) -> None:
        """Count pending trials at `points` as done with the score the model expects, which the next must improve on."""
        if len(points) == 0:
            return
        features = self._axes.features(points)
        for which, each in enumerate(self._explanations):
            expected = float(each.model.predict_mean(features).max())
            self._best_means[which] = max(self._best_means[which], expected)
            each.model.believe(features)

    def expected(self, point: Array) -> tuple[float, float]:
        """The score to expect at a point, and half the width of the middle 68%, in the unit of `scores`."""
        features = self._axes.features(point[None, :])
        parts = []
        for each in self._explanations:
            mean, std = each.model.predict(features)
            parts.append((each.weight, float(mean[0]), math.hypot(float(std[0]), each.model.noise_std), each.warped))
        return expected(parts, len(self._features))

    def rank(self, near: Array, anywhere: Array, draw: Draw) -> Ranked:
        """Judge the candidates, and those that the best of them climb to: those of `near` within their reach."""
        first = self._judge(self._axes.snap(np.concatenate([near, anywhere])), draw)
        starts = self._starts(first)
        climbed = np.array([self._climb(first.points[start], draw, bounded=start < len(near)) for start in starts])
        climbed = self._axes.snap(climbed)
        parts = [first, self._judge(climbed, draw)]
        for _ in range(ROUNDS):
            best = parts[-1].points[parts[-1].order[:2]]
            near = self._axes.neighbours(best)
            if not len(near):
                break
            parts.append(self._judge(near, draw))
        if len(parts) > 2:
            whole = _joined(parts)
            again = [self._climb(start, draw, bounded=True) for start in whole.points[whole.order[:2]]]
            parts.append(self._judge(self._axes.snap(np.array(again)), draw))
        return _joined(parts)

    def _starts(self, ranked: Ranked) -> list[int]:
        """The most wanted candidates that are not all in one place."""
        apart = (APART**2) * self._axes.count
        chosen: list[int] = []
        for index in ranked.order[:400].tolist():
            point = ranked.points[index]
            if all(((point - ranked.points[other]) ** 2).sum() > apart for other in chosen):
                chosen.append(index)
                if len(chosen) == CLIMBED:
                    break
        return chosen

    def _judge(self, points: Array, draw: Draw) -> Ranked:
        features = self._axes.features(points)
        predictions = [each.model.predict(features) for each in self._explanations]
        log_cost = np.zeros(len(points)) if self._cost_gp is None else self._cost_gp.predict_mean(features)
        values = [self._acquisition(k, *of, log_cost, draw)[0] for k, of in enumerate(predictions)]
        value = self._combined(values)[0]
        value = value + log_success(features, self._features, self._failed_features, self._axes.count)
        cost = np.exp(log_cost * self.costs.spread + self.costs.centre)
        cap = self._options.max_suggestion_cost
        over = np.zeros(len(points), dtype=bool)
        if cap is not None:
            doubt = 0.0 if self._cost_gp is None else self._cost_gp.predict(features)[1] * self.costs.spread
            over = cost * np.exp(CAUTION * doubt) > cap
        return Ranked(points, *predictions[0], cost, value, over)

    def _combined(self, values: list[Array]) -> tuple[Array, Array]:
        """One value out of each explanation's, and the weight that each has in its gradient.

        Improvements are averaged, as they are expectations: a log of a mean. What is no logarithm is averaged itself.
        """
        weights = np.array([each.weight for each in self._explanations])[:, None]
        if self._options.acquisition == "ucb":
            return (weights * values).sum(axis=0), weights
        together = logsumexp(values, axis=0, b=weights)
        return together, weights * np.exp(values - together)

    def _acquisition(self, which: int, mean: Array, std: Array, log_cost: Array, draw: Draw) -> acquisition.Judged:
        """By the explanation of that number."""
        match self._options.acquisition:
            case "ucb":
                return acquisition.upper_confidence_bound(mean, std, draw.beta)
            case "naive":
                if self._cost_range == 0:
                    return acquisition.naive(
                        mean, std, np.full_like(mean, draw.cost_target), draw.cost_target, draw.optimism
                    )
                position = (log_cost - self._cheapest) / self._cost_range
                value, by_mean, by_std, by_position = acquisition.naive(
                    mean, std, position, draw.cost_target, draw.optimism
                )
                return value, by_mean, by_std, by_position / self._cost_range
            case _:
                return acquisition.log_expected_improvement(
                    mean, std, log_cost, self._best_means[which] + draw.margin, COST_WEIGHT * self.costs.spread
                )

    def _climb(self, start: Array, draw: Draw, *, bounded: bool) -> Array:
        """Gradient ascent on the numeric axes, within the local reach or in the whole cube."""
        numeric = self._axes.numeric_features
        if not numeric.any():
            return start
        features = self._axes.features(start[None, :])[0]
        costly = None if self._options.acquisition == "ucb" else self._cost_gp

        def loss(moving: Array) -> tuple[float, Array]:
            features[numeric] = moving
            log_cost, cost_slope = 0.0, np.zeros(len(features))
            if costly is not None:
                log_cost, _, cost_slope, _ = costly.gradients(features)
            values, slopes = [], []
            for which, each in enumerate(self._explanations):
                mean, std, mean_slope, std_slope = each.model.gradients(features)
                value, by_mean, by_std, by_cost = self._acquisition(
                    which, np.array([mean]), np.array([std]), np.array([log_cost]), draw
                )
                values.append(value)
                slopes.append(by_mean[0] * mean_slope + by_std[0] * std_slope + by_cost[0] * cost_slope)
            together, shares = self._combined(values)
            slope = shares[:, 0] @ np.array(slopes)
            return -float(together[0]), -slope[numeric]

        reach = self._axes.numeric_radius * self._options.global_search_scale if bounded else 1.0
        first = features[numeric].copy()
        found = minimize(
            loss,
            first,
            jac=True,
            method="L-BFGS-B",
            bounds=list(zip((first - reach).clip(0.0, 1.0), (first + reach).clip(0.0, 1.0), strict=True)),
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


@dataclass(frozen=True, slots=True)
class Explanation:
    """One way to see the scores: a shape and a kernel, and the model with them."""

    weight: float
    """How far to believe it, beside the others."""
    warped: Warped
    model: GaussianProcess


def explain(axes: Axes, features: Array, scores: Array, shares: Array | None = None) -> list[Explanation]:
    """The explanations of the scores with the most evidence, the best first.

    `shares`: of the training that each score was reached in, or `FOREIGN`; None where all are complete ones.
    """
    learnt = training_subset(scores, MAX_FIT)

    def tried(warped: Warped, kernel: Kernel) -> tuple[float, Warped, Kernel, Hyperparameters]:
        found, evidence = fit(
            features[learnt],
            warped.values[learnt],
            axes.feature_axis,
            kernel,
            default_starts(axes.count),
            FIT_ITERATIONS,
            None if shares is None else shares[learnt],
        )
        return evidence + warped.log_density * len(learnt) / len(scores), warped, kernel, found

    fits = sorted((tried(warped, Matern) for warped in warps(scores)), key=lambda each: -each[0])
    fits += [tried(warped, SquaredExponential) for _, warped, _, _ in fits[:SMOOTH_TRIED]]
    fits.sort(key=lambda each: -each[0])
    weights = np.exp([(evidence - fits[0][0]) / TEMPERATURE for evidence, *_ in fits])
    weights[MAX_EXPLANATIONS:] = 0.0
    weights[weights < MIN_WEIGHT] = 0.0
    weights /= weights.sum()
    return [
        Explanation(
            float(weight),
            warped,
            GaussianProcess(features, warped.values, axes.feature_axis, kernel, found, shares),
        )
        for weight, (_, warped, kernel, found) in zip(weights, fits, strict=True)
        if weight > 0
    ]


def _regress(axes: Axes, features: Array, targets: Array) -> GaussianProcess:
    learnt = training_subset(targets, MAX_FIT)
    found, _ = fit(
        features[learnt], targets[learnt], axes.feature_axis, Matern, default_starts(axes.count), FIT_ITERATIONS
    )
    return GaussianProcess(features, targets, axes.feature_axis, Matern, found)
