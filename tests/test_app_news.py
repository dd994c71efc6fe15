"""What is told while one looks on, and what a sweep that cannot be read looks like."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from app_sweep import Sweep, frame, toasts, until
from snapshot_sweeps import fail, finish, hold

from sweeptui.app import watcher
from sweeptui.app.cockpit import Cockpit
from sweeptui.app.news import PAUSE_S, News
from sweeptui.app.standing import no_trial, notice
from sweeptui.core.state import SweepStatus


@pytest.fixture(autouse=True)
def _still(monkeypatch):
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    monkeypatch.delenv("NO_COLOR", raising=False)


def screen(app) -> str:
    return "\n".join(frame(app))


async def watched(sweep: Sweep, *happenings) -> list:
    """What the cockpit has seen of the sweep: before, and after each of these."""
    app = Cockpit(sweep.folder, utf8=True, clock=sweep.clock)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.snapshot is not None)
        seen = [app.snapshot]
        for happen in happenings:
            happen()
            made = len(sweep.store.state.trials)
            await until(pilot, lambda made=made: app.snapshot.made == made and not app.snapshot.running)
            seen.append(app.snapshot)
        return seen


async def test_a_new_best_and_failures_are_told_once(tmp_path):
    sweep = Sweep(tmp_path)
    finish(sweep, 10.0)
    seen = await watched(sweep, lambda: finish(sweep, 20.0), lambda: finish(sweep, 15.0), lambda: fail(sweep, 2.5))
    news = News()
    told = [[item.text for item in news.of(each, 100.0)] for each in (*seen, seen[-1])]
    reason = "train exited with code 1: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.5 GiB"
    assert told == [
        [],
        ["★ trial_0002 is the new best: 20, 10 ahead of #1"],
        [],
        [f"✗ trial_0004 failed: {reason}"],
        [],
    ]


async def test_many_failures_are_told_together(tmp_path):
    sweep = Sweep(tmp_path)
    seen = await watched(sweep, *([lambda: fail(sweep, 2.5)] * 3))
    news = News()
    assert [len(news.of(each, 100.0)) for each in seen] == [0, 1, 0, 0], "one at once, the others wait"
    [item] = news.of(seen[-1], 100.0 + PAUSE_S)
    assert item.bad
    assert item.text.startswith("✗ 2 trials failed; trial_0003: train exited with code 1")


async def test_the_first_look_is_no_news(tmp_path):
    sweep = Sweep(tmp_path)
    finish(sweep, 10.0)
    fail(sweep, 2.5)
    app = Cockpit(sweep.folder, utf8=True, clock=sweep.clock)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.snapshot is not None and app._watcher.turns > 1)
        assert not toasts(app)
        finish(sweep, 30.0)
        await until(pilot, lambda: toasts(app), "the toast")
        assert toasts(app) == ["★ trial_0003 is the new best: 30, 20 ahead of #1"]


async def test_a_sweep_that_another_program_keeps_locked_is_shown_once_it_is_free(tmp_path, monkeypatch):
    monkeypatch.setattr(watcher, "LOCKED_S", 0.05)
    sweep = Sweep(tmp_path)
    finish(sweep, 10.0)
    sweep.store.close()
    with closing(sqlite3.connect(sweep.folder / "sweep.db", isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        app = Cockpit(sweep.folder, utf8=True, clock=sweep.clock)
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: "database locked" in screen(app), "the notice")
            assert app.snapshot is None
            assert "this sweep cannot be shown" in screen(app)
            other.close()
            await until(pilot, lambda: app.snapshot is not None, "the sweep")
            await until(pilot, lambda: "database locked" not in screen(app), "the end of the notice")


@pytest.mark.parametrize(
    ("status", "held", "glyph", "said", "empty"),
    [
        (SweepStatus.RUNNING, True, "!", "", "no trial yet: the first one is being chosen"),
        (SweepStatus.RUNNING, False, "!", "it goes on with `sweeptui continue mine`", "no trial yet: nobody runs"),
        (SweepStatus.CREATED, False, "!", "it begins with `sweeptui continue mine`", "no trial yet: nobody runs"),
        (SweepStatus.PAUSED, True, "‖", "why: nothing new is launched; P goes on", "no trial yet: the sweep is paused"),
        (SweepStatus.BROKEN, False, "✗", "why", "this sweep ended before its first trial"),
        (SweepStatus.FINISHED, False, "✔", "why", "this sweep ended before its first trial"),
    ],
)
async def test_every_standing_says_what_can_be_done(tmp_path, status, held, glyph, said, empty):
    sweep = Sweep(tmp_path, "mine")
    with sweep.store.transaction() as tx:
        tx.set_sweep(status=status, reason="" if status in (SweepStatus.RUNNING, SweepStatus.CREATED) else "why")
    if held:
        hold(sweep)
    [snapshot] = await watched(sweep)
    found = notice(snapshot, runs_here=False, may_act=True)
    assert found.text.endswith(said)
    assert bool(found) == bool(said)
    assert found.glyph == glyph
    assert no_trial(snapshot, "")[0].startswith(empty)
