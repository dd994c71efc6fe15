"""Spaces and histories that an optimizer must cope with."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from sweeptui.core.distributions import Choice, Constant, Integer, LogInteger, Logit, LogUniform, PowerOfTwo, Uniform
from sweeptui.core.trial import Observation

if TYPE_CHECKING:
    from collections.abc import Callable

    from sweeptui.core.space import Space

SPACES: dict[str, dict[str, Any]] = {
    "one axis": {"lr": LogUniform(1e-5, 1e-1)},
    "mixed": {
        "lr": LogUniform(1e-5, 1e-1),
        "gamma": Logit(0.8, 0.9999),
        "hidden": PowerOfTwo(24, 600),
        "layers": Integer(1, 4),
        "activation": Choice(["relu", "tanh", None, 3]),
        "one_choice": Choice(["only"]),
        "optimizer": Constant("adam"),
    },
    "all categorical": {"a": Choice(["x", "y", "z"]), "b": Choice([True, False]), "c": Choice([1, 2, 3, 4, 5])},
    "integers": {"n": Integer(-50, 1000), "m": Integer(0, 7), "k": LogInteger(1, 60)},
    "conditional": {
        "optimizer": Choice(["sgd", "adam", "none"]),
        "momentum": {"min": 0.0, "max": 0.99, "when": "optimizer == 'sgd'"},
        "nesterov": {"values": [True, False], "when": "momentum > 0.5"},
        "beta": {"min": 1, "max": 3, "when": "optimizer == 'adam'"},
        "lr": LogUniform(1e-5, 1e-1),
    },
    "fifty axes": {f"x{k}": Uniform(-1.0, 1.0) for k in range(50)},
}


def observations(
    space: Space, count: int, score: Callable[[int], float] = lambda k: float(k % 5), cost: float = 2.0
) -> list[Observation]:
    """`count` finished trials at random places, numbered from 1."""
    rng = random.Random(7)
    return [Observation(k, space.sample(rng), score(k), cost * (1 + k % 3)) for k in range(1, count + 1)]


HARD_DATA: dict[str, Callable[[Space], list[Observation]]] = {
    "one": lambda space: observations(space, 1),
    "two": lambda space: observations(space, 2),
    "constant": lambda space: observations(space, 9, score=lambda _: 3.0),
    "zero": lambda space: observations(space, 9, score=lambda _: 0.0),
    "tied": lambda space: observations(space, 9, score=lambda k: float(k % 2)),
    "duplicates": lambda space: [Observation(k, space.center(), float(k), 1.0) for k in range(1, 10)],
    "equal duplicates": lambda space: [Observation(k, space.center(), 1.0, 1.0) for k in range(1, 10)],
    "not a number": lambda space: observations(space, 9, score=lambda k: float("nan") if k % 2 else float(k)),
    "infinite": lambda space: observations(space, 9, score=lambda k: float("inf") if k % 2 else float(k)),
    "huge": lambda space: observations(space, 9, score=lambda k: (-1.0) ** k * 1.7e308),
    "one huge": lambda space: observations(space, 9, score=lambda k: 1.7e308 if k == 4 else float(k)),
    "one terrible": lambda space: observations(space, 9, score=lambda k: -1.7e308 if k == 4 else float(k)),
    "tiny": lambda space: observations(space, 9, score=lambda k: k * 5e-324),
    "tiny differences": lambda space: observations(space, 9, score=lambda k: 1e12 + k * 1e-4),
    "huge costs": lambda space: observations(space, 9, cost=1e300),
    "tiny costs": lambda space: observations(space, 9, cost=1e-300),
    "zero costs": lambda space: observations(space, 9, cost=0.0),
    "negative costs": lambda space: observations(space, 9, cost=-1.0),
    "missing costs": lambda space: observations(space, 9, cost=float("nan")),
}
