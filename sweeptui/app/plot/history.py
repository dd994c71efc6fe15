"""How the sweep went: the score of each trial by its number, and the best so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sweeptui.app import theme
from sweeptui.app.plot.axes import Axis, Unit
from sweeptui.app.plot.chart import Chart, Shape, Trace
from sweeptui.app.plot.curves import metric_name
from sweeptui.app.plot.results import DONE, LIVE, Results, dots, floor
from sweeptui.core.analysis import hypervolume
from sweeptui.core.objectives import gains, results

if TYPE_CHECKING:
    from sweeptui.app.snapshot import Snapshot


def records(xs: Sequence[float], scores: Sequence[float], *, maximize: bool) -> tuple[list[float], list[float]]:
    """The scores that were better than all before them, and where; then the last x, with the best of all."""
    across: list[float] = []
    best: list[float] = []
    for x, score in zip(xs, scores, strict=True):
        if not best or (score > best[-1] if maximize else score < best[-1]):
            across.append(x)
            best.append(score)
    if best and across[-1] != xs[-1]:
        across.append(xs[-1])
        best.append(best[-1])
    return across, best


def staircase(xs: Sequence[float], ys: Sequence[float]) -> tuple[list[float], list[float]]:
    """A line that holds each y until the x of the next."""
    across, up = list(xs[:1]), list(ys[:1])
    for x, y in zip(xs[1:], ys[1:], strict=True):
        across += [x, x]
        up += [up[-1], y]
    return across, up


def front_chart(snapshot: Snapshot, found: Results) -> Chart:
    """With several metrics: how much the front beat after each trial."""
    objectives = snapshot.objectives
    members = results(found.scored, objectives)
    numbers = [float(member.trial.number) for member in members]
    points = [gains(member.values, objectives) for member in members]
    volumes = hypervolume.history(points, hypervolume.reference_below(points)) if points else []
    last = [volume for k, volume in enumerate(volumes) if k == 0 or volume > volumes[k - 1]]
    grew = [number for k, number in enumerate(numbers) if k == 0 or volumes[k] > volumes[k - 1]]
    failed = [trial.number for trial in found.failed]
    traces = (
        floor(failed, failed),
        Trace(*staircase(numbers, volumes), theme.YELLOW, Shape.LINE, label="front" if volumes else ""),
        Trace(grew, last, theme.GREEN, Shape.DOTS, [int(each) for each in grew], "on it" if grew else "", DONE),
    )
    return Chart(Axis("trial", Unit.INDEX), Axis("hypervolume"), traces, "no trial has all scores yet")


def chart(snapshot: Snapshot, found: Results) -> Chart:
    if snapshot.objectives:
        return front_chart(snapshot, found)
    line = staircase(*records(found.numbers, found.scores, maximize=snapshot.goal != "minimize"))
    failed = [trial.number for trial in found.failed]
    live = [(trial.number, trial.score) for trial in found.live if trial.score is not None]
    numbers = [number for number, _ in live]
    traces = (
        floor(failed, failed),
        Trace(*line, theme.YELLOW, Shape.LINE, label="best so far" if line[0] else ""),
        dots(found.numbers, found.scores, found.numbers),
        Trace(
            numbers, [score for _, score in live], theme.SKY, Shape.MARK, numbers, "running" if live else "", LIVE
        ),
    )  # fmt: skip
    return Chart(Axis("trial", Unit.INDEX), Axis(metric_name(snapshot)), traces, "no trial has a score yet")
