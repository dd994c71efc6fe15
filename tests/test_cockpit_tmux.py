"""The cockpit in a real terminal, on a real sweep: what is on the screen, and which processes live."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
from pathlib import Path

import psutil
import pytest
from rich.cells import cell_len
from test_terminal import FAULTY
from tmux_terminal import look, ours, ours_running, start, wait_for  # noqa: F401 - one of them is a fixture

from sweeptui.core.state import SweepStatus
from sweeptui.core.trial import TrialStatus

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")

TRAIN = """\
import json, os, sys, time
trial = int(os.environ["SWEEPTUI_TRIAL_DIR"][-4:])
score = float(sys.argv[1])
for step in (1, 2, 3):
    print(f"epoch {step} of trial {trial}", flush=True)
    with open(os.environ["SWEEPTUI_REPORT"], "a") as file:
        file.write(json.dumps({"step": step, "total_steps": 4, "score": score * step / 4}) + "\\n")
while trial > 3 and not os.path.exists("go"):
    time.sleep(0.05)
with open(os.environ["SWEEPTUI_REPORT"], "a") as file:
    file.write(json.dumps({"step": 4, "total_steps": 4, "score": score, "cost": 1.5}) + "\\n")
"""
"""The first three trials end at once, the others when the file `go` is there."""
RECIPE = {
    "protein_config": {
        "metric": "score",
        "goal": "maximize",
        "method": "random",
        "parameters": {"model.lr": {"distribution": "uniform", "min": 0.1, "max": 0.9}},
    },
    "min_free_disk_mb": 0,
    "kill_grace_s": 5.0,
    "train_command": ["{python}", "-S", "train.py", "{p:model.lr}"],
}
SWEEP = ("recipe.yaml", "--sweep-name", "s", "--max-parallel-jobs", "2")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "recipe.yaml").write_text(json.dumps(RECIPE))
    return tmp_path


def trainings(folder: Path) -> dict[int, psutil.Process]:
    """The processes that train, by their trials."""
    found = {}
    for process in ours(folder):
        if "train.py" in process.cmdline():
            found[int(process.environ()["SWEEPTUI_TRIAL_DIR"][-4:])] = process
    return found


def rows(screen: str) -> list[int]:
    """The trials of the table on the screen, from top to bottom."""
    found = (re.match(r"[│▌\s●]*(\d+)\s+[✔▶‖✗◌☠✂]", line) for line in screen.splitlines())
    return [int(match[1]) for match in found if match]


def trial(folder: Path, number: int):
    return look(folder)[0].trials[number]


def test_a_sweep_is_steered_by_keys_from_its_start_to_its_end(project, start):  # noqa: F811
    terminal = start(*SWEEP, "--max-trials", "7")
    terminal.shows("sweeptui s", "▶ running", "▶ 2/2 running", "epoch 3 of trial 5", "╭─ Trials 5")
    terminal.sees(lambda screen: rows(screen) == [1, 2, 3, 4, 5], "the trials as they came")

    # Sorting, by a column of the menu, and the other way round.
    scores = {number: trial(project, number).score for number in (1, 2, 3)}
    best_first = sorted(scores, key=scores.get, reverse=True)
    done = {1, 2, 3}
    assert best_first != sorted(done) != best_first[::-1], "or the order would tell nothing"
    terminal.press("s")
    terminal.shows("Sort by", "greatest first")
    terminal.write("score")
    terminal.press("Enter")
    terminal.sees(lambda screen: [n for n in rows(screen) if n in done] == best_first, f"the best first: {scores}")
    terminal.press("S")
    terminal.sees(lambda screen: [n for n in rows(screen) if n in done] == best_first[::-1], "the best last")

    # Filtering.
    terminal.press("/")
    terminal.shows("state:")
    terminal.write("state:done")
    terminal.sees(lambda screen: sorted(rows(screen)) == [1, 2, 3], "those that are done")
    terminal.press("Enter")
    terminal.shows("Trials 3 of 5", "/ state:done")
    terminal.press("Escape")
    terminal.sees(lambda screen: sorted(rows(screen)) == [1, 2, 3, 4, 5], "all of them again")

    # Marking, and pausing what is marked: the processes stop, the others run on.
    before = trainings(project)
    assert set(before) == {4, 5}
    terminal.press(":")
    terminal.shows("Enter does it")
    terminal.write("goto 4")
    terminal.press("Enter")
    terminal.shows("Log trial_0004")
    terminal.press("Space")
    terminal.shows("● 1 marked")
    terminal.press("p")
    terminal.shows("trial_0004 is paused", "‖ paused")
    assert trial(project, 4).status is TrialStatus.PAUSED
    assert (before[4].status(), before[5].status() == psutil.STATUS_STOPPED) == (psutil.STATUS_STOPPED, False)
    terminal.press("p")
    terminal.shows("trial_0004 goes on")
    wait_for(lambda: before[4].status() != psutil.STATUS_STOPPED, lambda: "its process going on")
    terminal.press("u")
    terminal.sees(lambda screen: "marked" not in screen, "no mark")

    # Killing asks; the answer that is offered is no.
    terminal.press("x")
    terminal.shows("Kill trial_0004?")
    terminal.press("Enter")
    terminal.sees(lambda screen: "Kill trial_0004?" not in screen, "the end of the question")
    terminal.press("x")
    terminal.shows("Kill trial_0004?")
    terminal.press("y")
    terminal.shows("☠ killed", "killed by")
    wait_for(lambda: not before[4].is_running(), lambda: "the end of its process")
    assert trial(project, 4).status is TrialStatus.KILLED
    assert before[5].is_running()

    # Requeueing: a new attempt, as soon as a slot is free.
    wait_for(lambda: set(trainings(project)) == {5, 6}, lambda: "the next trial in its slot")
    terminal.press("r")
    terminal.shows("◌ queued")
    wait_for(lambda: trial(project, 4).status is TrialStatus.PENDING, lambda: "the queue")

    # Detaching: the trials run on, and a headless orchestrator holds the lease.
    before = trainings(project)
    cockpit = terminal.pid()
    terminal.press("q")
    terminal.shows("Leave it how?")
    terminal.press("Enter")
    terminal.shows("s goes on in the background. Come back with: sweeptui attach s", "EXIT=0")
    terminal.assert_usable()
    assert not psutil.pid_exists(cockpit)
    state, lease = look(project)
    assert lease is not None
    assert lease.alive
    assert lease.label == "headless"
    assert {number: process.pid for number, process in trainings(project).items()} == {
        number: process.pid for number, process in before.items()
    }
    assert all(state.trials[number].attempt == 1 for number in (5, 6)), "they were adopted, not started again"

    # Attaching, at every size.
    terminal = start("attach", "s")
    shown = terminal.shows(f"run by headless (process {lease.pid}", "▶ 2/2 running", "Best", "Log trial")
    assert all(cell_len(line) <= 120 for line in shown.splitlines())
    terminal.resize(40, 12)
    shown = terminal.sees(  # no room for frames
        lambda screen: len(screen.splitlines()) == 12 and "│" not in screen and "q quit" in screen and rows(screen),
        "12",
    )
    assert "q quit" in shown.splitlines()[-1]
    assert all(cell_len(line) <= 40 for line in shown.splitlines())
    assert "sweeptui s" in shown
    terminal.resize(120, 40)
    terminal.sees(lambda screen: len(screen.splitlines()) == 40 and "╭─ Trials" in screen and "Best" in screen, "40")

    # To the end, which takes nothing with it and leaves nothing.
    (project / "go").touch()
    wait_for(lambda: look(project)[0].status is SweepStatus.FINISHED, lambda: "the end")
    terminal.shows("✔ finished", "7/7", "★")
    assert trial(project, 4).attempt == 2
    assert look(project)[0].counts[TrialStatus.COMPLETED] == 7
    terminal.press("q")
    terminal.shows("EXIT=0", "s is finished: all 7 trials are done. Best: ")
    wait_for(lambda: not ours_running(project), lambda: f"no process left: {ours_running(project)}")


def test_finishing_launches_nothing_more_and_ends_after_what_runs(project, start):  # noqa: F811
    terminal = start(*SWEEP, "--max-trials", "9")
    terminal.shows("▶ 2/2 running", "3/9")
    running = trainings(project)
    terminal.press("q")
    terminal.shows("Leave it how?")
    terminal.press("f")
    terminal.shows("s stops after its running trials. Come back with: sweeptui attach s", "EXIT=0")
    terminal.assert_usable()
    wait_for(lambda: look(project)[0].status is SweepStatus.STOPPING, lambda: "the order to stop is carried out")
    assert trainings(project).keys() == running.keys(), "they run on"
    for process in running.values():
        process.kill()
    wait_for(lambda: look(project)[0].status is SweepStatus.STOPPED, lambda: "the end")
    assert trainings(project) == {}
    assert max(look(project)[0].trials) == max(running), "nothing was launched any more"


def test_stopping_ends_the_trials_and_they_are_queued_again(project, start):  # noqa: F811
    terminal = start(*SWEEP, "--max-trials", "5")
    terminal.shows("▶ 2/2 running", "3/5")
    terminal.press("q")
    terminal.shows("Leave it how?")
    terminal.press("k")
    terminal.shows("s is stopped and its trials are queued again. Go on with: sweeptui continue s", "EXIT=130")
    terminal.assert_usable()
    assert trainings(project) == {}
    state, lease = look(project)
    assert state.status is SweepStatus.INTERRUPTED
    assert state.counts[TrialStatus.PENDING] == 2
    assert lease is None


def test_sigterm_restores_the_terminal_and_stops_the_trials(project, start):  # noqa: F811
    terminal = start(*SWEEP, "--max-trials", "5")
    terminal.shows("▶ 2/2 running", "3/5")
    os.kill(terminal.pid(), signal.SIGTERM)
    screen = terminal.shows("EXIT=143", "s is stopped")
    assert "─" not in screen, "the cockpit is gone from the screen"
    terminal.assert_usable()
    assert trainings(project) == {}


def assert_it_goes_on_without(project: Path, cockpit: int, before: dict[int, psutil.Process]) -> None:
    """Somebody else runs the sweep, to its end, with the same trials."""
    wait_for(lambda: not psutil.pid_exists(cockpit), lambda: "the cockpit's end")
    wait_for(lambda: (lease := look(project)[1]) is not None and lease.alive and lease.pid != cockpit)
    assert {n: p.pid for n, p in trainings(project).items()} == {n: p.pid for n, p in before.items()}
    (project / "go").touch()
    wait_for(lambda: look(project)[0].status is SweepStatus.FINISHED, lambda: "the end")
    assert all(trial.attempt == 1 for trial in look(project)[0].trials.values()), "adopted, not started again"


def test_a_terminal_that_goes_away_takes_no_trial_with_it(project, start):  # noqa: F811
    terminal = start(*SWEEP, "--max-trials", "5")
    terminal.shows("▶ 2/2 running", "3/5")
    cockpit, before = terminal.pid(), trainings(project)
    assert set(before) == {4, 5}
    terminal.hang_up()
    assert_it_goes_on_without(project, cockpit, before)


def test_a_signal_that_says_so_of_a_terminal_that_is_there_leaves_it_as_it_was(project, start):  # noqa: F811
    terminal = start(*SWEEP, "--max-trials", "5")
    terminal.shows("▶ 2/2 running", "3/5")
    cockpit, before = terminal.pid(), trainings(project)
    os.kill(cockpit, signal.SIGHUP)
    terminal.shows("s goes on in the background. Come back with: sweeptui attach s", "EXIT=129")
    terminal.assert_usable()
    assert_it_goes_on_without(project, cockpit, before)


def test_a_fault_of_the_screen_loses_no_trial(project, start):  # noqa: F811
    (project / "faulty.py").write_text(FAULTY)
    terminal = start(*SWEEP, "--max-trials", "5", argv=(sys.executable, "faulty.py", "paint"))
    terminal.shows("▶ 2/2 running", "3/5")
    cockpit, before = terminal.pid(), trainings(project)
    assert set(before) == {4, 5}
    terminal.press("k")
    screen = terminal.shows("s goes on in the background. Come back with: sweeptui attach s", "EXIT=1")
    assert (project / "broken").exists(), "the fault happened"
    assert "error: the screen ended by a fault of its own, Broken: on purpose" in screen
    assert "cockpit.log" in screen.replace("\n", "")
    terminal.assert_usable()
    assert_it_goes_on_without(project, cockpit, before)


def test_a_trial_that_is_killed_from_outside_takes_nothing_with_it(project, start):  # noqa: F811
    terminal = start(*SWEEP, "--max-trials", "5")
    terminal.shows("▶ 2/2 running", "3/5")
    before = trainings(project)
    os.kill(before[4].pid, signal.SIGKILL)
    terminal.shows("✗ ", "SIGKILL", "▶ 1/2 running")
    assert trial(project, 4).status is TrialStatus.FAILED
    assert before[5].is_running()
    terminal.press("q")
    terminal.shows("Leave it how?")
    terminal.press("k")
    terminal.shows("s is stopped", "EXIT=130")
    terminal.assert_usable()
    wait_for(lambda: not ours_running(project), lambda: f"no process left: {ours_running(project)}")
