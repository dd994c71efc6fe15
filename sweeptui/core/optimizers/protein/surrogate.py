"""The fitted models of one suggestion, and how they rank candidates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logsumexp

from sweeptui.core.optimizers.protein import acquisition
from sweeptui.core.optimizers.protein.centre import Pull
from sweeptui.core.optimizers.protein.feasibility import Success
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
from sweeptui.core.optimizers.protein.search import Ranked, Search
from sweeptui.core.optimizers.protein.targets import LogCosts, complete_front, standardise_costs, training_subset
from sweeptui.core.optimizers.protein.warp import Warped, warps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from sweeptui.core.optimizers.protein.axes import Axes
    from sweeptui.core.settings import ProteinSettings

    Array = NDArray[np.float64]

CAUTION = 1.0
"""Deviations of the predicted log cost that a candidate must stay below the cost limit: where nothing was tried yet,
the model only knows the average."""
MAX_FIT = 150
"""Observations that hyperparameters are learnt from; predictions use up to `targets.MAX_TRAINING`."""
FIT_ITERATIONS = 40
SMOOTH_TRIED = 2
"""Of the shapes best explained with the Matern kernel: those that the smoother kernel is tried on."""
BENT_TRIED = 1
"""Of the best explained with straight axes: those that bent ones are tried on."""
BENT_COST = 0.5
"""Of each axis, in nats of evidence: about the share of what is believed of its a and b that the data rule out. Without
it, bent axes would explain anything a little better."""
TEMPERATURE = 3.0
MAX_EXPLANATIONS = 4
MIN_WEIGHT = 0.05
COST_WEIGHT = 0.15
"""Expected improvement is divided by the predicted cost to this power: ten times the cost must promise 1.4 times the
improvement. At 1, as "improvement per unit of cost" would have it, a search stays with what is cheap and poor."""
NOISE_WEIGHT = 0.5
"""Of the noise's deviation in the augmented expected improvement: half of it, as the noise may be a rough score's."""


@dataclass(frozen=True, slots=True)
class Draw:
    """What chance, and the course of the sweep, decide in one trial's acquisition."""

    beta: float
    margin: float
    optimism: float
    cost_target: float
    shape: float | None = None
    """Which of the shapes to see the scores in, from 0 to 1; None for all explanations."""
    noise_weight: float = 0.0
    """How much of the noise the improvement is reduced by."""

    @classmethod
    def of(cls, options: ProteinSettings, rng: np.random.Generator) -> Draw:
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


