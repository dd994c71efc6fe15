"""A window never stays behind what its files say, and no fault of a thread goes unseen."""

from __future__ import annotations

import shutil
from contextlib import closing

import pytest
from app_sweep import Sweep, frame, until
from snapshot_sweeps import finish

from sweeptui.app import watcher
from sweeptui.app.cockpit import Cockpit
from sweeptui.app.log.reader import LogReader
from sweeptui.app.plot import drawing, pane
from sweeptui.core.stores.sqlite import SqliteStore


@pytest.fixture(autouse=True)
def _still(monkeypatch):
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    monkeypatch.setattr(watcher, "AGAIN_S", 0.05)


async def made(pilot, app, count: int) -> None:
    await until(pilot, lambda: app.snapshot is not None and app.snapshot.made == count, f"{count} trials")


async def test_a_sweep_that_was_read_as_it_lay_is_followed_once_it_is_written(tmp_path):
    sweep = Sweep(tmp_path)
    finish(sweep, 10.0)
    sweep.store.close()
    in_the_way = sweep.folder / "sweep.db-shm"  # a reader of WAL has to make a file of this name
    in_the_way.symlink_to(tmp_path / "nowhere" / "at all")
    with closing(SqliteStore.open(sweep.folder / "sweep.db", readonly=True)) as reader:
        assert reader._db.immutable, "this is how the window has to read it, too"
        assert not reader.outdated()
    app = Cockpit(sweep.folder, utf8=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await made(pilot, app, 1)
        await until(pilot, lambda: app._watcher.turns > 1, "the watcher's own look")
        in_the_way.unlink()
        sweep.store = SqliteStore.open(sweep.folder / "sweep.db", clock=sweep.clock)
        finish(sweep, 20.0)
        await made(pilot, app, 2)
        finish(sweep, 30.0)
        await made(pilot, app, 3)


async def test_another_file_in_the_place_of_the_first_is_shown_and_so_is_that_there_is_none(tmp_path):
    sweep, other = Sweep(tmp_path), Sweep(tmp_path / "other")
    finish(sweep, 10.0)
    for score in (1.0, 2.0, 3.0):
        finish(other, score)
    sweep.store.close()
    other.store.close()
    database, aside = sweep.folder / "sweep.db", tmp_path / "aside"
    shutil.copy(database, aside)
    app = Cockpit(sweep.folder, utf8=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await made(pilot, app, 1)
        (other.folder / "sweep.db").replace(database)
        await made(pilot, app, 3)
        (tmp_path / "damaged").write_bytes(b"no database at all" * 100)
        (tmp_path / "damaged").replace(database)
        await until(pilot, lambda: "database" in app._problem, "the notice")
        database.unlink()
        await until(pilot, lambda: "there is no sweep" in "\n".join(frame(app)), "the other notice")
        aside.replace(database)
        await made(pilot, app, 1)
        await until(pilot, lambda: not app._problem, "the end of the notice")


def test_a_log_that_one_comes_back_to_at_once_is_posted_again(tmp_path):
    first, second = tmp_path / "first.log", tmp_path / "second.log"
    first.write_text("one\n")
    second.write_text("two\n")
    pages = []
    reader = LogReader(pages.append)

    def answer() -> list:
        pages.clear()
        assert reader._serve(0.0)
        while reader._turn():
            pass
        return [page.path for page in pages]

    reader.open(first)
    assert answer() == [first]
    reader.open(second)
    reader.open(first)  # whoever looks has thrown away the first page meanwhile
    assert answer() == [first]
    assert answer() == [], "and not again and again"


async def test_a_fault_of_the_thread_that_draws_is_a_fault_of_the_screen(tmp_path, monkeypatch):
    monkeypatch.setattr(pane, "FEW", -1)  # all is drawn by the thread

    def broken(*_: object) -> None:
        raise ZeroDivisionError("no room for an axis")

    monkeypatch.setattr(drawing, "picture", broken)
    sweep = Sweep(tmp_path)
    finish(sweep, 10.0)
    app = Cockpit(sweep.folder, utf8=True, clock=sweep.clock)
    with pytest.raises(ZeroDivisionError):
        async with app.run_test(size=(160, 40)) as pilot:
            await until(pilot, lambda: app.fault is not None, "the fault")
    assert isinstance(app.fault, ZeroDivisionError)
