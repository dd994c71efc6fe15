"""The SkyPilot dispatcher on a scripted SkyPilot: what it tells the sweep, whatever SkyPilot says or does."""

from __future__ import annotations

import json
import shlex
import threading
from collections import Counter
from pathlib import Path

import pytest
from scripted_sky import Bench, FakeJob, ScriptedSky

from sweeptui.core import watched
from sweeptui.core.dispatch import DispatchError, JobPhase, Started
from sweeptui.dispatchers.skypilot import errands, farewell, fleet, log_reader
from sweeptui.dispatchers.skypilot.gateway import GatewayError, RemoteState, Submission
from sweeptui.dispatchers.skypilot.records import sweep_id
from sweeptui.dispatchers.skypilot.task import OURS, warm_names

S = RemoteState


@pytest.fixture(autouse=True)
def _rounds_follow_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "ROUND_S", 0.005)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_job_goes_through_all_states_and_ends_with_its_log(bench: Bench) -> None:
    bench.sky.new = lambda job: setattr(job, "state", S.QUEUED)
    [started] = bench.dispatcher.dispatch([bench.spec()])
    assert isinstance(started, Started)
    assert OURS.fullmatch(started.handle["name"])
    assert started.handle["name"].startswith("st-my-sweep-0001-t1-")
    for state in (S.QUEUED, S.PROVISIONING, S.SETUP, S.RUNNING, S.RECOVERING, S.RUNNING):
        bench.until(lambda: bench.sky.jobs)
        bench.sky.the().state = state
        bench.until(lambda state=state: bench.states()[-1:] == [state])
    job = bench.sky.the()
    job.say("hello", "world")
    job.report(step=1, score=0.5)
    job.end(S.SUCCEEDED, code=0, signal=None, timed_out=False, run_s=12.5, rusage={"utime_s": 1.0})
    end = bench.end()
    assert (end.code, end.run_s, end.rusage) == (0, 12.5, {"utime_s": 1.0})
    assert bench.states() == [*["queued", "provisioning", "setup", "running", "recovering", "running"], "succeeded"]
    spec = bench.spec()
    assert spec.log_path.read_text() == "hello\nworld\n"
    assert json.loads(spec.report_path.read_text()) == {"step": 1, "score": 0.5}
    assert bench.sky.calls["submit"] == 1
    assert bench.sky.calls["down"] == 1


def test_what_is_submitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "task.yaml").write_text("resources: {cpus: 2, disk_size: 64}\nenvs: {A: '1'}\nnum_nodes: 1\nrun: old\n")
    bench = Bench(
        tmp_path,
        task=str(tmp_path / "task.yaml"),
        gpus="H100:1",
        spot=True,
        infra="aws/us-east-1",
        envs={"B": "2"},
        secrets=["WANDB_API_KEY"],
        checkpoints="s3://bucket/base/",
        file_mounts={"/data": "/here"},
    )
    bench.dispatcher.dispatch([bench.spec()])
    submission = bench.until(lambda: bench.sky.jobs and bench.sky.the().submission)
    task = dict(submission.task)
    assert task["resources"] == {
        "cpus": 2,
        "disk_size": 64,
        "accelerators": "H100:1",
        "use_spot": True,
        "infra": "aws/us-east-1",
    }
    assert task["envs"] == {"A": "1", "B": "2", "SWEEPTUI_SEED": "7", "SWEEPTUI_JOB": "trial_0001.train.1"}
    assert task["file_mounts"] == {
        "/data": "/here",
        "/sweeptui-checkpoints": {"source": "s3://bucket/base", "mode": "MOUNT"},
    }
    words = shlex.split(task["run"])
    assert words[:3] == ["exec", "python3", "-c"]
    told = json.loads(words[4])
    assert told["argv"] == ["train", "a b", "$HOME"]
    assert told["params"] == {"x": 1}
    assert submission.secrets == ("WANDB_API_KEY",)
    record = (tmp_path / "trials" / "trial_0001" / "train.1.skypilot.json").read_text()
    assert "WANDB_API_KEY" in record, "its name is kept for a launch after a restart; its value is nowhere"


