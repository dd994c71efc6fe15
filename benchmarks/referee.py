"""Protein as users get it, for benchmarks that ask and tell.

`factory(space, seed, budget, batch=1, cost_aware=False)` gives an object with `ask(n) -> [configuration, ...]` and
`tell(configuration, loss, cost)`. `space.params` is a sequence of parameters with `name`, `kind` ("float", "int" or
"cat"), `lo`, `hi`, `log` and `choices`. Losses are minimised. The settings are the defaults; neither the budget nor
the batch is told to Protein, which knows of what is pending.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sweeptui.core.config import ProteinSettings
from sweeptui.core.distributions import Choice, Distribution, Integer, LogInteger, LogUniform, Uniform
from sweeptui.core.optimizers.base import History, PendingTrial
from sweeptui.core.optimizers.registry import resolve
from sweeptui.core.space import Space
from sweeptui.core.trial import Observation

if TYPE_CHECKING:
    from collections.abc import Mapping


class Referee:
    """A sweep without trials: it numbers them, and hands the history to the optimizer at each question."""

    def __init__(self, space: Any, seed: int, settings: Mapping[str, Any]) -> None:
        self._space = Space({parameter.name: distribution(parameter) for parameter in space.params})
        self._optimizer = resolve("bayes")(self._space, goal="minimize", settings=settings, seed=seed)
        self._number = 0
        self._observations: list[Observation] = []
        self._pending: dict[int, tuple[dict[str, Any], PendingTrial]] = {}
        self.predictions: list[tuple[float, float] | None] = []
        """By trial: the score that was predicted, and its deviation; None where no model was asked."""

    def ask(self, n: int = 1) -> list[dict[str, Any]]:
        history = History(tuple(self._observations), (), tuple(trial for _, trial in self._pending.values()))
        suggestions = self._optimizer.suggest(history, self._number + 1, n)
        asked = []
        for suggestion in suggestions:
            self._number += 1
            predicted = suggestion.provenance.get("score_mean"), suggestion.provenance.get("score_std")
            self.predictions.append(None if None in predicted else predicted)
            configuration = dict(suggestion.params)
            self._pending[id(configuration)] = configuration, PendingTrial(self._number, suggestion.params)
            asked.append(configuration)
        return asked

    def tell(self, configuration: dict[str, Any], loss: float, cost: float) -> None:
        known = self._pending.pop(id(configuration), None)
        if known is None:
            self._number += 1
        number = self._number if known is None else known[1].number
        self._observations.append(Observation(number, dict(configuration), loss, cost))


def distribution(parameter: Any) -> Distribution:
    if parameter.kind == "cat":
        return Choice(parameter.choices)
    kinds = {"float": (Uniform, LogUniform), "int": (Integer, LogInteger)}
    return kinds[parameter.kind][parameter.log](parameter.lo, parameter.hi)


def factory(space: Any, seed: int, budget: int, batch: int = 1, cost_aware: bool = False) -> Referee:
    del budget, batch, cost_aware
    return Referee(space, seed, ProteinSettings().model_dump())
