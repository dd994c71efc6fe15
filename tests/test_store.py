from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeptui.core.state import ChangeKind, SweepState, SweepStatus
from sweeptui.core.stores import schema
from sweeptui.core.stores.base import (
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreExistsError,
    StoreFullError,
    StoreMissingError,
    StoreNewerError,
    StoreOlderError,
)
from sweeptui.core.stores.connection import network_filesystem
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import (
    TRANSITIONS,
    FailureKind,
    IllegalTransitionError,
    Job,
    JobOutcome,
    JobState,
    Report,
    Stage,
    Trial,
    TrialStatus,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

PARAMS = {"trainer.optimizer.learning_rate": 0.1 + 0.2, "trainer.batch": 64, "kind": "a", "none": None}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sweeps" / "mine" / "sweep.db"


@pytest.fixture
def store(path: Path) -> SqliteStore:
    return SqliteStore.create(path, "mine", {"max_trials": 10})


def seen(state: SweepState) -> dict[str, Any]:
    """All that a state says, but for ended jobs, which are loaded when they are asked for."""
    names = "name config status reason created_at started_at ended_at run_s trials running_jobs commands counts active"
    return {name: getattr(state, name) for name in [*names.split(), "last_seq", "last_trial", "last_job", "ended"]}


def assert_consistent(store: SqliteStore) -> None:
    """The journal, the tables and the state in memory say the same."""
    replayed = SweepState()
    replayed.apply_all(store.journal())
    fresh = SqliteStore.open(store.path, readonly=True)
    assert seen(replayed) == seen(fresh.state) == seen(store.state)
    for number in replayed.trials:
        assert fresh.jobs(number) == [job for job in replayed.jobs.values() if job.trial == number]
    fresh.close()


def run_trial(store: SqliteStore, score: float) -> Trial:
    with store.transaction() as tx:
        trial = tx.create_trial(PARAMS, 1, {"method": "random"})
        job = tx.create_job(trial.number, Stage.TRAIN, ["python", "train.py"])
        tx.set_trial(trial.number, status=TrialStatus.TRAINING, started_at=tx.now)
    with store.transaction() as tx:
        tx.add_reports([Report(trial.number, job.id, Stage.TRAIN, tx.now, step=5, score=score, metrics={"loss": 1.5})])
        tx.set_job(job.id, state=JobState.ENDED, outcome=JobOutcome.COMPLETED, exit={"code": 0}, report_offset=80)
        return tx.set_trial(trial.number, status=TrialStatus.COMPLETED, score=score, cost=2.0, ended_at=tx.now)


# -- one process


def test_what_is_written_is_there_when_it_is_opened_again(store: SqliteStore, path: Path) -> None:
    trial = run_trial(store, 0.25)
    with store.transaction() as tx:
        tx.set_sweep(status=SweepStatus.RUNNING, run_s=3.5)
        tx.note("disk.low", {"free_mb": 12})
    store.submit("pause", {"trials": [1]}, "ann")
    assert_consistent(store)
    store.close()
    again = SqliteStore.open(path)
    assert again.state.trials[1] == trial
    assert again.state.trials[1].params == PARAMS
    assert again.state.config == {"max_trials": 10}
    assert again.state.jobs == {}
    (job,) = again.jobs(1)
    assert (job.id, job.exit, job.argv) == (1, {"code": 0}, ("python", "train.py"))
    (report,) = again.reports(1)
    assert (report.score, report.metrics, report.step) == (0.25, {"loss": 1.5}, 5)
    assert [command.verb for command in again.state.commands.values()] == ["pause"]
    assert again.journal()[-2].kind == "disk.low"
    assert again.state.best("maximize") == trial


def test_a_transaction_reads_its_own_changes_and_the_state_has_them_only_when_it_is_over(store: SqliteStore) -> None:
    with store.transaction() as tx:
        trial = tx.create_trial({"lr": 1}, 5)
        assert trial.id == "trial_0001"
        assert tx.create_trial({"lr": 2}, 5).number == 2
        job = tx.create_job(1, Stage.TRAIN, ["x"])
        assert (job.state, job.attempt, tx.trial(1).attempt) == (JobState.INTENT, 1, 1)
        assert tx.set_job(job.id, state=JobState.RUNNING) == tx.job(job.id)
        assert store.state.trials == {}
        assert store.state.running_jobs == {}
    assert list(store.state.trials) == [1, 2]
    assert store.state.running_jobs[1].state is JobState.RUNNING


def test_attempts_are_counted_by_stage_and_never_used_twice(store: SqliteStore) -> None:
    with store.transaction() as tx:
        tx.create_trial({}, 0)
        tokens = []
        for stage in (Stage.TRAIN, Stage.TRAIN, Stage.EVAL, Stage.TRAIN, Stage.EVAL):
            job = tx.create_job(1, stage, [])
            tokens.append((job.stage, job.attempt))
            tx.set_job(job.id, state=JobState.ENDED)
    assert tokens == [("train", 1), ("train", 2), ("eval", 1), ("train", 3), ("eval", 2)]
    assert (store.state.trials[1].attempt, store.state.trials[1].eval_attempt) == (3, 2)
    assert_consistent(store)


def test_a_trial_never_has_two_unfinished_jobs(store: SqliteStore) -> None:
    with store.transaction() as tx:
        tx.create_trial({}, 0)
        tx.create_job(1, Stage.TRAIN, [])
    with pytest.raises(ValueError, match="trial_0001 has an unfinished job"), store.transaction() as tx:
        tx.create_job(1, Stage.EVAL, [])
    with store.transaction() as tx:
        tx.set_job(1, state=JobState.ENDED)
        tx.create_job(1, Stage.EVAL, [])
    with pytest.raises(ValueError, match="has ended"), store.transaction() as tx:
        tx.set_job(1, state=JobState.RUNNING)
    db = sqlite3.connect(store.path)
    with pytest.raises(sqlite3.IntegrityError):  # and the database itself does not let it happen
        db.execute("INSERT INTO jobs (trial, stage, attempt, created_at) VALUES (1, 'train', 9, 0)")
    db.close()


def test_what_must_not_be_set_is_refused(store: SqliteStore) -> None:
    with store.transaction() as tx:
        tx.create_trial({}, 0)
    with pytest.raises(IllegalTransitionError), store.transaction() as tx:
        tx.set_trial(1, status=TrialStatus.COMPLETED)
    with pytest.raises(TypeError, match="attempt"), store.transaction() as tx:
        tx.set_trial(1, attempt=7)
    with pytest.raises(TypeError, match="colour"), store.transaction() as tx:
        tx.set_sweep(colour="red")
    with pytest.raises(ValueError, match="not a note"), store.transaction() as tx:
        tx.note(ChangeKind.TRIAL_CHANGED, {}, trial=1)
    with pytest.raises(KeyError), store.transaction() as tx:
        tx.set_trial(2, reason="?")
    with pytest.raises(KeyError), store.transaction() as tx:
        tx.finish_command(3, "done")
    with pytest.raises(ValueError, match="unknown verb"):
        store.submit("explode")
    assert len(store.journal()) == 2


def test_a_failed_block_leaves_nothing_behind(store: SqliteStore) -> None:
    run_trial(store, 1.0)
    before, rows = seen(store.state), store.journal()
    with pytest.raises(ZeroDivisionError), store.transaction() as tx:  # noqa: PT012
        tx.create_trial({}, 0)
        tx.set_trial(1, status=TrialStatus.PENDING)
        job = tx.create_job(1, Stage.TRAIN, [])
        tx.add_reports([Report(1, job.id, Stage.TRAIN, 0.0)])
        tx.set_sweep(status=SweepStatus.RUNNING)
        _ = 1 / 0
    assert seen(store.state) == before
    assert store.journal() == rows
    assert len(store.reports(1)) == 1
    run_trial(store, 2.0)
    assert_consistent(store)


def test_setting_what_is_already_so_writes_nothing(store: SqliteStore) -> None:
    run_trial(store, 1.0)
    rows = len(store.journal())
    with store.transaction() as tx:
        tx.set_trial(1, status=TrialStatus.COMPLETED, score=1.0)
        tx.set_job(1, argv=["python", "train.py"])
        tx.set_sweep(config={"max_trials": 10})
    assert len(store.journal()) == rows


def test_the_journal_holds_only_what_changed(store: SqliteStore) -> None:
    run_trial(store, 1.0)
    with store.transaction("ann") as tx:
        tx.set_trial(1, status=TrialStatus.PENDING, score=1.0, reason="again")
    (row,) = store.journal(after=store.state.last_seq - 1)
    assert (row.kind, row.trial, row.data, row.actor) == (
        ChangeKind.TRIAL_CHANGED,
        1,
        {"status": "pending", "reason": "again"},
        "ann",
    )
    assert [row.seq for row in store.journal(after=2, limit=2)] == [3, 4]


def test_odd_values_survive(store: SqliteStore, path: Path) -> None:
    odd = os.fsdecode(b"/data/\xff\xfe.pt")
    nan, inf = float("nan"), float("inf")
    with store.transaction(actor=odd) as tx:
        tx.create_trial({"text": "ü\0☃", "big": 2**80, "tiny": 5e-324}, 2**63 - 1)
        tx.set_trial(1, checkpoint=odd, reason=odd, score=nan, cost=inf, metrics={"loss": nan})
        job = tx.create_job(1, Stage.TRAIN, [odd])
        tx.add_reports([Report(1, job.id, Stage.TRAIN, 1.0, score=nan, cost=-inf, checkpoint=odd)])
    store.close()
    again = SqliteStore.open(path)
    trial, (report,) = again.state.trials[1], again.reports(1)
    assert trial.params == {"text": "ü\0☃", "big": 2**80, "tiny": 5e-324}
    assert (trial.checkpoint, trial.reason, trial.cost, trial.seed) == (odd, odd, inf, 2**63 - 1)
    assert str(trial.score) == str(trial.metrics["loss"]) == str(report.score) == "nan"
    assert (report.cost, report.checkpoint, again.jobs(1)[0].argv) == (-inf, odd, (odd,))
    assert again.journal()[-1].actor == odd


def test_what_the_caller_does_to_its_values_later_changes_nothing(store: SqliteStore) -> None:
    params = {"list": [1]}
    with store.transaction() as tx:
        tx.create_trial(params, 0)
    params["list"].append(2)
    assert store.state.trials[1].params == {"list": [1]}


def test_the_sweeps_times_follow_its_status(path: Path) -> None:
    now = [100.0]
    store = SqliteStore.create(path, "mine", {}, clock=lambda: now[0])
    times = []
    for now[0], status in (
        (110.0, SweepStatus.RUNNING),
        (120.0, SweepStatus.INTERRUPTED),
        (130.0, SweepStatus.RUNNING),
        (140.0, SweepStatus.FINISHED),
        (150.0, SweepStatus.FINISHED),
    ):
        with store.transaction() as tx:
            tx.set_sweep(status=status)
        times.append((store.state.started_at, store.state.ended_at))
    assert store.state.created_at == 100.0
    assert times == [(110.0, None), (110.0, 120.0), (110.0, None), (110.0, 140.0), (110.0, 140.0)]


def test_reports_can_be_read_by_stage_and_from_where_one_stopped(store: SqliteStore) -> None:
    with store.transaction() as tx:
        tx.create_trial({}, 0)
        for stage in (Stage.TRAIN, Stage.EVAL):
            job = tx.create_job(1, stage, [])
            tx.set_job(job.id, state=JobState.ENDED)
            tx.add_reports(Report(1, job.id, stage, float(step), step=step) for step in range(3))
    assert [report.step for report in store.reports(1, Stage.EVAL)] == [0, 1, 2]
    assert [report.stage for report in store.reports(1, skip=2)] == ["train", "eval", "eval", "eval"]
    assert store.reports(2) == []


_STATUS = st.sampled_from(list(TrialStatus))
_STAGES = [Stage.TRAIN, Stage.EVAL, Stage("data"), Stage.of_simulation("arena/basic")]
_STEP = st.tuples(st.integers(0, 6), st.integers(1, 4), _STATUS, st.sampled_from(_STAGES), st.booleans())


@settings(max_examples=60, deadline=None)
@given(st.lists(_STEP, max_size=25))
def test_the_journal_replayed_equals_the_tables(steps: list[tuple[int, int, TrialStatus, Stage, bool]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore.create(Path(folder, "sweep.db"), "any", {"a": 1})
        for what, number, status, stage, fail in steps:
            before = seen(store.state)
            try:
                with store.transaction() as tx:
                    _one_step(store, tx, what, number, status, stage)
                    if fail:
                        raise InterruptedError
            except InterruptedError:
                assert seen(store.state) == before
        assert_consistent(store)
        store.close()


def _one_step(store: SqliteStore, tx: Any, what: int, number: int, status: TrialStatus, stage: Stage) -> None:
    trial = store.state.trials.get(number)
    running: Job | None = store.state.running_jobs.get(number)
    if what == 0 or trial is None:
        tx.create_trial({"x": number}, number, {"method": "random"})
    elif what == 1 and (status in TRANSITIONS[trial.status] or status == trial.status):
        tx.set_trial(number, status=status, reason=f"now {status}", score=float(number), failure=FailureKind.CRASHED)
    elif what == 2 and running is None:
        tx.create_job(number, stage, ["run", str(number)])
    elif what == 3 and running is not None:
        tx.set_job(running.id, state=JobState.ENDED, outcome=JobOutcome.COMPLETED, exit={"code": 0})
        tx.set_trial(number, metrics={"loss": 0.5})
    elif what == 4:
        tx.set_sweep(status=list(SweepStatus)[number], run_s=tx.now)
        tx.note("thought", {"n": number})
    elif what == 5:
        tx.add_command("pause", {"trials": [number]})
    elif what == 6 and store.state.commands:
        tx.finish_command(min(store.state.commands), "refused", "no")


# -- several processes


def test_a_viewer_sees_what_the_writer_does(store: SqliteStore, path: Path) -> None:
    viewer = SqliteStore.open(path, readonly=True)
    assert viewer.refresh() == []
    for score in (1.0, 2.0):
        run_trial(store, score)
    changes = viewer.refresh()
    assert [change.seq for change in changes] == list(range(2, store.state.last_seq + 1))
    assert seen(viewer.state) == seen(store.state)
    assert viewer.refresh() == []
    assert store.refresh() == []  # nobody hears of what he did himself
    with pytest.raises(StoreError, match="reading only"):
        viewer.submit("pause")
    with pytest.raises(StoreError, match="reading only"), viewer.transaction():
        pass


def test_a_command_reaches_whoever_runs_the_sweep_and_its_answer_comes_back(store: SqliteStore, path: Path) -> None:
    other = SqliteStore.open(path)
    number = other.submit("set", {"max_trials": 20}, "ann")
    # A transaction has to look at what others wrote; refresh still tells of it.
    run_trial(store, 1.0)
    assert [change.kind for change in store.refresh()] == [ChangeKind.COMMAND_SUBMITTED]
    command = store.state.commands[number]
    assert (command.verb, command.args, command.actor, command.state) == ("set", {"max_trials": 20}, "ann", "pending")
    with store.transaction() as tx:
        tx.finish_command(number, "refused", "no more than 10")
    assert store.state.commands == {}
    assert (other.command(number).state, other.command(number).result) == ("refused", "no more than 10")
    other.refresh()
    assert seen(other.state) == seen(store.state)
    with pytest.raises(KeyError):
        other.command(99)


def test_a_change_to_a_job_that_was_over_before_one_looked(store: SqliteStore, path: Path) -> None:
    run_trial(store, 1.0)
    late = SqliteStore.open(path)
    with store.transaction() as tx:
        tx.set_job(1, reason="seen late")
    late.refresh()
    assert late.state.jobs == {}
    assert late.jobs(1)[0].reason == "seen late"
    with late.transaction() as tx:
        tx.set_job(1, reason="seen later")
    assert store.jobs(1)[0].reason == "seen later"


_CREATOR = """
import sys
from pathlib import Path
from sweeptui.core.stores.sqlite import SqliteStore
store = SqliteStore.open(Path(sys.argv[1]))
numbers = []
for _ in range(25):
    with store.transaction() as tx:
        trial = tx.create_trial({}, 0)
        numbers += [trial.number, tx.create_trial({}, 0).number]
print(*numbers)
"""


def start(code: str, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code, *args], stdout=subprocess.PIPE, text=True)


def test_numbers_are_unique_with_four_writers_at_once(store: SqliteStore, path: Path) -> None:
    writers = [start(_CREATOR, str(path)) for _ in range(4)]
    given = [int(word) for writer in writers for word in writer.communicate()[0].split()]
    assert [writer.returncode for writer in writers] == [0] * 4
    assert sorted(given) == list(range(1, 201))
    store.refresh()
    assert_consistent(store)


_KILLED = """
import os, signal, sys
from pathlib import Path
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import Stage
store = SqliteStore.open(Path(sys.argv[1]))
with store.transaction() as tx:
    tx.create_trial({"done": 1}, 0)
with store.transaction() as tx:
    tx.create_trial({"done": 0}, 0)
    tx.create_job(2, Stage.TRAIN, ["x"] * 100000)
    tx.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_in_the_middle_loses_that_transaction_and_no_other(store: SqliteStore, path: Path) -> None:
    store.close()
    process = start(_KILLED, str(path))
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    again = SqliteStore.open(path)
    assert [trial.params for trial in again.state.trials.values()] == [{"done": 1}]
    assert run_trial(again, 1.0).number == 2
    assert_consistent(again)


_CREATE = """
import sys
from pathlib import Path
from sweeptui.core.stores.base import StoreExistsError
from sweeptui.core.stores.sqlite import SqliteStore
try:
    SqliteStore.create(Path(sys.argv[1]), "mine", {})
    print("made")
except StoreExistsError:
    print("exists")
"""


def test_of_four_creations_at_once_one_succeeds(path: Path) -> None:
    creators = [start(_CREATE, str(path)) for _ in range(4)]
    said = sorted(creator.communicate()[0].strip() for creator in creators)
    assert said == ["exists", "exists", "exists", "made"]
    assert SqliteStore.open(path).state.name == "mine"


def test_a_lock_held_too_long_is_said_and_can_be_waited_out(store: SqliteStore, path: Path) -> None:
    hasty = SqliteStore.open(path, busy_timeout_s=0.05)
    with store.transaction() as tx:
        with pytest.raises(StoreBusyError, match="locked by another process"):
            hasty.submit("pause")
        tx.create_trial({}, 0)
    assert hasty.submit("pause") == 1
    assert list(hasty.state.trials) == [1]


def test_a_transaction_inside_a_transaction_is_a_mistake(store: SqliteStore) -> None:
    with pytest.raises(RuntimeError), store.transaction(), store.transaction():
        pass
    run_trial(store, 1.0)


# -- files


def test_a_copied_folder_is_the_sweep_elsewhere(store: SqliteStore, path: Path, tmp_path: Path) -> None:
    run_trial(store, 1.0)  # not closed: as after a kill, part of it is still in the WAL
    moved = tmp_path / "elsewhere"
    shutil.copytree(path.parent, moved)
    copy = SqliteStore.open(moved / "sweep.db")
    assert seen(copy.state) == seen(store.state)
    run_trial(copy, 2.0)
    assert list(store.state.trials) == [1]


def test_nothing_that_exists_is_overwritten(store: SqliteStore, path: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreExistsError, match="exists already"):
        SqliteStore.create(path, "other", {})
    notes = tmp_path / "notes.txt"
    notes.write_text("not a database, and longer than a header of a hundred bytes would be " * 3)
    with pytest.raises(StoreExistsError):
        SqliteStore.create(notes, "other", {})
    assert notes.read_text().startswith("not a database")
    assert SqliteStore.exists(path)
    assert SqliteStore.exists(notes)


def test_a_creation_that_was_cut_off_is_no_sweep_and_is_made_good_by_the_next(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.touch()
    assert not SqliteStore.exists(path)
    with pytest.raises(StoreMissingError, match="cut off"):
        SqliteStore.open(path)
    SqliteStore.create(path, "mine", {}).close()
    assert SqliteStore.exists(path)


@pytest.mark.parametrize("readonly", [True, False])
def test_no_sweep_is_made_by_looking_for_one(tmp_path: Path, readonly: bool) -> None:
    with pytest.raises(StoreMissingError, match="no sweep at"):
        SqliteStore.open(tmp_path / "sweep.db", readonly=readonly)
    assert list(tmp_path.iterdir()) == []
    assert not SqliteStore.exists(tmp_path / "sweep.db")


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be made"):
        SqliteStore.create(tmp_path / "file" / "sweep.db", "x", {})


@pytest.mark.parametrize("safe", [True, False])
def test_safe_mode_does_without_wal_and_can_be_entered_and_left(path: Path, safe: bool) -> None:
    SqliteStore.create(path, "mine", {}, safe_mode=not safe).close()
    store = SqliteStore.open(path, safe_mode=safe)
    run_trial(store, 1.0)
    viewer = SqliteStore.open(path, readonly=True)
    run_trial(store, 2.0)
    viewer.refresh()
    assert seen(viewer.state) == seen(store.state)
    assert (path.parent / "sweep.db-wal").exists() != safe
    assert bool(store.safe_mode_reason) == safe
    assert_consistent(store)


def test_network_file_systems_are_known_by_the_nearest_mount() -> None:
    mounts = [("/", "ext4"), ("/home", "nfs4"), ("/home/ann/fast", "xfs"), ("/mnt/a", "fuse.sshfs"), ("/mnt/b", "ext4")]
    mounts += [("/mnt/b", "lustre"), ("/mnt/c", "CIFS"), ("/homely", "ext4")]
    found = {
        where: network_filesystem(Path(where), mounts)
        for where in ("/x", "/home/ann", "/home/ann/fast/y", "/mnt/a/z", "/mnt/b", "/mnt/c/d", "/homely/x")
    }
    assert found == {
        "/x": None,
        "/home/ann": "nfs4",
        "/home/ann/fast/y": None,
        "/mnt/a/z": "fuse.sshfs",
        "/mnt/b": "lustre",
        "/mnt/c/d": "CIFS",
        "/homely/x": None,
    }
    assert network_filesystem(Path("/"), []) is None


def test_on_a_network_file_system_safe_mode_says_why(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeptui.core.stores.sqlite.network_filesystem", lambda _: "nfs4")
    store = SqliteStore.create(path, "mine", {})
    assert "nfs4" in store.safe_mode_reason
    run_trial(store, 1.0)
    assert not (path.parent / "sweep.db-wal").exists()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    mounted = subprocess.run(command, check=False, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_full_disk_changes_nothing_and_can_be_tried_again(disk: Path) -> None:
    store = SqliteStore.create(disk / "sweep.db", "mine", {})
    run_trial(store, 1.0)
    filler = disk / "filler"
    with pytest.raises(OSError, match="No space"):
        filler.write_bytes(b"x" * (1 << 20))
    before = seen(store.state)
    with pytest.raises(StoreFullError, match="free some disk space"), store.transaction() as tx:
        tx.create_trial({"pad": "x" * 50_000}, 0)
    assert seen(store.state) == before
    with pytest.raises(StoreFullError):
        store.submit("pause", {"pad": "x" * 50_000})
    assert store.refresh() == []
    filler.unlink()
    run_trial(store, 2.0)
    assert_consistent(store)
    store.close()


def test_a_full_disk_can_be_looked_at(disk: Path) -> None:
    store = SqliteStore.create(disk / "sweep.db", "mine", {})
    run_trial(store, 1.0)
    store.close()
    with pytest.raises(OSError, match="No space"):
        (disk / "filler").write_bytes(b"x" * (1 << 20))
    with closing(SqliteStore.open(disk / "sweep.db", readonly=True)) as viewer:
        assert list(viewer.state.trials) == [1]
    with pytest.raises(StoreFullError):
        SqliteStore.create(disk / "other" / "sweep.db", "other", {})
    assert not SqliteStore.exists(disk / "other" / "sweep.db")


def test_a_sweep_in_a_folder_nobody_can_write_to_can_be_looked_at(disk: Path) -> None:
    store = SqliteStore.create(disk / "sweep.db", "mine", {})
    run_trial(store, 1.0)
    store.close()
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    with closing(SqliteStore.open(disk / "sweep.db", readonly=True)) as viewer:
        assert list(viewer.state.trials) == [1]
        assert viewer.refresh() == []
    with pytest.raises(StoreError, match="check who may use it"):
        SqliteStore.open(disk / "sweep.db").submit("pause")


# -- versions


def test_a_newer_database_is_refused_untouched(store: SqliteStore, path: Path) -> None:
    store.close()
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {schema.SCHEMA_VERSION + 1}")
    db.close()
    before = path.read_bytes()
    with pytest.raises(StoreNewerError, match="upgrade sweeptui"):
        SqliteStore.open(path)
    assert path.read_bytes() == before


def make_version_0(path: Path) -> None:
    """As if the trials' provenance had come with version 1."""
    db = sqlite3.connect(path)
    db.execute("ALTER TABLE trials DROP COLUMN provenance")
    db.execute("PRAGMA user_version = 0")
    db.commit()
    db.close()


def add_provenance(db: sqlite3.Connection) -> None:
    db.execute("ALTER TABLE trials ADD COLUMN provenance TEXT NOT NULL DEFAULT '{}'")


def test_an_older_database_is_brought_up_to_date_and_kept(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_trial(store, 1.0)
    store.close()
    make_version_0(path)
    with pytest.raises(StoreOlderError, match="too old"):
        SqliteStore.open(path)
    monkeypatch.setitem(schema.MIGRATIONS, 0, add_provenance)
    with pytest.raises(StoreOlderError, match="sweeptui continue mine"):
        SqliteStore.open(path, readonly=True)
    again = SqliteStore.open(path)
    assert again.state.trials[1].score == 1.0
    run_trial(again, 2.0)
    kept = sqlite3.connect(path.parent / "sweep.db.v0.bak")
    assert kept.execute("PRAGMA user_version").fetchone() == (0,)
    assert kept.execute("SELECT score FROM trials").fetchall() == [(1.0,)]
    kept.close()


def test_a_migration_that_fails_changes_nothing(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.close()
    make_version_0(path)

    def broken(db: sqlite3.Connection) -> None:
        add_provenance(db)
        raise ZeroDivisionError

    monkeypatch.setitem(schema.MIGRATIONS, 0, broken)
    with pytest.raises(ZeroDivisionError):
        SqliteStore.open(path)
    monkeypatch.setitem(schema.MIGRATIONS, 0, add_provenance)
    SqliteStore.open(path).close()


# -- damage


@pytest.mark.parametrize("readonly", [True, False])
@pytest.mark.parametrize("damage", ["header", "truncated", "rubbish", "foreign", "value"])
def test_damage_is_said_with_the_way_out_and_nothing_is_overwritten(
    store: SqliteStore, path: Path, damage: str, readonly: bool
) -> None:
    for score in range(30):
        run_trial(store, float(score))
    store.close()
    whole = path.read_bytes()
    if damage == "header":
        path.write_bytes(b"\0" * 100 + whole[100:])
    elif damage == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "rubbish":
        path.write_bytes(os.urandom(20_000))
    else:
        db = sqlite3.connect(path)
        db.execute("UPDATE trials SET status = 'xyz'" if damage == "value" else "PRAGMA application_id = 7")
        db.commit()
        db.close()
    before = path.read_bytes()
    with pytest.raises(StoreCorruptError, match=r"sweep.db is damaged .*`sweeptui doctor --recover mine`"):
        SqliteStore.open(path, readonly=readonly)
    with pytest.raises(StoreExistsError):
        SqliteStore.create(path, "mine", {})
    assert path.read_bytes() == before
