"""What a parameter does: each trial's score over one of its parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sweeptui.app import wording
from sweeptui.app.plot.axes import Axis
from sweeptui.app.plot.chart import Chart
from sweeptui.app.plot.curves import metric_name
from sweeptui.app.plot.results import Results, dots, floor

if TYPE_CHECKING:
    from sweeptui.app.snapshot import Snapshot

MAX_NAME = 14


def chart(snapshot: Snapshot, found: Results, path: str | None) -> Chart:
    """`path` is the parameter's; None where the sweep has none."""
    score = Axis(metric_name(snapshot))
    if path is None:
        return Chart(Axis("parameter"), score, empty="no parameter is swept")
    values = [trial.params.get(path) for trial in (*found.scored, *found.failed)]
    axis = parameter_axis(wording.short_names(snapshot.params).get(path, path), values, path in snapshot.log_params)
    xs = places(values, axis)
    scored, failed = xs[: len(found.scored)], xs[len(found.scored) :]
    traces = (
        floor(failed, [trial.number for trial in found.failed]),
        dots(scored, found.scores, found.numbers),
    )
    return Chart(axis, score, traces, "no trial has a score yet")


def places(values: Sequence[Any], axis: Axis) -> list[float]:
    if not axis.categories:
        return [_number(value) for value in values]
    place = {name: float(index) for index, name in enumerate(axis.categories)}
    return [place.get(_name(value), math.nan) for value in values]


def parameter_axis(name: str, values: Sequence[Any], log: bool) -> Axis:
    """Numbers on a scale, everything else side by side."""
    values = [value for value in values if value is not None]
    numbers = [_number(value) for value in values]
    if values and all(map(math.isfinite, numbers)):
        return Axis(name, log=log and min(numbers) > 0)
    return Axis(name, categories=tuple(sorted({_name(value) for value in values})))


def _number(value: Any) -> float:
    if type(value) is float:
        return value
    if not isinstance(value, int) or isinstance(value, bool):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


def _name(value: Any) -> str:
    return wording.param(value)[:MAX_NAME]
