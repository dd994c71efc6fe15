"""Carries calls that may take minutes in threads, and brings their answers back to the thread that asked."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from sweeptui.dispatchers.skypilot.gateway import GatewayError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")


class Courier:
    """Errands run in lanes, so that slow launches never hold up a look at what runs."""

    def __init__(self, lanes: Mapping[str, int]) -> None:
        """`lanes`: how many errands of each lane are under way at once."""
        self._pools = {
            lane: ThreadPoolExecutor(threads, thread_name_prefix=f"skypilot-{lane}") for lane, threads in lanes.items()
        }
        self._answers: deque[Callable[[], None]] = deque()
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._lock = threading.Lock()
        self._closed = False

    @property
    def fileno(self) -> int:
        """Readable when an answer waits."""
        return self._read

    def send(
        self,
        lane: str,
        errand: Callable[[], T],
        done: Callable[[T], None],
        failed: Callable[[GatewayError], None],
    ) -> None:
        """Run `errand` in a thread; `done` or `failed` is called by `deliver`."""

        def carry() -> None:
            try:
                result = errand()
            except Exception as error:  # noqa: BLE001 - whatever it is, the one who asked must hear of it
                told = error if isinstance(error, GatewayError) else GatewayError(f"{type(error).__name__}: {error}")
                self.post(lambda: failed(told))
            else:
                self.post(lambda: done(result))

        self._pools[lane].submit(carry)

    def deliver(self) -> int:
        """Call back, in the calling thread, for every errand that was done since; returns how many."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._read, 4096):
                pass
        waiting = len(self._answers)
        for _ in range(waiting):
            self._answers.popleft()()
        return waiting

    def close(self) -> None:
        """Forget what is under way: nobody is called back any more."""
        with self._lock:
            self._closed = True
            os.close(self._write)
            os.close(self._read)
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)

    def post(self, call: Callable[[], Any]) -> None:
        """Have `deliver` call it: for what an errand has to say before it is done. From any thread."""
        with self._lock:
            if not self._closed:
                self._answers.append(call)
                with contextlib.suppress(BlockingIOError):
                    os.write(self._write, b"!")
