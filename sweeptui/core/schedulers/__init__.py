"""When to run what. `resolve` makes a scheduler from the name and the options that a recipe gives."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

from pydantic import ValidationError

from sweeptui.core.errors import UserError, explain, hint
from sweeptui.core.schedulers.asha import ASHAScheduler
from sweeptui.core.schedulers.base import (
    Action,
    Create,
    Evaluate,
    Finish,
    Fork,
    Promote,
    Resources,
    Scheduler,
    Stop,
    Train,
    View,
)
from sweeptui.core.schedulers.batch import SynchronousBatchScheduler
from sweeptui.core.schedulers.early_terminate import EarlyTerminateScheduler, from_early_terminate
from sweeptui.core.schedulers.hyperband import HyperbandScheduler
from sweeptui.core.schedulers.optimizing import OptimizingScheduler
from sweeptui.core.schedulers.pbt import PBTScheduler
from sweeptui.core.schedulers.quantile import CostQuantileScheduler
from sweeptui.core.schedulers.sequential import SequentialScheduler

__all__ = [
    "ASHAScheduler",
    "Action",
    "CostQuantileScheduler",
    "Create",
    "EarlyTerminateScheduler",
    "Evaluate",
    "Finish",
    "Fork",
    "HyperbandScheduler",
    "OptimizingScheduler",
    "PBTScheduler",
    "Promote",
    "Resources",
    "Scheduler",
    "SequentialScheduler",
    "Stop",
    "SynchronousBatchScheduler",
    "Train",
    "View",
    "from_early_terminate",
    "resolve",
]

BUILT_IN: dict[str, type[Scheduler]] = {
    kind.name: kind
    for kind in (
        OptimizingScheduler,
        SequentialScheduler,
        SynchronousBatchScheduler,
        ASHAScheduler,
        HyperbandScheduler,
        PBTScheduler,
        CostQuantileScheduler,
        EarlyTerminateScheduler,
    )
}
GROUP = "sweeptui.schedulers"


def resolve(name: str, options: Mapping[str, Any] | None = None) -> Scheduler:
    """The scheduler called `name`: built in, an entry point of group `sweeptui.schedulers`, or `module:Class`.

    Raises `UserError` for an unknown name, and for options that it does not have or that cannot be.
    """
    kind = _find(name)
    try:
        made = kind(**(options or {}))
    except ValidationError as error:
        raise UserError(f"scheduler {name!r}: {explain(error)}") from None
    except TypeError as error:
        raise UserError(f"scheduler {name!r} cannot be made: {error}") from None
    if not isinstance(made, Scheduler):
        raise UserError(f"scheduler {name!r} is {type(made).__name__}, which is no subclass of sweeptui's Scheduler")
    return made


def _find(name: str) -> Any:
    if name in BUILT_IN:
        return BUILT_IN[name]
    module, colon, attribute = name.partition(":")
    if colon:
        try:
            return getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise UserError(f"scheduler is {name!r}, which cannot be imported: {error}") from None
    found = {point.name: point for point in entry_points(group=GROUP)}
    if name in found:
        return found[name].load()
    raise UserError(f"scheduler is {name!r}, which is not known; {hint(name, {*BUILT_IN, *found})}")
