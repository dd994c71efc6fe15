"""What every store of a sweep must give back: SQLite opened again, and a store made again from W&B alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fake_wandb import ENTITY, FakeWandb
from wandb_support import DATABASE, Bench, contents, new_name, real_bench

from sweeptui.core.state import SweepState, SweepStatus
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import FailureKind, JobOutcome, JobState, Report, Stage, TrialStatus

pytest.importorskip("wandb")

Write = Callable[[SqliteStore], None]
SCENARIOS: dict[str, Write] = {}


def scenario(write: Write) -> Write:
    SCENARIOS[write.__name__] = write
    return write


def ended(tx: Any, params: dict[str, Any], score: float, *, order: int, evaluated: bool = False) -> int:
    """A trial that ran to its end."""
    trial = tx.create_trial(params, seed=7, provenance={"method": "random", "n": order}).number
    tx.set_trial(trial, known_ends=order - 1, queued_at=tx.now)
    for stage in (Stage.TRAIN, Stage.EVAL) if evaluated else (Stage.TRAIN,):
        status = TrialStatus.TRAINING if stage is Stage.TRAIN else TrialStatus.EVALUATING
        if stage is Stage.EVAL:
            tx.set_trial(trial, status=TrialStatus.TRAINED)
        tx.set_trial(trial, status=status, started_at=tx.now)
        job = tx.create_job(trial, stage, ["python", "train.py", "--lr", "1"])
        tx.set_job(job.id, state=JobState.RUNNING, handle={"pid": 4711}, slot={"index": 0}, started_at=tx.now)
        tx.add_reports([Report(trial, job.id, stage, tx.now, step=1, score=score)])
        tx.set_job(job.id, report_offset=70)
        tx.set_job(job.id, state=JobState.ENDED, outcome=JobOutcome.COMPLETED, exit={"code": 0}, ended_at=tx.now)
    tx.set_trial(
        trial,
        status=TrialStatus.COMPLETED,
        score=score,
        cost=1.5,
        spent=1.5,
        step=1.0,
        metrics={"score": score, "loss": 0.25},
        end_order=order,
        ended_at=tx.now,
    )
    return int(trial)


@scenario
def nothing_yet(store: SqliteStore) -> None:
    pass


@scenario
def completed_trials(store: SqliteStore) -> None:
    with store.transaction() as tx:
        tx.set_sweep(status=SweepStatus.RUNNING)
        for order in range(1, 4):
            ended(tx, {"lr": 0.1 * order, "layers.0.width": 64}, 0.5 * order, order=order, evaluated=order == 2)
        tx.set_sweep(status=SweepStatus.FINISHED, reason="all 3 trials are done", run_s=12.25)


@scenario
def failed_and_tried_again(store: SqliteStore) -> None:
    with store.transaction() as tx:
        trial = tx.create_trial({"lr": 1e-3}, seed=1).number
        for attempt in (1, 2):
            tx.set_trial(trial, status=TrialStatus.TRAINING)
            job = tx.create_job(trial, Stage.TRAIN, [])
            lost = {"state": JobState.ENDED, "outcome": JobOutcome.LOST, "reason": "its machine is gone"}
            tx.set_job(job.id, **lost, ended_at=tx.now)
            if attempt == 1:
                tx.set_trial(trial, status=TrialStatus.PENDING, spent=3.0)
        tx.set_trial(
            trial, status=TrialStatus.FAILED, failure=FailureKind.LOST, reason="no tries left", spent=6.0, end_order=1
        )


@scenario
def queued_again_by_the_user(store: SqliteStore) -> None:
    with store.transaction() as tx:
        trial = ended(tx, {"lr": 1.0}, 0.5, order=1)
        tx.set_trial(trial, status=TrialStatus.PENDING, requeued_after_job=1, score=None, queued_at=tx.now)


@scenario
def running_paused_killed_and_stopped(store: SqliteStore) -> None:
    with store.transaction() as tx:
        for status in (TrialStatus.TRAINING, TrialStatus.PAUSED, TrialStatus.KILLED, TrialStatus.STOPPED):
            trial = tx.create_trial({"lr": 1.0}, seed=1).number
            tx.set_trial(trial, status=TrialStatus.TRAINING)
            job = tx.create_job(trial, Stage.TRAIN, ["train"])
            if status is TrialStatus.PAUSED:
                tx.set_job(job.id, state=JobState.PAUSED)
                tx.set_trial(trial, status=status, paused_from=TrialStatus.TRAINING)
            elif status is not TrialStatus.TRAINING:
                tx.set_job(job.id, ask=JobOutcome(status), ask_reason="the user said so")
                tx.set_job(job.id, state=JobState.ENDED, outcome=JobOutcome(status))
                tx.set_trial(trial, status=status, score=0.5, step=10.0, total_steps=100.0)
        tx.create_job(tx.create_trial({"lr": 2.0}, seed=2).number, Stage.TRAIN, ["an intent"])


@scenario
def values_that_wire_formats_lose(store: SqliteStore) -> None:
    with store.transaction() as tx:
        trial = tx.create_trial(
            {"big": 2**63 + 1, "text": "größer ✓ \udcff", "list": [1, None, {"a": 0.1}]}, seed=2**40
        )
        tx.set_trial(trial.number, status=TrialStatus.TRAINING)
        tx.set_trial(
            trial.number,
            status=TrialStatus.FAILED,
            failure=FailureKind.INVALID_METRIC,
            reason="score is nan",
            score=math.nan,
            metrics={"score": math.inf, "n": 2**53 + 1, "sweeptui": "taken"},
            checkpoint="/tmp/\udcfe.pt",
        )


@scenario
def much_in_one_trial(store: SqliteStore) -> None:
    with store.transaction() as tx:
        trial = ended(tx, {"lr": 1.0}, 0.5, order=1)
        tx.set_trial(trial, metrics={f"layer.{n}.norm": n / 7 for n in range(5000)})


@scenario
def many_trials(store: SqliteStore) -> None:
    with store.transaction() as tx:
        for order in range(1, 251):
            ended(tx, {"lr": order / 7}, order / 3, order=order)


def replayed(store: SqliteStore) -> SweepState:
    """What the journal alone says."""
    state = SweepState()
    state.apply_all(store.journal())
    return state


@pytest.fixture(params=["sqlite", "wandb", pytest.param("real", marks=pytest.mark.wandb_real)])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench | None]:
    if request.param == "sqlite":
        yield None
    elif request.param == "wandb":
        yield Bench(request.getfixturevalue("wandb_server"), f"p-{new_name()}", ENTITY, tmp_path, new_name())
    else:
        with real_bench(tmp_path) as real:
            yield real


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_store_gives_back_what_was_written(bench: Bench | None, tmp_path: Path, name: str) -> None:
    place = Bench(None, "", "", tmp_path, "sweep") if bench is None else bench
    with closing(place.create()) as store:
        SCENARIOS[name](store)
        if bench is not None:
            bench.send(store)
        copy = SqliteStore.open(store.path, readonly=True) if bench is None else bench.rebuilt()
        with closing(copy):
            assert contents(copy) == contents(store)
            told = replayed(copy)
            assert repr(told.trials) == repr(copy.state.trials)
            assert (told.last_trial, told.last_job, told.ended) == (
                copy.state.last_trial,
                copy.state.last_job,
                copy.state.ended,
            )
            assert told.running_jobs == copy.state.running_jobs
            assert copy.state.counts == store.state.counts


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_copy_that_follows_is_the_same_after_each_push(name: str, tmp_path: Path, wandb_server: FakeWandb) -> None:
    bench = Bench(wandb_server, f"p-{new_name()}", ENTITY, tmp_path, new_name())
    with closing(bench.create("a")) as leader, bench.mirror("a", leader) as sends:
        assert sends.join() is None
        sends.push()
        with closing(bench.rebuilt("b")) as follower, bench.mirror("b", follower) as follows:
            for write in (SCENARIOS[name], completed_trials):
                write(leader)
                sends.push()
                assert follows.join() is not None
                assert contents(follower) == contents(leader)
            before = follower.state.last_seq
            assert follows.join() is not None
            assert follower.state.last_seq == before, "nothing new is nothing to write"


def test_the_longest_name_fits_into_a_run_id(tmp_path: Path, wandb_server: FakeWandb) -> None:
    bench = Bench(wandb_server, f"p-{new_name()}", ENTITY, tmp_path, "n" * 100)
    with closing(bench.create()) as store:
        completed_trials(store)
        bench.send(store)
        assert max(len(run.name) for run in wandb_server.runs.all(ENTITY, bench.project)) <= 64
        with closing(bench.rebuilt()) as copy:
            assert contents(copy) == contents(store)


def test_the_rebuilt_store_is_a_store_like_any(tmp_path: Path, wandb_server: FakeWandb) -> None:
    bench = Bench(wandb_server, f"p-{new_name()}", ENTITY, tmp_path, new_name())
    with closing(bench.create()) as store:
        completed_trials(store)
        bench.send(store)
    with closing(bench.rebuilt()) as copy:
        with copy.transaction() as tx:
            assert ended(tx, {"lr": 9.0}, 9.0, order=4) == 4
        assert copy.state.last_job == 5
        best = copy.state.best("maximize")
        assert best is not None
        assert best.number == 4
    with closing(SqliteStore.open(bench.folder("b") / DATABASE)) as again:
        assert sorted(again.state.trials) == [1, 2, 3, 4]
