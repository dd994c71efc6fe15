"""The start screen: what it lists, what its keys do and refuse, and its form for a new sweep."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import sqlite3
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from app_sweep import CONFIG, Clock, Sweep, busy_sweep, frame, toasts, until, widths
from commandline import Project
from tmux_terminal import start  # noqa: F401 - a fixture

from sweeptui import launch
from sweeptui.app.home import Destination, Home
from sweeptui.app.inventory import LOCKED, UNREADABLE, Inventory
from sweeptui.app.screens.newsweep import NewSweep
from sweeptui.app.screens.sweepactions import SWEEP_ACTIONS
from sweeptui.app.screens.sweeps import SweepHelp
from sweeptui.app.screens.sweeptable import ORDERS
from sweeptui.app.trash import TRASH, throw_away
from sweeptui.cli import main
from sweeptui.cli.run import read_words
from sweeptui.core.errors import UserError
from sweeptui.core.state import SweepStatus
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import FailureKind
from sweeptui.dispatchers.local.files import JobFiles, PidRecord
from sweeptui.dispatchers.local.processes import boot_id, look


@pytest.fixture(autouse=True)
def _still(monkeypatch):
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    monkeypatch.delenv("NO_COLOR", raising=False)


def sweep(root: Path, name: str, scores=(), status=None, age_s=0.0, **config) -> Sweep:
    """A sweep that nobody runs: one trial for each score, None for a failed one."""
    made = Sweep.__new__(Sweep)
    made.folder = launch.sweeps_dir(root) / name
    made.clock = Clock()
    made.clock.now -= age_s
    made.store = SqliteStore.create(made.folder / "sweep.db", name, {**CONFIG, **config}, clock=made.clock)
    for score in scores:
        number = made.trial()
        made.start(number)
        made.clock.now += 10
        made.end(number, score, None if score is not None else FailureKind.OUT_OF_MEMORY, "CUDA out of memory")
    if status is not None:
        with made.store.transaction() as tx:
            tx.set_sweep(status=status)
    return made


def several(root: Path) -> None:
    """Four sweeps, none of them open here."""
    sweep(root, "oldest", [0.5, 0.9], SweepStatus.FINISHED, age_s=9e5, launch={"recipe": "ppo"}).store.close()
    sweep(root, "middle", [0.7, None], SweepStatus.STOPPED, age_s=9e4, launch={"recipe": "lr.yaml"}).store.close()
    sweep(root, "newest", [0.2], SweepStatus.RUNNING, age_s=9e3, launch={"recipe": "ppo"},
          train_command=["gone-away"]).store.close()  # fmt: skip
    damaged = launch.sweeps_dir(root) / "damaged"
    damaged.mkdir()
    (damaged / "sweep.db").write_bytes(b"SQLite format 3\0" + b"no database" * 500)


@asynccontextmanager
async def home(root: Path, size=(120, 40), entries: int | None = None, utf8=True, **how):
    app = Home(root, read_words, utf8=utf8, clock=how.pop("clock", Clock()), **how)
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: app.looked, "the first look")
        if entries is not None:
            assert len(app.sweeps.table.entries) == entries
        yield app, pilot


def screen(app) -> str:
    return "\n".join(frame(app))


def names(app) -> list[str]:
    return [entry.name for entry in app.sweeps.table.entries]


def row(app, name: str) -> str:
    return next((line for line in frame(app) if re.search(rf"(^|[ │]){name} ", line)), "")


# -- the list


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60), (40, 12)])
async def test_every_sweep_is_listed_the_newest_first(tmp_path, size):
    several(tmp_path)
    async with home(tmp_path, size, 4) as (app, _):
        assert names(app) == ["newest", "middle", "oldest", "damaged"]
        assert widths(app) == {size[0]}
        if size[0] >= 80:
            assert "✔ finished" in row(app, "oldest")
            assert "2/12" in row(app, "oldest")
            assert "0.9000 #2" in row(app, "oldest")
            assert "✗ 1" in row(app, "middle")
            assert "✗ unreadable" in row(app, "damaged")
            assert "4 sweeps" in screen(app)


async def test_what_happens_to_a_sweep_is_seen(tmp_path):
    running = busy_sweep(tmp_path)
    async with home(tmp_path, entries=1) as (app, pilot):
        assert "7/12" in row(app, "ppo-calm-otter")
        assert f"headless {os.getpid()}" in row(app, "ppo-calm-otter")
        running.end(9, 499.9)
        await until(pilot, lambda: "8/12" in row(app, "ppo-calm-otter"), "the trial's end")
        assert "499.9 #9" in row(app, "ppo-calm-otter")
        sweep(tmp_path, "another", [1.0])
        await until(pilot, lambda: len(app.sweeps.table.entries) == 2, "the other sweep")
        assert app.sweeps.table.cursor == "ppo-calm-otter"
        running.store.release_lease()
        await until(pilot, lambda: "interrupted" in row(app, "ppo-calm-otter"), "the runner's end")


async def test_a_sweep_of_which_nothing_changed_is_not_read_again(tmp_path, monkeypatch):
    several(tmp_path)
    inventory = Inventory(launch.sweeps_dir(tmp_path))
    first = inventory.read()
    opened = []
    monkeypatch.setattr(SqliteStore, "open", lambda path, **how: opened.append(path))
    assert inventory.read() == first
    assert opened == []


async def test_a_sweep_that_was_made_again_is_another_one(tmp_path):
    running = sweep(tmp_path, "one", [0.5], SweepStatus.RUNNING)
    running.store.acquire_lease("headless", ttl_s=3600)
    inventory = Inventory(launch.sweeps_dir(tmp_path))
    assert inventory.read()[0].lives
    running.store.close()
    shutil.rmtree(running.folder)
    sweep(tmp_path, "one", [0.1, 0.2, 0.3], SweepStatus.FINISHED)
    [entry] = inventory.read()
    assert (entry.done, entry.label, entry.lives) == (3, "finished", False)
    inventory.close()


async def test_a_damaged_database_says_so_and_how_to_save_it(tmp_path):
    several(tmp_path)
    async with home(tmp_path, entries=4) as (app, pilot):
        app.sweeps.table.select("damaged")
        await pilot.pause()
        assert "sweeptui doctor --recover damaged" in screen(app)
        for key in ("enter", "r"):
            await pilot.press(key)
            assert "is damaged" in toasts(app)[-1]
        assert app.is_running


async def test_a_locked_database_holds_up_nothing_and_is_read_when_it_is_free(tmp_path):
    several(tmp_path)
    path = launch.sweeps_dir(tmp_path) / "middle" / "sweep.db"
    db = sqlite3.connect(path)
    db.execute("PRAGMA locking_mode=EXCLUSIVE")
    db.execute("BEGIN EXCLUSIVE")
    try:
        async with home(tmp_path, entries=4) as (app, pilot):
            assert "‖ locked" in row(app, "middle")
            assert app.sweeps.table.entries[-1].label in (LOCKED, UNREADABLE)
            app.sweeps.table.select("middle")
            for key in ("enter", "r", "d"):
                await pilot.press(key)
                assert "locked" in toasts(app)[-1]
            db.close()
            await until(pilot, lambda: "✂ stopped" in row(app, "middle"), "the lock's end")
    finally:
        db.close()


async def test_without_a_sweep_it_says_how_to_start_one(tmp_path):
    async with home(tmp_path, (80, 24), 0) as (app, pilot):
        assert "No sweep here yet" in screen(app)
        assert "sweeptui ppo " in screen(app)
        assert widths(app) == {80}
        for key in ("enter", "r", "d"):
            await pilot.press(key)
            assert toasts(app)[-1] == "there is no sweep here"
        sweep(tmp_path, "first", [0.5])
        await until(pilot, lambda: "first" in screen(app), "the first sweep")
        assert "No sweep here yet" not in screen(app)


async def test_a_terminal_without_utf8_gets_ascii(tmp_path):
    several(tmp_path)
    async with home(tmp_path, entries=4, utf8=False) as (app, _):
        assert screen(app).isascii()


async def test_hostile_names_do_no_harm(tmp_path):
    sweep(tmp_path, "plain", [1.0], launch={"recipe": "x\x1b]0;owned\x07\u202e.yaml"})
    async with home(tmp_path, entries=1) as (app, _):
        assert "\x1b" not in screen(app)
        assert "owned" not in screen(app)
        assert widths(app) == {120}


# -- sorting and filtering


async def test_it_is_sorted_by_each_column_and_turned(tmp_path):
    several(tmp_path)
    found = {}
    async with home(tmp_path, entries=4) as (app, pilot):
        for order in ORDERS:
            assert f"{order.title}↓" in screen(app)
            found[order.title] = names(app)
            await pilot.press("s")
        assert found["sweep"] == ["damaged", "middle", "newest", "oldest"]
        assert found["best"] == ["oldest", "middle", "newest", "damaged"]
        assert found["state"][:2] == ["newest", "damaged"]
        assert found["trials"][-1] == "damaged"
        assert app.sweeps.table.cursor == "newest"
        await pilot.press("S")
        assert "age↑" in screen(app)
        assert names(app)[-1] == "newest"


async def test_it_is_filtered_while_words_are_typed(tmp_path):
    several(tmp_path)
    async with home(tmp_path, entries=4) as (app, pilot):
        await pilot.press("slash", *"ppo")
        assert names(app) == ["newest", "oldest"]
        await pilot.press("down")
        assert app.sweeps.table.cursor == "oldest"
        await pilot.press(*" -fin")
        assert names(app) == ["newest"]
        assert app.sweeps.table.cursor == "newest"
        await pilot.press("enter")
        assert app.sweeps.table.has_focus
        assert "Sweeps 1 of 4" in screen(app)
        assert "filter: ppo -fin" in screen(app)
        await pilot.press("escape")
        assert len(names(app)) == 4
        await pilot.press("slash", *"nothing like it")
        assert names(app) == []
        assert "no sweep has all of these words" in screen(app)


async def test_help_lists_every_key_and_moving_moves(tmp_path):
    several(tmp_path)
    async with home(tmp_path, entries=4) as (app, pilot):
        await pilot.press("question_mark")
        assert isinstance(app.screen, SweepHelp)
        assert all(action.help in screen(app) for action in SWEEP_ACTIONS)
        await pilot.press("escape", "G")
        assert app.sweeps.table.cursor == "damaged"
        await pilot.press("k", "home", "j", "pagedown", "up")
        assert app.sweeps.table.cursor == "oldest"


async def test_clicks_select_and_open(tmp_path):
    several(tmp_path)
    async with home(tmp_path, entries=4) as (app, pilot):
        await pilot.click("#sweeps", offset=(5, 3))
        assert app.sweeps.table.cursor == "middle"
        await pilot.click("#sweeps", offset=(5, 4), times=2)
        await until(pilot, lambda: app.return_value is not None, "the opening")
    assert app.return_value == Destination(launch.sweeps_dir(tmp_path) / "oldest")


# -- what is done with a sweep


async def test_enter_opens_a_sweep_without_running_it(tmp_path):
    several(tmp_path)
    async with home(tmp_path, entries=4, selected="middle") as (app, pilot):
        await pilot.press("enter")
        await until(pilot, lambda: app.return_value is not None)
    assert app.return_value == Destination(launch.sweeps_dir(tmp_path) / "middle", None)


async def test_an_unfinished_sweep_is_gone_on_with_here(tmp_path, monkeypatch):
    project = Project(tmp_path)
    monkeypatch.chdir(tmp_path)
    recipe, tool = read_words([project.recipe(), "--sweep-name", "mine"])
    launch.prepare(recipe, tool, tmp_path)
    async with home(tmp_path, entries=1) as (app, pilot):
        await pilot.press("r")
        await until(pilot, lambda: app.return_value is not None, "the session")
    assert app.return_value.session.name == "mine"
    assert app.return_value.session.label == "cockpit"


async def test_going_on_is_refused_with_a_reason(tmp_path):
    several(tmp_path)
    busy_sweep(tmp_path)
    async with home(tmp_path, entries=5) as (app, pilot):
        app.sweeps.table.select("oldest")
        await pilot.press("r")
        assert toasts(app)[-1] == "oldest is finished: there is nothing to go on with"
        app.sweeps.table.select("ppo-calm-otter")  # which is being run: its failed trial is tried again
        await pilot.press("r")
        await until(pilot, lambda: "failed trials that are queued again: 1 of ppo-calm-otter" in toasts(app), "it")
        app.sweeps.table.select("newest")
        await pilot.press("r")
        await until(pilot, lambda: "command not found: gone-away" in " ".join(toasts(app)), "the sentence")
        assert app.is_running


async def test_deleting_asks_and_moves_to_the_trash(tmp_path):
    several(tmp_path)
    trash = launch.sweeps_dir(tmp_path) / TRASH
    async with home(tmp_path, entries=4, selected="middle") as (app, pilot):
        for answer in ("enter", "n", "escape"):
            await pilot.press("d")
            assert "Delete middle (2 finished trials)?" in screen(app)
            await pilot.press(answer)
        await pilot.pause(0.3)
        assert not trash.exists()
        await pilot.press("d", "y")
        await until(pilot, lambda: len(app.sweeps.table.entries) == 3, "its end")
        assert "middle" not in names(app)
        [moved] = trash.iterdir()
        assert moved.name.startswith("middle.")
        assert str(moved.name) in toasts(app)[-1]
    moved.rename(launch.sweeps_dir(tmp_path) / "middle")
    assert launch.existing_sweep(tmp_path, "middle")


async def test_a_damaged_sweep_can_be_deleted(tmp_path):
    several(tmp_path)
    async with home(tmp_path, entries=4, selected="damaged") as (app, pilot):
        await pilot.press("d")
        assert "its database cannot be read" in screen(app)
        await pilot.press("y")
        await until(pilot, lambda: "damaged" not in names(app))


async def test_a_sweep_that_somebody_runs_is_not_deleted(tmp_path):
    running = busy_sweep(tmp_path)
    async with home(tmp_path, entries=1) as (app, pilot):
        await pilot.press("d")
        assert "is being run by headless" in toasts(app)[-1]
        assert "stop it first" in toasts(app)[-1]
    with pytest.raises(UserError, match=r"is being run by headless .*: stop it first"):
        throw_away(running.folder)
    assert running.folder.exists()


def test_a_sweep_whose_trials_run_is_not_deleted(tmp_path):
    left = sweep(tmp_path, "left", status=SweepStatus.RUNNING)
    number = left.trial()
    left.start(number)
    token, pid, here = f"trial_{number:04d}.train.1", os.getpid(), socket.gethostname()
    began = look(pid).start
    slot = {"index": 0, "gpus": []}
    record = PidRecord(token, "k" * 16, here, boot_id(), pid, began, pid, began, 0.0, slot)
    JobFiles.of(left.log(number).parent, token).pid.write_text(json.dumps(record._asdict()))
    left.store.close()
    with pytest.raises(UserError, match="trials of left are running although nobody runs the sweep: kill them first"):
        throw_away(left.folder)
    assert left.folder.exists()


def test_a_sweep_that_somebody_begins_to_run_just_then_comes_back(tmp_path, monkeypatch):
    left = sweep(tmp_path, "left", [0.5], SweepStatus.INTERRUPTED)
    begun = []
    rename = Path.rename

    def begin(path, target):
        if not begun:
            left.store.acquire_lease("headless", ttl_s=3600)
            begun.append(path)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", begin)
    with pytest.raises(UserError, match="is being run by headless"):
        throw_away(left.folder)
    assert begun == [left.folder]
    assert (left.folder / "sweep.db").exists()
    assert list((left.folder.parent / TRASH).iterdir()) == []


# -- the form


@asynccontextmanager
async def form(root: Path, size=(120, 40)):
    async with home(root, size) as (app, pilot):
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, NewSweep) and app.screen.is_mounted, "the form")
        yield app, app.screen, pilot


def write(page: NewSweep, **values: str) -> None:
    for name, value in values.items():
        (page.recipe if name == "recipe" else page.fields[name]).value = value


@pytest.mark.parametrize(
    "values",
    [
        {"recipe": "pqo"},
        {"recipe": "nowhere.yaml"},
        {"trials": "ten"},
        {"trials": "0"},
        {"jobs": "-1"},
        {"seed": "1.5"},
        {"method": "gradient"},
        {"name": "../elsewhere"},
        {"settings": "max_trails=3"},
        {"settings": "max_trials=3 cpus_per_trial=many"},
        {"settings": "dispatcher_type=skypilot"},
        {"settings": "nothing"},
    ],
    ids=str,
)
async def test_the_form_says_what_the_command_line_would(tmp_path, values, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with form(tmp_path) as (app, page, pilot):
        write(page, **{"recipe": "quick_test", **values})
        await until(pilot, lambda: page.problem and not page.good, "the sentence")
        said, words = page.problem, page._words
        assert "✗" in screen(app)
        await pilot.press("enter")
        assert toasts(app)[-1] == said
    assert main([*words, "--headless", "--root", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"error: {said}\n"
    assert not launch.sweeps_dir(tmp_path).exists()


async def test_the_form_shows_the_command_and_the_first_trials(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with form(tmp_path) as (app, page, pilot):
        await pilot.press("down")
        assert page.recipe.value == "quick_test"
        await pilot.press("tab", *"abc", "tab", "7", "tab", "tab", *"random", "tab", "tab")
        await pilot.press(*"min_free_disk_mb=0")
        await until(pilot, lambda: page.settled, "the preview")
        said = " ".join(screen(app).split())
        assert "✔ sweeptui quick_test --sweep-name abc --max-trials 7 --method random --set min_free_disk_mb=0" in said
        assert "sweeptui.recipes.quick_train" in said
        assert page.fields["jobs"].placeholder == "1 (the recipe's)"
        await pilot.press("escape")
        assert app.screen is app.sweeps
    assert not launch.sweeps_dir(tmp_path).exists()


@pytest.mark.parametrize("size", [(80, 24), (200, 60), (40, 12)])
async def test_the_form_fits(tmp_path, size):
    async with form(tmp_path, size) as (app, page, pilot):
        write(page, trials="0")
        await until(pilot, lambda: page.problem)
        assert widths(app) == {size[0]}
        assert ("Settings" in screen(app)) == (size[1] > 12)
        for _ in range(6):
            await pilot.press("tab")
        assert "Settings" in screen(app)


async def test_the_form_refuses_a_name_that_is_taken_and_half_a_quotation(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sweep(tmp_path, "taken", [0.5])
    async with form(tmp_path) as (_, page, pilot):
        write(page, recipe="quick_test", name="taken")
        await until(pilot, lambda: page.problem, "the sentence")
        assert page.problem.startswith("there is a sweep 'taken' already")
        write(page, name="", settings="a='b")
        await until(pilot, lambda: "quotation mark" in page.problem, "the other sentence")
        write(page, settings="", recipe="")
        await until(pilot, lambda: page.problem == "choose a recipe", "the last one")


async def test_the_form_starts_the_sweep_that_it_describes(tmp_path, monkeypatch):
    project = Project(tmp_path)
    monkeypatch.chdir(tmp_path)
    async with form(tmp_path) as (app, page, pilot):
        write(page, recipe=project.recipe(), name="mine", trials="3", settings="seed=11 max_parallel_jobs=2")
        await until(pilot, lambda: page.good, "the check")
        await pilot.press("enter")
        await until(pilot, lambda: app.return_value is not None, "the session")
    session = app.return_value.session
    assert session.label == "cockpit"
    assert (session.name, session.tool.max_trials, session.tool.seed) == ("mine", 3, 11)
    assert session.tool.max_parallel_jobs == 2
    assert launch.existing_sweep(tmp_path, "mine") == session.path


async def test_what_goes_wrong_at_the_start_is_said_in_the_form(tmp_path, monkeypatch):
    project = Project(tmp_path)
    monkeypatch.chdir(tmp_path)
    async with form(tmp_path) as (app, page, pilot):
        write(page, recipe=project.recipe(), name="mine")
        await until(pilot, lambda: page.good, "the check")
        sweep(tmp_path, "mine", [0.5])  # somebody was faster
        await pilot.press("enter")
        await until(pilot, lambda: page.problem, "the sentence")
        assert "there is a sweep 'mine' already" in page.problem
        assert app.is_running


def test_an_entry_says_whether_it_can_go_on(tmp_path):
    several(tmp_path)
    inventory = Inventory(launch.sweeps_dir(tmp_path))
    entries = {entry.name: entry for entry in inventory.read()}
    assert [name for name, entry in entries.items() if entry.can_go_on] == ["newest"]
    assert not replace(entries["newest"], problem="locked").can_go_on


# -- in a terminal


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_from_the_list_to_a_new_sweep_and_back(tmp_path, start):  # noqa: F811
    terminal = start(width=100, height=30)
    terminal.shows("No sweep here yet")
    terminal.press("n")
    terminal.shows("New sweep", "✔ sweeptui ppo")
    terminal.press("Down")
    terminal.press("Tab")
    terminal.press(*"tour")
    terminal.press("Tab")
    terminal.press("2")
    terminal.shows("✔ sweeptui quick_test --sweep-name tour --max-trials 2")
    terminal.press("Enter")
    terminal.shows("sweeptui tour", "✔ finished", "2/2")
    terminal.press("q")
    shown = terminal.shows("1 sweep", "tour", "✔ finished")
    assert "2/2" in shown
    terminal.press("Enter")
    terminal.shows("sweeptui tour", "Trials 2")
    terminal.press("q")
    terminal.shows("1 sweep")
    terminal.press("q")
    terminal.shows("EXIT=0")
