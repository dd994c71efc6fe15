"""Telling configurations apart, so that no trial is spent on what was tried before."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sweeptui.core.optimizers.base import SpaceExhaustedError

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from sweeptui.core.optimizers.base import History, Suggestion
    from sweeptui.core.space import Space
    from sweeptui.core.trial import Params


def configuration_key(space: Space, params: Params) -> str:
    """Equal for two configurations exactly when training them would be the same (parameters of `space` only)."""
    if space.conditions:
        there = space.existing({name: params.get(name) for name in space.distributions})
        params = {name: there.get(name) for name in space.distributions}
    values = [_plain(params[name]) if d.kind == "integer" else params[name] for name, d in space.distributions.items()]
    return json.dumps(values, sort_keys=True)


def _plain(value: Any) -> Any:
    """8.0, as a user may have written it, is 8."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def is_complete(space: Space, params: Params) -> bool:
    """Whether `params` is a point of `space`: a changed space may leave older trials outside."""
    return space.covers(params)


def used_configurations(space: Space, history: History) -> set[str]:
    """The keys of everything tried or pending that lies inside the space."""
    tried = [entry.params for part in (history.observations, history.failures, history.pending) for entry in part]
    return {configuration_key(space, params) for params in tried if is_complete(space, params)}


def is_new(space: Space, params: Params, used: set[str]) -> bool:
    """Whether it may be suggested: the constraints allow it, and it was not tried."""
    return space.allows(params) and configuration_key(space, params) not in used


def check_not_exhausted(space: Space, used: set[str]) -> None:
    """Raise `SpaceExhaustedError` where a finite space has nothing left."""
    if space.cardinality is not None and len(used) >= space.cardinality:
        raise SpaceExhaustedError(f"all {space.cardinality} configurations of the search space were tried")


def one_by_one(choose: Callable[[int], Suggestion], first_number: int, n: int) -> list[Suggestion]:
    """What `choose` gives for each trial in turn: fewer than `n` where the space is used up meanwhile.

    Raises `SpaceExhaustedError` where it was used up before.
    """
    suggestions: list[Suggestion] = []
    for number in range(first_number, first_number + n):
        try:
            suggestions.append(choose(number))
        except SpaceExhaustedError:
            if not suggestions:
                raise
            break
    return suggestions


def draw_unused(space: Space, used: set[str], rng: random.Random) -> Params:
    """A configuration drawn uniformly from the cube until it is a new one; raises `SpaceExhaustedError`.

    Even the last of C equally likely configurations is missed by 64 C draws only once in e^64.
    """
    check_not_exhausted(space, used)
    for _ in range(1000 + 64 * (space.cardinality or 0)):
        try:
            params = space.sample(rng)
        except RuntimeError as error:
            raise SpaceExhaustedError(str(error)) from None
        if configuration_key(space, params) not in used:
            return params
    raise SpaceExhaustedError("no configuration is left that random sampling could reach")
