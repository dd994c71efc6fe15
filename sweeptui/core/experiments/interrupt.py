"""Calls that end when their time is up, whatever they are doing."""

from __future__ import annotations

import asyncio
import ctypes
import inspect
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Self

LOOK_S = 0.1
"""Between two looks at a clock that may stand still, at the least."""
SOON_S = 0.001
BEAT_S = 0.2
"""Between two looks at whether this process runs at all."""
STOPPED_S = 1.0
"""Without a look for longer than this, it did not."""


class StageTimeoutError(Exception):
    """A stage did not end in time and was interrupted."""


class CancelledRunError(BaseException):
    """Whoever waited for this run has given up. Not an `Exception`: no stage is to go on after it."""


class Deadline:
    """When a call's time is up, on a clock of its running time. A context manager, for as long as the call takes.

    That clock stands still while the call is paused, and while this whole process is stopped (SIGSTOP): no clock of the
    system does, so a thread looks at it all the time. Where it did not come to look for a while, nothing ran but what
    has used the processor.
    """

    def __init__(self, timeout_s: float, paused_s: Callable[[], float]) -> None:
        self._timeout_s, self._paused_s = timeout_s, paused_s
        self._seen = (time.monotonic(), time.process_time(), paused_s(), 0.0)
        """At the last look: the time, what the processor was used for, the pauses, and the running time, in seconds."""
        self._over = threading.Event()

    def left(self) -> float:
        """Seconds of running time; 0 or less once the time is up."""
        return self._timeout_s - self._look()[3]

    def _look(self) -> tuple[float, float, float, float]:
        before, used_before, paused_before, ran = self._seen
        now, used, paused = time.monotonic(), time.process_time(), self._paused_s()
        gone = now - before - (paused - paused_before)
        if gone > STOPPED_S:
            gone = min(gone, used - used_before)
        return now, used, paused, ran + gone

    def __enter__(self) -> Self:
        threading.Thread(target=self._watch, name="running time", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(BEAT_S):
            self._seen = self._look()  # nobody else writes it, and whoever reads it finds all of it


def call_within(call: Callable[[], Any], timeout_s: float | None, paused_s: Callable[[], float] = lambda: 0.0) -> Any:
    """Call a function, a coroutine function too, and give what it returns.

    Raises `StageTimeoutError` in the very line where it is when the time is up: in the main thread by a signal,
    which also ends a wait, in any other at the next step of Python's interpreter. A coroutine is cancelled.
    `paused_s` tells for how long all this has been paused so far: that is no time of the call's.
    """
    with nullcontext() if timeout_s is None else Deadline(timeout_s, paused_s) as deadline:
        with _interrupted(None if inspect.iscoroutinefunction(call) else deadline):
            result = call()
        if not inspect.isawaitable(result):
            return result
        return asyncio.run(_awaited(result, deadline))


async def _awaited(result: Awaitable[Any], deadline: Deadline | None) -> Any:
    async def awaited() -> Any:
        return await result

    task = asyncio.ensure_future(awaited())
    try:
        left = None
        while deadline is None or (left := deadline.left()) > 0:
            if (await asyncio.wait({task}, timeout=None if left is None else _again_in(left)))[0]:
                return task.result()
        raise StageTimeoutError
    finally:
        if task.cancel():
            await asyncio.wait({task})


def _again_in(left: float) -> float:
    """When to look again at what is left: while it is paused that stays as it is, however little it is."""
    return max(left, LOOK_S)


@contextmanager
def _interrupted(deadline: Deadline | None) -> Iterator[None]:
    if deadline is None:
        yield
    elif threading.current_thread() is threading.main_thread():
        with _by_signal(deadline):
            yield
    else:
        with _by_thread(deadline):
            yield


_DEADLINES: list[Deadline] = []
"""Of the stages that run in the main thread, each inside the one before."""


@contextmanager
def _by_signal(deadline: Deadline) -> Iterator[None]:
    def ring(*_: object) -> None:
        if any(each.left() <= 0 for each in _DEADLINES):
            raise StageTimeoutError
        _set_alarm()

    before = signal.signal(signal.SIGALRM, ring)
    foreign = 0.0 if _DEADLINES else signal.getitimer(signal.ITIMER_REAL)[0]  # somebody else's alarm goes off later
    began = time.monotonic()
    _DEADLINES.append(deadline)
    try:
        _set_alarm()
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        _DEADLINES.pop()
        signal.signal(signal.SIGALRM, before)
        if _DEADLINES:
            _set_alarm()
        elif foreign:
            signal.setitimer(signal.ITIMER_REAL, max(foreign - (time.monotonic() - began), SOON_S))


def _set_alarm() -> None:
    """For the first of the deadlines."""
    left = min(each.left() for each in _DEADLINES)
    signal.setitimer(signal.ITIMER_REAL, _again_in(left) if left > 0 else SOON_S)


@contextmanager
def _by_thread(deadline: Deadline) -> Iterator[None]:
    thread = threading.get_ident()
    lock, over = threading.Lock(), threading.Event()

    def watch() -> None:
        while (left := deadline.left()) > 0:
            if over.wait(_again_in(left)):
                return
        with lock:
            if not over.is_set():
                raise_in(thread, StageTimeoutError)

    threading.Thread(target=watch, name="deadline", daemon=True).start()
    try:
        yield
    finally:
        with lock:
            over.set()


def raise_in(thread: int, error: type[BaseException]) -> None:
    """Raise `error` in another thread, at its next step."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))
