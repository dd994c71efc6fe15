"""A log file of any size that may still be growing, as lines at byte offsets.

Positions are byte offsets and not line numbers, so nothing has to be counted before the first line is shown. It is read
with `pread` and not mapped: a file that is cut short under a mapping would kill the process.
"""

from __future__ import annotations

import os
import stat
from enum import Enum
from pathlib import Path

from sweeptui.core.ansi import CUT_MARK, last_segment, sanitize

CELL_BYTES = 1 << 18
"""What fills a whole cell of the file without a newline is cut at the cell's end, and taken for several lines."""
PROGRESS_CELLS = 64
"""A progress bar's carriage returns make one line of so many cells; then it is cut, too."""
MAX_SHOWN_BYTES = 1 << 13
"""Of a line, as much as is shown."""
BLOCK_BYTES = 1 << 12
"""What is read at first to look for a newline."""
FASTER = 4
"""Where there is none, so many times as much is read next."""
TAIL_BYTES = 1 << 16
"""How far back the last carriage return of a long line is looked for."""
MARK_BYTES = 64
"""By so many bytes before its old end a file that has changed is known again."""
MAX_CELLS_KNOWN = 1 << 16


class Cell(Enum):
    """What decides whether a line that fills it is cut at its end."""

    NEWLINE = "it has a newline"
    PROGRESS = "it has carriage returns"
    RUN = "it has neither"


