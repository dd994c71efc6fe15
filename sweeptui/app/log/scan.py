"""Reading on from a line, a slice of the file at a time: which lines there are, and which pass a test."""

from __future__ import annotations

from sweeptui.app.log.file import CELL_BYTES, MAX_SHOWN_BYTES, LogFile
from sweeptui.app.log.pattern import Test
from sweeptui.app.log.text import shown

FIRST_BYTES = 1 << 14
"""A slice that is to be a page."""
MOST_BYTES = CELL_BYTES
"""No more, for a slice with a newline then has no line in it that was cut."""
MOST_LINES = 2000
"""A window takes no more lines of a slice."""
FEW_LINES = 100
"""After a slice that gave fewer, the next one is larger."""

Place = tuple[int, int]
"""Where a line starts and stops in the file."""
Slice = tuple[int, int, bytes]
"""Whole lines: where they start and stop, and their bytes; no bytes of a single line that is long."""


def below(log: LogFile, at: int, end: int, step: int) -> Slice:
    """Lines from the one that starts at `at`; none of them goes beyond `end`, where a line ends."""
    data = log.read(at, min(step, end - at))
    if at + len(data) >= end:
        return at, end, data
    stop = at + data.rfind(b"\n") + 1
    return (at, stop, data[: stop - at]) if stop > at else (at, log.next(at, end), b"")


def above(log: LogFile, at: int, floor: int, step: int) -> Slice:
    """Lines up to the one that stops at `at`; none of them starts before `floor`, where a line starts."""
    low = max(floor, at - step)
    data = log.read(low, at - low)
    if low <= floor:
        return floor, at, data
    first = data.find(b"\n") + 1
    return (low + first, at, data[first:]) if 0 < first < len(data) else (max(floor, log.previous(at)), at, b"")


def passing(log: LogFile, lines: Slice, test: Test | None) -> list[Place]:
    """Those lines of a slice that pass, in order; all where there is no test. Raises `TooSlowError`."""
    start, stop, data = lines
    if start >= stop:
        return []
    if not data or (test is not None and _has_long(data)):
        places = _places(start, stop, data) if data else [(start, stop)]
        return [place for place in places if test is None or test.test(log.line(*place, colour=False))]
    if test is None:
        return _places(start, stop, data)
    text = shown(data)
    if not test.perhaps(text):
        return []
    texts = text.split("\n")
    if data.endswith(b"\n"):
        texts.pop()
    which = [index for index, line in enumerate(texts) if test.test(line)]
    places = _places(start, stop, data) if which else []
    return [places[index] for index in which]


def _places(start: int, stop: int, data: bytes) -> list[Place]:
    places = []
    at = 0
    while (found := data.find(b"\n", at)) >= 0:
        places.append((start + at, start + found + 1))
        at = found + 1
    if at < len(data):
        places.append((start + at, stop))
    return places


def _has_long(data: bytes) -> bool:
    """Whether there is a line of which not all is shown."""
    at = 0
    while at + MAX_SHOWN_BYTES < len(data):
        found = data.rfind(b"\n", at, at + MAX_SHOWN_BYTES)
        if found < 0:
            return True
        at = found + 1
    return False


class Window:
    """Those lines around a place that pass a test. All between `low` and `high` are known."""

    def __init__(self, log: LogFile, test: Test | None) -> None:
        self._log = log
        self._test = test
        self.lines: list[Place] = []
        self.low = self.high = 0
        self._step = FIRST_BYTES
        self.reset(log.done)

    def reset(self, at: int) -> None:
        """Begin anew at a place where a line starts."""
        self.lines = []
        self.low = self.high = at
        self._step = FIRST_BYTES

    def grow_down(self, end: int) -> None:
        """Take in another slice, up to `end`, where a line ends. Raises `TooSlowError`."""
        lines = below(self._log, self.high, end, self._step)
        found = passing(self._log, lines, self._test)
        self.high = found[MOST_LINES - 1][1] if len(found) > MOST_LINES else lines[1]
        self.lines += found[:MOST_LINES]
        self._hasten(len(found))

    def grow_up(self) -> None:
        """Take in another slice. Raises `TooSlowError`."""
        lines = above(self._log, self.low, 0, self._step)
        found = passing(self._log, lines, self._test)
        self.low = found[-MOST_LINES][0] if len(found) > MOST_LINES else lines[0]
        self.lines[:0] = found[-MOST_LINES:]
        self._hasten(len(found))

    def _hasten(self, found: int) -> None:
        if found < FEW_LINES:
            self._step = min(self._step * 4, MOST_BYTES)

    def trim(self, first: int, last: int) -> None:
        """Keep those lines only that are around a range of them."""
        first, last = first - MOST_LINES, last + MOST_LINES
        if last < len(self.lines):
            self.high = self.lines[last][0]
            del self.lines[last:]
        if first > 0:
            self.low = self.lines[first][0]
            del self.lines[:first]
