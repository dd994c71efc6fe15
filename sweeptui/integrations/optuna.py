"""Protein as an Optuna sampler: `optuna.create_study(sampler=ProteinSampler())`."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.trial import TrialState

from sweeptui.core.distributions import Choice, Distribution, Integer, LogUniform, Uniform
from sweeptui.core.optimizers.base import FailedTrial, History, PendingTrial, SpaceExhaustedError
from sweeptui.core.optimizers.protein.optimizer import ProteinOptimizer
from sweeptui.core.space import Space
from sweeptui.core.trial import Observation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COST = "cost"


class ProteinSampler(BaseSampler):  # type: ignore[misc]
    """Suggests what `method: bayes` would, given the study's trials. For one objective.

    A trial that sets the user attribute `cost` (`trial.set_user_attr("cost", seconds)`) tells Protein what it cost; the
    others count as equally dear. Failed trials are avoided and running ones are taken into account. Pruned trials are
    left out: Optuna does not say what share of the training they are. Parameters that not every trial has are drawn at
    random, as by Optuna's own samplers.

    Args:
        seed: For the same suggestions each time; random where it is None.
        settings: Protein's settings, such as `{"num_random_samples": 8}`; see `ProteinSettings`.

    Raises:
        UserError: for settings that make no sense.
    """

    def __init__(self, seed: int | None = None, *, settings: Mapping[str, Any] | None = None) -> None:
        self._seed = random.SystemRandom().getrandbits(31) if seed is None else seed
        self._settings = dict(settings or {})
        self._independent = RandomSampler(seed=self._seed % 2**32)
        self._intersection = IntersectionSearchSpace(include_pruned=False)
        ProteinOptimizer(Space({"x": Uniform(0.0, 1.0)}), goal="maximize", settings=self._settings, seed=self._seed)

    def reseed_rng(self) -> None:
        self._independent.reseed_rng()

    def infer_relative_search_space(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial
    ) -> dict[str, BaseDistribution]:
        del trial
        return {name: d for name, d in self._intersection.calculate(study).items() if not d.single()}

    def sample_relative(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        self._raise_error_if_multi_objective(study)
        if not search_space:
            return {}
        axes = {name: _ours(distribution) for name, distribution in search_space.items()}
        goal = "maximize" if study.direction == optuna.study.StudyDirection.MAXIMIZE else "minimize"
        optimizer = ProteinOptimizer(Space(axes), goal=goal, settings=self._settings, seed=self._seed)
        others = [t for t in study.get_trials(deepcopy=False, states=None) if t.number != trial.number]
        try:
            [suggestion] = optimizer.suggest(_history(others, search_space), trial.number + 1)
        except SpaceExhaustedError:
            return {}
        return {name: _theirs(search_space[name], value) for name, value in suggestion.params.items()}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: optuna.trial.FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        self._raise_error_if_multi_objective(study)
        return self._independent.sample_independent(study, trial, param_name, param_distribution)


def _history(trials: Sequence[optuna.trial.FrozenTrial], search_space: Mapping[str, BaseDistribution]) -> History:
    observations, failures, pending = [], [], []
    for trial in trials:
        if not search_space.keys() <= trial.params.keys():
            continue
        number = trial.number + 1
        params = {name: _value(distribution, trial.params[name]) for name, distribution in search_space.items()}
        if trial.state == TrialState.COMPLETE and math.isfinite(trial.value):
            observations.append(Observation(number, params, trial.value, float(trial.user_attrs.get(COST, 1.0))))
        elif trial.state == TrialState.FAIL:
            failures.append(FailedTrial(number, params, "failed"))
        elif trial.state in (TrialState.RUNNING, TrialState.WAITING):
            pending.append(PendingTrial(number, params))
    return History(tuple(observations), tuple(failures), tuple(pending))


def _ours(theirs: BaseDistribution) -> Distribution:
    """Steps become their numbers and choices their indices; whole numbers on a logarithmic axis become floats."""
    if isinstance(theirs, CategoricalDistribution):
        return Choice(range(len(theirs.choices)))
    if isinstance(theirs, FloatDistribution):
        if theirs.step is not None:
            return Integer(0, _steps(theirs))
        return LogUniform(theirs.low, theirs.high) if theirs.log else Uniform(theirs.low, theirs.high)
    assert isinstance(theirs, IntDistribution)
    return LogUniform(theirs.low - 0.5, theirs.high + 0.5) if theirs.log else Integer(0, _steps(theirs))


def _steps(theirs: FloatDistribution | IntDistribution) -> int:
    return int(round((theirs.high - theirs.low) / theirs.step))  # noqa: RUF046 - of floats whose type is not known


def _value(theirs: BaseDistribution, value: Any) -> Any:
    """A value of theirs in our terms, outside of our space where it was suggested from another range."""
    if isinstance(theirs, CategoricalDistribution):
        return theirs.choices.index(value) if value in theirs.choices else -1
    if isinstance(theirs, FloatDistribution) and theirs.step is None:
        return float(value)
    if isinstance(theirs, IntDistribution) and theirs.log:
        return float(value)
    return round((value - theirs.low) / theirs.step)


def _theirs(theirs: BaseDistribution, value: Any) -> Any:
    if isinstance(theirs, CategoricalDistribution):
        return theirs.choices[value]
    if isinstance(theirs, IntDistribution):
        return min(theirs.high, max(theirs.low, round(value))) if theirs.log else theirs.low + value * theirs.step
    if theirs.step is not None:
        return min(theirs.high, theirs.low + value * theirs.step)
    return float(value)
