"""Which optimizer a method's name stands for.

Other packages add one by an entry point of the group `sweeptui.optimizers` whose object is an `OptimizerFactory`, or a
class with `suggest(n)` and `observe(trial, score)`; `module:Class` or `file.py:Class` names one
without an entry point.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sweeptui.core.errors import UserError, hint
from sweeptui.core.methods import GROUP, METHODS, split

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sweeptui.core.optimizers.base import Optimizer, OptimizerFactory
    from sweeptui.core.space import Space

IN_PROCESS = ("random", "grid")
"""They import nothing and cost nothing. All others run in a process of their own."""


def _plugins() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def methods() -> list[str]:
    """Every name that `resolve` accepts; some take a variant behind a colon, too."""
    return sorted({*METHODS, *_plugins()})


def check(method: str, settings: Mapping[str, Any] | None = None) -> None:
    """Raise `UserError` for an unknown method or settings that make no sense, without importing anything heavy."""
    name, variant = split(method)
    # Looking for plug-ins reads the metadata of every package there is: not where the name is known without.
    if name not in METHODS:
        if ":" not in method and method not in (known := methods()):
            raise UserError(f"method: no optimizer is called {method!r}; {hint(method, known)}")
        return
    built_in = METHODS[name]
    if method.endswith(":"):
        raise UserError(f"method: {method!r} names no variant; use {name!r}")
    if variant and not built_in.variants:
        raise UserError(f"method: {name!r} has no variants, and {method!r} names one; use {name!r}")
    if built_in.library and find_spec(built_in.library) is None:
        raise UserError(
            f"method: {name!r} needs the package {built_in.library}, which is not installed; "
            f"install it with: pip install 'sweeptui[{built_in.library}]'"
        )
    if name == "bayes" and settings is not None:
        from sweeptui.core.settings import ProteinSettings  # noqa: PLC0415

        ProteinSettings.from_mapping(settings)


def needs_process(method: str) -> bool:
    """Whether the method runs in a process of its own: all but the lightest, for what they import and what they cost.

    Raises `UserError` for an unknown method.
    """
    check(method)
    return method not in IN_PROCESS


def is_foreign(method: str) -> bool:
    """Whether only the library or plug-in behind it can tell whether it can be made."""
    name, _ = split(method)
    return name not in METHODS or bool(METHODS[name].library)


def made(
    factory: OptimizerFactory, space: Space, goals: Sequence[str], settings: Mapping[str, Any], seed: int
) -> Optimizer:
    """The optimizer for one goal or several. Raises `UserError` where it cannot search for several."""
    if len(goals) == 1:
        return factory(space, goal=goals[0], settings=settings, seed=seed)
    taken = inspect.signature(factory).parameters.values()
    if not any(each.name == "goals" or each.kind is each.VAR_KEYWORD for each in taken):
        raise UserError("metrics: this method searches for one metric alone; use metric and goal, or another method")
    several = cast("Callable[..., Optimizer]", factory)
    return several(space, goal=goals[0], goals=tuple(goals), settings=settings, seed=seed)


def resolve(method: str) -> OptimizerFactory:
    """The factory for `method`. For most this imports heavy libraries: call it in the worker process only.

    Raises `UserError` for an unknown method, or one whose library or plug-in cannot be imported.
    """
    check(method)
    name, variant = split(method)
    try:
        if name not in METHODS:
            return _factory(_attribute(method) if ":" in method else _plugins()[method].load())
        module, _, factory = METHODS[name].factory.partition(":")
        found = getattr(importlib.import_module(f"sweeptui.core.optimizers.{module}"), factory)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"method: the optimizer {method!r} cannot be loaded: {error}") from error
    return cast("OptimizerFactory", partial(found, variant=variant) if METHODS[name].variants else found)


def _attribute(method: str) -> Any:
    """What `module:Class` or `file.py:Class` names."""
    module, _, name = method.rpartition(":")
    found: Any = _loaded(module) if module.endswith(".py") else importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def _factory(found: Any) -> OptimizerFactory:
    """As the engine calls it: a class with `observe` is asked in its own way."""
    if hasattr(found, "observe"):
        from sweeptui.core.optimizers.adapters.own import OwnOptimizer  # noqa: PLC0415 - few need it

        return cast("OptimizerFactory", partial(OwnOptimizer, found))
    return cast("OptimizerFactory", found)


def _loaded(file: str) -> Any:
    """A file as a module, under a name that is not `__main__`: what it does as a script is not done again."""
    spec = spec_from_file_location(f"sweeptui_own_{Path(file).stem}", file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python file")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
