"""The engine without a screen: runs or follows a sweep, tells what happens, ends with an exit code."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from sweeptui.core.analysis.summary import sweep_json, tool_of, trial_json
from sweeptui.core.errors import UserError
from sweeptui.core.limits import Ending, ending, limit_reached
from sweeptui.core.logs import colours_wanted
from sweeptui.core.state import SweepStatus
from sweeptui.core.stores.base import LeaseHeldError
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.folders import DATABASE
from sweeptui.headless.narrator import Narrator
from sweeptui.survey import kill_now, open_sweep, sight

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import FrameType

    from sweeptui.core.config import SweepTool
    from sweeptui.core.state import Change, SweepState
    from sweeptui.launch import Session

FOLLOW_INTERVAL_S = 0.2
KILL_INTERVAL_S = 0.05


AtEnd = Callable[[SqliteStore, Ending], Ending]
"""Told of the end before the summary is printed; the ending as it is to be."""


def run(
    session: Session,
    *,
    as_json: bool = False,
    quiet: bool = False,
    detach: bool = False,
    at_end: AtEnd = lambda _, end: end,
) -> int:
    """Run the sweep to its end and return the exit code.

    The first SIGINT or SIGTERM stops the trials, which are queued again; with `detach` it leaves them running. A second
    one kills them at once, a third one leaves. A terminal that goes away (SIGHUP) leaves them running.
    """
    narrator = _narrator(session.path, session.tool, as_json=as_json, quiet=quiet)
    session.say = lambda message: narrator.say(message, about="wandb")
    received: list[int] = []

    def on_signal(signum: int, _frame: FrameType | None) -> None:
        received.append(signum)
        leave = detach or signum == signal.SIGHUP
        if len(received) == 1:
            narrator.say(
                "leaving; running trials go on" if leave else "stopping the running trials; again to kill them"
            )
            session.interrupt(leave_running=leave)
        elif len(received) == 2 and not leave:
            narrator.say("killing the running trials")
            threading.Thread(target=_kill, args=[session.path], daemon=True).start()
        else:
            os._exit(128 + signum)

    try:
        with _signals(on_signal):
            end = session.run(listener=narrator.changed)
    except LeaseHeldError as error:
        narrator.say(f"{error}; watching it")
        narrator.close()
        return follow(session.path, as_json=as_json, quiet=quiet, at_end=at_end)
    except BaseException:
        narrator.close()
        raise
    if end.status is SweepStatus.INTERRUPTED and received:
        end = Ending(end.status, end.reason, 128 + received[0])
    with open_sweep(session.path) as store:
        end = at_end(store, end)
        narrator.close(store.state, summary(store.state, session.path, end))
    return end.exit_code


def validate(session: Session, *, said: bool) -> int:
    """Train the replicates that wait and return the exit code; `said`: tell of each on stderr.

    A signal stops what runs, as in `run`; the same call goes on.
    """
    out = sys.stderr if said else io.StringIO()
    narrator = Narrator(out, session.path, as_json=False, quiet=True, echo=False, colour=False)
    session.say = lambda message: narrator.say(message, about="wandb")
    received: list[int] = []

    def on_signal(signum: int, _frame: FrameType | None) -> None:
        received.append(signum)
        if len(received) > 1:
            os._exit(128 + signum)
        narrator.say("stopping the running replicates; the same command goes on")
        session.interrupt(leave_running=signum == signal.SIGHUP)

    try:
        with _signals(on_signal):
            end = session.run(listener=narrator.changed)
    except LeaseHeldError:
        return 0  # somebody else runs it, and trains them
    finally:
        narrator.close()
    return 128 + received[0] if end.status is SweepStatus.INTERRUPTED and received else end.exit_code


def follow(folder: Path, *, as_json: bool = False, quiet: bool = False, at_end: AtEnd = lambda _, end: end) -> int:
    """Tell what happens in a sweep that another process runs, until it ends; return the exit code that one ends with.

    Raises `UserError` where nobody runs it and it is not over.
    """
    with _Followed(folder) as sweep:
        tool = tool_of(sweep.store.state)
        narrator = _narrator(folder, tool, as_json=as_json, quiet=quiet)
        narrator.begin(sweep.store.state)
        try:
            while (seen := sight(folder, sweep.store)).holder is not None:
                narrator.changed(sweep.refresh(), sweep.store.state)
                time.sleep(FOLLOW_INTERVAL_S)
            narrator.changed(sweep.refresh(), sweep.store.state)
        finally:
            state = sweep.store.state
            if not state.status.ended:
                narrator.close()
        if not state.status.ended:
            raise UserError(
                f"sweep {state.name} is {seen.label} and nobody runs it; go on: sweeptui continue {state.name}"
            )
        end = ending(tool, state, state.status, state.reason, limit_reached(tool, state, state.run_s))
        end = at_end(sweep.store, end)
        narrator.close(state, summary(state, folder, end))
    return end.exit_code


class _Followed:
    """A sweep that another process writes, for a `with` statement. Its file may become another one meanwhile."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / DATABASE
        self.store = SqliteStore.open(self._path, readonly=True)

    def refresh(self) -> list[Change]:
        """What is new, in order."""
        if not self.store.outdated():
            return self.store.refresh()
        told = self.store.state.last_seq
        self.store.close()
        self.store = SqliteStore.open(self._path, readonly=True)
        return self.store.journal(after=told)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.store.close()


def summary(state: SweepState, folder: Path, end: Ending) -> dict[str, Any]:
    """Return the last object of `--json`."""
    shape = sweep_json(state, label=end.status.value, path=str(folder), holder=None)
    trials = [trial_json(trial) for _, trial in sorted(state.trials.items())]
    keys = ("id", "number", "status", "failure", "reason", "score", "cost", "params", "attempts")
    return {
        "event": "summary",
        "at": time.time(),
        **shape,
        "reason": end.reason,
        "exit_code": end.exit_code,
        "trials": [{key: trial[key] for key in keys} for trial in trials],
    }


@contextlib.contextmanager
def _signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handle the signals that end a run; one that the shell made us ignore (`nohup`) stays ignored."""
    watched = [
        signum
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(signum) is not signal.SIG_IGN
    ]
    before = {signum: signal.signal(signum, handler) for signum in watched}
    try:
        yield
    finally:
        for signum, old in before.items():
            signal.signal(signum, old)


def _kill(folder: Path) -> None:
    """Kill the jobs that are being stopped. One of which the store does not say so yet would count as crashed."""
    with open_sweep(folder) as store:
        while store.state.running_jobs:
            kill_now(folder, [job for job in store.state.running_jobs.values() if job.ask is not None])
            time.sleep(KILL_INTERVAL_S)
            store.refresh()


def _narrator(folder: Path, tool: SweepTool, *, as_json: bool, quiet: bool) -> Narrator:
    out = sys.stdout
    if isinstance(out, io.TextIOWrapper):
        # A terminal or a file that is not UTF-8 must not end the sweep.
        out.reconfigure(errors="replace")
    return Narrator(out, folder, as_json=as_json, quiet=quiet, echo=tool.capture_output, colour=colours_wanted())
