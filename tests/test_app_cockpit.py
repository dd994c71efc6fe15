"""The cockpit's keys, what they refuse, and what is on the screen."""

from __future__ import annotations

import os
import signal
from contextlib import asynccontextmanager

import pytest
from app_sweep import FakeSession, Sweep, busy_sweep, frame, toasts, until, widths
from rich.cells import cell_len

from sweeptui.app import run
from sweeptui.app.actions import ACTIONS
from sweeptui.app.cockpit import Cockpit
from sweeptui.app.columns import Columns
from sweeptui.app.dialogs import Ask
from sweeptui.app.leaving import Leaving
from sweeptui.app.screens.palette import Help
from sweeptui.core.errors import UserError
from sweeptui.core.limits import Ending
from sweeptui.core.state import SweepStatus
from sweeptui.core.stores.base import LeaseHeldError
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import JobOutcome, Stage, TrialStatus

DONE, BEST, FAILED, PAUSED, KILLED, RUNNING, QUEUED = 1, 5, 6, 7, 8, 9, 10
"""Trials of `busy_sweep`."""


@pytest.fixture(autouse=True)
def _still(monkeypatch):
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    monkeypatch.delenv("NO_COLOR", raising=False)


@asynccontextmanager
async def cockpit(sweep: Sweep, session=None, size=(120, 40), select=None, utf8=True):
    app = Cockpit(sweep.folder, session, utf8=utf8, clock=sweep.clock)
    try:
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: app.snapshot is not None, "the first snapshot")
            if select is not None:
                app.table.select(select)
                await until(pilot, lambda: app.snapshot.focus and app.snapshot.focus.trial == select, "focus")
            yield app, pilot
    finally:
        if session is not None:
            session.finish()
            app.engine and app.engine.join(10)


def screen(app) -> str:
    return "\n".join(frame(app))


# -- keys that act on trials


@pytest.mark.parametrize(
    ("key", "trial", "verb"),
    [("p", RUNNING, "pause"), ("p", PAUSED, "resume"), ("p", QUEUED, "pause"), ("r", FAILED, "requeue")],
)
async def test_a_key_gives_a_command_and_its_answer_is_a_toast(tmp_path, key, trial, verb):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, select=trial) as (app, pilot):
        await pilot.press(key)
        await until(pilot, sweep.command, "the command")
        command = sweep.command()
        assert (command.verb, command.args) == (verb, {"trials": [trial]})
        assert command.actor.endswith("(cockpit)")
        assert "@" in command.actor
        sweep.answer(command, "done", "it \x1b[2Jis so [b]")
        await until(pilot, lambda: "it is so [b]" in toasts(app), "the toast")


async def test_a_refusal_by_the_runner_is_shown(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, select=RUNNING) as (app, pilot):
        await pilot.press("p")
        await until(pilot, sweep.command)
        sweep.answer(sweep.command(), "refused", "trial_0009 is just being started; try again")
        await until(pilot, lambda: "trial_0009 is just being started; try again" in toasts(app))


async def test_killing_asks_and_the_answer_that_is_offered_is_no(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, select=RUNNING) as (app, pilot):
        for answer in ("enter", "n", "escape"):
            await pilot.press("x")
            assert isinstance(app.screen, Ask)
            assert "Kill trial_0009?" in screen(app)
            await pilot.press(answer)
            assert not isinstance(app.screen, Ask)
        await pilot.pause(0.4)
        assert sweep.command() is None
        await pilot.press("x", "y")
        await until(pilot, sweep.command, "the command")
        assert (sweep.command().verb, sweep.command().args) == ("kill", {"trials": [RUNNING]})


async def test_the_trial_that_was_asked_about_is_killed_whatever_comes_meanwhile(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep) as (app, pilot):
        await pilot.press("n", "x")
        newest = sweep.trial()
        await until(pilot, lambda: app.table.cursor == newest, "following the newest trial")
        await pilot.press("y")
        await until(pilot, sweep.command, "the command")
        assert sweep.command().args == {"trials": [QUEUED]}


@pytest.mark.parametrize(
    ("key", "trial", "why"),
    [
        ("p", DONE, "trial_0001 is over (done): there is nothing to pause"),
        ("p", KILLED, "trial_0008 is over (killed): there is nothing to pause"),
        ("x", FAILED, "trial_0006 is over already (memory)"),
        ("r", RUNNING, "trial_0009 is training: only a trial that is over can be tried again"),
        ("r", QUEUED, "trial_0010 is queued: only a trial that is over can be tried again"),
        ("l", RUNNING, "trial_0009 has only one log so far"),
    ],
)
async def test_a_key_that_does_not_apply_says_why(tmp_path, key, trial, why):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, select=trial) as (app, pilot):
        await pilot.press(key)
        await pilot.pause()
        assert toasts(app) == [why]
        assert not isinstance(app.screen, Ask)
        assert sweep.command() is None


