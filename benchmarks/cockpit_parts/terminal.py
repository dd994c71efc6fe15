"""A terminal that a program is run in, and that knows to the microsecond when which byte came."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Sequence

import psutil

ROWS, COLUMNS = 40, 140
QUIET_S = 0.025
"""Nothing for so long: what a key has caused is over."""
PATIENCE_S = 120.0
_SYNC_ASKED, _SYNC_KNOWN = b"\x1b[?2026$p", b"\x1b[?2026;1$y"
_FRAME_END = b"\x1b[?2026l"


class Terminal:
    """Answers that it knows synchronized output, so that the program says where each of its frames ends."""

    def __init__(self, command: Sequence[str]) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        environment = os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"}
        # As after an installation: with its modules compiled. Where this is set, each start would compile ours anew,
        # and find those of an empty app done.
        for name in ("NO_COLOR", "PYTHONDONTWRITEBYTECODE"):
            environment.pop(name, None)
        self._frames: list[tuple[float, bytes]] = []
        self._partial = b""
        self._last = 0.0
        self._news = threading.Condition()
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
        )
        os.close(slave)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        asked = False
        while True:
            try:
                select.select([self._master], [], [])
                data = os.read(self._master, 1 << 16)
            except OSError:  # the program has ended
                return
            now = time.perf_counter()
            with self._news:
                self._last = now
                *whole, self._partial = (self._partial + data).split(_FRAME_END)
                if not asked and _SYNC_ASKED in self._partial + b"".join(whole):
                    os.write(self._master, _SYNC_KNOWN)
                    asked = True
                # A program that draws before it has the answer draws its first frame without an end.
                self._frames += [(now, frame) for frame in whole]
                self._news.notify_all()

    # -- what is measured

    def until(self, pattern: re.Pattern[bytes], since: int = 0, other_than: bytes | None = None) -> tuple[float, bytes]:
        """When the first frame that shows the pattern was complete, and what its group said there."""
        deadline = time.perf_counter() + PATIENCE_S
        with self._news:
            while True:
                for at, frame in [*self._frames[since:], (self._last, self._partial)]:
                    for found in pattern.finditer(frame):
                        if other_than is None or found[1] != other_than:
                            return at, found[1]
                if time.perf_counter() > deadline or self.process.poll() is not None:
                    raise TimeoutError(f"never saw {pattern.pattern!r} in {len(self._frames)} frames")
                self._news.wait(1.0)

    def quiet(self, gap_s: float = QUIET_S, most_s: float = 0.4) -> float:
        """Wait until nothing has come for a while; when the last byte came."""
        deadline = time.perf_counter() + most_s
        while (now := time.perf_counter()) < deadline:
            wait = self._last + gap_s - now
            if wait <= 0:
                break
            time.sleep(wait)
        return self._last

    def press(self, key: bytes, pattern: re.Pattern[bytes], before: bytes | None) -> tuple[float, float, bytes]:
        """Seconds from a key to the last byte of the frame that answers it, to the last byte of all; the answer.

        The answer is what the pattern's group says that is not `before`: what others paint meanwhile is not one.
        """
        with self._news:
            since = len(self._frames)
            self._partial = b""
            pressed = time.perf_counter()
            os.write(self._master, key)
        at, said = self.until(pattern, since, before)
        return at - pressed, self.quiet() - pressed, said

    def type(self, key: bytes) -> float:
        """Seconds from a key to the last byte before it is quiet."""
        pressed = time.perf_counter()
        os.write(self._master, key)
        with self._news:
            while self._last < pressed and self._news.wait(PATIENCE_S):
                pass
        return self.quiet() - pressed

    def send(self, keys: bytes) -> None:
        os.write(self._master, keys)

    @property
    def bytes_seen(self) -> int:
        with self._news:
            return sum(len(frame) for _, frame in self._frames)

    def cpu_share(self, seconds: float) -> float:
        """Of one core, by the program and not its children."""
        process = psutil.Process(self.process.pid)
        before, began = process.cpu_times(), time.perf_counter()
        time.sleep(seconds)
        after, took = process.cpu_times(), time.perf_counter() - began
        return (after.user + after.system - before.user - before.system) / took

    def rss_mb(self) -> float:
        return float(psutil.Process(self.process.pid).memory_info().rss) / 1e6

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._reader.join()  # else it would go on reading under the number of a closed file
        os.close(self._master)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
