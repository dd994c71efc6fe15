"""Every configuration of a finite space, one after the other."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from sweeptui.core.optimizers.base import SpaceExhaustedError, Suggestion
from sweeptui.core.optimizers.configurations import check_not_exhausted, configuration_key, is_new, used_configurations

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweeptui.core.optimizers.base import History
    from sweeptui.core.space import Space


class GridOptimizer:
    """The first configuration in order that was not tried; the last parameter changes the fastest.

    What differs only in a parameter that does not exist is one configuration.

    Goals, settings and seed have no say in it. Raises `ValueError` at construction for a space that is not finite,
    which a configuration with this method cannot have, and `SpaceExhaustedError` when nothing is left.
    """

    def __init__(
        self, space: Space, *, goal: str, goals: Sequence[str] = (), settings: Mapping[str, Any], seed: int
    ) -> None:
        del goal, goals, settings, seed
        if space.cardinality is None:
            raise ValueError("a grid needs a finite space")
        self._space = space
        self._axes = [space.distributions[name] for name in space.axes]

    def suggest(self, history: History, first_number: int, n: int = 1) -> list[Suggestion]:
        del first_number
        used = used_configurations(self._space, history)
        check_not_exhausted(self._space, used)
        suggestions: list[Suggestion] = []
        index = 0
        while len(suggestions) < n and index < math.prod(axis.cardinality or 1 for axis in self._axes):
            params = self._space.decode(self._point(index))
            if is_new(self._space, params, used):
                suggestions.append(Suggestion(params, {"method": "grid", "index": index}))
                used.add(configuration_key(self._space, params))
            index += 1
        if not suggestions:
            raise SpaceExhaustedError("every configuration of the grid was tried")
        return suggestions

    def _point(self, index: int) -> list[float]:
        """Where on each axis the value lies that has its turn at `index`."""
        point: list[float] = []
        for axis in reversed(self._axes):
            index, turn = divmod(index, axis.cardinality or 1)
            point.append(axis.place(turn))
        return point[::-1]
