"""What the snapshots show: each screen and each state, and the keys that lead there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app_sweep import Clock, FakeSession, Sweep, frame
from outlook_shown import shown
from snapshot_sweeps import FOLDERS, fall, rise, trip
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input

from sweeptui.app.cockpit import Cockpit
from sweeptui.app.home import Home
from sweeptui.app.outlook import Known, ends_of
from sweeptui.app.run import READ_ONLY
from sweeptui.app.screens.newsweep import NewSweep
from sweeptui.cli.run import read_words
from sweeptui.core.limits import Ending
from sweeptui.core.state import SweepStatus
from sweeptui.core.stores.base import LeaseLostError

DONE, SECOND, BEST, FAILED, PAUSED, KILLED, RUNNING, QUEUED = 1, 4, 5, 6, 7, 8, 9, 10
"""Trials of the busy sweep."""
SIZES = ((80, 24), (120, 40), (200, 60))
TINY = (40, 12)
PATIENCE_S = 120.0
STILL_S = 0.5
"""Where there is nothing to compare with yet: a screen that has not changed for so long is done."""
STILL_LOOKS = 10
"""And not in so many looks: on a machine that stands still itself, what has just become known is not painted yet."""

Act = Callable[[Any, Pilot[Any]], Awaitable[None]]


@dataclass(frozen=True)
class Scene:
    name: str
    sweep: str
    """One of `SWEEPS`; "" for the start screen without sweeps, one of `FOLDERS` for it with some."""
    keys: tuple[str, ...] = ()
    select: int | None = None
    words: tuple[str, ...] = ()
    """What has to be on screen before the picture is taken, at every size."""
    act: Act | None = None
    """What is done after the keys."""
    happen: Callable[[Sweep], object] | None = None
    """What happens to the sweep then; a toast tells of it."""
    options: dict[str, Any] = field(default_factory=dict)
    """Of the app."""
    sizes: tuple[tuple[int, int], ...] = SIZES
    no_color: bool = False


def typed(text: str) -> Act:
    """Write into whatever has the focus, as if it were pasted."""

    async def act(app: App[Any], pilot: Pilot[Any]) -> None:
        app.screen.focused.insert_text_at_cursor(text)  # type: ignore[union-attr]
        await pilot.pause()

    return act


def then(*acts: Act | str) -> Act:
    """One after the other; a word is a key."""

    async def act(app: App[Any], pilot: Pilot[Any]) -> None:
        for each in acts:
            if isinstance(each, str):
                await pilot.press(each)
                await pilot.pause()
            else:
                await each(app, pilot)

    return act


def ended(error: BaseException | None = None, ending: Ending | None = None) -> Act:
    """What this window ran is over."""

    async def act(app: Cockpit, pilot: Pilot[Any]) -> None:
        app.engine.session.finish(ending, error)  # type: ignore[union-attr]
        await until(pilot, lambda: not app.engine.is_alive(), "the end of the engine")  # type: ignore[union-attr]
        await pilot.pause()

    return act


async def mark_two(app: Cockpit, pilot: Pilot[Any]) -> None:
    app.table.mark((DONE, SECOND))
    await pilot.pause()


def known(found: dict[str, Any]) -> Act:
    """What the process beside the optimizer page would have computed."""

    async def act(app: Cockpit, pilot: Pilot[Any]) -> None:
        assert app.snapshot is not None
        app.pages.outlook.keep(0, Known(ends_of(app.snapshot), app.snapshot.done, found))
        await pilot.pause()

    return act


NOTHING = {
    "metric": "score",
    "trials": 2,
    "problem": "2 trials have a score inside the search space; this takes at least 4",
}
LOG = ("epoch",)
HERE: dict[str, Any] = {"session": FakeSession}

SCENES = (
    # the main screen
    Scene("main", "busy", select=RUNNING, words=LOG, sizes=(*SIZES, TINY)),
    Scene("main-failed-trial", "busy", select=FAILED, words=("MemoryError",)),
    Scene("main-marked", "busy", select=RUNNING, words=("2 marked",), act=mark_two),
    Scene("main-here", "busy", select=RUNNING, words=LOG, options=HERE),
    Scene("plot-curves", "busy", ("1",), RUNNING, sizes=((80, 24),)),
    Scene("plot-history", "busy", ("2",), RUNNING, ("best so far",)),
    Scene("plot-cost", "busy", ("3",), RUNNING),
    Scene("plot-params", "busy", ("4",), RUNNING),
    Scene("plot-importance", "busy", select=RUNNING, words=("importance for",), act=then(known(shown()), "5")),
    Scene(
        "plot-importance-not-told",
        "busy",
        select=RUNNING,
        words=("cannot tell",),
        act=then(known(shown("24 trials cannot tell", told=False)), "5"),
        sizes=((120, 40),),
    ),
    Scene("log", "busy", ("tab", "tab"), RUNNING, LOG),
    # looking closer
    Scene("trial-done", "busy", ("enter",), BEST, ("Configuration",)),
    Scene("trial-running", "busy", ("enter",), RUNNING, ("Why this trial",)),
    Scene("trial-failed", "busy", ("enter",), FAILED, ("MemoryError",)),
    Scene("trial-queued", "busy", ("enter",), QUEUED, ("◌ queued",)),
    Scene("trial-paused", "busy", ("enter",), PAUSED, ("‖ paused",)),
    Scene("trial-killed", "busy", ("enter",), KILLED, ("☠ killed",)),
    Scene("compare-2", "busy", ("c",), DONE, ("A #1", "B #5")),
    Scene("compare-4", "busy", ("v", "down", "down", "down", "v", "c"), DONE, ("A #1",)),
    Scene("slots", "busy", ("o",), RUNNING, ("Slots",)),
    Scene("failures", "failing", ("e",), words=("3 ×",)),
    Scene("optimizer", "busy", select=RUNNING, words=("Importance",), act=then(known(shown()), "O")),
    Scene("optimizer-nothing", "busy", select=RUNNING, words=("nothing to show yet",), act=then(known(NOTHING), "O")),
    Scene("copy", "busy", ("y",), RUNNING, ("YAML",)),
    Scene("help", "busy", ("question_mark",), RUNNING),
    Scene("palette", "busy", ("ctrl+p",), RUNNING),
    Scene("palette-searched", "busy", ("ctrl+p",), RUNNING, act=typed("trial")),
    # choosing
    Scene("sort", "busy", ("s",), RUNNING),
    Scene("sorted", "busy", ("s",), RUNNING, act=then("down", "down", "enter")),
    Scene("filter", "busy", ("slash",), RUNNING),
    Scene("filter-completed", "busy", ("slash",), RUNNING, act=typed("sta")),
    Scene("filter-kept", "busy", ("slash",), act=then(typed("state:done"), "enter")),
    Scene("filter-wrong", "busy", ("slash",), RUNNING, act=typed("lr<<2")),
    Scene("filter-nothing", "busy", ("slash",), act=then(typed("score>9999"), "enter")),
    # steering
    Scene("prompt", "busy", ("colon",), RUNNING),
    Scene("prompt-completed", "busy", ("colon",), RUNNING, act=then(typed("ki"), "tab")),
    Scene("prompt-wrong", "busy", ("colon",), RUNNING, act=then(typed("kill nobody"), "enter")),
    Scene("edit", "busy", ("R",), DONE),
    Scene("edit-wrong", "busy", ("R",), DONE, act=typed("9")),
    Scene("inject", "busy", ("i",), RUNNING),
    Scene("number", "busy", ("m",), RUNNING),
    Scene("number-wrong", "busy", ("m",), RUNNING, act=typed("x")),
    Scene("kill", "busy", ("x",), RUNNING, ("Kill trial_0009?",)),
    Scene("kill-marked", "busy", select=RUNNING, act=then(mark_two, "ctrl+a", "x")),
    Scene("requeue-group", "failing", ("e", "r"), words=("Try",)),
    Scene("quit", "busy", ("q",), RUNNING, ("Detach",), options=HERE),
    # the states of a sweep
    Scene("state-empty", "empty"),
    Scene("state-not-begun", "unstarted"),
    Scene("state-one-trial", "one", words=LOG),
    Scene("state-finished", "finished"),
    Scene("state-broken", "broken"),
    Scene("state-paused", "paused"),
    Scene("state-orphaned", "orphaned"),
    Scene("state-read-only", "busy", ("x",), RUNNING, ("read-only",), options={"read_only": READ_ONLY}),
    Scene("state-full-disk", "full_disk", words=("MB",)),
    Scene("state-missing", "missing", words=("cannot be read",)),
    Scene("state-locked", "locked", words=("database locked",)),
    Scene("past", "busy", ("left_square_bracket",) * 3, words=("PAST", "trial_0005 completed")),
    Scene("toast-best", "rising", words=("is the new best",), happen=rise),
    Scene("toast-failure", "falling", words=("failed:",), happen=fall),
    Scene("toast-breaker", "breaking", words=("breaker:",), happen=trip),
    Scene("state-lost-lease", "one", act=ended(LeaseLostError(Path("ppo-one-trial/sweep.db"), None)), options=HERE),
    Scene("state-engine-failed", "one", act=ended(RuntimeError("the optimizer is out of its mind")), options=HERE),
    # the shapes of a sweep
    Scene("shape-huge", "huge", sizes=(*SIZES, TINY)),
    Scene("shape-long-names", "lengthy", sizes=(*SIZES, TINY)),
    Scene("shape-long-names-trial", "lengthy", ("enter",), 3),
    Scene("shape-long-names-compare", "lengthy", ("v", "down", "down", "v", "c"), 1),
    Scene("shape-categorical", "categorical"),
    Scene("shape-minimize", "minimize"),
    Scene("shape-no-cost", "costless"),
    Scene("shape-no-cost-plot", "costless", ("3",)),
    # terminals
    Scene("terminal-ascii", "busy", select=RUNNING, options={"utf8": False}),
    Scene("terminal-ascii-trial", "busy", ("enter",), BEST, options={"utf8": False}),
    Scene("terminal-no-color", "busy", select=RUNNING, words=LOG, no_color=True),
    # the start screen
    Scene("sweeps", "several", words=("damaged",)),
    Scene("sweeps-empty", "", words=("no sweep yet",)),
    Scene("sweeps-filtered", "several", ("slash",), words=("Sweeps",), act=typed("ppo")),
    Scene("sweeps-help", "several", ("question_mark",)),
    Scene("sweeps-delete", "several", ("d",)),
    Scene("experiments", "experiments", words=("walk",)),
    Scene("experiment", "experiments", ("down",) * 5, words=("loop1[0]/model",), options={"inside": "tune"}),
    Scene("new", "", ("n",)),
    Scene("new-wrong", "", ("n",), act=then("tab", "tab", typed("many"))),
)


async def until(pilot: Pilot[Any], happened: Callable[[], object], what: str) -> None:
    """Wait for something that a thread brings about."""
    deadline = time.monotonic() + PATIENCE_S
    while not happened():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen; on screen:\n" + "\n".join(frame(pilot.app)))  # type: ignore[arg-type]
        await asyncio.sleep(0.005)
        await pilot.pause()
    await pilot.pause()


async def turn(app: App[Any], pilot: Pilot[Any]) -> None:
    """Let the thread that looks at the sweep look once more, and show what it saw."""
    if isinstance(app, Cockpit):
        seen = app._watcher.turns
        for _ in range(20):
            app._watcher._wake.set()
            await asyncio.sleep(0.002)
            if app._watcher.turns >= seen + 2:
                break
    else:
        app._look_now.set()  # type: ignore[attr-defined]
        await asyncio.sleep(0.005)
    await pilot.pause()


async def rest(
    app: App[Any], pilot: Pilot[Any], done: Callable[[], bool], ready: Callable[[], bool] = lambda: True
) -> None:
    """Wait until the screen is as it should be; or else until it is `ready` and does not change any more."""
    deadline = time.monotonic() + PATIENCE_S
    shown: list[str] = []
    since, looks = time.monotonic(), 0
    while time.monotonic() < deadline:
        for box in app.screen.query(Input):
            box.cursor_blink = False
        if done():
            await turn(app, pilot)
            if done():
                return
        await turn(app, pilot)
        lines = frame(app)  # type: ignore[arg-type]
        if lines != shown or not ready() or not settled(app):
            shown, since, looks = lines, time.monotonic(), 0
        elif time.monotonic() - since > STILL_S and looks > STILL_LOOKS:
            return
        looks += 1


def app_of(scene: Scene, sweep: Sweep | None) -> App[Any]:
    """The app that a scene plays in; its sweep is below the current folder."""
    options = {"utf8": True, **scene.options}
    app: App[Any]
    if scene.sweep in ("", *FOLDERS):
        app = Home(Path.cwd(), read_words, clock=Clock(), **options)
    else:
        # Relative, so that no sentence has a path in it that is longer on one machine than on another.
        folder = Path("train_dir", "sweeps", "ppo-gone" if sweep is None else sweep.folder.name)
        session = options.pop("session", None)
        clock = Clock() if sweep is None else sweep.clock
        app = Cockpit(folder, None if session is None else session(folder), clock=clock, **options)
    app.animation_level = "none"
    notify = app.notify
    app.notify = lambda message, **how: notify(message, **{**how, "timeout": 3600})  # type: ignore[method-assign]
    return app


async def play(app: App[Any], pilot: Pilot[Any], scene: Scene, sweep: Sweep | None) -> None:
    """All that happens in a scene."""
    if isinstance(app, Home):
        await until(pilot, lambda: app.looked, "the first look")
    elif sweep is not None and scene.sweep != "locked":
        await until(pilot, lambda: app.snapshot is not None and not app.snapshot.older, "the first snapshot")
        if scene.select is not None:
            app.table.select(scene.select)
            await until(pilot, lambda: focused(app, scene.select), "the trial")
    for key in scene.keys:
        await pilot.press(key)
        await pilot.pause()
    if scene.act is not None:
        await scene.act(app, pilot)
    if scene.happen is not None and sweep is not None:
        scene.happen(sweep)
        await until(pilot, lambda: app._notifications, "the toast")


def end(app: App[Any]) -> None:
    """Let go of what the app runs."""
    if isinstance(app, Cockpit) and app.engine is not None:
        app.engine.session.finish(Ending(SweepStatus.INTERRUPTED, "", 0))  # type: ignore[attr-defined]


def focused(app: Cockpit, trial: int | None) -> bool:
    return app.snapshot is not None and app.snapshot.focus is not None and app.snapshot.focus.trial == trial


def settled(app: App[Any]) -> bool:
    """No form is still being checked."""
    return not isinstance(app.screen, NewSweep) or app.screen.settled
