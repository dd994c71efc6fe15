"""When to run what. `resolve` finds a scheduler by the name a recipe gives."""

from __future__ import annotations

from importlib.metadata import entry_points

from sweeptui.core.errors import UserError
from sweeptui.core.schedulers.base import Action, Create, Evaluate, Scheduler, Stop, Train, View
from sweeptui.core.schedulers.optimizing import OptimizingScheduler
from sweeptui.core.schedulers.sequential import SequentialScheduler

__all__ = [
    "Action",
    "Create",
    "Evaluate",
    "OptimizingScheduler",
    "Scheduler",
    "SequentialScheduler",
    "Stop",
    "Train",
    "View",
    "resolve",
]

BUILT_IN: dict[str, type[Scheduler]] = {"optimizing": OptimizingScheduler, "sequential": SequentialScheduler}
GROUP = "sweeptui.schedulers"


def resolve(name: str) -> Scheduler:
    """Return the scheduler called `name`: built in, or an entry point of group `sweeptui.schedulers`.

    Raises `UserError` for an unknown name.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]()
    found = {point.name: point for point in entry_points(group=GROUP)}
    if name in found:
        scheduler: Scheduler = found[name].load()()
        return scheduler
    known = ", ".join(sorted({*BUILT_IN, *found}))
    raise UserError(f"scheduler is {name!r}, which is not known; use one of: {known}")
