"""What a pipeline has done so far, kept in a store: the same run, begun again, goes on from it."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from sweeptui.core.errors import UserError
from sweeptui.core.state import SweepStatus
from sweeptui.core.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    from sweeptui.core.state import Command
    from sweeptui.core.stores.sqlite import Transaction

KIND = "stage."
"""The journal's kinds for what a pipeline did begin with this."""
LEASE_TTL_S = 10.0
_BEAT_S = 2.0
_LOOK_S = 0.2
"""While it is paused, between two looks at whether it goes on."""


class StoppedError(UserError):
    """A user has stopped this run: it goes on when it is run again."""


class _PausedError(Exception):
    """A user has paused this run."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a pipeline did. `path` is where: `optimize`, `loop1[3]/train`."""

    kind: str
    path: str
    data: Mapping[str, Any] = field(default_factory=dict)


class Memory(Protocol):
    """Where events are kept, in order. `record` returns once the event cannot be lost any more."""

    folder: Path | None
    """For files: profiles, cached outputs."""

    @property
    def paused_s(self) -> Callable[[], float] | None:
        """Tells for how many seconds users have paused this run so far; None where it cannot be paused."""
        ...

    def events(self) -> list[Event]: ...

    def record(self, event: Event) -> None: ...


class Forgetful:
    """Keeps events as long as the process lives."""

    folder: Path | None = None
    paused_s = None

    def __init__(self) -> None:
        self._events: list[Event] = []

    def events(self) -> list[Event]:
        return list(self._events)

    def record(self, event: Event) -> None:
        self._events.append(event)


class StoreMemory:
    """Keeps events in the journal of a sweep's store, whose lease it holds meanwhile.

    The store lives in a thread of its own, which shows that this process is there however long a stage takes, and which
    hears of a user's `stop`: the next record then raises `StoppedError` and writes nothing. While a user has paused it,
    no attempt of a stage is recorded: that waits.
    """

    def __init__(self, path: Path, name: str, label: str = "pipeline", config: Mapping[str, Any] | None = None) -> None:
        """Open the store at `path`, or make it; `config` is what is told of the run besides its name.

        Raises `UserError`, `LeaseHeldError` where another process has it.
        """
        self._config = {"pipeline": name, **(config or {})}
        self.path = path
        self.folder: Path | None = path.parent
        self.say: Callable[[str], None] = lambda _: None
        """Told that it waits."""
        self._asked: queue.SimpleQueue[tuple[Callable[[SqliteStore], Any], queue.SimpleQueue[Any]] | None]
        self._asked = queue.SimpleQueue()
        opened: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._lost: BaseException | None = None
        self._looked_at = time.monotonic()
        self._pauses: tuple[float, float | None] = (0.0, None)
        """Seconds of the pauses that are over, and when the one that holds was begun."""
        self._thread = threading.Thread(target=self._serve, args=(name, label, opened), name="memory", daemon=True)
        self._thread.start()
        if (error := opened.get()) is not None:
            raise error

    def events(self) -> list[Event]:
        """Raises `UserError` where the store cannot be read."""
        changes = self._ask(lambda store: store.journal())
        return [
            Event(change.kind.removeprefix(KIND), change.data["path"], change.data)
            for change in changes
            if change.kind.startswith(KIND)
        ]

    def record(self, event: Event) -> None:
        """Raises `UserError` where the store cannot be written: full, or taken over."""

        def write(store: SqliteStore) -> None:
            _hear(store)
            if event.kind == "attempt":
                _refuse_if_paused(store)
            with store.transaction(actor="pipeline") as tx:
                tx.note(KIND + event.kind, {**event.data, "path": event.path})

        self._once_it_goes_on(write)

    def check(self) -> None:
        """Wait while a user has paused this run. Raises `StoppedError` where one has stopped it."""

        def look(store: SqliteStore) -> None:
            _hear(store)
            _refuse_if_paused(store)

        self._once_it_goes_on(look)

    def paused_s(self) -> float:
        """For how long users have paused this run since it was opened.

        A pause, and its end, count from the last look at the store: at most a heartbeat too soon, never too late.
        """
        with contextlib.suppress(UserError):
            self._ask(_hear)
        before, since = self._pauses
        return before + (time.monotonic() - since if since is not None else 0.0)

    def _note_pause(self, store: SqliteStore) -> None:
        now = time.monotonic()
        before, since = self._pauses
        paused = store.state.status is SweepStatus.PAUSED
        if paused and since is None:
            self._pauses = (before, self._looked_at)
        elif not paused and since is not None:
            self._pauses = (before + now - since, None)
        self._looked_at = now

    def _once_it_goes_on(self, what: Callable[[SqliteStore], Any]) -> None:
        told = False
        while True:
            try:
                self._ask(what)
            except _PausedError as paused:
                if not told:
                    self.say(str(paused))
                told = True
                time.sleep(_LOOK_S)
            else:
                return

    def _settle(self, status: SweepStatus, reason: str) -> None:
        def write(store: SqliteStore) -> None:
            with store.transaction(actor="pipeline") as tx:
                tx.set_sweep(status=status, reason=reason)

        self._ask(write)

    def close(self) -> None:
        """Let go of the store and its lease."""
        if self._thread.is_alive():
            self._asked.put(None)
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """However the run ends, the store says so, unless it is lost."""
        with contextlib.suppress(UserError):
            match error:
                case None:
                    self._settle(SweepStatus.FINISHED, "all stages are done")
                case StoppedError():
                    self._settle(SweepStatus.STOPPED, str(error))
                case UserError():
                    self._settle(SweepStatus.BROKEN, str(error))
                case _:
                    self._settle(SweepStatus.INTERRUPTED, f"interrupted by {type(error).__name__}")
        self.close()

    def _ask(self, what: Callable[[SqliteStore], Any]) -> Any:
        if self._lost is not None:
            raise self._lost
        answer: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._asked.put((what, answer))
        result, error = answer.get()
        if error is not None:
            raise error
        return result

    def _serve(self, name: str, label: str, opened: queue.SimpleQueue[BaseException | None]) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if SqliteStore.exists(self.path):
                store = SqliteStore.open(self.path)
            else:
                store = SqliteStore.create(self.path, name, self._config)
            store.acquire_lease(label, LEASE_TTL_S)
            with store.transaction(actor="pipeline") as tx:
                for command in list(store.state.commands.values()):
                    tx.finish_command(command.id, "refused", "it came while nobody ran this; running it goes on")
                if store.state.status is SweepStatus.PAUSED:  # until it is told to go on
                    tx.set_sweep(config=self._config)
                else:
                    tx.set_sweep(status=SweepStatus.RUNNING, reason="", config=self._config)
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that asked
            opened.put(error)
            return
        opened.put(None)
        with contextlib.closing(store):
            for what, answer in self._requests(store):
                try:
                    result, failed = what(store), None
                except BaseException as error:  # noqa: BLE001 - it is raised in the thread that asked
                    result, failed = None, error
                self._note_pause(store)
                answer.put((result, failed))
            with contextlib.suppress(UserError):
                store.release_lease()

    def _requests(self, store: SqliteStore) -> Iterator[tuple[Callable[[SqliteStore], Any], queue.SimpleQueue[Any]]]:
        while True:
            try:
                asked = self._asked.get(timeout=_BEAT_S)
            except queue.Empty:
                try:
                    store.heartbeat()
                    _hear(store)
                except StoppedError:  # said at the next record, too
                    pass
                except UserError as error:  # said at the next record, which then writes nothing
                    self._lost = error
                self._note_pause(store)
                continue
            if asked is None:
                return
            yield asked