async def test_a_trial_that_is_being_ended_is_not_to_be_paused(tmp_path):
    sweep = busy_sweep(tmp_path)
    with sweep.store.transaction() as tx:
        job = sweep.store.state.running_jobs[RUNNING]
        tx.set_job(job.id, ask=JobOutcome.KILLED, ask_reason="killed by ada@lab")
    async with cockpit(sweep, select=RUNNING) as (app, pilot):
        assert "☠ killing" in screen(app)
        await pilot.press("p", "x")
        await pilot.pause()
        assert toasts(app) == ["trial_0009 is being ended: killed by ada@lab"] * 2


async def test_the_sweep_is_paused_and_goes_on(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep) as (app, pilot):
        await pilot.press("P")
        await until(pilot, sweep.command)
        assert (sweep.command().verb, sweep.command().args) == ("pause", {})
        sweep.answer(sweep.command(), "done", "the sweep is paused")
        with sweep.store.transaction() as tx:
            tx.set_sweep(status=SweepStatus.PAUSED, reason="paused by ada@lab")
        await until(pilot, lambda: "‖ paused by ada@lab" in screen(app))
        await pilot.press("P")
        await until(pilot, sweep.command)
        assert sweep.command().verb == "resume"


async def test_before_the_first_trial_every_key_says_so(tmp_path):
    sweep = Sweep(tmp_path)
    async with cockpit(sweep) as (app, pilot):
        assert "no trial yet: nobody runs this sweep" in screen(app)
        assert "none yet: no trial has a score" in screen(app)
        for key in "pxrlfn":
            await pilot.press(key)
        await pilot.press("b", "j", "G", "right")
        await pilot.pause()
        assert toasts(app) == ["there is no trial yet"] * 6 + ["no trial has a score yet"]


# -- moving about


async def test_the_cursor_stays_on_its_trial(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep) as (app, pilot):
        assert app.table.cursor == QUEUED
        await pilot.press("k", "up")
        assert app.table.cursor == PAUSED + 1
        for _ in range(3):
            sweep.trial()
        await until(pilot, lambda: len(app.snapshot.trials) == 13)
        assert app.table.cursor == PAUSED + 1
        await pilot.press("b")
        assert app.table.cursor == BEST
        await pilot.press("g")
        assert app.table.cursor == 1
        await pilot.press("G")
        assert app.table.cursor == 13
        await pilot.press("pageup", "j")
        assert 1 < app.table.cursor < 13
        await pilot.press("n")
        newest = sweep.trial()
        await until(pilot, lambda: app.table.cursor == newest, "following")


async def test_a_click_selects_and_a_key_in_the_bar_is_a_button(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep) as (app, pilot):
        await pilot.click("#table", offset=(20, 4))
        assert app.table.cursor == 3
        await pilot.click("#keys", offset=(115, 0))
        assert app._exit


async def test_columns_scroll_sideways_and_the_first_ones_stay(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, size=(80, 24)) as (app, pilot):

        def header() -> str:
            return next(line for line in frame(app) if " state " in line)

        assert header().rstrip().endswith("→")
        assert header().split()[-2] in ("clip_coef", "ent_coef"), "whole columns only"
        await pilot.press(*["right"] * 9)
        await pilot.pause()
        assert header().split()[:2] == ["#", "state"]
        assert header().split()[-1] == "vf_coef"
        assert "score" not in header()
        assert widths(app) == {80}
        await pilot.press(*["left"] * 9)
        await pilot.pause()
        assert "score" in header()


async def test_tab_moves_between_the_table_and_the_log(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, select=RUNNING) as (app, pilot):
        await until(pilot, lambda: app.log_view.page.lines, "the log")
        await pilot.press("tab", "tab", "g")
        assert app.log_view.has_focus
        await until(pilot, lambda: not app.log_view.page.following, "leaving the end")
        assert app.table.cursor == RUNNING
        sweep.write_log(RUNNING, "one more\nand another\n")
        await until(pilot, lambda: "↓ 2 new lines" in screen(app), "the count of new lines")
        await pilot.press("f")
        await until(pilot, lambda: app.log_view.page.following and "and another" in screen(app), "following")
        await pilot.press("tab")
        assert app.table.has_focus


