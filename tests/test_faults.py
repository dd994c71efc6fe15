"""Faults, each at a moment when it certainly hits, and what the sweep makes of it."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_support import NAME, RAN, REPORT, STARTED, WAIT, Driver, Sweep, alive, kill, until

from sweeptui import launch
from sweeptui.core.state import SweepState, SweepStatus
from sweeptui.core.stores.base import LeaseHeldError
from sweeptui.core.trial import FailureKind, JobOutcome, JobState, Trial, TrialStatus

WAITING_JOB = RAN + STARTED + WAIT + REPORT
REPORTED_FIRST = RAN + STARTED + REPORT + WAIT
"""A job that needs no room on the disk to end."""
FIRST = "trial_0001.train.1"
FIRST_RUN_FAILS = '[ "$SWEEPTUI_JOB" = trial_0001.train.1 ] && '


@pytest.fixture
def sweep(tmp_path: Path) -> Iterator[Sweep]:
    it = Sweep(tmp_path)
    yield it
    it.go()
    it.assert_nothing_runs()
    it.assert_consistent()


@pytest.fixture
def driver() -> Iterator[Driver]:
    with contextlib.closing(Driver()) as it:
        yield it


def once(n: int, *stages: str) -> Counter[str]:
    """Every job of n trials ran once."""
    return Counter(f"trial_{i:04d} {stage}" for i in range(1, n + 1) for stage in stages or ("train",))


def statuses(state: SweepState) -> list[TrialStatus]:
    return [trial.status for trial in state.trials.values()]


def notes(sweep: Sweep, kind: str) -> list[str]:
    with sweep.store() as store:
        return [change.data["message"] for change in store.journal() if change.kind == kind]


# -- kill -9


def test_a_killed_orchestrator_loses_nothing_and_its_trials_are_adopted(sweep: Sweep, driver: Driver) -> None:
    tool = sweep.tool(WAITING_JOB, max_parallel_jobs=2)
    pid = driver.start(sweep, tool)
    jobs = [sweep.started(FIRST), sweep.started("trial_0002.train.1")]
    kill(pid)
    assert driver.wait()[0] == -signal.SIGKILL
    assert all(alive(job) for job in jobs), "they outlive it"
    with sweep.running(tool) as running:
        sweep.until(lambda state: state.status is SweepStatus.RUNNING)
        sweep.go()
        assert running.ending().exit_code == 0
    assert sweep.runs() == once(3)


def test_what_ended_while_nobody_looked_is_taken_in(sweep: Sweep, driver: Driver) -> None:
    tool = sweep.tool(WAITING_JOB, max_trials=2)
    pid = driver.start(sweep, tool)
    sweep.started(FIRST)
    kill(pid)
    assert driver.wait()[0] == -signal.SIGKILL
    keeper = sweep.keeper_of(FIRST)
    sweep.go()
    until(lambda: not alive(keeper))
    assert sweep.state.trials[1].status is TrialStatus.TRAINING, "nobody has written it yet"
    assert sweep.run(tool).exit_code == 0
    assert sweep.runs() == once(2)


def test_a_killed_launcher_is_replaced(sweep: Sweep) -> None:
    tool = sweep.tool(WAITING_JOB)
    with sweep.running(tool) as running:
        sweep.started(FIRST)
        launcher = running.orchestrator._dispatcher.launcher_pid  # type: ignore[attr-defined]
        kill(launcher)
        until(lambda: not alive(launcher))
        sweep.go()
        assert running.ending().exit_code == 0
    assert sweep.runs() == once(3)


def test_a_killed_keeper_costs_one_attempt_and_its_processes_are_gone_before_the_next(sweep: Sweep) -> None:
    # The second attempt looks whether the first still runs.
    status = "/proc/$(cat $SIGNS/trial_0001.train.1.pid)/status"
    look = f"[ $SWEEPTUI_JOB = trial_0001.train.1 ] || if grep '^State:.[^ZX]' {status}; then exit 9; fi; "
    tool = sweep.tool(look + RAN + STARTED + WAIT + REPORT, max_trials=1)
    with sweep.running(tool) as running:
        job = sweep.started(FIRST)
        kill(sweep.keeper_of(FIRST))
        sweep.started("trial_0001.train.2")
        assert not alive(job)
        sweep.go()
        assert running.ending().exit_code == 0
    assert [job.outcome for job in sweep.jobs(1)] == [JobOutcome.LOST, JobOutcome.COMPLETED]
    assert sweep.runs() == Counter({"trial_0001 train": 2})


def test_a_keeper_that_is_killed_again_and_again_fails_the_trial_as_lost(sweep: Sweep) -> None:
    with sweep.running(sweep.tool(WAITING_JOB, max_trials=1, retries={"lost": 1})) as running:
        for attempt in (1, 2):
            sweep.started(f"trial_0001.train.{attempt}")
            kill(sweep.keeper_of(f"trial_0001.train.{attempt}"))
        assert running.ending().exit_code == 3
    trial = sweep.state.trials[1]
    assert (trial.status, trial.failure) == (TrialStatus.FAILED, FailureKind.LOST)


def test_a_keeper_killed_while_nobody_looked_is_a_lost_attempt(sweep: Sweep, driver: Driver) -> None:
    tool = sweep.tool(WAITING_JOB, max_trials=1)
    pid = driver.start(sweep, tool)
    job = sweep.started(FIRST)
    kill(pid)
    driver.wait()
    kill(sweep.keeper_of(FIRST))
    with sweep.running(tool) as running:
        sweep.started("trial_0001.train.2")
        assert not alive(job)
        sweep.go()
        assert running.ending().exit_code == 0
    assert [job.outcome for job in sweep.jobs(1)] == [JobOutcome.LOST, JobOutcome.COMPLETED]


@pytest.mark.parametrize(
    ("signum", "kind"), [(signal.SIGKILL, FailureKind.OUT_OF_MEMORY), (signal.SIGSEGV, FailureKind.CRASHED)]
)
def test_a_killed_training_fails_and_is_not_tried_again(sweep: Sweep, signum: int, kind: FailureKind) -> None:
    with sweep.running(sweep.tool(WAITING_JOB, max_trials=2)) as running:
        kill(sweep.started(FIRST), signum)
        sweep.go()
        assert running.ending().exit_code == 0
    first, second = sweep.state.trials.values()
    assert (first.status, first.failure) == (TrialStatus.FAILED, kind)
    assert second.status is TrialStatus.COMPLETED
    assert sweep.runs() == once(2)


def test_a_process_that_loses_its_parent_does_not_outlive_the_job(sweep: Sweep) -> None:
    # job -> holder -> grandchild, which ignores TERM and leaves the session.
    grandchild = "trap '' TERM; echo $$ > $SIGNS/grandchild.pid; while :; do sleep 0.05; done"
    holder = f'setsid sh -c "{grandchild.replace("$", chr(92) + "$")}" & echo $$ > $SIGNS/holder.pid; wait'
    script = RAN + STARTED + f"sh -c '{holder.replace(chr(39), chr(39) + chr(92) + chr(39) * 2)}' & " + WAIT + REPORT
    with sweep.running(sweep.tool(script, max_trials=1)) as running:
        sweep.started(FIRST)
        orphan = sweep.started("grandchild")
        kill(sweep.started("holder"))
        assert alive(orphan)
        sweep.go()
        assert running.ending().exit_code == 0
        assert not alive(orphan)


# -- disks that are full


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """4 MB of disk of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Take all the room that is left."""
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (65536, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * size)
    with pytest.raises(OSError, match="No space left"):
        (disk / "one.more").write_bytes(b"x" * 4096)
    (disk / "one.more").unlink()
    return filler


def test_a_disk_that_gets_full_halts_the_sweep_until_there_is_room(
    tmp_path: Path, small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sweep = Sweep(tmp_path / "here", root=small_disk)
    with sweep.running(sweep.tool(REPORTED_FIRST)) as running:
        sweep.started(FIRST)
        sweep.until(lambda state: state.trials[1].score is not None)
        filler = fill(small_disk)
        sweep.go()
        until(lambda: "no room to write" in caplog.text)
        assert sweep.runs() == once(1)
        filler.unlink()
        assert running.ending().exit_code == 0
    assert sweep.runs() == once(3)
    ends = [(job.outcome, job.reason) for n in (1, 2, 3) for job in sweep.jobs(n)]
    assert [outcome for outcome, _ in ends] == [JobOutcome.COMPLETED] * 3, ends
    sweep.assert_nothing_runs()
    sweep.assert_consistent()


def test_a_disk_that_is_full_when_a_job_is_to_be_started_costs_no_try(tmp_path: Path, small_disk: Path) -> None:
    sweep = Sweep(tmp_path / "here", root=small_disk)
    with sweep.running(sweep.tool(REPORTED_FIRST, retries={"dispatch_error": 0})) as running:
        sweep.started(FIRST)
        sweep.until(lambda state: state.trials[1].score is not None)
        with sweep.store() as store:
            with store.transaction() as tx:
                tx.note("ballast", {"message": "x" * 500_000})
            # From here on the database has room of its own.
            store._db.execute("PRAGMA wal_checkpoint(RESTART)")
        filler = fill(small_disk)
        sweep.go()
        until(lambda: "cannot be started" in running.orchestrator._disk.message)
        assert sweep.state.trials[2].status is TrialStatus.TRAINING, "that is the intent"
        assert sweep.runs() == once(1)
        filler.unlink()
        assert running.ending().exit_code == 0
    assert sweep.runs() == once(3)
    assert [len(sweep.jobs(n)) for n in (1, 2, 3)] == [1, 1, 1]
    sweep.assert_nothing_runs()
    sweep.assert_consistent()


def test_an_interrupt_on_a_full_disk_uses_up_no_try(
    tmp_path: Path, small_disk: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeptui.launch.LEASE_TTL_S", 0.5)  # it cannot be given back on a full disk
    sweep = Sweep(tmp_path / "here", root=small_disk)
    tool = sweep.tool(REPORTED_FIRST, max_parallel_jobs=2, retries={"lost": 0})
    with sweep.running(tool) as running:
        for token in (FIRST, "trial_0002.train.1"):
            sweep.started(token)
        sweep.until(lambda state: state.trials[2].score is not None and state.trials[1].score is not None)
        filler = fill(small_disk)
        sweep.go(FIRST)
        until(lambda: "no room to write" in caplog.text)
        running.session.interrupt()
        assert running.ending().exit_code == 130
    sweep.assert_nothing_runs()
    filler.unlink()
    assert sweep.run(tool).exit_code == 0
    assert sweep.runs() == once(3) + Counter(["trial_0002 train"])
    sweep.assert_consistent()


def test_below_the_limit_nothing_is_launched_and_it_says_so(
    tmp_path: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeptui.core.disk.CHECK_S", 0.1)
    sweep = Sweep(tmp_path / "here", root=small_disk)
    ballast = small_disk / "ballast"
    with sweep.running(sweep.tool(WAITING_JOB, min_free_disk_mb=1)) as running:
        sweep.started(FIRST)
        ballast.write_bytes(b"x" * 3_400_000)
        until(lambda: notes(sweep, "disk"))
        sweep.go()
        sweep.until(lambda state: state.trials[1].status is TrialStatus.COMPLETED)
        assert "less than min_free_disk_mb (1)" in notes(sweep, "disk")[0]
        assert sweep.runs() == once(1)
        ballast.unlink()
        assert running.ending().exit_code == 0
    assert sweep.runs() == once(3)
    assert notes(sweep, "disk")[-1] == "there is room on the disk again"


def test_a_kill_on_a_full_disk_loses_nothing(tmp_path: Path, small_disk: Path, driver: Driver) -> None:
    sweep = Sweep(tmp_path / "here", root=small_disk)
    tool = sweep.tool(REPORTED_FIRST)
    pid = driver.start(sweep, tool)
    sweep.started(FIRST)
    sweep.until(lambda state: state.trials[1].score is not None)
    filler = fill(small_disk)
    keeper = sweep.keeper_of(FIRST)
    sweep.go()
    until(lambda: not alive(keeper))
    kill(pid)
    assert driver.wait()[0] == -signal.SIGKILL
    filler.unlink()
    assert sweep.run(tool).exit_code == 0
    assert sweep.runs() == once(3)
    sweep.assert_nothing_runs()
    sweep.assert_consistent()


# -- two at once


def test_a_second_orchestrator_is_told_who_runs_the_sweep(sweep: Sweep, driver: Driver) -> None:
    tool = sweep.tool(WAITING_JOB, max_trials=1)
    pid = driver.start(sweep, tool)
    sweep.started(FIRST)
    with pytest.raises(LeaseHeldError) as refused:
        sweep.run(tool)
    assert refused.value.holder.pid == pid
    sweep.go()
    assert driver.wait()[1]["status"] == "finished"
    assert sweep.runs() == once(1)


def test_a_stopped_orchestrator_that_was_taken_over_writes_nothing_any_more(
    sweep: Sweep, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = sweep.tool(WAITING_JOB, max_trials=2)
    pid = driver.start(sweep, tool, lease_ttl_s=0.5)
    sweep.started(FIRST)
    # Its next write is a heartbeat: who is stopped inside a write keeps the database locked, for everybody.
    sweep.until(lambda state: any(job.state is JobState.RUNNING for job in state.running_jobs.values()))
    kill(pid, signal.SIGSTOP)
    monkeypatch.setattr("sweeptui.launch.LEASE_TTL_S", 0.5)
    with sweep.running(tool) as running:
        until(lambda: running.alive() and sweep.lease_pid() != pid)
        sweep.go(FIRST)
        sweep.started("trial_0002.train.1")
        kill(pid, signal.SIGCONT)
        code, said = driver.wait()
        assert code == 0
        assert said["error"] == "LeaseLostError"
        sweep.go()
        assert running.ending().exit_code == 0
    assert sweep.runs() == once(2), "adopted, not started again"


# -- signals


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_trials_and_no_try_is_used_up(sweep: Sweep, driver: Driver, signum: int) -> None:
    tool = sweep.tool(WAITING_JOB, max_trials=2, retries={"lost": 0})
    pid = driver.start(sweep, tool)
    job = sweep.started(FIRST)
    kill(pid, signum)
    assert driver.wait()[1]["status"] == "interrupted"
    assert not alive(job)
    sweep.assert_nothing_runs()
    trial = sweep.state.trials[1]
    assert trial.status is TrialStatus.PENDING
    assert sweep.jobs(1)[0].outcome is JobOutcome.INTERRUPTED
    sweep.go()
    assert sweep.run(tool).exit_code == 0
    assert sweep.runs() == Counter({"trial_0001 train": 2, "trial_0002 train": 1})
    assert len(sweep.state.trials) == 2


def test_trials_that_were_left_running_are_adopted(sweep: Sweep, driver: Driver) -> None:
    tool = sweep.tool(WAITING_JOB, max_trials=2)
    pid = driver.start(sweep, tool, leave_running=True)
    job = sweep.started(FIRST)
    kill(pid, signal.SIGTERM)
    assert driver.wait()[1]["status"] == "interrupted"
    assert alive(job)
    sweep.go()
    assert sweep.run(tool).exit_code == 0
    assert sweep.runs() == once(2)


def test_an_interrupt_before_anything_runs_ends_it(sweep: Sweep) -> None:
    session = launch.prepare("test", sweep.tool(), sweep.root)
    session.interrupt()
    assert session.run().status is SweepStatus.INTERRUPTED
    assert not sweep.state.running_jobs


# -- what ends of jobs mean


def failure_of(sweep: Sweep, train: str, **fields: object) -> Trial:
    """The only trial of a sweep, once it has failed."""
    assert sweep.run(sweep.tool(train, max_trials=1, **fields)).exit_code == 3
    (trial,) = sweep.state.trials.values()
    assert trial.status is TrialStatus.FAILED
    return trial


@pytest.mark.parametrize(
    ("script", "kind", "words"),
    [
        ("exit 0", FailureKind.NO_METRIC, "never reported 'score'"),
        ('echo "{{\\"score\\": NaN}}" >> $SWEEPTUI_REPORT', FailureKind.INVALID_METRIC, "nan"),
        ('echo "{{\\"score\\": -Infinity}}" >> $SWEEPTUI_REPORT', FailureKind.INVALID_METRIC, "inf"),
        ("exit 137", FailureKind.OUT_OF_MEMORY, "code 137"),
        ("echo 'RuntimeError: CUDA out of memory. Tried'; exit 1", FailureKind.OUT_OF_MEMORY, "CUDA out of memory"),
        ("echo 'ValueError: no' >&2; exit 1", FailureKind.CRASHED, "ValueError: no"),
        ("rm -rf $SWEEPTUI_TRIAL_DIR/*.json; exit 3", FailureKind.CRASHED, "code 3"),
    ],
)
def test_a_failure_is_named(sweep: Sweep, script: str, kind: FailureKind, words: str) -> None:
    trial = failure_of(sweep, script)
    assert trial.failure is kind
    assert words in trial.reason
    assert len(sweep.jobs(1)) == 1


def test_a_training_that_takes_too_long_is_ended_and_tried_again_as_the_policy_says(sweep: Sweep) -> None:
    trial = failure_of(sweep, RAN + "sleep 60", train_timeout_s=0.2, retries={"timeout": 1})
    assert trial.failure is FailureKind.TIMEOUT
    assert [job.outcome for job in sweep.jobs(1)] == [JobOutcome.TIMEOUT] * 2


def test_an_evaluation_that_takes_too_long_is_repeated_without_training_again(sweep: Sweep) -> None:
    evaluate = RAN + f'if [ "$SWEEPTUI_JOB" = trial_0001.eval.1 ]; then sleep 60; fi; {REPORT}'
    tool = sweep.tool(RAN, evaluate, max_trials=1, eval_timeout_s=0.3, retries={"timeout": 1})
    assert sweep.run(tool).exit_code == 0
    assert sweep.runs() == Counter({"trial_0001 train": 1, "trial_0001 eval": 2})


def test_failures_in_a_row_open_the_circuit_breaker(sweep: Sweep) -> None:
    end = sweep.run(sweep.tool(RAN + "exit 7", max_trials=10, breaker_failures=3))
    assert (end.status, end.exit_code) == (SweepStatus.BROKEN, 4)
    assert "3 trials in a row failed with crashed" in end.reason
    assert sweep.runs() == once(3)
    assert notes(sweep, "breaker") == [end.reason]
    # Mended, the same command goes on.
    assert sweep.run(sweep.tool(RAN + REPORT, max_trials=4, breaker_failures=3)).exit_code == 0
    assert statuses(sweep.state) == [TrialStatus.FAILED] * 3 + [TrialStatus.COMPLETED]


def test_failures_of_different_kinds_do_not_open_it(sweep: Sweep) -> None:
    script = "case $SWEEPTUI_TRIAL in *[13]) exit 1;; *) exit 137;; esac"
    end = sweep.run(sweep.tool(script, max_trials=4, breaker_failures=2))
    assert (end.status, end.exit_code) == (SweepStatus.FINISHED, 3)


def test_a_hanging_evaluation_keeps_nobody_from_training(sweep: Sweep) -> None:
    evaluate = RAN + '[ "$SWEEPTUI_TRIAL" = trial_0001 ] && ' + f"{{{{ {WAIT} }}}}; {REPORT}"
    with sweep.running(sweep.tool(RAN, evaluate, max_trials=3, max_parallel_evals=2)) as running:
        sweep.until(lambda state: statuses(state).count(TrialStatus.COMPLETED) == 2)
        assert sweep.state.trials[1].status is TrialStatus.EVALUATING
        sweep.go()
        assert running.ending().exit_code == 0


def test_a_command_that_cannot_be_started_is_a_dispatch_error(sweep: Sweep) -> None:
    tool = sweep.tool(max_trials=1)
    (sweep.folder / "work").mkdir()
    tool = tool.model_copy(update={"working_dir": str(sweep.folder / "work")})
    with sweep.running(sweep.tool(WAITING_JOB, max_trials=2, working_dir=str(sweep.folder / "work"))) as running:
        sweep.started(FIRST)
        (sweep.folder / "work").rmdir()
        sweep.go()
        running.ending()
    assert sweep.state.trials[2].failure is FailureKind.DISPATCH_ERROR
    assert len(sweep.jobs(2)) == 4, "and three more tries"


# -- what users ask for


def test_users_act_on_trials_from_other_processes(sweep: Sweep) -> None:
    with sweep.running(sweep.tool(WAITING_JOB, max_trials=3, max_parallel_jobs=2)) as running:
        first, second = sweep.started(FIRST), sweep.started("trial_0002.train.1")
        sweep.until(lambda state: all(job.state is JobState.RUNNING for job in state.running_jobs.values()))
        assert sweep.ask("pause", trials=[1]) == "done: trial_0001 is paused"
        until(lambda: _process_state(first) == "T")
        assert sweep.state.trials[1].status is TrialStatus.PAUSED
        assert sweep.ask("kill", trials=[2]) == "done: trial_0002 is being killed"
        sweep.until(lambda state: state.trials[2].status is TrialStatus.KILLED)
        assert not alive(second)
        assert "killed by tester" in sweep.state.trials[2].reason
        assert sweep.ask("requeue", trials=[1]).startswith("refused: trial_0001 is paused")
        assert sweep.ask("resume", trials=[1]) == "done: trial_0001 goes on"
        until(lambda: _process_state(first) != "T")
        assert sweep.ask("requeue", trials=[2]) == "done: trial_0002 is queued again"
        assert sweep.ask("kill", trials=[9]) == "refused: there is no trial 9"
        sweep.go()
        assert running.ending().exit_code == 0
    assert statuses(sweep.state) == [TrialStatus.COMPLETED] * 3
    assert sweep.runs() == Counter({"trial_0001 train": 1, "trial_0002 train": 2, "trial_0003 train": 1})


def _process_state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_paused_sweep_starts_nothing(sweep: Sweep) -> None:
    with sweep.running(sweep.tool(WAITING_JOB)) as running:
        sweep.started(FIRST)
        assert sweep.ask("pause") == "done: the sweep is paused"
        sweep.go()
        sweep.until(lambda state: state.trials[1].status is TrialStatus.COMPLETED)
        assert sweep.runs() == once(1)
        sweep.ask("resume")
        assert running.ending().exit_code == 0
    assert sweep.runs() == once(3)


@pytest.mark.parametrize(("at_once", "left"), [(False, TrialStatus.COMPLETED), (True, TrialStatus.KILLED)])
def test_a_sweep_is_stopped(sweep: Sweep, at_once: bool, left: TrialStatus) -> None:
    with sweep.running(sweep.tool(WAITING_JOB)) as running:
        sweep.started(FIRST)
        sweep.ask("stop", kill=at_once)
        if not at_once:
            sweep.go()
        end = running.ending()
        assert end.status is SweepStatus.STOPPED
    assert statuses(sweep.state) == [left]


def test_a_failed_trial_is_queued_again_and_succeeds(sweep: Sweep) -> None:
    flaky = RAN + f"{FIRST_RUN_FAILS} exit 1; {STARTED}{WAIT}{REPORT}"
    with sweep.running(sweep.tool(flaky, max_trials=2)) as running:
        sweep.started("trial_0002.train.1")
        assert sweep.ask("requeue", trials=[1]) == "done: trial_0001 is queued again"
        sweep.go()
        assert running.ending().exit_code == 0
    first = sweep.state.trials[1]
    assert (first.status, first.failure, first.attempt, first.end_order) == (TrialStatus.COMPLETED, None, 2, 3)


def test_a_finished_evaluation_is_repeated_alone(sweep: Sweep) -> None:
    with sweep.running(sweep.tool(RAN + STARTED + WAIT, RAN + REPORT, max_trials=2)) as running:
        sweep.go(FIRST)
        sweep.until(lambda state: 1 in state.trials and state.trials[1].status is TrialStatus.COMPLETED)
        assert sweep.ask("evaluate", trials=[1]) == "done: trial_0001 will be evaluated again"
        sweep.go()
        assert running.ending().exit_code == 0
    assert sweep.runs() == once(2, "train", "eval") + Counter(["trial_0001 eval"])


def test_the_budget_of_trials_is_changed_while_it_runs(sweep: Sweep) -> None:
    with sweep.running(sweep.tool(WAITING_JOB, max_trials=1)) as running:
        sweep.started(FIRST)
        sweep.ask("set", max_trials=5, max_parallel_jobs=2)
        sweep.started("trial_0002.train.1")
        sweep.ask("set", max_trials=3)
        sweep.go()
        assert running.ending().exit_code == 0
    assert sweep.runs() == once(3)
    assert sweep.state.config["max_trials"] == 3


def test_lowered_below_what_runs_the_budget_makes_no_more(sweep: Sweep) -> None:
    with sweep.running(sweep.tool(WAITING_JOB, max_trials=9, max_parallel_jobs=2)) as running:
        sweep.started("trial_0002.train.1")
        assert sweep.ask("set", max_trials=1).startswith("done")
        assert sweep.ask("set", max_trials=0).startswith("refused")
        sweep.go()
        assert running.ending().exit_code == 0
    assert sweep.runs() == once(2)


def test_commands_are_applied_where_nobody_runs_the_sweep(sweep: Sweep, driver: Driver) -> None:
    tool = sweep.tool(WAITING_JOB, max_parallel_jobs=2)
    pid = driver.start(sweep, tool)
    first, second = sweep.started(FIRST), sweep.started("trial_0002.train.1")
    kill(pid)
    driver.wait()
    with sweep.store() as store:
        store.submit("kill", {"trials": [1]}, "tester")
    launch.steward(sweep.root, NAME)
    assert not alive(first)
    assert alive(second), "nobody asked for that"
    assert statuses(sweep.state) == [TrialStatus.KILLED, TrialStatus.TRAINING]
    with sweep.store() as store:
        store.submit("stop", {"kill": True}, "tester")
    launch.steward(sweep.root, NAME)
    assert not alive(second)
    assert sweep.state.status is SweepStatus.STOPPED
    assert len(sweep.state.trials) == 2, "nothing was launched"


# -- budgets, sources, schedulers


def test_a_cost_budget_ends_the_sweep_early(sweep: Sweep) -> None:
    end = sweep.run(sweep.tool(max_trials=9, max_cost=2.5))
    assert (end.status, end.exit_code) == (SweepStatus.FINISHED, 5)
    assert "cost budget" in end.reason
    assert sweep.runs() == once(3)


def test_a_cost_budget_that_lasts_exactly_is_a_success(sweep: Sweep) -> None:
    assert sweep.run(sweep.tool(max_trials=3, max_cost=3.0)).exit_code == 0


def test_failed_attempts_count_against_the_cost_budget(sweep: Sweep) -> None:
    end = sweep.run(sweep.tool(RAN + REPORT + "exit 1", max_trials=9, max_cost=2.0, breaker_failures=0))
    assert end.exit_code == 3
    assert sweep.runs() == once(2)


def test_a_wall_time_budget_lets_what_runs_finish(sweep: Sweep) -> None:
    with sweep.running(sweep.tool(WAITING_JOB, max_trials=9, max_wall_time_s=0.3)) as running:
        sweep.started(FIRST)
        limit = until(lambda: running.orchestrator._limit)
        assert "wall-time budget" in limit.reason
        sweep.go()
        assert running.ending().exit_code == 5
    assert sweep.runs() == once(1)
    assert sweep.state.run_s >= 0.3


@pytest.mark.parametrize(("goal", "target"), [("maximize", 0.5), ("minimize", 0.5)])
def test_the_target_score_ends_the_sweep(sweep: Sweep, goal: str, target: float) -> None:
    end = sweep.run(sweep.tool(goal=goal, max_trials=30, target_score=target))
    assert end.exit_code == 0
    scores = [trial.score for trial in sweep.state.trials.values() if trial.score is not None]
    reached = [score >= target if goal == "maximize" else score <= target for score in scores]
    assert reached == [False] * (len(scores) - 1) + [True]


def test_a_target_that_is_not_reached_is_said(sweep: Sweep) -> None:
    assert sweep.run(sweep.tool(target_score=2.0)).exit_code == 5


def test_a_metric_is_read_from_the_log(sweep: Sweep) -> None:
    tool = sweep.tool(
        RAN + 'echo "epoch 1: reward=0.25"; echo "epoch 2: reward=$1"',
        metric_source="log",
        metric_regex=r"epoch (?P<step>\d+): reward=(?P<score>\S+)",
    )
    assert sweep.run(tool).exit_code == 0
    for trial in sweep.state.trials.values():
        assert trial.score == trial.params["x"]
        assert trial.step == 2


@pytest.mark.parametrize("fields", [{"scheduler": "sequential"}, {"suggest_ahead": 0, "max_parallel_jobs": 2}])
def test_other_ways_of_scheduling_come_to_the_same(sweep: Sweep, fields: dict[str, object]) -> None:
    assert sweep.run(sweep.tool(RAN, RAN + REPORT, **fields)).exit_code == 0
    assert sweep.runs() == once(3, "train", "eval")


def test_a_space_that_is_used_up_ends_the_sweep(sweep: Sweep) -> None:
    parameters = {"x": {"distribution": "categorical", "values": [0.1, 0.2]}}
    end = sweep.run(sweep.tool(max_trials=9, parameters=parameters))
    assert (end.status, end.exit_code) == (SweepStatus.FINISHED, 0)
    assert end.reason == "all 2 configurations of the search space were tried"
    assert sorted(trial.params["x"] for trial in sweep.state.trials.values()) == [0.1, 0.2]
