"""Every action of the registry, by its keys: that it does what it says, and that it refuses where it does not apply.

An action without a line in `DOES`, or without one in `REFUSES` where it can refuse, fails here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from app_sweep import Sweep, busy_sweep, frame
from textual.widget import Widget

from sweeptui.app import cockpit
from sweeptui.app.actions import ACTIONS, BY_ID
from sweeptui.app.cockpit import Cockpit
from sweeptui.app.dialogs import Ask
from sweeptui.app.plot.order import Across, Tab
from sweeptui.app.screens.compare import ComparePage
from sweeptui.app.screens.copy import CopyMenu
from sweeptui.app.screens.edit import Edit
from sweeptui.app.screens.failures import FailuresPage
from sweeptui.app.screens.number import AskNumber
from sweeptui.app.screens.optimizer import OptimizerPage
from sweeptui.app.screens.palette import Help, Palette
from sweeptui.app.screens.prompt import Prompt
from sweeptui.app.screens.slots import SlotsPage
from sweeptui.app.screens.sort import SortMenu
from sweeptui.app.screens.trial import TrialPage
from sweeptui.app.table import Follow
from sweeptui.core.trial import FailureKind, Stage, TrialStatus

DONE, WORST, BEST, FAILED, PAUSED, RUNNING, QUEUED = 1, 3, 5, 6, 7, 9, 10
WAIT_S = 120.0
READ_ONLY = "this window changes nothing"
Look = Callable[["Window"], Any]


class Window(Cockpit):
    """Keeps what it tells: toasts go after a while."""

    CSS_PATH = Path(cockpit.__file__).with_name("cockpit.tcss")

    def __init__(self, sweep: Sweep, **how: Any) -> None:
        super().__init__(sweep.folder, utf8=True, clock=sweep.clock, **how)
        self.told: list[str] = []

    def notify(self, message: str, **how: Any) -> None:
        self.told.append(message)
        super().notify(message, **how)


@dataclass(frozen=True)
class Case:
    """What comes of the keys of an action."""

    after: Look = lambda app: False
    """True when it has been done, and false before."""
    command: tuple[str, dict[str, Any]] | None = None
    """What goes to the sweep's journal."""
    trial: int = RUNNING
    before: tuple[str, ...] = ()
    """The keys that lead to where it applies."""
    focus: str = ""
    """The pane that its keys are for."""
    then: tuple[str, ...] = ()
    """What answers its question, or its form."""


def opens(kind: type, **how: Any) -> Case:
    return Case(lambda app: isinstance(app.screen, kind), **how)


def at(cursor: int, **how: Any) -> Case:
    return Case(lambda app: app.table.cursor == cursor, **how)


def gives(
    verb: str, trial: int = RUNNING, then: tuple[str, ...] = (), before: tuple[str, ...] = (), **args: Any
) -> Case:
    return Case(command=(verb, args), trial=trial, then=then, before=before)


def plots(after: Look, **how: Any) -> Case:
    return Case(after, focus="plots", **how)


def logs(after: Look, **how: Any) -> Case:
    return Case(after, focus="log", **how)


def kind_of_log(app: Window) -> str:
    return str(app.log_pane.border_title)


def in_the_past(app: Window) -> bool:
    return app.snapshot is not None and app.snapshot.past is not None


def at_the_start(app: Window) -> bool:
    return in_the_past(app) and app.snapshot.past.seq == 1


def at_the_next_metric(app: Window) -> bool:
    return app.pages.outlook.which == 1


