"""The cockpit: one screen on one sweep.

Threads post messages; only the handlers here change what is shown. No key and no paint waits for the disk, the
optimizer or another process.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.events import DescendantFocus, Event, Key, MouseScrollDown, MouseScrollUp
from textual.reactive import reactive
from textual.screen import Screen

from sweeptui.app import standing, wording
from sweeptui.app.actions import ACTIONS, Action
from sweeptui.app.best import BestPanel
from sweeptui.app.choosing import Choosing
from sweeptui.app.engine import Engine
from sweeptui.app.gauges import Gauges
from sweeptui.app.keymap import Keymap
from sweeptui.app.leaving import Leave
from sweeptui.app.log.pane import LogPane
from sweeptui.app.lull import Lull
from sweeptui.app.messages import EngineEnded, MachineLooked, OutlookRead, SnapshotTaken, Told, WatchFailed
from sweeptui.app.news import News
from sweeptui.app.pages import Pages
from sweeptui.app.panels import Header, KeyBar, TrialLine
from sweeptui.app.plot.pane import PlotPane
from sweeptui.app.plot.place import Plotting
from sweeptui.app.snapshot import Snapshot
from sweeptui.app.standing import Notice
from sweeptui.app.steering import Steering
from sweeptui.app.table import Follow, TrialTable
from sweeptui.app.travel import Step, Traveller
from sweeptui.app.watcher import Watcher
from sweeptui.app.window import Window
from sweeptui.core.errors import UserError
from sweeptui.core.files import Files
from sweeptui.core.stores.base import LeaseHeldError, LeaseLostError
from sweeptui.core.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from textual.app import ComposeResult
    from textual.driver import Driver

    from sweeptui.app.moves import Move
    from sweeptui.launch import Session


LOOKED_S = 0.05
"""So long the panels may be behind the cursor of the table."""
SETTLED_S = 0.003
"""So much later every widget has said that it is to be painted."""


class Cockpit(Window[None], inherit_bindings=False):
    """Watches the sweep in `folder`; with a session it also runs it."""

    CSS_PATH = "cockpit.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(",".join(action.keys), f"act('{action.id}')", action.help, id=action.id, show=False)
        for action in ACTIONS
        if not action.pane
    ]

    # Each widget that shows something of it is told, and paints that: a repaint would be of the whole screen.
    snapshot: reactive[Snapshot | None] = reactive(None, repaint=False)

    def __init__(
        self,
        folder: Path,
        session: Session | None = None,
        *,
        utf8: bool | None = None,
        clock: Callable[[], float] = time.time,
        read_only: str = "",
        driver_class: type[Driver] | None = None,
        keymap: Keymap | None = None,
        gauges: bool = False,
        start: int | None = None,
        speed: float | None = None,
    ) -> None:
        """`read_only` says why this window may change nothing; empty where it may. With `gauges` the header shows how
        busy this machine is. `start` and `speed` say which moment to begin at, and how fast to play; see `Traveller`.
        """
        super().__init__(driver_class, utf8=utf8)
        self.read_only = read_only
        self._clock = clock
        self._begins_in_the_past = start is not None
        self.opened = ""
        """The path that names the sweep on a command line, where its name does not."""
        self.folder = folder
        self.engine = None if session is None else Engine(session, self.post_message)
        self.leaving: Leave = Leave(self)
        client = "cockpit" if driver_class is None else "browser"
        self._watcher = Watcher(
            folder,
            self.post_message,
            runs_here=session is not None,
            client=client,
            read_only=read_only,
            clock=clock,
            traveller=Traveller(start, speed),
        )
        # The widgets are kept, so that a message that comes while the screen is taken down still finds them.
        self.header = Header(folder.name, id="header")
        self.table: TrialTable = TrialTable(clock=self.clock, id="table")
        self.trial_line = TrialLine(id="trial-line", markup=False)
        self.log_pane: LogPane = LogPane(self.trial_line, Files(folder), id="log-pane")
        self.log_view = self.log_pane.view
        self.best = BestPanel(id="best")
        self.plotting: Plotting = Plotting(self)
        self.steering: Steering = Steering(self, self._watcher.submit)
        self.pages: Pages = Pages(self, folder)
        self.choosing: Choosing = Choosing(self)
        self.lull = Lull(self.set_timer)
        self.keymap = keymap or Keymap()
        self.set_keymap(self.keymap.overrides)
        self.keys = KeyBar(id="keys")
        self.header.read_only = self.keys.read_only = bool(read_only)
        self._problem = ""
        self._looked = False
        """Other trials are looked at than the panels show."""
        self._news = News()
        self._gauges = Gauges(self.post_message) if gauges else None

    # -- the screen

    def get_default_screen(self) -> Screen[None]:
        return Screen(id="_default", classes=self.size_classes())

    def compose(self) -> ComposeResult:
        yield self.header
        yield Horizontal(self.table, self.plotting.pane, id="upper")
        yield Horizontal(self.log_pane, self.best, id="lower")
        yield self.choosing.bar
        yield self.keys

    def on_load(self) -> None:
        """Before the terminal is taken, so that no signal leaves it as the screen has it."""
        self.leaving.listen()

    def on_mount(self) -> None:
        self.title = f"sweeptui {self.folder.name}"
        self.table.offered = standing.no_trial(None, "")
        self.best.border_title = "Best"
        self.table.focus()
        for problem in self.keymap.problems:
            self.notify(wording.line(problem), severity="warning", markup=False, timeout=15)
        if not self._begins_in_the_past:
            self.snapshot = self._watcher.opening.first()
        self.call_after_refresh(self._watcher.opening.painted)
        self._watch_sweep()
        if self.engine is not None and self.leaving.signalled is None:
            self.engine.start()
        self.set_interval(1.0, lambda: self.lull.do("tick", self.table.tick))
        self.set_interval(1.0, self.lull.collect)
        if self._gauges is not None:
            self.call_after_refresh(self._gauges.start)

    def when_read(self, do: Callable[[], None]) -> None:
        """Call `do` on another thread once all trials are read."""
        self._watcher.on_read = do

    def on_unmount(self) -> None:
        self._watcher.close()
        self.lull.let_go()
        self.pages.outlook.close()
        if self._gauges is not None:
            self._gauges.close()

    def clock(self) -> float:
        """What time it is, in epoch seconds; of the past, what time it was."""
        past = None if self.snapshot is None else self.snapshot.past
        return self._clock() if past is None else past.at

    def travel(self, step: Step, by: int = 0) -> None:
        """Go through the sweep's past; see `Traveller.ask`."""
        self._watcher.travel(step, by)

    @property
    def selected(self) -> Trial | None:
        """The trial that the keys act on."""
        return None if self.snapshot is None else self.snapshot.trial(self.table.cursor)

    def targets(self) -> Sequence[Trial]:
        """The trials that the keys act on."""
        return self.choosing.targets()

    @property
    def runs_here(self) -> bool:
        """This process runs the sweep, and it is not over."""
        return self.engine is not None and self.engine.is_alive()

    @work(thread=True, group="watcher")
    def _watch_sweep(self) -> None:
        self._watcher.run()

    def watch_snapshot(self, snapshot: Snapshot | None) -> None:
        if snapshot is None or not self.table.is_attached:
            return
        self.steering.shown(snapshot)
        self.table.show(snapshot)
        self._fit_table(snapshot)
        self.best.show(snapshot)
        self.show_selected()

    def on_resize(self) -> None:
        self.call_later(self.lay_out)  # when the app has taken in its size

    def lay_out(self) -> None:
        """Something was hidden or shown, or the terminal is another size."""
        if self.snapshot is not None:
            self._fit_table(self.snapshot)
            self.show_selected()

    def _fit_table(self, snapshot: Snapshot) -> None:
        """As high as its trials will need, so that it does not move as they come."""
        rows = snapshot.total + 1 + self.table.gutter.height
        self.plotting.fit(rows, self.size.height)

    def show_selected(self) -> None:
        """Everything that depends on which trial is selected."""
        snapshot, trial = self.snapshot, self.selected
        self.header.show(snapshot, self._notice(snapshot))
        self.table.offered = standing.no_trial(snapshot, self._problem)
        self.keys.show(snapshot, trial)
        self.choosing.show()
        if snapshot is None:
            return
        plotted = self.plotting.show(snapshot) | self.pages.plotted(snapshot)
        self._watcher.look_at(self.table.on_screen(), self.table.cursor, plotted)
        self.trial_line.show(snapshot, trial)
        self.log_pane.show(snapshot, trial)
        self.pages.show(snapshot)

    def _notice(self, snapshot: Snapshot | None) -> Notice:
        """What the user has to know as long as it lasts."""
        if self._problem:
            return Notice(self._problem)
        if self.leaving.how is not None:
            return Notice(self.leaving.how.notice)
        if snapshot is None:
            return standing.NOTHING
        return standing.notice(snapshot, runs_here=self.runs_here, may_act=not self.read_only)

    # -- what the threads tell

    def on_machine_looked(self, message: MachineLooked) -> None:
        self.header.gauge(message.machine)

    async def on_event(self, event: Event) -> None:
        if isinstance(event, Key | MouseScrollDown | MouseScrollUp) and not event.is_forwarded:
            self.lull.pressed()
        await super().on_event(event)

    def on_snapshot_taken(self, message: SnapshotTaken) -> None:
        if self._asked_for(message.snapshot):
            self._take(message)
        else:
            self.lull.do("snapshot", lambda: self._take(message))

    def _asked_for(self, snapshot: Snapshot) -> bool:
        """Whether a key waits for this one: for another moment of the past, or the log of another trial, unless that is
        one of many that the keys only pass.
        """
        shown = self.snapshot
        if shown is None or shown.past is not None or snapshot.past is not None:
            return True
        was, now = (None if of.focus is None else of.focus.trial for of in (shown, snapshot))
        return was != now == self.table.cursor and not self.lull.passing

    def _take(self, message: SnapshotTaken) -> None:
        """Show the newest: until now it may have been renewed."""
        self.snapshot = message.snapshot
        if message.snapshot.past is not None:
            self._news = News()
            return
        for item in self._news.of(message.snapshot, time.monotonic()):
            self.notify(item.text, severity="error" if item.bad else "information", markup=False)

    def on_outlook_read(self, message: OutlookRead) -> None:
        self.pages.outlook.take(message)
        self.lay_out()

    def on_told(self, message: Told) -> None:
        if message.refused is not None:
            self.steering.refused(message.refused)
        text = wording.line(message.text)
        self.notify(text, severity="warning" if message.warning else "information", markup=False)

    def on_watch_failed(self, message: WatchFailed) -> None:
        self._problem = wording.line(message.problem)
        self.show_selected()

    @on(PlotPane.Picked)
    def _picked(self, message: PlotPane.Picked) -> None:
        self.table.select(message.trial)

    @on(TrialTable.Looked)
    def look_again(self) -> None:
        """Other trials are looked at. What is painted now goes first, as the answer to a key; then, once for several
        keys, the rest.
        """
        if not self._looked:
            self._looked = True
            # Of the screen that never closes: what is to come after a paint of another one goes when that does.
            self.screen_stack[0]._invoke_later(self._show_looked_at, self)
            self.set_timer(LOOKED_S, self._show_looked_at)  # where that paint never comes

    def _show_looked_at(self) -> None:
        if self._looked:
            self._looked = False
            shown = self.snapshot
            self.lull.catch_up()
            if self.snapshot is shown:  # a new one has what is selected shown, too
                self.show_selected()
            for screen in self.screen_stack[:1]:  # there is none any more when the window closes
                # Textual would paint it one or two frames later, when the next key may have come.
                screen.set_timer(SETTLED_S, screen._on_timer_update)

    def on_engine_ended(self, message: EngineEnded) -> None:
        self._watcher.disown()
        if self.leaving.how is not None:
            self.exit()
            return
        if isinstance(message.error, LeaseHeldError):
            self.notify(f"{message.error}: this is a window on it", markup=False)
            self.engine = None
        elif isinstance(message.error, LeaseLostError):
            self._problem = (
                f"{wording.line(str(message.error))}; this window only watches it now (details when you quit)"
            )
            self.notify("this window has lost the sweep", severity="error", timeout=15)
        elif message.error is not None:
            said = str(message.error) if isinstance(message.error, UserError) else repr(message.error)
            self._problem = f"the sweep cannot go on here: {wording.line(said)} (details when you quit)"
        elif message.ending is not None:
            self.notify(f"{message.ending.status}: {wording.line(message.ending.reason)}", markup=False, timeout=15)
        self.show_selected()

    # -- the keys

    def refusal(self, action: Action) -> str:
        """Why an action does not apply now; empty where it does."""
        return self.steering.refusal(action)

    def action_act(self, id_: str) -> None:
        """Do what a key asks for: say why not, or ask first."""
        if not (id_ == "log" and self.plotting.give_way()):
            self.steering.act(id_)

    def command(self, verb: str, **args: object) -> None:
        """Ask for something to be done with the sweep; the answer comes as a toast."""
        self.steering.command(verb, **args)

    def move(self, move: Move) -> None:
        if not (self.pages.move(move) or (self.plotting.pane.has_focus and self.plotting.pane.move(move))):
            if self.log_view.has_focus:
                self.log_view.move(move)
            else:
                self.lull.moved()
                self.table.move(move)

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        self.keys.focus_moved(event.widget.id or "")
        self.lull.flush()

    def switch_pane(self) -> None:
        panes = [pane for pane in (self.table, self.plotting.pane, self.log_view) if pane.is_on_screen]
        at = next((index for index, pane in enumerate(panes) if pane.has_focus), -1)
        panes[(at + 1) % len(panes)].focus()

    def go_to_best(self) -> None:
        if self.snapshot is not None and self.snapshot.best is not None:
            self.table.select(self.snapshot.best.number)

    def go_to_newest(self) -> None:
        if self.snapshot is not None and self.snapshot.trials:
            self.table.select(self.snapshot.trials[-1].number, follow=Follow.NEWEST)
