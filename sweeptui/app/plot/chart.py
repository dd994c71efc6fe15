"""A chart: what is to be seen, apart from how large the screen is; and the picture that is drawn of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from itertools import pairwise

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.strip import Strip

from sweeptui.app import theme
from sweeptui.app.plot.axes import Axis, Scale, Tick, ticks
from sweeptui.app.plot.canvas import Canvas
from sweeptui.app.plot.picture import Picture, Window

FRAME = theme.style(theme.RULE)
LABEL = theme.style(theme.QUIET)
TITLE = theme.style(theme.QUIET, bold=True)
MIN_COLUMNS, MIN_ROWS = 16, 4
"""Below this there is no room for a picture."""
MAX_GUTTER = 12
FINE = 400
"""From so many points on, each is one dot."""
_BELOW, _BELOW_TALL = 2, 3
"""Rows from one tick on the left to the next."""
_ROOM = (5, 7, 9, 12, 16, 24)
"""Columns from one tick at the bottom to the next: the first of these that leaves room for what is written there."""
_BETWEEN = 3
"""Cells that stay free between two labels."""


class Shape(Enum):
    LINE = auto()
    DOTS = auto()
    MARK = auto()
    """A character for each point."""
    FLOOR = auto()
    """A character at the foot of the chart for each x, whatever its y."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Points that are drawn alike. `xs` and `ys` are equally long and may hold anything."""

    xs: Sequence[float]
    ys: Sequence[float]
    colour: str
    shape: Shape
    trials: Sequence[int | None] = ()
    """The trial of each point; of a line, the one that it is of."""
    label: str = ""
    """For the legend."""
    glyph: str = ""
    tag: str = ""
    """Written at the end of a line."""

    @property
    def has_height(self) -> bool:
        return self.shape is not Shape.FLOOR

    @property
    def each(self) -> Sequence[int | None]:
        """The trial of each point."""
        return self.trials if len(self.trials) == len(self.xs) else [None] * len(self.xs)


@dataclass(frozen=True, slots=True)
class Chart:
    x: Axis
    y: Axis
    traces: tuple[Trace, ...] = ()
    """What comes later is drawn over what came before."""
    empty: str = "nothing to show yet"
    """What is said where no point can be drawn."""
    note: str = ""

    def placed(self, trace: Trace) -> Points:
        """The points of a trace that have a place on the axes."""
        xs, ys = trace.xs, trace.ys
        if _all_placed(xs, self.x) and (not trace.has_height or _all_placed(ys, self.y)):
            return Points(xs, ys, trace.each)
        kept = [
            index
            for index, (x, y) in enumerate(zip(xs, ys, strict=True))
            if _placed(x, self.x) and (not trace.has_height or _placed(y, self.y))
        ]
        return Points(xs, ys, trace.each).only(kept)


def _placed(value: float, axis: Axis) -> bool:
    return math.isfinite(value) and (value > 0 or not axis.log)


def _all_placed(values: Sequence[float], axis: Axis) -> bool:
    return all(map(math.isfinite, values)) and (not axis.log or min(values, default=1.0) > 0)


@dataclass(frozen=True, slots=True)
class Points:
    """Equally long: where the points are, and whose."""

    xs: Sequence[float]
    ys: Sequence[float]
    trials: Sequence[int | None]

    def __bool__(self) -> bool:
        return len(self.xs) > 0

    def only(self, indexes: Sequence[int]) -> Points:
        return Points(
            [self.xs[index] for index in indexes],
            [self.ys[index] for index in indexes],
            [self.trials[index] for index in indexes],
        )


def picture(chart: Chart, columns: int, rows: int, window: Window | None = None) -> Picture:
    """Draw `chart` on exactly `rows` lines of `columns` cells."""
    placed = [(trace, chart.placed(trace)) for trace in chart.traces]
    if not any(points for trace, points in placed if trace.has_height):
        return Picture(message(chart.empty, columns, rows))
    if columns < MIN_COLUMNS or rows < MIN_ROWS:
        return Picture(message("no room for a plot", columns, rows))
    return _Drawing(chart, placed, columns, rows, window).picture()