DOES: dict[str, Case] = {
    "time_back": Case(in_the_past),
    "time_change_back": Case(in_the_past),
    "time_start": Case(at_the_start),
    "time_play": Case(in_the_past),
    "time_on": Case(lambda app: not at_the_start(app), before=("<",)),
    "time_change_on": Case(lambda app: not at_the_start(app), before=("<",)),
    "time_now": Case(lambda app: not in_the_past(app), before=("<",)),
    "pause": gives("pause", trials=[RUNNING]),
    "kill": gives("kill", trials=[RUNNING], then=("y",)),
    "requeue": gives("requeue", FAILED, trials=[FAILED]),
    "edit": opens(Edit, trial=FAILED),
    "evaluate": gives("evaluate", DONE, trials=[DONE]),
    "open": opens(TrialPage),
    "undo": gives("resume", before=("P",)),
    "log": Case(lambda app: "train" in kind_of_log(app), trial=DONE),
    "log_attempt": Case(lambda app: kind_of_log(app).endswith("attempt 1 of 2"), trial=FAILED),
    "log_attempt_after": Case(lambda app: kind_of_log(app).endswith("attempt 1 of 2"), trial=FAILED),
    "follow": logs(lambda app: app.log_view.page.following, before=("g",)),
    "log_search": logs(lambda app: app.log_pane.line.display),
    "log_next": logs(lambda app: " 1 of 31" in app.log_pane.bar.render_line(0).text, before=(*"/epoch", "enter")),
    "log_previous": logs(lambda app: " 30 of 31" in app.log_pane.bar.render_line(0).text, before=(*"/epoch", "enter")),
    "log_filter": logs(lambda app: app.log_pane.line.display),
    "log_wrap": logs(lambda app: app.log_view.wrapping),
    "log_copy": logs(lambda app: "epoch  31  step" in app.clipboard),
    "log_copy_line": logs(lambda app: app.clipboard.startswith("epoch "), before=(*"/epoch", "enter")),
    "log_clear": logs(lambda app: app.table.has_focus),
    "plot_1": Case(lambda app: not app.plotting.visible),
    "plot_2": Case(lambda app: app.plotting.pane.tab is Tab.HISTORY),
    "plot_3": Case(lambda app: app.plotting.pane.tab is Tab.COST),
    "plot_4": Case(lambda app: app.plotting.pane.tab is Tab.PARAMETERS),
    "plot_5": Case(lambda app: app.plotting.pane.tab is Tab.IMPORTANCE),
    "plot_close": plots(lambda app: app.table.has_focus),
    "plot_x": plots(lambda app: app.plotting.pane._across is Across.TIME),
    "plot_in": plots(lambda app: app.plotting.pane._views[Tab.CURVES].window is not None),
    "plot_out": plots(lambda app: app.plotting.pane._views[Tab.CURVES].window is None, before=("plus",)),
    "plot_left": plots(lambda app: moved(app) < -1000, before=("plus", "plus")),
    "plot_right": plots(lambda app: moved(app) > -1000, before=("plus", "plus", "h")),
    "plot_metric": plots(at_the_next_metric),
    "plot_log": plots(lambda app: app.plotting.pane._views[Tab.CURVES].log),
    "plot_reset": plots(lambda app: app.plotting.pane._views[Tab.CURVES].window is None, before=("plus",)),
    "filter": Case(lambda app: app.choosing.bar.display),
    "show_all": Case(lambda app: len(app.table.shown) == 10, before=(*"/done", "enter")),
    "sort": opens(SortMenu),
    "sort_reverse": Case(lambda app: app.table.shown.descending),
    "mark": Case(lambda app: app.table.marked == {RUNNING}),
    "mark_range": Case(lambda app: app.table.marked == {PAUSED, PAUSED + 1, RUNNING}, before=("space", "k", "k")),
    "mark_all": Case(lambda app: len(app.table.marked) == 10),
    "unmark": Case(lambda app: not app.table.marked, before=("ctrl+a",)),
    "follow_trials": Case(lambda app: app.table.following is Follow.NEWEST),
    "best": at(BEST),
    "newest": at(QUEUED),
    "pause_sweep": gives("pause"),
    "inject": opens(Edit),
    "more_slots": gives("set", max_parallel_jobs=3),
    "fewer_slots": gives("set", max_parallel_jobs=1),
    "max_trials": opens(AskNumber),
    "prompt": opens(Prompt),
    "palette": opens(Palette),
    "compare": opens(ComparePage),
    "failures": opens(FailuresPage),
    "slots": opens(SlotsPage),
    "copy": opens(CopyMenu),
    "optimizer": opens(OptimizerPage),
    "page_trial_before": at(RUNNING - 1, before=("enter",)),
    "page_trial_after": at(RUNNING + 1, before=("enter",)),
    "page_trial_log": Case(lambda app: app.log_view.has_focus, before=("enter",)),
    "page_metric": Case(at_the_next_metric, before=("O",)),
    "page_requeue": gives("requeue", trials=[FAILED], then=("y",), before=("e",)),
    "page_edit": opens(Edit, before=("e",)),
    "page_select": Case(lambda app: app.table.marked == {FAILED}, before=("e",)),
    "page_open": opens(TrialPage, before=("o",)),
    "page_back": Case(lambda app: not app.screen.is_modal, before=("enter",)),
    "pane": Case(lambda app: app.plotting.pane.has_focus or app.log_view.has_focus),
    "up": at(RUNNING - 1),
    "down": at(RUNNING + 1),
    "page_up": at(1),
    "page_down": at(QUEUED, trial=1),
    "home": at(1),
    "end": at(QUEUED),
    "left": Case(lambda app: app.table._lines.left == 0, before=("right",)),
    "right": Case(lambda app: app.table._lines.left == 1),
    "help": opens(Help),
    "quit": Case(lambda app: app._exit),
}

