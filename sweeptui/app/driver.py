"""What is painted goes to the terminal at once where that takes it, and waits with Textual's thread where it does not.

A thread that is woken for each frame waits for a core: beside processes that are busy that is longer than all else
between a key and its answer.
"""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING, cast

from textual._ansi_sequences import SYNC_END, SYNC_START
from textual.drivers.linux_driver import LinuxDriver

if TYPE_CHECKING:
    from io import TextIOWrapper
    from typing import Any


class Outlet:
    """The file that Textual's thread writes to: it tells how far that is, and takes what begins within a letter."""

    def __init__(self, file: TextIOWrapper) -> None:
        self._file = file
        self._begun: deque[bytes] = deque()
        self._written = 0
        self.gone = 0
        """So many texts have gone to the terminal."""

    def fileno(self) -> int:
        return self._file.fileno()

    def encode(self, text: str) -> bytes:
        return text.encode(self._file.encoding, self._file.errors or "strict")

    def begun(self, rest: bytes) -> None:
        """The next text that is written is this one."""
        self._begun.append(rest)

    def write(self, text: str) -> None:
        self._written += 1
        if text:
            self._file.write(text)
            return
        self._file.flush()
        rest = self._begun.popleft()
        while rest:
            rest = rest[os.write(self._file.fileno(), rest) :]

    def flush(self) -> None:
        written = self._written
        self._file.flush()
        self.gone = written


class AtOnce(LinuxDriver):
    """Textual's for terminals on Linux and macOS. A frame is one write, and mostly the screen's own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        assert self._file is not None
        self._outlet = Outlet(self._file)
        self._file = cast("TextIOWrapper", self._outlet)
        self._given = 0
        """So many texts were given to the thread."""
        self._frame: list[str] = []
        self._direct = _opened_again(self._outlet)

    def write(self, data: str) -> None:
        """Write something, or gather what is between the signs for the beginning and the end of a frame."""
        if self._frame or data == SYNC_START:
            self._frame.append(data)
            if data != SYNC_END:
                return
            data = "".join(self._frame)
            self._frame.clear()
        if data:
            self._send(data)

    def _send(self, text: str) -> None:
        assert self._writer_thread is not None
        if self._direct is not None and self._outlet.gone == self._given:
            sent, data = 0, self._outlet.encode(text)
            try:
                sent = os.write(self._direct, data)
            except BlockingIOError:  # it takes nothing at the moment
                pass
            except OSError:  # it is gone: how that ends is the thread's to find out
                os.close(self._direct)
                self._direct = None
            if sent == len(data):
                return
            if sent:
                self._outlet.begun(data[sent:])
                text = ""
        self._given += 1
        self._writer_thread.write(text)

    def close(self) -> None:
        super().close()
        if self._direct is not None:
            os.close(self._direct)
            self._direct = None


def _opened_again(file: Outlet) -> int | None:
    """The same terminal, without waiting for it, which others who have it open know nothing of; None where it has no
    name here.
    """
    try:
        return os.open(os.ttyname(file.fileno()), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return None
