"""Protein with one of its parts off, each under a name of its own: `protein-without-shapes` and so on.

A part is put out of action by setting the constant that governs it, before the optimizer is made, in the process of
that one run. What a user could do is done by a setting.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from benchmarks.referee import Referee
from sweeptui.core.config import ProteinSettings
from sweeptui.core.optimizers.protein.focus import Focus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PREFIX = "protein-without-"
_MODULES = "sweeptui.core.optimizers.protein."

CONSTANTS: Mapping[str, tuple[tuple[str, str, Any], ...]] = {
    "shapes": (("warp", "KNEES", (math.inf,)),),
    "smooth-kernel": (("surrogate", "SMOOTH_TRIED", 0),),
    "bends": (("surrogate", "BENT_TRIED", 0),),
    "averaging": (("surrogate", "MAX_EXPLANATIONS", 1),),
    "length-prior": (("gp", "LENGTH_PRIOR_VARIANCE", 100.0),),
    "noise-model": (("gp", "NOISE_CEILING", 2e-7),),
    "pull": (("centre", "CENTRE_WEIGHT", 0.0),),
    "cost": (("surrogate", "COST_WEIGHT", 0.0),),
    "front": (("turn", "choose_centres", lambda front, incumbent: [incumbent]),),
    "adaptive-reach": (("candidates", "FINEST", 0.0),),
    "gradients": (("search", "Search._climb", lambda self, start, draw, reach, region: start),),
    "neighbours": (("search", "ROUNDS", 0),),
    "turns": (("focus", "TURNS", (Focus.EVERYTHING,)),),
    "noise-share": (("turn", "NOISE_WEIGHT", 0.0),),
    "beliefs": (("surrogate", "Surrogate.believe", lambda self, points: None),),
}
"""Part -> (module, name, what it is set to)."""
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "local-candidates": {"suggestions_per_pareto": 0},
    "global-candidates": {"random_suggestions": 0},
    "centre": {"seed_with_search_center": False},
}
PARTS = (*CONSTANTS, *SETTINGS)


def without(part: str) -> Callable[..., Referee]:
    """Like `benchmarks.referee.factory`, for Protein without that part."""

    def factory(space: Any, seed: int, budget: int, batch: int = 1, cost_aware: bool = False) -> Referee:
        del budget, batch, cost_aware
        for place, name, value in patches(part):
            setattr(place, name, value)
        return Referee(space, seed, ProteinSettings(**SETTINGS.get(part, {})).model_dump())

    return factory


def patches(part: str) -> list[tuple[Any, str, Any]]:
    """(module or class, name, value) of what is set; AttributeError where there is no such thing any more."""
    from importlib import import_module

    found = []
    for module, name, value in CONSTANTS.get(part, ()):
        place: Any = import_module(_MODULES + module)
        *path, last = name.split(".")
        for step in path:
            place = getattr(place, step)
        getattr(place, last)
        found.append((place, last, value))
    return found
