"""Looking for the lines of a log that a pattern is found in: the next one, and how many there are."""

from __future__ import annotations

from array import array
from bisect import bisect_left

from sweeptui.app.log import scan
from sweeptui.app.log.file import LogFile
from sweeptui.app.log.page import Found
from sweeptui.app.log.pattern import Both, Pattern, Test
from sweeptui.app.log.scan import Place, above, below, passing

TALLY_BYTES = 1 << 26
"""So much of a log is counted, from its start."""
TALLY_LINES = 100_000
"""And so many lines."""
ONLY = "the only one"


class Hunt:
    """Goes from a place to the next line that passes, and on from the other end of the log. `step` reads a slice."""

    def __init__(self, log: LogFile, test: Test, at: int | None, *, forward: bool) -> None:
        """`at`: the start of a line, which is not looked at when going up; the end of the log where it is None."""
        self._log = log
        self._test = test
        self._end = at is None
        self._begun = self._at = 0 if at is None else at
        self.forward = forward
        self.wrapped = False
        self.over = False
        self.found: Place | None = None

    @property
    def share(self) -> float:
        """How much of the log was looked through."""
        gone = (self._at - self._begun) * (1 if self.forward else -1)
        return min(1.0, max(0.0, (gone + self._log.size * self.wrapped) / max(1, self._log.size)))

    def step(self) -> None:
        """Raises `TooSlowError`."""
        if self._end:
            self._end = False
            self._begun = self._log.size
            self._from_end()
        elif self.forward:
            self._step_down()
        else:
            self._step_up()
        self.over = self.over or self.found is not None

    def _step_down(self) -> None:
        log = self._log
        end = self._begun if self.wrapped else log.done
        if self._at < end:
            lines = below(log, self._at, end, scan.MOST_BYTES)
            self._at = lines[1]
            self.found = next(iter(passing(log, lines, self._test)), None)
        elif self.wrapped:
            self.over = True
        else:
            if self._at == log.done and (found := self._unfinished()) is not None:
                self.found = found
                return
            # What comes to the end meanwhile is left for the next time.
            self._begun = min(self._begun, log.done)
            self._at, self.wrapped = 0, True

    def _step_up(self) -> None:
        log = self._log
        floor = self._begun if self.wrapped else 0
        if self._at > floor:
            lines = above(log, self._at, floor, scan.MOST_BYTES)
            self._at = lines[0]
            self.found = next(reversed(passing(log, lines, self._test)), None)
        elif self.wrapped:
            self.over = True
        else:
            self.wrapped = True
            self._from_end()

    def _from_end(self) -> None:
        self._at = self._log.done
        self.found = self._unfinished()

    def _unfinished(self) -> Place | None:
        place = self._log.done, self._log.size
        passes = place[0] < place[1] and self._test.test(self._log.line(*place, colour=False))
        return place if passes else None


class Tally:
    """Where in a log, from its start, the lines are that pass. `step` reads a slice."""

    def __init__(self, log: LogFile, test: Test) -> None:
        self._log = log
        self._test = test
        self._starts = array("Q")
        self._at = 0

    @property
    def due(self) -> bool:
        """There is more to count, and not too much."""
        return self._at < min(self._log.done, TALLY_BYTES) and len(self._starts) < TALLY_LINES

    @property
    def total(self) -> int:
        return len(self._starts)

    @property
    def complete(self) -> bool:
        """All finished lines were counted."""
        return self._at >= self._log.done

    def number(self, at: int) -> int | None:
        """Which one the line is that starts at `at`, from 1; None where it was not counted."""
        index = bisect_left(self._starts, at)
        return index + 1 if index < len(self._starts) and self._starts[index] == at else None

    def step(self) -> None:
        """Raises `TooSlowError`."""
        lines = below(self._log, self._at, self._log.done, scan.MOST_BYTES)
        self._starts.extend(start for start, _ in passing(self._log, lines, self._test))
        self._at = lines[1]


class Search:
    """A pattern, the line that was found last, and what is still being looked for."""

    def __init__(self, log: LogFile, pattern: Pattern, among: Test | None) -> None:
        """`among`: the lines that are searched; all where it is None."""
        self._log = log
        self.pattern = pattern
        self._test: Test = pattern if among is None else Both(among, pattern)
        self.hit: Place | None = None
        self.hunt: Hunt | None = None
        self.tally = Tally(log, self._test)
        self.note = ""
        """What came of the last hunt, where that is not just the hit."""

    def go(self, at: int | None, *, forward: bool) -> None:
        """Look for the next line from the one at `at` on, or for the one before; from the end where it is None."""
        self.hunt = Hunt(self._log, self._test, at, forward=forward)
        self.note = ""

    def stop(self) -> None:
        """Give up what is looked for."""
        self.hunt = None

    def step(self) -> bool:
        """Read a slice; True where that found what was looked for. Raises `TooSlowError`."""
        hunt = self.hunt
        if hunt is None:
            return False
        hunt.step()
        if not hunt.over:
            return False
        self.hunt = None
        if hunt.found is None:
            self.note = "not found" if self.hit is None else ONLY
            return False
        if hunt.wrapped:
            same = self.hit is not None and self.hit[0] == hunt.found[0]
            self.note = ONLY if same else "on from the start" if hunt.forward else "on from the end"
        self.hit = hunt.found
        return True

    def found(self) -> Found:
        """How far it is."""
        hit, hunt, tally = self.hit, self.hunt, self.tally
        return Found(
            self.pattern.text,
            None if hit is None else tally.number(hit[0]),
            tally.total,
            not tally.complete,
            None if hit is None else hit[0],
            None if hunt is None else hunt.share,
            self.note,
        )
