"""Learning curves as they are plotted: score over step and over time, thinned out to what a screen can show."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Collection, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from sweeptui.core.trial import Stage

if TYPE_CHECKING:
    from sweeptui.core.stores.past import View
    from sweeptui.core.stores.rows import ScoreRow

MAX_STRETCHES = 1024
"""A series has at most two points of each stretch, and its newest."""
MAX_KEPT = 64
MAX_ROWS = 20_000
"""So many reports are read in one turn, so that no snapshot waits for a long history."""


class Point(NamedTuple):
    step: float
    """The number of the report where none was reported."""
    time: float
    """Seconds since the attempt began."""
    score: float


Series = tuple[Point, ...]


_Stretch = tuple[Point, Point]
"""Of points that follow on each other the lowest and the highest, in the order they came."""


class Thinned:
    """A curve of any length in bounded room, that keeps its outline: stretches of equal length, each with its extremes.

    When there are too many, neighbours are made one, and from then on each new stretch is twice as long.
    """

    def __init__(self, most: int = MAX_STRETCHES) -> None:
        """`most` is even."""
        self._most = most
        self._length = 1
        self._full: list[_Stretch] = []
        self._in_open = 0
        self._low = self._high = self._last = Point(0.0, 0.0, 0.0)
        self._low_first = True

    def add(self, point: Point) -> None:
        if not self._in_open:
            self._low = self._high = point
        elif point.score < self._low.score:
            self._low, self._low_first = point, False
        elif point.score > self._high.score:
            self._high, self._low_first = point, True
        self._last = point
        self._in_open += 1
        if self._in_open == self._length:
            self._full.append(self._stretch)
            self._in_open = 0
            if len(self._full) == self._most:
                self._full = [_joined(*first, *second) for first, second in pairwise(self._full)][::2]
                self._length *= 2

    @property
    def _stretch(self) -> _Stretch:
        return (self._low, self._high) if self._low_first else (self._high, self._low)

    def series(self) -> Series:
        points: list[Point] = []
        for stretch in [*self._full, *([self._stretch] if self._in_open else [])]:
            points += stretch if stretch[0] is not stretch[1] else stretch[:1]
        if points and points[-1] is not self._last:
            points.append(self._last)
        return tuple(points)


def _joined(*points: Point) -> _Stretch:
    scores = [point.score for point in points]
    low, high = scores.index(min(scores)), scores.index(max(scores))
    return points[min(low, high)], points[max(low, high)]


class _Curve:
    """The curve of a trial's newest attempt, as far as it was read."""

    def __init__(self) -> None:
        self.read = 0
        """The id of the last row."""
        self._job = 0
        self._began = 0.0
        self._count = 0
        self._points = Thinned()
        self._series: Series | None = ()

    def extend(self, rows: list[ScoreRow], store: View, trial: int) -> None:
        for row in rows:
            if row.job != self._job:
                self._begin(row, store, trial)
            self._count += 1
            if math.isfinite(row.score):
                step = row.step if row.step is not None and math.isfinite(row.step) else float(self._count)
                self._points.add(Point(step, max(0.0, row.at - self._began), row.score))
        if rows:
            self.read, self._series = rows[-1].id, None

    def _begin(self, row: ScoreRow, store: View, trial: int) -> None:
        """An attempt starts a new curve."""
        self._job, self._count, self._points = row.job, 0, Thinned()
        job = next((job for job in store.jobs(trial) if job.id == row.job), None)
        self._began = row.at if job is None or job.started_at is None else job.started_at

    @property
    def series(self) -> Series:
        """The same object as long as nothing was added."""
        if self._series is None:
            self._series = self._points.series()
        return self._series


class SeriesReader:
    """Reads the learning curves that are asked for, and on from there as they grow."""

    def __init__(self) -> None:
        self._curves: OrderedDict[int, _Curve] = OrderedDict()
        self._grown: set[int] = set()

    def grew(self, trial: int) -> None:
        """The trial has reported something, or begins anew."""
        self._grown.add(trial)

    def read(self, store: View, wanted: Collection[int]) -> tuple[Mapping[int, Series], bool]:
        """The series of the wanted trials, as far as they were read; True where there is more to read at once."""
        room = MAX_ROWS
        for number in sorted(wanted):
            curve = self._curves.get(number)
            if curve is None:
                curve = self._curves[number] = _Curve()
                self._grown.add(number)
            self._curves.move_to_end(number)
            if number in self._grown and room > 0:
                rows = store.scores(number, Stage.TRAIN, after=curve.read, limit=room)
                curve.extend(rows, store, number)
                room -= len(rows)
                if room > 0:
                    self._grown.discard(number)
        while len(self._curves) > max(MAX_KEPT, len(wanted)):
            self._curves.popitem(last=False)
        self._grown &= self._curves.keys()
        return {number: self._curves[number].series for number in wanted}, any(n in self._grown for n in wanted)
