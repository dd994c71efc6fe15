"""The cockpit from the command line's side: how it starts, and what is left when it ends."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import traceback
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from sweeptui.app import keymap, terminal, wording
from sweeptui.app.cockpit import Cockpit
from sweeptui.app.engine import go_on_in_background
from sweeptui.app.faults import complain
from sweeptui.app.leaving import Leaving
from sweeptui.app.orders import whoami
from sweeptui.core.analysis.summary import best_trial
from sweeptui.core.errors import UserError
from sweeptui.core.state import SweepState, SweepStatus
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.folders import DATABASE

if TYPE_CHECKING:
    from sweeptui.launch import Session

EXIT_FAILED = 1
EXIT_USAGE = 2
HUNG_UP_S = 0.1
"""How often a terminal that SIGHUP was sent about is looked at."""
LOOK_OUT_S = 1.0
"""How often any other is."""
AT_LAST = 1_000
"""After so many collections among the younger objects Python itself looks for garbage among all: where the screen
stands still, because its terminal takes nothing, and the sweep goes on.
"""
SWITCH_S = 0.001
"""A key waits no longer than that for another thread of this process, five times less than Python would have it."""
READ_ONLY = "this window is read-only: it shows the sweep and changes nothing"


def run_cockpit(
    session: Session | None,
    path: Path,
    *,
    read_only: bool = False,
    start: int | None = None,
    speed: float | None = None,
    opened: str = "",
) -> int:
    """Show the sweep in the folder `path` until the user leaves; with a session, run it meanwhile. The exit code.

    `start` is the row of the journal to begin at, `speed` how fast to play from there (0: as long as suits); `opened`
    the path by which a sweep was opened that lies elsewhere.
    The session's own exit code where it has ended, 0 where it was left running, 1 after a fault of the screen, 128 and
    the signal after SIGTERM and SIGHUP.
    """
    sys.setswitchinterval(SWITCH_S)
    gc.disable()  # nothing of what is made at the start is garbage, and looking for some takes its time
    app = Cockpit(
        path,
        session,
        read_only=READ_ONLY if read_only else "",
        keymap=keymap.load(),
        gauges=not opened,
        start=start,
        speed=speed,
    )
    app.opened = opened
    departure = Departure(app)
    app.leaving.on_hang_up = departure.begin
    app.when_read(_collect_from_here)
    try:
        with terminal.as_it_was():
            departure.watch()
            app.run()
    except Exception as error:  # noqa: BLE001 - of the screen's end, which is none of the sweep's
        app.fault = app.fault or error
    finally:
        departure.call_off()
        if app.fault is not None:
            complain(app.fault, None if read_only else path)
        code = _aftermath(app)
    return code or (EXIT_FAILED if app.fault is not None else 0)


def _collect_from_here() -> None:
    """Collect garbage again, and not among the trials: going through very many would hold up a key.

    So would going through all else: that is done where no key waits, see `Lull.collect`.
    """
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, AT_LAST)
    gc.enable()


class Departure:
    """The end of a cockpit whose terminal has hung up, or is about to: its screen might never end.

    Who writes to a terminal that is gone waits for ever. A signal that says so may come before, and may have been sent
    by hand: then the screen ends as it always does.
    """

    def __init__(self, app: Cockpit) -> None:
        self._app = app
        self._called_off = threading.Event()
        self._thread = threading.Thread(target=self._depart, name="departure")

    def watch(self) -> None:
        """Look out for a terminal that goes away without a signal: it is not this process's own."""
        if not terminal.gone():
            threading.Thread(target=self._look_out, name="terminal", daemon=True).start()

    def _look_out(self) -> None:
        while not self._called_off.wait(LOOK_OUT_S):
            if terminal.gone():
                self._app.leaving.signalled = self._app.leaving.signalled or signal.SIGHUP
                self.begin()
                return

    def begin(self) -> None:
        """It has hung up. From here on, nothing is written to a terminal that is gone."""
        if terminal.gone():
            terminal.let_go()
        if self._thread.ident is None:
            self._thread.start()

    def call_off(self) -> None:
        """The screen has ended by itself."""
        self._called_off.set()
        if self._thread.ident is not None:
            self._thread.join()  # where the terminal is gone, that ends the process

    def _depart(self) -> None:
        while not terminal.gone():
            if self._called_off.wait(HUNG_UP_S):
                return
        terminal.let_go()
        os._exit(_aftermath(self._app))


def _aftermath(app: Cockpit) -> int:
    """Leave the sweep as the user wanted it, and say so on the terminal."""
    engine, name = app.engine, app.folder.name
    if engine is None or engine.ident is None:
        _say(f"{_state(app.folder)} Come back with: sweeptui attach {app.opened or _where(app.folder)}")
        return _signalled(app)
    if engine.is_alive():  # the screen ended, by a fault of its own, while the sweep was running
        app.leaving.how = app.leaving.how or Leaving.DETACH
        engine.session.interrupt(leave_running=app.leaving.how is not Leaving.STOP)
    engine.join()
    if engine.error is not None:
        return _failed(engine.error)
    assert engine.ending is not None
    if engine.ending.status is not SweepStatus.INTERRUPTED:
        _say(f"{_state(app.folder)} See it again with: sweeptui attach {_where(app.folder)}")
        return engine.ending.exit_code or _signalled(app)
    if app.leaving.how is not Leaving.STOP:
        return _detach(app)
    _say(f"{name} is stopped and its trials are queued again. Go on with: sweeptui continue {_where(app.folder)}")
    return _signalled(app) or engine.ending.exit_code


def _signalled(app: Cockpit) -> int:
    """The exit code that says by which signal it was ended; 0 where by none."""
    return 0 if app.leaving.signalled is None else 128 + app.leaving.signalled


def _detach(app: Cockpit) -> int:
    what = "goes on in the background"
    if app.leaving.how is Leaving.FINISH:
        try:
            with closing(SqliteStore.open(app.folder / DATABASE)) as store:
                store.submit("stop", {}, whoami())
            what = "stops after its running trials"
        except UserError as error:  # the trials are looked after all the same
            _complain(f"the sweep could not be told to stop, and launches on: {error}")
    problem = go_on_in_background(app.folder)
    if problem:
        _complain(f"the trials run on, but nobody runs the sweep: {problem}")
        _say(f"Go on with: sweeptui continue {_where(app.folder)}")
        return EXIT_FAILED
    _say(f"{app.folder.name} {what}. Come back with: sweeptui attach {_where(app.folder)}")
    return _signalled(app)


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
