"""The screens about trials: what they show at every size, what their keys do, and what they refuse."""

from __future__ import annotations

import json
import math
import os
import re
import socket
import subprocess
import sys
import time
from contextlib import asynccontextmanager

import pytest
from app_sweep import CONFIG, Sweep, busy_sweep, frame, toasts, until, widths
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.widgets import Input

from sweeptui.app.cockpit import Cockpit
from sweeptui.app.dialogs import Ask
from sweeptui.app.parameters import SAME, configuration, difference
from sweeptui.app.screens import usage
from sweeptui.app.screens.compare import ComparePage
from sweeptui.app.screens.copy import CopyMenu
from sweeptui.app.screens.edit import Edit
from sweeptui.app.screens.failures import FailuresPage
from sweeptui.app.screens.slots import SlotsPage
from sweeptui.app.screens.trial import TrialPage
from sweeptui.app.screens.usage import MIB, Sampler, gpu_memory, gpus
from sweeptui.app.table import Follow
from sweeptui.core.state import SweepStatus
from sweeptui.core.trial import FailureKind, JobState, Stage, TrialStatus
from sweeptui.dispatchers.local.processes import boot_id, look

DONE, BEST, FAILED, PAUSED, KILLED, RUNNING, QUEUED = 1, 5, 6, 7, 8, 9, 10
"""Trials of `busy_sweep`."""
SIZES = [(80, 24), (120, 40), (200, 60), (40, 12)]
READ_ONLY = "this window is read-only"
TRACEBACK = (
    "\x1b[31mTraceback (most recent call last):\x1b[0m\n"
    '  File "/home/ada/train.py", line 41, in <module>\n'
    "    model(\x1b]0;pwned\x07batch)\n"
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate {} GiB\n"
)
REASON = "train exited with code 1: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate {} GiB"


@pytest.fixture(autouse=True)
def _still(monkeypatch):
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    monkeypatch.delenv("NO_COLOR", raising=False)


@asynccontextmanager
async def cockpit(sweep: Sweep, *keys: str, size=(120, 40), select=None, read_only="", utf8=True):
    """The cockpit after these keys."""
    app = Cockpit(sweep.folder, utf8=utf8, clock=sweep.clock, read_only=read_only)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.snapshot is not None, "the first snapshot")
        if select is not None:
            app.table.select(select)
            await until(pilot, lambda: app.snapshot.focus and app.snapshot.focus.trial == select, "focus")
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
        yield app, pilot


def screen(app) -> str:
    return "\n".join(frame(app))


def failing_sweep(root) -> Sweep:
    """Three trials out of memory, one that crashed, two that are done; somebody else runs it and answers no command."""
    sweep = Sweep(root)
    sweep.store.acquire_lease("headless", ttl_s=3600)
    sweep.store.acquire_lease("headless", ttl_s=3600)
    for amount in (2.5, 4, 8.25):
        number = sweep.trial()
        sweep.start(number)
        sweep.clock.now += 3
        sweep.write_log(number, f"epoch 1\n{TRACEBACK.format(amount)}bye\n")
        sweep.end(number, failure=FailureKind.OUT_OF_MEMORY, reason=REASON.format(amount))
    number = sweep.trial()
    sweep.start(number)
    sweep.write_log(number, "no traceback here\n")
    sweep.end(number, failure=FailureKind.CRASHED, reason="train exited with code 3")
    for score in (1.0, 2.0):
        number = sweep.trial()
        sweep.start(number)
        sweep.report(number, [0.5, score])
        sweep.end(number, score)
    return sweep


# -- every screen, at every size


