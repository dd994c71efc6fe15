from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from sweeptui.core.state import ChangeKind
from sweeptui.core.stores.base import LeaseHeldError, LeaseLostError
from sweeptui.core.stores.lease import Process
from sweeptui.core.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TTL_S = 10.0


class Clock:
    """Time that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "mine" / "sweep.db"
    SqliteStore.create(path, "mine", {}).close()
    return path


@pytest.fixture
def monotonic() -> Clock:
    return Clock()


@pytest.fixture
def store(path: Path, monotonic: Clock) -> SqliteStore:
    return SqliteStore.open(path, monotonic=monotonic)


# Does what its standard input tells it to, and says what became of it.
_HOLDER = """
import sys
from pathlib import Path
from sweeptui.core.stores.base import LeaseHeldError, LeaseLostError
from sweeptui.core.stores.sqlite import SqliteStore
store = SqliteStore.open(Path(sys.argv[1]))
for line in sys.stdin:
    try:
        match line.strip():
            case "acquire":
                store.acquire_lease("headless", 10.0)
            case "beat":
                store.heartbeat()
            case "write":
                with store.transaction() as tx:
                    tx.create_trial({}, 0)
            case "release":
                store.release_lease()
        print("ok", flush=True)
    except (LeaseHeldError, LeaseLostError) as error:
        print(type(error).__name__, flush=True)
