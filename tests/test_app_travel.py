"""The cockpit in the sweep's past: keys lead through it, nothing in it can be changed, and it plays."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from app_sweep import Sweep, busy_sweep, frame, toasts, until
from commandline import Project
from textual.pilot import Pilot

from sweeptui.app.cockpit import Cockpit
from sweeptui.app.travel import LONGEST_WAIT_S, Traveller
from sweeptui.core.trial import TrialStatus


@pytest.fixture(autouse=True)
def _still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    return busy_sweep(tmp_path)


def past_of(app: Cockpit) -> Any:
    return None if app.snapshot is None else app.snapshot.past


async def at(app: Cockpit, pilot: Pilot[None], trial: int) -> None:
    """Wait until the end of that trial is shown."""
    await until(pilot, lambda: past_of(app) and past_of(app).ended and past_of(app).ended.trial == trial, f"#{trial}")


async def test_keys_lead_from_end_to_end_and_back_to_now(sweep: Sweep) -> None:
    app = Cockpit(sweep.folder, utf8=True, clock=sweep.clock)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.snapshot is not None)
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: "this is now: nothing is later" in toasts(app))
        await pilot.press("left_square_bracket")
        await at(app, pilot, 8)
        await pilot.press("left_square_bracket", "left_square_bracket", "left_square_bracket")
        await at(app, pilot, 4)
        shown = "\n".join(frame(app))
        assert "PAST" in shown
        assert "trial_0004 completed · change" in shown
        assert app.snapshot is not None
        assert [trial.number for trial in app.snapshot.trials] == [1, 2, 3, 4]
        assert app.snapshot.best is not None
        assert app.snapshot.best.number == 4
        assert app.clock() == past_of(app).at < sweep.clock()
        await pilot.press("x")
        refused = "this is the past, and nothing in it can be changed: > goes back to now"
        await until(pilot, lambda: refused in toasts(app))
        assert sweep.command() is None
        await pilot.press("right_curly_bracket")
        await until(pilot, lambda: len(app.snapshot.trials) == 5 if app.snapshot else False)
        await pilot.press("less_than_sign")
        await until(pilot, lambda: app.snapshot is not None and not app.snapshot.trials)
        await pilot.press("greater_than_sign")
        await until(pilot, lambda: past_of(app) is None and len(app.snapshot.trials) == 10)  # type: ignore[union-attr]
        assert "PAST" not in "\n".join(frame(app))


async def test_what_happens_now_does_not_show_in_the_past(sweep: Sweep) -> None:
    app = Cockpit(sweep.folder, utf8=True, clock=sweep.clock)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.snapshot is not None)
        await pilot.press("left_square_bracket")
        await at(app, pilot, 8)
        last = past_of(app).last
        sweep.clock.now += 3
        sweep.set(9, TrialStatus.KILLED, reason="enough")
        await until(pilot, lambda: past_of(app).last > last)
        assert app.snapshot is not None
        assert app.snapshot.counts[TrialStatus.KILLED] == 1
        await pilot.press("right_square_bracket")
        await at(app, pilot, 9)
        await pilot.press("right_square_bracket")  # beyond the end is now
        await until(pilot, lambda: past_of(app) is None)


async def test_it_plays_to_the_end_and_stops_there(sweep: Sweep) -> None:
    app = Cockpit(sweep.folder, utf8=True, clock=sweep.clock, start=1, speed=100.0)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: past_of(app) and past_of(app).seq == past_of(app).last, "the end")
        await until(pilot, lambda: past_of(app).speed == 0, "standing still")


def test_playing_goes_as_fast_as_it_is_told_and_waits_for_nothing_long(sweep: Sweep) -> None:
    now = [0.0]
    sweep.clock.now += 10_000  # a night in which nothing happened
    sweep.set(9, TrialStatus.KILLED, reason="enough")
    traveller = Traveller(1, 2.0, lambda: now[0])
    past, _ = traveller.look(sweep.store)
    assert past is not None
    begun = past.at
    now[0] = 8.0  # sixteen seconds of the sweep, which had its first end after eighteen
    traveller.look(sweep.store)
    assert (past.at, past.just_ended(), traveller.moment().speed) == (begun, None, 2.0)
    now[0] = 9.0
    traveller.look(sweep.store)
    assert past.at == begun + 18
    played = 9.0
    while traveller.playing:
        played = now[0] = now[0] + 0.5
        traveller.look(sweep.store)
    assert past.seq == past.last
    assert played < 9 + 50 + LONGEST_WAIT_S + 1  # of the hundred seconds before the night half, and of that hardly any
    traveller.ask("play")
    traveller.look(sweep.store)
    assert past.seq < past.last  # from the end, it plays again


def test_frames_and_tables_of_a_moment_from_a_folder_that_is_only_read(tmp_path: Path) -> None:
    project = Project(tmp_path / "here") if (tmp_path / "here").mkdir() is None else None
    assert project is not None
    sweep = busy_sweep(tmp_path / "there")
    sweep.store.close()
    folder = tmp_path / "copy"
    shutil.copytree(sweep.folder, folder)
    (folder / "sweep.db-shm").unlink(missing_ok=True)
    for path in (folder / "sweep.db", folder):
        path.chmod(0o555 if path == folder else 0o444)
    before = {path.name for path in folder.iterdir()}
    try:
        shown = project.json("show", str(folder), "--at", "3")
        assert [trial["id"] for trial in shown["trials"]] == ["trial_0001", "trial_0002", "trial_0003"]
        assert shown["at"] < sweep.clock()
        said = project.run("attach", str(folder), "--at", "trial_0002").stdout.splitlines()
        assert said[0].startswith("ppo-calm-otter at 2023-11-1")
        assert [line.split()[0] for line in said[2:4]] == ["trial_0001", "trial_0002"]
        text = project.run("frame", str(folder), "--at", "3", "--size", "100x30").stdout
        assert "trial_0003 completed · change" in " ".join(text.split())
        assert "there is no sweep" in project.error("show", "absent")
        assert "--speed is 0; give a number above 0" in project.error("replay", str(folder), "--speed", "0")
        assert "replay needs a terminal" in project.error("replay", str(folder))
        if os.geteuid() != 0:  # root writes anywhere
            assert {path.name for path in folder.iterdir()} == before
    finally:
        folder.chmod(0o755)
    assert not project.written()