OF_SEVERAL = ("plot_metric", "page_metric")
"""What only a sweep with several metrics has."""

NOTHING_YET, NO_TRIAL, FULL = "nothing yet", "no trial", "full"
"""Sweeps: one that cannot be read, one without trials, one whose trials are all made, in one slot."""
NOT_STARTED = "the sweep has not started yet"
NONE = "there is no trial yet"
ALL_MADE = "all 10 trials of the sweep are made: raise max_trials first"
ONE_METRIC = "this sweep has one metric"
NOW = "this is now: nothing is later"
REFUSES: dict[str, list[tuple[int | str, str]]] = {
    "time_back": [(NOTHING_YET, NOT_STARTED)],
    "time_change_back": [(NOTHING_YET, NOT_STARTED)],
    "time_start": [(NOTHING_YET, NOT_STARTED)],
    "time_play": [(NOTHING_YET, NOT_STARTED)],
    "time_on": [(RUNNING, NOW)],
    "time_change_on": [(RUNNING, NOW)],
    "time_now": [(RUNNING, NOW)],
    "plot_metric": [(RUNNING, ONE_METRIC), (NOTHING_YET, NOT_STARTED)],
    "page_metric": [(RUNNING, ONE_METRIC), (NOTHING_YET, NOT_STARTED)],
    "pause": [(DONE, "trial_0001 is over (done): there is nothing to pause"), (NO_TRIAL, NONE)],
    "kill": [(FAILED, "trial_0006 is over already (memory)"), (NO_TRIAL, NONE)],
    "requeue": [
        (RUNNING, "trial_0009 is training: only a trial that is over can be tried again"),
        (NO_TRIAL, NONE),
    ],
    "edit": [(NO_TRIAL, NONE), (FULL, ALL_MADE)],
    "evaluate": [
        (FAILED, "trial_0006 was not evaluated yet: there is no evaluation to repeat"),
        (NO_TRIAL, NONE),
    ],
    "open": [(NO_TRIAL, NONE)],
    "undo": [(RUNNING, "nothing was asked for from this window: there is nothing to undo")],
    "log": [(RUNNING, "trial_0009 has only one log so far"), (NO_TRIAL, NONE)],
    "follow": [(NO_TRIAL, NONE)],
    "filter": [(NOTHING_YET, NOT_STARTED)],
    "sort": [(NOTHING_YET, NOT_STARTED)],
    "sort_reverse": [(NOTHING_YET, NOT_STARTED)],
    "mark": [(NO_TRIAL, NONE)],
    "mark_range": [(NO_TRIAL, NONE)],
    "mark_all": [(NO_TRIAL, NONE)],
    "follow_trials": [(NO_TRIAL, NONE)],
    "best": [(NO_TRIAL, "no trial has a score yet")],
    "newest": [(NO_TRIAL, NONE)],
    "pause_sweep": [(NOTHING_YET, NOT_STARTED)],
    "inject": [(NOTHING_YET, NOT_STARTED), (FULL, ALL_MADE)],
    "more_slots": [(NOTHING_YET, NOT_STARTED)],
    "fewer_slots": [(NOTHING_YET, NOT_STARTED), (FULL, "there is one slot left: pause the sweep instead")],
    "max_trials": [(NOTHING_YET, NOT_STARTED)],
    "compare": [(NO_TRIAL, NONE)],
    "failures": [(NO_TRIAL, "no trial has failed")],
    "slots": [(NOTHING_YET, NOT_STARTED)],
    "copy": [(NO_TRIAL, NONE)],
    "optimizer": [(NOTHING_YET, NOT_STARTED)],
    "page_edit": [(FULL, ALL_MADE)],
    "log_attempt": [(RUNNING, "trial_0009 has had one attempt so far"), (NO_TRIAL, NONE)],
    "log_attempt_after": [(RUNNING, "trial_0009 has had one attempt so far"), (NO_TRIAL, NONE)],
    "log_search": [(NO_TRIAL, NONE)],
    "log_next": [(NO_TRIAL, NONE)],
    "log_previous": [(NO_TRIAL, NONE)],
    "log_filter": [(NO_TRIAL, NONE)],
    "log_wrap": [(NO_TRIAL, NONE)],
    "log_copy": [(NO_TRIAL, NONE)],
    "log_copy_line": [(NO_TRIAL, NONE)],
    "page_trial_before": [(RUNNING, "that is a key of the trial page")],
    "page_trial_after": [(RUNNING, "that is a key of the trial page")],
    "page_trial_log": [(RUNNING, "that is a key of the trial page")],
    "page_requeue": [(RUNNING, "that is a key of the failures page")],
}
"""On which trial or sweep an action refuses, and what it says."""


