"""A sweep without a screen: what it prints, how it ends, what signals do."""

from __future__ import annotations

import io
import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
from app_sweep import Sweep
from commandline import Project, until

from sweeptui.core.state import Change, ChangeKind, SweepState, SweepStatus
from sweeptui.headless.narrator import Narrator


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def processes_of(project: Project) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if "train.py" in process.cmdline() and process.cwd() == str(project.folder):
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_lines_and_summary_have_the_documented_form(project: Project) -> None:
    lines = project.run("recipe.yaml", "--sweep-name", "s").stdout.splitlines()
    shown = project.json("show", "s")
    first, second = shown["trials"]
    best = max(first, second, key=lambda trial: trial["score"])
    assert lines[:4] == [
        "[SweepOrchestrator] Starting sweep: s",
        "[SweepOrchestrator] Recipe: recipe.yaml",
        "[SweepOrchestrator] Max trials: 2",
        "[SweepOrchestrator] Dispatcher type: local",
    ]
    begun = lines.index("[OptimizingScheduler] Scheduling trial 1/2: trial_0001")
    lr = first["params"]["model.lr"]
    assert lines[begun + 1] == f"[OptimizingScheduler]    model.lr: {lr!r}"
    assert lines[begun + 2] == f"[trial_0001] training with {lr!r}"
    assert lines[begun + 3] == f"[SweepOrchestrator] Trial trial_0001 completed with score: {first['score']!r}"
    table = lines.index("[SweepOrchestrator] SWEEP SUMMARY")
    assert lines[table + 2] == "[SweepOrchestrator] Run ID                    Status         Score"
    assert lines[table + 4] == f"[SweepOrchestrator] trial_0001                completed      {first['score']!r}"
    end = lines.index("[SweepOrchestrator] Best result:")
    assert lines[end + 1 : end + 3] == [
        f"[SweepOrchestrator]    Run: s_{best['id']}",
        f"[SweepOrchestrator]    Score: {best['score']!r}",
    ]
    config = "\n".join(lines[end + 3 :]).partition("Config: ")[2]
    assert json.loads(config) == best["params"]


def test_evaluation_is_told(project: Project) -> None:
    project.recipe(eval_command=["{python}", "-S", "train.py", "0.5", "ok"], max_trials=1)
    out = project.run("recipe.yaml", "--sweep-name", "s").stdout
    assert "[OptimizingScheduler] Scheduling evaluation for trial_0001" in out
    assert "Trial trial_0001 completed with score: -0.5" in out


def test_json_lines_have_the_documented_shapes(project: Project) -> None:
    told = events(project.run("recipe.yaml", "--sweep-name", "s", "--json").stdout)
    document = (Path(__file__).parent.parent / "docs" / "cli.md").read_text()
    for event in told:
        assert f"`{event['event']}`" in document
        for key in event:
            assert f"`{key}`" in document or f'"{key}"' in document
    kinds = [event["event"] for event in told]
    assert kinds[0] == "sweep_started"
    assert kinds[-1] == "summary"
    assert {"scheduled", "log", "job_ended", "trial_status", "sweep_status"} < set(kinds)
    summary = told[-1]
    assert summary["exit_code"] == 0
    assert summary["state"] == "finished"
    assert summary["counts"]["completed"] == 2
    assert [trial["status"] for trial in summary["trials"]] == ["completed", "completed"]


def test_quiet_leaves_out_logs_and_scheduling(project: Project) -> None:
    out = project.run("recipe.yaml", "--sweep-name", "s", "--quiet").stdout
    assert "Scheduling" not in out
    assert "[trial_0001]" not in out
    assert "completed with score" in out
    assert "SWEEP SUMMARY" in out


def test_failures_are_told_with_kind_reason_and_log(project: Project) -> None:
    project.recipe("crash", max_trials=1, capture_output=False)
    done = project.run("recipe.yaml", "--sweep-name", "s", code=3)
    assert "Trial trial_0001 failed (crashed): " in done.stdout
    assert "[trial_0001] | about to break" in done.stdout
    assert "[trial_0001] | broken on purpose" in done.stdout
    assert "Best result: none" in done.stdout


def test_a_command_that_never_reports_ends_without_a_success(project: Project) -> None:
    project.recipe("silent", max_trials=1)
    assert "failed (no_metric)" in project.run("recipe.yaml", "--sweep-name", "s", code=3).stdout


def test_circuit_breaker_has_its_own_exit_code(project: Project) -> None:
    project.recipe("crash", max_trials=9, breaker_failures=2)
    out = project.run("recipe.yaml", "--sweep-name", "s", code=4).stdout
    assert "2 trials in a row failed with crashed" in out
    assert len(project.json("show", "s")["trials"]) == 2