def message(text: str, columns: int, rows: int) -> tuple[Strip, ...]:
    blank = Strip([Segment(" " * columns)], columns)
    cut = text if cell_len(text) <= columns else set_cell_size(text, max(0, columns - 1)) + "…" * (columns > 0)
    pad = (columns - cell_len(cut)) // 2
    said = Strip([Segment(" " * pad), Segment(cut, LABEL)]).extend_cell_length(columns)
    return tuple(said if row == rows // 2 else blank for row in range(rows))


class _Drawing:
    """The legend on the first line, the canvas with its y axis, then the x axis and its labels."""

    def __init__(
        self, chart: Chart, placed: list[tuple[Trace, Points]], columns: int, rows: int, window: Window | None
    ) -> None:
        self.chart, self.columns = chart, columns
        self.roomy = rows >= 6
        canvas_rows = rows - (3 if self.roomy else 2)
        loose = any(trace.shape is not Shape.LINE for trace in chart.traces)
        ends = [end for _, points in placed if points for end in (min(points.xs), max(points.xs))]
        self.full = Scale.fit(ends, log=chart.x.log, margin=0.03 if loose else 0.0)
        self.x = self.full if window is None else Scale.fit(window, log=chart.x.log)
        self.placed = [(trace, self._seen(trace, points)) for trace, points in placed]
        ends = [
            end
            for trace, points in self.placed
            if points and trace.has_height
            for end in (min(points.ys), max(points.ys))
        ]
        self.y = Scale.fit(ends, log=chart.y.log, margin=0.04)
        each = _BELOW if canvas_rows <= 12 else _BELOW_TALL
        self.y_ticks = ticks(chart.y, self.y, canvas_rows // each + 1)
        self.gutter = max((cell_len(tick.label) for tick in self.y_ticks), default=0)
        self.gutter = min(self.gutter, MAX_GUTTER, columns // 3)
        self.canvas = Canvas(columns - self.gutter - 1, canvas_rows)

    def _seen(self, trace: Trace, points: Points) -> Points:
        """Those in the window; of a line also the ones just outside, to which it leads."""
        low, high, xs = self.x.low, self.x.high, points.xs
        if not points or (min(xs) >= low and max(xs) <= high):
            return points
        if trace.shape is not Shape.LINE:
            return points.only([index for index, x in enumerate(xs) if low <= x <= high])
        kept: dict[int, None] = {}
        for index, (x, after) in enumerate(pairwise([*xs, xs[-1]])):
            if min(x, after) <= high and max(x, after) >= low:
                kept[index] = kept[min(index + 1, len(xs) - 1)] = None
        return points.only(list(kept))

    def picture(self) -> Picture:
        for trace, points in self.placed:
            self._draw(trace, points)
        for trace, points in self.placed:
            if trace.tag and points:
                self._tag(trace, points)
        lines = [self._legend()]
        at_row = {self._row(tick.at): tick.label for tick in self.y_ticks}
        for row in range(self.canvas.rows):
            text = at_row.get(row, "")
            text = text if cell_len(text) <= self.gutter else set_cell_size(text, self.gutter - 1) + "…"
            side = [Segment(" " * (self.gutter - cell_len(text)) + text, LABEL), Segment("┤" if text else "│", FRAME)]
            lines.append(Strip([*side, *self.canvas.segments(row)], self.columns))
        lines += self._below()
        return Picture(tuple(lines), self.canvas, self.gutter + 1, 1, self.x, self.full)

    # -- the canvas

    def _row(self, share: float) -> int:
        return max(0, min(self.canvas.rows - 1, round((1 - share) * (self.canvas.height - 1)) // 4))

    def _draw(self, trace: Trace, points: Points) -> None:
        canvas, style = self.canvas, theme.style(trace.colour)
        across = self.x.places(points.xs, 0, canvas.width - 1)
        if trace.shape is Shape.FLOOR:
            for x, trial in zip(across, points.trials, strict=True):
                canvas.mark(round(x) // 2, canvas.rows - 1, trace.glyph, style, trial)
            return
        down = self.y.places(points.ys, canvas.height - 1, 0)
        match trace.shape:
            case Shape.LINE:
                canvas.curve(across, down, style, trace.trials[0] if trace.trials else None)
            case Shape.MARK:
                for x, y, trial in zip(across, down, points.trials, strict=True):
                    canvas.mark(round(x) // 2, round(y) // 4, trace.glyph, style, trial)
            case _ if len(points.xs) < FINE:
                canvas.blots(across, down, style, points.trials)
            case _:
                canvas.dots(across, down, style, points.trials)

    def _tag(self, trace: Trace, points: Points) -> None:
        """Say which line this is near its end, if anything is free there."""
        (across,) = self.x.places(points.xs[-1:], 0, self.canvas.width - 1)
        (down,) = self.y.places(points.ys[-1:], self.canvas.height - 1, 0)
        column, row = max(0, min(round(across) // 2, self.canvas.columns - 1)), round(down) // 4
        left = column - cell_len(trace.tag) + 1
        style = theme.style(trace.colour, bold=True)
        for place in ((column + 2, row), (left, row - 1), (left, row + 1), (left, row - 2), (left, row + 2)):
            if self.canvas.label(*place, trace.tag, style):
                return

    # -- around it

    def _legend(self) -> Strip:
        title = f"{self.chart.y.title} by {self.chart.x.title}"
        title = set_cell_size(title, min(cell_len(title), self.columns * 2 // 3))
        notes = " ".join(filter(None, [self.chart.note, self._logs(), self._zoom()]))
        room = self.columns - cell_len(title) - (cell_len(notes) + 2 if notes else 0)
        segments = [Segment(title, TITLE)]
        for trace in reversed(self.chart.traces):  # the foremost first
            text = f"  {trace.glyph or '━'} {trace.label}"
            if trace.label and cell_len(text) <= room:
                segments.append(Segment(text, theme.style(trace.colour)))
                room -= cell_len(text)
            elif trace.label:
                if room >= 2:
                    segments.append(Segment(" …", LABEL))
                    room -= 2
                break
        segments.append(Segment(" " * max(0, room + 2 if notes else room)))
        return Strip([*segments, Segment(notes, theme.style(theme.ORANGE))]).adjust_cell_length(self.columns)

    def _logs(self) -> str:
        names = [name for name, axis in (("x", self.chart.x), ("y", self.chart.y)) if axis.log]
        return "log " + ",".join(names) if names else ""

    def _zoom(self) -> str:
        part = self.full.share(self.x.high) - self.full.share(self.x.low)
        return "" if part > 0.99 else f"x{1 / part:.2g}" if part > 1e-3 else "x>999"

    def _below(self) -> list[Strip]:
        wide = self.canvas.columns
        line, text = ["─"] * wide, [" "] * wide
        taken = -1
        for tick in self._x_ticks(wide):
            column = max(0, min(wide - 1, round(tick.at * (2 * wide - 1)) // 2))
            left = max(0, min(column - cell_len(tick.label) // 2, wide - cell_len(tick.label)))
            if left > taken and cell_len(tick.label) <= wide:
                line[column] = "┬"
                text[left : left + cell_len(tick.label)] = [tick.label, *[""] * (cell_len(tick.label) - 1)]
                taken = left + cell_len(tick.label)
        side = " " * self.gutter
        below = Strip([Segment(f"{side} {''.join(text)}", LABEL)]).adjust_cell_length(self.columns)
        if not self.roomy:
            return [below]
        return [Strip([Segment(f"{side}└{''.join(line)}", FRAME)]).adjust_cell_length(self.columns), below]

    def _x_ticks(self, wide: int) -> list[Tick]:
        """As many as can be told apart."""
        for room in _ROOM:
            found = ticks(self.chart.x, self.x, wide // room)
            if sum(cell_len(tick.label) + _BETWEEN for tick in found) <= wide:
                break
        return found


def logarithmic(chart: Chart) -> Chart:
    """The same chart with a logarithmic y axis."""
    return replace(chart, y=replace(chart.y, log=True))
