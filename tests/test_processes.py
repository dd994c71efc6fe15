"""What counts as a process of a job, and that nothing else is ever signalled."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from sweeptui.dispatchers.local import processes
from sweeptui.dispatchers.local.files import PidRecord
from sweeptui.dispatchers.local.processes import Process, job_processes, look, members, open_pidfd, send

ME = 300
# pid: (ppid, session). The machine on which this process, 300, was started by a shell in a container's session 0.
MACHINE = {
    1: (0, 0),
    2: (0, 0),
    50: (1, 0),  # what started the shell from outside: its session has no number here
    51: (50, 51),
    200: (51, 51),
    ME: (200, 51),
    301: (ME, 301),  # a launcher
    400: (301, 400),  # a keeper
    401: (400, 401),  # its job: leads its session
    402: (401, 401),
    403: (402, 403),  # a grandchild in a session of its own
    500: (1, 500),  # somebody else's
    501: (500, 500),
}


def machine(*without: int, **changed: tuple[int, int]) -> dict[int, Process]:
    table = {**MACHINE, **{int(pid.strip("_")): seen for pid, seen in changed.items()}}
    return {
        pid: Process(pid, ppid, session, "S", str(1000 + pid))
        for pid, (ppid, session) in table.items()
        if pid not in without
    }


def found(everyone: dict[int, Process], me: int = ME, **job: object) -> set[int]:
    return {process.pid for process in members(everyone, me, **job)}  # type: ignore[arg-type]


def test_a_job_is_its_session_its_key_and_their_descendants() -> None:
    assert found(machine(), leader=401, leader_start="1401") == {401, 402, 403}
    assert found(machine(), ours={402}) == {402, 403}
    assert found(machine(), me=400, root=400) == {401, 402, 403}


def test_parents_come_before_their_children() -> None:
    assert [p.pid for p in members(machine(), 400, root=400)] == [401, 402, 403]


@pytest.mark.parametrize("nobody", [0, 1, -1, 2])
def test_no_number_stands_for_the_machine(nobody: int) -> None:
    """A job killed before its pid was on record has leader 0, and in a container half the machine has session 0."""
    assert found(machine(), leader=nobody, leader_start="") == set()
    assert found(machine(), root=nobody) == set()
    assert found(machine(), leader=nobody, leader_start=f"{1000 + nobody}") == set()


def test_nothing_is_found_for_nothing() -> None:
    assert found(machine()) == set()


def test_init_and_sessions_from_outside_are_spared_though_they_carry_the_key() -> None:
    assert found(machine(), ours={1, 2, 50}) == set()


def test_this_process_and_those_above_it_are_spared() -> None:
    for above in (ME, 200, 51):
        assert not found(machine(), ours={above}) & {ME, 200, 51}
        assert not found(machine(), leader=above, leader_start=str(1000 + above)) & {ME, 200, 51}
    assert not found(machine(), root=51) & {ME, 200, 51}


def test_a_session_that_this_process_is_in_is_no_jobs() -> None:
    neighbours = machine(_210=(51, 51))
    assert found(neighbours, leader=51, leader_start="1051") == set()


def test_a_leader_whose_pid_was_reused_names_nobody() -> None:
    assert found(machine(), leader=500, leader_start="7") == set()


def test_a_session_without_its_leader_needs_the_key_as_proof() -> None:
    orphaned = machine(401, _402=(400, 401))
    assert found(orphaned, leader=401, leader_start="1401") == set()
    assert found(orphaned, leader=401, leader_start="1401", ours={402}) == {402, 403}
    assert found(machine(401, _402=(1, 401), _404=(1, 401)), leader=401, leader_start="1401", ours={402}) == {
        402,
        403,
        404,
    }


def test_a_parents_reused_pid_brings_no_strangers() -> None:
    everyone = machine(_600=(402, 500))
    everyone[600] = everyone[600]._replace(start="1300")
    assert 600 not in found(everyone, ours={401})


def test_zombies_do_not_count_but_their_children_do() -> None:
    everyone = machine()
    everyone[402] = everyone[402]._replace(state="Z")
    assert found(everyone, ours={401}) == {401, 403}


def test_parents_that_go_round_in_a_circle_end_the_search() -> None:
    circle = machine(_300=(301, 51))
    assert found(circle, ours={401}) == {401, 402, 403}


@pytest.mark.parametrize("key", ["", "short"])
def test_a_key_that_is_cut_short_is_nobodys(key: str) -> None:
    child = subprocess.Popen(["sleep", "600"], env=os.environ | {processes.KEY_VARIABLE: key}, start_new_session=True)
    try:
        assert job_processes(None, 0, "", key) == []
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize("pid", [0, 1, -1, os.getpid()], ids=["group", "init", "all", "self"])
def test_some_are_never_signalled(pid: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if they seem to be the process that is meant, with pidfds and without. Signal 0 would hurt nobody."""
    monkeypatch.setattr(processes, "look", lambda _: Process(pid, 0, 7, "S", "42"))
    assert not send(pid, "42", 0)
    assert not processes._send_unheld(pid, "42", 0)


def test_a_process_is_watched_only_if_it_may_be_signalled() -> None:
    init = look(1)
    assert init is not None
    assert open_pidfd(1, init.start) is None
    assert not send(1, init.start, 0)


def test_only_the_very_process_is_signalled() -> None:
    child = subprocess.Popen(["sleep", "600"])
    process = look(child.pid)
    assert process is not None
    assert not send(child.pid, str(int(process.start) - 1), signal.SIGKILL)
    assert child.poll() is None
    assert send(child.pid, process.start, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert not send(child.pid, process.start, signal.SIGKILL)


RECORD = PidRecord("t.train.1", "k" * 16, "host", "boot", 400, "1400", 401, "1401", 0.0, {"index": 0, "gpus": []})


def test_a_record_survives_its_file() -> None:
    assert PidRecord.from_json(RECORD._asdict()) == RECORD
    assert PidRecord.from_json(RECORD._replace(job_pid=0, job_start="")._asdict()) is not None


@pytest.mark.parametrize(
    "wrong",
    [
        {"keeper_pid": 0},
        {"keeper_pid": 1},
        {"keeper_pid": -1},
        {"keeper_pid": "400"},
        {"keeper_pid": True},
        {"job_pid": 1},
        {"job_pid": -1},
        {"job_pid": None},
        {"key": None},
        {"job_start": 1401},
        {"slot": {}},
        {"more": 1},
    ],
)
def test_a_record_that_cannot_be_right_is_none(wrong: dict[str, object]) -> None:
    assert PidRecord.from_json(RECORD._asdict() | wrong) is None


def test_the_tree_really_seen_is_that_of_the_job(tmp_path: Path) -> None:
    child = subprocess.Popen(["sh", "-c", "sleep 600 & wait"], start_new_session=True, cwd=tmp_path)
    try:
        leader = look(child.pid)
        assert leader is not None
        seen = job_processes(None, child.pid, leader.start, "no such key at all")
        assert seen
        assert {process.session for process in seen} == {child.pid}
    finally:
        for process in job_processes(None, child.pid, look(child.pid).start, "no such key at all"):  # type: ignore[union-attr]
            send(process.pid, process.start, signal.SIGKILL)
        child.wait()
