from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING

import pytest

from sweeptui.core.state import SweepState
from sweeptui.core.stores.base import LeaseHeldError, StoreCorruptError, StoreError, StoreMissingError
from sweeptui.core.stores.recover import recover
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import JobOutcome, JobState, Report, Stage, Trial, TrialStatus

if TYPE_CHECKING:
    from pathlib import Path

PAGE = 4096
TRIALS = 60


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A sweep of 60 trials, closed: the last one is still running, and a command is pending."""
    path = tmp_path / "mine" / "sweep.db"
    store = SqliteStore.create(path, "mine", {"max_trials": 100})
    for number in range(1, TRIALS + 1):
        with store.transaction() as tx:
            tx.create_trial({"lr": number / 7, "pad": "x" * 200}, number, {"method": "random"})
            job = tx.create_job(number, Stage.TRAIN, ["python", "train.py", "y" * 200])
            tx.set_trial(number, status=TrialStatus.TRAINING, started_at=tx.now)
        if number == TRIALS:
            break
        with store.transaction() as tx:
            reports = [Report(number, job.id, Stage.TRAIN, tx.now, step=step, score=step / 3) for step in range(5)]
            tx.add_reports(reports)
            tx.set_job(job.id, state=JobState.ENDED, outcome=JobOutcome.COMPLETED, exit={"code": 0})
            tx.set_trial(number, status=TrialStatus.COMPLETED, score=number / 3, cost=1.0)
    store.submit("pause")
    store.close()
    return path


def original(path: Path) -> dict[int, Trial]:
    store = SqliteStore.open(path, readonly=True)
    store.close()
    return store.state.trials


def pages_of(path: Path, table: str) -> list[int]:
    """The leaf pages of a table, counted from 1: those that say so of themselves, among its own."""
    db = sqlite3.connect(path)
    (root,) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
    db.close()
    data = path.read_bytes()
    page = data[(root - 1) * PAGE : root * PAGE]
    if page[0] == 13:
        return [root]
    assert page[0] == 5, "the fixture is small: one inner page"
    cells = [int.from_bytes(page[12 + 2 * i : 14 + 2 * i], "big") for i in range(int.from_bytes(page[3:5], "big"))]
    children = [int.from_bytes(page[cell : cell + 4], "big") for cell in cells]
    return [*children, int.from_bytes(page[8:12], "big")]


def overwrite(path: Path, *pages: int) -> None:
    with path.open("r+b") as file:
        for page in pages:
            file.seek((page - 1) * PAGE)
            file.write(os.urandom(PAGE))


def assert_usable(path: Path) -> SqliteStore:
    """It opens, its journal tells what its tables say, and it goes on."""
    store = SqliteStore.open(path)
    replayed = SweepState()
    replayed.apply_all(store.journal())
    assert replayed.trials == store.state.trials
    assert replayed.running_jobs == store.state.running_jobs
    assert replayed.commands == store.state.commands == {}
    assert (replayed.name, replayed.config, replayed.last_trial, replayed.last_job) == (
        store.state.name,
        store.state.config,
        store.state.last_trial,
        store.state.last_job,
    )
    for number in store.state.trials:
        assert store.jobs(number) == [job for job in replayed.jobs.values() if job.trial == number]
    with store.transaction() as tx:
        trial = tx.create_trial({"lr": 1}, 0)
        assert tx.create_job(trial.number, Stage.TRAIN, []).id == replayed.last_job + 1
    assert trial.number == TRIALS + 1
    return store


@pytest.mark.parametrize("table", ["trials", "jobs", "reports", "journal"])
def test_one_damaged_page_in_the_middle(path: Path, table: str) -> None:
    trials = original(path)
    pages = pages_of(path, table)
    assert len(pages) > 2
    overwrite(path, pages[len(pages) // 2])
    damaged = path.read_bytes()
    if table == "trials":  # the others are not read to the end when a sweep is opened
        with pytest.raises(StoreCorruptError):
            SqliteStore.open(path)
    done = recover(path)
    assert (done.trials, done.jobs, done.lost_trials) == (TRIALS, TRIALS, ())
    assert (done.from_journal > 0) == (table == "trials")
    assert done.path == path
    assert done.aside == path.parent / "sweep.db.corrupt-1"
    assert done.aside.read_bytes() == damaged
    store = assert_usable(path)
    store.close()
    assert {number: trial for number, trial in store.state.trials.items() if number <= TRIALS} == trials
    assert (done.reports < 5 * (TRIALS - 1)) == (table == "reports")
    assert not list(path.parent.glob("recover*"))
    with pytest.raises(StoreError, match="is not damaged"):
        recover(path)


def test_a_table_that_is_gone_altogether_comes_back_from_the_journal(path: Path) -> None:
    trials = original(path)
    overwrite(path, *pages_of(path, "trials"))
    done = recover(path)
    assert (done.from_journal, done.trials) == (TRIALS, TRIALS)
    assert {n: trial for n, trial in assert_usable(path).state.trials.items() if n <= TRIALS} == trials


def test_a_journal_that_is_gone_altogether_is_written_anew(path: Path) -> None:
    trials = original(path)
    overwrite(path, *pages_of(path, "journal"))
    assert recover(path).trials == TRIALS
    assert {n: trial for n, trial in assert_usable(path).state.trials.items() if n <= TRIALS} == trials


@pytest.mark.parametrize("rubbish", [b"\0" * 100, os.urandom(PAGE)], ids=["zeros", "noise"])
def test_a_lost_first_page_is_made_up_for(path: Path, rubbish: bytes) -> None:
    trials = original(path)
    with path.open("r+b") as file:
        file.write(rubbish)
    with pytest.raises(StoreCorruptError):
        SqliteStore.open(path)
    assert recover(path).trials == TRIALS
    assert {n: trial for n, trial in assert_usable(path).state.trials.items() if n <= TRIALS} == trials


def test_of_a_truncated_file_the_first_part_is_saved_and_no_number_comes_twice(path: Path) -> None:
    for number in range(1, TRIALS + 1):
        (path.parent / "trials" / f"trial_{number:04d}").mkdir(parents=True)
    size = path.stat().st_size
    os.truncate(path, size // 2 // PAGE * PAGE)
    with pytest.raises(StoreCorruptError):
        SqliteStore.open(path)
    done = recover(path)
    assert 0 < done.trials < TRIALS
    assert done.trials + len(done.lost_trials) == TRIALS
    assert done.lost_trials == tuple(range(done.trials + 1, TRIALS + 1))
    assert assert_usable(path).journal()[-3].kind == "store.recovered"


def test_a_damaged_wal_is_moved_aside_with_its_database(path: Path) -> None:
    store = SqliteStore.open(path)
    with store.transaction() as tx:
        tx.note("so there is a WAL", {})
    overwrite(path, pages_of(path, "trials")[0])
    wal = (path.parent / "sweep.db-wal").read_bytes()
    assert wal
    done = recover(path)
    assert (path.parent / "sweep.db.corrupt-1-wal").read_bytes() == wal
    store.close()
    assert done.trials == TRIALS
    assert "so there is a WAL" in [row.kind for row in assert_usable(path).journal()]


def test_nothing_is_moved_from_under_a_living_process(path: Path) -> None:
    store = SqliteStore.open(path)
    store.acquire_lease("headless")
    overwrite(path, pages_of(path, "trials")[0])
    with pytest.raises(LeaseHeldError):
        recover(path)
    assert path.exists()
    assert not (path.parent / "sweep.db.corrupt-1").exists()


def test_rubbish_cannot_be_recovered_and_stays(path: Path) -> None:
    path.write_bytes(os.urandom(50_000))
    before = path.read_bytes()
    with pytest.raises(StoreError, match="cannot be recovered"):
        recover(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_where_no_sweep_is_there_is_nothing_to_recover(tmp_path: Path) -> None:
    with pytest.raises(StoreMissingError):
        recover(tmp_path / "sweep.db")
