"""The sweep that this process runs, on a thread beside the screen; and how it goes on without us."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

from sweeptui.app.messages import EngineEnded
from sweeptui.core.errors import UserError
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.folders import DATABASE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from textual.message import Message

    from sweeptui.core.limits import Ending
    from sweeptui.launch import Session

HEADLESS_LOG = "headless.log"
TAKEOVER_S = 20.0


class Engine(threading.Thread):
    """Runs the session. Once it has ended, one of `ending` and `error` is set."""

    def __init__(self, session: Session, post: Callable[[Message], object]) -> None:
        super().__init__(name="orchestrator")
        self.session = session
        self.ending: Ending | None = None
        self.error: BaseException | None = None
        self._post = post

    def run(self) -> None:
        try:
            self.ending = self.session.run()
        except BaseException as error:  # noqa: BLE001 - shown on the screen, and raised again where it belongs
            self.error = error
        self._post(EngineEnded(self.ending, self.error))


def go_on_in_background(folder: Path) -> str:
    """Start a headless orchestrator that outlives this process and its terminal; why it failed, or "".

    Returns once it runs the sweep, or has ended. What it prints is in `headless.log` in the sweep's folder.
    """
    log_path = folder / HEADLESS_LOG
    command = [
        sys.executable,
        "-m",
        "sweeptui",
        "continue",
        folder.name,
        "--root",
        str(folder.parents[2]),
        "--headless",
    ]
    try:
        with log_path.open("ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + TAKEOVER_S
        with closing(SqliteStore.open(folder / DATABASE, readonly=True)) as store:
            while time.monotonic() < deadline:
                lease = store.lease()
                if lease is not None and lease.alive and lease.pid == process.pid:
                    return ""
                if process.poll() is not None:
                    return (
                        "" if process.returncode == 0 else f"it ended with exit code {process.returncode}: {log_path}"
                    )
                time.sleep(0.05)
    except (OSError, UserError) as error:
        return str(error)
    return f"it has not taken the sweep over within {TAKEOVER_S:g} s: {log_path}"