async def test_the_log_of_either_stage(tmp_path):
    sweep = busy_sweep(tmp_path)
    sweep.end(RUNNING, 480.0)
    sweep.set(RUNNING, TrialStatus.PENDING)
    sweep.set(RUNNING, TrialStatus.TRAINING)
    sweep.set(RUNNING, TrialStatus.TRAINED)
    sweep.start(RUNNING, Stage.EVAL)
    sweep.write_log(RUNNING, "evaluating 10 episodes\n", Stage.EVAL)
    async with cockpit(sweep, select=RUNNING) as (app, pilot):
        await until(pilot, lambda: "evaluating 10 episodes" in screen(app), "the evaluation's log")
        assert "Log trial_0009 eval" in screen(app)
        await pilot.press("l")
        await until(pilot, lambda: "epoch  31" in screen(app), "the training's log")
        assert "Log trial_0009 train" in screen(app)
        await pilot.press("l")
        await until(pilot, lambda: "evaluating 10 episodes" in screen(app), "the evaluation's log again")


async def test_a_hostile_log_stays_in_its_pane(tmp_path):
    sweep = busy_sweep(tmp_path)
    sweep.write_log(
        RUNNING, b"\x1b[2J\x1b]0;pwned\x07\x9b5n\x1b[31mred\x1b[0m\xff " + "漢字 👩‍💻 é\u202e".encode() + b"\n"
    )
    sweep.write_log(RUNNING, "x" * 5000 + "\n\tafter a tab\n")
    async with cockpit(sweep, select=RUNNING) as (app, pilot):
        await until(pilot, lambda: "after a tab" in screen(app))
        assert "\x1b" not in screen(app)
        assert "pwned" not in screen(app)
        assert widths(app) == {120}


# -- what is shown


async def test_why_it_failed_and_where_it_came_from(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, size=(160, 40), select=FAILED) as (app, pilot):
        await until(pilot, lambda: "MemoryError in line 41" in screen(app), "the reason")
        assert "✗ memory: the training ran out of memory" in screen(app)
        assert "chosen by protein: predicted 471.3 ± 18, cost 21.4s" in screen(app)
        app.table.select(PAUSED)
        await until(pilot, lambda: "random (fallback: the model could not be fitted: singular matrix)" in screen(app))


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60), (60, 15), (40, 12)])
async def test_frames_fit_their_terminal(tmp_path, size):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, size=size, select=RUNNING) as (app, pilot):
        await until(pilot, lambda: app.log_view.page.lines, "the log")
        lines = frame(app)
        assert len(lines) == size[1]
        assert {cell_len(line) for line in lines} == {size[0]}
        assert "ppo-calm-otter" in lines[0]
        assert "▶ running" in lines[0]
        assert "7/12" in lines[1]
        assert "q quit" in lines[-1]
        table = next(line for line in lines if "▶ training" in line)
        assert " 9 " in table
        if size[0] >= 80:
            assert "451.0" in table
            assert "62%" in table
            assert "★ 497.6 #5" in lines[1]
            assert any("497.6★" in line for line in lines)
            assert any("epoch  31" in line for line in lines)
            assert "x kill" in lines[-1]
            assert any("learning_rate" in line and "0.00641" in line for line in lines), "the best configuration"
        if size[0] >= 160:
            assert any("0.006412059" in line for line in lines), "with more digits"
        if size[0] >= 120:
            assert "maximize evaluator/eval_cartpole/score" in lines[0]
            assert "1 paused  ✗ 1 failed  ☠ 1 killed" in lines[1]


async def test_without_utf8_every_glyph_is_ascii(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, select=RUNNING, utf8=False) as (app, pilot):
        await until(pilot, lambda: app.log_view.page.lines, "the log")
        lines = ["".join(segment.text for segment in strip.apply_filter(app._ascii, app.screen.background_colors[1]))
                 for strip in app.screen._compositor.render_strips()]  # fmt: skip
        assert all(line.isascii() for line in lines)
        assert {len(line) for line in lines} == {120}
        assert any("> training" in line for line in lines)
        assert any("497.6*" in line for line in lines)
        assert app._ascii in app.get_line_filters()


async def test_no_color_leaves_no_hue(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, select=FAILED) as (app, _):
        assert app.no_color
        assert "✗ memory" in screen(app)
        background = app.screen.background_colors[1]
        for strip in app.screen._compositor.render_strips():
            for line_filter in app.get_line_filters():
                strip = strip.apply_filter(line_filter, background)  # noqa: PLW2901
            for segment in strip:
                for colour in (segment.style.color, segment.style.bgcolor) if segment.style else ():
                    if colour is not None and colour.triplet is not None:
                        assert max(colour.triplet) - min(colour.triplet) <= 1


