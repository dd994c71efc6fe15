"""Pipelines with contracts between their stages, which go on where they were cut off."""

from __future__ import annotations

from sweeptui.core.experiments.contracts import Context, ContractError
from sweeptui.core.experiments.memory import Event, Memory, StoppedError, StoreMemory
from sweeptui.core.experiments.pipeline import Pipeline, PipelineError, Ref, ref
from sweeptui.core.experiments.running import StageError

__all__ = [
    "Context",
    "ContractError",
    "Event",
    "Memory",
    "Pipeline",
    "PipelineError",
    "Ref",
    "StageError",
    "StoppedError",
    "StoreMemory",
    "ref",
]
