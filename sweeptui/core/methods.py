"""The names that `method` can have."""

from __future__ import annotations

from dataclasses import dataclass

GROUP = "sweeptui.optimizers"
"""Entry points of other packages' optimizers."""


@dataclass(frozen=True, slots=True)
class Method:
    """An optimizer that comes with sweeptui."""

    factory: str
    """`module:name` below `sweeptui.core.optimizers`."""
    library: str = ""
    """The package it imports, and the extra that installs it, both of that name; "" where it needs none."""
    variants: bool = False
    """`name:VARIANT` chooses one of the library's optimizers."""


METHODS = {
    "bayes": Method("protein.optimizer:ProteinOptimizer"),
    "random": Method("random:RandomOptimizer"),
    "sobol": Method("sobol:SobolOptimizer"),
    "grid": Method("grid:GridOptimizer"),
    "genetic": Method("genetic:GeneticOptimizer"),
    "optuna": Method("adapters.optuna:OptunaOptimizer", library="optuna", variants=True),
    "ax": Method("adapters.ax:AxOptimizer", library="ax"),
    "nevergrad": Method("adapters.nevergrad:NevergradOptimizer", library="nevergrad", variants=True),
}


def split(method: str) -> tuple[str, str]:
    """A method's name and its variant, "" where it names none: `optuna:GPSampler`."""
    name, _, variant = method.partition(":")
    return name, variant
