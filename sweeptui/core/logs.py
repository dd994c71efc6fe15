"""Reading a job's log while it is written."""

from __future__ import annotations

import codecs
import os
import sys
from typing import TYPE_CHECKING

from sweeptui.core.ansi import CUT_MARK, last_segment

if TYPE_CHECKING:
    from pathlib import Path

MAX_LINE_CHARS = 4096
"""A longer line is cut and marked: a process may print gigabytes without a newline."""

_CHUNK_BYTES = 1 << 16


def colours_wanted() -> bool:
    """Whether colours may go to stdout: it is a terminal that has them, and https://no-color.org is not set."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class LogTail:
    """Follows one log file: each call of `lines` returns what was completed since the last one.

    The file need not exist yet. `offset` is where to start, in bytes. Lines come as they are, without their newline:
    pass them through `ansi.sanitize` before showing them.
    """

    def __init__(self, path: Path, offset: int = 0) -> None:
        self.path = path
        self.offset = offset
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._partial = ""
        self._overflowing = False

    def lines(self) -> list[str]:
        """Return lines that were finished since the last call, [] when there is nothing more for now.

        Reads no more than it needs, so that a huge log is gone through in steps.
        """
        done: list[str] = []
        while not done and (chunk := self._read()):
            *ended, self._partial = (self._partial + self._decoder.decode(chunk)).split("\n")
            if ended and self._overflowing:
                self._overflowing = False
                del ended[0]
            done += map(_shorten, ended)
            if self._overflowing:
                self._partial = ""
            elif len(self._partial) > MAX_LINE_CHARS:
                # Only what follows the last carriage return is visible anyway.
                self._partial = last_segment(self._partial)
                if len(self._partial) > MAX_LINE_CHARS:
                    done.append(_shorten(self._partial))
                    self._partial, self._overflowing = "", True
        return done

    def rest(self) -> list[str]:
        """Return everything that is left, the unfinished last line included. For a log that nobody writes any more."""
        done: list[str] = []
        while lines := self.lines():
            done += lines
        if self._partial:
            done.append(self._partial)
            self._partial = ""
        return done

    def _read(self) -> bytes:
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                chunk = file.read(_CHUNK_BYTES)
        except FileNotFoundError:
            return b""
        self.offset += len(chunk)
        return chunk


def _shorten(line: str) -> str:
    return line if len(line) <= MAX_LINE_CHARS else line[:MAX_LINE_CHARS] + CUT_MARK
