"""Sweeps of tiny shell commands on the real engine: in a thread, or in a process that can be killed at any write."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from sweeptui import launch
from sweeptui.core.config import SweepTool
from sweeptui.core.limits import Ending
from sweeptui.core.state import SweepState, SweepStatus
from sweeptui.core.stores.base import StoreMissingError
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import Job

NAME = "tiny"
TAG = "SWEEPTUI_TEST_RUN"
DRIVER = Path(__file__).with_name("engine_driver.py")
PATIENCE_S = 40.0

RAN = 'echo "$SWEEPTUI_TRIAL $SWEEPTUI_STAGE" >> "$RAN"; '
"""Leaves a line each time that a job really runs."""
REPORT = 'echo "{{\\"score\\": $1, \\"cost\\": 1}}" >> "$SWEEPTUI_REPORT"; '
STARTED = 'echo $$ > "$SIGNS/$SWEEPTUI_JOB.pid"; '
"""Says that it runs, and under which pid."""
WAIT = 'until [ -e "$SIGNS/go" ] || [ -e "$SIGNS/$SWEEPTUI_JOB.go" ]; do sleep 0.02; done; '

T = TypeVar("T")


def sh(script: str) -> list[str]:
    """An argv template that runs `script` with the parameter x as $1. Braces are to be doubled."""
    return ["/bin/sh", "-c", script, "sh", "{p:x}"]


@dataclass
class Sweep:
    """A sweep in a folder of its own, beside the traces that its jobs leave."""

    folder: Path
    root: Path = Path()

    def __post_init__(self) -> None:
        if self.root == Path():
            self.root = self.folder / "root"
        self.signs.mkdir(parents=True)
        self.root.mkdir(exist_ok=True)
        self.tag = uuid4().hex

    @property
    def ran(self) -> Path:
        return self.folder / "ran.txt"

    @property
    def signs(self) -> Path:
        return self.folder / "signs"

    @property
    def database(self) -> Path:
        return launch.sweep_path(self.root, NAME) / launch.DATABASE

    def tool(self, train: str = RAN + REPORT, evaluate: str | None = None, **fields: Any) -> SweepTool:
        parameters = fields.pop("parameters", {"x": {"distribution": "uniform", "min": 0.0, "max": 1.0}})
        return SweepTool.from_json(
            {
                "sweep_name": NAME,
                "protein_config": {
                    "method": fields.pop("method", "random"),
                    "goal": fields.pop("goal", "maximize"),
                    "parameters": parameters,
                    "settings": fields.pop("settings", {}),
                },
                "train_command": sh(train),
                "eval_command": sh(evaluate) if evaluate else None,
                "working_dir": str(self.folder),
                "env": {"RAN": str(self.ran), "SIGNS": str(self.signs), TAG: self.tag},
                "kill_grace_s": 0.5,
                "min_free_disk_mb": 0,
                "max_trials": 3,
                **fields,
            }
        )

    # -- what its jobs did

    def runs(self) -> Counter[str]:
        """How often each job really ran: `trial_0001 train`."""
        return Counter(self.ran.read_text().splitlines()) if self.ran.exists() else Counter()

    def go(self, token: str = "") -> None:
        """Let a job that waits go on, or all of them."""
        (self.signs / (f"{token}.go" if token else "go")).touch()

    def started(self, token: str) -> int:
        """The pid of a job, once it runs."""
        path = self.signs / f"{token}.pid"
        return int(until(lambda: path.exists() and path.read_text().strip()))

    def keeper_of(self, token: str) -> int:
        trial, _, job = token.partition(".")
        record = json.loads((self.database.parent / "trials" / trial / f"{job}.pid.json").read_text())
        return int(record["keeper_pid"])

    def left_running(self) -> list[int]:
        """Pids of its launchers, keepers and jobs: everything that was started under its tag."""
        entry = f"{TAG}={self.tag}".encode()
        return [pid for pid in pids() if entry in environment(pid) and alive(pid)]

    def assert_nothing_runs(self) -> None:
        until(lambda: not self.left_running())

    # -- what its database says

    @contextlib.contextmanager
    def store(self) -> Iterator[SqliteStore]:
        with contextlib.closing(SqliteStore.open(self.database)) as store:
            yield store

    @property
    def state(self) -> SweepState:
        with contextlib.closing(SqliteStore.open(self.database, readonly=True)) as store:
            return store.state

    def jobs(self, trial: int) -> list[Job]:
        with contextlib.closing(SqliteStore.open(self.database, readonly=True)) as store:
            return store.jobs(trial)

    def until(self, true: Callable[[SweepState], T]) -> T:
        """Wait for the database to say so."""

        def look() -> T | None:
            try:
                return true(self.state)
            except StoreMissingError:
                return None

        return until(look)

    def ask(self, verb: str, **args: Any) -> str:
        """Submit a command, as another process would, and return its answer once there is one."""
        with self.store() as store:
            number = store.submit(verb, args, "tester")

            def answered() -> str | None:
                command = store.command(number)
                return f"{command.state}: {command.result}" if command.state != "pending" else None

            return str(until(answered))

    def lease_pid(self) -> int | None:
        """Who runs it."""
        with contextlib.closing(SqliteStore.open(self.database, readonly=True)) as store:
            lease = store.lease()
            return lease.pid if lease else None

    def assert_consistent(self) -> None:
        """The journal, replayed, says what the tables say."""
        with contextlib.closing(SqliteStore.open(self.database, readonly=True)) as store:
            assert_replays(store)

    # -- running it here

    @contextlib.contextmanager
    def running(self, tool: SweepTool) -> Iterator[Running]:
        """Run it in a thread of this process. What still runs when the block is left is interrupted."""
        running = Running(launch.prepare("test", tool, self.root))
        try:
            yield running
        finally:
            self.go()
            running.session.interrupt()
            running.thread.join(PATIENCE_S)

    def run(self, tool: SweepTool) -> Ending:
        """Run it to its end."""
        return launch.prepare("test", tool, self.root).run()


class Running:
    """A sweep that a thread of this process runs."""

    def __init__(self, session: launch.Session) -> None:
        self.session = session
        self._ending: Ending | BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    @property
    def orchestrator(self) -> Any:
        """Once there is one."""
        return until(lambda: self.session._orchestrator)

    def _run(self) -> None:
        try:
            self._ending = self.session.run()
        except BaseException as error:
            self._ending = error

    def alive(self) -> bool:
        """True; raises what ended it before its time."""
        if isinstance(self._ending, BaseException):
            raise self._ending
        return True

    def ending(self) -> Ending:
        """Its ending, once it has one; raises what it raised."""
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive(), "the sweep did not end"
        if isinstance(self._ending, BaseException):
            raise self._ending
        assert self._ending is not None
        return self._ending


class Driver:
    """A process that forks one for each sweep it is asked to run, one at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(DRIVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._running = 0

    def start(self, sweep: Sweep, tool: SweepTool, **request: Any) -> int:
        """Begin a run; its pid. `request`: die_at, die_before, leave_running, lease_ttl_s."""
        self._out = sweep.folder / f"out.{uuid4().hex}.json"
        common = {"root": str(sweep.root), "tool": tool.to_json(), "out": str(self._out), "env": {TAG: sweep.tag}}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(common | request) + "\n")
        self._process.stdin.flush()
        self._running = int(self._answer()["pid"])
        return self._running

    def wait(self) -> tuple[int, Any]:
        """The exit code of the run, negative for a signal, and what it left: its ending, or where it was killed."""
        code = int(self._answer()["code"])
        self._running = 0
        return code, json.loads(self._out.read_text()) if self._out.exists() else None

    def run(self, sweep: Sweep, tool: SweepTool, **request: Any) -> tuple[int, Any]:
        self.start(sweep, tool, **request)
        return self.wait()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if self._running:
            # A test has failed and left it, perhaps stopped.
            os.kill(self._running, signal.SIGKILL)
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


