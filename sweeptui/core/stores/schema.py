"""The tables, their version, and how an older database is brought up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

APPLICATION_ID = 0x53575054
"""`SWPT`: tells a sweep from any other SQLite file."""

SCHEMA_VERSION = 1

MIGRATIONS: dict[int, Callable[[sqlite3.Connection], None]] = {}
"""From version n to n + 1. A step runs inside a transaction that its caller opens and commits."""

TABLES = (
    """
    CREATE TABLE sweep (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        name TEXT NOT NULL,
        config TEXT NOT NULL,
        status TEXT NOT NULL,
        reason TEXT NOT NULL DEFAULT '',
        created_at REAL NOT NULL,
        started_at REAL,
        ended_at REAL,
        run_s REAL NOT NULL DEFAULT 0,
        -- Numbers up to these were given out, even where recovery found no row for them.
        last_trial INTEGER NOT NULL DEFAULT 0,
        last_job INTEGER NOT NULL DEFAULT 0
    )
    """,
    """
    CREATE TABLE trials (
        number INTEGER PRIMARY KEY,
        params TEXT NOT NULL,
        seed INTEGER NOT NULL,
        created_at REAL NOT NULL,
        status TEXT NOT NULL DEFAULT 'pending',
        reason TEXT NOT NULL DEFAULT '',
        failure TEXT,
        paused_from TEXT,
        score REAL,
        cost REAL,
        step REAL,
        total_steps REAL,
        metrics TEXT NOT NULL DEFAULT '{}',
        checkpoint TEXT,
        provenance TEXT NOT NULL DEFAULT '{}',
        attempt INTEGER NOT NULL DEFAULT 0,
        eval_attempt INTEGER NOT NULL DEFAULT 0,
        requeued_after_job INTEGER NOT NULL DEFAULT 0,
        spent REAL NOT NULL DEFAULT 0,
        known_ends INTEGER NOT NULL DEFAULT 0,
        end_order INTEGER,
        queued_at REAL,
        started_at REAL,
        ended_at REAL
    )
    """,
    """
    CREATE TABLE jobs (
        id INTEGER PRIMARY KEY,
        trial INTEGER NOT NULL REFERENCES trials (number),
        stage TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        created_at REAL NOT NULL,
        state TEXT NOT NULL DEFAULT 'intent',
        argv TEXT NOT NULL DEFAULT '[]',
        slot TEXT NOT NULL DEFAULT '{}',
        handle TEXT NOT NULL DEFAULT '{}',
        report_offset INTEGER NOT NULL DEFAULT 0,
        ask TEXT,
        ask_reason TEXT NOT NULL DEFAULT '',
        outcome TEXT,
        reason TEXT NOT NULL DEFAULT '',
        exit TEXT NOT NULL DEFAULT '{}',
        started_at REAL,
        ended_at REAL,
        UNIQUE (trial, stage, attempt)
    )
    """,
    # A trial never runs twice at once, whatever the code above the database thinks.
    "CREATE UNIQUE INDEX unfinished_jobs ON jobs (trial) WHERE state <> 'ended'",
    """
    CREATE TABLE reports (
        id INTEGER PRIMARY KEY,
        trial INTEGER NOT NULL REFERENCES trials (number),
        job INTEGER NOT NULL REFERENCES jobs (id),
        stage TEXT NOT NULL,
        at REAL NOT NULL,
        step REAL,
        total_steps REAL,
        score REAL,
        cost REAL,
        checkpoint TEXT,
        metrics TEXT NOT NULL DEFAULT '{}'
    )
    """,
    "CREATE INDEX reports_of_trial ON reports (trial)",
    """
    CREATE TABLE journal (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        at REAL NOT NULL,
        kind TEXT NOT NULL,
        trial INTEGER,
        data TEXT NOT NULL,
        actor TEXT NOT NULL
    )
    """,
    """
    CREATE TABLE commands (
        id INTEGER PRIMARY KEY,
        at REAL NOT NULL,
        actor TEXT NOT NULL,
        verb TEXT NOT NULL,
        args TEXT NOT NULL DEFAULT '{}',
        state TEXT NOT NULL DEFAULT 'pending',
        result TEXT NOT NULL DEFAULT ''
    )
    """,
    "CREATE INDEX pending_commands ON commands (id) WHERE state = 'pending'",
    """
    CREATE TABLE lease (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        token TEXT NOT NULL,
        host TEXT NOT NULL,
        boot TEXT NOT NULL,
        pid INTEGER NOT NULL,
        started TEXT NOT NULL,
        label TEXT NOT NULL,
        since REAL NOT NULL,
        ttl_s REAL NOT NULL,
        counter INTEGER NOT NULL
    )
    """,
)


def create(db: sqlite3.Connection) -> None:
    """Make the tables, inside the caller's transaction."""
    for statement in TABLES:
        db.execute(statement)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def version(db: sqlite3.Connection) -> int | None:
    """The schema version; None where no table has been made yet."""
    if not db.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone():
        return None
    return int(db.execute("PRAGMA user_version").fetchone()[0])
