"""The fitted models of one suggestion, and how they rank candidates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.optimize import minimize

from sweeptui.core.optimizers.protein import acquisition
from sweeptui.core.optimizers.protein.feasibility import log_success
from sweeptui.core.optimizers.protein.gp import GaussianProcess
from sweeptui.core.optimizers.protein.targets import (
    pareto_front,
    standardise_costs,
    standardise_scores,
    training_subset,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sweeptui.core.optimizers.protein.axes import Axes
    from sweeptui.core.optimizers.protein.settings import ProteinOptions

REFINED = 4
"""Best candidates that climb the acquisition's gradient."""
REFINE_ITERATIONS = 20


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

    points: NDArray[np.float64]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    cost: NDArray[np.float64]
    """In the user's unit."""
    value: NDArray[np.float64]
    over_cost: NDArray[np.bool_]

    @property
    def order(self) -> NDArray[np.int_]:
        """What is over the cost limit comes last, the cheapest of it first."""
        return np.lexsort((-self.value, np.where(self.over_cost, self.cost, 0.0), self.over_cost))


class Surrogate:
    """Models of score and cost.

    `points`: snapped observed points, ordered by trial number. `scores`: more is better. Raises `ModelError`.
    """

    def __init__(
        self,
        axes: Axes,
        options: ProteinOptions,
        points: NDArray[np.float64],
        scores: NDArray[np.float64],
        costs: NDArray[np.float64],
        failed: NDArray[np.float64],
    ) -> None:
        self._axes = axes
        self._options = options
        self._all_features = axes.features(points)
        self._failed_features = axes.features(failed)
        kept = training_subset(scores)
        features = self._all_features[kept]
        self.scores = standardise_scores(scores[kept])
        self.costs = standardise_costs(costs)
        self.front = pareto_front(scores, costs)
        self._score_gp = GaussianProcess(features, self.scores.values, axes.feature_axis)
        self._cost_gp = (
            None if self.costs.constant else GaussianProcess(features, self.costs.values[kept], axes.feature_axis)
        )
        with torch.no_grad():
            mean, _ = self._score_gp.predict(torch.as_tensor(features))
        self._best_mean = float(mean.max())
        self.incumbent = int(kept[int(mean.argmax())])
        """Index of the observed point with the best posterior mean: with noise, the best score is often luck."""
        front_costs = self.costs.values[self.front]
        self._cheapest = float(front_costs.min())
        self._cost_range = float(front_costs.max()) - self._cheapest

    def believe(self, points: NDArray[np.float64]) -> None:
        """Count pending trials at `points` as done with the score the model expects."""
        self._score_gp.believe(self._axes.features(points))

    def rank(self, points: NDArray[np.float64], draw: Draw) -> Ranked:
        """Judge the candidates, and those that the best of them climb to."""
        first = self._judge(np.unique(self._axes.snap(points), axis=0), draw)
        starts = first.points[first.order[:REFINED]]
        climbed = self._axes.snap(self._climb(starts, draw))
        return self._judge(np.unique(np.concatenate([first.points, climbed]), axis=0), draw)

    def _judge(self, points: NDArray[np.float64], draw: Draw) -> Ranked:
        features = self._axes.features(points)
        with torch.no_grad():
            x = torch.as_tensor(features)
            mean, std = self._score_gp.predict(x)
            log_cost = self._predict_cost(x)
            value = self._acquisition(mean, std, log_cost, draw).numpy()
        value = value + log_success(features, self._all_features, self._failed_features, self._axes.count)
        cost = np.exp(log_cost.numpy() * self.costs.spread + self.costs.centre)
        cap = self._options.max_suggestion_cost
        over = np.zeros(len(points), dtype=bool) if cap is None else cost > cap
        return Ranked(points, mean.numpy(), std.numpy(), cost, value, over)

    def _predict_cost(self, x: torch.Tensor) -> torch.Tensor:
        if self._cost_gp is None:
            return torch.zeros(len(x), dtype=torch.float64)
        return self._cost_gp.predict(x)[0]

    def _acquisition(self, mean: torch.Tensor, std: torch.Tensor, log_cost: torch.Tensor, draw: Draw) -> torch.Tensor:
        match self._options.acquisition:
            case "ucb":
                return acquisition.upper_confidence_bound(mean, std, draw.beta)
            case "naive":
                if self._cost_range > 0:
                    position = (log_cost - self._cheapest) / self._cost_range
                else:
                    position = torch.full_like(log_cost, draw.cost_target)
                return acquisition.naive(mean, std, position, draw.cost_target, draw.optimism)
            case _:
                return acquisition.log_expected_improvement(mean, std, self._best_mean + draw.margin)

    def _climb(self, starts: NDArray[np.float64], draw: Draw) -> NDArray[np.float64]:
        """Gradient ascent of all starts at once, on their numeric axes, each within its local reach."""
        numeric = self._axes.numeric_features
        features = self._axes.features(starts)
        if not numeric.any():
            return starts
        shape = (len(starts), int(numeric.sum()))

        def loss(vector: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            moving = torch.as_tensor(vector.reshape(shape)).requires_grad_()
            x = torch.as_tensor(features).clone()
            x[:, torch.as_tensor(numeric)] = moving
            mean, std = self._score_gp.predict(x)
            log_cost = self._predict_cost(x)
            value = -self._acquisition(mean, std, log_cost, draw).sum()
            (gradient,) = torch.autograd.grad(value, moving)
            return value.item(), gradient.numpy().ravel()

        reach = self._axes.numeric_radius * self._options.global_search_scale
        first = features[:, numeric]
        low, high = (first - reach).clip(0.0, 1.0).ravel(), (first + reach).clip(0.0, 1.0).ravel()
        found = minimize(
            loss,
            first.ravel(),
            jac=True,
            method="L-BFGS-B",
            bounds=list(zip(low, high, strict=True)),
            options={"maxiter": REFINE_ITERATIONS},
        )
        if not np.isfinite(found.x).all():
            return starts
        features[:, numeric] = found.x.reshape(shape)
        return self._axes.from_features(features, like=starts)
