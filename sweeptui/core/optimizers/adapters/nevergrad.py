"""Optimizers of Nevergrad: `method: nevergrad` is `DEFAULT`, `method: nevergrad:TwoPointsDE` another one.

Nevergrad is told the scores (of several it makes one, by hypervolume), and what is pending as what it has asked for. It
is not told what trials cost, or that one failed: where a trial failed it is only not proposed again. Some choose by the
number of trials to come, which a sweep may change at any time: they are given 100, or 1,000 once there are more, and so
on.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import nevergrad
import numpy as np

from sweeptui.core.distributions import Choice
from sweeptui.core.errors import UserError, hint
from sweeptui.core.optimizers.adapters.events import suggest
from sweeptui.core.optimizers.adapters.streams import seeded
from sweeptui.core.optimizers.seeding import stream_seed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweeptui.core.distributions import Distribution
    from sweeptui.core.optimizers.adapters.events import Event
    from sweeptui.core.optimizers.base import History, Suggestion
    from sweeptui.core.space import Space
    from sweeptui.core.trial import Params

DEFAULT = "PortfolioDiscreteOnePlusOne"
"""What Nevergrad's documentation recommends for a few trials of mixed parameters."""
ONE_AT_A_TIME = ("NGOpt", "NgIoh", "NGO")
"""The families that hand over to optimizers which wait for each result before they answer again: for ever, where one is
pending."""


class NevergradOptimizer:
    """A fresh optimizer for each suggestion, told the history in the order of the trials' numbers.

    Raises `UserError` for an optimizer that Nevergrad does not have.
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
        self._name = variant or DEFAULT
        if self._name not in nevergrad.optimizers.registry:
            known = sorted(nevergrad.optimizers.registry)
            raise UserError(f"method: Nevergrad has no optimizer {self._name!r}; {hint(self._name, known)}")
        if self._name.startswith(ONE_AT_A_TIME) or nevergrad.optimizers.registry[self._name].no_parallelization:
            raise UserError(
                f"method: {self._name!r} of Nevergrad cannot be asked while a trial is pending; use {DEFAULT!r}"
            )
        self._space = space
        self._signs = [-1.0 if each == "maximize" else 1.0 for each in goals or (goal,)]
        self._seed = seed

    def suggest(self, history: History, first_number: int, n: int = 1) -> list[Suggestion]:
        return suggest(self, f"nevergrad:{self._name}", self._space, self._seed, history, first_number, n)

    def choose(self, told: list[Event], number: int) -> Params:
        del number
        seed = stream_seed(self._seed, "nevergrad") % 2**32
        with warnings.catch_warnings(), seeded(seed):
            warnings.simplefilter("ignore")  # about budgets and workers, which a sweep does not fix beforehand
            axes = {name: _parameter(self._space.distributions[name]) for name in self._space.axes}
            asks = nevergrad.p.Dict(**axes)
            asks.random_state = np.random.RandomState(seed)
            optimizer = nevergrad.optimizers.registry[self._name](asks, budget=_budget(len(told) + 1))
            for event in told:
                self._replay(optimizer, event)
            return self._params(optimizer.ask())

    def _replay(self, optimizer: Any, event: Event) -> None:
        """Let it choose again, so that its own notes are those of the sweep so far, and tell it what came."""
        candidate = optimizer.ask()
        if not event.scores:
            return
        if self._space.full(self._params(candidate)) != dict(event.params):
            # Chosen by somebody else, or before another result was in.
            candidate = optimizer.parametrization.spawn_child(new_value=self._values(event.params))
        try:
            losses = [sign * score for sign, score in zip(self._signs, event.scores, strict=True)]
            optimizer.tell(candidate, losses[0] if len(losses) == 1 else losses)
        except nevergrad.errors.TellNotAskedNotSupportedError:
            raise UserError(
                f"method: {self._name!r} of Nevergrad cannot be told about trials that it did not choose, so nothing "
                f"can run at the same time; use {DEFAULT!r}"
            ) from None

    def _params(self, candidate: Any) -> Params:
        value = candidate.value
        return self._space.decode([self._unit(name, value[name]) for name in self._space.axes])

    def _values(self, params: Params) -> dict[str, Any]:
        return {name: self._value(name, params[name]) for name in self._space.axes}

    def _value(self, name: str, value: Any) -> float | int:
        """Ours in Nevergrad's terms: the index of a choice, or the place on the unit axis."""
        ours = self._space.distributions[name]
        return ours.index(value) if isinstance(ours, Choice) else ours.to_unit(value)

    def _unit(self, name: str, value: float) -> float:
        ours = self._space.distributions[name]
        return ours.place(int(value)) if isinstance(ours, Choice) else float(value)


def _budget(trials: int) -> int:
    budget = 100
    while budget < trials:
        budget *= 10
    return budget


def _parameter(ours: Distribution) -> Any:
    if isinstance(ours, Choice):
        return nevergrad.p.Choice(range(ours.count))
    return nevergrad.p.Scalar(init=ours.center, lower=0.0, upper=1.0)
