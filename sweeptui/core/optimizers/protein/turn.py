"""One call of Protein: each suggestion is pending for the next."""

from __future__ import annotations

import math
import random
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np

from sweeptui.core.optimizers.base import Suggestion
from sweeptui.core.optimizers.configurations import (
    check_not_exhausted,
    configuration_key,
    draw_unused,
    is_complete,
    is_new,
)
from sweeptui.core.optimizers.protein.candidates import around, choose_centres, sobol_point
from sweeptui.core.optimizers.protein.fidelity import FOREIGN, usable
from sweeptui.core.optimizers.protein.focus import Focus, region_factor
from sweeptui.core.optimizers.protein.gp import ModelError
from sweeptui.core.optimizers.protein.search import Region
from sweeptui.core.optimizers.protein.surrogate import Draw, Surrogate
from sweeptui.core.optimizers.protein.targets import MAX_TRAINING, complete_front, training_subset, usable_costs
from sweeptui.core.optimizers.seeding import stream_seed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from sweeptui.core.optimizers.base import FailedTrial, History, PendingTrial
    from sweeptui.core.optimizers.protein.axes import Axes
    from sweeptui.core.optimizers.protein.search import Ranked
    from sweeptui.core.settings import ProteinSettings
    from sweeptui.core.space import Space
    from sweeptui.core.trial import Observation, Params

    Array = NDArray[np.float64]

MIN_OBSERVATIONS = 2
IN_REGION = 512
"""Candidates drawn within the region around the best."""
MORE_DRAWS = 7
"""Of candidates from the whole space, where constraints forbid most of it."""


class Modelled(Protocol):
    """Models of all that was observed, and the search in them."""

    def believe(self, points: Array) -> None: ...

    def rank(self, near: Array, anywhere: Array, draw: Draw, region: Region | None = None) -> Ranked: ...


Models = TypeVar("Models", bound=Modelled)


