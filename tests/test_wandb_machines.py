"""One sweep on several machines: who runs it, who follows, and what becomes of what two of them did at once."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
from fake_wandb import ENTITY, FakeWandb
from test_wandb_contract import completed_trials, ended
from wandb_support import Bench, Machine, contents, new_name, until

from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.stores.wandb import process
from sweeptui.core.stores.wandb.book import Book
from sweeptui.core.stores.wandb.mirror import SupersededError

pytest.importorskip("wandb")


@pytest.fixture
def bench(wandb_server: FakeWandb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(process, "SEND_S", 0.1)
    monkeypatch.setattr(process, "TICK_S", 0.02)
    monkeypatch.setattr(process, "LONGEST_WAIT_S", 0.5)
    return Bench(wandb_server, f"p-{new_name()}", ENTITY, tmp_path, new_name(), ttl_s=3.0)


def fourth(store: SqliteStore) -> None:
    with store.transaction() as tx:
        ended(tx, {"lr": 4.0}, 4.0, order=4)


def leads(machine: Machine) -> bool:
    assert machine.error is None, machine.error
    return machine.process._mirror.leads


def test_one_leads_the_other_follows_and_takes_over_when_the_first_dies(bench: Bench) -> None:
    bench.create("a").close()
    first = Machine(bench, "a")
    until(lambda: leads(first))
    with first.writing() as tx:
        ended(tx, {"lr": 1.0}, 1.0, order=1)
    until(lambda: first.standing.state == "synced")
    bench.rebuilt("b").close()
    second = Machine(bench, "b")
    until(lambda: second.standing.state == "following")
    assert "a on " in second.standing.message
    lease = second.store.lease()
    assert lease is not None
    assert "a on " in str(lease), "whoever looks at the follower sees who runs the sweep"
    with first.writing() as tx:
        ended(tx, {"lr": 2.0}, 2.0, order=2)
    with closing(SqliteStore.open(second.folder / process.DATABASE, readonly=True)) as watched:
        until(lambda: watched.refresh() is not None and len(watched.state.trials) == 2)
    first.die()
    until(lambda: leads(second))
    with second.writing() as tx:
        assert ended(tx, {"lr": 3.0}, 3.0, order=3) == 3
    second.finish()
    with closing(bench.rebuilt("c")) as copy, closing(SqliteStore.open(second.folder / process.DATABASE)) as truth:
        assert contents(copy) == contents(truth)
        assert len(copy.state.trials) == 3


def test_who_lets_go_is_followed_at_once(bench: Bench) -> None:
    bench.ttl_s = 600.0
    bench.create("a").close()
    first = Machine(bench, "a")
    until(lambda: leads(first) and first.standing.state == "synced")
    bench.rebuilt("b").close()
    second = Machine(bench, "b")
    until(lambda: second.standing.state == "following")
    first.finish()
    second.process._try_at = 0.0  # its next look would be in ten seconds
    until(lambda: leads(second))
    second.finish()


def test_a_folder_that_comes_back_takes_in_what_was_done_elsewhere(bench: Bench) -> None:
    with closing(bench.create("a")) as a:
        completed_trials(a)
        bench.send(a, "a")
        with closing(bench.rebuilt("b")) as b:
            bench.send(b, "b", fourth)
            with bench.mirror("a", a) as mirror:
                assert mirror.join() is None
                mirror.push()
                mirror.release()
            assert contents(a)[1:] == contents(b)[1:]


def test_what_two_machines_did_apart_is_never_mixed(bench: Bench) -> None:
    with closing(bench.create("a")) as a:
        completed_trials(a)
        bench.send(a, "a")
        with closing(bench.rebuilt("b")) as b:
            bench.send(b, "b", fourth)
            with a.transaction() as tx:  # the same number, without a word to W&B
                ended(tx, {"lr": 40.0}, 40.0, order=4)
            before = contents(a)
            with bench.mirror("a", a) as mirror:
                mirror.look()
                with pytest.raises(SupersededError) as raised:
                    mirror.join()
            assert raised.value.diverged
            assert contents(a) == before
            with closing(bench.rebuilt("c")) as copy:
                assert contents(copy)[1:] == contents(b)[1:]


def test_a_leader_that_slept_through_its_succession_sends_nothing_more(bench: Bench) -> None:
    bench.ttl_s = 0.5
    with closing(bench.create("a")) as a, bench.mirror("a", a) as sleeper:
        assert sleeper.join() is None
        sleeper.push()
        with closing(bench.rebuilt("b")) as b, bench.mirror("b", b) as successor:
            until(lambda: successor.join() is None)
            with b.transaction() as tx:
                ended(tx, {"lr": 1.0}, 1.0, order=1)
            successor.look()
            successor.push()
            with a.transaction() as tx:
                ended(tx, {"lr": 10.0}, 10.0, order=1)
            sleeper.look()
            sleeper._beat_at = float("-inf")  # its clock says that it has not beaten for long
            with pytest.raises(SupersededError):
                sleeper.push()
            with closing(bench.rebuilt("c")) as copy:
                assert contents(copy) == contents(b)


def test_what_a_woken_leader_overwrites_is_mended(bench: Bench) -> None:
    """Nothing fences a write to W&B: one may be on its way while the leader is stopped."""
    assert bench.server is not None
    bench.ttl_s = 0.5
    with closing(bench.create("a")) as a:
        completed_trials(a)
        bench.send(a, "a")
        key = (ENTITY, bench.project, f"{bench.sweep}.{Book.read(bench.folder('a')).nonce}.t000001")
        old = bench.server.runs.now(*key)
        assert old is not None
        with closing(bench.rebuilt("b")) as b, bench.mirror("b", b) as successor:
            assert successor.join() is None
            with b.transaction() as tx:
                tx.set_trial(1, reason="the successor's word")
            successor.look()
            successor.push()
            bench.server.runs.upsert(key, {"summaryMetrics": json.dumps(old.summary)})
            assert not successor.verify()
            successor.push()
            assert successor.verify()
            with closing(bench.rebuilt("c")) as copy:
                assert copy.state.trials[1].reason == "the successor's word"


def test_two_that_begin_at_once_agree_on_one(bench: Bench) -> None:
    for name in "ab":
        bench.create(name).close()
    machines = [Machine(bench, name) for name in "ab"]
    until(lambda: any(leads(machine) for machine in machines))
    leader = next(machine for machine in machines if leads(machine))
    [other] = [machine for machine in machines if machine is not leader]
    with leader.writing() as tx:
        ended(tx, {"lr": 1.0}, 1.0, order=1)
    until(lambda: other.standing.state == "following" and other.process._store.state.trials)
    assert not leads(other)
    leader.finish()
    until(lambda: leads(other))
    other.finish()
    assert Book.read(leader.folder).nonce == Book.read(other.folder).nonce


def test_a_command_given_to_a_follower_is_refused(bench: Bench) -> None:
    bench.create("a").close()
    first = Machine(bench, "a")
    until(lambda: leads(first) and first.standing.state == "synced")
    bench.rebuilt("b").close()
    second = Machine(bench, "b")
    until(lambda: second.standing.state == "following")
    with closing(SqliteStore.open(second.folder / process.DATABASE)) as store:
        number = store.submit("pause")
        until(lambda: store.command(number).state == "refused")
        assert "give the command there" in store.command(number).result
    second.finish()
    first.finish()


def test_a_follower_that_cannot_reach_wandb_takes_nothing_over(bench: Bench) -> None:
    assert bench.server is not None
    bench.create("a").close()
    first = Machine(bench, "a")
    until(lambda: leads(first) and first.standing.state == "synced")
    bench.rebuilt("b").close()
    second = Machine(bench, "b")
    until(lambda: second.standing.state == "following")
    bench.server.stop()
    until(lambda: second.standing.state == "away")
    assert not leads(second)
    assert leads(first), "who runs the sweep goes on"
    bench.server.start()
    until(lambda: first.standing.state == "synced" and second.standing.state == "following")
    second.finish()
    first.finish()