@pytest.mark.parametrize(
    ("state", "end", "expected"),
    [
        (S.FAILED, {"code": 7, "signal": None}, {"code": 7}),
        (S.FAILED, {"code": None, "signal": 9}, {"code": None, "signal": 9}),
        (S.FAILED, {"code": None, "signal": 15, "timed_out": True}, {"timed_out": True}),
        (S.FAILED, {"code": 127, "message": "trane cannot be started"}, {"message": "trane cannot be started"}),
        (S.FAILED_SETUP, None, {"code": 1, "message": "its setup failed: no pip"}),
        (S.NO_RESOURCES, None, {"not_started": True, "message": "SkyPilot found no machine: no pip"}),
        (S.PREEMPTED, None, {"preempted": True, "message": "no pip"}),
        (S.LOST, None, {"lost": True, "message": "no pip"}),
        (S.CANCELLED, None, {"killed": True}),
        (S.SUCCEEDED, None, {"code": 0}),
    ],
)
def test_each_end_is_told_apart(bench: Bench, state: S, end: dict[str, object] | None, expected: dict) -> None:
    def ends(job: FakeJob) -> None:
        job.state, job.reason = state, "no pip"
        if end is not None:
            job.end(state, **end)

    bench.sky.new = ends
    bench.dispatcher.dispatch([bench.spec()])
    told = bench.end()
    assert {name: getattr(told, name) for name in expected} == expected


def test_what_a_failed_setup_said_is_in_the_log(bench: Bench) -> None:
    def fails(job: FakeJob) -> None:
        job.state, job.lines = S.FAILED_SETUP, ["(setup pid=3) no such package"]

    bench.sky.new = fails
    bench.dispatcher.dispatch([bench.spec()])
    bench.end()
    assert "no such package" in bench.spec().log_path.read_text()


def test_an_unknown_job_is_not_lost_at_once(bench: Bench) -> None:
    bench.dispatcher.dispatch([bench.spec()])
    bench.until(lambda: bench.states()[-1:] == ["running"])
    job = bench.sky.the()
    job.hidden = True
    seen = bench.sky.calls["poll_many"]
    bench.until(lambda: bench.sky.calls["poll_many"] >= seen + 2)
    job.hidden = False
    bench.until(lambda: bench.sky.calls["poll_many"] >= seen + 8)
    assert not bench.ends()
    job.hidden = True
    assert bench.end().lost
    assert bench.sky.calls["find_by_name"] >= 1, "it was searched for before it was given up"


def test_a_cluster_that_is_gone_was_preempted(tmp_path: Path) -> None:
    bench = Bench(tmp_path, mode="cluster")
    bench.dispatcher.dispatch([bench.spec()])
    bench.until(lambda: bench.states()[-1:] == ["running"])
    bench.sky.the().hidden = True
    assert bench.end().preempted


def test_a_kill_is_really_gone_before_it_is_told(bench: Bench) -> None:
    bench.sky.stubborn = True
    bench.dispatcher.dispatch([bench.spec()])
    bench.until(lambda: bench.states()[-1:] == ["running"])
    bench.dispatcher.cancel("trial_0001.train.1")
    bench.until(lambda: bench.sky.calls["cancel"])
    looks = bench.sky.calls["poll_many"]
    bench.until(lambda: bench.sky.calls["poll_many"] > looks + 3)
    assert not bench.ends()
    bench.sky.the().state = S.CANCELLED
    end = bench.end()
    assert end.killed
    assert bench.states()[-2:] in (["running", "ending"], ["ending", "cancelled"])


def test_a_launch_can_be_cancelled_while_it_is_under_way(bench: Bench) -> None:
    bench.sky.gate.clear()
    bench.dispatcher.dispatch([bench.spec()])
    bench.until(lambda: bench.sky.calls["submit"])
    bench.dispatcher.cancel("trial_0001.train.1")
    bench.until(lambda: bench.sky.calls["down"])
    bench.sky.gate.set()
    assert bench.end().killed
    assert bench.sky.the().state.over


