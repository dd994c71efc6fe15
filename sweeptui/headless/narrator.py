"""Tells what happens, on a thread of its own: a reader that is slow or gone never holds the sweep up."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, TextIO

from sweeptui.core.analysis.summary import json_line
from sweeptui.core.ansi import sanitize
from sweeptui.core.files import Files
from sweeptui.core.logs import LogTail
from sweeptui.core.trial import trial_id
from sweeptui.headless import text
from sweeptui.headless.events import Event, events_of, started

if TYPE_CHECKING:
    from pathlib import Path

    from sweeptui.core.state import Change, SweepState
    from sweeptui.core.trial import Job

ECHO_INTERVAL_S = 0.2
LOG_TAIL_LINES = 10
ENDED = frozenset({"completed", "failed", "stopped", "killed"})


class Narrator:
    """Prints a sweep's events as lines, or as JSON lines, in the order in which they happened.

    `echo`: the lines of the jobs' logs too. `quiet`: only ends, failures, and what a user has to know.
    `colour`: let the colours of the logs through.
    """

    def __init__(self, stream: TextIO, folder: Path, *, as_json: bool, quiet: bool, echo: bool, colour: bool) -> None:
        self._stream = stream
        self._files = Files(folder)
        self._as_json = as_json
        self._quiet = quiet
        self._echo = echo and not quiet
        self._colour = colour
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._tails: dict[int, tuple[Job, LogTail]] = {}
        self._logs: dict[int, Path] = {}
        self._begun = False
        self._thread = threading.Thread(target=self._run, name="narrator", daemon=True)
        self._thread.start()

    def changed(self, changes: list[Change], state: SweepState) -> None:
        """Take what was committed. A `Listener` of the session: returns at once, whatever the reader does."""
        if not self._begun:
            self._begun = True
            self.begin(state, changes)
        for change in changes:
            for event in events_of(change, state):
                self._events.put(event)

    def begin(self, state: SweepState, changes: list[Change] | None = None) -> None:
        """Tell what is run. Logs of jobs that run already are followed from where they are now."""
        self._begun = True
        self._events.put(started(state, time.time()))
        new = {change.data.get("id") for change in changes or () if change.kind == "job.created"}
        for job in list(state.running_jobs.values()):
            if job.id not in new:
                self._events.put(Event("adopted", time.time(), job.trial, job=job))

    def say(self, message: str, about: str = "sweep") -> None:
        """Tell something that is no change of the store's. Safe in a signal handler."""
        self._events.put(Event("note", time.time(), data={"about": about, "message": message}))

    def close(self, state: SweepState | None = None, summary: dict[str, Any] | None = None) -> None:
        """Print what is left, then the summary, and wait until it is out."""
        self._events.put(None)
        self._thread.join()
        if state is not None and summary is not None:
            self._write([json_line(summary)] if self._as_json else text.summary(state))

    def _run(self) -> None:
        while True:
            try:
                event = self._events.get(timeout=ECHO_INTERVAL_S if self._tails else None)
            except queue.Empty:
                for number in list(self._tails):
                    self._follow(number)
                continue
            if event is None:
                for number in list(self._tails):
                    self._follow(number, rest=True)
                return
            self._tell(event)

    def _tell(self, event: Event) -> None:
        number, job = event.trial, event.job
        if number is not None and (event.kind == "job_ended" or event.data.get("status") in ENDED):
            self._follow(number, rest=True)
            self._tails.pop(number, None)
        if event.data.get("status") == "failed" and not self._echo:
            event = Event(event.kind, event.at, number, {**event.data, "log_tail": self._last_lines(event)})
        if event.kind != "adopted" and not (self._quiet and event.kind in ("scheduled", "job_ended")):
            self._write([json_line(event.to_json())] if self._as_json else text.lines_of(event))
        if job is not None and event.kind in ("scheduled", "adopted"):
            path = self._files.log(job)
            self._logs[job.trial] = path
            if self._echo:
                offset = path.stat().st_size if event.kind == "adopted" and path.exists() else 0
                self._tails[job.trial] = job, LogTail(path, offset)

    def _follow(self, number: int, *, rest: bool = False) -> None:
        if number not in self._tails:
            return
        job, tail = self._tails[number]
        for line in tail.rest() if rest else tail.lines():
            shown = sanitize(line, colour=self._colour)
            if self._as_json:
                event = Event("log", time.time(), number, {"stage": job.stage, "line": shown})
                self._write([json_line(event.to_json())])
            else:
                self._write([f"[{trial_id(number)}] {shown}"])

    def _last_lines(self, event: Event) -> list[str]:
        path = self._logs.get(event.trial or 0)
        if path is None or not path.exists():
            return []
        tail = LogTail(path, max(0, path.stat().st_size - (1 << 14)))
        return [sanitize(line, colour=self._colour) for line in deque(tail.rest(), LOG_TAIL_LINES)]

    def _write(self, lines: list[str]) -> None:
        if not lines:
            return
        try:
            self._stream.write("".join(f"{line}\n" for line in lines))
            self._stream.flush()
        except BrokenPipeError:
            # The reader is gone (`| head`); the sweep goes on. Nothing more is said, at exit neither.
            silence(self._stream)
        except OSError:
            # Output to a file on a full disk: these lines are lost, the sweep is not.
            pass


def silence(stream: TextIO) -> None:
    """Send what is still to come on a stream whose reader is gone to nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
