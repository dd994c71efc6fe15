"""Optimizers as a script names them: which method, over which space, with which settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sweeptui.core.errors import UserError, hint, shown

Space = Mapping[str, Any]
"""Parameter by dotted name: a distribution (`LogUniform(1e-4, 1e-1)`), a `ParameterConfig`, or its fields."""

_EXPECTED_IMPROVEMENT = ("EI", "LogEI", "NoisyEI", "LogNoisyEI")


@dataclass(frozen=True)
class Optimizer:
    """What to try next. Without a search space it searches that of the recipe that is trained."""

    method: str
    """As `method` in a recipe: `bayes`, `random`, `optuna:GPSampler`, a plug-in's name."""
    search_space: Space | None = None
    constraints: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of Protein."""

    def config(self, base: Mapping[str, Any] | None) -> dict[str, Any]:
        """The `protein_config` of a sweep that is searched this way; `base` is the recipe's. Raises `UserError`."""
        space = self.search_space if self.search_space is not None else (base or {}).get("parameters")
        if not space:
            raise UserError(
                f"{type(self).__name__} has no search_space, and no recipe gives one; pass search_space={{...}}"
            )
        own_space = self.search_space is not None
        constraints = list(self.constraints) if own_space or self.constraints else (base or {}).get("constraints", [])
        return {"method": self.method, "parameters": space, "constraints": constraints, "settings": dict(self.settings)}


class ProteinOptimizer(Optimizer):
    """Protein: cost-aware Bayesian optimization. Its settings are keywords."""

    def __init__(self, search_space: Space | None = None, *, constraints: Sequence[str] = (), **settings: Any) -> None:
        super().__init__("bayes", search_space, constraints, settings)


BayesianOptimizer = ProteinOptimizer


class RandomOptimizer(Optimizer):
    def __init__(self, search_space: Space | None = None, *, constraints: Sequence[str] = ()) -> None:
        super().__init__("random", search_space, constraints)


class SobolOptimizer(Optimizer):
    def __init__(self, search_space: Space | None = None, *, constraints: Sequence[str] = ()) -> None:
        super().__init__("sobol", search_space, constraints)


class GridOptimizer(Optimizer):
    def __init__(self, search_space: Space | None = None, *, constraints: Sequence[str] = ()) -> None:
        super().__init__("grid", search_space, constraints)


class GeneticOptimizer(Optimizer):
    def __init__(self, search_space: Space | None = None, *, constraints: Sequence[str] = ()) -> None:
        super().__init__("genetic", search_space, constraints)


class OptunaOptimizer(Optimizer):
    """One of Optuna's samplers: "TPE", "GP", "CmaEs", or a class's whole name."""

    def __init__(
        self, search_space: Space | None = None, sampler: str = "TPE", *, constraints: Sequence[str] = ()
    ) -> None:
        name = sampler if sampler.endswith("Sampler") else f"{sampler}Sampler"
        super().__init__(f"optuna:{name}", search_space, constraints)


class AxOptimizer(Optimizer):
    """Ax with its own defaults, whose acquisition is expected improvement in its noisy, logarithmic form."""

    def __init__(
        self, search_space: Space | None = None, acquisition: str = "EI", *, constraints: Sequence[str] = ()
    ) -> None:
        if acquisition not in _EXPECTED_IMPROVEMENT:
            raise UserError(
                f"AxOptimizer: acquisition is {shown(acquisition)}; Ax chooses expected improvement by itself "
                f"({hint(str(acquisition), _EXPECTED_IMPROVEMENT)})"
            )
        super().__init__("ax", search_space, constraints)


class NevergradOptimizer(Optimizer):
    """One of Nevergrad's optimizers by name; its own choice where none is given."""

    def __init__(
        self, search_space: Space | None = None, optimizer: str = "", *, constraints: Sequence[str] = ()
    ) -> None:
        super().__init__(f"nevergrad:{optimizer}" if optimizer else "nevergrad", search_space, constraints)