def test_what_was_never_launched_is_killed_without_a_call(tmp_path: Path) -> None:
    bench = Bench(tmp_path, max_submissions=1)
    bench.sky.gate.clear()
    bench.dispatcher.dispatch([bench.spec(1), bench.spec(2)])
    bench.until(lambda: bench.sky.calls["submit"])
    bench.dispatcher.cancel("trial_0002.train.1")
    assert bench.end(2).killed
    bench.sky.gate.set()
    bench.until(lambda: bench.sky.jobs)
    assert len(bench.sky.jobs) == 1


def test_waiting_for_a_machine_has_a_limit_of_its_own(bench: Bench) -> None:
    bench.sky.new = lambda job: setattr(job, "state", S.PROVISIONING)
    bench.dispatcher.dispatch([bench.spec(queue_timeout_s=0.05)])
    end = bench.end()
    assert end.timed_out
    assert end.message == "waited for a machine longer than queue_timeout_s (0.05 s)"


def test_running_is_not_waiting(bench: Bench) -> None:
    bench.dispatcher.dispatch([bench.spec(queue_timeout_s=5.0)])
    bench.until(lambda: bench.states()[-1:] == ["running"])
    [job] = bench.dispatcher._opened.jobs.values()
    job.record.queued_at -= 100
    looks = bench.sky.calls["poll_many"]
    bench.until(lambda: bench.sky.calls["poll_many"] > looks + 5)
    assert not bench.ends()
    assert not bench.sky.calls["cancel"]


@pytest.mark.parametrize("done", [False, True])
def test_a_launch_whose_answer_was_lost_is_not_repeated_blindly(bench: Bench, done: bool) -> None:
    """The call failed, before or after SkyPilot had the job."""
    fault = [GatewayError("connection reset", again=True)]
    (bench.sky.late_faults if done else bench.sky.faults)["submit"] = fault
    bench.dispatcher.dispatch([bench.spec()])
    bench.until(lambda: bench.states()[-1:] == ["running"])
    assert not fault, "the fault happened"
    assert len(bench.sky.jobs[bench.sky.the().name]) == 1
    assert bench.sky.calls["submit"] == (1 if done else 2)


def test_a_launch_that_is_refused_is_cleared_away(bench: Bench) -> None:
    bench.sky.faults["submit"] = [GatewayError("no such accelerator: H1000")]
    bench.dispatcher.dispatch([bench.spec()])
    end = bench.end()
    assert end.not_started
    assert end.message == "no such accelerator: H1000"
    assert bench.sky.calls["down"] == 1


def test_a_copy_of_a_job_is_cancelled(bench: Bench) -> None:
    bench.dispatcher.dispatch([bench.spec()])
    bench.until(lambda: bench.states()[-1:] == ["running"])
    job = bench.sky.the()
    copy = FakeJob(job.name, "99", job.submission)
    bench.sky.jobs[job.name].append(copy)
    bench.until(lambda: copy.state is S.CANCELLED)
    assert job.state is S.RUNNING
    assert not bench.ends()


def test_a_skypilot_that_does_not_answer_loses_nothing(bench: Bench) -> None:
    bench.dispatcher.dispatch([bench.spec()])
    bench.until(lambda: bench.states()[-1:] == ["running"])
    faults = [GatewayError("no route to host", again=True) for _ in range(4)]
    bench.sky.faults["poll_many"] = faults
    bench.until(lambda: not faults)
    bench.sky.the().end(S.SUCCEEDED, code=0)
    assert bench.end().code == 0


