"""Ax (BoTorch) with its own defaults: `method: ax`.

Ax is told the scores, one or several, that a trial failed, and what is pending. It is not told what trials cost.
"""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from ax.api.client import Client
from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig

from sweeptui.core.distributions import Choice, Integer, LogUniform, Uniform
from sweeptui.core.errors import UserError
from sweeptui.core.optimizers.adapters.events import suggest
from sweeptui.core.optimizers.adapters.streams import seeded
from sweeptui.core.optimizers.seeding import stream_seed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sweeptui.core.distributions import Distribution
    from sweeptui.core.optimizers.adapters.events import Event
    from sweeptui.core.optimizers.base import History, Suggestion
    from sweeptui.core.space import Space
    from sweeptui.core.trial import Params

METRIC = "objective"


class AxOptimizer:
    """A fresh client for each suggestion, filled from the history: what it suggests depends on nothing else."""

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
        if variant:
            raise UserError(f"method: 'ax' has no variants, and {variant!r} is given; use 'ax' alone")
        self._space = space
        goals = goals or (goal,)
        self._metrics = [METRIC if len(goals) == 1 else f"{METRIC}{index}" for index in range(len(goals))]
        signs = ["" if each == "maximize" else "-" for each in goals]
        self._objective = ", ".join(map("".join, zip(signs, self._metrics, strict=True)))
        self._seed = seed
        # Ax takes a parameter's name for an expression: dots would be read as attributes.
        self._names = {name: f"p{index}" for index, name in enumerate(space.axes)}

    def suggest(self, history: History, first_number: int, n: int = 1) -> list[Suggestion]:
        return suggest(self, "ax", self._space, self._seed, history, first_number, n)

    def choose(self, told: list[Event], number: int) -> Params:
        seed = stream_seed(self._seed, number, "ax") % 2**31
        with warnings.catch_warnings(), _quiet(), seeded(seed):
            warnings.simplefilter("ignore")
            client = Client(random_seed=seed)
            client.configure_experiment(
                parameters=[_parameter(self._names[name], self._space.distributions[name]) for name in self._names]
            )
            client.configure_optimization(objective=self._objective)
            client.configure_generation_strategy(initialization_random_seed=seed, initialize_with_center=not told)
            for event in told:
                index = client.attach_trial(parameters=self._values(event.params))
                if event.failed:
                    client.mark_trial_failed(trial_index=index)
                elif event.scores:
                    data = dict(zip(self._metrics, event.scores, strict=True))
                    client.complete_trial(trial_index=index, raw_data=data)
            [asked] = client.get_next_trials(max_trials=1).values()
        return self._space.decode([self._unit(name, asked[self._names[name]]) for name in self._names])

    def _values(self, params: Params) -> dict[str, Any]:
        return {ax_name: self._value(name, params[name]) for name, ax_name in self._names.items()}

    def _value(self, name: str, value: Any) -> Any:
        ours = self._space.distributions[name]
        if isinstance(ours, Uniform | LogUniform):
            return float(value)
        if isinstance(ours, Integer):
            return int(value)
        return ours.to_unit(value) if ours.cardinality is None else ours.index(value)

    def _unit(self, name: str, value: Any) -> float:
        ours = self._space.distributions[name]
        if isinstance(ours, Uniform | LogUniform | Integer):
            return ours.to_unit(min(max(value, ours.min), ours.max))
        return float(value) if ours.cardinality is None else ours.place(int(value))


def _parameter(name: str, ours: Distribution) -> RangeParameterConfig | ChoiceParameterConfig:
    count = ours.cardinality
    if isinstance(ours, Choice) or count == 1:
        return ChoiceParameterConfig(name=name, values=list(range(count or 1)), parameter_type="int", is_ordered=False)
    if isinstance(ours, Uniform | LogUniform):
        scaling: Literal["linear", "log"] = "log" if isinstance(ours, LogUniform) else "linear"
        return RangeParameterConfig(name=name, bounds=(ours.min, ours.max), parameter_type="float", scaling=scaling)
    if isinstance(ours, Integer):
        return RangeParameterConfig(name=name, bounds=(int(ours.min), int(ours.max)), parameter_type="int")
    if count is None:
        return RangeParameterConfig(name=name, bounds=(0.0, 1.0), parameter_type="float")
    return RangeParameterConfig(name=name, bounds=(0, count - 1), parameter_type="int")


@contextmanager
def _quiet() -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
