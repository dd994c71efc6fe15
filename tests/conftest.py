"""What holds for every test."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from fake_wandb import FakeWandb


def pytest_configure() -> None:
    """What every process that a test starts inherits.

    Where the tests are run in the background, signals are ignored.
    """
    # A terminal has the size that a test gives it: readline puts another one into the environment of parallel tests.
    os.environ.pop("COLUMNS", None)
    os.environ.pop("LINES", None)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


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