def test_500_jobs_take_one_look_at_a_time(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ScriptedSky(lambda job: setattr(job, "state", S.PROVISIONING)))
    specs = [bench.spec(number) for number in range(1, 501)]
    answers = bench.dispatcher.dispatch(specs)
    assert not [answer for answer in answers if isinstance(answer, DispatchError)]
    bench.until(lambda: len(bench.sky.jobs) == 500)
    assert bench.sky.most_in_flight <= 4
    bench.until(lambda: bench.sky.asked[-1][0] == "poll_many" and len(bench.sky.asked[-1][1]) == 500)
    for [job] in bench.sky.jobs.values():
        job.end(S.SUCCEEDED, code=0)
    bench.until(lambda: len(bench.ends()) == 500)
    assert {end.code for end in bench.ends().values()} == {0}
    assert all(len(jobs) == 1 for jobs in bench.sky.jobs.values())


# -- restarts ---------------------------------------------------------------------------------------------------------


def adopt(bench: Bench, number: int = 1) -> JobPhase | None:
    spec = bench.spec(number)
    update = bench.dispatcher.adopt(spec.token, spec.trial_dir, {})
    if update is None:
        return None
    if update.exit is not None:
        bench.updates.append(update)
    return update.phase


def test_without_a_record_nothing_was_launched(bench: Bench) -> None:
    assert adopt(bench) is None


def test_killed_before_the_launch_it_is_launched_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.dispatcher.dispatch([bench.spec()])
    assert not bench.sky.calls
    bench.restart()
    assert adopt(bench) is JobPhase.RUNNING
    bench.until(lambda: bench.states()[-1:] == ["running"])
    assert bench.sky.calls["submit"] == 1
    assert bench.sky.asked[0][0] == "find_by_name"


def test_killed_between_launch_and_answer_it_is_found_by_name(bench: Bench) -> None:
    bench.sky.gate.clear()
    bench.dispatcher.dispatch([bench.spec()])
    bench.until(lambda: bench.sky.calls["submit"])
    bench.restart()
    bench.sky.gate.set()
    # SkyPilot carries the launch out, whoever asked for it.
    while not bench.sky.jobs:
        pass
    assert adopt(bench) is JobPhase.RUNNING
    bench.until(lambda: bench.states()[-1:] == ["running"])
    assert len(bench.sky.jobs[bench.sky.the().name]) == 1
    assert bench.sky.calls["submit"] == 1


def test_killed_while_it_runs_its_log_goes_on_where_it_was(bench: Bench) -> None:
    bench.dispatcher.dispatch([bench.spec()])
    bench.until(lambda: bench.sky.jobs)
    bench.sky.the().say("one")
    bench.sky.the().report(step=1)
    spec = bench.spec()
    bench.until(lambda: spec.report_path.exists() and spec.log_path.exists())
    bench.restart()
    bench.sky.the().say("two")
    bench.sky.the().report(step=2)
    bench.sky.the().end(S.SUCCEEDED, code=0)
    assert adopt(bench) is JobPhase.RUNNING
    assert bench.end().code == 0
    assert spec.log_path.read_text() == "one\ntwo\n"
    assert [json.loads(line)["step"] for line in spec.report_path.read_text().splitlines()] == [1, 2]


def test_killed_after_the_end_it_is_told_again_and_the_same(bench: Bench) -> None:
    bench.sky.new = lambda job: job.end(S.FAILED, code=3)
    bench.dispatcher.dispatch([bench.spec()])
    first = bench.end()
    bench.restart()
    assert adopt(bench) is JobPhase.ENDED
    assert bench.end() == first
    assert bench.sky.calls["submit"] == 1


def test_a_damaged_record_is_a_lost_job(bench: Bench) -> None:
    (bench.spec().trial_dir / "train.1.skypilot.json").write_text("{")
    assert adopt(bench) is JobPhase.ENDED
    assert bench.end().lost


def test_two_sweeps_of_one_name_have_jobs_of_different_names(tmp_path: Path) -> None:
    names = set()
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        bench = Bench(folder)
        [started] = bench.dispatcher.dispatch([bench.spec()])
        names.add(started.handle["name"])
    assert len(names) == 2


