"""A pseudo-terminal that keeps every byte that is written to it, and knows what they did to its modes."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

WAIT_S = 120.0
MODE = re.compile(rb"\x1b\[\?([0-9;]+)([hl])")
ESCAPE = re.compile(rb"\x1b(?:\[[0-9;?<>=:$ ]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[PX^_][^\x1b]*\x1b\\|.)", re.DOTALL)
ANSWERS = {b"\x1b[?2026$p": b"\x1b[?2026;2$y", b"\x1b[?2048$p": b"\x1b[?2048;2$y"}
"""What a terminal that can do it says about drawing at once, and about telling its size in its input."""
ON_BY_ITSELF = {7, 25}
"""Modes that are on when nobody has asked for anything: wrapping, and the cursor."""
ALTERNATE_SCREEN, CURSOR, MOUSE_IN_PIXELS = 1049, 25, 1016


class PtyTerminal:
    """Runs a command as a terminal's only program."""

    def __init__(
        self,
        argv: Sequence[str],
        folder: Path,
        size: tuple[int, int] = (100, 30),
        *,
        able: bool = True,
        own: bool = True,
        **env: str,
    ) -> None:
        """`able`: it answers what newer terminals answer. `own`: the command is told by a signal when it hangs up."""
        self._answers = ANSWERS if able else {}
        self.bytes = b""
        self.master, self._slave = pty.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.before = self.settings()
        self.process = subprocess.Popen(
            [
                "setsid",
                *(["--ctty"] if own else []),
                *argv,
            ],  # it becomes the command; --ctty: in a session of this terminal
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            cwd=folder,
            env={**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "TEXTUAL_ANIMATIONS": "none", **env},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with suppress(OSError):
            while data := os.read(self.master, 65536):
                self.bytes += data
                for asked, answer in self._answers.items():
                    if asked in data:
                        os.write(self.master, answer)

    def settings(self) -> list[Any]:
        return termios.tcgetattr(self._slave)

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def shows(self, *texts: str, since: int = 0) -> None:
        """Wait until each of the texts has been written, escape sequences aside."""

        def shown() -> str:
            return ESCAPE.sub(b"", self.bytes[since:]).decode("utf-8", "replace")

        self.wait_for(lambda: all(text in shown() for text in texts), lambda: f"{texts} in\n{shown()[-3000:]}")

    def wait_for(self, happened: Callable[[], object], what: Callable[[], str] = lambda: "it") -> None:
        deadline = time.monotonic() + WAIT_S
        while not happened():
            assert time.monotonic() < deadline, f"never saw {what()}"
            time.sleep(0.02)

    def hang_up(self) -> None:
        """The window is closed: the kernel sends SIGHUP, and nothing can be written any more."""
        os.close(self._slave)
        os.close(self.master)

    def ended(self) -> int:
        """Its exit code, once all that it wrote was read."""
        code = self.process.wait(WAIT_S)
        seen = -1
        while seen != len(self.bytes):
            seen = len(self.bytes)
            time.sleep(0.05)
        return code

    def modes(self) -> dict[int, bool]:
        """Those that were ever set or reset, and whether they are set."""
        return {int(mode): how == b"h" for modes, how in MODE.findall(self.bytes) for mode in modes.split(b";")}

    def after_the_screen(self) -> str:
        """What was written since the alternate screen was left, but for modes and the end of a colour."""
        left = self.bytes.rpartition(b"\x1b[?1049l")[2]
        return MODE.sub(b"", left).replace(b"\x1b[m", b"").decode("utf-8", "replace")

    def close(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(WAIT_S)
        for fd in (self._slave, self.master):
            with suppress(OSError):
                os.close(fd)


def sweeptui(*words: str) -> list[str]:
    return [sys.executable, "-m", "sweeptui", *words]
