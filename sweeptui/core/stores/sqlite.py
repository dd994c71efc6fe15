"""A sweep in one SQLite file: the tables, and the journal they follow from."""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from sweeptui.core.state import Change, ChangeKind, Command, SweepState, SweepStatus
from sweeptui.core.stores import schema
from sweeptui.core.stores.base import (
    Lease,
    LeaseHeldError,
    LeaseLostError,
    StoreCorruptError,
    StoreError,
    StoreExistsError,
)
from sweeptui.core.stores.connection import connect, network_filesystem, set_journal_mode, stamp, store_errors
from sweeptui.core.stores.lease import LeaseKeeper
from sweeptui.core.stores.migration import checked_version, migrate
from sweeptui.core.stores.rows import (
    SELECT_COMMANDS,
    SELECT_JOBS,
    SELECT_JOURNAL,
    SELECT_POINTS,
    SELECT_REPORTS,
    SELECT_SCORES,
    ScoreRow,
    change_from,
    command_from,
    dumps,
    job_from,
    load,
    point_from,
    report_from,
    score_from,
)
from sweeptui.core.stores.transaction import Transaction
from sweeptui.core.trial import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from sweeptui.core.trial import Job, Point, Report

__all__ = ["VERBS", "Options", "SqliteStore", "Transaction"]

VERBS = frozenset({"pause", "resume", "kill", "requeue", "inject", "unqueue", "stop", "set", "evaluate", "validate"})
"""What may be asked of a sweep with `submit`."""


class Options(TypedDict, total=False):
    """How a store is opened; the defaults suit everybody but tests."""

    safe_mode: bool | None
    """Whether to do without WAL; None, the default, finds out whether WAL is safe on this file system."""
    busy_timeout_s: float
    """How long to wait for another process's transaction, 10 s by default."""
    clock: Callable[[], float]
    """Epoch seconds, for what is written down."""
    monotonic: Callable[[], float]
    """Seconds that no one sets, for what is waited for."""