def test_nothing_is_left_standing_when_the_sweep_ends(bench: Bench) -> None:
    bench.dispatcher.dispatch([bench.spec()])
    bench.until(lambda: bench.sky.jobs)
    name = bench.sky.the().name
    stray = FakeJob(name.replace("-0001-", "-0009-"), "77", bench.sky.the().submission)
    bench.sky.the().end(S.SUCCEEDED, code=0)
    bench.end()
    bench.sky.jobs[stray.name] = [stray]
    bench.dispatcher.close()
    assert stray.state is S.CANCELLED
    assert bench.sky.closed == 1


def test_clusters_that_are_kept_for_the_sweep_go_with_it_even_if_nothing_was_launched_any_more(tmp_path: Path) -> None:
    bench = Bench(tmp_path, mode="cluster", clusters=2)
    names = warm_names("My Sweep", 2, sweep_id(tmp_path))
    assert all(OURS.fullmatch(name) for name in names)
    clusters = [FakeJob(name, "1", Submission(name, {})) for name in names]
    bench.sky.jobs = {cluster.name: [cluster] for cluster in clusters}
    bench.dispatcher.close()
    assert [cluster.state for cluster in clusters] == [S.CANCELLED] * 2


def test_what_could_not_be_taken_down_in_time_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(farewell, "LIMIT_S", 0.02)
    bench, answer = Bench(tmp_path, mode="cluster", clusters=1), threading.Event()

    def standing(suffix: str) -> list[str]:
        assert answer.wait(60)
        return []

    bench.sky.standing = standing  # type: ignore[method-assign]
    bench.dispatcher.close()
    answer.set()
    assert "sweeptui doctor lists what still stands" in caplog.text


def test_a_job_that_waited_on_a_kept_cluster_is_preempted_with_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path, mode="cluster", clusters=1)
    bench.sky.new = lambda job: setattr(job, "state", S.QUEUED)
    bench.dispatcher.dispatch([bench.spec()])
    bench.until(lambda: bench.states()[-1:] == ["queued"])
    bench.sky.the().hidden = True
    assert bench.end().preempted


@pytest.fixture
def only_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The turns of logs that nobody looks at are far away, once each has had one."""
    monkeypatch.setattr(log_reader, "WATCHED_S", 0.01)
    monkeypatch.setattr(errands.Errands, "pause_s", lambda self, took_s: 3600.0)


def logs_asked(bench: Bench) -> Counter[str]:
    """How often each job's log was brought, by the number of its trial."""
    return Counter(asked[0].split("-")[3] for method, asked in bench.sky.asked if method == "logs")


def test_the_log_of_the_trial_that_somebody_looks_at_comes_first(tmp_path: Path, only_watched: None) -> None:
    bench = Bench(tmp_path)
    bench.sky.faults["follow"] = [GatewayError("logs are not followed here") for _ in range(1000)]
    bench.dispatcher.dispatch([bench.spec(number) for number in range(1, 6)])
    bench.until(lambda: bench.sky.calls["logs"] >= 5)
    watched.say(tmp_path, 4)
    bench.until(lambda: bench.sky.calls["logs"] >= 15)
    assert bench.sky.calls["follow"] > 0
    watched.say(tmp_path, 2)
    bench.until(lambda: logs_asked(bench)["0002"] >= 5)
    logs = logs_asked(bench)
    assert {number: count for number, count in logs.items() if number not in ("0002", "0004")} == {
        "0001": 1,
        "0003": 1,
        "0005": 1,
    }


