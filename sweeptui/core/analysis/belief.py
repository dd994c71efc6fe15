"""What Protein's models make of a sweep, to be looked at: lengthscales, slices, interactions, errors of prediction.

    belief = Belief(space, evidence)                      # see `evidence.evidence_of(state)`
    belief.slices()                                       # partial dependence on each parameter
    belief.slices(through=best.params)                    # the same with all others as a trial has them
    belief.interactions()                                 # what chance makes of it: `interactions.interactions`
    belief.leave_one_out()

The models are those of the next suggestion (docs/protein.md), whatever method the sweep is searched with; nothing here
changes a sweep. Fitting takes 0.1 to 1 s, as a suggestion does, and so does each of the methods: not for a UI's thread.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import ThreadpoolController

from sweeptui.core.analysis.evidence import TooFewTrialsError
from sweeptui.core.optimizers.base import History
from sweeptui.core.optimizers.protein.axes import Axes
from sweeptui.core.optimizers.protein.gp import ModelError
from sweeptui.core.optimizers.protein.prediction import expected
from sweeptui.core.optimizers.protein.surrogate import MAX_FIT
from sweeptui.core.optimizers.protein.targets import training_subset
from sweeptui.core.optimizers.protein.turn import ScoreTurn
from sweeptui.core.settings import ProteinSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sweeptui.core.analysis.evidence import Evidence
    from sweeptui.core.optimizers.protein.surrogate import Explanation
    from sweeptui.core.space import Space
    from sweeptui.core.trial import Observation, Params

    Array = NDArray[np.float64]

LEAST_TRIALS = 4
"""Below that the models are little but their priors."""
GRID = 33
PROFILE = 16
PAIR_GRID = 7
BACKGROUND = 64
"""Configurations that a partial dependence is averaged over."""
PAIR_BACKGROUND = 24
PAIR_PARAMETERS = 6
"""Interactions are looked for among so many parameters, those with the shortest lengthscales."""
DRAWS = 400
MIDDLE = (0.16, 0.84)
"""Of a slice's band: the middle 68%."""


@dataclass(frozen=True, slots=True)
class Slice:
    """The score that is believed along one parameter."""

    parameter: str
    values: tuple[Any, ...]
    """Of the parameter, in the order of its axis; all of a discrete one that has up to `GRID`."""
    places: tuple[float, ...]
    """Where they lie on its axis, from 0 to 1 (logarithmic, where it is searched so)."""
    mean: tuple[float, ...]
    """In the metric's unit and sign."""
    spread: tuple[float, ...]
    """Half the width of the middle 68% of what the mean may be, noise left out."""


@dataclass(frozen=True, slots=True)
class Interaction:
    """How much two parameters do together beyond what each does by itself."""

    parameters: tuple[str, str]
    share: float
    """Of the variance of the predicted score over the space: a second-order Sobol' index."""
    low: float
    high: float
    """The middle 90% of it, over functions drawn from the models."""
    told: bool
    """Whether it is more than 95 of 100 functions would show by the models' uncertainty alone."""


@dataclass(frozen=True, slots=True)
class Foretold:
    """An observation, and what the models say of it without having seen it."""

    number: int
    observed: float
    mean: float
    spread: float
    """Half the width of the middle 68%, noise included."""


