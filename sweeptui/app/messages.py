"""What the cockpit's threads tell its screen. A newer one replaces an older one that was not handled yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from sweeptui.app.log.page import Page
    from sweeptui.app.snapshot import Snapshot
    from sweeptui.core.limits import Ending


class Latest(Message):
    """A message of which only the newest counts."""

    def can_replace(self, message: Message) -> bool:
        return type(message) is type(self)


@dataclass
class SnapshotTaken(Latest):
    snapshot: Snapshot


@dataclass
class PageRead(Latest):
    page: Page


@dataclass
class WatchFailed(Message):
    """The sweep cannot be read any more; `problem` says why."""

    problem: str


@dataclass
class Told(Message):
    """Something that the user should know once: a command's result, a note in the journal."""

    text: str
    warning: bool = False


@dataclass
class EngineEnded(Message):
    """The sweep that this process ran has come to an end: one of the two is set."""

    ending: Ending | None
    error: BaseException | None