async def test_help_lists_every_action(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, size=(120, 150)) as (app, pilot):
        await pilot.press("?")
        assert isinstance(app.screen, Help)
        for action in ACTIONS:
            assert action.help in screen(app)
        await pilot.press("escape")
        assert not isinstance(app.screen, Help)


async def test_ten_thousand_trials_cost_what_a_screen_costs(tmp_path, monkeypatch):
    sweep = Sweep(tmp_path, max_trials=10_000)
    with sweep.store.transaction() as tx:
        for number in range(10_000):
            tx.create_trial({"lr": number / 7}, number, {})
    formatted = 0
    line = Columns.line

    def counting(self, row):
        nonlocal formatted
        formatted += 1
        return line(self, row)

    monkeypatch.setattr(Columns, "line", counting)
    async with cockpit(sweep) as (app, pilot):
        assert "10000" in screen(app)
        await until(pilot, lambda: not app.snapshot.older, "all of them")
        await pilot.press("g", "pagedown", "j", "j")
        await until(pilot, lambda: app.table.cursor is not None and app.table.cursor < 100)
        assert 0 < formatted < 500
        before = formatted
        with sweep.store.transaction() as tx:
            tx.set_trial(3, reason="changed")
        await until(pilot, lambda: app.snapshot.trial(3).reason == "changed")
        assert formatted - before < 60


# -- who runs it


async def test_a_window_on_a_sweep_says_who_runs_it_or_that_nobody_does(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep) as (app, pilot):
        assert f"run by headless (process {os.getpid()}" not in screen(app), "this process needs no mention"
        sweep.store.release_lease()
        await until(pilot, lambda: "nobody runs this sweep" in screen(app))
        assert "`sweeptui continue ppo-calm-otter`" in screen(app)
        await pilot.press("q")
        assert app._exit


async def test_a_disk_that_is_full_is_said_as_long_as_it_is(tmp_path):
    sweep = busy_sweep(tmp_path)
    with sweep.store.transaction() as tx:
        tx.set_sweep(config={**sweep.store.state.config, "min_free_disk_mb": 10**9})
    async with cockpit(sweep) as (app, pilot):
        await until(pilot, lambda: "nothing is launched" in screen(app))
        assert "MB free on the disk" in screen(app)


async def test_notes_in_the_journal_become_toasts(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep) as (app, pilot):
        with sweep.store.transaction() as tx:
            tx.note("optimizer", {"message": "the model failed: random instead"})
        await until(pilot, lambda: "optimizer: the model failed: random instead" in toasts(app))


async def test_quitting_asks_what_becomes_of_the_sweep(tmp_path):
    sweep = busy_sweep(tmp_path)
    session = FakeSession(sweep.folder)
    async with cockpit(sweep, session) as (app, pilot):
        await pilot.press("q")
        assert isinstance(app.screen, Ask)
        await pilot.press("escape")
        assert not isinstance(app.screen, Ask)
        assert session.interrupted == []
        await pilot.press("q", "k")
        await until(pilot, lambda: app._exit)
        assert session.interrupted == [False]
        assert app.leaving.how is Leaving.STOP


@pytest.mark.parametrize("keys", [("q", "enter"), ("q", "d"), ("ctrl+c", "ctrl+c")])
async def test_the_answer_that_is_offered_is_to_detach(tmp_path, keys):
    sweep = busy_sweep(tmp_path)
    session = FakeSession(sweep.folder)
    async with cockpit(sweep, session) as (app, pilot):
        await pilot.press(*keys)
        await until(pilot, lambda: app._exit)
        assert session.interrupted == [True]
        assert app.leaving.how is Leaving.DETACH


async def test_leaving_it_to_finish_leaves_the_trials_running(tmp_path):
    sweep = busy_sweep(tmp_path)
    session = FakeSession(sweep.folder)
    async with cockpit(sweep, session) as (app, pilot):
        await pilot.press("q", "f")
        await until(pilot, lambda: app._exit)
        assert session.interrupted == [True]
        assert app.leaving.how is Leaving.FINISH


@pytest.mark.parametrize(("signum", "leave_running"), [(signal.SIGTERM, False), (signal.SIGHUP, True)])
async def test_signals(tmp_path, signum, leave_running):
    sweep = busy_sweep(tmp_path)
    session = FakeSession(sweep.folder)
    async with cockpit(sweep, session) as (app, pilot):
        os.kill(os.getpid(), signum)
        await until(pilot, lambda: app._exit)
        assert session.interrupted == [leave_running]
        assert app.leaving.signalled == signum