class Belief:
    """Protein's models of one objective of a sweep.

    Raises `TooFewTrialsError`, a `UserError`, where there is nothing to learn from.
    """

    def __init__(self, space: Space, evidence: Evidence, *, seed: int = 0) -> None:
        self._space = space
        self._axes = Axes(space)
        self._sign = -1.0 if evidence.goal == "minimize" else 1.0
        self._seed = seed
        self._threads = ThreadpoolController()
        complete = [each for each in evidence.observations if space.covers(each.params)]
        if len(complete) < LEAST_TRIALS:
            raise TooFewTrialsError(len(complete), LEAST_TRIALS)
        if not space.axes:
            raise TooFewTrialsError(len(complete), LEAST_TRIALS, "there is no parameter that is searched")
        history = History(complete, [each for each in evidence.failures if space.covers(each.params)])
        turn = ScoreTurn(space, self._axes, ProteinSettings(), (self._sign,), seed, history)
        try:
            with self._threads.limit(limits=1):
                self._models = turn.models()
        except ModelError as error:
            raise TooFewTrialsError(len(complete), LEAST_TRIALS, str(error)) from None
        self.observations: Sequence[Observation] = complete
        scores = [self._sign * each.score for each in complete]
        self._seen = min(scores), max(scores)

    # -- lengthscales ---------------------------------------------------------------------------------------------

    @property
    def lengthscales(self) -> dict[str, float]:
        """Of each parameter, in units of its whole axis (of a categorical one, of the step between two values).

        The geometric mean over the explanations, by their weights. Long is unimportant.
        """
        logs = sum(each.weight * each.model.hyperparameters.log_lengthscales for each in self._models.explanations)
        return {name: float(np.exp(value)) for name, value in zip(self._space.axes, np.atleast_1d(logs), strict=True)}

    def relevance(self) -> tuple[Array, Array]:
        """The share of each axis in the sum of 1 / lengthscale**2, and `DRAWS` draws of it, a row each.

        1 / lengthscale**2 is, up to a factor, the mean squared slope along the axis that the model expects (Rasmussen
        and Williams 2006, chapter 5). The draws are from Laplace's approximation of the lengthscales' posterior.
        """
        rng = np.random.default_rng(self._seed)
        draws = []
        with self._threads.limit(limits=1):
            for each in self._models.explanations:
                logs = each.model.hyperparameters.log_lengthscales
                spread = each.model.covariance_of_lengthscales(training_subset(each.warped.values, MAX_FIT))
                drawn = rng.multivariate_normal(logs, spread, size=max(1, round(DRAWS * each.weight)), method="eigh")
                draws.append(_shares(drawn))
        return self.relevance_at_mode(), np.concatenate(draws)

    def relevance_at_mode(self) -> Array:
        """The shares without the draws."""
        models = self._models.explanations
        shares = [each.weight * _shares(each.model.hyperparameters.log_lengthscales[None, :])[0] for each in models]
        return np.asarray(np.sum(shares, axis=0), dtype=np.float64)

    def foreseen(self) -> Array:
        """Of each axis, its share of the variance that the models foresee of a trial which they are not shown.

        What the data have shown, where a lengthscale is what may be: noise alone makes short lengthscales, but no
        prediction that holds.
        """
        found = np.zeros(self._axes.count)
        for each in self._models.explanations:
            found += each.weight * _skill(each) * _shares(each.model.hyperparameters.log_lengthscales[None, :])[0]
        return found

    # -- slices ---------------------------------------------------------------------------------------------------

    def slices(self, through: Params | None = None, parameters: Sequence[str] | None = None) -> list[Slice]:
        """The score along each parameter that is searched, in the order of the space.

        Partial dependence (Friedman 2001): averaged over the values that the other parameters have in the sweep's
        trials, in the scale in which the models see scores. With `through` the others are as that configuration has
        them. A parameter that does not exist in it, or in no trial, has no slice.
        """
        with self._threads.limit(limits=1):
            found = (self._slice(name, through) for name in parameters or self._space.axes)
            return [each for each in found if each is not None]

    def _slice(self, name: str, through: Params | None) -> Slice | None:
        axis = self._space.axes.index(name)
        rows = [self._space.encode(through)] if through is not None else self._encoded()
        background = np.array(rows, dtype=np.float64).reshape(-1, self._axes.count)
        background = background[self._axes.exists(background)[:, axis]] if len(background) else background
        if len(background) == 0:
            return None
        background = _thinned(background, BACKGROUND)
        places = self._places(axis, GRID)
        means, spreads = self._averaged(axis, places, background)
        distribution = self._space.distributions[name]
        values = tuple(distribution.from_unit(place) for place in places.tolist())
        return Slice(name, values, tuple(places.tolist()), tuple(means), tuple(spreads))

    def _averaged(self, axis: int, places: Array, background: Array) -> tuple[list[float], list[float]]:
        parts_of: list[list[tuple[float, float, float, Any]]] = [[] for _ in places]
        for place, parts in zip(places.tolist(), parts_of, strict=True):
            points = background.copy()
            points[:, axis] = place
            features = self._axes.features(self._axes.snap(points))
            for each in self._models.explanations:
                mean, variance = each.model.averages(features, 1)
                parts.append((each.weight, float(mean[0]), math.sqrt(max(0.0, float(variance[0, 0]))), each.warped))
        told = [expected(parts, len(self.observations), self._seen) for parts in parts_of]
        return [self._sign * middle for middle, _ in told], [half for _, half in told]

    def _places(self, axis: int, most: int) -> Array:
        levels = self._axes.levels[axis]
        if len(levels):
            return _thinned(levels, most)
        return np.linspace(0.0, 1.0, most)

    def _middles(self, axis: int) -> Array:
        """Each stands for as much of the axis as the next."""
        levels = self._axes.levels[axis]
        return _thinned(levels, PAIR_GRID) if len(levels) else (np.arange(PAIR_GRID) + 0.5) / PAIR_GRID

    def _encoded(self) -> list[list[float]]:
        return [self._space.encode(each.params) for each in self.observations]

    def improvement(self, through: Params) -> dict[str, list[float]]:
        """The expected improvement along each parameter, all others as in `through`, as a share of its highest there.

        By the models as they are, without the trials that are pending.
        """
        point = np.array(self._space.encode(through), dtype=np.float64)
        found = {}
        with self._threads.limit(limits=1):
            for axis, name in enumerate(self._space.axes):
                places = self._places(axis, PROFILE)
                points = np.repeat(point[None, :], len(places), axis=0)
                points[:, axis] = places
                values = self._models.worth(self._axes.snap(points))
                found[name] = np.exp(values - values.max()).tolist()
        return found

    # -- interactions ---------------------------------------------------------------------------------------------

    def interactions(self) -> list[Interaction]:
        """Of each two of the most relevant parameters, the strongest first.

        Over the whole space, by the explanation that is believed most. Conditional parameters are left out: what they
        do depends on the one that decides by their nature.
        """
        rng = np.random.default_rng(self._seed)
        with self._threads.limit(limits=1):
            points, total = self._sampled(rng)
            found = [self._pair(a, b, points, total, rng) for a, b in self._pairs()]
        return sorted(found, key=lambda each: -each.share)

    def strengths(self) -> dict[tuple[str, str], float]:
        """Of each of these pairs, the share of trials' variance that is foreseen by what they do together.

        What noise has led the models to believe foresees nothing.
        """
        rng = np.random.default_rng(self._seed)
        with self._threads.limit(limits=1):
            points, total = self._sampled(rng)
            skill = _skill(self._models.explanations[0])
            found: dict[tuple[str, str], float] = {}
            for a, b in self._pairs() if skill > 0 and total > 0 else ():
                features, shape = self._crossed(a, b, points)
                means = self._models.explanations[0].model.predict_mean(features).reshape(shape[0] * shape[1], -1)
                believed = float(_beyond_sum(means.mean(axis=1).reshape(-1, *shape))[0])
                found[self._space.axes[a], self._space.axes[b]] = skill * believed / max(total, believed)
        return found

    def _pairs(self) -> list[tuple[int, int]]:
        shares = self.relevance_at_mode()
        free = [axis for axis in np.argsort(-shares).tolist() if not self._axes.conditional[axis]][:PAIR_PARAMETERS]
        return list(itertools.combinations(free, 2))

    def _sampled(self, rng: np.random.Generator) -> tuple[Array, float]:
        """Configurations to average over, and how much the prediction varies over the space."""
        points = self._axes.snap(rng.random((8 * BACKGROUND, self._axes.count)))
        total = float(self._models.explanations[0].model.predict_mean(self._axes.features(points)).var())
        return points[:PAIR_BACKGROUND], total

    def _crossed(self, a: int, b: int, background: Array) -> tuple[Array, tuple[int, int]]:
        """The background at each place of a grid over two axes: features, and how many places each axis has."""
        ours, others = self._middles(a), self._middles(b)
        grid = list(itertools.product(ours.tolist(), others.tolist()))
        points = np.repeat(background[None, :, :], len(grid), axis=0)
        points[:, :, a] = np.array([x for x, _ in grid])[:, None]
        points[:, :, b] = np.array([y for _, y in grid])[:, None]
        features = self._axes.features(self._axes.snap(points.reshape(-1, self._axes.count)))
        return features, (len(ours), len(others))

    def _pair(self, a: int, b: int, background: Array, total: float, rng: np.random.Generator) -> Interaction:
        features, (ours, others) = self._crossed(a, b, background)
        mean, covariance = self._models.explanations[0].model.averages(features, ours * others)
        doubts = rng.multivariate_normal(np.zeros(ours * others), covariance, size=DRAWS // 2, method="eigh")
        shape = (-1, ours, others)
        believed = float(_beyond_sum(mean.reshape(shape))[0])
        noise = _beyond_sum(doubts.reshape(shape))
        drawn = _beyond_sum((mean + doubts).reshape(shape))
        names = self._space.axes[a], self._space.axes[b]
        if not total > 0:
            return Interaction(names, 0.0, 0.0, 0.0, told=False)
        # The whole varies by what the mean varies, and by what is not known of it.
        whole = max(total, believed)
        low, high = (float(np.quantile(drawn, level)) / whole for level in (0.05, 0.95))
        share = believed / whole
        return Interaction(
            names, share, min(low, share), min(1.0, max(high, share)), bool(believed > np.quantile(noise, 0.95))
        )

    # -- errors of prediction -------------------------------------------------------------------------------------

    def leave_one_out(self) -> list[Foretold]:
        """What the models say of each observation when it is left out, in the user's sign, by number.

        In closed form (Sundararajan and Keerthi 2001), with lengthscales that were learnt from all: a little kinder to
        the model than what it said before a trial was run, which a sweep that is searched with Protein keeps in the
        trial's provenance. Of at most 400 trials, those that the models see.
        """
        models = self._models
        parts_of: list[list[tuple[float, float, float, Any]]] = [[] for _ in models.kept]
        with self._threads.limit(limits=1):
            for each in models.explanations:
                means, spreads = each.model.leave_one_out()
                for parts, mean, spread in zip(parts_of, means.tolist(), spreads.tolist(), strict=True):
                    parts.append((each.weight, mean, spread, each.warped))
        found = []
        for index, parts in zip(models.kept.tolist(), parts_of, strict=True):
            seen = self.observations[index]
            middle, half = expected(parts, len(models.kept), self._seen)
            found.append(Foretold(seen.number, seen.score, self._sign * middle, half))
        return found


def _skill(explanation: Explanation) -> float:
    """The share of the trials' variance that a model foresees of each when it is left out; 0 where it foresees none."""
    mean, _ = explanation.model.leave_one_out()
    known = explanation.warped.values
    skill = 1 - ((known - mean) ** 2).sum() / max(((known - known.mean()) ** 2).sum(), 1e-300)
    return max(0.0, float(skill))


def _shares(logs: Array) -> Array:
    weights = np.exp(-2 * (logs - logs.min(axis=1, keepdims=True)))
    shares: Array = weights / weights.sum(axis=1, keepdims=True)
    return shares


def _beyond_sum(surfaces: Array) -> Array:
    """The variance of each surface that no sum of a row's and a column's part has; all rows and columns weigh alike."""
    rows = surfaces.mean(axis=2, keepdims=True)
    columns = surfaces.mean(axis=1, keepdims=True)
    rest = surfaces - rows - columns + surfaces.mean(axis=(1, 2), keepdims=True)
    variance: Array = (rest**2).mean(axis=(1, 2))
    return variance


def _thinned(rows: Array, most: int) -> Array:
    if len(rows) <= most:
        return rows
    thinned: Array = rows[np.linspace(0, len(rows) - 1, most).round().astype(int)]
    return thinned
