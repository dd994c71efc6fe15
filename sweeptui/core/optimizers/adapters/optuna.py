"""Any sampler of Optuna: `method: optuna` is its default (TPE), `method: optuna:GPSampler` another one.

Optuna is told the scores, one or several, that a trial failed, and what is pending. It is not told what trials cost.
"""

from __future__ import annotations

import inspect
import warnings
from typing import TYPE_CHECKING, Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from sweeptui.core.distributions import Choice, Integer, LogUniform, Uniform
from sweeptui.core.errors import UserError, hint
from sweeptui.core.optimizers.adapters.events import suggest
from sweeptui.core.optimizers.seeding import stream_seed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweeptui.core.distributions import Distribution
    from sweeptui.core.optimizers.adapters.events import Event
    from sweeptui.core.optimizers.base import History, Suggestion
    from sweeptui.core.space import Space
    from sweeptui.core.trial import Params

DEFAULT = "TPESampler"
STATELESS = ("TPESampler", "GPSampler", "RandomSampler")
"""They look at nothing but finished trials. Others keep notes on what they chose, so they must choose it again."""

ONE_OBJECTIVE = ("CmaEsSampler",)

OURS = {"GridSampler": "grid", "BruteForceSampler": "grid", "QMCSampler": "sobol"}
"""They follow a plan and not the results, and ours do so for every kind of parameter."""

optuna.logging.set_verbosity(optuna.logging.WARNING)


class OptunaOptimizer:
    """A fresh study for each suggestion, filled from the history: what it suggests depends on nothing else.

    Raises `UserError` for a sampler that Optuna does not have, or that cannot be made without arguments.
    """

    def __init__(
        self,
        space: Space,
        *,
        goal: str,
        goals: Sequence[str] = (),
        settings: Mapping[str, Any],
        seed: int,
        variant: str = "",
    ) -> None:
        del settings
        self._space = space
        self._goals = list(goals or (goal,))
        self._seed = seed
        self._name = variant or DEFAULT
        self._method = f"optuna:{self._name}"
        self._sampler_class = _sampler_class(self._name)
        if len(self._goals) > 1 and self._name in ONE_OBJECTIVE:
            raise UserError(f"method: {self._method!r} searches for one metric alone; use 'optuna:NSGAIISampler'")
        self._axes = {name: distribution_of(space.distributions[name]) for name in space.axes}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._sampler(0)

    def suggest(self, history: History, first_number: int, n: int = 1) -> list[Suggestion]:
        return suggest(self, self._method, self._space, self._seed, history, first_number, n)

    def choose(self, told: list[Event], number: int) -> Params:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a sampler is experimental, as each of them was at first
            study = optuna.create_study(directions=self._goals, sampler=self._sampler(number))
            if self._name in STATELESS:
                study.add_trials([self._frozen(event) for event in told])
            else:
                for event in told:
                    self._replay(study, event)
            asked = study.ask(self._axes)
        return self._space.decode([self._unit(name, asked.params[name]) for name in self._space.axes])

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        options = {"seed": stream_seed(self._seed, number, "optuna") % 2**32, "warn_independent_sampling": False}
        taken = inspect.signature(self._sampler_class).parameters
        try:
            return self._sampler_class(**{name: value for name, value in options.items() if name in taken})
        except (TypeError, ImportError) as error:
            raise UserError(f"method: {self._method!r} cannot be made: {error}") from None

    def _frozen(self, event: Event) -> optuna.trial.FrozenTrial:
        state = TrialState.COMPLETE if event.scores else TrialState.RUNNING
        state = TrialState.FAIL if event.failed else state
        return create_trial(
            state=state, values=event.scores or None, params=self._values(event), distributions=self._axes
        )

    def _replay(self, study: optuna.Study, event: Event) -> None:
        study.enqueue_trial(self._values(event))
        trial = study.ask(self._axes)
        if event.failed:
            study.tell(trial, state=TrialState.FAIL)
        elif event.scores:
            study.tell(trial, event.scores)

    def _values(self, event: Event) -> dict[str, Any]:
        return {name: told_value(self._space.distributions[name], event.params[name]) for name in self._axes}

    def _unit(self, name: str, value: Any) -> float:
        ours = self._space.distributions[name]
        if isinstance(ours, Uniform | LogUniform | Integer):
            return ours.to_unit(value)
        return float(value) if ours.cardinality is None else ours.place(int(value))


def told_value(ours: Distribution, value: Any) -> Any:
    """A value in the terms of `distribution_of`: as it is, the index of a choice, or the place on the unit axis."""
    if isinstance(ours, Uniform | LogUniform | Integer):
        return value
    if ours.cardinality is not None:
        return ours.index(value)
    return ours.to_unit(value)


def distribution_of(ours: Distribution) -> BaseDistribution:
    """What Optuna is told of a parameter that is searched for."""
    if isinstance(ours, Integer):
        return IntDistribution(int(ours.min), int(ours.max))
    if isinstance(ours, Uniform | LogUniform):
        return FloatDistribution(ours.min, ours.max, log=isinstance(ours, LogUniform))
    if isinstance(ours, Choice):
        return CategoricalDistribution(range(ours.count))
    return FloatDistribution(0.0, 1.0) if ours.cardinality is None else IntDistribution(0, ours.cardinality - 1)


def _sampler_class(name: str) -> type[optuna.samplers.BaseSampler]:
    if name in OURS:
        raise UserError(f"method: Optuna's {name} is not offered; use method {OURS[name]!r}")
    names = [each for each in optuna.samplers.__all__ if each.endswith("Sampler") and not each.startswith("Base")]
    known = [each for each in names if each not in OURS]
    if name not in known:
        raise UserError(f"method: Optuna has no sampler {name!r}; {hint(name, known)}")
    found: type[optuna.samplers.BaseSampler] = getattr(optuna.samplers, name)
    return found
