"""The files of one job in its trial's folder: who runs it, and how it ended.

Standard library only, for the keepers import it.
"""

from __future__ import annotations

import errno
import json
import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

EXIT_BYTES = 2048
RETRY_S = 0.5


class JobFiles(NamedTuple):
    """`train.1.pid.json` and `train.1.exit.json` of token `trial_0001.train.1`."""

    pid: Path
    exit: Path
    reserve: Path
    """Becomes `exit`: written when the job starts, so that a disk that is full later cannot lose the result."""
    trace: Path
    """Only there where a keeper itself failed."""

    @classmethod
    def of(cls, folder: Path, token: str) -> JobFiles:
        stem = token.split(".", 1)[1]
        ends = ("pid.json", "exit.json", "exit.json.reserve", "keeper.log")
        return cls(*(folder / f"{stem}.{end}" for end in ends))


class PidRecord(NamedTuple):
    """Who runs a job: enough to find its keeper and its processes again, and to know that it is them."""

    token: str
    key: str
    host: str
    boot: str
    keeper_pid: int
    keeper_start: str
    job_pid: int
    job_start: str
    started_at: float
    slot: dict[str, Any]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PidRecord | None:
        """None where fields are missing or unknown, or cannot be what they say."""
        try:
            record = cls(**data)
        except TypeError:
            return None
        return record if record._is_sound() else None

    def _is_sound(self) -> bool:
        texts = (self.token, self.key, self.host, self.boot, self.keeper_start, self.job_start)
        return (
            all(type(text) is str for text in texts)
            and type(self.keeper_pid) is int
            and self.keeper_pid > 1
            and type(self.job_pid) is int
            and (self.job_pid > 1 or self.job_pid == 0)  # 0: not started yet
            and type(self.slot) is dict
            and self.slot.keys() >= {"index", "gpus"}
        )


def read_json(path: Path) -> dict[str, Any] | None:
    """None where the file is absent or, after a power cut, damaged."""
    try:
        data = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write so that a reader sees all of it or nothing."""
    temporary = f"{path}.tmp"
    _write(temporary, os.O_TRUNC, json.dumps(data).encode())
    os.rename(temporary, path)  # noqa: PTH104 - pathlib costs a keeper more than the system call does


def reserve_exit(files: JobFiles) -> None:
    """Take the disk space that the exit file will need."""
    _write(files.reserve, os.O_TRUNC, b" " * EXIT_BYTES)


def write_exit(files: JobFiles, result: Mapping[str, Any]) -> None:
    """Write the exit file, for as long as it takes; only a trial folder that was removed ends the tries."""
    data = json.dumps(result).encode().ljust(EXIT_BYTES)
    while True:
        try:
            # Overwritten in place: needs no new block, so it works on a full disk too.
            _write(files.reserve, 0, data)
            files.reserve.replace(files.exit)
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(RETRY_S)
        else:
            return


def _write(path: Path | str, flags: int, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | flags, 0o644)
    try:
        if os.write(handle, data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(handle)
