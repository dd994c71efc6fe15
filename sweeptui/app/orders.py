"""The user's commands on their way into the sweep's journal, and what becomes of them."""

from __future__ import annotations

import os
import queue
import socket
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

from sweeptui.app.messages import Told
from sweeptui.core.errors import UserError
from sweeptui.core.state import ChangeKind
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.folders import DATABASE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from textual.message import Message

    from sweeptui.core.state import Change


def whoami(client: str = "cockpit") -> str:
    """Who the journal says gave a command."""
    import getpass  # noqa: PLC0415 - for who gives a command

    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()} ({client})"


class Orders:
    """Takes commands from any thread; `enter` and `tell` are called on one, which may wait for the disk."""

    def __init__(self, folder: Path, post: Callable[[Message], object], *, client: str, read_only: str) -> None:
        """`client` is what the journal calls this window; `read_only` says why it may change nothing."""
        self._folder = folder
        self._post = post
        self._client = client
        self._read_only = read_only
        self._given: queue.SimpleQueue[tuple[str, Mapping[str, Any], Callable[[int], None] | None]] = (
            queue.SimpleQueue()
        )
        self._asked: set[int] = set()

    def give(self, verb: str, args: Mapping[str, Any], entered: Callable[[int], None] | None) -> bool:
        """Have a command entered; `entered` is then called with its number. False where this window may not."""
        if self._read_only:
            self._post(Told(self._read_only, warning=True))
            return False
        self._given.put((verb, args, entered))
        return True

    @property
    def waiting(self) -> bool:
        return not self._given.empty()

    def enter(self) -> bool:
        """Write into the journal what was given; whether anything was written."""
        entered = False
        while True:
            try:
                verb, args, tell = self._given.get_nowait()
            except queue.Empty:
                return entered
            try:
                # Opened for each: a command is rare, and the file is only ever open for writing while one is given.
                with closing(SqliteStore.open(self._folder / DATABASE)) as store:
                    number = store.submit(verb, args, whoami(self._client))
                self._asked.add(number)
                if tell is not None:
                    tell(number)
                entered = True
            except UserError as error:
                self._post(Told(f"{verb} was not entered: {error}", warning=True))

    def tell(self, changes: Iterable[Change]) -> None:
        """Say what became of this window's commands."""
        for change in changes:
            if change.kind == ChangeKind.COMMAND_FINISHED and change.data["id"] in self._asked:
                self._asked.discard(change.data["id"])
                refused = change.data["state"] == "refused"
                self._post(Told(str(change.data["result"]), refused, change.data["id"] if refused else None))

    def have_applied(self) -> None:
        """Nobody runs the sweep: apply the commands to what it left running."""
        threading.Thread(target=self._steward, name="steward", daemon=True).start()

    def _steward(self) -> None:
        from sweeptui.launch import steward  # noqa: PLC0415 - a window on a sweep does without the engine

        try:
            steward(self._folder.parents[2], self._folder.name)
        except Exception as error:  # noqa: BLE001 - on a thread that nobody looks at: it is said, whatever it is
            said = str(error) if isinstance(error, UserError) else repr(error)
            self._post(Told(f"nobody runs the sweep, and the command waits: {said}", warning=True))
