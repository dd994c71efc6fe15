"""Which optimizer a method's name stands for.

Other packages add one by an entry point of the group `sweeptui.optimizers` whose object is an `OptimizerFactory`.
"""

from __future__ import annotations

import difflib
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, cast

from sweeptui.core.errors import UserError
from sweeptui.core.optimizers.random import RandomOptimizer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from sweeptui.core.optimizers.base import OptimizerFactory

GROUP = "sweeptui.optimizers"
BUILT_IN = ("bayes", "random")
ANNOUNCED = ("genetic",)


def _plugins() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def methods() -> list[str]:
    """Every name that `resolve` accepts."""
    return sorted({*BUILT_IN, *_plugins()})


def check(method: str, settings: Mapping[str, Any] | None = None) -> None:
    """Raise `UserError` for an unknown method or settings that make no sense, without importing anything heavy."""
    if method in ANNOUNCED:
        raise UserError(f"method: {method!r} is not available yet; choose one of {', '.join(methods())}")
    # Looking for plug-ins reads the metadata of every package there is: not where the name is known without.
    if method not in BUILT_IN and method not in (known := methods()):
        near = difflib.get_close_matches(method, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(known)}"
        raise UserError(f"method: no optimizer is called {method!r}; {hint}")
    if method == "bayes" and settings is not None:
        from sweeptui.core.optimizers.protein.settings import ProteinOptions  # noqa: PLC0415

        ProteinOptions.from_mapping(settings)


def needs_process(method: str) -> bool:
    """Whether the method runs in a process of its own: all but `random`, for what they import and what they cost.

    Raises `UserError` for an unknown method.
    """
    check(method)
    return method != "random"


def resolve(method: str) -> OptimizerFactory:
    """The factory for `method`. For `bayes` this imports torch: call it in the worker process only.

    Raises `UserError` for an unknown method or a plug-in that cannot be imported.
    """
    check(method)
    if method == "random":
        return RandomOptimizer
    if method == "bayes":
        from sweeptui.core.optimizers.protein.optimizer import ProteinOptimizer  # noqa: PLC0415

        return ProteinOptimizer
    try:
        return cast("OptimizerFactory", _plugins()[method].load())
    except Exception as error:
        raise UserError(f"method: the optimizer plug-in {method!r} cannot be loaded: {error}") from error
