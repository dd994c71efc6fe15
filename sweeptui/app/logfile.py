"""A window on a log file of any size that may still be growing. What it costs depends on the window alone.

Positions are byte offsets and not line numbers, so nothing has to be counted before the first line is shown.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sweeptui.core.ansi import last_segment, sanitize

MAX_LINE_BYTES = 1 << 18
"""What goes on longer without a newline is taken for several lines."""
MAX_SHOWN_BYTES = 1 << 13
"""Of a line, as much as is decoded: enough for the 1,000 columns that are shown."""
BLOCK_BYTES = 1 << 12
"""What is read at once to look for a newline."""
TAIL_BYTES = 1 << 16
"""How far back the last carriage return of a long line is looked for."""
COUNT_BYTES = 1 << 23
"""Newlines are counted over at most so many bytes at a time."""
POLL_S = 0.1


class LogFile:
    """Reads lines around an offset. A file that does not exist is empty."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def size(self) -> int:
        try:
            if self._fd is None:
                self._fd = os.open(self.path, os.O_RDONLY)
            return os.fstat(self._fd).st_size
        except OSError:
            return 0

    def read(self, start: int, length: int) -> bytes:
        return b"" if self._fd is None or length <= 0 else os.pread(self._fd, length, start)

    def next(self, offset: int, end: int) -> int:
        """Where the line after the one at `offset` starts; `end` where there is none."""
        stop = min(end, offset + MAX_LINE_BYTES)
        at = offset
        while at < stop:
            block = self.read(at, min(BLOCK_BYTES, stop - at))
            found = block.find(b"\n")
            if found >= 0:
                return at + found + 1
            if not block:
                break
            at += len(block)
        return stop

    def previous(self, offset: int) -> int:
        """Where the line before the one at `offset` starts; 0 where there is none."""
        low = max(0, offset - MAX_LINE_BYTES)
        # The byte before `offset` ends the line that is looked for.
        at = offset - 1
        while at > low:
            start = max(low, at - BLOCK_BYTES)
            found = self.read(start, at - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            at = start
        return low

    def back(self, offset: int, lines: int) -> int:
        """Go up by `lines`."""
        while lines > 0 and offset > 0:
            offset = self.previous(offset)
            lines -= 1
        return offset

    def forward(self, offset: int, lines: int, end: int) -> int:
        """Go down by `lines`."""
        while lines > 0 and offset < end:
            offset = self.next(offset, end)
            lines -= 1
        return offset

    def line(self, start: int, stop: int) -> str:
        """The text between two offsets as a terminal would show it: safe, and after its last carriage return."""
        if stop - start > MAX_SHOWN_BYTES:
            # A progress bar may be megabytes long; of a really long line the beginning is shown.
            tail = self.read(max(start, stop - TAIL_BYTES), min(stop - start, TAIL_BYTES)).rstrip(b"\r\n")
            turned = tail.rfind(b"\r")
            data = tail[turned + 1 :] if turned >= 0 else self.read(start, MAX_SHOWN_BYTES)
        else:
            data = self.read(start, stop - start)
        text = data[:MAX_SHOWN_BYTES].decode("utf-8", "replace").rstrip("\n")
        return sanitize(last_segment(text).replace("\n", " "))

    def count(self, start: int, stop: int) -> int:
        """How many lines end between two offsets."""
        total = 0
        while start < stop:
            block = self.read(start, min(1 << 20, stop - start))
            if not block:
                break
            total += block.count(b"\n")
            start += len(block)
        return total


@dataclass(frozen=True, slots=True)
class Page:
    """The lines of a log that are on screen."""

    path: Path | None
    lines: tuple[str, ...] = ()
    """Safe text; colours are SGR sequences."""
    following: bool = True
    new_lines: int = 0
    """How many came since the end was left."""
    start: float = 0.0
    """Where the page starts and stops in the file, as shares of its size."""
    stop: float = 1.0
    size: int = 0
    """Bytes in the file."""


class LogReader:
    """Reads pages on a thread of its own and posts each one that differs from the last.

    All methods but `run` may be called from any thread and return at once; `run` returns after `close`.
    """

    def __init__(self, post: Callable[[Page], object]) -> None:
        self._post = post
        self._requests: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._log: LogFile | None = None
        self._height = 1
        self._top: int | None = None
        self._left_at = 0
        self._counted_to = 0
        self._new = 0
        self._seen: tuple[object, ...] | None = None
        self.idle = threading.Event()
        """Set while every request so far has been answered."""

    def open(self, path: Path | None) -> None:
        self._ask(lambda: self._open(path))

    def resize(self, height: int) -> None:
        self._ask(lambda: setattr(self, "_height", max(1, height)))

    def scroll(self, lines: int) -> None:
        """Down by `lines`, up where negative. Reaching the end follows it again."""
        self._ask(lambda: self._scroll(lines))

    def page(self, pages: int) -> None:
        self._ask(lambda: self._scroll(pages * max(1, self._height - 1)))

    def to_start(self) -> None:
        self._ask(lambda: self._leave(0))

    def to_end(self) -> None:
        """Show the end, and keep showing it."""
        self._ask(self._follow)

    def close(self) -> None:
        self._requests.put(None)

    def run(self) -> None:
        try:
            while self._serve():
                self._look()
        finally:
            if self._log is not None:
                self._log.close()

    def _ask(self, request: Callable[[], None]) -> None:
        self.idle.clear()
        self._requests.put(request)

    def _serve(self) -> bool:
        """Wait a moment for requests and carry out all that are there; False once closed."""
        try:
            request = self._requests.get(timeout=POLL_S)
            while True:
                if request is None:
                    return False
                request()
                request = self._requests.get_nowait()
        except queue.Empty:
            return True

    def _open(self, path: Path | None) -> None:
        if self._log is not None:
            self._log.close()
        self._log = None if path is None else LogFile(path)
        self._seen = None
        self._follow()

    def _follow(self) -> None:
        self._top = None
        self._new = 0

    def _leave(self, top: int) -> None:
        """Stop following, with the page at `top`."""
        if self._log is None:
            return
        if self._top is None:
            self._counted_to = self._log.size()
            self._new = 0
        self._top = top

    def _scroll(self, lines: int) -> None:
        if self._log is None:
            return
        size = self._log.size()
        last = self._log.back(size, self._height)
        top = last if self._top is None else self._top
        if lines < 0:
            moved = self._log.back(top, -lines)
            if moved < last:
                self._leave(moved)
        elif self._top is not None:
            moved = self._log.forward(top, lines, size)
            if moved >= last:
                self._follow()
            else:
                self._leave(moved)

    def _look(self) -> None:
        log = self._log
        size = 0 if log is None else log.size()
        if self._top is not None and self._top > size:
            self._follow()  # the file was written anew
        seen = (log, size, self._top, self._height, self._new)
        if seen != self._seen:
            page = Page(None) if log is None else self._page(log, size)
            self._seen = (log, size, self._top, self._height, self._new)
            self._post(page)
        if self._requests.empty():
            self.idle.set()

    def _page(self, log: LogFile, size: int) -> Page:
        start = at = log.back(size, self._height) if self._top is None else self._top
        lines: list[str] = []
        while at < size and len(lines) < self._height:
            after = log.next(at, size)
            lines.append(log.line(at, after))
            at = after
        if self._top is not None and size > self._counted_to:
            stop = min(size, self._counted_to + COUNT_BYTES)
            self._new += log.count(self._counted_to, stop)
            self._counted_to = stop
        share = max(1, size)
        return Page(log.path, tuple(lines), self._top is None, self._new, start / share, at / share, size)
