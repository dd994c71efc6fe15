"""What a bare `sweeptui` opens: the sweeps here, a form for a new one, and from there the cockpit and back."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from textual import on, work

from sweeptui.acting import pause_experiment, requeue_failed, resume_experiment, stop_experiment, tell_sweep
from sweeptui.app import terminal, wording
from sweeptui.app.faults import complain
from sweeptui.app.inventory import EXPERIMENT, STAGE, SWEEP, Entry, Inventory
from sweeptui.app.messages import Latest
from sweeptui.app.orders import whoami
from sweeptui.app.run import EXIT_FAILED, run_cockpit
from sweeptui.app.screens.newsweep import NewSweep
from sweeptui.app.screens.sweeps import SweepList
from sweeptui.app.screens.sweeptable import shown_path
from sweeptui.app.trash import throw_away
from sweeptui.app.window import Window
from sweeptui.core.errors import UserError
from sweeptui.folders import sweeps_dir
from sweeptui.launch import Session, reopen, stop_sweep
from sweeptui.recipes.find import RecipeInfo, list_recipes

if TYPE_CHECKING:
    from textual.screen import Screen

    from sweeptui.core.config import SweepTool

REFRESH_S = 1.0
ENDS_ALL = frozenset({1, 2, 128 + signal.SIGHUP, 128 + signal.SIGTERM})
"""Exit codes of the cockpit after which nothing else may cover the terminal: a fault, whose message stands there, or
a signal, which was meant for the whole program."""

Read = Callable[[Sequence[str]], "tuple[str, SweepTool]"]
"""From the words of a command line to its recipe and configuration. Raises `UserError`."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the user wants to go: a sweep, and the session where it is to run here."""

    folder: Path
    session: Session | None = None


@dataclass
class Sighted(Latest):
    """All sweeps have been looked at."""

    entries: tuple[Entry, ...]


