"""The keeper: one small process per job, which outlives the orchestrator and sees how the job ends.

It is forked by the launcher, starts the job, enforces its time limit, takes cancel, pause and resume as signals, ends
whatever the job leaves behind, and writes the exit file. Standard library only: many of them run at once.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource  # noqa: F401 - os.wait4 needs it, and would load it anew in every keeper
import select
import signal
import sys
import time
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

from sweeptui.dispatchers.local.files import PidRecord, write_exit, write_json
from sweeptui.dispatchers.local.processes import Process, job_processes, look, send
from sweeptui.dispatchers.local.spawn import LaunchError, LaunchOrder, refusal, spawn

if TYPE_CHECKING:
    from collections.abc import Mapping

CANCEL, PAUSE, RESUME = signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2
HANDLED = (signal.SIGCHLD, CANCEL, PAUSE, RESUME, signal.SIGINT, signal.SIGHUP)
LEFTOVER_GRACE_S = 2.0
KILL_AGAIN_S = 0.02
LONGEST_WAIT_S = 86_400.0
GIVE_UP_S = 30.0
"""A process that does not die of KILL for so long hangs in the kernel or belongs to somebody else."""
prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
PR_SET_CHILD_SUBREAPER = 36


def handle_signals() -> None:
    """Have the signals that a keeper acts on noted. The launcher does it once, for all that it forks."""
    for signum in HANDLED:
        signal.signal(signum, lambda *_: None)


def keep(order: LaunchOrder, null: int, lock: int, reply: int) -> NoReturn:
    """Be the keeper of one job, in a process forked for it by a launcher. Never returns.

    Answers on `reply` once, with a line of JSON: the pid record, or `{"error": sentence}`. `null` is /dev/null,
    `lock` the launcher's lock: held until the job has either been started or given up.
    """
    try:
        wakeup = _become_daemon(null)
        collects_orphans = _collect_orphans()
        try:
            record = _start(order)
        except (LaunchError, OSError) as error:
            _answer(reply, refusal(error))
            os._exit(1)
        os.close(lock)
        _answer(reply, record._asdict())
        result = _Keeper(order, record, wakeup, collects_orphans).supervise()
        write_exit(order.files, result)
    except BaseException:  # noqa: BLE001 - there is nobody above to tell
        order.files.trace.write_text(traceback.format_exc())
    finally:
        os._exit(0)


def _become_daemon(null: int) -> int:
    """Leave the launcher's session and streams. Returns the descriptor on which signals arrive as bytes."""
    os.setsid()
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    wakeup, write_end = os.pipe()
    os.set_blocking(wakeup, False)
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    return wakeup


