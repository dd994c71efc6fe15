"""Optimizers as a script names them: which method, over which space, with which settings."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sweeptui.core.errors import UserError, hint, shown
from sweeptui.core.optimizers.adapters.own import Trial

Space = Mapping[str, Any]
"""Parameter by dotted name: a distribution (`LogUniform(1e-4, 1e-1)`), a `ParameterConfig`, or its fields."""

_EXPECTED_IMPROVEMENT = ("EI", "LogEI", "NoisyEI", "LogNoisyEI")


class Optimizer:
    """What to try next. Without a search space it searches that of the recipe that is trained.

    One of your own subclasses it and overrides `suggest` and `observe`; it must be a class at the top of a module that
    can be made without arguments, for each suggestion is asked of a new one that was told all results before.
    """

    method: str = ""
    """As `method` in a recipe: `bayes`, `random`, `optuna:GPSampler`, a plug-in's name."""
    search_space: Space | None = None
    constraints: Sequence[str] = ()
    settings: Mapping[str, Any] = MappingProxyType({})
    """Of Protein."""

    def __init__(
        self,
        method: str = "",
        search_space: Space | None = None,
        constraints: Sequence[str] = (),
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.method = method or self.method
        self.search_space = self.search_space if search_space is None else search_space
        self.constraints = tuple(constraints) or self.constraints
        self.settings = dict(settings or self.settings)

    def suggest(self, n: int) -> list[Trial]:
        """For one of your own: `n` trials to try."""
        raise NotImplementedError(f"{type(self).__name__} has no suggest(n)")

    def observe(self, trial: Trial, result: float) -> None:
        """For one of your own: the score of a trial, in the sweep's sign."""

    def config(self, base: Mapping[str, Any] | None) -> dict[str, Any]:
        """The `protein_config` of a sweep that is searched this way; `base` is the recipe's. Raises `UserError`."""
        space = self.search_space if self.search_space is not None else (base or {}).get("parameters")
        if not space:
            raise UserError(
                f"{type(self).__name__} has no search_space, and no recipe gives one; pass search_space={{...}}"
            )
        own_space = self.search_space is not None
        constraints = list(self.constraints) if own_space or self.constraints else (base or {}).get("constraints", [])
        return {
            "method": self._method(),
            "parameters": space,
            "constraints": constraints,
            "settings": dict(self.settings),
        }

    def _method(self) -> str:
        kind = type(self)
        if self.method:
            return self.method
        if kind.suggest is Optimizer.suggest:
            raise UserError(f"{kind.__name__} has no method and no suggest(n); give it one")
        if "<locals>" in kind.__qualname__:
            raise UserError(f"{kind.__name__} is a class inside a function; put it at the top of its module")
        # The optimizer works in a process of its own, for which the script is no `__main__`.
        owner = inspect.getsourcefile(kind) if kind.__module__ == "__main__" else kind.__module__
        return f"{owner}:{kind.__qualname__}"


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