def test_a_spent_budget_has_its_own_exit_code(project: Project) -> None:
    project.recipe(max_trials=9, max_cost=4.0)
    assert "cost budget" in project.run("recipe.yaml", "--sweep-name", "s", code=5).stdout
    assert len(project.json("show", "s")["trials"]) == 2


def test_a_missed_target_has_its_own_exit_code(project: Project) -> None:
    project.recipe(target_score=100.0)
    project.run("recipe.yaml", "--sweep-name", "s", code=5)
    project.recipe(target_score=-100.0, max_trials=9)
    project.run("recipe.yaml", "--sweep-name", "reached", code=0)
    assert len(project.json("show", "reached")["trials"]) == 1


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_the_trials_and_the_next_run_goes_on(project: Project, signum: int, code: int) -> None:
    project.recipe("wait")
    running = project.start("recipe.yaml", "--sweep-name", "s")
    project.waiting("s")
    assert processes_of(project)
    running.send_signal(signum)
    out, _ = running.communicate(timeout=120)
    assert running.returncode == code
    assert not processes_of(project)
    assert "SWEEP SUMMARY" in out
    shown = project.json("show", "s")
    assert shown["state"] == "interrupted"
    assert shown["trials"][0]["status"] == "pending"
    project.go()
    project.run("recipe.yaml", "--sweep-name", "s")
    assert [trial["status"] for trial in project.json("show", "s")["trials"]] == ["completed", "completed"]


def test_a_second_signal_kills_trials_that_will_not_end(project: Project) -> None:
    (project.folder / "stubborn.sh").write_text(
        "trap '' TERM INT; touch $SWEEPTUI_TRIAL_DIR/waiting; while true; do sleep 0.1; done"
    )
    project.recipe(train_command=["sh", "stubborn.sh"], kill_grace_s=600.0)
    running = project.start("recipe.yaml", "--sweep-name", "s")
    assert running.stdout is not None
    project.waiting("s")
    running.send_signal(signal.SIGINT)
    assert any("stopping" in line for line in running.stdout)
    assert running.poll() is None
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=120)
    assert running.returncode == 130
    assert project.json("show", "s")["trials"][0]["status"] == "pending"


@pytest.mark.parametrize(("words", "signum", "code"), [(["--detach"], signal.SIGINT, 130), ([], signal.SIGHUP, 129)])
def test_detached_trials_run_on_and_are_adopted(project: Project, words: list[str], signum: int, code: int) -> None:
    project.recipe("wait", max_trials=1)
    running = project.start("recipe.yaml", "--sweep-name", "s", *words)
    project.waiting("s")
    [before] = processes_of(project)
    running.send_signal(signum)
    running.communicate(timeout=120)
    assert running.returncode == code
    assert [process.pid for process in processes_of(project)] == [before.pid]
    assert project.json("list")[0]["state"] == "detached"
    project.go()
    project.run("continue", "s")
    [trial] = project.json("show", "s")["trials"]
    assert (trial["status"], trial["attempts"]) == ("completed", 1)


def test_a_reader_that_goes_away_does_not_end_the_sweep(project: Project) -> None:
    project.recipe("wait")
    running = project.start("recipe.yaml", "--sweep-name", "s")
    assert running.stdout is not None
    project.waiting("s")
    running.stdout.readline()
    running.stdout.close()
    project.go()
    assert running.wait(60) == 0
    assert running.stderr is not None
    assert running.stderr.read() == ""
    running.stderr.close()
    assert project.json("show", "s")["counts"]["completed"] == 2


def test_a_reader_that_does_not_read_does_not_hold_the_sweep_up(tmp_path: Path) -> None:
    """The pipe is full: `changed` returns all the same."""
    read, write = os.pipe()
    stream = os.fdopen(write, "w")
    narrator = Narrator(stream, tmp_path, as_json=True, quiet=False, echo=False, colour=False)
    state = SweepState()
    change = Change(1, 0.0, ChangeKind.SWEEP_CHANGED, None, {"status": "running", "reason": "x" * 1000}, "test")
    for _ in range(500):
        narrator.changed([change], state)
    drained: list[bytes] = []
    reader = threading.Thread(target=lambda: drained.extend(iter(lambda: os.read(read, 1 << 16), b"")))
    reader.start()
    narrator.close()
    stream.close()
    reader.join()
    os.close(read)
    assert len(b"".join(drained)) > 500 * 1000


