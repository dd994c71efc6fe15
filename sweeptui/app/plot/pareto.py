"""What a score costs: each trial's score over its cost, and the trials that none beats in both."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from sweeptui.app import theme, wording
from sweeptui.app.plot.axes import Axis, Unit
from sweeptui.app.plot.chart import Chart, Shape, Trace
from sweeptui.app.plot.curves import metric_name
from sweeptui.app.plot.history import staircase
from sweeptui.app.plot.results import Results, dots
from sweeptui.core.objectives import front as of_all
from sweeptui.core.objectives import results

if TYPE_CHECKING:
    from sweeptui.app.snapshot import Snapshot

Valued = tuple[float, float, int]
"""Cost, score, trial."""
_UNITS = {"seconds": Unit.SECONDS, "usd": Unit.DOLLARS, "dollars": Unit.DOLLARS}


def front(points: Iterable[Valued], *, maximize: bool) -> list[Valued]:
    """Those of the points that no other is as cheap as and better, or as good as and cheaper; by cost.

    Of points that are equal in both, the first trial's.
    """
    sign = -1.0 if maximize else 1.0
    found: list[Valued] = []
    for point in sorted(points, key=lambda point: (point[0], sign * point[1], point[2])):
        if not found or sign * point[1] < sign * found[-1][1]:
            found.append(point)
    return found


def two_metrics(snapshot: Snapshot, found: Results) -> Chart:
    """With several metrics: the first over the second, and the trials that none beats in all of them."""
    objectives = snapshot.objectives
    members = {member.trial.number for member in of_all(found.scored, objectives)}
    everything = results(found.scored, objectives)
    best = sorted((each for each in everything if each.trial.number in members), key=lambda each: each.values[1])
    others = [each for each in everything if each.trial.number not in members]
    traces = (
        dots(
            [each.values[1] for each in others],
            [each.values[0] for each in others],
            [each.trial.number for each in others],
        ),
        Trace(
            [each.values[1] for each in best],
            [each.values[0] for each in best],
            theme.ORANGE,
            Shape.MARK,
            [each.trial.number for each in best],
            "Pareto front" if best else "",
            "●",
        ),
    )
    second = wording.line(objectives[1].name).rpartition("/")[2]
    return Chart(Axis(second), Axis(metric_name(snapshot)), traces, "no trial has all scores yet")


def chart(snapshot: Snapshot, found: Results) -> Chart:
    if snapshot.objectives:
        return two_metrics(snapshot, found)
    points = [
        (trial.cost, score, trial.number)
        for trial, score in zip(found.scored, found.scores, strict=True)
        if trial.cost is not None and math.isfinite(trial.cost)
    ]
    pareto = front(points, maximize=snapshot.goal != "minimize")
    members = {number for _, _, number in pareto}
    others = [point for point in points if point[2] not in members]
    xs, ys, numbers = [p[0] for p in pareto], [p[1] for p in pareto], [p[2] for p in pareto]
    traces = (
        dots([p[0] for p in others], [p[1] for p in others], [p[2] for p in others]),
        Trace(*staircase(xs, ys), theme.ORANGE, Shape.LINE),
        Trace(xs, ys, theme.ORANGE, Shape.MARK, numbers, "Pareto front" if numbers else "", "●"),
    )
    unit = _UNITS.get(snapshot.cost_unit, Unit.NUMBER)
    title = "cost" if unit is not Unit.NUMBER else f"cost ({wording.line(snapshot.cost_unit)})"
    return Chart(Axis(title, unit), Axis(metric_name(snapshot)), traces, "no trial has a score and a cost yet")
