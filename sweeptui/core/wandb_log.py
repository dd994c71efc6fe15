"""Reads what W&B's client writes of a run on this machine, while it runs and afterwards, online or offline.

A run's folder holds `run-ID.wandb`: a head of 7 bytes, then records in the format of LevelDB's log, each a protobuf
`Record` of the client's own. The client writes them in blocks, and newer ones also at an interval.
"""

from __future__ import annotations

import importlib
import json
import math
import re
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sweeptui.core.reports import MAX_DEPTH, MAX_NAME_CHARS, parse_int, printable

Record = Any
"""The client's own message, which is made when its package is imported and has no type before."""
HEAD_BYTES = 7
MAGIC = b":W&B"
BLOCK_BYTES = 32 * 1024
READ_BYTES = 4 * 1024 * 1024
"""Of one call of `read`, more only where one record is longer."""
MAX_TEXT_CHARS = 500
_FRAME = struct.Struct("<IHB")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_FOLDER = re.compile(r"(?:offline-)?run-(?P<time>\d{8}_\d{6})-(?P<id>.+)")


def run_folders(folder: Path, run_id: str | None = None) -> list[Path]:
    """The folders of the runs below a `WANDB_DIR`, the oldest first; those with this id, where there are any."""
    found: list[tuple[str, str, Path]] = []
    for path in (path for name in ("wandb", ".wandb") for path in (folder / name).glob("*run-*-*")):
        match = _FOLDER.fullmatch(path.name)
        if match and path.is_dir() and not path.is_symlink():
            found.append((match["time"], match["id"], path))
    own = [each for each in found if each[1] == run_id]
    return [path for _, _, path in sorted(own or found)]


def log_of(run_folder: Path) -> Path | None:
    """The log of a run; None where it has not been begun."""
    return next(iter(sorted(run_folder.glob("run-*.wandb"))), None)


def load_records() -> Any:
    """The class of the records, from the client's package; the first call takes a second."""
    return importlib.import_module("wandb.proto.wandb_internal_pb2").Record


class LogFile:
    """Follows one log as it grows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.more = False
        """The last call stopped at `READ_BYTES`: there is more to read at once."""
        self.damaged = False
        """Something in it is not as the client writes it; what stands behind that is not read."""
        self._offset = 0
        self._parts: list[bytes] = []
        self._chunk = READ_BYTES

    def read(self) -> list[Record]:
        """The records since the last call; one that is not whole yet is waited for."""
        from google.protobuf.message import DecodeError  # noqa: PLC0415 - only for scripts that log to W&B

        record = load_records()
        try:
            return [record.FromString(data) for data in self._records()]
        except DecodeError:
            self.damaged = True
            return []

    def _records(self) -> Iterator[bytes]:
        self.more = False
        if self.damaged:
            return
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                data = file.read(self._chunk)
        except OSError:
            return
        at = 0
        if self._offset == 0:
            if len(data) < HEAD_BYTES:
                return
            self.damaged = not data.startswith(MAGIC)
            at = HEAD_BYTES
        begun = self._offset
        while not self.damaged:
            left = BLOCK_BYTES - (begun + at) % BLOCK_BYTES
            if left < _FRAME.size:
                at += left  # what is left of a block and too short for a frame is padding
            start = at + _FRAME.size
            if start > len(data):
                break
            checksum, length, kind = _FRAME.unpack_from(data, at)
            piece = data[start : start + length]
            if len(piece) < length:
                break
            if kind not in (_FULL, _FIRST, _MIDDLE, _LAST) or zlib.crc32(bytes([kind]) + piece) != checksum:
                self.damaged = True
                break
            at = start + length
            self._offset = begun + at
            self._parts = [piece] if kind in (_FULL, _FIRST) else [*self._parts, piece]
            if kind in (_FULL, _LAST):
                yield b"".join(self._parts)
                self._parts = []
        self.more = len(data) == self._chunk and not self.damaged


def values_of(items: Iterable[Any]) -> dict[str, Any]:
    """The items of a history or summary record by name; the parts of a nested one's are joined by dots."""
    found: dict[str, Any] = {}
    for item in items:
        try:
            value = json.loads(item.value_json, parse_int=parse_int)
        except (ValueError, RecursionError):
            continue
        found[".".join(item.nested_key) or item.key] = value
    return flat(found)


def flat(values: Mapping[str, Any], depth: int = 1) -> dict[str, Any]:
    """The numbers and short texts among the values, by dotted names, as W&B's own tables and sweeps name them.

    A number that is not finite is a text, and every text can be printed. Tables, images, histograms and what else W&B
    draws are left out, and so is what is nested too deep or has too long a name.
    """
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = printable(str(key))
        if isinstance(value, dict) and depth < MAX_DEPTH:
            found |= {f"{name}.{inner}": each for inner, each in flat(value, depth + 1).items()}
        elif isinstance(value, float) and not math.isfinite(value):
            found[name] = str(value)
        elif isinstance(value, str) and len(value) <= MAX_TEXT_CHARS:
            found[name] = printable(value)
        elif isinstance(value, bool | int | float):
            found[name] = value
    found = {name: value for name, value in found.items() if len(name) <= MAX_NAME_CHARS}
    drawn = {name.removesuffix("_type") for name in found if name.endswith("._type")}
    return {name: value for name, value in found.items() if not any(name.startswith(prefix) for prefix in drawn)}
