"""The cockpit in tmux: what is on the screen, and which processes live."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest

from sweeptui.core.state import SweepState
from sweeptui.core.stores.base import Lease
from sweeptui.core.stores.sqlite import SqliteStore

WAIT_S = 120.0
_NUMBERS = itertools.count()


class Terminal:
    """A tmux session of its own server, with a cockpit in it, and then a shell."""

    def __init__(
        self, folder: Path, *args: str, width: int = 120, height: int = 40, argv: tuple[str, ...] = ()
    ) -> None:
        self.folder = folder
        # One of its own: a server that is being ended still answers on the socket that it had.
        self._socket = str(folder / f"tmux{next(_NUMBERS)}")
        command = [*(argv or (sys.executable, "-m", "sweeptui")), *args, "--root", str(folder)]
        # What is printed after the cockpit has ended is kept by a shell that waits for more.
        script = 'cd "$1"; shift; stty -a > before; "$@"; echo "EXIT=$?"; PS1="ready> " exec sh'
        self._tmux(
            *("-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height), "-e", "LC_ALL=C.UTF-8"),
            *("sh", "-c", script, "sh", str(folder), *command),
        )
        assert self.asks("pane_pid"), "tmux has not started"

    def _tmux(self, *args: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", self._socket, *args],
            env=dict(os.environ),  # without the LINES and COLUMNS that readline puts beside it, for every child
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=WAIT_S,
        )
        return done.stdout

    def press(self, *keys: str) -> None:
        self._tmux("send-keys", *keys)

    def write(self, text: str) -> None:
        self._tmux("send-keys", "-l", text)

    def resize(self, width: int, height: int) -> None:
        self._tmux("resize-window", "-x", str(width), "-y", str(height))

    def screen(self) -> str:
        return self._tmux("capture-pane", "-p")

    def shows(self, *texts: str) -> str:
        """Wait until all of the texts are on the screen."""
        return self.sees(lambda screen: all(text in screen for text in texts), str(texts))

    def sees(self, right: Callable[[str], object], what: str) -> str:
        """Wait until the screen is right; as it then is."""
        seen = ""

        def look() -> object:
            nonlocal seen
            seen = self.screen()
            return right(seen)

        wait_for(look, lambda: f"{what} on\n{seen}")
        return seen

    def asks(self, what: str) -> str:
        """What tmux knows of its pane."""
        return self._tmux("display-message", "-p", f"#{{{what}}}").strip()

    def assert_usable(self) -> None:
        """The cockpit has ended: the shell is as it was before."""
        self.shows("EXIT=", "ready>")
        flags = ("alternate_on", "mouse_any_flag", "mouse_sgr_flag", "cursor_flag", "wrap_flag", "insert_flag")
        assert {flag: self.asks(flag) for flag in flags} == {
            "alternate_on": "0",
            "mouse_any_flag": "0",
            "mouse_sgr_flag": "0",
            "cursor_flag": "1",
            "wrap_flag": "1",
            "insert_flag": "0",
        }
        self.write('stty -a > after; echo "back-$((40 + 2))"')
        self.shows('echo "back-$((40 + 2))"')  # what is typed is seen
        self.press("Enter")
        self.shows("back-42")
        # Between a command line and the next, a shell with an editor of its own may have other settings than a child.
        assert (self.folder / "after").read_text() == (self.folder / "before").read_text()

    def hang_up(self) -> None:
        """The terminal's window is closed: the kernel sends SIGHUP to what runs in it."""
        self._tmux("kill-server")

    def pid(self) -> int:
        shell = psutil.Process(int(self.asks("pane_pid")))
        return next(child.pid for child in shell.children() if "--root" in child.cmdline())


def wait_for(happened: Callable[[], object], what: Callable[[], str] = lambda: "it") -> None:
    deadline = time.monotonic() + WAIT_S
    while not happened():
        assert time.monotonic() < deadline, f"never saw {what()}"
        time.sleep(0.1)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """Start a cockpit in `tmp_path`, in place of the one before."""
    started: list[Terminal] = []

    def start(*args: str, **how: object) -> Terminal:
        for terminal in started:
            terminal.hang_up()
        started.append(Terminal(tmp_path, *args, **how))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for terminal in started:
        terminal.hang_up()
    for process in ours(tmp_path):
        with suppress(psutil.NoSuchProcess):
            process.kill()


def ours(folder: Path) -> list[psutil.Process]:
    """The processes of sweeps under `folder`."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words = [*(process.info["cmdline"] or ()), process.info["cwd"] or ""]
        if any(str(folder) in word for word in words) and process.pid != os.getpid():
            found.append(process)
    return found


def ours_running(folder: Path) -> list[list[str]]:
    """What is left of a sweep, without the terminal that it was shown in."""
    commands = []
    for process in ours(folder):
        with suppress(psutil.NoSuchProcess):
            command = process.cmdline()
            if command and "tmux" not in command[0] and command[0] not in ("sh", "sleep"):
                commands.append(command)
    return commands


def look(folder: Path, name: str = "s") -> tuple[SweepState, Lease | None]:
    with closing(SqliteStore.open(folder / "train_dir" / "sweeps" / name / "sweep.db", readonly=True)) as store:
        return store.state, store.lease()