def _collect_orphans() -> bool:
    """Let descendants that lose their parent become children of this process, so that none slips away (Linux)."""
    return prctl is not None and bool(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def _start(order: LaunchOrder) -> PidRecord:
    """Start the job. It is on record before it runs, so a job without a record never ran. Raises LaunchError."""
    record = order.record._replace(keeper_pid=os.getpid(), keeper_start=_start_time(os.getpid()))
    os.fchdir(order.home)
    try:
        write_json(order.files.pid, record._asdict())
        os.chdir(order.cwd)
        pid = spawn(order)
    except BaseException:
        os.fchdir(order.home)
        order.files.pid.unlink(missing_ok=True)
        order.files.reserve.unlink(missing_ok=True)
        raise
    # From here on the trial's folder is home: it may be moved, and it shows whose keeper this is.
    os.fchdir(order.home)
    record = record._replace(job_pid=pid, job_start=_start_time(pid))
    # A keeper killed before this, or a disk full just now, leaves a job that is found by the key in its environment.
    with contextlib.suppress(OSError):
        write_json(order.files.pid, record._asdict())
    return record


def _start_time(pid: int) -> str:
    process = look(pid)
    assert process is not None, "an own child, or oneself, is there until it is waited for"
    return process.start


def _answer(reply: int, message: Mapping[str, Any]) -> None:
    # A launcher that was killed does not hear it; the next one reads the record.
    with contextlib.suppress(BrokenPipeError):
        os.write(reply, json.dumps(message).encode() + b"\n")
    os.close(reply)


class _Stopwatch:
    """Time that a job ran and time that it was paused, on a clock that nobody can set."""

    def __init__(self) -> None:
        self._spans = {False: 0.0, True: 0.0}
        self._since = time.monotonic()
        self._paused = False

    def turn(self, paused: bool) -> None:
        """From now on the time counts as paused, or as running."""
        now = time.monotonic()
        self._spans[self._paused] += now - self._since
        self._since, self._paused = now, paused

    def read(self, paused: bool) -> float:
        """Seconds so far."""
        return self._spans[paused] + (time.monotonic() - self._since if paused == self._paused else 0.0)

    @property
    def paused(self) -> bool:
        return self._paused


class _Keeper:
    def __init__(self, order: LaunchOrder, record: PidRecord, wakeup: int, collects_orphans: bool) -> None:
        self._timeout_s, self._grace_s = order.timeout_s, order.grace_s
        self._record, self._leader = record, record.job_pid
        self._wakeup, self._collects_orphans = wakeup, collects_orphans
        self._watch = _Stopwatch()
        self._result: dict[str, Any] | None = None
        """Set when the job's first process has ended."""
        self._kill_at: float | None = None
        """Set when the end has begun."""
        self._timed_out = self._killed = False
        self._usage = {"utime_s": 0.0, "stime_s": 0.0, "maxrss_bytes": 0.0}

    def supervise(self) -> dict[str, Any]:
        """Return how the job ended, when nothing of it is left."""
        survivors: list[Process] = []
        while not self._reap():
            now = time.monotonic()
            if self._kill_at is None and self._result is not None:
                self._end(min(self._grace_s, LEFTOVER_GRACE_S))
            elif self._kill_at is None and self._over_time():
                self._timed_out = True
                self._end(self._grace_s)
            elif self._kill_at is not None and now >= self._kill_at:
                survivors = self._signal_all(signal.SIGKILL)
                if now >= self._kill_at + GIVE_UP_S:
                    break
            for signum in self._wait(self._next_turn(now)):
                self._obey(signum)
        else:
            survivors = []
        return self._summary(survivors)

    def _reap(self) -> bool:
        """Take note of what ended or stopped; True when no process of the job is left."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
            except ChildProcessError:
                return self._collects_orphans or not self._processes()
            if pid == 0:
                return False
            if os.WIFSTOPPED(status) or os.WIFCONTINUED(status):
                if pid == self._leader:
                    self._watch.turn(paused=os.WIFSTOPPED(status))
                continue
            self._usage["utime_s"] += usage.ru_utime
            self._usage["stime_s"] += usage.ru_stime
            unit = 1 if sys.platform == "darwin" else 1024
            self._usage["maxrss_bytes"] = max(self._usage["maxrss_bytes"], float(usage.ru_maxrss * unit))
            if pid == self._leader:
                self._note_end(status)

    def _note_end(self, status: int) -> None:
        signalled = os.WIFSIGNALED(status)
        self._result = {
            "code": None if signalled else os.WEXITSTATUS(status),
            "signal": os.WTERMSIG(status) if signalled else None,
            "timed_out": self._timed_out,
            "killed": self._killed,
            "run_s": self._watch.read(paused=False),
            "paused_s": self._watch.read(paused=True),
            "started_at": self._record.started_at,
            "ended_at": time.time(),
        }

    def _over_time(self) -> bool:
        return self._timeout_s is not None and self._watch.read(paused=False) >= self._timeout_s

    def _next_turn(self, now: float) -> float | None:
        """Seconds until something has to be done though no signal came."""
        if self._kill_at is not None:
            # Between TERM and KILL signals tell of every end, but only where orphans come here.
            until_kill = self._kill_at - now
            return until_kill if until_kill > 0 and self._collects_orphans else KILL_AGAIN_S
        if self._timeout_s is None or self._watch.paused:
            return None
        return min(max(0.0, self._timeout_s - self._watch.read(paused=False)), LONGEST_WAIT_S)

    def _wait(self, seconds: float | None) -> bytes:
        select.select([self._wakeup], [], [], seconds)
        try:
            return os.read(self._wakeup, 4096)
        except BlockingIOError:
            return b""

    def _obey(self, signum: int) -> None:
        if self._kill_at is not None:
            return
        if signum == CANCEL:
            self._killed = self._result is None
            self._end(self._grace_s)
        elif signum == PAUSE:
            self._stop_all()
        elif signum == RESUME:
            self._signal_all(signal.SIGCONT)

    def _end(self, grace_s: float) -> None:
        self._kill_at = time.monotonic() + grace_s
        self._signal_all(signal.SIGTERM)
        # A stopped process can only die of its TERM once it goes on.
        self._signal_all(signal.SIGCONT)

    def _stop_all(self) -> None:
        """Stop parents before children, again and again until no new child has slipped in."""
        stopped: set[tuple[int, str]] = set()
        while fresh := [p for p in self._processes() if (p.pid, p.start) not in stopped]:
            for process in fresh:
                send(process.pid, process.start, signal.SIGSTOP)
                stopped.add((process.pid, process.start))

    def _signal_all(self, signum: signal.Signals) -> list[Process]:
        processes = self._processes()
        # Children go on before their parents do, so that no parent sees a stopped child.
        for process in reversed(processes) if signum == signal.SIGCONT else processes:
            send(process.pid, process.start, signum)
        return processes

    def _processes(self) -> list[Process]:
        key = None if self._collects_orphans else self._record.key
        return job_processes(os.getpid(), self._leader, self._record.job_start, key)

    def _summary(self, survivors: list[Process]) -> dict[str, Any]:
        if self._result is None:
            self._note_end(signal.SIGKILL)
        message = ""
        if survivors:
            pids = ", ".join(str(process.pid) for process in survivors[:20])
            message = f"{len(survivors)} of its processes could not be ended: pid {pids}"
        return {**(self._result or {}), "rusage": self._usage, "message": message}
