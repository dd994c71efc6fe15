"""What comes of itself gives way to the keys, and comes soon all the same."""

from __future__ import annotations

import gc

import pytest
from app_sweep import Sweep, busy_sweep, frame, until

from sweeptui.app.cockpit import Cockpit
from sweeptui.app.lull import GARBAGE, LULL_S, PATIENCE_S, Lull


class Times:
    """A clock, and what is due at it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.due: list[tuple[float, object]] = []

    def after(self, seconds, call) -> None:
        self.due.append((self.now + seconds, call))

    def go(self, seconds: float) -> None:
        end = self.now + seconds
        while self.due and min(self.due)[0] <= end:
            item = min(self.due, key=lambda item: item[0])
            self.due.remove(item)
            self.now = item[0]
            item[1]()
        self.now = end


@pytest.fixture
def times():
    return Times()


@pytest.fixture
def lull(times):
    lull = Lull(times.after, lambda: times.now)
    yield lull
    lull.let_go()


def test_without_keys_nothing_is_put_off(lull, times):
    done = []
    lull.do("table", lambda: done.append(1))
    assert done == [1]
    assert not times.due


def test_after_a_key_it_waits_for_a_lull_and_only_the_newest_is_done(lull, times):
    done = []
    lull.pressed()
    for value in (1, 2, 3):
        lull.do("table", lambda value=value: done.append(value))
    lull.do("log", lambda: done.append("log"))
    assert done == []
    times.go(LULL_S * 0.9)
    assert done == []
    times.go(LULL_S * 0.4)
    assert done == [3, "log"]
    times.go(10)
    assert (done, times.due) == ([3, "log"], [])


def test_it_is_done_behind_the_answer_to_a_key(lull):
    done = []
    lull.pressed()
    lull.do("table", lambda: done.append(1))
    lull.catch_up()
    lull.catch_up()
    assert done == [1]


def test_keys_without_end_do_not_put_it_off_without_end(lull, times):
    done = []
    lull.pressed()
    lull.do("table", lambda: done.append(times.now))
    for _ in range(100):
        times.go(0.03)
        lull.pressed()
        lull.do("table", lambda: done.append(times.now))
    assert len(done) >= 4
    assert all(after - before <= PATIENCE_S + LULL_S for before, after in zip([100.0, *done], done, strict=False))


def test_keys_pass_a_trial_where_each_move_comes_soon_after_the_one_before(lull, times):
    passing = []
    for pause in (0, LULL_S * 0.9, LULL_S * 0.9, LULL_S * 1.1, LULL_S * 0.9):
        times.go(pause)
        lull.pressed()
        lull.moved()
        passing.append(lull.passing)
    assert passing == [False, True, True, False, True]
    lull.pressed()  # a key that does something else
    assert not lull.passing


def test_garbage_is_looked_for_in_a_lull(lull, times, monkeypatch):
    collected = []
    monkeypatch.setattr(gc, "collect", lambda: collected.append(times.now))
    monkeypatch.setattr(gc, "get_count", lambda: (0, 0, GARBAGE))
    lull.pressed()
    lull.collect()
    assert collected == []
    times.go(LULL_S * 1.1)
    lull.collect()
    assert len(collected) == 1
    monkeypatch.setattr(gc, "get_count", lambda: (0, 0, GARBAGE - 1))
    lull.collect()
    assert len(collected) == 1


def test_from_a_key_to_its_answer_no_garbage_is_looked_for(lull, times):
    assert gc.isenabled()
    lull.pressed()
    lull.pressed()
    assert not gc.isenabled()
    lull.catch_up()
    assert gc.isenabled()
    lull.pressed()
    assert not gc.isenabled()
    lull.collect()  # one that nothing answers
    assert gc.isenabled()


def test_garbage_that_nobody_looks_for_yet_is_left_alone(lull):
    gc.disable()
    try:
        lull.pressed()
        lull.catch_up()
        assert not gc.isenabled()
    finally:
        gc.enable()


async def test_while_keys_are_pressed_the_sweep_and_the_log_come_behind_them(tmp_path, times):
    sweep: Sweep = busy_sweep(tmp_path)
    app = Cockpit(sweep.folder, None, utf8=True, clock=sweep.clock)
    lull = app.lull = Lull(times.after, lambda: times.now)  # whose time stands still
    running = 9
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.snapshot is not None, "the first snapshot")
        app.table.select(running)
        await until(pilot, lambda: app.snapshot.focus and app.snapshot.focus.trial == running, "focus")
        sweep.write_log(running, "before\n")
        await until(pilot, lambda: any("before" in line for line in app.log_view.page.lines), "the log")

        await pilot.press("f9")  # a key that does nothing: nothing is painted as its answer
        shown = app.snapshot
        sweep.report(running, [1.0, 2.0])
        sweep.write_log(running, "after\n")
        await until(pilot, lambda: {"snapshot", "log"} <= lull._waiting.keys(), "what has come meanwhile")
        assert app.snapshot is shown
        assert not any("after" in line for line in app.log_view.page.lines)

        times.go(LULL_S * 2)
        assert app.snapshot.trial(running).score == 2.0
        assert any("after" in line for line in app.log_view.page.lines)

        await pilot.press("f9")
        sweep.report(running, [1.0, 2.0, 3.0])
        await until(pilot, lambda: "snapshot" in lull._waiting, "a snapshot that waits")
        await pilot.press("up")  # its answer is painted, and behind it what waited
        await until(pilot, lambda: app.snapshot.trial(running).score == 3.0, "the snapshot behind the answer")
        assert times.now == pytest.approx(100 + LULL_S * 2)


async def test_a_trial_that_is_gone_to_is_read_at_once_and_those_that_keys_pass_are_not(tmp_path, times):
    sweep: Sweep = busy_sweep(tmp_path)
    app = Cockpit(sweep.folder, None, utf8=True, clock=sweep.clock)
    lull = app.lull = Lull(times.after, lambda: times.now)  # whose time stands still
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.snapshot is not None, "the first snapshot")
        app.table.select(5)
        times.go(LULL_S * 2)
        await until(pilot, lambda: app.snapshot.focus and app.snapshot.focus.trial == 5, "focus")

        times.go(LULL_S * 2)
        await pilot.press("up")
        gone_to = app.table.cursor
        assert not lull.passing
        await until(pilot, lambda: app.snapshot.focus.trial == gone_to, "the trial that one key went to")

        await pilot.press("up")
        passed = app.table.cursor
        assert lull.passing
        await until(pilot, lambda: "snapshot" in lull._waiting, "the trial that the second one went to, which waits")
        assert app.snapshot.focus.trial == gone_to != passed
        assert any("reading the log of trial_" in line for line in frame(app)), "it is not said that there is none"
        times.go(LULL_S * 2)
        assert app.snapshot.focus.trial == passed

        await pilot.press("down", "down")
        passed = app.table.cursor
        await until(pilot, lambda: "snapshot" in lull._waiting, "the trial that is passed, which waits")
        assert app.snapshot.focus.trial != passed
        await pilot.press("tab")  # to what is beside the table: it is about the trial that was gone to
        assert app.snapshot.focus.trial == passed
