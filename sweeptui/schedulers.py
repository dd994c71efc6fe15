"""When to run what: the schedulers, and what one of your own is made of. See docs/schedulers.md."""

from sweeptui.core.schedulers import (
    ASHAScheduler,
    CostQuantileScheduler,
    EarlyTerminateScheduler,
    HyperbandScheduler,
    OptimizingScheduler,
    PBTScheduler,
    Resources,
    Scheduler,
    SequentialScheduler,
    SynchronousBatchScheduler,
    View,
)

__all__ = [
    "ASHAScheduler",
    "CostQuantileScheduler",
    "EarlyTerminateScheduler",
    "HyperbandScheduler",
    "OptimizingScheduler",
    "PBTScheduler",
    "Resources",
    "Scheduler",
    "SequentialScheduler",
    "SynchronousBatchScheduler",
    "View",
]