@pytest.mark.parametrize(
    ("select", "key", "kind", "words"),
    [
        (FAILED, "enter", TrialPage, ["trial_0006", "Traceback", "MemoryError"]),
        (RUNNING, "enter", TrialPage, ["trial_0009", "▶ training"]),
        (DONE, "c", ComparePage, ["A #1", "B #5", "187.4"]),
        (RUNNING, "o", SlotsPage, ["trial_0009", "slots"]),
        (FAILED, "e", FailuresPage, ["1 ×", "memory"]),
        (BEST, "y", CopyMenu, ["YAML"]),
    ],
)
async def test_frames_fit_their_terminal(tmp_path, select, key, kind, words):
    async with cockpit(busy_sweep(tmp_path), key, select=select) as (app, pilot):
        assert isinstance(app.screen, kind)
        for size in SIZES:
            await pilot.resize_terminal(*size)
            await until(pilot, lambda size=size: widths(app) == {size[0]} and len(frame(app)) == size[1], str(size))
            for word in words:
                await until(pilot, lambda word=word: word in screen(app), f"{word} at {size}")
            if size[0] >= 80 and kind is not CopyMenu:
                assert frame(app)[-1].endswith(" Esc back  ? help ")
        await pilot.press("escape")
        assert not isinstance(app.screen, kind)
        assert toasts(app) == []


async def test_without_utf8_every_glyph_is_ascii(tmp_path):
    async with cockpit(busy_sweep(tmp_path), "enter", select=RUNNING, utf8=False) as (app, pilot):
        await until(pilot, lambda: "Learning curve" in screen(app), "the curve")
        await until(pilot, lambda: "epoch" in screen(app), "the log")
        background = app.screen.background_colors[1]
        for key in ("escape", "e", "escape", "o", "escape", "c"):
            lines = [
                "".join(segment.text for segment in strip.apply_filter(app._ascii, background))
                for strip in app.screen._compositor.render_strips()
            ]
            assert all(line.isascii() for line in lines)
            assert "?" not in "".join(lines[:-1])
            assert {len(line) for line in lines} == {120}
            await pilot.press(key)
            await pilot.pause()


# -- the trial


async def test_a_trial_from_end_to_end(tmp_path):
    sweep = busy_sweep(tmp_path)
    with sweep.store.transaction() as tx:
        job = sweep.store.jobs(FAILED)[0]
        used = {"utime_s": 61.0, "stime_s": 3.0, "maxrss_bytes": 3.5 * 1024**3}
        tx.set_job(job.id, slot={"index": 1, "gpus": ["0"]}, exit={"code": 1, "run_s": 4.0, "rusage": used})
        tx.set_trial(FAILED, metrics={"loss": 0.25, "grad\x1b[2Jnorm": 12.0})
    async with cockpit(sweep, "enter", size=(160, 50), select=FAILED) as (app, pilot):
        await until(pilot, lambda: "Traceback" in screen(app), "the traceback")
        shown = screen(app)
        assert "ppo-calm-otter   trial_0006   ✗ memory" in shown
        assert "the training ran out of memory: MemoryError in line 41 of train.py" in frame(app)[1]
        assert "best #5  center" in shown
        assert "0.004949263     -23%   -2.0%" in shown
        assert "predicted 471.3 ± 18" in shown
        assert "predicted 21.4s, came 4.00s" in shown
        assert "slot 1, GPU 0" in shown
        assert "exit 1, ran 4.0s, CPU 1m04s, memory up to 3.5 GB" in shown
        assert "gradnorm  12.00" in shown
        assert "\x1b" not in shown


async def test_what_was_predicted_against_what_came(tmp_path):
    async with cockpit(busy_sweep(tmp_path), "enter", select=BEST) as (app, pilot):
        await until(pilot, lambda: "predicted 471.3 ± 18, came 497.6  +1.4σ" in screen(app), "the prediction")
        assert "next #4" in screen(app), "the best one is set against the next"
        app.table.select(PAUSED)
        await until(pilot, lambda: "! not by the model: the model could not be fitted" in screen(app), "the fallback")