def moved(app: Window) -> float:
    """How far the curves' window is from the middle of what there is."""
    window = app.plotting.pane._views[Tab.CURVES].window
    return 0.0 if window is None else sum(window) / 2 - 25_500


@pytest.fixture(autouse=True)
def _still(monkeypatch):
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory) -> Sweep:
    """One for all: commands are answered, and nothing comes of them."""
    sweep = busy_sweep(tmp_path_factory.mktemp("sweeps"))
    sweep.set(DONE, TrialStatus.TRAINED)
    sweep.start(DONE, Stage.EVAL)
    sweep.write_log(DONE, "evaluated\n", Stage.EVAL)
    sweep.end(DONE, 190.0)
    sweep.set(FAILED, TrialStatus.PENDING, failure=None)
    sweep.start(FAILED)
    sweep.log(FAILED, attempt=2).write_text("out of memory again\n")
    sweep.end(FAILED, failure=FailureKind.OUT_OF_MEMORY, reason="out of memory")
    return sweep


@asynccontextmanager
async def window(sweep: Sweep, **how: Any):
    app = Window(sweep, **how)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await soon(app, lambda: app.snapshot is not None, "the first snapshot")
        yield app, pilot


async def soon(app: Window, happened: Callable[[], object], what: str) -> None:
    """Wait for it, and for no longer."""
    deadline = time.monotonic() + WAIT_S
    while not happened():
        assert time.monotonic() < deadline, "\n".join([f"{what} did not happen; on screen:", *frame(app)])
        await asyncio.sleep(0.005)


