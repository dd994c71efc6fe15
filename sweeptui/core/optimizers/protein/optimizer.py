"""The optimizer behind `method: bayes`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from threadpoolctl import ThreadpoolController

from sweeptui.core.errors import UserError
from sweeptui.core.optimizers.configurations import one_by_one
from sweeptui.core.optimizers.protein.axes import Axes
from sweeptui.core.optimizers.protein.several import FrontTurn
from sweeptui.core.optimizers.protein.turn import ScoreTurn
from sweeptui.core.settings import ProteinSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweeptui.core.optimizers.base import History, Suggestion
    from sweeptui.core.space import Space


class ProteinOptimizer:
    """Centre, then Sobol points, then candidates around the Pareto front judged by Gaussian processes.

    With several `goals` the search is for the Pareto front. `settings`: see `ProteinSettings`. Raises `UserError` for
    settings that make no sense. Where fewer than `n` configurations are left `suggest` returns those, and raises
    `SpaceExhaustedError` when there are none.
    """

    def __init__(
        self, space: Space, *, goal: str, goals: Sequence[str] = (), settings: Mapping[str, Any], seed: int
    ) -> None:
        self._space = space
        self._signs = [-1.0 if each == "minimize" else 1.0 for each in goals or (goal,)]
        self._options = ProteinSettings.from_mapping(settings)
        self._seed = seed
        self._axes = Axes(space)
        if len(self._signs) > 1 and self._options.acquisition != "ei":
            raise UserError(f"settings.acquisition is {self._options.acquisition!r}, which is for one metric; use 'ei'")
        # Sums over several threads round differently from machine to machine, and matrices as small as these are
        # slower with them: one thread keeps suggestions reproducible, and leaves the cores to the trials.
        self._threads = ThreadpoolController()

    def suggest(self, history: History, first_number: int, n: int = 1) -> list[Suggestion]:
        with self._threads.limit(limits=1):
            kind = ScoreTurn if len(self._signs) == 1 else FrontTurn
            turn = kind(self._space, self._axes, self._options, self._signs, self._seed, history)
            return one_by_one(turn.suggest, first_number, n)