def _hear(store: SqliteStore) -> None:
    """Answer what users have asked. Raises `StoppedError` once one of them has stopped the run."""
    store.refresh()
    if store.state.commands:
        with store.transaction(actor="pipeline") as tx:
            status = store.state.status
            for command in list(store.state.commands.values()):
                status = _answer(tx, command, status)
    if store.state.status is SweepStatus.STOPPING:
        raise StoppedError(f"{store.state.name} was {store.state.reason}; run it again to go on")


def _answer(tx: Transaction, command: Command, status: SweepStatus) -> SweepStatus:
    """Do what a user has asked of a run in this status, and return the one that it then has."""
    asked = {
        "stop": (SweepStatus.STOPPING, f"stopped by {command.actor}", "it stops; what runs inside is told as well"),
        "pause": (SweepStatus.PAUSED, f"paused by {command.actor}", "it begins no other stage"),
        "resume": (SweepStatus.RUNNING, "", "it goes on"),
    }
    if command.verb not in asked:
        tx.finish_command(command.id, "refused", f"{command.verb} is for sweeps; this is an experiment")
        return status
    new, reason, said = asked[command.verb]
    if status is SweepStatus.STOPPING or (new is SweepStatus.RUNNING and status is not SweepStatus.PAUSED):
        tx.finish_command(command.id, "refused", f"it is {status}")
        return status
    tx.set_sweep(status=new, reason=reason)
    tx.finish_command(command.id, "done", said)
    return new


def _refuse_if_paused(store: SqliteStore) -> None:
    if store.state.status is SweepStatus.PAUSED:
        name = store.state.name
        raise _PausedError(f"{name} was {store.state.reason}; it goes on with: sweeptui resume {name}")