class SqliteStore:
    """The durable truth about one sweep. One thread at a time may use it; any number of processes may have one open.

    Made by `create` or `open`. Every method that touches the file may raise `StoreError`.
    """

    def __init__(self, path: Path, mode: Literal["ro", "rw", "rwc"], options: Options) -> None:
        self.path = path
        self.readonly = mode == "ro"
        self.state = SweepState()
        self._safe_mode = options.get("safe_mode")
        self._clock = options.get("clock", time.time)
        self._lease = LeaseKeeper(options.get("monotonic", time.monotonic))
        self._unseen: list[Change] = []
        self._data_version = -1
        stamps = {whole: stamp(path, whole) for whole in (False, True)}
        with store_errors(path):
            self._db = connect(path, mode, options.get("busy_timeout_s", 10.0))
        self._stamp = stamp(path, whole=False) if mode == "rwc" else stamps[self._db.immutable]

    @classmethod
    def create(cls, path: Path, name: str, config: Mapping[str, Any], **options: Unpack[Options]) -> SqliteStore:
        """Make a new sweep, and the folders above it. `StoreExistsError` where there is a file that holds anything.

        A creation that was cut off leaves a file without a sweep, which the next one fills.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(path, f"{path.parent} cannot be made: {error.strerror}") from error
        try:
            store = cls(path, "rwc", options)
        except StoreCorruptError as error:  # something that is no database: not ours to overwrite
            raise _exists(path) from error
        try:
            store._create(name, config)
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def open(cls, path: Path, readonly: bool = False, **options: Unpack[Options]) -> SqliteStore:
        """Open a sweep, brought up to date first where an older version wrote it.

        Raises `StoreMissingError`, `StoreNewerError`, `StoreCorruptError`; readonly also `StoreOlderError`.
        """
        store = cls(path, "ro" if readonly else "rw", options)
        try:
            store._load()
        except BaseException:
            store.close()
            raise
        return store

    @staticmethod
    def exists(path: Path) -> bool:
        """Whether `create` would refuse: false also for what a creation that was cut off has left."""
        if not path.exists():
            return False
        try:
            db = connect(path, "ro", 10.0)
        except sqlite3.Error:
            return path.stat().st_size > 0
        try:
            return schema.version(db) is not None
        finally:
            db.close()

    def close(self) -> None:
        """Let go of the file. A lease stays until it is released or its process has ended."""
        self._db.close()

    def outdated(self) -> bool:
        """Whether this store cannot see what the file holds now, which another `open` would.

        Another file may have taken its place. Or it was read as it lay, since nobody wrote it and no file could be made
        beside it, and has been written since.
        """
        return stamp(self.path, self._db.immutable) != self._stamp

    @cached_property
    def safe_mode_reason(self) -> str:
        """Why the slower rollback journal is used instead of WAL; empty where it is not."""
        return _safe_mode_reason(self.path, self._safe_mode)

    # -- reading

    def refresh(self) -> list[Change]:
        """Take in what other processes have committed; those changes, in order. Cheap when there are none."""
        with store_errors(self.path):
            (version,) = self._db.execute("PRAGMA data_version").fetchone()
            if version != self._data_version:
                self._catch_up()
                self._data_version = version
        unseen, self._unseen = self._unseen, []
        return unseen

    def jobs(self, trial: int) -> list[Job]:
        """All jobs of a trial, oldest first."""
        return [job_from(row) for row in self._rows(SELECT_JOBS + " WHERE trial = ? ORDER BY id", trial)]

    def reports(self, trial: int, stage: Stage | None = None, *, skip: int = 0) -> list[Report]:
        """The reports of a trial in the order they came, without the first `skip` of them."""
        rows = self._rows(
            SELECT_REPORTS + " WHERE trial = ? AND (? IS NULL OR stage = ?) ORDER BY id LIMIT -1 OFFSET ?",
            trial,
            stage,
            stage,
            skip,
        )
        return [report_from(row) for row in rows]

    def scores(self, trial: int, stage: Stage, *, after: int = 0, limit: int = -1) -> list[ScoreRow]:
        """The reported scores of a trial in the order they came, from the row with an id above `after` on."""
        rows = self._rows(
            SELECT_SCORES + " WHERE trial = ? AND stage = ? AND id > ? AND score IS NOT NULL ORDER BY id LIMIT ?",
            trial,
            stage,
            after,
            limit,
        )
        return [score_from(row) for row in rows]

    def points(self, *, after: int = 0) -> list[Point]:
        """The scores that trainings have reported, of all trials in the order they came, with numbers above `after`."""
        rows = self._rows(
            SELECT_POINTS + " WHERE id > ? AND stage = ? AND score IS NOT NULL ORDER BY id", after, Stage.TRAIN
        )
        return [point_from(row) for row in rows]

    def newest_point(self, trial: int, up_to: int) -> Point | None:
        """The newest score that a trial's training has reported, of the reports numbered up to `up_to`."""
        rows = self._rows(
            SELECT_POINTS + " WHERE trial = ? AND stage = ? AND id <= ? AND score IS NOT NULL ORDER BY id DESC LIMIT 1",
            trial,
            Stage.TRAIN,
            up_to,
        )
        return point_from(rows[0]) if rows else None

    def journal(self, after: int = 0, limit: int | None = None) -> list[Change]:
        """The journal rows with `seq > after`, at most `limit`."""
        rows = self._rows(SELECT_JOURNAL + " WHERE seq > ? ORDER BY seq LIMIT ?", after, -1 if limit is None else limit)
        return [change_from(row) for row in rows]

    def moments(self, after: int = 0) -> list[tuple[int, float, int | None, str | None]]:
        """Of the journal rows with `seq > after` `seq`, time and trial, and the JSON where a trial's status changed."""
        return self._rows(
            "SELECT seq, at, trial, CASE WHEN kind IN (?, ?) AND instr(data, '\"status\":') THEN data END "
            "FROM journal WHERE seq > ? ORDER BY seq",
            ChangeKind.TRIAL_CHANGED,
            ChangeKind.TRIAL_RECOVERED,
            after,
        )

    def changes_of(self, trial: int) -> list[Change]:
        """The journal rows of one trial, oldest first."""
        return [change_from(row) for row in self._rows(SELECT_JOURNAL + " WHERE trial = ? ORDER BY seq", trial)]

    def command(self, id: int) -> Command:  # noqa: A002
        """A command, finished or not, as it is now. KeyError where there is none."""
        for row in self._rows(SELECT_COMMANDS + " WHERE id = ?", id):
            return command_from(row)
        raise KeyError(id)

    # -- writing

    @contextmanager
    def transaction(self, actor: str = "orchestrator") -> Iterator[Transaction]:
        """Write, all or nothing. `state` has the changes once the block has ended, and is untouched if it raises.

        Raises `LeaseLostError` where this store took the lease and no longer has it, `StoreFullError` and
        `StoreBusyError` with nothing changed; the same can then be tried again.
        """
        with self._transaction(actor, fenced=True) as transaction:
            yield transaction

    def submit(self, verb: str, args: Mapping[str, Any] | None = None, actor: str = "user") -> int:
        """Ask whoever runs the sweep for something; the command's id. Needs no lease. ValueError for unknown verbs."""
        if verb not in VERBS:
            raise ValueError(f"unknown verb {verb}: one of {', '.join(sorted(VERBS))}")
        with self._transaction(actor, fenced=False) as transaction:
            return transaction.add_command(verb, args or {})

    # -- the lease

    def lease(self) -> Lease | None:
        """Who runs the sweep. Ask repeatedly: that its heartbeat stands still is only seen by looking twice."""
        with store_errors(self.path):
            return self._lease.read(self._db)

    def acquire_lease(self, owner_label: str, ttl_s: float = 10.0) -> None:
        """Become the one who runs the sweep, or raise `LeaseHeldError`. Does not wait.

        Takes over at once from a process of this machine that has ended. From any other only after calls of this or of
        `lease` have seen its heartbeat standing still for its `ttl_s` or this one, whichever is longer. From then on
        call `heartbeat` several times per `ttl_s`.
        """
        with self._transaction(owner_label, fenced=False) as transaction:
            holder = self._lease.read(self._db, ttl_s)
            if holder is not None and holder.alive and not holder.mine:
                raise LeaseHeldError(self.path, holder)
            token = self._lease.take(self._db, owner_label, ttl_s, transaction.now)
            transaction.record(ChangeKind.LEASE_TAKEN, {"label": owner_label, "from": str(holder) if holder else None})
        self._lease.token = token

    def heartbeat(self) -> None:
        """Show that this process is there. Raises `LeaseLostError` where it does not hold the lease."""
        with self._write(fenced=True):
            if not self._lease.beat(self._db):
                raise LeaseLostError(self.path, self._lease.read(self._db))

    def release_lease(self) -> None:
        """Give the lease back, if this store has it: after that it writes nothing until it takes it again."""
        with self._transaction("lease", fenced=False) as transaction:
            if self._lease.release(self._db):
                transaction.record(ChangeKind.LEASE_RELEASED, {})

    # -- inside

    def _create(self, name: str, config: Mapping[str, Any]) -> None:
        with store_errors(self.path):
            if schema.version(self._db) is not None:
                raise _exists(self.path)
            set_journal_mode(self._db, bool(self.safe_mode_reason))
            self._db.execute("BEGIN IMMEDIATE")
            with self._rolled_back():
                if schema.version(self._db) is not None:  # another process was faster
                    raise _exists(self.path)
                schema.create(self._db)
                transaction = Transaction(self._db, self.state, self._clock(), "create")
                change = transaction.record(ChangeKind.SWEEP_CREATED, {"name": name, "config": dict(config)})
                self._db.execute(
                    "INSERT INTO sweep (id, name, config, status, created_at) VALUES (1, ?, ?, ?, ?)",
                    (name, dumps(change.data["config"]), SweepStatus.CREATED.value, change.at),
                )
                transaction.flush()
                self._commit()
        self.state.apply(change)

    def _load(self) -> None:
        with store_errors(self.path):
            found = checked_version(self._db, self.path, self.readonly)
            if not self.readonly:
                if found < schema.SCHEMA_VERSION:
                    self._db.execute("BEGIN IMMEDIATE")
                    with self._rolled_back():
                        migrate(self._db, self.path)
                        self._commit()
                set_journal_mode(self._db, bool(self.safe_mode_reason))
            self._db.execute("BEGIN")
            try:
                (self._data_version,) = self._db.execute("PRAGMA data_version").fetchone()
                self.state = load(self._db)
            except (sqlite3.DatabaseError, ValueError, TypeError, LookupError) as error:
                if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF in _NOT_DAMAGE:
                    raise
                raise StoreCorruptError(self.path, self._damage() or f"{type(error).__name__}: {error}") from error
            finally:
                if self._db.in_transaction:  # SQLite has already ended it after some errors
                    self._db.execute("ROLLBACK")

    def _damage(self) -> str:
        """What SQLite itself finds wrong, for the sentence; empty where it finds nothing."""
        try:
            (found,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.DatabaseError as error:
            return str(error)
        return "" if found == "ok" else " ".join(str(found).split())

    def _rows(self, sql: str, *args: Any) -> list[tuple[Any, ...]]:
        with store_errors(self.path):
            return self._db.execute(sql, args).fetchall()

    def _catch_up(self) -> None:
        for change in self.journal(after=self.state.last_seq):
            self.state.apply(change)
            self._unseen.append(change)

    @contextmanager
    def _transaction(self, actor: str, fenced: bool) -> Iterator[Transaction]:
        with self._write(fenced):
            transaction = Transaction(self._db, self.state, self._clock(), actor)
            yield transaction
            transaction.flush()
        self.state.apply_all(transaction.changes)

    @contextmanager
    def _write(self, fenced: bool) -> Iterator[None]:
        if self.readonly:
            raise StoreError(self.path, f"{self.path} was opened for reading only")
        if self._db.in_transaction:
            raise RuntimeError("a transaction inside a transaction")
        with store_errors(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            with self._rolled_back():
                if fenced and self._lease.token is not None and not self._lease.holds(self._db):
                    raise LeaseLostError(self.path, self._lease.read(self._db))
                self._catch_up()  # what others wrote comes first: numbers and states are decided on the newest
                yield
                self._commit()

    @contextmanager
    def _rolled_back(self) -> Iterator[None]:
        """Undo the open transaction where the block does not end it."""
        try:
            yield
        except BaseException:
            if self._db.in_transaction:
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
            raise

    def _commit(self) -> None:
        """The one place where anything becomes durable."""
        self._db.execute("COMMIT")


_NOT_DAMAGE = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL}


def _exists(path: Path) -> StoreExistsError:
    return StoreExistsError(path, f"{path} exists already: choose another sweep name, or run it again to go on")


def _safe_mode_reason(path: Path, safe_mode: bool | None) -> str:
    if safe_mode is not None:
        return "it was asked for" if safe_mode else ""
    kind = network_filesystem(path.parent)
    return f"{path.parent} is on a network file system ({kind}), where WAL is unsafe" if kind else ""