class Turn(ABC, Generic[Models]):
    """One call of `suggest`, whatever the number of objectives."""

    @property
    @abstractmethod
    def acquisition(self) -> str:
        """As the provenance calls it."""

    def __init__(
        self, space: Space, axes: Axes, options: ProteinSettings, signs: Sequence[float], seed: int, history: History
    ) -> None:
        self._space, self._axes, self._options, self._signs, self._seed = space, axes, options, signs, seed
        # A long history is gone through once: this is what the time of a suggestion grows with.
        observed = _inside(space, history.observations)
        failed = _inside(space, history.failures)
        waiting = _inside(space, history.pending)
        running = [observation for observation in _inside(space, history.running) if self._usable(observation)]
        self._prior = [observation for observation in _inside(space, history.prior) if self._usable(observation)]
        tried = [*(o.params for o in observed), *(f.params for f in failed), *(w.params for w in waiting)]
        self._used = {configuration_key(space, params) for params in tried}
        finished = [observation for observation in observed if self._usable(observation)]
        self._observations = sorted([*finished, *running], key=lambda o: o.number)
        curves = [point for point in _inside(space, history.curves) if self._usable(point)]
        self._rows = [*self._prior, *sorted([*self._observations, *curves], key=lambda o: (o.number, -o.fidelity))]
        """What the models learn from."""
        self._failed = self._points([trial.params for trial in failed])
        # What has reported is known in part, and nothing needs to be believed of it.
        known = {observation.number for observation in running}
        pending = [trial.params for trial in waiting if trial.number not in known]
        self._running = [configuration_key(space, params) for params in pending]
        self._unbelieved = self._points(pending)
        self._trials = len(self._observations)
        self._position = self._trials + len(self._failed) + len(pending)
        self._models: Models | None = None

    @abstractmethod
    def _usable(self, observation: Observation) -> bool:
        """Whether a model can learn from it."""

    @abstractmethod
    def _fitted(self) -> Models:
        """The models, of which no suggestion of this turn is believed yet."""

    @abstractmethod
    def _front(self) -> list[int]:
        """The observations that no other beats, the cheapest first."""

    @abstractmethod
    def _centres(self, models: Models, rng: np.random.Generator) -> Sequence[int]:
        """The rows that are searched around."""

    @abstractmethod
    def _predicted(self, models: Models, point: Array) -> dict[str, Any]:
        """What the provenance says of a candidate's scores, in the user's signs."""

    def models(self) -> Models:
        """The models as they were fitted, and what this turn has believed since. Raises `ModelError`."""
        if self._models is None:
            self._models = self._fitted()
        return self._models

    def suggest(self, number: int) -> Suggestion:
        suggestion = self._choose(number)
        self._used.add(configuration_key(self._space, suggestion.params))
        self._running.append(configuration_key(self._space, suggestion.params))
        self._unbelieved = np.concatenate([self._unbelieved, self._points([suggestion.params])])
        self._position += 1
        return suggestion

    def _choose(self, number: int) -> Suggestion:
        check_not_exhausted(self._space, self._used)
        options = self._options
        if len(self._prior) < MIN_OBSERVATIONS:
            if self._position == 0 and options.seed_with_search_center:
                return Suggestion(self._space.center(), {"method": "center"})
            designed = options.num_random_samples + int(options.seed_with_search_center)
            if self._position < designed or self._trials + len(self._prior) < MIN_OBSERVATIONS:
                return self._sobol(number)
        if self._trials and options.resample_frequency and number % options.resample_frequency == 0:
            return self._resample()
        try:
            return self._model(number)
        except ModelError as error:
            return self._random(number, f"drawn at random because {error}")

    def _sobol(self, number: int) -> Suggestion:
        point = sobol_point(self._axes, stream_seed(self._seed, "sobol"), number)
        params = self._space.decode(point.tolist())
        if not is_new(self._space, params, self._used):
            return self._random(number)
        return Suggestion(params, {"method": "sobol"})

    def _random(self, number: int, fallback: str = "") -> Suggestion:
        rng = random.Random(stream_seed(self._seed, number, "random"))  # noqa: S311 - not cryptography
        provenance = {"method": "random", "fallback": fallback} if fallback else {"method": "random"}
        return Suggestion(draw_unused(self._space, self._used, rng), provenance)

    def _resample(self) -> Suggestion:
        """The configuration of the front that was run the fewest times, the cheapest of those."""
        ended = [o for o in self._observations if o.fidelity >= 1]
        runs = [configuration_key(self._space, o.params) for o in ended] + self._running
        front = [self._observations[index] for index in self._front()]
        chosen = min(front, key=lambda o: runs.count(configuration_key(self._space, o.params)))
        params = self._space.existing(
            {name: chosen.params[name] for name in self._space.names if name in chosen.params}
        )
        return Suggestion(params, {"method": "resample", "resample_of": chosen.number})

    def _model(self, number: int) -> Suggestion:
        models = self.models()
        models.believe(self._unbelieved)
        self._unbelieved = self._unbelieved[:0]
        rng = np.random.default_rng(stream_seed(self._seed, number, "protein"))
        draw = Draw.of(self._options, rng)
        ranked, focus = self._ranked(models, number, draw, rng)
        if ranked is None:
            return self._random(number, "drawn at random because the constraints allow next to nothing")
        for index in ranked.order:
            params = self._space.decode(ranked.points[index].tolist())
            if not is_new(self._space, params, self._used):
                continue
            provenance: dict[str, Any] = {
                "method": "protein",
                "acquisition": self.acquisition,
                "n_observations": self._trials,
                **focus,
            }
            provenance |= self._predicted(models, ranked.points[index])
            # Before the sweep's own first trial nothing is known of its costs.
            if self._observations and math.isfinite(cost := float(ranked.cost[index])):
                provenance["cost_mean"] = cost
            if self._prior:
                provenance["n_warm_start"] = len(self._prior)
            if ranked.over_cost[index]:
                provenance["over_cost"] = (
                    f"every candidate may well cost more than {self._options.max_suggestion_cost:g};"
                    " this is the cheapest"
                )
            return Suggestion(params, provenance)
        return self._random(number, "drawn at random because every candidate of the model was tried or is forbidden")

    def _ranked(
        self, models: Models, number: int, draw: Draw, rng: np.random.Generator
    ) -> tuple[Ranked | None, dict[str, str]]:
        """The candidates of this trial, None where there are none; and what the provenance says of where it looked."""
        del number
        near, anywhere = self._candidates(models, rng)
        return (models.rank(near, anywhere, draw) if len(near) + len(anywhere) else None), {}

    def _candidates(self, models: Models, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Around what is good, and from the whole space, where the constraints allow it."""
        options = self._options
        points = self._points([self._rows[index].params for index in self._centres(models, rng)])
        near = around(points, self._axes, options.global_search_scale, options.suggestions_per_pareto, rng)
        anywhere = self._allowed(rng.random((options.random_suggestions, self._axes.count)))
        for _ in range(MORE_DRAWS):
            if len(anywhere) * 2 >= options.random_suggestions:
                break
            more = self._allowed(rng.random((options.random_suggestions, self._axes.count)))
            anywhere = np.concatenate([anywhere, more])
        return self._allowed(near), anywhere

    def _allowed(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        if not self._space.constraints:
            return points
        return points[[self._space.allows(self._space.decode(point)) for point in points.tolist()]]

    def _cost_and_share(self, observations: Sequence[Observation]) -> tuple[Array, Array]:
        """What complete trainings cost, and the shares that were done.

        Training costs what its steps cost: half of them, half as much.
        """
        shares = usable(np.array([o.fidelity for o in observations], dtype=np.float64))
        costs = np.array([o.cost for o in observations], dtype=np.float64)
        return usable_costs(costs / shares), shares

    def _points(self, configurations: Sequence[Params]) -> NDArray[np.float64]:
        rows = [self._space.encode(params) for params in configurations]
        return np.array(rows, dtype=np.float64).reshape(len(rows), self._axes.count)


class ScoreTurn(Turn[Surrogate]):
    """For one objective."""

    @property
    def acquisition(self) -> str:
        return self._options.acquisition

    def _usable(self, observation: Observation) -> bool:
        return math.isfinite(observation.score)

    def _scores(self, observations: Sequence[Observation]) -> Array:
        """With the sign in which more is better."""
        return np.array([self._signs[0] * o.score for o in observations], dtype=np.float64)

    def _fitted(self) -> Surrogate:
        scores = self._scores(self._rows)
        costs, shares = self._cost_and_share(self._rows)
        shares[: len(self._prior)] = FOREIGN
        kept = training_subset(scores)
        points = self._points([self._rows[index].params for index in kept])
        failed = self._failed[-MAX_TRAINING:]
        return Surrogate(self._axes, self._options, kept, points, scores, costs, shares, failed)

    def _front(self) -> list[int]:
        front = complete_front(self._scores(self._observations), *self._cost_and_share(self._observations))
        return [int(index) for index in front]

    def _centres(self, models: Surrogate, rng: np.random.Generator) -> Sequence[int]:
        del rng
        return [int(index) for index in choose_centres(models.front, models.incumbent)]

    def _ranked(
        self, models: Surrogate, number: int, draw: Draw, rng: np.random.Generator
    ) -> tuple[Ranked | None, dict[str, str]]:
        focus = Focus.of(number, self._trials, self._axes.count)
        told = {"focus": focus.value}
        if focus is Focus.REGION:
            region = self._region(models)
            scale = self._options.global_search_scale * region.factor
            near = self._allowed(around(region.centre[None, :], self._axes, scale, IN_REGION, rng))
            ranked = models.rank(near, near[:0], draw, region) if len(near) else None
            if ranked is not None and not ranked.over_cost.all():
                return ranked, told
            told = {
                "focus": Focus.EVERYTHING.value
            }  # the best lies where the constraints or the cost limit let none be
        if focus is Focus.SHAPE:
            draw = replace(draw, shape=float(rng.random()))
        return super()._ranked(models, number, draw, rng)[0], told

    def _region(self, models: Surrogate) -> Region:
        """Around the incumbent, as wide as complete trials have made it."""
        complete = [observation for observation in self._observations if observation.fidelity >= 1]
        points = self._points([observation.params for observation in complete])
        factor = region_factor(points, self._scores(complete), self._axes, self._options.global_search_scale)
        [centre] = self._points([self._rows[models.incumbent].params])
        return Region(centre, factor)

    def _predicted(self, models: Surrogate, point: Array) -> dict[str, Any]:
        mean, std = models.expected(point)
        predicted = {"score_mean": self._signs[0] * mean, "score_std": std}
        return {name: value for name, value in predicted.items() if math.isfinite(value)}


Entry = TypeVar("Entry", "Observation", "FailedTrial", "PendingTrial")


def _inside(space: Space, entries: Iterable[Entry]) -> list[Entry]:
    """Those that are points of the space, by number."""
    return sorted((entry for entry in entries if is_complete(space, entry.params)), key=lambda entry: entry.number)
