"""CSV: a row for each trial, for spreadsheets and data frames."""

from __future__ import annotations

import csv
import sys
from typing import IO, TYPE_CHECKING, Any

from sweeptui.core.errors import UserError
from sweeptui.exchange.records import Source
from sweeptui.exchange.tables import OWN, cell, columns, row_of, trial_of, value_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sweeptui.core.stores.sqlite import SqliteStore
    from sweeptui.exchange.records import Record

LACKS = "the learning curves, the attempts, the configuration, the journal and the logs"


def write(store: SqliteStore, file: IO[str]) -> int:
    """Write a sweep; how many trials it has."""
    trials = store.state.trials
    names = columns(trials.values())
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(names)
    for number in sorted(trials):
        row = row_of(trials[number])
        # What is not there, and None outside of parameters and metrics, is an empty cell.
        writer.writerow(
            "" if name not in row or (row[name] is None and "." not in name) else cell(row[name]) for name in names
        )
    return len(trials)


def source(path: Path) -> Source:
    """What `path` holds: one of our tables, or another one with a column for each parameter and metric."""
    names = next(_lines(path), None)
    if not names:
        raise UserError(f"{path} is empty; its first line is to name the columns")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{path} has two columns {twice!r}; give each a name of its own")
    if set(names) >= OWN:
        return Source(str(path), lambda: _records(path))
    return Source(str(path), lambda: (row for _, row in _rows(path)))


def _lines(path: Path) -> Iterator[list[str]]:
    csv.field_size_limit(sys.maxsize)  # the default refuses long cells
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from (line for line in csv.reader(file) if line)
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as CSV in UTF-8: {error}") from None


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    lines = _lines(path)
    names = next(lines)
    for number, line in enumerate(lines, 2):
        if len(line) != len(names):
            raise UserError(f"{path}, row {number} has {len(line)} cells, and there are {len(names)} columns")
        yield number, {name: value_of(text) for name, text in zip(names, line, strict=True) if text != ""}


def _records(path: Path) -> Iterator[Record]:
    for number, row in _rows(path):
        try:
            yield trial_of(row)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UserError(f"{path}, row {number} is no trial of a sweep: {error}") from None
