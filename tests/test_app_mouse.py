"""The mouse: what can be clicked, and what the wheel does."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import Any

import pytest
from app_sweep import FakeSession, Sweep, busy_sweep, frame, until
from textual.events import MouseScrollDown, MouseScrollUp
from textual.pilot import Pilot
from textual.widget import Widget

from sweeptui.app.cockpit import Cockpit
from sweeptui.app.dialogs import Ask
from sweeptui.app.leaving import Leaving
from sweeptui.app.plot.order import Tab
from sweeptui.app.screens.copy import CopyMenu
from sweeptui.app.screens.failures import FailuresPage
from sweeptui.app.screens.palette import Help, Palette
from sweeptui.app.screens.slots import SlotsPage
from sweeptui.app.screens.sort import SortMenu
from sweeptui.app.screens.trial import TrialPage

RUNNING = 9
"""A trial of `busy_sweep`."""


@pytest.fixture(autouse=True)
def _still(monkeypatch):
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory) -> Sweep:
    return busy_sweep(tmp_path_factory.mktemp("sweeps"))


@asynccontextmanager
async def cockpit(sweep: Sweep, session: Any = None, **how: Any):
    app = Cockpit(sweep.folder, session, utf8=True, clock=sweep.clock, **how)
    try:
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: app.snapshot is not None, "the first snapshot")
            app.table.select(RUNNING)
            await until(pilot, lambda: app.snapshot.focus and app.snapshot.focus.trial == RUNNING, "the trial")
            await until(pilot, lambda: app.log_view.page.lines, "its log")
            yield app, pilot
    finally:
        if session is not None:
            session.finish()
            app.engine and app.engine.join(10)


def place(app: Cockpit, text: str, line: int | None = None) -> tuple[int, int]:
    """Where a text is on the screen: of its first character, in columns and lines."""
    lines = frame(app)
    at = next(at for at, row in enumerate(lines) if text in row and line in (None, at, at - len(lines)))
    return lines[at].index(text), at


async def click(app: Cockpit, pilot: Pilot[None], text: str, line: int | None = None, times: int = 1) -> None:
    """Click on a text, once it is on the screen."""
    await until(pilot, lambda: any(text in row for row in frame(app)), text)
    column, row = place(app, text, line)
    await pilot.click(offset=(column + 1, row), times=times)


async def turn(app: Cockpit, pilot: Pilot[None], widget: Widget, *, up: bool) -> None:
    """One notch of the wheel over a widget."""
    kind = MouseScrollUp if up else MouseScrollDown
    x, y = widget.region.x + 5, widget.region.y + 3
    app.post_message(kind(None, x, y, 0, -1 if up else 1, 0, False, False, False, x, y))
    await pilot.pause()


async def test_a_hint_in_the_key_bar_does_what_its_key_does(sweep):
    async with cockpit(sweep) as (app, pilot):
        for hint, kind in (("sort", SortMenu), ("help", Help), ("Enter open", TrialPage), ("x kill", Ask)):
            await click(app, pilot, f" {hint}", line=-1)
            await until(pilot, lambda kind=kind: isinstance(app.screen, kind), hint)
            await pilot.press("escape")
        await click(app, pilot, " p pause", line=-1)
        await until(pilot, sweep.command, "the command")
        assert (sweep.command().verb, sweep.command().args) == ("pause", {"trials": [RUNNING]})
        sweep.answer(sweep.command(), "done", "it is done")
        await click(app, pilot, " q quit", line=-1)
        await until(pilot, lambda: app._exit, "the end")


async def test_what_a_window_never_does_is_not_there_to_be_clicked(sweep):
    async with cockpit(sweep, read_only="this window changes nothing") as (app, _):
        bar = frame(app)[-1]
        assert "sort" in bar
        assert not [hint for hint in ("pause", "kill", "requeue", "edit") if hint in bar]


async def test_the_buttons_of_a_question(sweep):
    async with cockpit(sweep) as (app, pilot):
        await pilot.press("x")
        await pilot.click("#no")
        await until(pilot, lambda: not isinstance(app.screen, Ask), "the end of the question")
        assert sweep.command() is None
        await pilot.press("x")
        await pilot.click("#yes")
        await until(pilot, sweep.command, "the command")
        assert (sweep.command().verb, sweep.command().args) == ("kill", {"trials": [RUNNING]})
        sweep.answer(sweep.command(), "done", "it is done")


@pytest.mark.parametrize(("button", "leaving"), [("stop", Leaving.STOP), ("detach", Leaving.DETACH)])
async def test_the_buttons_of_leaving(sweep, button, leaving):
    async with cockpit(sweep, FakeSession(sweep.folder)) as (app, pilot):
        await pilot.press("q")
        await pilot.click("#cancel")
        await until(pilot, lambda: not isinstance(app.screen, Ask), "staying")
        await pilot.press("q")
        await pilot.click(f"#{button}")
        await until(pilot, lambda: app._exit, "the end")
        assert app.leaving.how is leaving


async def test_titles_rows_and_tabs(sweep):
    async with cockpit(sweep) as (app, pilot):
        await click(app, pilot, "score  curve")
        await until(pilot, lambda: app.table.shown.descending, "the best first")
        assert app.table.shown[0].number == 5
        await click(app, pilot, "✔ done      88.25")
        await until(pilot, lambda: app.table.cursor == 3, "the row")
        await click(app, pilot, "3 Cost")
        await until(pilot, lambda: app.plotting.pane.tab is Tab.COST, "the chart")
        await click(app, pilot, "Log trial_0003 train")
        await pilot.click("#log")
        await until(pilot, lambda: app.log_view.has_focus, "the log")


async def test_what_is_on_a_page_and_in_a_menu(sweep):
    async with cockpit(sweep) as (app, pilot):
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen, SlotsPage), "the slots")
        await click(app, pilot, "trial_0007")
        await click(app, pilot, "trial_0007")
        await until(pilot, lambda: isinstance(app.screen, TrialPage), "the trial in the slot")
        await click(app, pilot, "Esc back", line=-1)
        await click(app, pilot, "Esc back", line=-1)
        await until(pilot, lambda: not app.screen.is_modal, "the table")
        await pilot.press("s")
        await click(app, pilot, "cost      ")
        await until(pilot, lambda: app.table.shown.field.name == "cost", "the order")
        await pilot.press("ctrl+p", *"failures")
        await until(pilot, lambda: isinstance(app.screen, Palette), "the palette")
        await click(app, pilot, "Show the failed trials")
        await until(pilot, lambda: isinstance(app.screen, FailuresPage), "the failures")
        await pilot.press("escape", "y")
        await until(pilot, lambda: isinstance(app.screen, CopyMenu), "the menu")
        await until(pilot, lambda: any("learning_rate: 0.0064" in row for row in frame(app)), "the YAML")
        await click(app, pilot, "Overrides")
        await until(pilot, lambda: "learning_rate=" in app.clipboard, "the copy")


async def test_the_wheel(tmp_path):
    sweep = busy_sweep(tmp_path)
    with sweep.store.transaction() as tx:
        tx.set_sweep(config={**sweep.store.state.config, "max_trials": 99})
    for _ in range(60):
        sweep.trial()
    async with cockpit(sweep) as (app, pilot):
        top = app.table.scroll_offset.y
        await turn(app, pilot, app.table, up=False)
        await until(pilot, lambda: app.table.scroll_offset.y == top + 3, "three rows down")
        await turn(app, pilot, app.table, up=True)
        await until(pilot, lambda: app.table.scroll_offset.y == top, "and up")
        assert app.table.cursor == RUNNING, "the wheel looks, and selects nothing"
        await turn(app, pilot, app.log_view, up=True)
        await until(pilot, lambda: not app.log_view.page.following, "leaving the end of the log")
        for _ in range(2):
            await turn(app, pilot, app.log_view, up=False)
        await until(pilot, lambda: app.log_view.page.following, "coming back to it")
        plots = app.plotting.pane
        await turn(app, pilot, plots, up=True)
        await until(pilot, lambda: plots._views[plots.tab].window is not None, "zooming in")
        await turn(app, pilot, plots, up=False)
        await until(pilot, lambda: plots._views[plots.tab].window is None, "and out")
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, Help), "the help")
        actions = app.screen.query_one("#actions")
        await turn(app, pilot, actions, up=False)
        await until(pilot, lambda: actions.scroll_offset.y > 0, "further down in the help")
