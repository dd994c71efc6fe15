"""SQLite connections to a sweep: how they are opened, and what their errors mean."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sweeptui.core.stores.base import (
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreMissingError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_NETWORK = (
    *(
        "nfs",
        "cifs",
        "smb",
        "afs",
        "9p",
        "virtiofs",
        "vboxsf",
        "sshfs",
        "davfs",
        "rclone",
        "s3fs",
        "gcsfuse",
        "juicefs",
    ),
    *("lustre", "gpfs", "beegfs", "fhgfs", "ceph", "gluster", "panfs", "wekafs", "orangefs", "pvfs2", "ocfs2", "gfs2"),
)
"""How the types of network and cluster file systems begin, with or without `fuse.` before it."""
_MEGABYTE = 1 << 20


def network_filesystem(path: Path, mounts: Iterable[tuple[str, str]] | None = None) -> str | None:
    """The type of the network file system that `path` lies on, None where it is a local one.

    `mounts` are (mount point, type) pairs; by default the machine's. WAL needs memory that all processes share, which
    a network file system does not give (https://www.sqlite.org/wal.html).
    """
    if mounts is None:
        import psutil  # noqa: PLC0415 - who only reads a sweep does without it

        mounts = [(part.mountpoint, part.fstype) for part in psutil.disk_partitions(all=True)]
    here = path.resolve()
    # The longest mount point above the path counts; of two on the same point, the later one covers the other.
    covering = [(len(Path(point).parts), kind) for point, kind in mounts if here.is_relative_to(point)]
    kind = max(reversed(covering), key=lambda mount: mount[0], default=(0, ""))[1]
    lowered = kind.lower()
    return kind if lowered.removeprefix("fuse.").startswith(_NETWORK) else None


class Connection(sqlite3.Connection):
    immutable = False
    """It takes the file for one that nobody writes, and never looks whether that is still so."""


def stamp(path: Path, whole: bool) -> tuple[int, ...]:
    """Which file lies there; with `whole` also when it, or what was written beside it, last changed."""
    found: list[int] = []
    with suppress(OSError):
        status = path.stat()
        found += (status.st_ino, status.st_dev, *((status.st_size, status.st_mtime_ns) if whole else ()))
    if whole:
        with suppress(OSError):
            status = path.with_name(path.name + "-wal").stat()
            found += (status.st_size, status.st_mtime_ns) if status.st_size else ()  # an empty one a reader makes, too
    return tuple(found)


def connect(path: Path, mode: str, busy_timeout_s: float) -> Connection:
    """A connection that leaves all transactions to its user. `mode`: ro, rw, or rwc (make the file).

    What lies on a full disk or in a folder that is not ours to write to, with nobody writing, is read as it lies: even
    a reader of WAL needs a file beside the database.
    """
    db = _connect(path, f"mode={mode}", busy_timeout_s)
    try:
        db.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
    except sqlite3.OperationalError as error:
        db.close()
        if mode != "ro" or error.sqlite_errorcode & 0xFF not in _CANNOT_MAKE_FILES or _being_written(path):
            raise
        db = _connect(path, "mode=ro&immutable=1", busy_timeout_s)
        db.immutable = True
    except sqlite3.DatabaseError:
        db.close()
        raise
    db.execute("PRAGMA foreign_keys = ON")
    db.execute("PRAGMA synchronous = FULL")
    return db


def _connect(path: Path, query: str, busy_timeout_s: float) -> Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{query}",
        uri=True,
        timeout=busy_timeout_s,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
        factory=Connection,
    )


_CANNOT_MAKE_FILES = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL}


def _being_written(path: Path) -> bool:
    wal = path.with_name(path.name + "-wal")
    return not path.exists() or (wal.exists() and wal.stat().st_size > 0)


def set_journal_mode(db: sqlite3.Connection, safe_mode: bool) -> None:
    """WAL, or in safe mode the rollback journal.

    WAL is only faster: where another process is in the way, a later open sets it.
    """
    (mode,) = db.execute("PRAGMA journal_mode").fetchone()
    if safe_mode and mode == "wal":
        # Exclusive locking keeps SQLite from using shared memory even while it leaves WAL behind.
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("PRAGMA journal_mode = DELETE").fetchone()
        db.execute("PRAGMA locking_mode = NORMAL")
        db.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()  # only now is the exclusive lock given back
    elif not safe_mode and mode != "wal":
        try:
            db.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise


@contextmanager
def store_errors(path: Path) -> Iterator[None]:
    """Say what an SQLite error means, as a `StoreError`."""
    try:
        yield
    except sqlite3.Error as error:
        raise _explained(path, error) from error


def _explained(path: Path, error: sqlite3.Error) -> StoreError:
    extended = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    code = extended & 0xFF
    if _no_room(path, extended):
        return StoreFullError(path, f"no room to write {path}: free some disk space")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreCorruptError(path, str(error))
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreBusyError(path, f"{path} is locked by another process: try again, or see who uses it with `fuser`")
    if code == sqlite3.SQLITE_CANTOPEN and not path.exists():
        return StoreMissingError(path, f"there is no sweep at {path}")
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return StoreError(path, f"{path} cannot be opened or written: check who may use it and its folder ({error})")
    return StoreError(path, f"{path} cannot be used: {error}")


def _no_room(path: Path, extended: int) -> bool:
    if extended & 0xFF == sqlite3.SQLITE_IOERR:
        # A quota that is used up shows as a failed write, not as a full disk.
        failed_write = extended in (sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE)
        return failed_write or shutil.disk_usage(path.parent).free < _MEGABYTE
    return extended & 0xFF == sqlite3.SQLITE_FULL
