"""While a process is stopped (SIGSTOP), as a paused trial's is, the clocks of its stages stand still."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from commandline import Project, until

from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import TrialStatus
from sweeptui.dispatchers.local.processes import look
from sweeptui.folders import DATABASE, sweep_path

TIMEOUT_S, STOPPED_S = 3.0, 3.5
FLOW = f"""
import asyncio, os, sys, time
from pathlib import Path
import sweeptui
from sweeptui.experiments import Pipeline

kind, go = sys.argv[1:3]

def begin():
    Path(kind + ".part").write_text(str(os.getpid()))
    os.rename(kind + ".part", kind + ".pid")

def sync() -> int:
    begin()
    while not Path(go).exists():
        time.sleep(0.01)
    return 1

async def coroutine() -> int:
    begin()
    while not Path(go).exists():
        await asyncio.sleep(0.01)
    return 1

async def within() -> None:
    await flow.run()

flow = Pipeline().stage("wait", coroutine if kind == "coroutine" else sync).through(n=int, timeout={TIMEOUT_S})
if kind == "thread":
    asyncio.run(within())
else:
    flow.run()
sweeptui.report(step=1, score=1.0)
"""


def pid_of(folder: Path, kind: str) -> int:
    until((folder / f"{kind}.pid").exists)
    return int((folder / f"{kind}.pid").read_text())


def is_stopped(pid: int) -> bool:
    process = look(pid)
    return process is not None and process.state == "T"


def longer_than_the_timeout() -> None:
    """The one thing that only time can show."""
    over = time.monotonic() + STOPPED_S
    until(lambda: time.monotonic() > over)


def test_a_stage_of_a_stopped_process_goes_on_with_the_time_it_had(tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(FLOW)
    kinds = {"main": "go", "thread": "go", "coroutine": "go", "for ever": "never"}
    running = {
        kind: subprocess.Popen([sys.executable, "flow.py", kind, go], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        for kind, go in kinds.items()
    }
    try:
        for kind in kinds:
            pid = pid_of(tmp_path, kind)
            os.kill(pid, signal.SIGSTOP)
            until(lambda pid=pid: is_stopped(pid))
        longer_than_the_timeout()
        assert all(is_stopped(process.pid) for process in running.values())
        (tmp_path / "go").touch()
        for process in running.values():
            process.send_signal(signal.SIGCONT)
        said = {kind: process.communicate(timeout=120)[1] for kind, process in running.items()}
    finally:
        for process in running.values():
            process.kill()
            process.wait()
    assert [running[kind].returncode for kind in kinds] == [0, 0, 0, 1], said
    assert f"StageError: stage 'wait' did not end within {TIMEOUT_S:g} s" in said["for ever"], "its time was still used"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_a_pipeline_inside_a_paused_trial_does_not_time_out(project: Project) -> None:
    (project.folder / "flow.py").write_text(FLOW)
    recipe = project.recipe(train_command=["{python}", "flow.py", "main", "go"], sweep_name="inner", max_trials=1)
    running = project.start("run", recipe, "--headless")
    pid = pid_of(project.folder, "main")
    with closing(SqliteStore.open(sweep_path(project.folder, "inner") / DATABASE)) as store:
        store.submit("pause", {"trials": [1]}, "test")
        until(lambda: is_stopped(pid))
        store.refresh()
        assert store.state.trials[1].status is TrialStatus.PAUSED
        longer_than_the_timeout()
        assert is_stopped(pid)
        (project.folder / "go").touch()
        store.submit("resume", {"trials": [1]}, "test")
        out, err = running.communicate(timeout=120)
        assert running.returncode == 0, out + err
        store.refresh()
        assert (store.state.trials[1].status, store.state.trials[1].score) == (TrialStatus.COMPLETED, 1.0)
