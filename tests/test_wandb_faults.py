"""What W&B can do wrong, each with what becomes of the sweep and what its user sees."""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fake_wandb import ENTITY, FakeWandb
from test_wandb_contract import completed_trials, ended
from wandb_support import Bench, Machine, contents, new_name, until

from sweeptui.core.state import SweepStatus
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.stores.wandb import process
from sweeptui.core.stores.wandb.book import Book
from sweeptui.core.stores.wandb.client import Cloud, CloudRun
from sweeptui.core.stores.wandb.errors import AwayError, DeletedError, RefusedError
from sweeptui.core.stores.wandb.records import RECORD

pytest.importorskip("wandb")


@pytest.fixture
def bench(wandb_server: FakeWandb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(process, "SEND_S", 0.1)
    monkeypatch.setattr(process, "TICK_S", 0.02)
    monkeypatch.setattr(process, "LONGEST_WAIT_S", 0.5)
    # A time to live of 2 s: that long does one wait who may have been the one to make the sweep, and cannot know.
    return Bench(wandb_server, f"p-{new_name()}", ENTITY, tmp_path, new_name(), ttl_s=2.0)


PASSING = {
    "503": {"status": 503},
    "429 with Retry-After": {"status": 429, "headers": {"Retry-After": "1"}},
    "429 without": {"status": 429, "headers": {"RateLimit-Remaining": "0", "RateLimit-Reset": "1"}},
    "500": {"status": 500},
    "dropped": {"drop": True},
    "written, then 500": {"status": 500, "commit": True},
    "written, then dropped": {"drop": True, "commit": True},
    "slow": {"delay_s": 1.0},
    "an error in a good answer": {"errors": ["context deadline exceeded"]},
}


@pytest.mark.parametrize("first", [0, 3, 6], ids=lambda first: ", ".join(list(PASSING)[first : first + 3]))
def test_what_passes_costs_time_and_nothing_else(bench: Bench, first: int) -> None:
    assert bench.server is not None
    places = (".s0", ".t000001", ".t000003")
    with closing(bench.create()) as store:
        completed_trials(store)
        faults = [
            bench.server.fault("SweeptuiPut", where=lambda request, place=place: place in request.run, **how)
            for place, how in zip(places, list(PASSING.values())[first : first + 3], strict=True)
        ]
        machine = Machine(bench, "a")
        until(lambda: machine.standing.state == "synced" and machine.standing.behind == 0)
        machine.finish()
        assert all(fault.fired == 1 for fault in faults)
        with closing(bench.rebuilt()) as copy:
            assert contents(copy) == contents(store)


def test_a_server_that_is_away_is_seen_and_caught_up_with(bench: Bench) -> None:
    assert bench.server is not None
    bench.server.stop()
    with closing(bench.create()) as store:
        completed_trials(store)
        machine = Machine(bench, "a")
        away = until(lambda: machine.standing.state == "away" and machine.standing)
        assert "cannot be reached" in away.message
        machine.process.go = True  # as the one who runs the sweep says: it does not wait for W&B
        until(lambda: not machine.process._follows)
        with machine.writing() as tx:
            ended(tx, {"lr": 4.0}, 4.0, order=4)
        waiting = until(lambda: machine.standing.behind == 5 and machine.standing)
        assert "5 records wait" in waiting.sentence(waiting.since + 300)
        assert "away for 5 min" in waiting.sentence(waiting.since + 300)
        bench.server.start()
        until(lambda: machine.standing.state == "synced" and machine.standing.behind == 0)
        bench.server.stop()  # and once more, in the middle
        with machine.writing() as tx:
            ended(tx, {"lr": 5.0}, 5.0, order=5)
        until(lambda: machine.standing.behind)
        bench.server.start()
        machine.finish()
        assert machine.standing.state == "synced"
        with closing(bench.rebuilt()) as copy:
            assert contents(copy) == contents(store)
            assert len(copy.state.trials) == 5


@pytest.mark.parametrize(
    ("spoil", "fault", "sentence"),
    [
        ("key", {}, "does not accept the key: set WANDB_API_KEY, or run `wandb login`"),
        (
            "project",
            {},
            "has no project 'p-sweep-.*' for this key: make it there, or name another with --wandb-pro",
        ),
        ("fault", {"status": 403}, "does not accept the key"),
        ("fault", {"status": 400}, r"refuses what is sent \(400\)"),
    ],
)
def test_a_refusal_is_told_with_what_helps_and_tried_again(
    bench: Bench, spoil: str, fault: dict[str, Any], sentence: str
) -> None:
    assert bench.server is not None
    server, key = bench.server, bench.server.key
    if spoil == "key":
        server.key = "f" * 40
    elif spoil == "project":
        server.runs.settings.create_projects = False
    else:
        server.fault("SweeptuiPut", times=-1, **fault)
    with closing(bench.create()) as store:
        completed_trials(store)
        machine = Machine(bench, "a")
        refused = until(lambda: machine.standing.state == "refused" and machine.standing)
        assert refused.behind == 4
        assert re.search(sentence, refused.message)
        assert key not in refused.message
        server.key = key
        server.runs.settings.create_projects = True
        server.mend()
        until(lambda: machine.standing.state == "synced" and machine.standing.behind == 0)
        machine.finish()
        with closing(bench.rebuilt()) as copy:
            assert contents(copy) == contents(store)


def test_a_record_that_was_deleted_in_wandb_is_written_again_under_another_id(bench: Bench) -> None:
    assert bench.server is not None
    with closing(bench.create()) as store:
        completed_trials(store)
        bench.send(store)
        nonce = Book.read(bench.folder("a")).nonce
        for gone in (f"{bench.sweep}.{nonce}.t000002", f"{bench.sweep}.s0", f"{bench.sweep}.{nonce}.l00001"):
            bench.server.runs.delete((ENTITY, bench.project, gone))
        with store.transaction() as tx:
            tx.set_trial(2, reason="a new word")
        bench.send(store)
        assert Book.read(bench.folder("a")).moved == {2: 1}
        assert bench.run(f"{bench.sweep}.{nonce}.t000002.1") is not None
        assert bench.run(f"{bench.sweep}.s1") is not None
        with closing(bench.rebuilt()) as copy:
            assert contents(copy) == contents(store)


@pytest.mark.parametrize("lag_s", [3600.0])
def test_a_list_that_is_behind_hides_nothing(bench: Bench, lag_s: float) -> None:
    assert bench.server is not None
    with closing(bench.create()) as store:
        completed_trials(store)
        bench.send(store)
        bench.server.runs.settings.list_lag_s = lag_s
        with closing(bench.rebuilt()) as copy:
            assert contents(copy) == contents(store)
        assert bench.server.runs.listed(ENTITY, bench.project, {}, "") == []


def test_records_that_the_sweeps_own_record_does_not_know_of_are_found(bench: Bench) -> None:
    """As after a crash between the trials and the sweep's record, with a list that is behind."""
    assert bench.server is not None
    with closing(bench.create()) as store:
        completed_trials(store)
        bench.send(store)
        root = (ENTITY, bench.project, f"{bench.sweep}.s0")
        known = bench.server.runs.now(*root)
        assert known is not None
        with store.transaction() as tx:
            for order in range(4, 14):
                ended(tx, {"lr": 1.0 * order}, 1.0, order=order)
        bench.send(store)
        bench.server.runs.upsert(root, {"summaryMetrics": json.dumps(known.summary)})
        bench.server.runs.settings.list_lag_s = 3600.0
        with closing(bench.rebuilt()) as copy:
            assert contents(copy)[1:] == contents(store)[1:]
            assert len(copy.state.trials) == 13


def test_a_write_that_arrives_late_is_mended(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server took longer than the client waits, and wrote after a newer state was written."""
    assert bench.server is not None
    monkeypatch.setattr(process.Settings, "timeout_s", 2.0)
    with closing(bench.create()) as store:
        completed_trials(store)
        machine = Machine(bench, "a")
        until(lambda: machine.standing.state == "synced" and machine.standing.behind == 0)
        # A wait of 4 s, and a client that gives up after 2: what was given up on lands in the end.
        late = bench.server.fault("SweeptuiPut", where=lambda request: request.run.endswith(".t000001"), delay_s=4.0)
        with machine.writing() as tx:
            tx.set_trial(1, reason="the first word")
        until(lambda: late.fired)
        until(lambda: machine.standing.state == "away")
        with machine.writing() as tx:
            tx.set_trial(1, reason="the last word")
        machine.finish()
        with closing(bench.rebuilt()) as copy:
            assert contents(copy)[1:] == contents(store)[1:]
            assert copy.state.trials[1].reason == "the last word"


def test_another_sweep_of_that_name_is_refused(bench: Bench) -> None:
    with closing(bench.create("a")) as store:
        completed_trials(store)
        bench.send(store, "a")
    with closing(bench.create("b")) as store:
        completed_trials(store)
        with bench.mirror("b", store) as mirror, pytest.raises(RefusedError, match="choose another --sweep-name"):
            mirror.join()


def test_a_record_of_a_newer_version_is_refused(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.server is not None
    with closing(bench.create("a")) as store:
        bench.send(store, "a")
    root = bench.run(f"{bench.sweep}.s0")
    newer = {RECORD: json.dumps({**json.loads(root.summary[RECORD]), "format": 99})}
    bench.server.runs.upsert(root.key, {"summaryMetrics": json.dumps(newer)})
    process.fetch(bench.folder("b"), bench.settings())
    assert "written by a newer version of sweeptui" in capsys.readouterr().out
    assert not bench.folder("b").exists()


def test_what_wandbs_own_pages_show(bench: Bench) -> None:
    with closing(bench.create()) as store:
        completed_trials(store)
        bench.send(store)
        nonce = Book.read(bench.folder("a")).nonce
        with store.transaction() as tx:
            tx.set_sweep(status=SweepStatus.FINISHED)
    run = bench.run(f"{bench.sweep}.{nonce}.t000002")
    assert (run.group, run.job_type, run.display_name, run.tags, run.state) == (
        bench.sweep,
        "sweep-record",
        "trial_0002",
        ["sweeptui"],
        "finished",
    )
    assert run.config == {"lr": {"value": 0.2}, "layers.0.width": {"value": 64}}
    shown = {key: value for key, value in run.summary.items() if key != RECORD}
    assert shown == {
        "score": 1.0,
        "cost": 1.5,
        "spent": 1.5,
        "step": 1.0,
        "loss": 0.25,
        "status": "completed",
        "trial": 2,
        "seed": 7,
        "initialized": True,
        "sweep/score": 1.0,
        "sweep/cost": 1.5,
        "sweep/suggestion": {"lr": 0.2, "layers.0.width": 64},
    }
    root = bench.run(f"{bench.sweep}.s0")
    assert (root.group, root.job_type, root.config["metric"]["value"]) == (bench.sweep, "sweep", "score")


def test_no_password_leaves_the_machine(bench: Bench, tmp_path: Path) -> None:
    assert bench.server is not None
    config = {"max_trials": 1, "protein_config": {}, "env": {"DATABASE_PASSWORD": "hush-hush"}}
    with closing(SqliteStore.create(bench.folder("a") / "sweep.db", bench.sweep, config)) as store:
        bench.send(store)
    with closing(bench.rebuilt()) as copy:
        assert copy.state.config == {**config, "env": {}}
    assert "hush-hush" not in repr([vars(run) for run in bench.server.runs.all(ENTITY, bench.project)])
    here = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(here) >= 3
    assert not any(bench.server.key.encode() in path.read_bytes() for path in here)


def test_the_client_alone_tells_faults_apart(bench: Bench) -> None:
    assert bench.server is not None
    cloud = Cloud(bench.project, ENTITY, 2.0)
    run = CloudRun("r", "g", "j", summary={"a": 1})
    assert cloud.put(run)
    assert not cloud.put(run)
    bench.server.fault("SweeptuiPut", status=500, times=-1)
    with pytest.raises(AwayError, match="does not answer in time"):
        cloud.put(run)
    bench.server.mend()
    bench.server.runs.delete((ENTITY, bench.project, "r"))
    with pytest.raises(DeletedError):
        cloud.put(run)
    assert cloud.get("r") is None
