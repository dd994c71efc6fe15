"""JSON lines: the sweep in the first line, then a trial in each, with its attempts and learning curves."""

from __future__ import annotations

import json
from typing import IO, TYPE_CHECKING, Any

from sweeptui.core.errors import UserError
from sweeptui.exchange.records import (
    VERSION,
    Record,
    Source,
    header_of,
    plain,
    record_from,
    record_json,
    records_of,
    unplain,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sweeptui.core.stores.sqlite import SqliteStore
    from sweeptui.exchange.records import Row

MARK = "sweeptui"
LACKS = "the journal and the logs"

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def write(store: SqliteStore, file: IO[str]) -> int:
    """Write a sweep; how many trials it has."""
    file.write(_encode({MARK: VERSION, "sweep": plain(header_of(store.state))}) + "\n")
    for record in records_of(store):
        file.write(_encode(record_json(record)) + "\n")
    return len(store.state.trials)


def source(path: Path) -> Source:
    """What `path` holds: one of our files, or one with an object of parameters and results in each line."""
    first = next(_objects(path), None)
    if first is None:
        raise UserError(f"{path} has no line with an object; each line is to be one trial")
    if MARK not in first:
        return Source(str(path), lambda: (row for row in _objects(path)))
    check_version(path, first[MARK])
    return Source(str(path), lambda: _records(path), unplain(first["sweep"]))


def check_version(path: Path | str, version: Any) -> None:
    if not isinstance(version, int) or version > VERSION:
        raise UserError(f"{path} was written by a newer sweeptui (format {version}); upgrade sweeptui to read it")


def _objects(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except ValueError as error:
                raise UserError(f"{path}, line {number} is not JSON: {error}") from None
            if not isinstance(value, dict):
                raise UserError(f"{path}, line {number} is {line.strip()[:40]!r}; each line is to be one object")
            yield value


def _records(path: Path) -> Iterator[Row]:
    rows = _objects(path)
    next(rows)
    for number, shape in enumerate(rows, 2):
        yield record_at(f"{path}, line {number}", shape)


def record_at(where: str, shape: dict[str, Any]) -> Record:
    """The record in `shape`. Raises `UserError` that says where it was."""
    try:
        return record_from(shape)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{where} is no trial of a sweep: {error}") from None
