"""Looks at the sweep's store on a thread of its own, and has the user's commands entered there."""

from __future__ import annotations

import math
import shutil
import threading
import time
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sweeptui.app import wording
from sweeptui.app.messages import SnapshotTaken, Teller, Told, WatchFailed
from sweeptui.app.opening import Opening, any_job_lives
from sweeptui.app.orders import Orders
from sweeptui.app.pace import Pace
from sweeptui.app.plot.series import Series, SeriesReader
from sweeptui.app.snapshot import Curve, Focus, Snapshot, snapshot
from sweeptui.app.travel import Moment, Step, Traveller
from sweeptui.core import watched
from sweeptui.core.analysis.ranking import ranked
from sweeptui.core.analysis.summary import goal, truth
from sweeptui.core.errors import UserError
from sweeptui.core.state import Change, ChangeKind
from sweeptui.core.stores.base import StoreBusyError
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.stores.wandb.book import Standing, standing
from sweeptui.core.trial import Stage
from sweeptui.folders import DATABASE

if TYPE_CHECKING:
    from pathlib import Path

    from textual.message import Message

    from sweeptui.core.state import SweepState
    from sweeptui.core.stores.base import Lease
    from sweeptui.core.stores.past import View
    from sweeptui.core.trial import Trial

REFRESH_S = 0.25
PLAY_REFRESH_S = 0.1
LOCKED = "another program keeps this sweep's database locked: it is read again when it is free (`fuser` says who it is)"
LOCKED_S = 2.0
"""So long another program may keep the store locked before it is said."""
AGAIN_S = 2.0
"""What cannot be read is tried again so often; it may be long, and a damaged file is looked through each time."""
SLOW_LOOK_S = 1.0
"""How often processes and the disk are looked at, which the journal does not tell of."""
MAX_CURVES = 500
MAX_CURVE_POINTS = 240
NOTES = frozenset({"breaker", "disk", "optimizer", "lease"})


def _number(trial: Trial) -> int:
    return trial.number


