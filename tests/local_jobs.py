"""Real jobs on this machine, for tests: start them, wait for them, and look for what they left behind."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sweeptui.core.dispatch import DispatchError, JobExit, JobPhase, JobSpec, JobUpdate, Started
from sweeptui.core.trial import Stage, trial_id
from sweeptui.dispatchers.local import LocalDispatcher
from sweeptui.dispatchers.local.files import JobFiles, PidRecord, read_json
from sweeptui.dispatchers.local.processes import job_processes

PATIENCE_S = 120.0
"""How long a test waits for what has to happen; no test passes by waiting."""


def python(code: str, *args: str) -> tuple[str, ...]:
    """The argv of a small Python program."""
    return (sys.executable, "-S", "-c", code, *args)


def wait_until(condition: Callable[[], Any], what: str) -> Any:
    """The condition's first true value."""
    deadline = time.monotonic() + PATIENCE_S
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.01)
    return value


class Bench:
    """A sweep folder and a dispatcher on it."""

    def __init__(self, folder: Path, environ: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.environ = environ
        self.ends: dict[str, JobExit] = {}
        self.updates: list[JobUpdate] = []
        self.dispatcher = LocalDispatcher(folder, environ)

    def trial_dir(self, number: int = 1) -> Path:
        return self.folder / "trials" / trial_id(number)

    def token(self, number: int = 1) -> str:
        return f"{trial_id(number)}.train.1"

    def spec(self, argv: tuple[str, ...], number: int = 1, **changes: Any) -> JobSpec:
        folder = self.trial_dir(number)
        fields: dict[str, Any] = {
            "token": self.token(number),
            "trial": number,
            "stage": Stage.TRAIN,
            "argv": argv,
            "env": {},
            "cwd": self.folder,
            "trial_dir": folder,
            "log_path": folder / "train.1.log",
            "report_path": folder / "train.1.reports.jsonl",
        }
        return JobSpec(**(fields | changes))

    def dispatch(self, spec: JobSpec) -> Started:
        """Start one job; raises the DispatchError."""
        [answer] = self.dispatcher.dispatch([spec])
        if isinstance(answer, DispatchError):
            raise answer
        return answer

    def start(self, argv: tuple[str, ...], number: int = 1, **changes: Any) -> PidRecord:
        started = self.dispatch(self.spec(argv, number, **changes))
        record = PidRecord.from_json(started.handle)
        assert record is not None
        return record

    def wait(self, number: int = 1) -> JobExit:
        """How the job ended; sleeps on the dispatcher's descriptors."""
        deadline = time.monotonic() + PATIENCE_S
        while self.token(number) not in self.ends:
            assert time.monotonic() < deadline, f"trial {number} did not end; its log: {self.log(number)}"
            self.poll(PATIENCE_S)
        return self.ends[self.token(number)]

    def wait_phase(self, phase: JobPhase, number: int = 1) -> None:
        wanted = JobUpdate(self.token(number), phase)
        wait_until(lambda: self.poll(0.0) or wanted in self.updates, f"phase {phase}")
        self.updates.remove(wanted)

    def poll(self, timeout_s: float) -> None:
        if timeout_s:
            descriptors = self.dispatcher.fileno_set()
            select.select(descriptors, [], [], timeout_s if descriptors else 0.05)
        for update in self.dispatcher.poll():
            self.updates.append(update)
            if update.exit is not None:
                assert update.token not in self.ends, "an end was told twice"
                self.ends[update.token] = update.exit

    def run(self, argv: tuple[str, ...], number: int = 1, **changes: Any) -> JobExit:
        self.start(argv, number, **changes)
        return self.wait(number)

    def log(self, number: int = 1) -> str:
        try:
            return (self.trial_dir(number) / "train.1.log").read_text()
        except FileNotFoundError:
            return ""

    def wait_log(self, text: str, number: int = 1) -> None:
        wait_until(lambda: text in self.log(number), f"{text!r} in the log")

    def record(self, number: int = 1) -> PidRecord:
        record = PidRecord.from_json(read_json(JobFiles.of(self.trial_dir(number), self.token(number)).pid) or {})
        assert record is not None
        return record


def left_over(record: PidRecord) -> list[int]:
    """Living processes of a job, wherever they have hidden."""
    return [process.pid for process in job_processes(None, record.job_pid, record.job_start, record.key)]


ORCHESTRATOR = """
import sys, time
from pathlib import Path
from local_jobs import Bench, python
bench = Bench(Path(sys.argv[1]))
bench.dispatcher.open()
for number, code in enumerate(sys.argv[2:], start=1):
    options = {}
    if code.startswith('#timeout='):
        options['timeout_s'] = float(code.splitlines()[0].partition('=')[2])
    bench.start(python(code), number, **options)
print(bench.dispatcher.launcher_pid, flush=True)
time.sleep(600)
"""


def kill_orchestrator_after(folder: Path, *codes: str, until: Callable[[], Any] = lambda: True) -> int:
    """Run an orchestrator in a process of its own, have it start trials 1, 2, ..., then kill -9 it.

    Returns the pid of the launcher that it had.
    """
    environ = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    argv = [sys.executable, "-c", ORCHESTRATOR, str(folder), *codes]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environ) as process:
        assert process.stdout is not None
        launcher = int(process.stdout.readline())
        wait_until(until, "the moment to kill the orchestrator")
        process.kill()
        assert process.wait() == -9
    return launcher
