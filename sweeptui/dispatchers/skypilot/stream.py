"""A log as it is printed, handed on in batches: one message for each line would keep the sweep busy."""

from __future__ import annotations

import contextlib
import queue
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

BATCH_S = 0.2
AHEAD = 10_000
"""Pieces that are read before those before them are handed on; then the remote side has to wait."""


def hand_on(pieces: Iterator[str | None], take: Callable[[Sequence[str]], None], stopped: threading.Event) -> None:
    """Give whole lines, without their newlines, to `take` until there are no more, or `stopped` is set.

    `pieces` are parts of a text, or None for a sign of life. It returns once `pieces` is closed, so that whoever
    stopped it waits for the next piece. Raises what `pieces` raises.
    """
    ahead: queue.Queue[str] = queue.Queue(AHEAD)
    errors: list[Exception] = []
    ended = threading.Event()

    def put(piece: str) -> None:
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                ahead.put(piece, timeout=1.0)
                return

    def read() -> None:
        try:
            for piece in pieces:
                if piece:
                    put(piece)
                if stopped.is_set():
                    return
        except Exception as error:  # noqa: BLE001 - raised in the thread that asked
            errors.append(error)
        finally:
            if (close := getattr(pieces, "close", None)) is not None:
                close()
            ended.set()

    threading.Thread(target=read, daemon=True).start()
    rest, over = "", False
    while not over:
        over = ended.wait(BATCH_S)
        *lines, rest = (rest + "".join(ahead.get_nowait() for _ in range(ahead.qsize()))).split("\n")
        if lines and not stopped.is_set():
            take(lines)
    if errors and not stopped.is_set():
        raise errors[0]
