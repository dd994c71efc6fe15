"""A scrambled Sobol sequence: random search that leaves no large hole."""

from __future__ import annotations

import random
import warnings
from typing import TYPE_CHECKING, Any

from scipy.stats import qmc

from sweeptui.core.optimizers.base import Suggestion
from sweeptui.core.optimizers.configurations import (
    configuration_key,
    draw_unused,
    is_new,
    one_by_one,
    used_configurations,
)
from sweeptui.core.optimizers.seeding import stream_seed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweeptui.core.optimizers.base import History
    from sweeptui.core.space import Space


class SobolOptimizer:
    """Trial k is point k of the sequence (Owen-scrambled, Joe and Kuo's directions), whatever the others gave.

    Goals and settings have no say in it. In a space with integers or choices two points may be one configuration: the
    later one is drawn at random instead, and its provenance says so. Raises `SpaceExhaustedError` when nothing is left.
    """

    def __init__(
        self, space: Space, *, goal: str, goals: Sequence[str] = (), settings: Mapping[str, Any], seed: int
    ) -> None:
        del goal, goals, settings
        self._space = space
        self._seed = seed

    def suggest(self, history: History, first_number: int, n: int = 1) -> list[Suggestion]:
        used = used_configurations(self._space, history)
        points = self._points(first_number, n)

        def choose(number: int) -> Suggestion:
            suggestion = self._at(number, points[number - first_number], used)
            used.add(configuration_key(self._space, suggestion.params))
            return suggestion

        return one_by_one(choose, first_number, n)

    def _points(self, first_number: int, n: int) -> list[list[float]]:
        if not self._space.axes:
            return [[]] * n
        engine = qmc.Sobol(len(self._space.axes), scramble=True, rng=stream_seed(self._seed, "sobol"))
        if first_number > 1:  # scipy cannot go forward by nothing
            engine.fast_forward(first_number - 1)
        with warnings.catch_warnings():
            # It warns that its balance holds for powers of two, and a sweep takes its points one by one.
            warnings.simplefilter("ignore", UserWarning)
            points: list[list[float]] = engine.random(n).tolist()
        return points

    def _at(self, number: int, point: list[float], used: set[str]) -> Suggestion:
        params = self._space.decode(point)
        if is_new(self._space, params, used):
            return Suggestion(params, {"method": "sobol"})
        rng = random.Random(stream_seed(self._seed, number, "random"))  # noqa: S311 - not cryptography
        drawn = draw_unused(self._space, used, rng)
        return Suggestion(
            drawn,
            {"method": "random", "fallback": "its point was tried before, or a constraint forbids it"},
        )
