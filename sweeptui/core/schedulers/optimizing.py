"""Asynchronous: a slot that gets free is filled at once with what the optimizer suggests."""

from __future__ import annotations

from typing import ClassVar

from sweeptui.core.schedulers.base import Scheduler


class OptimizingScheduler(Scheduler):
    """Up to `max_parallel_jobs` trainings and, beside them, up to `max_parallel_evals` evaluations."""

    name: ClassVar[str] = "optimizing"