def _center(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where the sweep's search began; empty where its space cannot be made out."""
    from sweeptui.core.space import Space  # noqa: PLC0415 - not for the first frame

    try:
        return Space.from_parameters(config["protein_config"]["parameters"]).center()
    except (UserError, ValueError, KeyError, TypeError):
        return {}


@dataclass
class _Learning:
    """A learning curve as far as it was read."""

    read: int = 0
    job: int = 0
    scores: list[float] = field(default_factory=list)

    def extend(self, store: View, trial: int) -> None:
        for report in store.reports(trial, Stage.TRAIN, skip=self.read):
            self.read += 1
            if report.job != self.job:  # a new attempt starts a new curve
                self.job = report.job
                self.scores.clear()
            if report.score is not None:
                self.scores.append(report.score)

    def curve(self) -> Curve:
        step = max(1, len(self.scores) // MAX_CURVE_POINTS)
        return tuple(self.scores[::step])


class Watcher:
    """Posts a `SnapshotTaken` whenever anything changed. `look_at` and `submit` may be called from any thread.

    Only `run` touches the stores; it returns after `close`.
    """

    def __init__(
        self,
        folder: Path,
        post: Callable[[Message], object],
        *,
        runs_here: bool,
        client: str = "cockpit",
        read_only: str = "",
        clock: Callable[[], float] = time.time,
        traveller: Traveller | None = None,
    ) -> None:
        """`client` is what the journal calls this window; `read_only` says why it may change nothing. `traveller` says
        which moment of the past to begin at.
        """
        self._traveller = traveller or Traveller(None, None)
        self._pace = Pace()
        self.on_read: Callable[[], None] = lambda: None
        """Called on the watcher's thread once all trials are read."""
        self._clock = clock
        self.turns = 0
        """How often it has looked, and told what was new."""
        self._folder = folder
        self._post = post
        self._teller = Teller(SnapshotTaken, post)
        self._runs_here = runs_here
        self._read_only = read_only
        self._orders = Orders(folder, post, client=client, read_only=read_only)
        self._wake = threading.Event()
        self._closed = False
        self._on_screen: frozenset[int] = frozenset()
        self._selected: int | None = None
        self._plotted: frozenset[int] = frozenset()
        self._said_watched: int | None = None
        self._curves: OrderedDict[int, _Learning] = OrderedDict()
        self._series = SeriesReader()
        self._shown: Snapshot | None = None
        self._slow_at = float("-inf")
        self._jobs_alive = False
        self._disk = ""
        self._mirror: Standing | None = None
        self._lease: Lease | None = None
        self._dirty = True
        self._problem = ""
        self._best: Trial | None = None
        self._runner_up: Trial | None = None
        self._center: Mapping[str, Any] = {}
        self._trials: list[Trial] = []
        self._spent = 0.0
        self.opening = Opening(folder, clock)

    def look_at(self, on_screen: frozenset[int], selected: int | None, plotted: frozenset[int] = frozenset()) -> None:
        """Which trials' curves are wanted, which trial in depth, and whose curves with their axes."""
        if (on_screen, selected, plotted) != (self._on_screen, self._selected, self._plotted):
            self._on_screen, self._selected, self._plotted = on_screen, selected, plotted
            self._wake.set()

    def travel(self, step: Step, by: int = 0) -> None:
        """Go through the past; see `Traveller.ask`."""
        self._traveller.ask(step, by)
        self._wake.set()

    def submit(self, verb: str, entered: Callable[[int], None] | None = None, /, **args: Any) -> None:
        """Ask whoever runs the sweep for something. What became of it comes back as a `Told`.

        `entered` is called with the command's number, on the watcher's thread.
        """
        if self._orders.give(verb, args, entered):
            self._wake.set()

    def disown(self) -> None:
        """This process does not run the sweep any more."""
        self._runs_here = False

    def close(self) -> None:
        self._closed = True
        self._wake.set()
        self.opening.painted()

    def run(self) -> None:
        """Look and tell, until it is closed. Where the sweep cannot be read, that is said, and tried again."""
        if (missed := self.opening.missed()) is not None and not self._traveller.away:
            self._teller.tell(missed)
        while not self._closed:
            try:
                store = SqliteStore.open(self._folder / DATABASE, readonly=True, busy_timeout_s=LOCKED_S)
                with closing(store):
                    self._forget()
                    self.on_read()
                    while not (self._closed or store.outdated()):
                        began = time.monotonic()
                        changed = self._turn(store)
                        self.turns += 1
                        refresh = PLAY_REFRESH_S if self._traveller.playing else REFRESH_S
                        self._pause(refresh)
                        if changed:
                            self._rest(began + self._pace.next(refresh))
            except StoreBusyError:
                self._say(LOCKED)
                self._pause(REFRESH_S)
            except UserError as error:
                self._say(str(error))
                self._pause(AGAIN_S)

    def _pause(self, seconds: float) -> None:
        """Wait so long, or until something is wanted."""
        self._wake.wait(seconds)
        self._wake.clear()

    def _rest(self, until: float) -> None:
        """Where the sweep changes all the time, looking elsewhere makes no more refreshes; a command does."""
        while not self._closed and not self._orders.waiting and (left := until - time.monotonic()) > 0:
            self._pause(left)

    def _say(self, problem: str) -> None:
        """What keeps the sweep from being read; empty once nothing does."""
        if problem != self._problem:
            self._problem = problem
            self._post(WatchFailed(problem))

    def _turn(self, store: SqliteStore) -> bool:
        """Look once, and tell what is new; whether the journal had anything."""
        if self._orders.enter() and not self._runs_here and not (self._lease is not None and self._lease.alive):
            self._orders.have_applied()
        changes: list[Change] = []
        try:
            changes = store.refresh()
            self._lease = store.lease()
            self._tell(changes)
            past, way = self._traveller.look(store)
            if past is None:
                if self._shown is not None and self._shown.past is not None:
                    self._forget()
                self._take_in(store, changes)
                self._look_slowly(store)
                self._say_watched(store.state)
                self._publish(store, changes, None)
            else:
                if way is None or self._shown is None or self._shown.past is None:
                    self._forget()
                self._take_in(past, way or [])
                self._publish(past, way or [], self._traveller.moment())
            self._say("")
        except StoreBusyError:  # looked at again in a moment
            self._say(LOCKED)
        return bool(changes)

    def _say_watched(self, state: SweepState) -> None:
        """Have whoever runs the sweep bring the log of a trial elsewhere first, while somebody looks at it."""
        selected = self._selected
        if selected == self._said_watched or selected is None or self._read_only:
            return
        job = state.running_jobs.get(selected)
        if job is not None and wording.remote(job.slot):
            watched.say(self._folder, selected)
            self._said_watched = selected

    # -- reading

    def _forget(self) -> None:
        """All is looked at anew."""
        self._shown = None
        self._curves.clear()
        self._series = SeriesReader()

    def _tell(self, changes: list[Change]) -> None:
        self._orders.tell(changes)
        for change in changes:
            if change.kind in NOTES and change.data.get("message"):
                self._post(Told(f"{change.kind}: {change.data['message']}", warning=True))

    def _take_in(self, store: View, changes: list[Change]) -> None:
        state = store.state
        for change in changes:
            if change.kind == ChangeKind.JOB_CHANGED and change.trial is not None and "report_offset" in change.data:
                self._dirty = True
                self._series.grew(change.trial)
                if change.trial in self._curves:
                    self._curves[change.trial].extend(store, change.trial)
        if changes or self._shown is None:
            self._dirty = True
            self._take_in_trials(state, changes)
        if self._shown is None or any(change.kind == ChangeKind.SWEEP_CHANGED for change in changes):
            self._center = _center(state.config)

    def _take_in_trials(self, state: SweepState, changes: list[Change]) -> None:
        """At the cost of what has changed: a sweep may have very many trials."""
        if self._shown is None:
            self._trials = [state.trials[number] for number in sorted(state.trials)]
            self._rank(state.trials.values(), goal(state))
        else:
            changed = [state.trials[number] for number in sorted({c.trial for c in changes if c.trial is not None})]
            for trial in changed:
                place = bisect_left(self._trials, trial.number, key=_number)
                new = place == len(self._trials) or self._trials[place].number != trial.number
                self._trials[place : place + (not new)] = [trial]
            leaders = [trial for trial in (self._best, self._runner_up) if trial is not None]
            if any(state.trials[trial.number] is not trial for trial in leaders):
                self._rank(self._trials, goal(state))
            else:
                self._rank([*leaders, *changed], goal(state))
        if self._shown is None or any("spent" in change.data for change in changes):
            self._spent = math.fsum(trial.spent for trial in self._trials)

    def _rank(self, trials: Iterable[Trial], goal: str) -> None:
        """Find the best two."""
        order = [item.trial for item in ranked({trial.number: trial for trial in trials}.values(), goal)[:2]]
        self._best, self._runner_up = (*order, None, None)[:2]

    def _look_slowly(self, store: SqliteStore) -> None:
        now = time.monotonic()
        if now - self._slow_at < SLOW_LOOK_S:
            return
        self._slow_at = now
        held = self._lease is not None and self._lease.alive
        self._jobs_alive = not held and any_job_lives(self._folder, store.state)
        if store.state.config.get("store") == "wandb":
            found = standing(self._folder)
            self._mirror = None if found is None else replace(found, at=0.0)  # a sign of life is no news
        limit_mb = store.state.config.get("min_free_disk_mb", 0)
        with suppress(OSError):
            free_mb = shutil.disk_usage(self._folder).free >> 20
            self._disk = f"only {free_mb} MB free on the disk: nothing is launched" if free_mb < limit_mb else ""

    def _publish(self, store: View, changes: list[Change], past: Moment | None) -> None:
        holder = self._lease if self._lease is not None and self._lease.alive and past is None else None
        label = truth(store.state, held=holder is not None or past is not None, jobs_alive=self._jobs_alive)
        disk, mirror = ("", None) if past is not None else (self._disk, self._mirror)
        curves = self._wanted_curves(store)
        series = self._plotted_series(store)
        focus = self._focus(store, changes)
        old = self._shown
        if (
            old is not None
            and not self._dirty
            and (old.label, old.disk, old.curves, old.focus) == (label, disk, curves, focus)
            and (old.mirror, old.past) == (mirror, past)
            and old.series == series
            and str(old.holder) == str(holder)
        ):
            return
        self._dirty = False
        shown = replace(
            snapshot(
                store.state,
                at=self._clock() if past is None else past.at,
                label=label,
                best=self._best,
                trials=tuple(self._trials),
                spent=self._spent,
                jobs=store.jobs,
            ),
            holder=holder,
            runner_up=self._runner_up,
            center=self._center,
            curves=curves,
            series=series,
            focus=focus,
            disk=disk,
            mirror=mirror,
            past=past,
        )
        self._shown = replace(shown, leading=self.opening.leading.order(shown))
        self._teller.tell(self._shown)

    def _wanted_curves(self, store: View) -> Mapping[int, Curve]:
        old = self._shown.curves if self._shown is not None else {}
        wanted: dict[int, Curve] = {}
        for number in sorted(self._on_screen):
            if number not in self._curves:
                self._curves[number] = _Learning()
                self._curves[number].extend(store, number)
            self._curves.move_to_end(number)
            curve = self._curves[number].curve()
            # The same curve stays the same object: that is how the table knows a row that did not change.
            wanted[number] = old[number] if old.get(number) == curve else curve
        while len(self._curves) > max(MAX_CURVES, len(wanted)):
            self._curves.popitem(last=False)
        return wanted

    def _plotted_series(self, store: View) -> Mapping[int, Series]:
        series, more = self._series.read(store, self._plotted & store.state.trials.keys())
        if more:
            self._wake.set()
        return series

    def _focus(self, store: View, changes: list[Change]) -> Focus | None:
        selected = self._selected
        if selected is None or selected not in store.state.trials:
            return None
        old = self._shown.focus if self._shown is not None else None
        if old is not None and old.trial == selected and not any(change.trial == selected for change in changes):
            return old
        return Focus(selected, tuple(store.jobs(selected)))
