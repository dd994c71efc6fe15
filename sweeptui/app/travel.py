"""Through the sweep's past: which moment of its journal the window shows, and playing on from there."""

from __future__ import annotations

import queue
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sweeptui.core.stores.past import Past

if TYPE_CHECKING:
    from collections.abc import Callable

    from sweeptui.core.state import Change
    from sweeptui.core.stores.past import End
    from sweeptui.core.stores.sqlite import SqliteStore

Step = Literal["end", "change", "start", "now", "play"]
PLAY_S = 60.0
"""So long it takes to play a whole sweep, where no speed is given."""
LONGEST_WAIT_S = 2.0
"""Where nothing happened for long, playing goes on after so much."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Which moment of the past is shown."""

    seq: int
    """The last row of the journal that is told, of `last`."""
    last: int
    at: float
    """Epoch seconds."""
    before_end_s: float
    """How long before the last row of the journal."""
    ended: End | None
    """The trial whose end it is."""
    speed: float = 0.0
    """Seconds of the sweep in one of the clock, where it plays; 0 where it stands."""


class Traveller:
    """Goes where it is told, on the watcher's thread. `ask` may be called from any other."""

    def __init__(self, start: int | None, speed: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        """`start`: at which row of the journal to begin, None for now; `speed`: play from there, 0 for `PLAY_S`."""
        self._clock = clock
        self._asked: queue.SimpleQueue[tuple[Step, int]] = queue.SimpleQueue()
        self._past: Past | None = None
        self._store: SqliteStore | None = None
        self._seq = start
        self._speed = speed or 0.0
        self._autoplay = speed is not None
        self._playing = False
        self._jumped = False
        """It went somewhere whose changes nobody was told."""
        self._played_to = self._looked_at = 0.0

    @property
    def away(self) -> bool:
        """The past is shown, or going to be."""
        return self._seq is not None

    @property
    def playing(self) -> bool:
        return self._playing

    def ask(self, step: Step, by: int = 0) -> None:
        """Go by so many ends of trials or changes, to the start, back to now; play, or stop."""
        self._asked.put((step, by))

    def look(self, store: SqliteStore) -> tuple[Past | None, list[Change] | None]:
        """The past as it is to be shown now, None for the present; and the changes since it was shown, None for any."""
        if store is not self._store:
            self._store, self._past = store, None
        while not self._asked.empty():
            self._go(store, *self._asked.get())
        if self._seq is None:
            return None, None
        past = self._of(store)
        if self._autoplay:
            self._autoplay = False
            self._play(past)
        if self._playing:
            self._advance(past)
        if self._seq is None:
            return None, None
        changes = past.go_to(self._seq)
        jumped, self._jumped = self._jumped, False
        return past, None if jumped else changes

    def moment(self) -> Moment:
        """Where `look` has been."""
        past = self._past
        assert past is not None
        speed = self._speed if self._playing else 0.0
        return Moment(past.seq, past.last, past.at, past.span[1] - past.at, past.just_ended(), speed)

    def _of(self, store: SqliteStore) -> Past:
        if self._past is None:
            self._past = Past(store)
        else:
            self._past.grow()
        return self._past

    def _go(self, store: SqliteStore, step: Step, by: int) -> None:
        past = self._of(store)
        if self._seq is None:
            if step == "now" or by > 0:
                return
            past.go_to(past.last)
        if step == "play":
            self._playing = not self._playing
            if self._playing:
                self._play(past)
            return
        self._playing = False
        if step == "now":
            self._seq = None
        elif step == "start":
            self._seq = past.first
        elif step == "end":
            self._seq = past.next_end(by)
        else:
            self._seq = past.next_change(by)
        if by > 0 and past.seq >= past.last:
            self._seq = None  # beyond the end is now
        elif self._seq is not None:
            past.go_to(self._seq)  # keys that come in one turn each go on from where the one before has led
            self._jumped = True

    def _play(self, past: Past) -> None:
        """On from the moment that is shown; of now, from the start."""
        first, last = past.span
        if self._seq is None or self._seq >= past.last:
            self._seq = past.first
        self._speed = self._speed or max(1.0, (last - first) / PLAY_S)
        self._playing = True
        self._played_to, self._looked_at = past.time_of(self._seq), self._clock()

    def _advance(self, past: Past) -> None:
        now = self._clock()
        to = self._played_to + (now - self._looked_at) * self._speed
        soon = past.time_of(past.next_change(1)) - LONGEST_WAIT_S * self._speed
        self._played_to, self._looked_at = max(to, soon), now
        self._seq = max(self._seq or 0, past.at_time(self._played_to))
        if self._seq >= past.last:
            self._playing = False
