"""Replay and moments of the past in a real terminal: it plays, pauses, steps, and leaves the terminal as it was."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from app_sweep import Sweep
from tmux_terminal import Terminal, start, wait_for  # noqa: F401 - one of them is a fixture

from sweeptui.core.state import SweepStatus

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")

TRIALS = 20
RUNS_S, BETWEEN_S = 50.0, 10.0
_CHANGE = re.compile(r"change ([\d,]+) of ([\d,]+)")


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    """One trial a minute."""
    made = Sweep(tmp_path, "s", max_trials=TRIALS)
    for _ in range(TRIALS):
        number = made.trial()
        made.start(number)
        made.write_log(number, f"epoch 1 of trial {number}\nthe end of trial {number}\n")
        made.clock.now += RUNS_S
        made.end(number, number / 10)
        made.clock.now += BETWEEN_S
    with made.store.transaction() as tx:
        tx.set_sweep(status=SweepStatus.FINISHED, reason="enough")
    made.store.close()
    return made


def change(screen: str) -> int:
    """Which row of the journal is shown, 0 where none is."""
    found = _CHANGE.search(screen)
    return int(found[1].replace(",", "")) if found else 0


def shown(terminal: Terminal, right: Callable[[int], bool], what: str) -> int:
    return change(terminal.sees(lambda screen: change(screen) and right(change(screen)), what))


def test_a_sweep_is_played_stopped_and_gone_through(sweep, start):  # noqa: F811
    terminal = start("replay", "s", "--speed", "30")
    terminal.shows("playing, 30 times as fast", "PAST")
    first = shown(terminal, lambda at: at > 1, "the first change")
    shown(terminal, lambda at: at > first + 3, "the next ones")
    terminal.press("T")
    terminal.shows("the past:", "change")
    stopped = change(terminal.screen())
    # The end of a trial, and the one after it; a change, and back.
    terminal.press("]")
    one = shown(terminal, lambda at: at > stopped, "the end of a trial")
    assert re.search(r"trial_00\d\d completed", terminal.screen())
    terminal.press("]")
    two = shown(terminal, lambda at: at > one, "the end of the next")
    terminal.press("[")
    assert shown(terminal, lambda at: at < two, "the end before") == one
    terminal.press("{")
    shown(terminal, lambda at: at < one, "the change before")
    terminal.press("}")
    assert shown(terminal, lambda at: at >= one, "the change after") == one
    terminal.press("<")
    assert shown(terminal, lambda at: at == 1, "the start") == 1
    terminal.press("x")
    terminal.shows("this is the past, and nothing in it can be changed")
    terminal.press(">")
    terminal.sees(lambda screen: "PAST" not in screen and f"{TRIALS}/{TRIALS}" in screen, "now")
    terminal.press("q")
    terminal.shows("EXIT=0")
    terminal.assert_usable()


def test_it_plays_to_the_end_and_is_left_while_it_plays(sweep, start):  # noqa: F811
    terminal = start("replay", "s", "--speed", "600", "--at", "2")
    terminal.shows("the past:", ", the end", f"{TRIALS}/{TRIALS}")
    terminal.press("<")
    shown(terminal, lambda at: at == 1, "the start")
    terminal.press("T")
    terminal.shows("playing")
    terminal.press("q")
    terminal.shows("EXIT=0")
    terminal.assert_usable()


def test_a_log_that_is_longer_now_says_so(sweep, start):  # noqa: F811
    # 25 s before the end of the sweep's last trial.
    terminal = start("attach", "s", "--at", "-35s")
    screen = terminal.shows("PAST", "running", f"the end of trial {TRIALS}")
    assert "with what was printed later" in screen
    terminal.press("[")
    screen = terminal.shows(f"trial_{TRIALS - 1:04d} completed")
    terminal.sees(lambda now: f"the end of trial {TRIALS}" not in now, "a trial that was not there has no log")
    terminal.press("q")
    terminal.shows("EXIT=0")
    terminal.assert_usable()
