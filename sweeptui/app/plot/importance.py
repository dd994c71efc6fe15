"""How much each parameter matters, and below it what is believed along one of them, with the trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.strip import Strip

from sweeptui.app import theme, wording
from sweeptui.app.plot.axes import Axis
from sweeptui.app.plot.chart import LABEL, TITLE, Chart, Shape, Trace, logarithmic, message
from sweeptui.app.plot.chart import picture as drawn
from sweeptui.app.plot.picture import Picture
from sweeptui.app.plot.results import Results, dots, highlighted
from sweeptui.app.plot.scatter import parameter_axis, places
from sweeptui.core.objectives import value_of

if TYPE_CHECKING:
    from sweeptui.app.plot.order import Order
    from sweeptui.app.snapshot import Snapshot

LEAST_CHART = 5
"""Rows: with less room there is no slice, or fewer bars."""
LEAST_BARS = 3
MOST_NAME = 24
TOLD = "✔"


def picture(order: Order, found: Results) -> Picture:
    """All of the pane."""
    columns, rows, known = order.columns, order.rows, order.outlook
    if known.found is None or known.empty:
        return Picture(message(wording.line(known.empty), columns, rows))
    outlook = known.found
    names = dict(wording.short_names(tuple(outlook["lengthscales"])))
    ranked = outlook["importance"]["rows"]
    paths = [row["parameter"] for row in ranked] or list(names)
    at = order.parameter % len(paths)
    lines = [_heading(outlook, columns)]
    shown = min(len(paths), max(LEAST_BARS, rows - LEAST_CHART - 1), max(0, rows - 1))
    if ranked:
        first = max(0, min(at - shown + 1, len(paths) - shown))
        lines += _bars(ranked[first : first + shown], names, paths[at], columns)
    else:
        lines.append(_line([(outlook["importance"]["verdict"], LABEL)], columns))
    left = rows - len(lines)
    if left < LEAST_CHART:
        return Picture(tuple((lines + [Strip.blank(columns)] * max(0, left))[:rows]))
    chart = _slice(order, outlook, found, paths[at], names[paths[at]])
    chart = highlighted(chart, order.best, order.selected)
    below = drawn(logarithmic(chart) if order.log else chart, columns, left, order.window)
    return replace(below, lines=(*lines, *below.lines), top=below.top + len(lines))


def _line(pieces: Sequence[tuple[str, Any]], columns: int) -> Strip:
    return Strip([Segment(text, style) for text, style in pieces]).adjust_cell_length(columns)


def _heading(outlook: Mapping[str, Any], columns: int) -> Strip:
    rows = outlook["importance"]["rows"]
    metric = wording.line(str(outlook["metric"])).rpartition("/")[2]
    title = f"importance for {metric} "
    title = set_cell_size(title, min(cell_len(title), columns * 2 // 3))
    if any(row["told"] for row in rows):
        said, colour = f" {TOLD} more than chance", theme.GREEN
    else:
        said, colour = f" {outlook['trials']} trials cannot tell", theme.ORANGE
    return _line([(title, TITLE), (said if rows else "", theme.style(colour))], columns)


def _bars(rows: Sequence[Mapping[str, Any]], names: Mapping[str, str], chosen: str, columns: int) -> list[Strip]:
    shown = [wording.line(names[row["parameter"]]) for row in rows]
    width = min(max(map(cell_len, shown)), MOST_NAME, columns // 3)
    room = max(1, columns - width - 13)
    lines = []
    for row, name in zip(rows, shown, strict=True):
        cut = name if cell_len(name) <= width else set_cell_size(name, width - 1) + "…"
        here = row["parameter"] == chosen
        low, mean, high = (round(max(0.0, min(1.0, row[key])) * room) for key in ("low", "mean", "high"))
        colour = theme.style(theme.GREEN if row["told"] else theme.SKY)
        # Up to the share itself a bar; from there to the end of its interval a thin line.
        bar = [("━" * low, colour), ("╍" * (mean - low), colour), ("─" * (high - mean), LABEL)]
        lines.append(
            _line(
                [
                    ("▸ " if here else "  ", theme.style(theme.SKY, bold=True)),
                    (set_cell_size(cut, width), theme.style(bold=here)),
                    (f" {row['mean']:4.0%} ", LABEL),
                    (f"{TOLD} " if row["told"] else "  ", colour),
                    *bar,
                ],
                columns,
            )
        )
    return lines


def _slice(order: Order, outlook: Mapping[str, Any], found: Results, path: str, name: str) -> Chart:
    snapshot = order.snapshot
    each = next((one for one in outlook["slices"] if one["parameter"] == path), None)
    scores = _scores(snapshot, found, str(outlook["metric"]))
    values = [trial.params.get(path) for trial in found.scored]
    believed = [] if each is None else list(each["values"])
    axis = parameter_axis(name, [*values, *believed], path in snapshot.log_params)
    traces = []
    if each is not None:
        xs = places(believed, axis)
        middle = list(each["mean"])
        spread = list(each["spread"])
        pairs = list(zip(middle, spread, strict=True))
        edges = [mean - half for mean, half in pairs], [mean + half for mean, half in pairs]
        through = (
            "on average"
            if not outlook["through"]
            else f"through #{outlook['through'].removeprefix('trial_').lstrip('0')}"
        )
        # Of a value that is no number there is no line from one to the next.
        shape = Shape.LINE if not axis.categories else Shape.MARK
        traces += [Trace(xs, edge, theme.QUIET, shape, label=label, glyph="╌" if axis.categories else "")
                   for edge, label in zip(edges, ("68%", ""), strict=True)]  # fmt: skip
        traces.append(Trace(xs, middle, theme.SKY, shape, label="belief", glyph="●" if axis.categories else ""))
        note = through
    else:
        note = "the best trial has no such parameter"
    traces.append(dots(places(values, axis), scores, found.numbers))
    metric = wording.line(str(outlook["metric"])).rpartition("/")[2]
    return Chart(axis, Axis(metric), tuple(traces), "no trial has a score yet", note)


def _scores(snapshot: Snapshot, found: Results, metric: str) -> list[float]:
    """Of the trials that have ended, by the metric that is looked at."""
    names = [each.name for each in snapshot.objectives]
    if metric not in names[1:]:
        return found.scores
    which = names.index(metric)
    values = (value_of(trial, snapshot.objectives, which) for trial in found.scored)
    return [float("nan") if value is None else value for value in values]
