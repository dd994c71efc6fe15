"""The columns of the trial table: what each shows of a trial, and how wide it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from sweeptui.app import theme, wording
from sweeptui.app.fields import run_time, share_done, slot_name
from sweeptui.core.objectives import number_in
from sweeptui.core.stagewords import Doing
from sweeptui.core.trial import RUNNING, TrialStatus

if TYPE_CHECKING:
    from sweeptui.app.layout import Layout
    from sweeptui.app.snapshot import Curve
    from sweeptui.core.trial import Job, Trial

Piece = tuple[str, Style]

PLAIN = theme.style()
QUIET = theme.style(theme.QUIET)
OFF = theme.style(theme.OFF)
RULE = theme.style(theme.RULE)
BOLD = theme.style(bold=True)
BEST = theme.style(theme.YELLOW, bold=True)
HEADER = theme.style(theme.QUIET, bold=True)
SORTED = theme.style(theme.SKY, bold=True)
GAP = 2
MARK = "★"
TOLD = "✔"
"""Before the name of a parameter that the trials tell of."""
MAX_PARAM_WIDTH = 16
NARROW_TITLE = 8
TREND = 0.05
"""Of the range of its scores: a smaller difference is no trend."""


@dataclass(frozen=True, slots=True)
class Row:
    """All that a line of the table is made of."""

    trial: Trial
    job: Job | None
    curve: Curve
    best: bool
    unit: str
    at: float
    """Epoch seconds, for what is still running."""
    rising: bool = True
    """Whether the goal is a greater score."""
    stages: Doing = field(default_factory=Doing)
    """`Snapshot.stages`."""


@dataclass(frozen=True, slots=True)
class Column:
    title: str
    cell: Callable[[Row], list[Piece]]
    least: int
    most: int
    right: bool = False
    by: str = ""
    """The field that a click on its title sorts by."""


def _number(row: Row) -> list[Piece]:
    return [(str(row.trial.number), BOLD if row.best else QUIET)]


def _state(row: Row) -> list[Piece]:
    state = wording.trial_state(row.trial, row.job, row.stages)
    return [(str(state), theme.style(state.colour))]


def _score(row: Row) -> list[Piece]:
    if row.trial.score is None:
        return [(wording.UNKNOWN + " ", QUIET)]
    text = wording.even(row.trial.score)
    if row.best:
        return [(text, BEST), (MARK, BEST)]
    if row.trial.status in (TrialStatus.COMPLETED, TrialStatus.STOPPED):
        return [(text + " ", PLAIN)]
    arrow = trend(row.curve) if row.trial.status in RUNNING else 0
    colour = theme.GREEN if (arrow > 0) == row.rising else theme.ORANGE
    return [(text, QUIET), ("↓ ↑"[1 + arrow], theme.style(colour, bold=True))]


def _cut(text: str, width: int) -> str:
    return text if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"


def _metric(name: str) -> Callable[[Row], list[Piece]]:
    def cell(row: Row) -> list[Piece]:
        value = number_in(row.trial.metrics, name)
        if value is None:
            return [(wording.UNKNOWN, QUIET)]
        over = row.trial.status in (TrialStatus.COMPLETED, TrialStatus.STOPPED)
        return [(wording.even(value), BEST if row.best else PLAIN if over else QUIET)]

    return cell


def trend(curve: Curve) -> int:
    """1 where the last quarter of the curve is clearly above the one before it, -1 where it is below, else 0."""
    size = len(curve) // 4
    if not size:
        return 0
    last, before = sum(curve[-size:]) / size, sum(curve[-2 * size : -size]) / size
    clear = TREND * (max(curve) - min(curve))
    return (last - before > clear) - (before - last > clear)


def _curve(width: int) -> Callable[[Row], list[Piece]]:
    def cell(row: Row) -> list[Piece]:
        colour = theme.SKY if not row.trial.status.terminal else theme.GREEN if row.best else theme.QUIET
        return [(wording.sparkline(row.curve, width), theme.style(colour))]

    return cell


def progress_bar(share: float, width: int, colour: str) -> list[Piece]:
    halves = round(share * width * 2)
    full, half = divmod(halves, 2)
    bar = "━" * full + ("╸" if half else "")
    return [(bar, theme.style(colour)), ("─" * (width - len(bar)), RULE)]


def _progress(width: int) -> Callable[[Row], list[Piece]]:
    def cell(row: Row) -> list[Piece]:
        share = share_done(row.trial)
        if share is None:
            step = row.trial.step
            return [] if step is None else [(f"step {wording.number(step)}", QUIET)]
        colour = theme.RULE if row.trial.status.terminal else wording.trial_state(row.trial, row.job).colour
        bar = [*progress_bar(share, width, colour), (" ", PLAIN)] if width else []
        return [*bar, (f"{int(share * 100):3}%", QUIET if row.trial.status.terminal else PLAIN)]

    return cell


def _time(row: Row) -> list[Piece]:
    ran = run_time(row.trial, row.at)
    if ran is None:
        return [(wording.UNKNOWN, QUIET)]
    return [(wording.duration(ran), PLAIN if row.trial.status.terminal else BOLD)]


def _cost(row: Row) -> list[Piece]:
    return [(wording.cost(row.trial.cost, row.unit), QUIET)]


def _attempt(row: Row) -> list[Piece]:
    attempt = row.trial.attempt
    return [(str(attempt), theme.style(theme.ORANGE))] if attempt > 1 else []


def _slot(row: Row) -> list[Piece]:
    return [(wording.line(slot_name(row.job)), theme.style(theme.SKY))]


def _param(path: str) -> Callable[[Row], list[Piece]]:
    def cell(row: Row) -> list[Piece]:
        if path not in row.trial.params:
            return [("-", QUIET)]
        value = row.trial.params.get(path)
        return [(wording.param(value), BOLD if row.best else PLAIN)] if value is not None else []

    return cell


class Columns:
    """A layout. Widths only ever grow, by what has been on screen, so that columns do not jump about."""

    FROZEN = 2
    """The number and the state stay when the rest is scrolled sideways."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        narrow = layout.narrow
        columns = [
            Column("#", _number, 2, 6, right=True, by="#"),
            Column("state", _state, 10, 17, by="state"),
            Column("score", _score, 6, 12, right=True, by="score"),
            Column("curve", _curve(8 if narrow else 10), 8 if narrow else 10, 10),
            Column("done" if narrow else "progress", _progress(0 if narrow else 5), 4 if narrow else 10, 13,
                   by="progress"),
            Column("time", _time, 4, 7, right=True, by="time"),
            Column("cost", _cost, 4, 14, right=True, by="cost"),
        ]  # fmt: skip
        metrics = []
        for name, by in layout.metrics:
            title = _cut(wording.line(name).rpartition("/")[2], NARROW_TITLE)
            metrics.append(Column(title, _metric(name), max(6, cell_len(title)), NARROW_TITLE, right=True, by=by))
        columns[3:3] = metrics  # beside the score, which is the first metric
        if layout.retried:
            columns.append(Column("try", _attempt, 3, 4, right=True, by="try"))
        if layout.slotted and not narrow:
            columns.append(Column("slot", _slot, 4, 9, by="slot"))
        names = wording.short_names([path for path, _ in layout.params])
        most = NARROW_TITLE if narrow else MAX_PARAM_WIDTH
        for path, by in layout.params:
            title = f"{TOLD}{names[path]}" if path in layout.told else names[path]
            least = max(4, min(most, cell_len(title)))
            columns.append(Column(title, _param(path), least, MAX_PARAM_WIDTH, right=True, by=by))
        self.columns = columns
        self.widths = [column.least for column in columns]
        self._titles = [self._title(column, layout) for column in columns]
        for index, (column, title_) in enumerate(zip(columns, self._titles, strict=True)):
            if column.by == layout.sorted_by:
                self.widths[index] = max(column.least, min(column.most, cell_len(title_[0][0])))

    @staticmethod
    def _title(column: Column, layout: Layout) -> list[Piece]:
        style = HEADER + Style.from_meta({"sort": column.by}) if column.by else HEADER
        if column.by != layout.sorted_by or layout.usual:
            return [(column.title, style)]
        return [(f"{column.title}{'↓' if layout.descending else '↑'}", style + SORTED)]

    @property
    def last(self) -> int:
        """How many columns there are to scroll sideways."""
        return len(self.widths) - self.FROZEN

    def _start(self, index: int) -> int:
        return sum(self.widths[:index]) + GAP * index

    def window(self, strip: Strip, left: int, room: int) -> tuple[Strip, bool]:
        """The part of a line that is seen with `left` columns scrolled away, and whether more is to the right.

        A column is seen whole or not at all: of a number cut in two, what is left would be another number.
        """
        frozen, start = self._start(self.FROZEN), self._start(self.FROZEN + left)
        shown = self.FROZEN + left
        whole = frozen + self._start(len(self.widths)) - GAP - start <= room
        most = room if whole else room - GAP  # beside the arrow that says that there are more
        while shown < len(self.widths) and frozen + self._start(shown + 1) - GAP - start <= most:
            shown += 1
        line = Strip.join([strip.crop(0, frozen), strip.crop(start, max(start, self._start(shown) - GAP))])
        return line.extend_cell_length(room).crop(0, room), shown < len(self.widths)

    def cells(self, row: Row) -> list[list[Piece]]:
        """What a row says in each column."""
        return [column.cell(row) for column in self.columns]

    def learn(self, rows: Iterable[list[list[Piece]]]) -> bool:
        """Make room for the cells of these rows; True if any column grew."""
        before = list(self.widths)
        for cells in rows:
            for index, (column, cell) in enumerate(zip(self.columns, cells, strict=True)):
                if self.widths[index] < column.most:
                    needed = sum(cell_len(text) for text, _ in cell)
                    self.widths[index] = max(self.widths[index], min(column.most, needed))
        return self.widths != before

    def spread(self, room: int) -> bool:
        """Give room that is left over to columns whose titles need it, from the left; True if any column grew."""
        shown, used = 0, -GAP
        whole = self._start(len(self.widths)) - GAP <= room
        while shown < len(self.widths) and used + GAP + self.widths[shown] <= (room if whole else room - GAP):
            used += GAP + self.widths[shown]
            shown += 1
        left = before = (room if whole else room - GAP) - used
        for index in range(shown):
            missing = sum(cell_len(text) for text, _ in self._titles[index]) - self.widths[index]
            grown = max(0, min(missing, left))
            self.widths[index] += grown
            left -= grown
        return left != before

    def header(self) -> Strip:
        titles: list[list[Piece]] = []
        for (text, style), *_ in self._titles:
            width = self.widths[len(titles)]
            titles.append([(text if cell_len(text) <= width else _shortened(text, width), style)])
        return self._strip(titles)

    def line(self, cells: list[list[Piece]]) -> Strip:
        return self._strip(cells)

    def _strip(self, cells: list[list[Piece]]) -> Strip:
        segments = []
        for column, width, cell in zip(self.columns, self.widths, cells, strict=True):
            # A score's mark hangs to the right of the numbers; its title keeps clear of it.
            segments += fit(cell, width, right=column.right)
            segments.append(Segment(" " * GAP))
        return Strip(segments)


def _shortened(title: str, width: int) -> str:
    """A title without its middle: of names of parameters the ends differ as often as the beginnings."""
    end = (width - 1) // 2
    return f"{title[: width - 1 - end]}…{title[len(title) - end :]}"


def fit(pieces: list[Piece], width: int, *, right: bool = False) -> list[Segment]:
    """The pieces in exactly `width` cells, the last one cut with a mark where they are too long."""
    free = width - sum(cell_len(text) for text, _ in pieces)
    if free >= 0:
        pad = Segment(" " * free)
        segments = [Segment(text, style) for text, style in pieces]
        return [pad, *segments] if right else [*segments, pad]
    segments, left = [], width - 1
    for text, style in pieces:
        cells = cell_len(text)
        segments.append(Segment(text if cells <= left else set_cell_size(text, left), style))
        left -= min(cells, left)
    return [*segments, Segment("…", pieces[-1][1])]
