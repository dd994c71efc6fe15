"""Whether a stage has given what its contract promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sweeptui.core.errors import shown
from sweeptui.core.failures import Verdict
from sweeptui.core.stages import TYPES
from sweeptui.core.trial import JobOutcome, Report

if TYPE_CHECKING:
    from sweeptui.core.flow import Step


def kept_promises(step: Step, reports: Sequence[Report]) -> Verdict | None:
    """What is missing, or of a wrong type, in what a stage has reported; None where all is there.

    The last value of each field counts. It fails as a metric does that is missing or invalid.
    """
    values = {name: value for report in reports for name, value in report.metrics.items()}
    for name, kind in step.given.gives.items():
        promise = f"stage {step.title!r} gives {name!r} as {kind}"
        if name not in values:
            how = f"call sweeptui.report({name}=...) or write a JSON line to $SWEEPTUI_REPORT"
            return Verdict(JobOutcome.NO_METRIC, f"{promise}, and never reported it; {how}")
        if not fits(values[name], kind):
            said = f"{promise}, and reported {shown(values[name])}; report one, or change the type in stages"
            return Verdict(JobOutcome.INVALID_METRIC, said)
    return None


def fits(value: object, kind: str) -> bool:
    """Whether a reported value is of a type of `TYPES`. A whole number is a float, and no bool is a number."""
    if isinstance(value, bool):
        return kind == "bool"
    if kind == "float":
        return isinstance(value, int | float)
    if kind == "int" and isinstance(value, float):
        return False
    return isinstance(value, TYPES[kind])
