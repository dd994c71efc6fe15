"""What the terminal is like when the cockpit has ended: as it was, however it ended."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable, Iterator

import pytest
from app_sweep import Sweep, busy_sweep
from pty_terminal import ALTERNATE_SCREEN, CURSOR, MOUSE_IN_PIXELS, ON_BY_ITSELF, PtyTerminal, sweeptui

from sweeptui.app.faults import FILE

FAULTY = """\
import sys
from sweeptui.app import panels, table, watcher
from sweeptui.cli import main

class Broken(Exception):
    pass

def breaks(*_):
    open("broken", "w").close()
    raise Broken("on \\x1b]0;owned\\x07purpose " + "x" * 5000)

if sys.argv[1] == "key":
    table.TrialTable.move = breaks
elif sys.argv[1] == "paint":
    table.TrialTable.move = lambda self, move: setattr(type(self), "render_line", breaks) or self.refresh()
elif sys.argv[1] == "thread":
    watcher.Watcher.look_at = lambda self, *_: setattr(type(self), "_publish", breaks)
elif sys.argv[1] == "end":
    from sweeptui.app.cockpit import Cockpit
    close = Cockpit.on_unmount
    Cockpit.on_unmount = lambda self: (close(self), breaks())
elif sys.argv[1] == "list":
    from sweeptui.app.screens.sweeptable import SweepTable
    SweepTable.move = breaks
