"""A sweep as one file: its database with the whole journal, and the logs of its trials beside the tables."""

from __future__ import annotations

import os
import shutil
import sqlite3
import zlib
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from sweeptui.core.errors import UserError
from sweeptui.core.stores.connection import connect, store_errors
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.folders import DATABASE

if TYPE_CHECKING:
    from collections.abc import Iterator

LOGS = "exported_logs"
BUSY_S = 10.0
CHUNK = 1 << 20
"""Bytes of a log in one row: so much of it is in memory at once."""


def write(folder: Path, target: Path, *, logs: bool) -> Path:
    """Copy the sweep in `folder` as it is at this moment to the new file `target`. Raises `StoreError`.

    Nobody runs the copy: it has no lease, and it is no file that needs others beside it.
    """
    write_copy(folder / DATABASE, target)
    if not logs:
        return target
    with store_errors(target), closing(sqlite3.connect(target)) as db:
        db.execute(f"CREATE TABLE {LOGS} (path TEXT, chunk INTEGER, mtime REAL, data BLOB)")
        for path in sorted(folder.glob("trials/trial_*/*.log")):
            _store(db, path, path.relative_to(folder).as_posix())
        db.commit()
    return target


def _store(db: sqlite3.Connection, path: Path, name: str) -> None:
    with path.open("rb") as log:
        mtime = os.fstat(log.fileno()).st_mtime
        for number, part in enumerate(iter(lambda: log.read(CHUNK), b"")):
            db.execute(f"INSERT INTO {LOGS} VALUES (?, ?, ?, ?)", (name, number, mtime, zlib.compress(part)))  # noqa: S608


def is_one(path: Path) -> bool:
    """Whether there is a file with a sweep in it, whatever it is called."""
    try:
        with path.open("rb") as file:
            return file.read(16) == b"SQLite format 3\0"
    except OSError:
        return False


def place(origin: Path, folder: Path) -> None:
    """Lay the sweep in `origin`, a folder or a file of ours, out as the new `folder`. Raises `UserError`."""
    if origin.is_dir():
        # Never the journal of SQLite's own beside a database that somebody may be writing to.
        shutil.copytree(origin, folder, ignore=shutil.ignore_patterns(f"{DATABASE}*", "*.lock"))
        write(origin, folder / DATABASE, logs=False)
        return
    folder.mkdir(parents=True)
    write_copy(origin, folder / DATABASE)
    unpack_logs(origin, folder)


def write_copy(database: Path, target: Path) -> None:
    """Copy a database as it is at this moment, without the logs it may hold and without whoever runs the sweep."""
    SqliteStore.open(database, readonly=True).close()  # whatever is wrong with it is said as ever
    with store_errors(database), closing(connect(database, "ro", BUSY_S)) as db:
        db.execute("VACUUM INTO ?", (os.fspath(target),))
    with store_errors(target), closing(sqlite3.connect(target)) as db:
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute("DELETE FROM lease")
        db.execute(f"DROP TABLE IF EXISTS {LOGS}")
        db.commit()


def unpack_logs(file: Path, folder: Path) -> None:
    """Write the logs that `file` holds below `folder`. A path that would leave it is refused."""
    with store_errors(file), closing(connect(file, "ro", BUSY_S)) as db:
        for name, chunk, mtime, data in _parts(db):
            path = folder / name
            if path.suffix != ".log" or not path.resolve().is_relative_to((folder / "trials").resolve()):
                raise UserError(f"{file} holds a log called {name!r}, which is none of a trial: it is not opened")
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab" if chunk else "wb") as log:
                log.write(zlib.decompress(data))
            os.utime(path, (mtime, mtime))


def _parts(db: sqlite3.Connection) -> Iterator[tuple[str, int, float, bytes]]:
    if db.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (LOGS,)).fetchone():
        yield from db.execute(f"SELECT path, chunk, mtime, data FROM {LOGS} ORDER BY path, chunk")  # noqa: S608