def until(true: Callable[[], T]) -> T:
    """Wait for something that will be, and return it."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := true()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
    return found


def assert_replays(store: SqliteStore) -> None:
    """What the journal of a store, replayed, says, is what its tables say."""
    replayed = SweepState()
    replayed.apply_all(store.journal())
    assert seen(replayed) == seen(store.state)
    for number in replayed.trials:
        assert store.jobs(number) == [job for job in replayed.jobs.values() if job.trial == number]


def seen(state: SweepState) -> dict[str, Any]:
    """All that a state says, but for ended jobs, which are loaded when they are asked for."""
    names = "name config status reason created_at started_at ended_at run_s running_jobs commands counts"
    found = {name: getattr(state, name) for name in [*names.split(), "last_seq", "last_trial", "last_job", "ended"]}
    # As text, in which NaN equals NaN.
    return found | {"trials": {n: repr(t) for n, t in state.trials.items()}, "active": [t.id for t in state.active]}


def pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]


def environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def alive(pid: int) -> bool:
    """Whether there is such a process and it is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def kill(pid: int, signum: int = signal.SIGKILL) -> None:
    """Signal a process that certainly is there."""
    assert alive(pid), "the fault would hit nobody"
    os.kill(pid, signum)


def finished(state: SweepState) -> bool:
    return state.status is SweepStatus.FINISHED
