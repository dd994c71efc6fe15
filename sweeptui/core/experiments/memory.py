"""What a pipeline has done so far, kept in a store: the same run, begun again, goes on from it."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

from sweeptui.core.errors import UserError
from sweeptui.core.stores.sqlite import SqliteStore

KIND = "stage."
"""The journal's kinds for what a pipeline did begin with this."""
LEASE_TTL_S = 10.0
_BEAT_S = 2.0


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

    def events(self) -> list[Event]: ...

    def record(self, event: Event) -> None: ...


class Forgetful:
    """Keeps events as long as the process lives."""

    folder: Path | None = None

    def __init__(self) -> None:
        self._events: list[Event] = []

    def events(self) -> list[Event]:
        return list(self._events)

    def record(self, event: Event) -> None:
        self._events.append(event)


class StoreMemory:
    """Keeps events in the journal of a sweep's store, whose lease it holds meanwhile.

    The store lives in a thread of its own, which shows that this process is there however long a stage takes.
    """

    def __init__(self, path: Path, name: str, label: str = "pipeline") -> None:
        """Open the store at `path`, or make it. Raises `UserError`, `LeaseHeldError` where another process has it."""
        self.path = path
        self.folder: Path | None = path.parent
        self._asked: queue.SimpleQueue[tuple[Callable[[SqliteStore], Any], queue.SimpleQueue[Any]] | None]
        self._asked = queue.SimpleQueue()
        opened: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._lost: BaseException | None = None
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
            with store.transaction(actor="pipeline") as tx:
                tx.note(KIND + event.kind, {**event.data, "path": event.path})

        self._ask(write)

    def close(self) -> None:
        """Let go of the store and its lease."""
        if self._thread.is_alive():
            self._asked.put(None)
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
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
                store = SqliteStore.create(self.path, name, {"pipeline": name})
            store.acquire_lease(label, LEASE_TTL_S)
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that asked
            opened.put(error)
            return
        opened.put(None)
        with contextlib.closing(store):
            for what, answer in self._requests(store):
                try:
                    answer.put((what(store), None))
                except BaseException as error:  # noqa: BLE001 - it is raised in the thread that asked
                    answer.put((None, error))
            with contextlib.suppress(UserError):
                store.release_lease()

    def _requests(self, store: SqliteStore) -> Iterator[tuple[Callable[[SqliteStore], Any], queue.SimpleQueue[Any]]]:
        while True:
            try:
                asked = self._asked.get(timeout=_BEAT_S)
            except queue.Empty:
                try:
                    store.heartbeat()
                except UserError as error:  # said at the next record, which then writes nothing
                    self._lost = error
                continue
            if asked is None:
                return
            yield asked
