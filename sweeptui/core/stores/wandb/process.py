"""The process that mirrors a sweep, so that nothing in the one that runs it ever waits for the network.

`python -m sweeptui.core.stores.wandb.process FOLDER run|fetch|sync`; the settings are the first line of stdin, a line
`finish` is the second, and the end of stdin means that the parent has died. What happens is told on stdout, one JSON
object a line.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import threading
import time
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sweeptui.core.errors import UserError
from sweeptui.core.priority import step_back
from sweeptui.core.stores.base import LeaseHeldError
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.stores.wandb.book import Standing, State
from sweeptui.core.stores.wandb.client import Cloud
from sweeptui.core.stores.wandb.errors import AwayError, DeletedError, RefusedError
from sweeptui.core.stores.wandb.mirror import Mirror, SupersededError
from sweeptui.core.stores.wandb.records import NewerFormatError
from sweeptui.core.stores.wandb.remote import Remote

DATABASE = "sweep.db"
TICK_S = 0.25
SEND_S = 2.0
"""Changes that come within that time are sent together."""
PROGRESS_S = 15.0
"""How old the progress of a running trial may get in W&B."""
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
"""Between two tries while W&B is away; doubled each time, and shortened by chance so that not all come back at once."""
ASK_S, KNOCKS = 60.0, 3
"""How long W&B is asked for a sweep that this machine does not have, and how often a server that cannot be reached."""
SIGN_OF_LIFE_S = 5.0
LOCAL_TTL_S = 60.0
"""Of the lease on this machine, while another one runs the sweep."""


@dataclass(frozen=True)
class Settings:
    sweep: str
    project: str
    entity: str | None
    ttl_s: float
    label: str

    @property
    def timeout_s(self) -> float:
        """A request may not take so long that the lease is lost over it."""
        return min(20.0, max(5.0, self.ttl_s / 3))

    def connect(self) -> Remote:
        return Remote(Cloud(self.project, self.entity, self.timeout_s), self.sweep)


def tell(event: str, **data: Any) -> None:
    with suppress(BrokenPipeError):
        print(json.dumps({"event": event, **data}), flush=True)  # noqa: T201 - what the parent reads


class Process:
    """`run`: follows whoever runs the sweep, becomes the one who does, and sends what happens, until it is told."""

    def __init__(self, folder: Path, settings: Settings, store: SqliteStore) -> None:
        self._folder = folder
        self._settings = settings
        self._store = store
        self._mirror = Mirror(folder, store, settings.label, settings.ttl_s)
        self._connected: Remote | None = None
        self._standing = self._shown = Standing("connecting", since=time.time())
        self._written_at = float("-inf")
        self._failures = 0
        self._try_at = 0.0
        self._sent_at = float("-inf")
        self._holder = ""
        self._follows = True
        """Nobody runs the sweep on this machine yet: the store is this process's to write."""
        self.wake = threading.Event()
        self.finishing = False
        self.orphaned = False
        self.go = False

    def run(self) -> None:
        try:
            self._hold("nobody yet")
        except LeaseHeldError as error:
            tell("held", message=str(error))
            return
        while not (self.finishing or self.orphaned):
            self.wake.wait(TICK_S)
            self.wake.clear()
            if self.go and self._follows:
                self._let_go()
                tell("gone")
            if self._follows:
                self._store.heartbeat()
                self._refuse_commands()
            self._mirror.look()
            if time.monotonic() >= self._try_at and not self._attempt():
                return
            self._show()
        self.finish(release=not self.orphaned)

    def sync(self) -> None:
        """Send what is left, once."""
        try:
            self._hold(self._settings.label)
            self._connect()
            lease = self._mirror.join()
        except LeaseHeldError as error:
            tell("held", message=str(error))
        except SupersededError as error:
            self._store.release_lease()
            tell("superseded", diverged=error.diverged, message=_superseded(error, self._settings.sweep))
        except (AwayError, RefusedError, DeletedError, NewerFormatError) as error:
            self._fail("away" if isinstance(error, AwayError) else "refused", error)
            self._store.release_lease()
            self._show()
        else:
            if lease is not None:
                self._store.release_lease()
                tell("held", message=f"{lease} runs this sweep, and sends what happens itself")
                return
            self.finish(release=True)

    def finish(self, *, release: bool) -> None:
        """Send what is left, if W&B takes it, and say how it stands."""
        if self._follows and self._mirror.leads:
            self._let_go()
        self._mirror.look()
        with suppress(LeaseHeldError):
            try:
                self._last(release=release)
                self._set("synced")
            except AwayError as error:
                self._set("away", str(error))
            except (RefusedError, DeletedError, NewerFormatError) as error:
                self._set("refused", str(error))
            except SupersededError as error:
                self._set("superseded", _superseded(error, self._settings.sweep))
                tell("superseded", diverged=error.diverged, message=self._standing.message)
        if self._follows:
            self._store.release_lease()
        self._show()
        tell("finished", behind=self._mirror.behind, state=self._standing.state, message=self._standing.message)

    def _last(self, *, release: bool) -> None:
        mirror = self._mirror
        if self._connected is None:
            self._connect()
        if not mirror.leads and (self._follows or mirror.join() is not None):
            return
        if mirror.behind:
            mirror.push()
        if mirror.doubtful_at is not None:
            time.sleep(max(0.0, mirror.doubtful_at + self._settings.timeout_s - time.monotonic()))
        if not mirror.verify():
            mirror.push()
        if release:
            mirror.release()

    def _attempt(self) -> bool:
        """One try at what is to be done; false where this process has nothing more to do."""
        try:
            self._advance()
            self._failures = 0
        except AwayError as error:
            self._fail("away", error)
        except (RefusedError, DeletedError, NewerFormatError) as error:
            self._fail("refused", error)
        except SupersededError as error:
            self._set("superseded", _superseded(error, self._settings.sweep))
            self._show()
            tell("superseded", diverged=error.diverged, message=self._standing.message)
            if self._follows:
                self._store.release_lease()
            return False
        return True

    def _advance(self) -> None:
        mirror = self._mirror
        if self._connected is None:
            self._connect()
        if mirror.leads:
            mirror.beat()
            waited = time.monotonic() - self._sent_at
            if (mirror.urgent and waited >= SEND_S) or (mirror.behind and waited >= PROGRESS_S):
                mirror.push()
                self._sent_at = time.monotonic()
            self._set("behind" if mirror.urgent else "synced")
            return
        lease = mirror.join()
        if lease is None:
            self._follow_nobody()
        elif self._follows:
            self._set("following", f"{lease} runs this sweep; this machine takes over when it falls silent")
            self._hold(str(lease))
            self._try_at = time.monotonic() + min(10.0, self._settings.ttl_s / 6)
        elif lease.machine:
            raise SupersededError(lease)
        else:  # nobody has signed it: perhaps it is ours, and the answer that said so was lost
            self._set("behind")
            self._try_at = time.monotonic() + min(10.0, self._settings.ttl_s / 6)

    def _connect(self) -> None:
        self._connected = self._settings.connect()
        self._mirror.connect(self._connected)

    def _follow_nobody(self) -> None:
        self._set("behind" if self._mirror.urgent else "synced")
        if self._follows:
            self._let_go()
            tell("leading")

    def _hold(self, holder: str) -> None:
        """Keep others on this machine from running the sweep."""
        if holder != self._holder:
            self._holder = holder
            self._store.acquire_lease(f"{holder}, through W&B", LOCAL_TTL_S)

    def _let_go(self) -> None:
        self._follows = False
        self._mirror.copies = False
        self._store.release_lease()

    def _refuse_commands(self) -> None:
        if self._store.refresh() and self._store.state.commands:
            with self._store.transaction("W&B") as tx:
                for number in list(self._store.state.commands):
                    tx.finish_command(number, "refused", f"{self._holder} runs this sweep: give the command there")

    # -- how it stands

    def _fail(self, state: State, error: Exception) -> None:
        wait = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**self._failures)
        self._failures += 1
        self._try_at = time.monotonic() + wait * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        self._set(state, str(error))
        if self._follows:
            book, unreachable = self._mirror.book, isinstance(error, AwayError) and error.unreachable
            tell(state, message=str(error), own=book.led or not book.nonce, unreachable=unreachable)

    def _set(self, state: State, message: str = "") -> None:
        old = self._standing
        since = old.since if old.state == state else time.time()
        self._standing = replace(old, state=state, message=message, since=since, behind=self._mirror.behind)

    def _show(self) -> None:
        now = time.time()
        new = replace(self._standing, behind=self._mirror.behind, pid=os.getpid())
        if new != self._shown and new.state != self._shown.state:
            tell("standing", state=new.state, sentence=new.sentence(now))
        if new != self._shown or now - self._written_at > SIGN_OF_LIFE_S:
            with suppress(OSError):  # a full disk is told of elsewhere
                replace(new, at=now).write(self._folder)
            self._shown, self._written_at = new, now


