"""What a sweep's folder knows about its mirror: how far it is, and how it stands, in two small files."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

BOOK, STANDING = "wandb.json", "wandb.status.json"
SILENT_S = 30.0
"""A mirror that has not said anything for that long is not running, whoever has its process number now."""

State = Literal["connecting", "synced", "behind", "away", "refused", "following", "superseded", "stopped"]


@dataclass(slots=True)
class Book:
    """What must outlive the process. Where it is lost, all is sent again."""

    nonce: str = ""
    """The sweep's, once W&B has it; "" before."""
    machine: str = field(default_factory=lambda: uuid4().hex)
    """Who this folder is to other machines."""
    epoch: int = 0
    """The number of the lease under which what lies here was made; 0 before the first."""
    led: bool = False
    """It was made here; else it is a copy of what another machine made."""
    seq: int = 0
    """Of the journal here, the rows that W&B has."""
    moved: dict[int, int] = field(default_factory=dict)
    """Trials whose record was deleted in W&B, and how often it was made anew."""

    @staticmethod
    def read(folder: Path) -> Book:
        data = _read(folder / BOOK)
        if data is None:
            return Book()
        data["moved"] = {int(number): times for number, times in data["moved"].items()}
        return Book(**data)

    def write(self, folder: Path) -> None:
        _write(folder / BOOK, asdict(self), durable=True)


@dataclass(frozen=True, slots=True)
class Standing:
    """How the mirror stands, for whoever looks at the sweep."""

    state: State
    behind: int = 0
    """Records that W&B does not have as they are here."""
    since: float = 0.0
    """Epoch seconds: when it came into this state."""
    message: str = ""
    """Why, and what helps."""
    pid: int = 0
    at: float = 0.0
    """Epoch seconds of the last sign of life."""

    def write(self, folder: Path) -> None:
        _write(folder / STANDING, asdict(self), durable=False)

    def sentence(self, now: float) -> str:
        """How it stands in a few words."""
        waiting = f"{self.behind} record{'' if self.behind == 1 else 's'} wait{'s' if self.behind == 1 else ''}"
        minutes = int(now - self.since) // 60
        match self.state:
            case "synced":
                return "W&B: synced"
            case "connecting":
                return "W&B: connecting"
            case "behind":
                return f"W&B: {self.behind} behind"
            case "away":
                return f"W&B away {f'for {minutes} min' if minutes else 'just now'}, {waiting}: {self.message}"
            case "refused":
                return f"W&B refuses, {waiting}: {self.message}"
            case "stopped":
                return f"W&B: {waiting} until the sweep is run again, or `sweeptui sync`"
        return self.message


def standing(folder: Path, now: float | None = None) -> Standing | None:
    """How the mirror of the sweep in `folder` stands; None where it has none."""
    data = _read(folder / STANDING)
    if data is None:
        return None
    found = Standing(**data)
    now = time.time() if now is None else now
    if found.state == "synced" or (_lives(found.pid) and now - found.at < SILENT_S):
        return found
    if found.state == "refused" or (not found.behind and found.state not in ("away", "behind", "connecting")):
        return found
    return Standing("stopped", found.behind, found.at, found.message, 0, found.at)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _read(path: Path) -> dict[str, Any] | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def _write(path: Path, data: dict[str, Any], *, durable: bool) -> None:
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    with beside.open("w", encoding="utf-8") as file:
        json.dump(data, file)
        file.flush()
        if durable:
            os.fsync(file.fileno())
    beside.replace(path)