async def test_every_attempt_has_its_end(tmp_path):
    sweep = busy_sweep(tmp_path)
    sweep.set(FAILED, TrialStatus.PENDING)
    sweep.start(FAILED)
    async with cockpit(sweep, "enter", select=FAILED) as (app, pilot):
        await until(pilot, lambda: "train 2" in screen(app), "the second attempt")
        assert "train 1 ✗ memory" in screen(app)
        assert "train 2 ▶ running" in screen(app)
        sweep.clock.now += 30
        sweep.end(FAILED, failure=FailureKind.LOST, reason="nobody saw it end")
        await until(pilot, lambda: "train 2 ✗ lost" in screen(app), "the end of the second")


async def test_a_trial_that_waits_has_no_attempts(tmp_path):
    async with cockpit(busy_sweep(tmp_path), "enter", select=QUEUED) as (app, _):
        assert "it waits for a free slot" in screen(app)
        assert "not started yet" in screen(app)


async def test_the_arrows_go_from_trial_to_trial_and_the_page_stays_on_it(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, "n", "enter") as (app, pilot):
        assert "trial_0010" in frame(app)[0]
        newest = sweep.trial()
        await until(pilot, lambda: app.snapshot.trial(newest), "another trial")
        assert "trial_0010" in frame(app)[0], "whatever comes"
        await pilot.press("escape")
        assert app.table.following is Follow.NEWEST, "as before the page was opened"
        await pilot.press("enter", "left", "left", "left")
        await until(pilot, lambda: "trial_0008" in frame(app)[0], "the one before")
        await pilot.press("right", "escape")
        assert app.table.cursor == 9
        assert app.table.following is Follow.OFF


async def test_the_keys_of_a_trial_s_page_are_for_this_one_alone(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, select=RUNNING) as (app, pilot):
        app.table.mark([PAUSED, QUEUED])
        await pilot.press("enter", "x")
        assert isinstance(app.screen, Ask)
        assert "Kill trial_0009?" in screen(app)
        await pilot.press("y")
        await until(pilot, sweep.command, "the command")
        assert (sweep.command().verb, sweep.command().args) == ("kill", {"trials": [RUNNING]})
        assert isinstance(app.screen, TrialPage)
        await pilot.press("r")
        assert toasts(app) == ["trial_0009 is training: only a trial that is over can be tried again"]


async def test_from_a_trial_s_page_to_its_log(tmp_path):
    async with cockpit(busy_sweep(tmp_path), "enter", "l", select=RUNNING) as (app, _):
        assert not isinstance(app.screen, TrialPage)
        assert app.log_view.has_focus


async def test_what_is_below_a_page_takes_no_keys(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, "enter", "P", "space", "j", "n", "2", select=RUNNING) as (app, pilot):
        await pilot.pause(0.4)
        assert sweep.command() is None
        assert app.table.cursor == RUNNING
        assert app.table.marked == frozenset()
        await pilot.press("ctrl+c")
        assert app._exit, "but one can always leave"


async def test_the_log_of_a_running_trial_ends_on_its_page(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, "enter", size=(200, 60), select=RUNNING) as (app, pilot):
        await until(pilot, lambda: "Last lines of the log" in screen(app), "the log")
        assert "none of its processes is on this machine" in screen(app)
        sweep.write_log(RUNNING, "one more line\n")
        await until(pilot, lambda: "one more line" in screen(app), "the new line")


# -- comparing


async def test_comparing_shows_only_what_differs(tmp_path):
    sweep = busy_sweep(tmp_path)
    same = {"trainer.algorithm.gae_lambda": 0.9, "trainer.optimizer": "adam"}
    with sweep.store.transaction() as tx:
        for lr in (0.001, 0.002):
            number = tx.create_trial({**same, "trainer.lr": lr}, 1, {"method": "random"}).number
            tx.set_trial(number, metrics={"kl": lr, "epochs": 7})
    async with cockpit(sweep, size=(160, 50)) as (app, pilot):
        await until(pilot, lambda: app.snapshot.trial(12), "the trials")
        app.table.mark([11, 12])
        await pilot.press("c")
        shown = screen(app)
        assert isinstance(app.screen, ComparePage)
        assert "1 of 3 differ" in shown
        assert re.search(r"lr +0\.001000 +0\.002000", shown)
        assert "alike: gae_lambda 0.9000, optimizer adam" in shown
        assert re.search(r"kl +0\.001000 +0\.002000", shown)
        assert "alike: epochs 7" in shown


