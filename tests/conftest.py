"""What holds for every test."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest
from fake_wandb import FakeWandb
from textual.pilot import Pilot


def pytest_configure() -> None:
    """What every process that a test starts inherits.

    Where the tests are run in the background, signals are ignored.
    """
    # A terminal has the size that a test gives it: readline puts another one into the environment of parallel tests.
    os.environ.pop("COLUMNS", None)
    os.environ.pop("LINES", None)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    _have_presses_wait()


def _have_presses_wait() -> None:
    """A pilot's press is over when its keys were taken: it knows of Textual's way to hand them on, and not of ours."""
    textuals = Pilot.press

    async def press(self: Pilot[object], *keys: str) -> None:
        await textuals(self, *keys)
        typed = getattr(self.app, "typed", None)
        while typed is not None and typed.busy and self.app.is_running and self.app._exception is None:
            await asyncio.sleep(0.002)
        await self._wait_for_screen()

    Pilot.press = press  # type: ignore[method-assign]


@pytest.fixture(scope="session")
def _wandb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeWandb]:
    """One for the whole process, whose W&B client remembers where it is."""
    with pytest.MonkeyPatch.context() as patch, FakeWandb() as server:
        for name, value in server.environment(str(tmp_path_factory.mktemp("wandb"))).items():
            patch.setenv(name, value)
        yield server


@pytest.fixture
def wandb_server(_wandb_server: FakeWandb) -> Iterator[FakeWandb]:
    """A W&B server that is there and has no faults; a test takes a project of its own."""
    yield _wandb_server
    _wandb_server.mend()
    _wandb_server.start()
    _wandb_server.runs.settings = type(_wandb_server.runs.settings)()
    unknown = list(_wandb_server.unknown)
    _wandb_server.unknown.clear()
    assert not unknown, f"operations that the server does not know: {unknown}"
