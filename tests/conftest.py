"""What holds for every test."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Where the tests are run in the background, signals are ignored, and every process started here inherits that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
