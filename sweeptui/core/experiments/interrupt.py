"""Calls that end when their time is up, whatever they are doing."""

from __future__ import annotations

import asyncio
import ctypes
import inspect
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn


class StageTimeoutError(Exception):
    """A stage did not end in time and was interrupted."""


class CancelledRunError(BaseException):
    """Whoever waited for this run has given up. Not an `Exception`: no stage is to go on after it."""


def call_within(call: Callable[[], Any], timeout_s: float | None) -> Any:
    """Call a function, a coroutine function too, and give what it returns.

    Raises `StageTimeoutError` in the very line where it is when the time is up: in the main thread by a signal,
    which also ends a wait, in any other at the next step of Python's interpreter. A coroutine is cancelled.
    """
    with _deadline(None if inspect.iscoroutinefunction(call) else timeout_s):
        result = call()
    if not inspect.isawaitable(result):
        return result

    async def awaited() -> Any:
        return await result

    try:
        return asyncio.run(asyncio.wait_for(awaited(), timeout_s))
    except TimeoutError:
        raise StageTimeoutError from None


@contextmanager
def _deadline(timeout_s: float | None) -> Iterator[None]:
    if timeout_s is None:
        yield
    elif threading.current_thread() is threading.main_thread():
        with _by_signal(timeout_s):
            yield
    else:
        with _by_thread(timeout_s):
            yield


@contextmanager
def _by_signal(timeout_s: float) -> Iterator[None]:
    def ring(*_: object) -> NoReturn:
        raise StageTimeoutError

    before = signal.signal(signal.SIGALRM, ring)
    began = time.monotonic()
    outer = signal.getitimer(signal.ITIMER_REAL)[0]  # the time that a stage around this one has left; 0 where none is
    try:
        signal.setitimer(signal.ITIMER_REAL, min(timeout_s, outer or timeout_s))
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if outer:
            signal.setitimer(signal.ITIMER_REAL, max(outer - (time.monotonic() - began), 0.001))


@contextmanager
def _by_thread(timeout_s: float) -> Iterator[None]:
    thread = threading.get_ident()
    lock, over = threading.Lock(), False

    def ring() -> None:
        with lock:
            if not over:
                raise_in(thread, StageTimeoutError)

    timer = threading.Timer(timeout_s, ring)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        with lock:
            over = True
        timer.cancel()


def raise_in(thread: int, error: type[BaseException]) -> None:
    """Raise `error` in another thread, at its next step."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))