class LogFile:
    """The lines of a file. A file that does not exist is empty.

    A line starts where the file does, after a newline, and where one was cut. Whether it is cut at the end of a cell
    depends on the bytes before only, so a line once finished stays what it is however the file grows, and from
    above and from below the same lines are found.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self.done = 0
        """Where the last line starts if no newline has ended it yet, else `size`."""
        self.problem = ""
        """Why it cannot be read."""
        self._fd: int | None = None
        self._state: tuple[int, int] | None = None
        self._mark = (0, b"")
        self._cells: dict[int, Cell] = {}

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    # -- how long it is

    def look(self) -> bool:
        """Take in what became of the file. False where it is not the one it was: no offset holds any more."""
        self.problem = ""
        try:
            at_path = self.path.stat()
            if self._fd is not None:
                held = os.fstat(self._fd)
                if (at_path.st_dev, at_path.st_ino) == (held.st_dev, held.st_ino):
                    return self._take_in(at_path)
            known = self._fd is not None
            self._open()
        except FileNotFoundError:
            # Of one that was removed, what is there can still be read.
            return self._fd is None or self._take_in(os.fstat(self._fd))
        except OSError as error:
            self.problem = error.strerror or str(error)
            return True
        return not known

    def _open(self) -> None:
        # Not to wait for a writer, should it be a pipe.
        fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self.close()
        self._fd = fd
        self._forget()
        self._take_in(os.fstat(fd))

    def _take_in(self, state: os.stat_result) -> bool:
        if not stat.S_ISREG(state.st_mode):
            self.problem = "it is no regular file"
            return True
        if self._state == (state.st_size, state.st_mtime_ns):
            return True
        at, mark = self._mark
        same = state.st_size >= self.size and self.read(at, len(mark)) == mark
        if not same:
            self._forget()
        self._state = state.st_size, state.st_mtime_ns
        self.size = state.st_size
        start = max(0, self.size - MARK_BYTES)
        self._mark = start, self.read(start, self.size - start)
        self.done = self.size if self._mark[1].endswith(b"\n") else self.previous(self.size)
        return same

    def _forget(self) -> None:
        self.size = self.done = 0
        self._state = None
        self._mark = (0, b"")
        self._cells.clear()

    # -- bytes

    def read(self, start: int, length: int) -> bytes:
        """Fewer than `length` where the file ends."""
        try:
            return b"" if self._fd is None or length <= 0 else os.pread(self._fd, length, start)
        except OSError as error:
            self.problem = error.strerror or str(error)
            return b""

    def _find(self, start: int, stop: int) -> int:
        """After the first newline of a range; 0 where there is none."""
        step = BLOCK_BYTES
        while start < stop:
            block = self.read(start, min(step, stop - start))
            found = block.find(b"\n")
            if found >= 0 or not block:
                return start + found + 1 if block else 0
            start += len(block)
            step *= FASTER
        return 0

    def _find_last(self, start: int, stop: int) -> int:
        """After the last newline of a range; 0 where there is none."""
        step = BLOCK_BYTES
        while stop > start:
            low = max(start, stop - step)
            found = self.read(low, stop - low).rfind(b"\n")
            if found >= 0:
                return low + found + 1
            stop = low
            step *= FASTER
        return 0

    def _cell(self, cell: int) -> Cell:
        """What is in a cell, which must be complete."""
        known = self._cells.get(cell)
        if known is None:
            start, stop = cell * CELL_BYTES, (cell + 1) * CELL_BYTES
            if b"\n" in self.read(max(start, stop - BLOCK_BYTES), min(BLOCK_BYTES, CELL_BYTES)):
                known = Cell.NEWLINE
            else:
                data = self.read(start, CELL_BYTES)
                known = Cell.NEWLINE if b"\n" in data else Cell.PROGRESS if b"\r" in data else Cell.RUN
            if len(self._cells) >= MAX_CELLS_KNOWN:
                self._cells.clear()
            self._cells[cell] = known
        return known

    def _is_cut(self, cell: int) -> bool:
        """Whether a line that fills this cell ends with it."""
        what = self._cell(cell)
        return what is Cell.RUN or (what is Cell.PROGRESS and (cell + 1) % PROGRESS_CELLS == 0)

    # -- lines

    def next(self, offset: int, end: int) -> int:
        """Where the line after the one at `offset` starts; `end` where there is none."""
        while offset < end:
            cell = offset // CELL_BYTES
            stop = min(end, (cell + 1) * CELL_BYTES)
            if found := self._find(offset, stop):
                return found
            if stop < end and self._is_cut(cell):
                return stop
            offset = stop
        return end

    def previous(self, offset: int) -> int:
        """Where the line before the one at `offset` starts; 0 where there is none."""
        # The byte before `offset` ends the line that is looked for.
        at = offset - 1
        cell = at // CELL_BYTES
        while cell >= 0:
            low = cell * CELL_BYTES
            whole = at == low + CELL_BYTES
            if not (whole and self._cell(cell) is not Cell.NEWLINE) and (found := self._find_last(low, at)):
                return found
            if cell and self._is_cut(cell - 1):
                return low
            at, cell = low, cell - 1
        return 0

    def raw(self, start: int, stop: int) -> bytes:
        """Of the bytes of a line, those that a terminal would still show; at most `MAX_SHOWN_BYTES` and one."""
        if stop - start <= MAX_SHOWN_BYTES:
            return self.read(start, stop - start).removesuffix(b"\n")
        # A progress bar may be megabytes long; of a really long line the beginning is shown.
        tail = self.read(max(start, stop - TAIL_BYTES), min(stop - start, TAIL_BYTES)).rstrip(b"\r\n")
        turned = tail.rfind(b"\r")
        if turned >= 0:
            return tail[turned + 1 :][: MAX_SHOWN_BYTES + 1]
        return self.read(start, min(stop - start, MAX_SHOWN_BYTES + 1)).removesuffix(b"\n")

    def line(self, start: int, stop: int, *, colour: bool = True) -> str:
        """The text between two offsets as a terminal would show it: safe, and after its last carriage return."""
        data = self.raw(start, stop)
        cut = len(data) > MAX_SHOWN_BYTES
        text = last_segment(data[:MAX_SHOWN_BYTES].decode("utf-8", "replace")).replace("\n", " ")
        return sanitize(text, colour) + CUT_MARK * cut

    def count(self, start: int, stop: int) -> int:
        """How many newlines there are between two offsets."""
        total = 0
        while start < stop:
            block = self.read(start, min(CELL_BYTES, stop - start))
            if not block:
                break
            total += block.count(b"\n")
            start += len(block)
        return total