def test_the_log_of_the_trial_that_somebody_looks_at_is_followed(tmp_path: Path, only_watched: None) -> None:
    bench = Bench(tmp_path)
    first, second = bench.spec(1), bench.spec(2)
    bench.dispatcher.dispatch([first, second])
    bench.until(lambda: bench.sky.calls["logs"] >= 2)
    watched.say(tmp_path, 1)
    bench.until(lambda: bench.sky.followed)
    job, brought = bench.sky.the("-0001-"), logs_asked(bench)["0001"]
    for number in range(5):
        job.say(f"line {number}")
        job.report(step=number)
        bench.until(lambda: first.log_path.exists() and f"line {number}" in first.log_path.read_text())  # noqa: B023
    assert logs_asked(bench)["0001"] == brought
    # SkyPilot hangs up: it is followed again, and nothing is twice.
    bench.sky.followed[job.name].set()
    bench.until(lambda: bench.sky.calls["follow"] == 2)
    job.say("after the gap")
    bench.until(lambda: "after the gap" in first.log_path.read_text())
    assert first.log_path.read_text().splitlines() == [*(f"line {number}" for number in range(5)), "after the gap"]
    assert [json.loads(line)["step"] for line in first.report_path.read_text().splitlines()] == list(range(5))
    watched.say(tmp_path, 2)
    bench.until(bench.sky.followed[job.name].is_set)
    bench.until(lambda: any("-0002-" in name for name in bench.sky.followed))
    bench.sky.the("-0002-").say("done")
    bench.sky.the("-0002-").end(S.SUCCEEDED, code=0)
    bench.end(2)
    assert second.log_path.read_text() == "done\n"
    bench.sky.close()


def test_a_log_is_followed_once_at_a_time(tmp_path: Path, only_watched: None) -> None:
    """SkyPilot ends a stream a while after it is asked to; who comes back meanwhile gets the log in pieces."""
    bench = Bench(tmp_path)
    bench.sky.unfollow = lambda name: None  # type: ignore[method-assign]
    bench.dispatcher.dispatch([bench.spec(1), bench.spec(2)])

    def followed(trial: int) -> int:
        return sum(method == "follow" and f"-{trial:04d}-" in asked[0] for method, asked in bench.sky.asked)

    for trial in (1, 2):
        watched.say(tmp_path, trial)
        bench.until(lambda: followed(trial))  # noqa: B023
    watched.say(tmp_path, 1)
    before = logs_asked(bench)["0001"]
    bench.until(lambda: logs_asked(bench)["0001"] >= before + 5)
    assert followed(1) == 1
    bench.sky.followed[bench.sky.the("-0001-").name].set()
    bench.until(lambda: followed(1) == 2)
    bench.sky.close()


def test_lines_that_do_not_join_are_followed_from_the_first_one(
    tmp_path: Path, only_watched: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_reader, "LOG_TAIL", 2)
    bench = Bench(tmp_path)
    spec = bench.spec()
    bench.sky.new = lambda job: job.say("0")
    bench.dispatcher.dispatch([spec])
    bench.until(spec.log_path.exists)
    # So that only what is followed can fill the gap.
    bench.sky.faults["logs"] = [GatewayError("not now", again=True) for _ in range(1000)]
    bench.sky.the().say(*"123456")
    watched.say(tmp_path, 1)
    bench.until(lambda: spec.log_path.read_text().splitlines() == list("0123456"))
    assert [asked[1] for method, asked in bench.sky.asked if method == "follow"] == [2, None]
    bench.sky.close()


def test_what_runs_is_left_alone_when_the_sweep_lets_go(bench: Bench) -> None:
    bench.dispatcher.dispatch([bench.spec()])
    bench.until(lambda: bench.states()[-1:] == ["running"])
    bench.dispatcher.close()
    assert bench.sky.the().state is S.RUNNING


def test_cost_is_added_up_while_the_machine_is_there(bench: Bench) -> None:
    bench.sky.new = lambda job: setattr(job, "price_usd_h", 3600.0)
    bench.dispatcher.dispatch([bench.spec()])
    bench.until(lambda: bench.states()[-1:] == ["running"])
    [job] = bench.dispatcher._opened.jobs.values()
    job.record.priced_at -= 120
    bench.sky.the().end(S.SUCCEEDED, code=0)
    cost = bench.end().cost_usd
    assert cost is not None
    assert cost >= 120
    assert 3600.0 in [update.slot.get("usd_h") for update in bench.updates if update.slot]
