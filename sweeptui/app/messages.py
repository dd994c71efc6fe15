"""What the cockpit's threads tell its screen.

Of what is told again and again only the newest waits: while the screen cannot go on, because its terminal takes
nothing, nothing piles up.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from textual.message import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sweeptui.app.gauges import Machine
    from sweeptui.app.log.page import Page
    from sweeptui.app.snapshot import Snapshot
    from sweeptui.core.limits import Ending


T = TypeVar("T")


class Latest(Message):
    """A message of which only the newest counts."""

    def can_replace(self, message: Message) -> bool:
        return type(message) is type(self)


class Held(Latest, Generic[T]):
    """Holds a value that may be replaced by a newer one until it is looked at."""

    def __init__(self, value: T) -> None:
        super().__init__()
        self._value = value
        self._seen = False
        self._lock = threading.Lock()

    @property
    def value(self) -> T:
        with self._lock:
            self._seen = True
            return self._value

    def renew(self, value: T) -> bool:
        """Hold this instead; False where it was looked at already."""
        with self._lock:
            if not self._seen:
                self._value = value
            return not self._seen


class SnapshotTaken(Held["Snapshot"]):
    @property
    def snapshot(self) -> Snapshot:
        return self.value


class PageRead(Held["Page"]):
    @property
    def page(self) -> Page:
        return self.value


class MachineLooked(Held["Machine"]):
    @property
    def machine(self) -> Machine:
        return self.value


class Teller(Generic[T]):
    """Tells the screen the newest of something, for one thread: at any time at most one message waits."""

    def __init__(self, kind: Callable[[T], Held[T]], post: Callable[[Message], object]) -> None:
        self._kind = kind
        self._post = post
        self._last: Held[T] | None = None

    def tell(self, value: T) -> None:
        if self._last is None or not self._last.renew(value):
            self._last = self._kind(value)
            self._post(self._last)


@dataclass
class OutlookRead(Message):
    """What the models make of one of the sweep's metrics; `problem` says why that cannot be said."""

    which: int
    ends: int
    trials: int
    found: Mapping[str, Any] | None
    problem: str = ""


@dataclass
class ThreadFailed(Message):
    """A fault of a thread, to be raised where a fault of the screen would be."""

    error: Exception


@dataclass
class WatchFailed(Message):
    """The sweep cannot be read; `problem` says why. Empty once it can be again."""

    problem: str


@dataclass
class Told(Message):
    """Something that the user should know once: a command's result, a note in the journal."""

    text: str
    warning: bool = False
    refused: int | None = None
    """The number of the command that was refused, where one was."""


@dataclass
class EngineEnded(Message):
    """The sweep that this process ran has come to an end: one of the two is set."""

    ending: Ending | None
    error: BaseException | None
