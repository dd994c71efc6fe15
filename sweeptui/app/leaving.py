"""How the user leaves a sweep: at a key, or at a signal."""

from __future__ import annotations

import asyncio
import signal
from enum import StrEnum
from typing import TYPE_CHECKING

from textual.events import Key

from sweeptui.app.dialogs import QUIT_CHOICES, Ask

if TYPE_CHECKING:
    from collections.abc import Callable

    from sweeptui.app.cockpit import Cockpit


class Leaving(StrEnum):
    """How the user left a sweep that this process was running."""

    DETACH = "detach"
    FINISH = "finish"
    """As DETACH, and nothing is launched any more."""
    STOP = "stop"

    @property
    def notice(self) -> str:
        """What is being done until the window closes."""
        if self is Leaving.STOP:
            return "ending the running trials; this takes as long as they need, up to kill_grace_s"
        return "letting go of the trials"


class Leave:
    """Closes the window, and has a sweep that it runs go on elsewhere, or end."""

    def __init__(self, app: Cockpit) -> None:
        self._app = app
        self.how: Leaving | None = None
        """None while nobody leaves, and where this process runs no sweep."""
        self.signalled: int | None = None
        """The signal that was the reason."""
        self.on_hang_up: Callable[[], None] = lambda: None
        """Called at SIGHUP, before anything else is written to the terminal, which may be gone."""

    def listen(self) -> None:
        """To signals, from the loop of the app."""
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            loop.add_signal_handler(signum, self._on_signal, signum)

    def _on_signal(self, signum: int) -> None:
        """TERM stops the trials; a terminal that goes away takes only the screen; INT is Ctrl+C from outside."""
        if signum == signal.SIGINT:
            self._app.post_message(Key("ctrl+c", None))
            return
        self.signalled = signum
        if signum == signal.SIGHUP:
            self.on_hang_up()
        self._leave(Leaving.STOP if signum == signal.SIGTERM else Leaving.DETACH)

    def ask(self) -> None:
        """Quit at once where that changes nothing, else ask."""
        app = self._app
        if self.how is not None:
            app.notify(self.how.notice, markup=False)
        elif not app.runs_here or (app.snapshot is not None and app.snapshot.over):
            app.exit()
        else:
            app.push_screen(
                Ask("This window runs the sweep. Leave it how?", QUIT_CHOICES, Leaving.DETACH.value), self._chosen
            )

    def _chosen(self, choice: str | None) -> None:
        if choice in tuple(Leaving):
            self._leave(Leaving(choice))

    def _leave(self, how: Leaving) -> None:
        app = self._app
        if not app.runs_here or app.engine is None:
            app.exit()
            return
        self.how = how
        app.engine.session.interrupt(leave_running=how is not Leaving.STOP)
        app.show_selected()
