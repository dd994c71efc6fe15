"""A SkyPilot that does what its script says: states, logs and faults are set by the test, and calls are counted."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweeptui.core.dispatch import JobExit, JobSpec, JobUpdate
from sweeptui.core.remote import SkypilotConfig
from sweeptui.core.trial import Stage
from sweeptui.dispatchers.skypilot.dispatcher import SkypilotDispatcher
from sweeptui.dispatchers.skypilot.gateway import GatewayError, RemoteState, Sighting, Submission

PATIENCE_S = 120.0


@dataclass
class FakeJob:
    name: str
    remote_id: str
    submission: Submission
    state: RemoteState = RemoteState.RUNNING
    reason: str = ""
    infra: str = "slurm/lab"
    price_usd_h: float | None = None
    recoveries: int = 0
    start: str = "a1"
    lines: list[str] = field(default_factory=list)
    hidden: bool = False
    """It is there, and looks do not show it."""

    def say(self, *texts: str) -> None:
        self.lines += [
            f"(st, pid=7) sweeptui-{self.start}:{number}|{text}"
            for number, text in enumerate(texts, 1 + sum(f"sweeptui-{self.start}:" in line for line in self.lines))
        ]

    def report(self, **values: Any) -> None:
        self.say("::sweeptui:: " + json.dumps(values))

    def end(self, state: RemoteState, **end: Any) -> None:
        number = 1 + sum(f"sweeptui-{self.start}:" in line for line in self.lines)
        self.lines.append(f"(st, pid=7) sweeptui-{self.start}:{number}!{json.dumps(end)}")
        self.state = state


class ScriptedSky:
    """Implements `gateway.Gateway`."""

    def __init__(self, new: Callable[[FakeJob], None] = lambda job: None) -> None:
        """`new` sets up each job when it is launched."""
        self.new = new
        self.jobs: dict[str, list[FakeJob]] = {}
        self.calls: Counter[str] = Counter()
        self.faults: dict[str, list[GatewayError]] = {}
        """By method: raised by its next calls, before they do anything."""
        self.late_faults: dict[str, list[GatewayError]] = {}
        """Raised after it is done."""
        self.gate = threading.Event()
        """Launches wait for it."""
        self.gate.set()
        self.in_flight = self.most_in_flight = 0
        self.asked: list[tuple[str, Any]] = []
        self.closed = 0
        self.followed: dict[str, threading.Event] = {}
        """By name: set once the log is not wanted any more."""
        self.stubborn = False
        """Cancelled jobs do not end."""
        self._lock = threading.Lock()

    def the(self, name: str = "") -> FakeJob:
        [job] = [job for each, jobs in self.jobs.items() for job in jobs if name in each]
        return job

    def submit(self, submission: Submission) -> str:
        with self._lock:
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            self._enter("submit", submission.name)
            assert self.gate.wait(PATIENCE_S)
            with self._lock:
                job = FakeJob(submission.name, str(1 + sum(map(len, self.jobs.values()))), submission)
                self.jobs.setdefault(submission.name, []).append(job)
                self.new(job)
            self._leave("submit")
            return job.remote_id
        finally:
            with self._lock:
                self.in_flight -= 1

    def poll_many(self, names: Sequence[str]) -> dict[str, list[Sighting]]:
        self._enter("poll_many", tuple(names))
        return self._sightings(names)

    def find_by_name(self, names: Sequence[str]) -> dict[str, list[Sighting]]:
        self._enter("find_by_name", tuple(names))
        return self._sightings(names)

    def logs(self, name: str, remote_id: str, tail: int | None) -> list[str]:
        self._enter("logs", (name, tail))
        with self._lock:
            [lines] = [job.lines for job in self.jobs[name] if job.remote_id == remote_id]
            return list(lines if tail is None else lines[-tail:])

    def follow(self, name: str, remote_id: str, tail: int | None, take: Callable[[Sequence[str]], None]) -> None:
        stopped = self.followed[name] = threading.Event()
        self._enter("follow", (name, tail))
        at, over = None, False
        while not over:
            over = stopped.wait(0.005)
            with self._lock:
                [job] = [job for job in self.jobs[name] if job.remote_id == remote_id]
                over, lines = over or job.state.over, list(job.lines)
            at = (0 if tail is None else max(0, len(lines) - tail)) if at is None else at
            if lines[at:] and not stopped.is_set():
                take(lines[at:])
            at = len(lines)
        self._leave("follow")

    def unfollow(self, name: str) -> None:
        self._enter("unfollow", name)
        self.followed[name].set()

    def cancel(self, name: str, remote_id: str) -> None:
        self._enter("cancel", (name, remote_id))
        self._end(name, remote_id)

    def down(self, name: str) -> None:
        self._enter("down", name)
        self._end(name, None)

    def standing(self, suffix: str) -> list[str]:
        self._enter("standing", suffix)
        return [
            name
            for name, jobs in self.jobs.items()
            if name.endswith(suffix) and any(not job.state.over for job in jobs)
        ]

    def close(self) -> None:
        self.closed += 1
        for stopped in self.followed.values():
            stopped.set()

    def _end(self, name: str, remote_id: str | None) -> None:
        with self._lock:
            for job in self.jobs.get(name, []):
                if remote_id in (None, job.remote_id) and not job.state.over and not self.stubborn:
                    job.state = RemoteState.CANCELLED

    def _sightings(self, names: Sequence[str]) -> dict[str, list[Sighting]]:
        with self._lock:
            return {
                name: [
                    Sighting(job.remote_id, job.state, job.reason, job.infra, job.price_usd_h, job.recoveries)
                    for job in self.jobs[name]
                    if not job.hidden
                ]
                for name in names
                if any(not job.hidden for job in self.jobs.get(name, []))
            }

    def _enter(self, method: str, what: Any) -> None:
        with self._lock:
            self.calls[method] += 1
            self.asked.append((method, what))
            if faults := self.faults.get(method):
                raise faults.pop(0)

    def _leave(self, method: str) -> None:
        with self._lock:
            if faults := self.late_faults.get(method):
                raise faults.pop(0)


class Bench:
    """A dispatcher on a scripted SkyPilot, driven by hand."""

    def __init__(self, folder: Path, sky: ScriptedSky | None = None, **config: Any) -> None:
        self.folder = folder
        self.sky = sky or ScriptedSky()
        self.config = SkypilotConfig(**config)
        self.updates: list[JobUpdate] = []
        self.dispatcher = self.make()

    def make(self) -> SkypilotDispatcher:
        dispatcher = SkypilotDispatcher(
            self.folder, "My Sweep", self.config, lambda: self.sky, interval_s=0.02, retry_s=0.02
        )
        dispatcher.open()
        return dispatcher

    def restart(self) -> None:
        """As after a crash of the process: nothing is said goodbye to."""
        self.dispatcher._opened._errands.courier.close()
        self.dispatcher, self.updates = self.make(), []

    def spec(self, number: int = 1, **changes: Any) -> JobSpec:
        trial_dir = self.folder / "trials" / f"trial_{number:04d}"
        trial_dir.mkdir(parents=True, exist_ok=True)
        (trial_dir / "params.json").write_text(json.dumps({"x": number}))
        fields: dict[str, Any] = {
            "token": f"trial_{number:04d}.train.1",
            "trial": number,
            "stage": Stage.TRAIN,
            "argv": ("train", "a b", "$HOME"),
            "env": {"SWEEPTUI_SEED": "7", "SWEEPTUI_PARAMS": "/here/params.json"},
            "cwd": self.folder,
            "trial_dir": trial_dir,
            "log_path": trial_dir / "train.1.log",
            "report_path": trial_dir / "train.1.reports.jsonl",
            "route": "skypilot",
            "remote_dir": "sweeptui_trials/x",
        }
        return JobSpec(**{**fields, **changes})

    def poll(self) -> None:
        self.updates += self.dispatcher.poll()

    def until(self, condition: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + PATIENCE_S
        while not (result := condition()):
            assert time.monotonic() < deadline, (self.updates, self.sky.asked[-20:])
            self.poll()
            time.sleep(0.005)
        return result

    def ends(self) -> Mapping[str, JobExit]:
        ended = [(update.token, update.exit) for update in self.updates if update.exit is not None]
        assert len(dict(ended)) == len(ended), "an end was told twice"
        return dict(ended)

    def end(self, number: int = 1) -> JobExit:
        token = f"trial_{number:04d}.train.1"
        exit_: JobExit = self.until(lambda: self.ends().get(token))
        return exit_

    def states(self) -> list[str]:
        """The states that the sweep was told of, without repeats."""
        told = [update.slot["state"] for update in self.updates if update.slot]
        return [state for at, state in enumerate(told) if at == 0 or told[at - 1] != state]
