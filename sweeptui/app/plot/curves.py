"""The learning curves of the selected and the marked trials against the best one's."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

from sweeptui.app import theme, wording
from sweeptui.app.plot.axes import Axis, Unit
from sweeptui.app.plot.chart import Chart, Shape, Trace
from sweeptui.app.plot.order import Across, hidden, wanted

if TYPE_CHECKING:
    from sweeptui.app.plot.series import Series
    from sweeptui.app.snapshot import Snapshot

MOST_NAME = 28
COLOURS = (theme.GREEN, theme.ORANGE, theme.PURPLE, theme.VERMILLION, theme.QUIET)


def chart(snapshot: Snapshot, selected: int | None, marked: Collection[int], across: Across) -> Chart:
    best = snapshot.best.number if snapshot.best is not None else None
    shown = wanted(snapshot, selected, marked)
    # The foremost last: the selected one, under it the best, under it the marked ones, the oldest at the top.
    front = [number for number in (best, selected) if number in shown]
    order = [*sorted(shown.difference(front), reverse=True), *dict.fromkeys(front)]
    others = sorted(shown.difference(front))
    traces = []
    for number in order:
        series = snapshot.series.get(number, ())
        if series:
            colour = theme.YELLOW if number == best else theme.SKY
            if number in others:
                colour = COLOURS[others.index(number) % len(COLOURS)]
            traces.append(_trace(number, series, across, colour, best=number == best))
    x = Axis("step") if across is Across.STEP else Axis("time", Unit.SECONDS)
    return Chart(
        x,
        Axis(metric_name(snapshot)),
        tuple(traces),
        empty=_why_empty(snapshot, selected),
        note=f"{hidden(marked)} marked not shown" if hidden(marked) else "",
    )


def _trace(number: int, series: Series, across: Across, colour: str, *, best: bool) -> Trace:
    xs = [point.step if across is Across.STEP else point.time for point in series]
    name = f"#{number}"
    shape, glyph = (Shape.LINE, "") if len(series) > 1 else (Shape.MARK, "•")
    label = f"{name} best" if best else name
    return Trace(xs, [point.score for point in series], colour, shape, (number,), label, glyph, tag=name)


def _why_empty(snapshot: Snapshot, selected: int | None) -> str:
    trial = snapshot.trial(selected)
    if trial is None:
        return "no trial yet"
    return f"no report yet: {trial.id} is {wording.trial_state(trial).word}"


def metric_name(snapshot: Snapshot) -> str:
    """The last part of the metric's name, as much of it as a title has room for."""
    name = wording.line(snapshot.metric).rpartition("/")[2] or "score"
    return name if cell_len(name) <= MOST_NAME else set_cell_size(name, MOST_NAME - 1) + "…"