async def test_one_trial_is_compared_with_the_best_and_the_best_with_the_next(tmp_path):
    async with cockpit(busy_sweep(tmp_path), "c", select=DONE) as (app, pilot):
        assert "A trial_0001   B trial_0005" in frame(app)[0]
        await pilot.press("escape")
        app.table.select(BEST)
        await pilot.press("c")
        assert "A trial_0005   B trial_0004" in frame(app)[0]


async def test_what_cannot_be_compared(tmp_path):
    async with cockpit(busy_sweep(tmp_path)) as (app, pilot):
        app.table.mark([1, 2, 3, 4, 5])
        await pilot.press("c")
        assert toasts(app) == ["5 trials are marked: 2 to 4 can be compared"]
    sweep = Sweep(tmp_path / "other")
    sweep.trial()
    async with cockpit(sweep, "c") as (app, pilot):
        assert toasts(app) == ["there is nothing to compare it with: mark a second trial with space"]


# -- slots


async def test_who_holds_which_slot_and_who_waits(tmp_path):
    sweep = busy_sweep(tmp_path)
    with sweep.store.transaction() as tx:
        tx.set_job(sweep.store.state.running_jobs[RUNNING].id, slot={"index": 0, "gpus": ["2"]})
        tx.set_job(sweep.store.state.running_jobs[PAUSED].id, slot={"index": 2, "gpus": []}, state=JobState.PAUSED)
    async with cockpit(sweep, "o") as (app, pilot):
        rows = frame(app)
        assert any("0     trial_0009  train  ▶ running" in row and " 2 " in row for row in rows)
        assert "2 taken, 0 free" in rows[1]
        assert not any("1     free" in row for row in rows), "a third place, but only two may be taken at once"
        assert any("2     trial_0007  train  ‖ paused" in row for row in rows)
        assert "Waiting for a slot" in screen(app)
        assert any("trial_0010  ◌ queued" in row for row in rows)
        await pilot.press("down", "enter")
        assert isinstance(app.screen, TrialPage)
        assert "trial_0007" in frame(app)[0]
        await pilot.press("escape", "escape")
        assert not app.screen.is_modal


async def test_slots_of_a_sweep_that_has_not_begun(tmp_path):
    async with cockpit(Sweep(tmp_path), "o") as (app, _):
        assert screen(app).count("free") >= 2
        assert "0 taken, 2 free" in screen(app)


# -- failures


async def test_failures_are_grouped_by_their_error(tmp_path):
    async with cockpit(failing_sweep(tmp_path), "e") as (app, pilot):
        await until(pilot, lambda: "Traceback" in screen(app), "the traceback of the newest")
        shown = screen(app)
        assert "4 trials, 2 errors" in shown
        assert "3 × torch.OutOfMemoryError: CUDA out of memory. Tried to allocate … GiB" in " ".join(shown.split())
        assert "#3 #2 #1" in shown
        assert "Tried to allocate 8.25 GiB" in shown
        assert "pwned" not in shown
        await pilot.press("down")
        await until(pilot, lambda: "no traceback here" in screen(app), "the log of the other one")
        assert "Last lines of the log" in screen(app)


async def test_a_group_is_requeued_once_that_was_confirmed(tmp_path):
    sweep = failing_sweep(tmp_path)
    async with cockpit(sweep, "e", "r", "enter") as (app, pilot):
        assert isinstance(app.screen, FailuresPage), "the answer that is offered is no"
        await pilot.press("r")
        assert "Try 3 trials again? They failed with: torch.OutOfMemoryError" in screen(app)
        await pilot.press("y")
        await until(pilot, sweep.command, "the command")
        assert (sweep.command().verb, sweep.command().args) == ("requeue", {"trials": [1, 2, 3]})
        assert sweep.command().actor.endswith("(cockpit)")