async def begin(app: Window, pilot, trial: int, focus: str = "") -> None:
    """As the cockpit begins, whatever was done before, with the cursor on a trial."""
    while len(app.screen_stack) > 1:
        await app.pop_screen()
    app.travel("now")
    await soon(app, lambda: not in_the_past(app), "now")
    table, plotting, log = app.table, app.plotting, app.log_view
    table.filter("")
    app.choosing.bar.display = False
    table.unmark()
    table.sort_by("#", descending=False)
    table._lines.left = 0
    for tab in reversed(Tab):
        plotting.pane.tab = tab
        plotting.pane.reset()
    plotting.pane._across = Across.STEP
    if not plotting.visible:
        plotting.show_tab(Tab.CURVES.name)
    if app.log_pane.line.display:
        await pilot.press("escape")
    log.reader.search(None)
    log.reader.filter(None)
    await soon(app, lambda: log.page.search is None and not log.page.filter, "all of the log")
    app.log_pane._stage = app.log_pane._attempt = None
    app.lay_out()
    app.steering._limits.clear()
    app.copy_to_clipboard("")
    app.clear_notifications()
    table.focus()
    table.select(trial)
    await soon(app, lambda: app.snapshot.focus and app.snapshot.focus.trial == trial, "the trial")
    await soon(app, lambda: log.page.lines or app.log_pane.job is None, "its log")
    log.follow()
    await soon(app, lambda: log.page.following, "the end of it")
    if focus:
        pane: Widget = {"plots": plotting.pane, "log": log}[focus]
        pane.focus()
        await soon(app, lambda: pane.has_focus, "the focus")


async def answered(sweep: Sweep, app: Window) -> tuple[str, dict[str, Any]]:
    """The command that was given, which is answered."""
    await soon(app, sweep.command, "the command")
    given = sweep.command()
    sweep.answer(given, "done", "it is done")
    return given.verb, dict(given.args)


async def lead_to(case: Case, sweep: Sweep, app: Window, pilot) -> None:
    """Where the action applies."""
    for key in case.before:
        await pilot.press(key)
    if case.command is not None and case.before and case.before[0] == "P":
        await answered(sweep, app)
    await soon(app, lambda: case.command is not None or not case.after(app), "what is changed then")


@pytest.mark.parametrize("group", dict.fromkeys(action.group for action in ACTIONS))
async def test_it_does_what_it_says(sweep, group):
    keys = [(action.id, key) for action in ACTIONS if action.group == group for key in action.keys]
    async with window(sweep) as (app, pilot):
        for id_, key in keys:
            if id_ not in ("quit", *OF_SEVERAL):
                await does(DOES[id_], id_, key, sweep, app, pilot)
    for id_, key in keys:
        if id_ == "quit":
            async with window(sweep) as (app, pilot):
                await does(DOES[id_], id_, key, sweep, app, pilot)


@pytest.mark.parametrize("id_", OF_SEVERAL)
async def test_it_goes_through_several_metrics(tmp_path, id_):
    sweep = busy_sweep(tmp_path)
    config = sweep.store.state.config
    metrics = [{"name": "score", "goal": "maximize"}, {"name": "loss", "goal": "minimize"}]
    with sweep.store.transaction() as tx:
        protein = {**config["protein_config"], "metrics": metrics}
        tx.set_sweep(config={**config, "protein_config": protein})
    async with window(sweep) as (app, pilot):
        await does(DOES[id_], id_, BY_ID[id_].keys[0], sweep, app, pilot)


async def does(case: Case, id_: str, key: str, sweep: Sweep, app: Window, pilot) -> None:
    await begin(app, pilot, case.trial, case.focus)
    await lead_to(case, sweep, app, pilot)
    told = len(app.told)
    await pilot.press(key, *case.then)
    if case.command is None:
        await soon(app, lambda: case.after(app), f"{id_} by {key}")
        assert sweep.command() is None
    else:
        assert await answered(sweep, app) == case.command
    assert not set(app.told[told:]) & {why for _, why in REFUSES.get(id_, ())}


async def test_what_asks_first_is_answered_with_no_by_enter(sweep):
    async with window(sweep) as (app, pilot):
        for id_ in [action.id for action in ACTIONS if action.question or action.id == "page_requeue"]:
            case = DOES[id_]
            await begin(app, pilot, case.trial)
            await lead_to(case, sweep, app, pilot)
            for answer in ("enter", "n", "escape"):
                await pilot.press(BY_ID[id_].keys[0])
                await soon(app, lambda: isinstance(app.screen, Ask), "the question")
                await pilot.press(answer)
                await soon(app, lambda: not isinstance(app.screen, Ask), "its end")
            # Commands come in the order in which they were given: what comes now would come after one of these.
            app.command("pause")
            assert await answered(sweep, app) == ("pause", {})


