"""What wakes a loop that sleeps: a pipe, which a signal handler and any thread may write to."""

from __future__ import annotations

import contextlib
import os
import selectors
from collections.abc import Iterable


class Bell:
    """Rung from anywhere, heard by one loop."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        os.set_blocking(self._read, False)

    def ring(self) -> None:
        """End `wait`, now or, where nobody waits, the next one. Safe after `close`."""
        with contextlib.suppress(BlockingIOError, OSError):
            os.write(self._write, b"!")

    def wait(self, others: Iterable[int], timeout_s: float) -> None:
        """Until it rings, one of the other descriptors can be read, or the time is over."""
        with selectors.DefaultSelector() as selector:
            for fd in {*others, self._read}:
                selector.register(fd, selectors.EVENT_READ)
            selector.select(timeout_s)
        with contextlib.suppress(BlockingIOError):
            os.read(self._read, 4096)

    def close(self) -> None:
        read, write = self._read, self._write
        # First forgotten, then closed: a late `ring` must not write to what gets the same number.
        self._read = self._write = -1
        os.close(read)
        os.close(write)
