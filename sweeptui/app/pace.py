"""How often a sweep that changes all the time is shown anew: as often as it may cost, not as often as it changes."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SHARE = 0.1
"""The window takes no more of a core than this, as long as it is shown anew at all."""
SLOWEST_S = 0.5
"""It is shown anew so often, whatever that costs."""


def spent() -> float:
    """The CPU seconds of the thread that asks and of the main one, which paints; of all where that is not known."""
    try:
        painting = time.pthread_getcpuclockid(threading.main_thread().ident or 0)
    except AttributeError:  # macOS has no such clocks
        return time.process_time()
    return time.thread_time() + time.clock_gettime(painting)


class Pace:
    """Says when the next turn is due, from what the last one has cost until it was painted.

    Keys cost, too: while many are pressed there are fewer turns, and fewer keys have to wait for one.
    """

    def __init__(self, spent: Callable[[], float] = spent) -> None:
        self._spent = spent
        self._before: float | None = None

    def next(self, least: float) -> float:
        """So many seconds are to lie between the last turn and the next one, and not less than `least`."""
        now = self._spent()
        cost = 0.0 if self._before is None else now - self._before
        self._before = now
        return max(least, min(cost / SHARE, SLOWEST_S))