async def test_a_group_is_tried_again_with_one_change_to_each(tmp_path):
    sweep = failing_sweep(tmp_path)
    async with cockpit(sweep, "e", "R") as (app, pilot):
        assert isinstance(app.screen, Edit)
        assert "Try 3 trials with other parameters" in screen(app)
        app.screen.fields[1].query_one(Input).value = "0.2"
        await pilot.press("enter")
        await until(pilot, sweep.command, "the command")
        assert sweep.command().verb == "requeue"
        assert sweep.command().args == {"trials": [1, 2, 3], "params": {"trainer.algorithm.clip_coef": 0.2}}


async def test_a_group_is_marked_in_the_table(tmp_path):
    async with cockpit(failing_sweep(tmp_path), "e", "enter") as (app, _):
        assert not app.screen.is_modal
        assert app.table.marked == {1, 2, 3}
        assert app.table.cursor == 3


async def test_no_failures(tmp_path):
    sweep = Sweep(tmp_path)
    sweep.trial()
    async with cockpit(sweep, "e") as (app, _):
        assert toasts(app) == ["no trial has failed"]
        assert not isinstance(app.screen, FailuresPage)
    sweep = failing_sweep(tmp_path / "other")
    async with cockpit(sweep, "e") as (app, pilot):
        for number in (1, 2, 3, 4):
            sweep.set(number, TrialStatus.PENDING, failure=None)
        await until(pilot, lambda: "✔ no trial has failed" in screen(app), "the empty page")


async def test_a_page_s_key_elsewhere_says_where_it_belongs(tmp_path):
    async with cockpit(failing_sweep(tmp_path)) as (app, pilot):
        app.action_act("page_requeue")
        app.action_act("page_trial_before")
        await pilot.pause()
        assert toasts(app) == ["that is a key of the failures page", "that is a key of the trial page"]


async def test_a_read_only_window_requeues_nothing(tmp_path):
    sweep = failing_sweep(tmp_path)
    async with cockpit(sweep, "e", "r", read_only=READ_ONLY) as (app, pilot):
        assert toasts(app) == [READ_ONLY]
        assert not isinstance(app.screen, Ask)
        await pilot.pause(0.4)
        assert sweep.command() is None


# -- copying


async def test_the_best_configuration_is_copied_and_lies_in_a_file(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, "y") as (app, pilot):
        await until(pilot, lambda: "learning_rate: 0.006412058523355405" in screen(app), "the YAML")
        assert "Copy the best configuration of trial_0005" in screen(app)
        await pilot.press("o")
        await until(pilot, lambda: toasts(app), "the toast")
        text = app.clipboard
        assert text.startswith("trainer.algorithm.learning_rate=0.006412058523355405 ")
        path = sweep.folder / "copied" / "trial_0005.overrides.txt"
        assert path.read_text() == text
        assert toasts(app)[0].endswith(str(path))
        assert not isinstance(app.screen, CopyMenu)


async def test_the_patch_is_what_best_writes(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, "y") as (app, pilot):
        await until(pilot, lambda: "learning_rate: 0.0064" in screen(app), "the YAML")
        await pilot.press("p")
        await until(pilot, lambda: toasts(app), "the toast")
        path = tmp_path / "configs/trainer/patch/ppo-calm-otter_best.yaml"
        assert "+trainer/patch=ppo-calm-otter_best" in path.read_text()
        assert "Best hyperparameters of sweep ppo-calm-otter: trial_0005" in path.read_text()


async def test_a_command_that_cannot_be_made_says_why(tmp_path):
    """The configuration of this sweep was made by hand, and is no whole one."""
    async with cockpit(busy_sweep(tmp_path), "y") as (app, pilot):
        await until(pilot, lambda: "learning_rate: 0.0064" in screen(app), "the YAML")
        await pilot.press("c")
        assert toasts(app) == ["the configuration of this sweep has no training command"]
        assert isinstance(app.screen, CopyMenu)


