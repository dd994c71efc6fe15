"""A few trials side by side: only what differs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from rich.cells import cell_len

from sweeptui.app import theme, wording
from sweeptui.app.columns import BEST, BOLD, MARK, PLAIN, QUIET, RULE, Piece
from sweeptui.app.fields import run_time
from sweeptui.app.parameters import value_text
from sweeptui.app.plot.axes import Axis
from sweeptui.app.plot.chart import Chart, Shape, Trace, picture
from sweeptui.app.plot.curves import metric_name
from sweeptui.app.screens.lines import GAP, Line, Section, chart, framed, grid, inner, said, stacked, wrapped
from sweeptui.app.screens.page import Page, actions_of, bindings_of
from sweeptui.core.trial import Trial

if TYPE_CHECKING:
    from textual.binding import BindingType

    from sweeptui.app.panels import Part
    from sweeptui.app.snapshot import Snapshot

FEWEST, MOST = 2, 4
LETTERS = "ABCD"
COLOURS = (theme.SKY, theme.ORANGE, theme.GREEN, theme.PURPLE)
STRIP = 25
LEAST_CURVE, MOST_CURVE = 8, 20
LEAST_NAME = 12
"""Cells of a name, where the values need more than there is."""


@dataclass(frozen=True, slots=True)
class _Table:
    """A section before it is known how wide its columns are: all sections have the same ones."""

    title: str
    rows: list[list[Piece]]
    """A name, a cell for each trial, and perhaps a strip."""
    below: Sequence[Line] = ()
    note: str = ""

    def section(self, widths: Sequence[int]) -> Section:
        lines = grid(self.rows, widths)
        strips = any(len(row) > len(widths) for row in self.rows)
        if strips:
            lines = [
                _coloured(row) if len(cells) > len(widths) else row for row, cells in zip(lines, self.rows, strict=True)
            ]
        return Section(self.title, (*lines, *self.below), self.note)


def _widths(rows: Sequence[Sequence[Piece]], trials: int, room: int) -> list[int]:
    """Of the names and of each trial's cells, alike for all trials; where they do not fit, all give way."""
    name = max(cell_len(row[0][0]) for row in rows)
    cell = max(cell_len(text) for row in rows for text, _ in row[1 : trials + 1])
    strip = max((cell_len(text) + GAP for row in rows for text, _ in row[trials + 1 :]), default=0)
    left = room - strip - trials * GAP
    if name + trials * cell > left:
        name = min(name, max(LEAST_NAME, left // (trials + 1)))
        cell = max(1, min(cell, (left - name) // trials))
    return [name, *[cell] * trials]


class ComparePage(Page):
    """Results, parameters and metrics in which the trials differ; what is alike is named below."""

    NAME = "compare"
    KEYS = actions_of("compare")
    BINDINGS: ClassVar[list[BindingType]] = bindings_of(KEYS)

    def __init__(self, numbers: Sequence[int]) -> None:
        super().__init__()
        self._numbers = tuple(numbers)
        self._bounds: tuple[int, dict[str, tuple[float, float]]] = (-1, {})

    def heading(self, snapshot: Snapshot) -> list[Piece]:
        pieces: list[Piece] = [("compare", BOLD)]
        for letter, colour, trial in zip(LETTERS, COLOURS, self._trials(snapshot), strict=False):
            pieces += [(f"   {letter}", theme.style(colour, bold=True)), (f" {trial.id}", PLAIN)]
        return pieces

    def second_line(self, snapshot: Snapshot) -> list[Part]:  # noqa: ARG002
        return [(0, [(f"what differs; mark {FEWEST} to {MOST} trials with space to compare others", QUIET)])]

    def empty(self, snapshot: Snapshot) -> str:  # noqa: ARG002
        return "these trials are not there any more"

    def _trials(self, snapshot: Snapshot) -> list[Trial]:
        return [trial for number in self._numbers if (trial := snapshot.trial(number)) is not None]

    def lines(self, snapshot: Snapshot, width: int) -> list[Line]:
        trials = self._trials(snapshot)
        if not trials:
            return []
        room = inner(width, ruled=self.ruled)
        tables = [
            self._results(snapshot, trials),
            self._values(snapshot, trials, room, "Parameters", lambda trial: trial.params, self.wide),
            self._values(snapshot, trials, room, "Metrics", lambda trial: trial.metrics, False),
        ]
        widths = _widths([row for each in tables for row in each.rows], len(trials), room)
        lines = stacked([each.section(widths) for each in tables], width, ruled=self.ruled)
        if not any(snapshot.series.get(trial.number) for trial in trials):
            return lines
        left = self.sheet.size.height - len(lines) - (1 if self.ruled else 2)
        drawn = picture(self._chart(snapshot, trials), room, max(LEAST_CURVE, min(MOST_CURVE, left)))
        curve = Section("Learning curves", tuple(chart(drawn)))
        return [*lines, *framed(curve, width, ruled=self.ruled)]

    def plotted(self, snapshot: Snapshot) -> frozenset[int]:  # noqa: ARG002 - some screens look at it
        return frozenset(self._numbers)

    @staticmethod
    def _chart(snapshot: Snapshot, trials: Sequence[Trial]) -> Chart:
        """The trials' curves in the colours of their letters, the first one in front."""
        lettered = list(zip(LETTERS, COLOURS, trials, strict=False))
        traces = []
        for letter, colour, trial in reversed(lettered):
            if series := snapshot.series.get(trial.number):
                name = f"{letter} #{trial.number}"
                steps, scores = [point.step for point in series], [point.score for point in series]
                shape, glyph = (Shape.LINE, "") if len(series) > 1 else (Shape.MARK, "•")
                traces.append(Trace(steps, scores, colour, shape, (trial.number,), name, glyph, tag=letter))
        return Chart(Axis("step"), Axis(metric_name(snapshot)), tuple(traces))

    def _head(self, trials: Sequence[Trial]) -> list[Piece]:
        titles = (
            (f"{letter} #{trial.number}", theme.style(colour, bold=True))
            for letter, colour, trial in zip(LETTERS, COLOURS, trials, strict=False)
        )
        return [("", QUIET), *titles]

    def _results(self, snapshot: Snapshot, trials: Sequence[Trial]) -> _Table:
        best = snapshot.best.number if snapshot.best is not None else None
        unit, now = snapshot.cost_unit, self.cockpit.clock()
        winner = self._winner(snapshot, trials)
        states = [wording.trial_state(trial, snapshot.running.get(trial.number), snapshot.stages) for trial in trials]
        rows: list[list[Piece]] = [
            self._head(trials),
            [("state", QUIET), *((str(state), theme.style(state.colour)) for state in states)],
            [
                ("score", QUIET),
                *(
                    (
                        (f"{MARK} " if trial.number == best else "") + wording.number(trial.score, 6),
                        BEST if trial is winner else PLAIN,
                    )
                    for trial in trials
                ),
            ],
        ]
        lead = trials[0].score
        if lead is not None:
            gaps = [
                "" if at == 0 or trial.score is None else f"{trial.score - lead:+.4g}"
                for at, trial in enumerate(trials)
            ]
            rows.append([("  against A", QUIET), *((gap, QUIET) for gap in gaps)])
        facts: list[tuple[str, Callable[[Trial], str]]] = [
            ("cost", lambda trial: wording.cost(trial.cost, unit)),
            ("spent on all tries", lambda trial: wording.cost(trial.spent, unit)),
            ("time", lambda trial: wording.duration(run_time(trial, now))),
            ("steps", lambda trial: wording.number(trial.step, 6)),
            ("tries", lambda trial: str(trial.attempt)),
            ("predicted score", lambda trial: wording.predicted(trial) or wording.UNKNOWN),
            ("chosen by", lambda trial: wording.param(trial.provenance.get("method", wording.UNKNOWN))),
        ]
        for name, told in facts:
            texts = [told(trial) for trial in trials]
            if len(set(texts)) > 1:
                rows.append([(name, QUIET), *((text, PLAIN) for text in texts)])
        return _Table("Results", rows)

    @staticmethod
    def _winner(snapshot: Snapshot, trials: Sequence[Trial]) -> Trial | None:
        scored = [trial for trial in trials if trial.score is not None and math.isfinite(trial.score)]
        if not scored:
            return None
        sign = -1.0 if snapshot.goal == "minimize" else 1.0
        return max(scored, key=lambda trial: sign * (trial.score or 0.0))

    def _values(
        self,
        snapshot: Snapshot,
        trials: Sequence[Trial],
        room: int,
        title: str,
        values: Callable[[Trial], Any],
        strips: bool,
    ) -> _Table:
        paths = list(dict.fromkeys(path for trial in trials for path in values(trial)))
        differing = [path for path in paths if any(values(t).get(path) != values(trials[0]).get(path) for t in trials)]
        alike = [path for path in paths if path not in differing]
        names = wording.short_names(tuple(wording.line(path) for path in paths))
        rows = [self._head(trials)] if differing else []
        for path in differing:
            texts = [value_text(values(trial)[path]) if path in values(trial) else wording.UNKNOWN for trial in trials]
            row: list[Piece] = [(names[wording.line(path)], QUIET)]
            row += [
                (text, PLAIN if path in values(trial) else QUIET) for text, trial in zip(texts, trials, strict=True)
            ]
            if strips:
                row.append((self._strip(snapshot, trials, path), RULE))
            rows.append(row)
        below: list[Line] = []
        if not paths:
            below = [said("none was reported", QUIET)]
        elif alike:
            same = ", ".join(f"{names[wording.line(path)]} {value_text(values(trials[0])[path])}" for path in alike)
            below = wrapped(f"alike: {same}", room, QUIET)
        return _Table(title, rows, below, f"{len(differing)} of {len(paths)} differ" if paths else "")

    def _strip(self, snapshot: Snapshot, trials: Sequence[Trial], path: str) -> str:
        """Where the trials' values lie between the lowest and the highest of the sweep."""
        low, high = self._range(snapshot).get(path, (0.0, 0.0))
        scale = math.log if path in snapshot.log_params and low > 0 else float
        cells = ["─"] * STRIP
        cells[0], cells[-1] = "├", "┤"
        if not scale(high) > scale(low):
            return ""
        for letter, trial in zip(LETTERS, trials, strict=False):
            value = trial.params.get(path)
            if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
                at = round((scale(value) - scale(low)) / (scale(high) - scale(low)) * (STRIP - 1))
                cells[at] = letter if cells[at] in "─├┤" else "*"
        return "".join(cells)

    def _range(self, snapshot: Snapshot) -> dict[str, tuple[float, float]]:
        """The lowest and the highest value of each numeric parameter. A trial's parameters never change."""
        if self._bounds[0] != len(snapshot.trials):
            found: dict[str, tuple[float, float]] = {}
            for trial in snapshot.trials:
                for path, value in trial.params.items():
                    if isinstance(value, int | float) and not isinstance(value, bool):
                        low, high = found.get(path, (value, value))
                        found[path] = (min(low, value), max(high, value))
            self._bounds = (len(snapshot.trials), found)
        return self._bounds[1]


def _coloured(row: Line) -> Line:
    """The letters on a strip in their trials' colours."""
    *cells, (strip, style) = row.pieces
    pieces: list[Piece] = []
    for cell in strip:
        at = LETTERS.find(cell)
        pieces.append((cell, theme.style(COLOURS[at], bold=True) if at >= 0 else style))
    return Line((*cells, *pieces))
