"""The cockpit in a real terminal, on a real sweep: what is on the screen, and which processes live."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest

from sweeptui.core.state import SweepState, SweepStatus
from sweeptui.core.stores.base import Lease
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import TrialStatus

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")

WAIT_S = 60.0
SLOW = ["--train-override", "trainer.epoch_s=0.4", "--max-parallel-jobs", "2"]


class Terminal:
    """A tmux session of its own server, with a cockpit in it."""

    def __init__(self, folder: Path, *args: str, width: int = 120, height: int = 40) -> None:
        self.folder = folder
        self._socket = str(folder / "tmux")
        command = [sys.executable, "-m", "sweeptui", *args, "--root", str(folder)]
        # What is printed after the cockpit has ended is kept by a shell that waits.
        script = 'cd "$1"; shift; "$@"; echo "EXIT=$?"; exec sleep 600'
        self._tmux(
            *("-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height), "-e", "LC_ALL=C.UTF-8"),
            *("sh", "-c", script, "sh", str(folder), *command),
        )

    def _tmux(self, *args: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", self._socket, *args],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=20,
        )
        return done.stdout

    def press(self, *keys: str) -> None:
        self._tmux("send-keys", *keys)

    def screen(self) -> str:
        return self._tmux("capture-pane", "-p")

    def shows(self, *texts: str) -> str:
        """Wait until all of the texts are on the screen."""
        wait_for(lambda: all(text in self.screen() for text in texts), lambda: f"{texts} on\n{self.screen()}")
        return self.screen()

    def hang_up(self) -> None:
        """The terminal's window is closed: the kernel sends SIGHUP to what runs in it."""
        self._tmux("kill-server")

    def pid(self) -> int:
        shell = psutil.Process(int(self._tmux("display-message", "-p", "#{pane_pid}")))
        return next(child.pid for child in shell.children() if "sweeptui" in child.cmdline())


def wait_for(happened: Callable[[], object], what: Callable[[], str] = lambda: "it") -> None:
    deadline = time.monotonic() + WAIT_S
    while not happened():
        assert time.monotonic() < deadline, f"never saw {what()}"
        time.sleep(0.1)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    started: list[Terminal] = []

    def start(*args: str, **size: int) -> Terminal:
        for terminal in started:
            terminal.hang_up()
        started.append(Terminal(tmp_path, *args, **size))
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


def trainings(folder: Path) -> list[psutil.Process]:
    return [process for process in ours(folder) if "sweeptui.recipes.quick_train" in process.cmdline()]


def look(folder: Path, name: str = "s") -> tuple[SweepState, Lease | None]:
    with closing(SqliteStore.open(folder / "train_dir" / "sweeps" / name / "sweep.db", readonly=True)) as store:
        return store.state, store.lease()


def test_a_sweep_is_run_paused_killed_detached_and_attached_again(tmp_path, start):
    terminal = start("quick_test", "--sweep-name", "s", "--max-trials", "5", *SLOW)
    terminal.shows("sweeptui s", "▶ running", "▶ 2/2 running", "trial_0002 train")

    terminal.press("k", "p")
    terminal.shows("trial_0001 is paused", "‖ paused")
    paused = look(tmp_path)[0].trials[1]
    assert paused.status is TrialStatus.PAUSED
    assert [p for p in trainings(tmp_path) if p.status() == psutil.STATUS_STOPPED], "the process is stopped"
    terminal.press("p")
    terminal.shows("trial_0001 goes on")
    wait_for(lambda: all(p.status() != psutil.STATUS_STOPPED for p in trainings(tmp_path)))

    terminal.press("x")
    terminal.shows("Kill trial_0001?")
    terminal.press("Enter")  # the answer that is offered is no
    time.sleep(0.5)
    assert look(tmp_path)[0].trials[1].status is not TrialStatus.KILLED
    terminal.press("x")
    terminal.shows("Kill trial_0001?")
    terminal.press("y")
    terminal.shows("☠ killed", "killed by")
    assert look(tmp_path)[0].trials[1].status is TrialStatus.KILLED
    assert not [p for p in trainings(tmp_path) if "trial_0001" in " ".join(p.cmdline())]

    before = {p.pid for p in trainings(tmp_path)}
    terminal.press("q")
    terminal.shows("Leave it how?")
    terminal.press("Enter")
    terminal.shows("s goes on in the background. Come back with: sweeptui attach s", "EXIT=0")
    assert before & {p.pid for p in trainings(tmp_path)} or look(tmp_path)[0].trials[2].status.terminal
    lease = look(tmp_path)[1]
    assert lease is not None
    assert lease.alive
    assert psutil.pid_exists(lease.pid)

    terminal = start("attach", "s", width=80, height=24)
    terminal.shows(f"run by headless (process {lease.pid}")
    wait_for(lambda: look(tmp_path)[0].status is SweepStatus.FINISHED, lambda: "the end")
    terminal.shows("✔ finished", "5/5", "★")
    terminal.press("q")
    terminal.shows("EXIT=0", "s is finished: all 5 trials are done. Best: ")
    wait_for(lambda: not ours_running(tmp_path), lambda: f"no process left: {ours_running(tmp_path)}")


def ours_running(folder: Path) -> list[list[str]]:
    """What is left of a sweep, without the terminal that it was shown in."""
    commands = []
    for process in ours(folder):
        with suppress(psutil.NoSuchProcess):
            command = process.cmdline()
            if "tmux" not in command[0] and command[0] != "sleep":
                commands.append(command)
    return commands


def test_stopping_ends_the_trials_and_they_are_queued_again(tmp_path, start):
    terminal = start("quick_test", "--sweep-name", "s", "--max-trials", "5", *SLOW)
    terminal.shows("▶ 2/2 running")
    terminal.press("q")
    terminal.shows("Leave it how?")
    terminal.press("s")
    terminal.shows("s is stopped and its trials are queued again. Go on with: sweeptui continue s", "EXIT=130")
    assert trainings(tmp_path) == []
    state, lease = look(tmp_path)
    assert state.status is SweepStatus.INTERRUPTED
    assert state.counts[TrialStatus.PENDING] == 2
    assert lease is None


def test_sigterm_restores_the_terminal_and_stops_the_trials(tmp_path, start):
    terminal = start("quick_test", "--sweep-name", "s", "--max-trials", "5", *SLOW)
    terminal.shows("▶ 2/2 running")
    os.kill(terminal.pid(), signal.SIGTERM)
    screen = terminal.shows("EXIT=143", "s is stopped")
    assert "─" not in screen, "the cockpit is gone from the screen"
    assert trainings(tmp_path) == []


def test_a_terminal_that_goes_away_takes_no_trial_with_it(tmp_path, start):
    terminal = start("quick_test", "--sweep-name", "s", "--max-trials", "2", *SLOW)
    terminal.shows("▶ 2/2 running")
    cockpit = terminal.pid()
    before = {p.pid for p in trainings(tmp_path)}
    assert before
    terminal.hang_up()
    wait_for(lambda: not psutil.pid_exists(cockpit), lambda: "the cockpit's end")
    wait_for(lambda: (lease := look(tmp_path)[1]) is not None and lease.alive and lease.pid != cockpit)
    state = look(tmp_path)[0]
    assert all(state.trials[number].attempt == 1 for number in (1, 2)), "they were adopted, not started again"
    wait_for(lambda: look(tmp_path)[0].status is SweepStatus.FINISHED, lambda: "the end")
    assert all(trial.attempt == 1 for trial in look(tmp_path)[0].trials.values())
