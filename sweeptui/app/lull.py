"""When that is done which nobody asked for: not between a key and its answer."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LULL_S = 0.3
"""So long after a key the next one is expected: longer than between two taps, and than a key that is held repeats."""
PATIENCE_S = 0.5
"""So much later than it came anything is painted, whatever keys are pressed."""
GARBAGE = 60
"""After so many collections among the younger objects garbage is looked for among all, where Python would after ten."""


class Lull:
    """Puts off what has come of itself while keys are pressed.

    A refresh takes as long as the answer to a key, and a key that comes in the middle of one waits for its end. What is
    put off is done right behind the answer to a key, when the next one is farthest, or once no key has come for
    `LULL_S`; after `PATIENCE_S` in any case.
    """

    def __init__(
        self, after: Callable[[float, Callable[[], None]], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`after` calls something so many seconds later, on the same thread."""
        self._after = after
        self._clock = clock
        self._pressed = float("-inf")
        self._moved = float("-inf")
        self.passing = False
        """The last key went on from a trial that it had only just gone to, and so will the next one, maybe."""
        self._waiting: dict[str, tuple[float, Callable[[], None]]] = {}
        self._looks = False
        self._held = False

    def pressed(self) -> None:
        """A key has come. Until it is answered no garbage is looked for, which takes longer than all else."""
        self._pressed = self._clock()
        self.passing = False
        if gc.isenabled():
            gc.disable()
            self._held = True

    def moved(self) -> None:
        """The key goes to another trial."""
        now = self._clock()
        self.passing = now < self._moved + LULL_S
        self._moved = now

    def let_go(self) -> None:
        """Garbage is looked for again, if it was before the key."""
        if self._held:
            self._held = False
            gc.enable()

    def do(self, what: str, action: Callable[[], None]) -> None:
        """Call `action` now or later. Of several that do the same thing, `what`, only the last is called."""
        now = self._clock()
        if what not in self._waiting and now >= self._pressed + LULL_S:
            action()
            return
        since, _ = self._waiting.get(what, (now, action))
        self._waiting[what] = since, action
        self._look_later()

    def catch_up(self) -> None:
        """Do now what waits: a key has just been answered."""
        self.let_go()
        self.flush()

    def flush(self) -> None:
        """Do now what waits: what a key is about must be as it is."""
        waiting, self._waiting = self._waiting, {}
        for _, action in waiting.values():
            action()

    def collect(self) -> None:
        """Look for garbage among all objects where it is time to and no key is expected: it takes up to 0.1 s."""
        self.let_go()
        if gc.isenabled() and gc.get_count()[2] >= GARBAGE and self._clock() >= self._pressed + LULL_S:
            gc.collect()

    def _look_later(self) -> None:
        if self._waiting and not self._looks:
            self._looks = True
            self._after(LULL_S / 4, self._look)

    def _look(self) -> None:
        self._looks = False
        now = self._clock()
        if now >= self._pressed + LULL_S or any(now >= since + PATIENCE_S for since, _ in self._waiting.values()):
            self.catch_up()
        self._look_later()
