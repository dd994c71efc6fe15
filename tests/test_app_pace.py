"""A sweep that changes all the time takes a tenth of a core to watch, not as much as there is to show."""

from __future__ import annotations

import threading
import time

import pytest
from app_sweep import Sweep, until
from snapshot_sweeps import finish

from sweeptui.app import pace
from sweeptui.app.cockpit import Cockpit
from sweeptui.app.pace import SHARE, SLOWEST_S, Pace, spent
from sweeptui.app.watcher import REFRESH_S, Watcher


@pytest.mark.parametrize(
    ("cost", "seconds"),
    [(0.0, REFRESH_S), (REFRESH_S * SHARE / 2, REFRESH_S), (0.4 * SHARE, 0.4), (10.0, SLOWEST_S)],
    ids=["nothing", "little", "much", "more than there is time for"],
)
def test_the_next_turn_comes_as_late_as_the_last_one_was_dear(cost, seconds):
    clock = [7.0]
    turns = Pace(lambda: clock[0])
    assert turns.next(REFRESH_S) == REFRESH_S, "what was before it began is not its own"
    clock[0] += cost
    assert turns.next(REFRESH_S) == pytest.approx(seconds)
    assert turns.next(REFRESH_S) == REFRESH_S, "each turn is reckoned once"


def cpu(of) -> float:
    """What `of` says on another thread than this one, the main one, which paints."""
    said = []
    thread = threading.Thread(target=lambda: said.append(of()))
    thread.start()
    thread.join()
    return said[0]


@pytest.mark.parametrize("clocks", [True, False], ids=["a clock for each thread", "macOS"])
def test_painting_is_counted_and_waiting_is_not(monkeypatch, clocks):
    if not clocks:
        monkeypatch.delattr(pace.time, "pthread_getcpuclockid")
    before, began = cpu(spent), time.thread_time()
    time.sleep(0.1)
    assert cpu(spent) - before < 0.05
    while time.thread_time() - began < 0.1:
        pass
    assert 0.09 < cpu(spent) - before < 0.2


async def test_a_sweep_that_is_dear_to_show_is_shown_less_often(tmp_path, monkeypatch):
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    turn, began, apart = Watcher._turn, [], []

    def timed(self, store):
        began.append(time.monotonic())
        return turn(self, store)

    monkeypatch.setattr(Watcher, "_turn", timed)
    monkeypatch.setattr(Watcher, "_rest", lambda self, until: apart.append(until - began[-1]))
    sweep = Sweep(tmp_path)
    app = Cockpit(sweep.folder, utf8=True)
    costs = iter(range(100_000))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app._watcher.turns > 0, "the first look")
        app._watcher._pace = Pace(lambda: float(next(costs)))
        for score in (10.0, 20.0):
            seen = len(apart)
            finish(sweep, score)
            await until(pilot, lambda seen=seen: len(apart) > seen, "a turn that found a change")
    assert max(apart) == pytest.approx(SLOWEST_S, abs=0.1), "from the beginning of one turn to that of the next"
