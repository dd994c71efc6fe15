"""Which lines of a log are on screen: a page that follows the end, or stays where it is and is moved by lines."""

from __future__ import annotations

from bisect import bisect_left

from sweeptui.app.log.file import LogFile
from sweeptui.app.log.pattern import Test
from sweeptui.app.log.scan import Place, Window

NEAR_BYTES = 1 << 16
"""What was printed since is read up to the end if it is no more; else the end is read from the end."""
NEAR_FILTERED_BYTES = 1 << 23
"""The same with a filter, where it may take long to find enough lines from the end."""


class Viewport:
    """Moves over those lines that pass a test, as far as they are known; `step` finds out more."""

    def __init__(self, log: LogFile, height: int, test: Test | None = None) -> None:
        self.log = log
        self.test = test
        self.height = height
        self.top: int | None = None
        """Where the first line of the page starts; None while the end is followed."""
        self._owed = 0
        """By how many lines the page is still to be moved: as soon as they are found."""
        self._window = Window(log, test)
        self._tested: Place | None = None
        self._tail = (-1, False)
        """Where the last line started when it was looked at, which was not finished, and whether it passed."""

    # -- what is asked of it

    @property
    def following(self) -> bool:
        return self.top is None

    def follow(self) -> None:
        self.top, self._owed = None, 0

    def scroll(self, lines: int) -> None:
        """Down by `lines`, up where negative. Reaching the end follows it."""
        self._owed += lines

    def stay(self) -> None:
        """Stop following, with the page as it is."""
        if self.top is None:
            page = self.page()
            self.top = page[0][0] if page else self.log.done
            self._owed = 0

    def go_to(self, at: int, above: int = 0) -> None:
        """Show the line that starts at `at`, with so many lines above it."""
        self.top, self._owed = at, -above

    # -- what is known

    def page(self) -> list[Place]:
        """The lines on screen, as far as they were found."""
        lines = self._lines()
        if self.top is None:
            return lines[-self.height :]
        first = bisect_left(lines, (self.top, 0))
        return lines[first : first + self.height]

    @property
    def looked_through(self) -> Place:
        """Between these, all lines are known."""
        return self._window.low, self._window.high

    @property
    def whole(self) -> bool:
        """All lines that pass are on the page."""
        window = self._window
        return window.low <= 0 and window.high >= self.log.done and len(self.page()) == len(self._lines())

    def _lines(self) -> list[Place]:
        """The known lines; with the last one of the file, which is not finished, where they reach to it."""
        window, log = self._window, self.log
        start, passes = self._tail
        if window.high < log.done or start != log.done or log.done == log.size or not passes:
            return window.lines
        return [*window.lines, (log.done, log.size)]

    def _test_unfinished(self) -> None:
        log = self.log
        tail = log.done, log.size
        if tail != self._tested:
            self._tested = tail
            self._tail = log.done, self.test is None or self.test.test(log.line(*tail, colour=False))

    # -- finding out more

    def step(self) -> bool:
        """Read a slice where the page needs it, and move the page by what is found; False once all is done.

        Raises `TooSlowError`.
        """
        self._test_unfinished()
        return self._step_at_end() if self.top is None else self._step_at(self.top)

    def _step_at_end(self) -> bool:
        log, window = self.log, self._window
        if window.high < log.done:
            if log.done - window.high > (NEAR_BYTES if self.test is None else NEAR_FILTERED_BYTES):
                window.reset(log.done)
            else:
                window.grow_down(log.done)
                return True
        lines = self._lines()
        rest = len(lines) - self.height
        self._owed = min(0, self._owed)
        if window.low > 0 and (rest < 0 or (rest == 0 and self._owed)):
            window.grow_up()
            return True
        if self._owed and rest > 0:
            up = min(-self._owed, rest)
            self.top = lines[rest - up][0]
            self._owed += up
            return True
        self._owed = 0
        window.trim(len(window.lines) - self.height, len(window.lines))
        return False

    def _step_at(self, top: int) -> bool:
        log, window = self.log, self._window
        if not window.low <= top <= window.high:
            window.reset(top)
        lines = self._lines()
        first = bisect_left(lines, (top, 0))
        if self._owed < 0:
            up = min(first, -self._owed)
            if up:
                first -= up
                self.top = lines[first][0]
                self._owed += up
            if self._owed and window.low > 0:
                window.grow_up()
                return True
            self._owed = 0
        at_end = window.high >= log.done
        room = len(lines) - self.height - first
        if self._owed > 0:
            if at_end and self._owed >= room:
                self.follow()
                return True
            down = min(self._owed, max(0, room))
            if down:
                first += down
                room -= down
                self.top = lines[first][0]
                self._owed -= down
            if self._owed:
                window.grow_down(log.done)
                return True
        if room < 0:
            if not at_end:
                window.grow_down(log.done)
                return True
            # Where nothing more comes below, the page is filled from above.
            if first > 0:
                self.top = lines[max(0, first + room)][0]
                return True
            if window.low > 0:
                window.grow_up()
                return True
        window.trim(first, first + self.height)
        return False