sys.exit(main(sys.argv[2:]))
"""
"""The command line, with a fault in one place."""


@pytest.fixture(scope="module")
def sweep(tmp_path_factory) -> Sweep:
    return busy_sweep(tmp_path_factory.mktemp("sweeps"))


@pytest.fixture
def start() -> Iterator[Callable[..., PtyTerminal]]:
    started: list[PtyTerminal] = []

    def start(*args, **how) -> PtyTerminal:
        started.append(PtyTerminal(*args, **how))
        return started[-1]

    yield start
    for terminal in started:
        terminal.close()


def attached(start, sweep, *words, **how) -> PtyTerminal:
    """A window on the sweep, once it shows it."""
    root = sweep.folder.parents[2]
    terminal = start([*(words or sweeptui()), "attach", sweep.folder.name], root, **how)
    terminal.shows("ppo-calm-otter", "Log trial_0010", "451.0")
    return terminal


def assert_as_it_was(terminal: PtyTerminal) -> None:
    assert terminal.settings() == terminal.before
    modes = terminal.modes()
    assert modes[ALTERNATE_SCREEN] is False, "the cockpit had taken it"
    assert modes[CURSOR] is True
    assert {mode for mode, on in modes.items() if on} - ON_BY_ITSELF == set(), "mouse, paste, focus, sizes, drawing"
    assert len(modes) > 8
    keyboards = re.findall(rb"\x1b\[([<>])[0-9]*u", terminal.bytes)
    assert keyboards.count(b"<") >= keyboards.count(b">") > 0


@pytest.mark.parametrize("able", [True, False])
def test_after_quitting(start, sweep, able):
    terminal = attached(start, sweep, able=able)
    assert terminal.settings() != terminal.before
    if able:
        terminal.wait_for(lambda: terminal.modes().get(MOUSE_IN_PIXELS), lambda: "the mouse in pixels")
    terminal.press("q")
    assert terminal.ended() == 0
    assert_as_it_was(terminal)
    assert terminal.after_the_screen().splitlines()[-1].startswith("ppo-calm-otter is running.")


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_after_a_signal(start, sweep, signum, code):
    terminal = attached(start, sweep)
    os.kill(terminal.process.pid, signum)
    assert terminal.ended() == code
    assert_as_it_was(terminal)
    assert "Come back with: sweeptui attach ppo-calm-otter" in terminal.after_the_screen()


def test_an_interrupt_from_outside_is_the_key(start, sweep):
    terminal = attached(start, sweep)
    os.kill(terminal.process.pid, signal.SIGINT)
    assert terminal.ended() == 0
    assert_as_it_was(terminal)
    assert "Traceback" not in terminal.after_the_screen()


def test_a_signal_while_it_starts(start, sweep):
    """As soon as the terminal has been taken."""
    terminal = start(sweeptui("attach", sweep.folder.name), sweep.folder.parents[2])
    terminal.wait_for(lambda: terminal.modes().get(ALTERNATE_SCREEN), lambda: "the alternate screen")
    os.kill(terminal.process.pid, signal.SIGTERM)
    assert terminal.ended() == 143
    assert_as_it_was(terminal)


@pytest.mark.parametrize("where", ["key", "paint", "thread", "end"])
def test_after_a_fault_of_a_widget(start, tmp_path, where):
    sweep = busy_sweep(tmp_path)
    (tmp_path / "faulty.py").write_text(FAULTY)
    terminal = attached(start, sweep, sys.executable, str(tmp_path / "faulty.py"), where)
    assert not (tmp_path / "broken").exists() or where == "thread"
    if where == "thread":
        sweep.trial()
    else:
        terminal.press("q" if where == "end" else "k")
    assert terminal.ended() == 1
    assert (tmp_path / "broken").exists(), "the fault happened"
    assert_as_it_was(terminal)
    sentence, state = terminal.after_the_screen().splitlines()
    assert sentence.startswith("error: the screen ended by a fault of its own, Broken: on purpose xxx")
    assert sentence.endswith(f"x…; its traceback is in {sweep.folder / FILE}")
    assert len(sentence) < 600
    assert state.startswith("ppo-calm-otter is running.")
    assert b"owned" not in terminal.bytes
    kept = (sweep.folder / FILE).read_text()
    assert "in breaks\n" in kept
    assert kept.count("Broken: on purpose xxx") == 1
    assert "\x1b" not in kept


def test_a_read_only_window_keeps_the_traceback_elsewhere(start, tmp_path):
    sweep = busy_sweep(tmp_path)
    (tmp_path / "faulty.py").write_text(FAULTY)
    words = [sys.executable, str(tmp_path / "faulty.py"), "key", "attach", sweep.folder.name, "--read-only"]
    terminal = start(words, tmp_path, TMPDIR=str(tmp_path))
    terminal.shows("Log trial_0010", "451.0")
    terminal.press("k")
    assert terminal.ended() == 1
    [kept] = tmp_path.glob("sweeptui-*.log")
    assert f"its traceback is in {kept}" in terminal.after_the_screen()
    assert "in breaks\n" in kept.read_text()
    assert not (sweep.folder / FILE).exists()


@pytest.mark.parametrize("how", ["q", signal.SIGTERM, signal.SIGHUP, "fault"])
def test_after_the_list_of_sweeps(start, sweep, tmp_path, how):
    (tmp_path / "faulty.py").write_text(FAULTY)
    root = sweep.folder.parents[2]
    argv = [sys.executable, str(tmp_path / "faulty.py"), "list" if how == "fault" else "nowhere"]
    terminal = start(argv, root, TMPDIR=str(tmp_path))
    terminal.shows("1 sweep", "ppo-calm-otter", "497.6")
    if how in ("q", "fault"):
        terminal.press("k" if how == "fault" else "q")
    else:
        os.kill(terminal.process.pid, how)
    code = terminal.ended()
    assert_as_it_was(terminal)
    if how == "fault":
        assert (root / "broken").exists()
        assert "ended by a fault of its own, Broken: on purpose" in terminal.after_the_screen()
    assert code == {"q": 0, "fault": 1}.get(how, 128 + (how if isinstance(how, int) else 0))


def test_a_signal_is_for_the_list_behind_the_sweep_too(start, sweep):
    terminal = start(sweeptui(), sweep.folder.parents[2])
    terminal.shows("1 sweep", "ppo-calm-otter", "497.6")
    terminal.press("\r")
    terminal.shows("Log trial_0010")
    os.kill(terminal.process.pid, signal.SIGTERM)
    assert terminal.ended() == 143
    assert_as_it_was(terminal)


def test_a_terminal_that_goes_away_without_a_signal_keeps_nobody(start, sweep):
    terminal = attached(start, sweep, own=False)
    terminal.hang_up()
    assert terminal.process.wait(60) == 129


def test_a_terminal_that_goes_away_keeps_nobody(start, sweep):
    terminal = attached(start, sweep)
    terminal.hang_up()
    assert terminal.process.wait(60) == 129