def test_an_encoding_without_the_letters_does_not_end_the_sweep(project: Project) -> None:
    (project.folder / "letters.sh").write_text("echo 'größer ☃'; echo '{\"score\": 1}' >> $SWEEPTUI_REPORT")
    project.recipe(train_command=["sh", "letters.sh"], max_trials=1)
    out = project.run("recipe.yaml", "--sweep-name", "s", PYTHONIOENCODING="ascii").stdout
    assert "[trial_0001] gr??er" in out or "[trial_0001] gr?" in out


def terminal(project: Project, *words: str, **env: str) -> str:
    """What a command prints on a terminal."""
    ours, theirs = pty.openpty()
    running = subprocess.Popen(
        project.argv(*words), cwd=project.folder, env=project.env(**env), stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown = io.BytesIO()
    while True:
        try:
            chunk = os.read(ours, 1 << 16)
        except OSError:
            break
        if not chunk:
            break
        shown.write(chunk)
    os.close(ours)
    running.wait(60)
    return shown.getvalue().decode()


def test_of_what_a_trial_prints_only_colours_reach_a_terminal(project: Project) -> None:
    project.recipe("escape", max_trials=1)
    words = ["recipe.yaml", "--headless", "--sweep-name"]
    assert "[trial_0001] \x1b[31mred\x1b[0m plain\x1b[0m\r\n" in terminal(project, *words, "colours")
    assert "\x1b" not in terminal(project, *words, "none", NO_COLOR="1")
    assert "\x1b" not in terminal(project, "recipe.yaml", "--sweep-name", "dumb", TERM="dumb")
    assert "\x1b" not in project.run(*words, "pipe").stdout


def test_bare_where_no_screen_can_be_drawn_says_what_to_write(project: Project) -> None:
    shown = terminal(project, TERM="dumb")
    assert "this folder has no default sweep" in shown
    assert "quick_test" in shown


def test_attach_without_a_terminal_follows_to_the_end(project: Project) -> None:
    project.recipe("wait")
    running = project.start("recipe.yaml", "--sweep-name", "s")
    project.waiting("s")
    following = project.start("attach", "s", "--json")
    assert following.stdout is not None
    assert json.loads(following.stdout.readline())["event"] == "sweep_started"
    project.go()
    out, err = following.communicate(timeout=120)
    running.communicate(timeout=120)
    assert following.returncode == 0, err
    assert events(out)[-1]["event"] == "summary"
    assert {event["trial"] for event in events(out) if event["event"] == "trial_status"} == {"trial_0001", "trial_0002"}


def test_attach_without_a_terminal_goes_on_with_a_file_that_takes_the_place_of_the_first(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path)
    sweep.store.acquire_lease("headless", ttl_s=3600)
    sweep.start(sweep.trial())
    database, first, then = (sweep.folder / name for name in ("sweep.db", "first", "then"))
    with closing(sqlite3.connect(database)) as db, closing(sqlite3.connect(first)) as copy:
        db.backup(copy)
    sweep.end(1, 12.5)
    with sweep.store.transaction() as tx:
        tx.set_sweep(status=SweepStatus.FINISHED, reason="all is done")
    sweep.store.release_lease()
    sweep.store.close()
    database.rename(then)
    first.rename(database)
    command = [sys.executable, "-m", "sweeptui", "attach", str(sweep.folder), "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as following:
        try:
            assert following.stdout is not None
            assert json.loads(following.stdout.readline())["event"] == "sweep_started"
            then.replace(database)
            out, err = following.communicate(timeout=120)
        finally:
            following.kill()
    assert following.returncode == 0, err
    [ended] = [event for event in events(out) if event["event"] == "trial_status"]
    assert (ended["trial"], ended["status"]) == ("trial_0001", "completed")
    assert events(out)[-1]["reason"] == "all is done"


def test_a_second_run_of_the_same_sweep_watches_the_first(project: Project) -> None:
    project.recipe("wait")
    running = project.start("recipe.yaml", "--sweep-name", "s")
    project.waiting("s")
    second = project.start("recipe.yaml", "--sweep-name", "s")
    assert second.stdout is not None
    assert f"process {running.pid}" in second.stdout.readline()
    project.go()
    out, _ = second.communicate(timeout=120)
    running.communicate(timeout=120)
    assert (running.returncode, second.returncode) == (0, 0)
    assert "Trial trial_0002 completed" in out
    assert [trial["attempts"] for trial in project.json("show", "s")["trials"]] == [1, 1]


def test_attach_to_a_sweep_that_nobody_runs_says_so(project: Project) -> None:
    project.recipe("wait", max_trials=1)
    running = project.start("recipe.yaml", "--sweep-name", "s")
    project.waiting("s")
    running.kill()
    running.communicate()
    done = project.run("attach", "s", code=2)
    assert "sweeptui continue s" in done.stderr
    project.json("kill", "s", "1")
    until(lambda: not processes_of(project))
