"""What is typed faster than the screen follows is lost nowhere, and does nothing elsewhere."""

from __future__ import annotations

import asyncio

import pytest
from app_sweep import Sweep, busy_sweep, until
from textual.events import Key
from textual.screen import Screen

from sweeptui.app.cockpit import Cockpit
from sweeptui.app.dialogs import Ask
from sweeptui.app.screens.prompt import Prompt

KEYS = {"\r": "enter", " ": "space", ":": "colon", "\x1b": "escape", "/": "slash"}


def at_once(app: Cockpit, text: str) -> None:
    """As it comes from a terminal whose bytes have waited: all before anything is done about the first."""
    for char in text:
        name = KEYS.get(char, char)
        app.post_message(Key(name, char))


@pytest.fixture
def sweep(tmp_path) -> Sweep:
    return busy_sweep(tmp_path)


async def test_a_command_line_in_one_go(sweep):
    app = Cockpit(sweep.folder, None, utf8=True, clock=sweep.clock)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.snapshot is not None, "the first snapshot")
        tab = app.plotting.pane.tab
        at_once(app, ":goto 3\r")
        await until(pilot, lambda: app.table.cursor == 3, "trial 3")
        at_once(app, ":goto 7\r:goto 5\r:")
        await until(pilot, lambda: app.table.cursor == 5, "trial 5")
        await until(pilot, lambda: isinstance(app.screen, Prompt), "the command line, open again")
        assert app.plotting.pane.tab is tab, "no letter was a key of the table"


async def test_a_question_and_its_answer_in_one_go(sweep):
    app = Cockpit(sweep.folder, None, utf8=True, clock=sweep.clock)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.snapshot is not None, "the first snapshot")
        app.table.select(9)
        at_once(app, "x")
        await until(pilot, lambda: isinstance(app.screen, Ask), "the question")
        at_once(app, "\x1bx\r")  # no; asked again; and no, which is offered
        await until(pilot, lambda: not isinstance(app.screen, Ask), "the cockpit")
        await asyncio.sleep(0.1)
        assert not isinstance(app.screen, Ask)
        sweep.store.refresh()
        assert not sweep.store.state.commands


class NoFrame:
    """In place of the timer that has a screen painted."""

    def resume(self) -> None:
        pass

    pause = resume


async def test_a_key_is_answered_before_the_next_frame(sweep, monkeypatch):
    app = Cockpit(sweep.folder, None, utf8=True, clock=sweep.clock)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.snapshot is not None, "the first snapshot")
        app.table.select(7)
        timer = app.screen._update_timer
        await until(pilot, lambda: not timer._active.is_set(), "the last frame")
        painted = []
        monkeypatch.setattr(Screen, "_update_timer", NoFrame())
        monkeypatch.setattr(app, "post_display_hook", lambda: painted.append(app.table.cursor))
        app.table.refresh()
        await asyncio.sleep(0.1)  # `pilot.pause` would paint
        assert painted == []
        app.post_message(Key("up", None))
        deadline = asyncio.get_running_loop().time() + 60
        while not painted:
            assert asyncio.get_running_loop().time() < deadline, "the answer"
            await asyncio.sleep(0.01)
        assert painted[0] not in (7, None)


async def test_a_filter_in_one_go(sweep):
    app = Cockpit(sweep.folder, None, utf8=True, clock=sweep.clock)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.snapshot is not None, "the first snapshot")
        at_once(app, "/state:failed\r")
        await until(pilot, lambda: app.table.has_focus and len(app.table.shown) == 1, "the trial that failed")


async def test_what_takes_a_key_may_be_gone_with_it(sweep):
    app = Cockpit(sweep.folder, None, utf8=True, clock=sweep.clock)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.snapshot is not None, "the first snapshot")
        for _ in range(5):  # each key closes the screen that takes it, or opens one
            at_once(app, "?\x1b:\x1b?\x1b")
        at_once(app, ":goto 4\r")
        await until(pilot, lambda: app.table.cursor == 4, "trial 4")