async def test_after_the_end_the_cockpit_stays_and_quits_at_once(tmp_path):
    sweep = busy_sweep(tmp_path)
    session = FakeSession(sweep.folder)
    async with cockpit(sweep, session) as (app, pilot):
        with sweep.store.transaction() as tx:
            tx.set_sweep(status=SweepStatus.FINISHED, reason="all 12 trials are done")
        session.finish(Ending(SweepStatus.FINISHED, "all 12 trials are done", 0))
        await until(pilot, lambda: "✔ finished" in screen(app) and "✔ all 12 trials are done" in screen(app))
        assert "finished: all 12 trials are done" in toasts(app)
        assert "497.6" in screen(app)
        assert not app._exit
        await pilot.press("q")
        assert app._exit


async def test_the_circuit_breaker_says_why(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep) as (app, pilot):
        with sweep.store.transaction() as tx:
            tx.set_sweep(status=SweepStatus.BROKEN, reason="5 trials in a row failed with crashed")
        await until(pilot, lambda: "✗ 5 trials in a row failed with crashed" in screen(app))


async def test_a_fault_in_the_orchestrator_is_shown_and_kept(tmp_path):
    sweep = busy_sweep(tmp_path)
    session = FakeSession(sweep.folder)
    async with cockpit(sweep, session) as (app, pilot):
        session.finish(error=RuntimeError("a bug in the loop"))
        await until(pilot, lambda: "the sweep cannot go on here: RuntimeError('a bug in the loop')" in screen(app))
        assert isinstance(app.engine.error, RuntimeError)


async def test_where_somebody_else_runs_it_this_is_a_window(tmp_path):
    sweep = busy_sweep(tmp_path)
    session = FakeSession(sweep.folder)
    async with cockpit(sweep, session) as (app, pilot):
        lease = sweep.store.lease()
        session.finish(error=LeaseHeldError(sweep.folder / "sweep.db", lease))
        await until(pilot, lambda: any("this is a window on it" in toast for toast in toasts(app)))
        await pilot.press("q")
        assert app._exit


async def test_a_sweep_that_cannot_be_read_says_so(tmp_path):
    sweep = busy_sweep(tmp_path)
    sweep.store.close()
    for path in sweep.folder.glob("sweep.db*"):
        path.unlink()
    app = Cockpit(sweep.folder)
    async with app.run_test() as pilot:
        await until(pilot, lambda: "! there is no sweep at" in screen(app))


def test_no_two_actions_share_a_key():
    keys = [(action.pane, key) for action in ACTIONS for key in action.keys]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("pane", ["log", "plots"])
async def test_the_key_bar_shows_the_keys_of_the_pane_that_has_the_focus(tmp_path, pane):
    async with cockpit(busy_sweep(tmp_path), size=(200, 40)) as (app, pilot):
        await until(pilot, lambda: "y copy" in frame(app)[-1])
        app.query_one(f"#{pane}").focus()
        own, hidden = {"log": ("/ search", "n newest"), "plots": ("+ zoom", "y copy")}[pane]
        await until(pilot, lambda: own in frame(app)[-1], own)
        assert hidden not in frame(app)[-1], "the key means something else here"
        assert "q quit" in frame(app)[-1]
        app.table.focus()
        await until(pilot, lambda: hidden in frame(app)[-1], hidden)


def test_a_store_that_takes_no_order_to_stop_is_told_and_the_trials_are_looked_after(tmp_path, monkeypatch, capsys):
    sweep = busy_sweep(tmp_path)
    app = Cockpit(sweep.folder, utf8=True)
    app.leaving.how = Leaving.FINISH
    handed_over = []
    monkeypatch.setattr(run, "go_on_in_background", lambda folder: handed_over.append(folder) or "")
    database = sweep.folder / "sweep.db"
    assert app._watcher.opening._looked.wait(60), "what is being read is not damaged"
    for file in sweep.folder.glob("sweep.db-*"):  # SQLite would mend it from what was not written back yet
        file.unlink()
    database.write_bytes(b"no database at all" * 100)
    with pytest.raises(UserError):
        SqliteStore.open(database)
    assert run._detach(app) == 0
    out, err = capsys.readouterr()
    assert handed_over == [sweep.folder]
    assert "could not be told to stop, and launches on:" in err
    assert "goes on in the background" in out
