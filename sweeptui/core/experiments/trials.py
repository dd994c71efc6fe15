"""The flow of a trial, checked as the pipeline that it is."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import make_dataclass
from typing import TYPE_CHECKING, Any

from sweeptui.core.experiments.checking import problems
from sweeptui.core.experiments.pipeline import Pipeline
from sweeptui.core.stages import TYPES

if TYPE_CHECKING:
    from sweeptui.core.flow import Flow


def pipeline_of(flow: Flow) -> Pipeline:
    """The stages of a trial with their contracts."""
    found = Pipeline(trial=int)
    for step in flow.steps:
        gives = make_dataclass("Gives", [(name, TYPES[kind]) for name, kind in step.given.gives.items()])
        found = found.stage(step.title, _taking(step.given.takes)).through(gives)
    return found


def flow_problems(flow: Flow) -> list[str]:
    """What is wrong between the stages, one sentence each: a field that none gives, or might not give, a wrong type."""
    found = problems(pipeline_of(flow))
    unsure: dict[str, str] = {}
    for step in flow.steps:
        found += [
            f"stage {step.title!r} takes {name!r}, which only stage {unsure[name]!r} gives, and that may fail; "
            f"remove its may_fail"
            for name in step.given.takes
            if name in unsure
        ]
        for name in step.given.gives:
            if step.given.may_fail:
                unsure[name] = step.title
            else:
                unsure.pop(name, None)
    return found


def _taking(fields: Mapping[str, str]) -> Any:
    """A function that takes these fields, and the trial's number."""

    def stage(**_: Any) -> None:
        """Never called: a job does what the stage is for."""

    kinds = {"trial": int, **{name: TYPES[kind] for name, kind in fields.items()}}
    parameters = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in kinds]
    stage.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    stage.__annotations__ = kinds
    return stage
