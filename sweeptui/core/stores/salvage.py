"""Reading what can be read of a damaged database, row by row."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sweeptui.core.stores import rows, schema
from sweeptui.core.stores.lease import LeaseKeeper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sweeptui.core.state import Change, Command
    from sweeptui.core.stores.base import Lease
    from sweeptui.core.trial import Job, Report, Trial

T = TypeVar("T")

_GIVE_UP_AFTER = 1_000_000
"""Row numbers on end that cannot be read: there is nothing more."""
_CAREFUL = 100
"""So many are tried one by one, several pages' worth; from then on in steps of a hundredth of the gap."""
_PAGE_BYTES = 4096
_ODD = (ValueError, TypeError, LookupError, AttributeError)
"""What decoding a row of rubbish raises."""


class Salvage:
    """The readable rows of each table. `path` is a copy: opening it may change it."""

    def __init__(self, path: Path) -> None:
        _replace_first_page_if_unreadable(path)
        db = _open(path)
        try:
            self.sweep = _one(db, rows.load_sweep)
            self.lease: Lease | None = _one(db, LeaseKeeper(lambda: 0.0).read)
            self.changes: list[Change] = list(_read(db, rows.SELECT_JOURNAL, "seq", rows.change_from))
            self.trials: list[Trial] = list(_read(db, rows.SELECT_TRIALS, "number", rows.trial_from))
            self.jobs: list[Job] = list(_read(db, rows.SELECT_JOBS, "id", rows.job_from))
            self.reports: list[Report] = list(_read(db, rows.SELECT_REPORTS, "id", rows.report_from))
            self.commands: list[Command] = list(_read(db, rows.SELECT_COMMANDS, "id", rows.command_from))
        finally:
            db.close()


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    # Lets SQLite go on where the file is shorter than its header says.
    db.execute("PRAGMA writable_schema = ON")
    return db


def _replace_first_page_if_unreadable(path: Path) -> None:
    """The first page says where the tables are: in the same places in every database that was made alike."""
    db = _open(path)
    try:
        db.execute("SELECT 1 FROM trials LIMIT 0")
    except sqlite3.DatabaseError:
        pass
    else:
        return
    finally:
        db.close()
    with tempfile.TemporaryDirectory() as folder:
        pristine = Path(folder, "pristine.db")
        db = sqlite3.connect(pristine, isolation_level=None)
        db.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        schema.create(db)
        db.close()
        first = bytearray(pristine.read_bytes()[:_PAGE_BYTES])
    with path.open("r+b") as file:
        first[28:32] = (path.stat().st_size // _PAGE_BYTES).to_bytes(4, "big")
        file.write(first)


def _one(db: sqlite3.Connection, read: Callable[[sqlite3.Connection], T]) -> T | None:
    try:
        return read(db)
    except (sqlite3.DatabaseError, *_ODD):
        return None


def _read(db: sqlite3.Connection, select: str, key: str, decode: Callable[[tuple[Any, ...]], T]) -> Iterator[T]:
    """The rows in order of `key`, over whatever damage lies between them."""
    sql = select.replace("SELECT", f"SELECT {key},", 1) + f" WHERE {key} > ? ORDER BY {key}"
    position, unreadable = 0, 0
    while unreadable < _GIVE_UP_AFTER:
        try:
            for at, *row in db.execute(sql, (position,)):
                if at <= position:  # a damaged page that leads back
                    break
                position, unreadable = at, 0
                try:
                    yield decode(tuple(row))
                except _ODD:
                    continue
            else:
                return
        except sqlite3.DatabaseError:
            pass
        step = 1 + unreadable // _CAREFUL
        position, unreadable = position + step, unreadable + step