class Home(Window[Destination], inherit_bindings=False):
    """Ends with where to go, or with None."""

    CSS_PATH = ["cockpit.tcss", "home.tcss"]  # noqa: RUF012 - as App declares it

    def __init__(
        self,
        root: Path,
        read: Read,
        *,
        selected: str | None = None,
        inside: str = "",
        utf8: bool | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`selected` is the sweep on which the cursor stands first, `inside` the experiment that is shown."""
        super().__init__(utf8=utf8)
        self.root = root
        self.read = read
        self.signalled: int | None = None
        self._over = Event()
        self._look_now = Event()
        self._busy = ""
        self._recipes = tuple(list_recipes(sweeps_only=True))
        self.sweeps = SweepList(sweeps_dir(root), self._recipes, clock)
        self.sweeps.table.cursor, self.sweeps.table.at = selected, inside
        self.looked = False
        """The sweeps have been looked at, at least once."""

    def get_default_screen(self) -> Screen[None]:
        return self.sweeps

    @property
    def recipes(self) -> tuple[RecipeInfo, ...]:
        return self._recipes

    def on_load(self) -> None:
        """Before the terminal is taken, so that no signal leaves it as the screen has it."""
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            loop.add_signal_handler(signum, self._on_signal, signum)

    def on_mount(self) -> None:
        self.title = "sweeptui"
        self._watch()

    def on_unmount(self) -> None:
        self._over.set()
        self._look_now.set()

    def _on_signal(self, signum: int) -> None:
        self.signalled = signum
        if signum == signal.SIGHUP and terminal.gone():
            terminal.let_go()
        self.exit()

    @work(thread=True, group="inventory")
    def _watch(self) -> None:
        inventory = Inventory(sweeps_dir(self.root))
        try:
            while not self._over.is_set():
                self.post_message(Sighted(inventory.read()))
                self._look_now.wait(REFRESH_S)
                self._look_now.clear()
        finally:
            inventory.close()

    def on_sighted(self, message: Sighted) -> None:
        self.looked = True
        for screen in self.screen_stack:
            screen.set_class(not self.utf8, "-ascii")
        self.sweeps.show(message.entries)

    # -- what the screens want

    @on(SweepList.Wanted)
    def _wanted(self, message: SweepList.Wanted) -> None:
        entry = message.entry
        match message.action:
            case "quit":
                self.exit()
            case "new":
                self.push_screen(NewSweep(self.root, self._recipes, self.read))
            case "open" if entry is not None:
                self.exit(Destination(entry.folder))
            case "resume" if entry is not None:
                self._resume(entry)
            case "delete" if entry is not None:
                self._delete(entry, self.sweeps.table.inside(entry.name))
            case "stop" | "kill" if entry is not None:
                self._stop(entry, kill=message.action == "kill")
            case "pause" if entry is not None:
                self._pause(entry)
            case "requeue" if entry is not None:
                inside = [each.name for each in self.sweeps.table.inside(entry.name) if each.kind == SWEEP]
                self._requeue([*([entry.name] if entry.kind == SWEEP else []), *inside])

    @work(thread=True, group="acting", exclusive=True)
    def _resume(self, entry: Entry) -> None:
        try:
            session = reopen(self.root, entry.name, label="cockpit")
        except UserError as error:
            self._say(str(error), "warning")
            return
        self.call_from_thread(self.exit, Destination(session.path, session))

    @work(thread=True, group="acting")
    def _stop(self, entry: Entry, *, kill: bool) -> None:
        stop = stop_experiment if entry.kind == EXPERIMENT else stop_sweep
        self._act(lambda: stop(self.root, entry.name, kill=kill, actor=whoami()), f"{entry.name} was not stopped: ")

    @work(thread=True, group="acting")
    def _pause(self, entry: Entry) -> None:
        """Or let it go on, where it is paused."""
        verb = "resume" if entry.label == "paused" else "pause"

        def act() -> str:
            if entry.kind != EXPERIMENT:
                return tell_sweep(self.root, entry.name, verb, actor=whoami())
            all_of_it = resume_experiment if verb == "resume" else pause_experiment
            return all_of_it(self.root, entry.name, actor=whoami())

        self._act(act, f"{entry.name} was not {verb}d: ")

    @work(thread=True, group="acting")
    def _requeue(self, sweeps: Sequence[str]) -> None:
        self._act(lambda: requeue_failed(self.root, sweeps, actor=whoami()))

    def _act(self, act: Callable[[], str], failed: str = "") -> None:
        """Say what came of it; `failed` stands before the reason why nothing did."""
        try:
            said = act()
        except UserError as error:
            self._say(f"{failed}{error}", "warning")
            return
        self._look_now.set()
        self._say(said, "information")

    @work(thread=True, group="acting")
    def _delete(self, entry: Entry, inside: Sequence[Entry]) -> None:
        try:
            for each in inside:
                if each.kind != STAGE:
                    throw_away(each.folder)
            target = throw_away(entry.folder)
        except UserError as error:
            self._say(f"{entry.name} was not deleted: {error}", "warning")
            return
        self._look_now.set()
        self._say(f"{entry.name} is in {shown_path(target)}: move it back from there to undo this", "information")

    def _say(self, text: str, severity: str) -> None:
        level = "warning" if severity == "warning" else "information"
        self.call_from_thread(self.notify, wording.line(text), severity=level, markup=False, timeout=10)

    @on(NewSweep.Ready)
    def _begin(self, message: NewSweep.Ready) -> None:
        self.exit(Destination(message.session.path, message.session))


def run_home(root: Path, read: Read, inside: str = "") -> int:
    """Show the sweeps under `root`, and each that is chosen, until the user leaves. The exit code.

    `inside`: begin in this experiment.
    """
    selected: str | None = None
    while True:
        app = Home(root, read, selected=selected, inside=inside)
        with terminal.as_it_was():
            destination = app.run()
        if app.fault is not None:
            complain(app.fault, None)
            return EXIT_FAILED
        if app.signalled is not None:
            return 128 + app.signalled
        if destination is None:
            return 0
        selected, inside = destination.folder.name, app.sweeps.table.at
        code = run_cockpit(destination.session, destination.folder)
        if code in ENDS_ALL:
            return code