async def test_tab_is_for_the_selected_trial(tmp_path):
    async with cockpit(busy_sweep(tmp_path), "y", "tab", select=DONE) as (app, pilot):
        await until(pilot, lambda: "the configuration of trial_0001" in screen(app), "the other one")
        await until(pilot, lambda: "learning_rate: 0.00983" in screen(app), "its YAML")
        await pilot.press("p")
        await until(pilot, lambda: toasts(app), "the toast")
        path = tmp_path / "configs/trainer/patch/ppo-calm-otter_trial_0001.yaml"
        assert "Best" not in path.read_text()


async def test_a_read_only_window_writes_no_file(tmp_path):
    sweep = busy_sweep(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    async with cockpit(sweep, "y", read_only=READ_ONLY) as (app, pilot):
        await until(pilot, lambda: "learning_rate: 0.0064" in screen(app), "the YAML")
        await pilot.press("p")
        assert toasts(app) == [READ_ONLY]
        await pilot.press("y")
        assert toasts(app)[-1] == "YAML of trial_0005 copied"
        assert "learning_rate: 0.006412058523355405" in app.clipboard
    assert {path for path in tmp_path.rglob("*") if "sweep.db" not in path.name} <= set(before)


async def test_a_disk_that_refuses_is_said(tmp_path):
    sweep = busy_sweep(tmp_path)
    (sweep.folder / "copied").write_text("in the way")
    async with cockpit(sweep, "y") as (app, pilot):
        await until(pilot, lambda: "learning_rate: 0.0064" in screen(app), "the YAML")
        await pilot.press("y")
        await until(pilot, lambda: any("cannot be written" in toast for toast in toasts(app)), "the toast")
        assert "learning_rate" in app.clipboard, "the clipboard has it all the same"


# -- the best configuration


async def test_the_best_configuration_is_set_apart(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, size=(200, 60)) as (app, pilot):
        assert "★ 497.6  trial_0005  55.9 ahead of #4" in screen(app)
        assert any("learning_rate  0.006412059" in row and "+27%" in row for row in frame(app))
        with sweep.store.transaction() as tx:
            tx.set_sweep(config={**CONFIG, "protein_config": {**CONFIG["protein_config"], "parameters": {}}})
        await until(pilot, lambda: "center" not in screen(app), "a sweep without a known center")


async def test_there_is_no_best_one_yet(tmp_path):
    sweep = Sweep(tmp_path)
    sweep.trial()
    async with cockpit(sweep) as (app, pilot):
        assert "none yet: no trial has a score" in screen(app)
        with sweep.store.transaction() as tx:
            tx.set_sweep(status=SweepStatus.PAUSED)
        await pilot.press("y")
        assert "the configuration of trial_0001" in screen(app), "what there is can be copied"


@pytest.mark.parametrize(
    ("value", "other", "said"),
    [
        (1, 1, "="),
        (1.0, 1, "="),
        (True, 1, "not 1"),
        ("adam", "sgd", "not sgd"),
        (12, 10, "+20%"),
        (0.105, 0.1, "+5.0%"),
        (3e-4, 1e-3, "÷3.33"),
        (4096, 512, "×8"),
        (0.5, 0, "+0.5"),
        (-1, 2, "-3"),
        (1.0000001, 1.0, "≈"),
        (None, 1.0, "not 1.000"),
    ],
)
def test_differences(value, other, said):
    assert difference(value, other) == said


@given(
    st.dictionaries(st.text(min_size=1, max_size=30), st.floats() | st.integers() | st.text(max_size=40), max_size=6),
    st.integers(30, 200),
)
def test_a_configuration_keeps_to_its_width(params, width):
    lines = configuration(params, [("best #12345", params), ("center", dict.fromkeys(params, 1.0))], width)
    assert all(sum(cell_len(text) for text, _ in line) <= width for line in lines)


@given(st.floats() | st.integers() | st.booleans() | st.text(max_size=5), st.floats() | st.integers() | st.none())
def test_a_difference_is_never_empty_and_same_means_same(value, other):
    said = difference(value, other)
    assert said
    assert (said == SAME) == (value == other and isinstance(value, bool) == isinstance(other, bool))


# -- what processes use


CHILD = "import time; b = bytearray(80 << 20); t = time.monotonic()\nwhile True: sum(range(1000))"


@pytest.fixture
def busy_job(tmp_path):
    """A job with a keeper and two processes, one of which takes a core and 80 MB."""
    sweep = Sweep(tmp_path)
    number = sweep.trial()
    sweep.start(number)
    code = (
        f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {CHILD!r}])\n"
        "print(p.pid, flush=True); p.wait()"
    )
    keeper = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True)
    child = int(keeper.stdout.readline())
    record = {
        "token": "trial_0001.train.1",
        "key": "k" * 32,
        "host": socket.gethostname(),
        "boot": boot_id(),
        "keeper_pid": keeper.pid,
        "keeper_start": look(keeper.pid).start,
        "job_pid": child,
        "job_start": look(child).start,
        "started_at": time.time(),
        "slot": {"index": 0, "gpus": []},
    }
    path = sweep.log(number).parent / "train.1.pid.json"
    path.write_text(json.dumps(record))
    yield sweep, child, path
    os.kill(child, 9)
    keeper.wait()


