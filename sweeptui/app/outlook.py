"""What the models make of the sweep, for the optimizer page and the plots: found by a process beside the screen.

Its fits and imports the screen never waits for. One runs at a time; what it found is kept while the cockpit is open.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweeptui.app.messages import OutlookRead

if TYPE_CHECKING:
    from pathlib import Path

    from textual.message import Message

    from sweeptui.app.snapshot import Snapshot

TIMEOUT_S = 300
GROWN = 1.1
"""By so much before what stands beside the table all the time is computed again."""
FITTING = "the models are being fitted ..."


@dataclass(frozen=True, slots=True)
class Known:
    """The newest outlook on one metric; for the same ends of trials it is the same."""

    ends: int = -1
    """See `ends_of`; -1 where there is none yet."""
    trials: int = 0
    """How many had ended."""
    found: Mapping[str, Any] | None = None
    """What `sweeptui.core.analysis.outlook` prints."""
    problem: str = ""
    """Why there is none."""

    @property
    def empty(self) -> str:
        """What is said where there is nothing to show; empty where there is."""
        if self.problem:
            return self.problem
        if self.found is None:
            return FITTING
        return f"nothing to show yet: {self.found['problem']}" if self.found["problem"] else ""


UNKNOWN = Known()


class Outlooks:
    """One for each cockpit."""

    def __init__(self, folder: Path, post: Callable[[Message], object]) -> None:
        """`post` takes the `OutlookRead` that tells of a new one, from any thread."""
        self._folder = folder
        self._post = post
        self._known: dict[int, Known] = {}
        self._running: Running | None = None
        self._closed = False
        self.which = 0
        """Which of several metrics is looked at."""

    @property
    def known(self) -> Known:
        return self._known.get(self.which, UNKNOWN)

    def keep(self, which: int, known: Known) -> None:
        old = self._known.get(which, UNKNOWN)
        found = old.found if known.found is None else known.found
        self._known[which] = Known(known.ends, known.trials, found, known.problem)

    def look(self, snapshot: Snapshot, *, always: bool) -> None:
        """Have it computed where there is more to learn from: `always`, or only where that is a tenth more."""
        ends, known = ends_of(snapshot), self.known
        if self._running is not None or self._closed or ends == known.ends:
            return
        if not always and snapshot.past is None and known.trials <= snapshot.done < known.trials * GROWN:
            return
        self._running = Running(self._folder, self.which, ends, snapshot.done, _seq(snapshot), self._post)

    def take(self, message: OutlookRead) -> None:
        """What the process has found."""
        self._running = None
        self.keep(message.which, Known(message.ends, message.trials, message.found, message.problem))

    def next_metric(self, snapshot: Snapshot) -> None:
        """Look at the next of several metrics."""
        self.which = (self.which + 1) % max(1, len(snapshot.objectives))

    def close(self) -> None:
        """Nobody looks any more."""
        self._closed = True
        if self._running is not None:
            self._running.end()


class Running:
    """A process that computes an outlook, and the thread that waits for it."""

    def __init__(
        self, folder: Path, which: int, ends: int, trials: int, seq: int | None, post: Callable[[Message], object]
    ) -> None:
        self._command = command(folder, which, seq)
        self._process: subprocess.Popen[str] | None = None
        self._ended = False
        self._lock = threading.Lock()

        def run() -> None:
            try:
                found, problem = self._compute(), ""
            except RuntimeError as error:
                found, problem = None, str(error)
            if not self._ended:
                post(OutlookRead(which, ends, trials, found, problem))

        threading.Thread(target=run, name="outlook", daemon=True).start()

    def _compute(self) -> dict[str, Any]:
        with self._lock:
            if self._ended:
                raise RuntimeError("nobody looks any more")
            try:
                self._process = subprocess.Popen(
                    self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
                )
            except OSError as error:
                raise RuntimeError(f"the models cannot be fitted: {error}") from error
        return answer_of(self._process)

    def end(self) -> None:
        with self._lock:
            self._ended = True
            if self._process is not None:
                with suppress(ProcessLookupError):
                    self._process.kill()


def command(folder: Path, which: int = 0, seq: int | None = None) -> list[str]:
    words = [sys.executable, "-P", "-m", "sweeptui.core.analysis.outlook", str(folder), str(which)]
    return words if seq is None else [*words, str(seq)]


def answer_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What the process finds. Raises `RuntimeError` with a sentence."""
    from sweeptui.core.analysis.outlook import read  # noqa: PLC0415 - when there is something to read

    try:
        told, said = process.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        process.kill()
        process.communicate()
        raise RuntimeError(f"the models cannot be fitted: it takes longer than {TIMEOUT_S} s") from error
    if process.returncode:
        last = (said.strip().splitlines() or ["no reason was given"])[-1]
        raise RuntimeError(f"the models cannot be fitted: {last}")
    return read(told)


def ends_of(snapshot: Snapshot) -> int:
    """What an outlook depends on: how many trials have ended, and how many there are to take as pending."""
    return snapshot.done * 1_000_000 + len(snapshot.trials)


def _seq(snapshot: Snapshot) -> int | None:
    return None if snapshot.past is None else snapshot.past.seq
