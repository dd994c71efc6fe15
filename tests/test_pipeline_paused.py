"""The time that a stage may take is its running time: while its run is paused, the clock stands still."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sweeptui.core.experiments import Pipeline, StageError, StoreMemory, interrupt, memory
from sweeptui.core.experiments.interrupt import StageTimeoutError, call_within
from sweeptui.core.stores.sqlite import SqliteStore

HOUR_S = 3600.0


class Pause:
    """One that lasts until a call has been looked at a few times, all of which its time was up on the wall."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.ended: float | None = None
        self.looks = 0

    def __call__(self) -> float:
        self.looks += 1
        return (self.ended or time.monotonic()) - self.began

    @property
    def seen(self) -> bool:
        return self.looks >= 4

    def end(self) -> None:
        self.ended = time.monotonic()


def sleeps(pause: Pause, *, for_ever: bool) -> None:
    while not pause.seen:
        time.sleep(0.01)
    pause.end()
    while for_ever:
        time.sleep(0.01)


async def waits(pause: Pause, *, for_ever: bool) -> None:
    while not pause.seen:
        await asyncio.sleep(0.01)
    pause.end()
    while for_ever:
        await asyncio.sleep(0.01)


def in_a_thread(call: Callable[[], Any]) -> None:
    failed: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except StageTimeoutError as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    if failed:
        raise failed[0]


@pytest.mark.parametrize("body", [sleeps, waits])
@pytest.mark.parametrize("run", [lambda call: call(), in_a_thread], ids=["main thread", "thread"])
def test_a_paused_call_goes_on_and_its_time_with_it(body: Any, run: Callable[[Callable[[], Any]], None]) -> None:
    pause = Pause()
    run(lambda: call_within(lambda: body(pause, for_ever=False), 0.05, pause))
    assert pause.seen
    pause = Pause()
    with pytest.raises(StageTimeoutError):
        run(lambda: call_within(lambda: body(pause, for_ever=True), 0.05, pause))
    assert pause.ended is not None, "it was paused for longer than it may run, and interrupted only later"


class Clock:
    """What it is set ahead by is time in which something ran."""

    def __init__(self) -> None:
        self.ahead_s = 0.0
        self.stopped_s = 0.0
        """In which this process was stopped."""

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead_s + self.stopped_s

    def process_time(self) -> float:
        return time.process_time() + self.ahead_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    found = Clock()
    clocks = SimpleNamespace(monotonic=found.monotonic, process_time=found.process_time, sleep=time.sleep)
    monkeypatch.setattr(interrupt, "time", clocks)
    monkeypatch.setattr(memory, "time", clocks)
    # The runner of the tests has an alarm of its own, which would be set again after a stage by this clock.
    due = signal.setitimer(signal.ITIMER_REAL, 0)
    yield found
    signal.setitimer(signal.ITIMER_REAL, *due)


def told(path: Path, verb: str) -> None:
    with closing(SqliteStore.open(path)) as store:
        store.submit(verb, {}, "somebody")


@pytest.mark.parametrize("inner", [False, True], ids=["a stage", "a stage of a pipeline inside it"])
def test_an_hour_in_which_an_experiment_is_paused_is_not_the_stages(tmp_path: Path, clock: Clock, inner: bool) -> None:
    path = tmp_path / "experiment.db"
    steps: list[str] = []

    def paused_for_an_hour() -> int:
        told(path, "pause")
        kept.paused_s()  # it is heard of now
        clock.ahead_s += HOUR_S
        signal.raise_signal(signal.SIGALRM)
        steps.append("paused")
        told(path, "resume")
        kept.paused_s()
        signal.raise_signal(signal.SIGALRM)
        steps.append("resumed")
        clock.ahead_s += HOUR_S
        signal.raise_signal(signal.SIGALRM)
        steps.append("an hour later")
        return 1

    flow = Pipeline().stage("slow", paused_for_an_hour).through(n=int, timeout=HOUR_S / 2)
    whole = Pipeline().stage("whole", lambda: dict(flow.run())).through(out=dict) if inner else flow
    with (
        pytest.raises(StageError, match="stage 'slow' did not end within 1800 s"),
        StoreMemory(path, "flow", "experiment") as kept,
    ):
        whole.run(kept)
    assert steps == ["paused", "resumed"]


def test_an_hour_in_which_the_process_is_stopped_is_not_the_stages_paused_or_not(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "experiment.db"
    steps: list[str] = []

    def look(step: str) -> None:
        signal.raise_signal(signal.SIGALRM)
        steps.append(step)

    def stopped_for_hours() -> int:
        clock.stopped_s += HOUR_S
        look("stopped")
        told(path, "pause")
        kept.paused_s()
        clock.stopped_s += HOUR_S
        look("stopped while paused")
        told(path, "resume")
        kept.paused_s()
        look("resumed")
        clock.ahead_s += HOUR_S
        look("an hour later")
        return 1

    flow = Pipeline().stage("slow", stopped_for_hours).through(n=int, timeout=HOUR_S / 2)
    with (
        pytest.raises(StageError, match="stage 'slow' did not end within 1800 s"),
        StoreMemory(path, "flow", "experiment") as kept,
    ):
        flow.run(kept)
    assert steps == ["stopped", "stopped while paused", "resumed"], "an hour counts once, as either"


def test_one_that_begins_paused_has_no_time_taken(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "experiment.db"
    killed = StoreMemory(path, "flow")
    told(path, "pause")
    killed.paused_s()
    killed.close()  # and nothing is settled
    with closing(SqliteStore.open(path)) as store:
        assert store.state.status == "paused"
    with StoreMemory(path, "flow") as kept:
        clock.ahead_s += HOUR_S
        assert kept.paused_s() >= HOUR_S
        told(path, "resume")
        before = kept.paused_s()
        clock.ahead_s += HOUR_S
        assert kept.paused_s() == before