class Surrogate(Search["Draw"]):
    """Models of score and cost.

    `scores` (more is better), `costs` (of a complete training) and `shares` (of it that was done, or `FOREIGN`) are of
    all observations, ordered by trial number; `points`, in that order, of those in `kept`, which the models see. Raises
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
        shares: Array,
        failed: Array,
    ) -> None:
        super().__init__(axes, options.global_search_scale)
        self._options = options
        self.kept = kept
        self._features = features = axes.features(points)
        self._success = Success.learnt(features, axes.features(failed), axes.feature_axis)
        self.front = complete_front(scores, costs, shares)
        # What another sweep's trials cost, on another machine perhaps, is not this one's.
        own = shares > FOREIGN
        self._cap = options.max_suggestion_cost if own.any() else None
        self._seen = float(scores[kept].min()), float(scores[kept].max())
        self.costs = standardise_costs(costs, own)
        partial = shares[kept] if (shares[kept] < 1).any() else None
        self.explanations = explain(axes, features, scores[kept], partial)
        """The ways to see the scores that are believed, the one with the most evidence first."""
        ours = own[kept]
        self._cost_gp = None
        if not self.costs.constant:
            self._cost_gp = regress(axes, features[ours], self.costs.values[kept][ours])
        # What an unfinished trial would have reached is a guess: it is nothing to improve on while others have ended.
        proven = np.flatnonzero(shares[kept] == 1) if (shares[kept] == 1).any() else np.arange(len(kept))
        means = [each.model.predict_mean(features[proven]) for each in self.explanations]
        self._best_means = [float(mean.max()) for mean in means]
        self.incumbent = int(kept[proven[int(means[0].argmax())]])
        """Index of the observed point with the best posterior mean: with noise, the best score is often luck."""
        front_costs = self.costs.values[self.front]
        self._pull = Pull.of(axes, len(kept)) if options.acquisition == "ei" else None
        self._cheapest = float(front_costs.min())
        self._cost_range = float(front_costs.max()) - self._cheapest

    def believe(self, points: Array) -> None:
        """Count pending trials at `points` as done with the score the model expects, which the next must improve on."""
        if len(points) == 0:
            return
        features = self._axes.features(points)
        for which, each in enumerate(self.explanations):
            expected = float(each.model.predict_mean(features).max())
            self._best_means[which] = max(self._best_means[which], expected)
            each.model.believe(features)

    def expected(self, point: Array) -> tuple[float, float]:
        """The score to expect at a point, and half the width of the middle 68%, in the unit of `scores`."""
        features = self._axes.features(point[None, :])
        parts = []
        for each in self.explanations:
            mean, std = each.model.predict(features)
            parts.append((each.weight, float(mean[0]), math.hypot(float(std[0]), each.model.noise_std), each.warped))
        return expected(parts, len(self._features), self._seen)

    def worth(self, points: Array) -> Array:
        """What the search makes of points, without what chance decides: the logarithm of the improvement expected, and
        what was believed of where the best is.
        """
        return self._judge(points, Draw(self._options.ucb_beta, 0.0, 0.0, 0.0)).value

    def _judge(self, points: Array, draw: Draw) -> Ranked:
        features = self._axes.features(points)
        asked = self._asked(draw)
        predictions = [self.explanations[which].model.predict(features) for which in asked]
        log_cost = np.zeros(len(points)) if self._cost_gp is None else self._cost_gp.predict_mean(features)
        values = [
            self._acquisition(which, *of, log_cost, draw)[0] for which, of in zip(asked, predictions, strict=True)
        ]
        value = self._combined(values, asked)[0]
        if self._pull is not None:
            value = value + self._pull.value(points)
        if self._success is not None:
            value = value + self._success.log_chance(features)
        cost = np.exp(log_cost * self.costs.spread + self.costs.centre)
        over = over_limit(self._cap, cost, features, self._cost_gp, self.costs)
        return Ranked(points, *predictions[0], cost, value, over)

    def _asked(self, draw: Draw) -> dict[int, float]:
        """The explanations that count in this trial, by their numbers, and how much."""
        if draw.shape is None:
            return {which: each.weight for which, each in enumerate(self.explanations) if each.weight > 0}
        leading = [which for which, each in enumerate(self.explanations) if each.leads]
        return {leading[min(int(draw.shape * len(leading)), len(leading) - 1)]: 1.0}

    def _combined(self, values: list[Array], asked: Mapping[int, float]) -> tuple[Array, Array]:
        """One value out of each explanation's, and the weight that each has in its gradient.

        Improvements are averaged, as they are expectations: a log of a mean. What is no logarithm is averaged itself.
        """
        weights = np.array(list(asked.values()))[:, None]
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
                incumbent = self._best_means[which] + draw.margin
                noise_std = draw.noise_weight * self.explanations[which].model.noise_std
                return acquisition.log_expected_improvement(
                    mean, std, log_cost, incumbent, COST_WEIGHT * self.costs.spread, noise_std
                )

    def _wanted(self, features: Array, draw: Draw) -> tuple[float, Array]:
        costly = None if self._options.acquisition == "ucb" else self._cost_gp
        log_cost, cost_slope = 0.0, np.zeros(len(features))
        if costly is not None:
            log_cost, _, cost_slope, _ = costly.gradients(features)
        values, slopes = [], []
        asked = self._asked(draw)
        for which in asked:
            mean, std, mean_slope, std_slope = self.explanations[which].model.gradients(features)
            value, by_mean, by_std, by_cost = self._acquisition(
                which, np.array([mean]), np.array([std]), np.array([log_cost]), draw
            )
            values.append(value)
            slopes.append(by_mean[0] * mean_slope + by_std[0] * std_slope + by_cost[0] * cost_slope)
        together, shares = self._combined(values, asked)
        wanted, slope = float(together[0]), shares[:, 0] @ np.array(slopes)
        if self._pull is not None:
            numeric = self._axes.numeric_features
            pulled, pulled_slope = self._pull.gradient(features[numeric])
            wanted += pulled
            slope[numeric] += pulled_slope
        return wanted, slope


@dataclass(frozen=True, slots=True)
class Explanation:
    """One way to see the scores: a shape and a kernel, and the model with them."""

    weight: float
    """How far to believe it, beside the others; 0 where it is there for its shape alone."""
    leads: bool
    """Whether no other of its shape has more evidence."""
    warped: Warped
    model: GaussianProcess


Tried = tuple[float, Warped, Kernel, Hyperparameters]
"""Of an explanation its evidence, and what it consists of."""


def explain(axes: Axes, features: Array, scores: Array, shares: Array | None = None) -> list[Explanation]:
    """The explanations of the scores with the most evidence, and the best of each shape; the best first.

    `shares`: of the training that each score was reached in, or `FOREIGN`; None where all are complete ones.
    """
    learnt = training_subset(scores, MAX_FIT)

    def tried(warped: Warped, kernel: Kernel, *, bent: bool = False) -> Tried:
        found, evidence = fit(
            features[learnt],
            warped.values[learnt],
            axes.feature_axis,
            kernel,
            default_starts(axes.count),
            FIT_ITERATIONS,
            None if shares is None else shares[learnt],
            axes.numeric_features if bent else None,
        )
        evidence -= BENT_COST * axes.count * bent
        return evidence + warped.log_density * len(learnt) / len(scores), warped, kernel, found

    fits = sorted((tried(warped, Matern) for warped in warps(scores)), key=lambda each: -each[0])
    fits += [tried(warped, SquaredExponential) for _, warped, _, _ in fits[:SMOOTH_TRIED]]
    fits.sort(key=lambda each: -each[0])
    if axes.numeric_features.any():
        fits += [tried(warped, kernel, bent=True) for _, warped, kernel, _ in fits[:BENT_TRIED]]
        fits.sort(key=lambda each: -each[0])
    weights = np.exp([(evidence - fits[0][0]) / TEMPERATURE for evidence, *_ in fits])
    weights[MAX_EXPLANATIONS:] = 0.0
    weights[weights < MIN_WEIGHT] = 0.0
    weights /= weights.sum()
    knees = [warped.knee for _, warped, _, _ in fits]
    leads = [knee not in knees[:index] for index, knee in enumerate(knees)]
    return [
        Explanation(
            float(weight),
            leading,
            warped,
            GaussianProcess(features, warped.values, axes.feature_axis, kernel, found, shares),
        )
        for weight, leading, (_, warped, kernel, found) in zip(weights, leads, fits, strict=True)
        if weight > 0 or leading
    ]


def over_limit(
    cap: float | None, cost: Array, features: Array, cost_gp: GaussianProcess | None, costs: LogCosts
) -> NDArray[np.bool_]:
    """Where the cost may well be above the limit. `cost` is what is predicted, in the user's unit."""
    if cap is None:
        return np.zeros(len(cost), dtype=bool)
    doubt = 0.0 if cost_gp is None else cost_gp.predict(features)[1] * costs.spread
    over: NDArray[np.bool_] = cost * np.exp(CAUTION * doubt) > cap
    return over


def regress(axes: Axes, features: Array, targets: Array) -> GaussianProcess:
    learnt = training_subset(targets, MAX_FIT)
    found, _ = fit(
        features[learnt], targets[learnt], axes.feature_axis, Matern, default_starts(axes.count), FIT_ITERATIONS
    )
    return GaussianProcess(features, targets, axes.feature_axis, Matern, found)