async def test_a_read_only_window_refuses_what_changes_anything(sweep):
    async with window(sweep, read_only=READ_ONLY) as (app, pilot):
        for action in ACTIONS:
            if not action.changes:
                continue
            case = DOES[action.id]
            await begin(app, pilot, case.trial)
            await pilot.press(*[key for key in case.before if key != "P"])
            depth, told = len(app.screen_stack), len(app.told)
            await pilot.press(action.keys[0])
            await soon(app, lambda told=told: app.told[told:] == [READ_ONLY], f"the refusal of {action.id}")
            assert len(app.screen_stack) == depth, "no question, no form"
            assert sweep.command() is None


def made(scene: str, folder) -> Sweep:
    if scene == FULL:
        sweep = busy_sweep(folder)
        with sweep.store.transaction() as tx:
            tx.set_sweep(config={**sweep.store.state.config, "max_trials": 10, "max_parallel_jobs": 1})
        return sweep
    sweep = Sweep(folder)
    if scene == NOTHING_YET:
        sweep.store.close()
        for path in sweep.folder.glob("sweep.db*"):
            path.unlink()
    return sweep


@pytest.mark.parametrize("scene", [NOTHING_YET, NO_TRIAL, FULL, DONE, FAILED, RUNNING])
async def test_it_refuses_where_it_does_not_apply(sweep, tmp_path, scene):
    wanted = [(id_, why) for id_, refusals in REFUSES.items() for where, why in refusals if where == scene]
    assert wanted
    shown = sweep if isinstance(scene, int) else made(scene, tmp_path)
    app = Window(shown)
    async with app.run_test(size=(120, 40)) as pilot:
        if scene == NOTHING_YET:
            await soon(app, lambda: app._problem, "what is wrong")
        else:
            await soon(app, lambda: app.snapshot is not None, "the first snapshot")
        if isinstance(scene, int):
            app.table.select(scene)
            await soon(app, lambda: app.snapshot.focus and app.snapshot.focus.trial == scene, "the trial")
        for id_, why in wanted:
            told = len(app.told)
            # In the palette each can be chosen from anywhere.
            if BY_ID[id_].pane:
                app.action_act(id_)
            else:
                await pilot.press(BY_ID[id_].keys[0])
            await soon(app, lambda told=told: len(app.told) > told, f"{id_} saying something")
            assert app.told[told:] == [why], id_
            assert len(app.screen_stack) == 1, id_
        if scene != NOTHING_YET:
            assert shown.command() is None


async def test_before_there_is_anything_no_key_does_harm(tmp_path):
    app = Window(made(NOTHING_YET, tmp_path))
    async with app.run_test(size=(120, 40)) as pilot:
        await soon(app, lambda: app._problem, "what is wrong")
        for action in ACTIONS:
            if action.id != "quit":
                app.action_act(action.id)
                await pilot.pause()
                while len(app.screen_stack) > 1:
                    app.pop_screen()
        assert app.is_running
        assert app._exception is None


def test_every_action_has_its_lines():
    assert set(DOES) == {action.id for action in ACTIONS}
    always = BY_ID["quit"].refusal
    can_refuse = {action.id for action in ACTIONS if action.refusal is not always} | {"undo"}
    assert can_refuse - set(REFUSES) == set()
    assert set(REFUSES) <= set(DOES)
    assert {action.id for action in ACTIONS if action.on is not None} <= {
        id_ for id_, case in DOES.items() if case.command is not None
    }


async def test_in_the_log_the_keys_that_move_move_the_log(sweep):
    async with window(sweep) as (app, pilot):
        await begin(app, pilot, RUNNING, "log")
        for away, back in (("k", "j"), ("up", "down"), ("pageup", "pagedown"), ("g", "G"), ("home", "end")):
            await pilot.press(away)
            await soon(app, lambda: not app.log_view.page.following, f"{away} leaving the end")
            await pilot.press(*[back] * 3)  # the line that says how to come back takes one
            await soon(app, lambda: app.log_view.page.following, f"{back} coming back to it")
        assert app.table.cursor == RUNNING
