"""Random search: the baseline, and what every other optimizer falls back to."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from sweeptui.core.optimizers.base import Suggestion
from sweeptui.core.optimizers.configurations import (
    configuration_key,
    draw_unused,
    one_by_one,
    used_configurations,
)
from sweeptui.core.optimizers.seeding import stream_seed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweeptui.core.optimizers.base import History
    from sweeptui.core.space import Space


class RandomOptimizer:
    """Uniform draws from the unit cube.

    The draw for trial k depends on (space, seed, k) alone, whatever the other trials gave, except that a finite space
    is sampled without replacement; one in which nothing is searched is repeated, so that trials differ in their seeds
    alone. Goals and settings have no say in it. Where fewer than `n` configurations are left
    it returns those, and raises `SpaceExhaustedError` when there are none.
    """

    def __init__(
        self, space: Space, *, goal: str, goals: Sequence[str] = (), settings: Mapping[str, Any], seed: int
    ) -> None:
        del goal, goals, settings
        self._space = space
        self._seed = seed

    def suggest(self, history: History, first_number: int, n: int = 1) -> list[Suggestion]:
        if not self._space.axes:
            return [Suggestion(self._space.center(), {"method": "random"}) for _ in range(n)]
        used = used_configurations(self._space, history) if self._space.cardinality is not None else set()

        def draw(number: int) -> Suggestion:
            rng = random.Random(stream_seed(self._seed, number, "random"))  # noqa: S311 - not cryptography
            params = draw_unused(self._space, used, rng)
            used.add(configuration_key(self._space, params))
            return Suggestion(params, {"method": "random"})

        return one_by_one(draw, first_number, n)