def test_the_processes_of_a_job_are_measured(busy_job):
    sweep, child, path = busy_job
    sampler = Sampler(sweep.folder)
    job = sweep.store.state.running_jobs[1]
    first = sampler.look([job])[job.id]
    assert first.processes == 1
    assert first.pid == child
    assert first.cores is None, "one look is no rate"
    deadline = time.monotonic() + 30
    while (now := sampler.look([job])[job.id]).memory < 80 * MIB or not now.cores:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert 0 < now.cores < 4
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "keeper_start": "1", "job_start": "1"}))
    assert sampler.look([job]) == {}, "another process has that number now"
    path.unlink()
    assert sampler.look([job]) == {}


async def test_a_trial_s_page_shows_what_its_processes_use(busy_job):
    sweep, child, _ = busy_job
    async with cockpit(sweep, "enter", select=1) as (app, pilot):
        await until(pilot, lambda: f"process {child}" in screen(app), "the processes")
        await until(pilot, lambda: "% " in screen(app).split("Resources")[1], "a rate")
        assert " MB" in screen(app)
        await pilot.press("escape", "o")
        await until(pilot, lambda: "together" in screen(app), "the sum")


def test_what_nvidia_smi_says(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text(
        "#!/bin/sh\ncase $1 in\n"
        "*compute-apps*) echo '41, 1024'; echo '42, 512'; echo '41, 8'; echo '43, [N/A]';;\n"
        "*query-gpu*) echo '0, NVIDIA H200, 93, 62000, 143771'; echo '1, NVIDIA H200, [N/A], [N/A], [N/A]';;\nesac\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    usage._program.cache_clear()
    try:
        assert gpu_memory() == {41: 1032 * MIB, 42: 512 * MIB}
        first, second = gpus()
        assert (first.name, first.total) == ("NVIDIA H200", 143771 * MIB)
        assert math.isclose(first.busy, 0.93)
        assert second.busy is second.used is None
        program.write_text("#!/bin/sh\nexit 9\n")
        assert gpu_memory() is None
        assert gpus() == []
    finally:
        monkeypatch.undo()
        usage._program.cache_clear()


async def test_evaluations_show_their_own_log(tmp_path):
    sweep = Sweep(tmp_path)
    number = sweep.trial()
    sweep.start(number)
    sweep.end(number, 1.0)
    sweep.set(number, TrialStatus.TRAINED)
    sweep.start(number, Stage.EVAL)
    sweep.write_log(number, TRACEBACK.format(1), Stage.EVAL)
    sweep.end(number, failure=FailureKind.CRASHED, reason="eval exited with code 1: boom")
    async with cockpit(sweep, "e") as (app, pilot):
        await until(pilot, lambda: "torch.OutOfMemoryError" in screen(app), "the traceback of the evaluation")