def _superseded(error: SupersededError, sweep: str) -> str:
    if error.diverged:
        return f"another machine has run {sweep} on, from before what this folder holds"
    return f"{error.lease} has taken {sweep} over"


def run(folder: Path, settings: Settings) -> None:
    """Mirror the sweep in `folder` until stdin says `finish`, or ends."""
    with closing(SqliteStore.open(folder / DATABASE)) as store:
        process = Process(folder, settings, store)
        threading.Thread(target=_listen, args=[process], daemon=True).start()
        process.run()


def _listen(process: Process) -> None:
    for line in sys.stdin:
        match line.strip():
            case "go":
                process.go = True
            case "finish":
                process.finishing = True
        process.wake.set()
    process.orphaned = not process.finishing
    process.wake.set()


def sync(folder: Path, settings: Settings) -> None:
    """Send what is left of a sweep that nobody runs."""
    with closing(SqliteStore.open(folder / DATABASE)) as store:
        Process(folder, settings, store).sync()


def fetch(folder: Path, settings: Settings) -> None:
    """Make the store in `folder`, which is not there, from what W&B has of the sweep.

    A sweep that is there and is not found would be begun anew, so W&B is asked for a while.
    """
    deadline, unreachable, wait = time.monotonic() + ASK_S, 0, FIRST_WAIT_S
    while True:
        try:
            return _fetch(folder, settings)
        except AwayError as error:
            unreachable += error.unreachable
            if unreachable >= KNOCKS or time.monotonic() + wait > deadline:
                return tell("away", message=str(error))
        except (RefusedError, DeletedError, NewerFormatError) as error:
            return tell("refused", message=str(error))
        time.sleep(wait)
        wait *= 2


def _fetch(folder: Path, settings: Settings) -> None:
    remote = settings.connect()
    try:
        there, record = remote.find()
        if record is None:
            tell("none", there=there)
            return
        aside = folder.with_name(f".{folder.name}.{os.getpid()}")
        try:
            with closing(SqliteStore.create(aside / DATABASE, settings.sweep, record.sweep["config"])) as store:
                mirror = Mirror(aside, store, settings.label, settings.ttl_s)
                mirror.connect(remote)
                mirror.copy()
                trials = len(store.state.trials)
            aside.rename(folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        tell("rebuilt", trials=trials)
    finally:
        remote.close()


def main() -> int:
    folder, mode = Path(sys.argv[1]), sys.argv[2]
    step_back()
    settings = Settings(**json.loads(sys.stdin.readline()))
    try:
        {"run": run, "sync": sync, "fetch": fetch}[mode](folder, settings)
    except UserError as error:
        tell("refused", message=str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
