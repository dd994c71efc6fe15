"""The cockpit for hyperparameter sweeps in the terminal.

    import sweeptui
    sweeptui.report(step=100, score=0.7)

Names are imported when they are first used: a training script that only reports pays for nothing else.
"""

from __future__ import annotations

# `typing` takes longer to import than everything here.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from sweeptui.core.config import (
        ParameterConfig,
        ProteinConfig,
        ProteinSettings,
        SimulationConfig,
        SweepConfig,
        SweepTool,
    )
    from sweeptui.core.space import Choice, Integer, LogUniform, Uniform
    from sweeptui.recipes.tool import TrainTool
    from sweeptui.reporting import report

__version__ = "0.1.0"

__all__ = [
    "Choice",
    "Integer",
    "LogUniform",
    "ParameterConfig",
    "ProteinConfig",
    "ProteinSettings",
    "SimulationConfig",
    "SweepConfig",
    "SweepTool",
    "TrainTool",
    "Uniform",
    "__version__",
    "report",
]

_HOMES = {
    "sweeptui.core.config": (
        "ParameterConfig",
        "ProteinConfig",
        "ProteinSettings",
        "SimulationConfig",
        "SweepConfig",
        "SweepTool",
    ),
    "sweeptui.core.space": ("Choice", "Integer", "LogUniform", "Uniform"),
    "sweeptui.recipes.tool": ("TrainTool",),
    "sweeptui.reporting": ("report",),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            import importlib  # noqa: PLC0415

            value = getattr(importlib.import_module(home), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
