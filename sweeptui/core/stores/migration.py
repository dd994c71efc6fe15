"""Databases of other versions: refused, or brought up to date with a copy kept."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from sweeptui.core.stores import schema
from sweeptui.core.stores.base import StoreCorruptError, StoreMissingError, StoreNewerError, StoreOlderError
from sweeptui.core.stores.connection import connect

if TYPE_CHECKING:
    from pathlib import Path


def checked_version(db: sqlite3.Connection, path: Path, readonly: bool) -> int:
    """The schema version, where it can be worked with: this one, or an older one that may be brought up to date.

    Raises `StoreMissingError`, `StoreCorruptError`, `StoreNewerError`, `StoreOlderError`.
    """
    found = schema.version(db)
    if found is None:
        raise StoreMissingError(path, f"there is no sweep at {path}: its creation was cut off")
    (application,) = db.execute("PRAGMA application_id").fetchone()
    if application != schema.APPLICATION_ID:
        raise StoreCorruptError(path, "it is no sweep's database")
    if found > schema.SCHEMA_VERSION:
        raise StoreNewerError(
            path,
            f"{path} was written by a newer version (schema {found}, this one knows {schema.SCHEMA_VERSION}): "
            "upgrade sweeptui",
        )
    missing = [step for step in range(found, schema.SCHEMA_VERSION) if step not in schema.MIGRATIONS]
    if missing:
        raise StoreOlderError(path, f"{path} (schema {found}) is too old for this version: open it with an older one")
    if found < schema.SCHEMA_VERSION and readonly:
        raise StoreOlderError(
            path,
            f"{path} was written by an older version: run `sweeptui continue {path.parent.name}` once to bring it up "
            "to date",
        )
    return found


def migrate(db: sqlite3.Connection, path: Path) -> None:
    """Bring the tables up to date, inside the caller's write transaction, with a copy of the file as it was."""
    found = checked_version(db, path, readonly=False)
    if found < schema.SCHEMA_VERSION:  # else another process was faster
        _back_up(path, found)
    for step in range(found, schema.SCHEMA_VERSION):
        schema.MIGRATIONS[step](db)
        db.execute(f"PRAGMA user_version = {step + 1}")


def _back_up(path: Path, version: int) -> None:
    """Complete or not at all."""
    target = path.with_name(f"{path.name}.v{version}.bak")
    partial = target.with_name(target.name + ".part")
    partial.unlink(missing_ok=True)
    source = connect(path, "ro", 10.0)
    copy = sqlite3.connect(partial)
    try:
        source.backup(copy)
    finally:
        copy.close()
        source.close()
    partial.replace(target)
