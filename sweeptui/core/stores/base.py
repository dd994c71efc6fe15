"""What can go wrong with a store, each in one sentence that names the file and the fix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeptui.core.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path


class StoreError(UserError):
    """A store cannot do what was asked."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.path = path


class StoreExistsError(StoreError):
    """`create` on a path where something is."""


class StoreMissingError(StoreError):
    """`open` on a path where no sweep is, or one whose creation was cut off: `create` is safe then."""


class StoreNewerError(StoreError):
    """Written by a newer version."""


class StoreOlderError(StoreError):
    """Written by an older version, and it cannot be brought up to date here."""


class StoreCorruptError(StoreError):
    """The file is damaged. It is never written to again; `recover` saves what can be read."""

    def __init__(self, path: Path, what: str) -> None:
        # The path is <root>/train_dir/sweeps/<sweep>/sweep.db: the folder is the sweep's name.
        super().__init__(path, f"{path} is damaged ({what}): run `sweeptui doctor --recover {path.parent.name}`")


class StoreFullError(StoreError):
    """No room to write. Nothing was changed, and the same can be tried again."""


class StoreBusyError(StoreError):
    """Another process kept the database locked for longer than the busy timeout. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Who runs the sweep."""

    token: str
    host: str
    pid: int
    label: str
    """What kind of process it is: "headless", "cockpit", ..."""
    since: float
    """Epoch seconds."""
    ttl_s: float
    counter: int
    """Its heartbeats."""
    mine: bool
    """Held by the store that was asked."""
    alive: bool
    """Best knowledge: false once its process is gone, or its counter was seen standing still for `ttl_s`."""
    silent_s: float
    """How long its counter was seen standing still; 0 when first looked at."""

    def __str__(self) -> str:
        return f"{self.label} (process {self.pid} on {self.host})"


class LeaseHeldError(StoreError):
    """Somebody else runs the sweep; `holder` says who."""

    def __init__(self, path: Path, holder: Lease) -> None:
        super().__init__(path, f"the sweep {path.parent.name} is being run by {holder}")
        self.holder = holder


class LeaseLostError(StoreError):
    """This store no longer holds the lease it took: nothing was written, and nothing may be any more."""

    def __init__(self, path: Path, holder: Lease | None) -> None:
        whom = f"{holder} has taken it over" if holder else "it was released"
        super().__init__(path, f"this process no longer runs the sweep {path.parent.name}: {whom}")
        self.holder = holder