"""


class Other:
    """Another process with the same sweep open."""

    def __init__(self, path: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def tell(self, what: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ask(self, what: str) -> str:
        self.tell(what)
        return self.hear()


@pytest.fixture
def other(path: Path) -> Iterator[Other]:
    other = Other(path)
    yield other
    other.process.kill()
    other.process.communicate()


def test_of_two_processes_one_runs_the_sweep(store: SqliteStore, other: Other) -> None:
    assert other.ask("acquire") == "ok"
    with pytest.raises(LeaseHeldError, match="the sweep mine is being run by headless") as held:
        store.acquire_lease("cockpit", TTL_S)
    assert (held.value.holder.pid, held.value.holder.label) == (other.process.pid, "headless")
    assert held.value.holder.alive
    assert not held.value.holder.mine
    assert other.ask("release") == "ok"
    assert store.lease() is None
    store.acquire_lease("cockpit", TTL_S)
    assert other.ask("acquire") == "LeaseHeldError"
    kinds = [row.kind for row in store.journal(after=1)]
    assert kinds == [ChangeKind.LEASE_TAKEN, ChangeKind.LEASE_RELEASED, ChangeKind.LEASE_TAKEN]


def test_the_lease_of_a_killed_process_is_taken_at_once(store: SqliteStore, other: Other) -> None:
    assert other.ask("acquire") == "ok"
    lease = store.lease()
    assert lease is not None
    assert lease.alive
    other.process.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, other.process.pid, os.WEXITED | os.WNOWAIT)  # dead, and nobody has collected it yet
    lease = store.lease()
    assert lease is not None
    assert not lease.alive
    store.acquire_lease("cockpit", TTL_S)
    lease = store.lease()
    assert lease is not None
    assert (lease.mine, lease.pid, lease.label) == (True, os.getpid(), "cockpit")
    assert "headless" in store.journal()[-1].data["from"]


def test_a_stopped_process_is_waited_for_and_then_fenced_off(
    store: SqliteStore, other: Other, monotonic: Clock
) -> None:
    assert other.ask("acquire") == "ok"
    assert other.ask("write") == "ok"
    other.process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, other.process.pid, os.WSTOPPED)
    other.tell("write")  # read when it goes on
    for passed in (0.0, TTL_S / 2, TTL_S / 2 - 0.1):
        monotonic.now += passed
        with pytest.raises(LeaseHeldError):
            store.acquire_lease("cockpit", TTL_S)
    monotonic.now += 0.1
    store.acquire_lease("cockpit", TTL_S)
    other.process.send_signal(signal.SIGCONT)
    assert other.hear() == "LeaseLostError"
    assert other.ask("beat") == "LeaseLostError"
    assert other.ask("release") == "ok"  # gives back what it no longer has: nothing
    store.refresh()
    assert list(store.state.trials) == [1]
    store.heartbeat()


def test_a_beating_heart_keeps_the_lease_however_long(store: SqliteStore, other: Other, monotonic: Clock) -> None:
    assert other.ask("acquire") == "ok"
    for _ in range(4):
        with pytest.raises(LeaseHeldError):
            store.acquire_lease("cockpit", TTL_S)
        monotonic.now += TTL_S - 1
        assert other.ask("beat") == "ok"


def test_the_wall_clock_steals_nothing(path: Path, other: Other, monotonic: Clock) -> None:
    wall = Clock()
    store = SqliteStore.open(path, clock=wall, monotonic=monotonic)
    assert other.ask("acquire") == "ok"
    for jump in (1e9, -2e9, 0.0):
        wall.now += jump
        with pytest.raises(LeaseHeldError):
            store.acquire_lease("cockpit", TTL_S)


def test_the_longer_of_two_patiences_counts(store: SqliteStore, path: Path, monotonic: Clock) -> None:
    holder = SqliteStore.open(path)
    holder.acquire_lease("headless", 60.0)
    with pytest.raises(LeaseHeldError):
        store.acquire_lease("cockpit", 1.0)
    monotonic.now += 59
    with pytest.raises(LeaseHeldError) as held:
        store.acquire_lease("cockpit", 1.0)
    assert held.value.holder.silent_s == 59
    with pytest.raises(LeaseHeldError):
        store.acquire_lease("cockpit", 70.0)
    monotonic.now += 1
    store.acquire_lease("cockpit", 1.0)


def test_a_process_on_another_machine_is_never_thought_gone(store: SqliteStore, path: Path, monotonic: Clock) -> None:
    holder = SqliteStore.open(path)
    holder.acquire_lease("headless", TTL_S)
    with store.transaction():
        store._db.execute("UPDATE lease SET host = 'elsewhere', pid = 1, started = 'x'")
    with pytest.raises(LeaseHeldError, match="process 1 on elsewhere"):
        store.acquire_lease("cockpit", TTL_S)
    monotonic.now += TTL_S
    store.acquire_lease("cockpit", TTL_S)


@pytest.mark.parametrize("field", ["started", "pid"])
def test_a_pid_that_was_given_out_again_is_another_process(store: SqliteStore, path: Path, field: str) -> None:
    holder = SqliteStore.open(path)
    holder.acquire_lease("headless", TTL_S)
    with store.transaction():
        store._db.execute(f"UPDATE lease SET {field} = 99999999")
    store.acquire_lease("cockpit", TTL_S)


def test_after_giving_it_back_nothing_is_written_until_it_is_taken_again(store: SqliteStore) -> None:
    with store.transaction() as tx:  # needs no lease
        tx.create_trial({}, 0)
    store.acquire_lease("headless")
    store.release_lease()
    with pytest.raises(LeaseLostError, match="it was released"), store.transaction():
        pass
    with pytest.raises(LeaseLostError):
        store.heartbeat()
    store.submit("pause")  # a request is nobody's privilege
    store.acquire_lease("headless")
    store.acquire_lease("headless")
    with store.transaction() as tx:
        tx.create_trial({}, 0)
    assert list(store.state.trials) == [1, 2]


def test_a_heartbeat_without_a_lease_is_refused_and_one_with_it_is_not_journalled(store: SqliteStore) -> None:
    with pytest.raises(LeaseLostError):
        store.heartbeat()
    store.acquire_lease("headless")
    rows = len(store.journal())
    store.heartbeat()
    store.heartbeat()
    lease = store.lease()
    assert lease is not None
    assert lease.counter == 2
    assert len(store.journal()) == rows


def test_this_process_knows_itself_and_the_dead() -> None:
    assert not Process.current().gone()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    me = Process.current()
    assert Process(me.host, me.boot, child.pid, me.started).gone()
    child.communicate(b"\n")
