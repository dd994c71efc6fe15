"""The flow of a trial, checked as the pipeline that it is."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import make_dataclass
from typing import TYPE_CHECKING, Any

from sweeptui.core.experiments.checking import problems
from sweeptui.core.experiments.pipeline import Pipeline
from sweeptui.core.stages import TYPES

if TYPE_CHECKING:
    from sweeptui.core.flow import Flow, Mistake, Step


def mistake_between(flow: Flow) -> Mistake | None:
    """The first thing that is wrong between the stages: a field that none gives, or might not give, or a wrong type.

    Its place among the fields of the recipe, one sentence, and the field.
    """
    unsure: dict[str, str] = {}
    for at, step in enumerate(flow.steps):
        for name in step.given.takes:
            found = problems(_pipeline(flow.steps[:at], step, [name]))
            if name in unsure:
                found.append(
                    f"stage {step.title!r} takes {name!r}, which only stage {unsure[name]!r} gives, and that may fail; "
                    f"remove its may_fail"
                )
            if found:
                # Several evaluations are steps of one stage.
                place = len({id(each.given) for each in flow.steps[: at + 1]}) - 1
                return ("stages", place, "takes", name), f"stages do not fit together: {found[0]}", name
        for name in step.given.gives:
            if step.given.may_fail:
                unsure[name] = step.title
            else:
                unsure.pop(name, None)
    return None


def _pipeline(before: Sequence[Step], last: Step, takes: Iterable[str]) -> Pipeline:
    """Stages with what they give, and a last one with some of the fields that it takes."""
    found = Pipeline(trial=int)
    for step in (*before, last):
        gives = make_dataclass("Gives", [(name, TYPES[kind]) for name, kind in step.given.gives.items()])
        wanted = {name: step.given.takes[name] for name in (takes if step is last else ())}
        found = found.stage(step.title, _taking(wanted)).through(gives)
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
