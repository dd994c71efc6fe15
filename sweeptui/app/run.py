"""The cockpit from the command line's side: how it starts, and what is left when it ends."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from sweeptui.app import keymap, wording
from sweeptui.app.cockpit import Cockpit, Leaving
from sweeptui.app.engine import go_on_in_background
from sweeptui.core.analysis.summary import best_trial
from sweeptui.core.errors import UserError
from sweeptui.core.state import SweepState, SweepStatus
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.launch import DATABASE

if TYPE_CHECKING:
    from sweeptui.launch import Session

EXIT_FAILED = 1
EXIT_USAGE = 2
READ_ONLY = "this window is read-only: it shows the sweep and changes nothing"


def run_cockpit(session: Session | None, path: Path, *, read_only: bool = False) -> int:
    """Show the sweep in the folder `path` until the user leaves; with a session, run it meanwhile. The exit code.

    The session's own exit code where it has ended, 0 where it was left running, 143 after SIGTERM.
    """

    def hang_up() -> None:
        """The terminal is gone: what is still written goes nowhere, and nothing waits for the screen to end."""
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        departure.start()

    app = Cockpit(path, session, on_hang_up=hang_up, read_only=READ_ONLY if read_only else "", keymap=keymap.load())
    departure = threading.Thread(target=lambda: os._exit(_aftermath(app)), name="departure")
    try:
        app.run()
    finally:
        if departure.is_alive():
            departure.join()  # it ends the process
        code = _aftermath(app)
    return code


def _aftermath(app: Cockpit) -> int:
    """Leave the sweep as the user wanted it, and say so on the terminal."""
    engine, name = app.engine, app.folder.name
    if engine is None or engine.ident is None:
        _say(f"{_state(app.folder)} Come back with: sweeptui attach {_where(app.folder)}")
        return 1 if app.return_code else 0
    if engine.is_alive():  # the screen ended, by a fault of its own, while the sweep was running
        app.leaving = Leaving.DETACH
        engine.session.interrupt(leave_running=True)
    engine.join()
    if engine.error is not None:
        return _failed(engine.error)
    assert engine.ending is not None
    if engine.ending.status is not SweepStatus.INTERRUPTED:
        _say(f"{_state(app.folder)} See it again with: sweeptui attach {_where(app.folder)}")
        return engine.ending.exit_code
    if app.leaving is Leaving.DETACH:
        return _detach(app)
    _say(f"{name} is stopped and its trials are queued again. Go on with: sweeptui continue {_where(app.folder)}")
    return 128 + app.signalled if app.signalled is not None else engine.ending.exit_code


def _detach(app: Cockpit) -> int:
    problem = go_on_in_background(app.folder)
    if problem:
        _complain(f"the trials run on, but nobody runs the sweep: {problem}")
        _say(f"Go on with: sweeptui continue {_where(app.folder)}")
        return EXIT_FAILED
    _say(f"{app.folder.name} goes on in the background. Come back with: sweeptui attach {_where(app.folder)}")
    return EXIT_FAILED if app.return_code else 0


def _failed(error: BaseException) -> int:
    if isinstance(error, UserError):
        _complain(str(error))
        return EXIT_USAGE
    traceback.print_exception(error, file=sys.stderr)
    return EXIT_FAILED


def _where(folder: Path) -> str:
    """The sweep as a command line names it."""
    root = folder.parents[2]
    return folder.name if root == Path.cwd() else f"{folder.name} --root {root}"


def _state(folder: Path) -> str:
    try:
        with closing(SqliteStore.open(folder / DATABASE, readonly=True)) as store:
            return _sentence(store.state)
    except UserError as error:
        return str(error)


def _sentence(state: SweepState) -> str:
    reason = f": {wording.line(state.reason)}" if state.reason else ""
    best = best_trial(state)
    found = f" Best: {wording.param(best.score, full=True)} ({best.id})." if best is not None else ""
    return f"{state.name} is {state.status}{reason}.{found}"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _complain(line: str) -> None:
    sys.stderr.write(f"error: {line}\n")
