"""The local dispatcher, with real processes: starting, watching, adopting, and what is left when parts are killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_jobs import Bench, kill_orchestrator_after, left_over, python, wait_until

from sweeptui.core.dispatch import DispatchError, JobPhase, Started
from sweeptui.dispatchers.local import channel
from sweeptui.dispatchers.local.files import JobFiles
from sweeptui.dispatchers.local.processes import alive, kill_all, look

GLIBC_OWN = 0b11 << 31
"""The mask of signals 32 and 33, which glibc keeps to itself; its posix_spawn leaves them ignored."""
SLEEP = "print('up', flush=True)\nimport time\ntime.sleep(600)"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    bench.dispatcher.open()
    yield bench
    bench.dispatcher.close()
    for pid_file in tmp_path.rglob("*.pid.json"):
        record = json.loads(pid_file.read_text())
        kill_all(record["job_pid"], record["job_start"], record["key"])


@pytest.fixture
def successor(tmp_path: Path) -> Iterator[Bench]:
    """The next orchestrator on the same sweep; the test opens it."""
    bench = Bench(tmp_path)
    yield bench
    bench.dispatcher.close()


@pytest.mark.parametrize(
    ("code", "exit_code", "signum"),
    [
        ("", 0, None),
        ("raise SystemExit(3)", 3, None),
        ("import os; os.kill(os.getpid(), 9)", None, 9),
        ("import os; os.abort()", None, 6),
    ],
)
def test_the_end_is_told_as_it_was(bench: Bench, code: str, exit_code: int | None, signum: int | None) -> None:
    before = time.time()
    end = bench.run(python(code))
    assert (end.code, end.signal) == (exit_code, signum)
    assert (end.killed, end.timed_out, end.lost, end.message) == (False, False, False, "")
    assert end.started_at is not None
    assert end.ended_at is not None
    assert before <= end.started_at <= end.ended_at <= time.time()
    assert end.run_s > 0
    assert end.paused_s == 0
    assert end.rusage["maxrss_bytes"] > 1e6
    assert end.rusage["utime_s"] + end.rusage["stime_s"] > 0


def test_the_resources_of_grandchildren_count(bench: Bench) -> None:
    burn = "import time\nt = time.process_time()\nwhile time.process_time() < t + 0.5: pass"
    end = bench.run(python(f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {burn!r}])"))
    assert end.rusage["utime_s"] + end.rusage["stime_s"] >= 0.5


def test_output_goes_straight_to_the_log_in_order(bench: Bench) -> None:
    code = """
import os, stat, sys
for stream in (1, 2, 1, 2):
    os.write(stream, b'to %d\\n' % stream)
assert stat.S_ISREG(os.fstat(1).st_mode) and stat.S_ISREG(os.fstat(2).st_mode), 'a pipe'
assert os.path.samestat(os.fstat(0), os.stat('/dev/null')) and os.read(0, 1) == b''
print(sorted(os.listdir('/proc/self/fd')))
"""
    assert bench.run(python(code)).code == 0, bench.log()
    assert bench.log() == "to 1\nto 2\nto 1\nto 2\n['0', '1', '2', '3']\n", "3 is the listing itself"


def test_a_log_is_never_cut_short(bench: Bench) -> None:
    bench.trial_dir().mkdir(parents=True)
    (bench.trial_dir() / "train.1.log").write_text("before\n")
    bench.run(python("print('after')"))
    assert bench.log() == "before\nafter\n"


def test_the_job_learns_who_it_is(tmp_path: Path) -> None:
    bench = Bench(tmp_path, os.environ | {"INHERITED": "yes", "OMP_NUM_THREADS": "5"})
    bench.dispatcher.open()
    end = bench.run(
        python("import json, os; print(json.dumps([dict(os.environ), os.getcwd(), os.getsid(0) == os.getpid()]))"),
        env={"MINE": "ß"},
        cpus=2,
    )
    bench.dispatcher.close()
    environment, cwd, leads_session = json.loads(bench.log())
    assert end.code == 0
    assert environment["SWEEPTUI_JOB"] == "trial_0001.train.1"
    assert environment["SWEEPTUI_TRIAL"] == "trial_0001"
    assert environment["SWEEPTUI_REPORT"] == str(bench.trial_dir() / "train.1.reports.jsonl")
    assert environment["PYTHONUNBUFFERED"] == "1"
    assert (environment["INHERITED"], environment["MINE"]) == ("yes", "ß")
    assert (environment["OMP_NUM_THREADS"], environment["MKL_NUM_THREADS"]) == ("5", "2")
    assert cwd == str(tmp_path)
    assert leads_session


def test_secrets_stay_out_of_the_files(bench: Bench) -> None:
    assert bench.run(("sh", "-c", 'test "$WANDB_API_KEY" = hunter2'), env={"WANDB_API_KEY": "hunter2"}).code == 0
    files = [path for path in bench.folder.rglob("*") if path.is_file()]
    assert JobFiles.of(bench.trial_dir(), bench.token()).pid in files
    assert not any("hunter2" in path.read_text() for path in files)


def test_any_argument_arrives_as_it_is(bench: Bench) -> None:
    arguments = ("ü ñ 漢字 🙂", "", "a b", "'\"$HOME;`ls`", "line\nbreak", os.fsdecode(b"\xff\xfe"))
    assert bench.run(python("import os, sys; print([os.fsencode(a) for a in sys.argv[1:]])", *arguments)).code == 0
    assert bench.log().strip() == str([os.fsencode(argument) for argument in arguments])


def test_signals_that_the_orchestrator_blocks_or_ignores_reach_jobs(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    ignored = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        bench.dispatcher.open()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        signal.signal(signal.SIGHUP, ignored)
    bench.run(("grep", "-E", "SigBlk|SigIgn", "/proc/self/status"))
    bench.dispatcher.close()
    _, blocked_there, _, ignored_there = bench.log().split()
    assert int(blocked_there, 16) == 0
    assert int(ignored_there, 16) & ~GLIBC_OWN == 0


@pytest.fixture
def fake_programs(tmp_path: Path) -> Path:
    (tmp_path / "plain").write_text("echo hello")
    (tmp_path / "orphan").write_text("#!/no/such/interpreter\n")
    (tmp_path / "noise").write_text("\x00\x01 neither program nor script")
    for name in ("orphan", "noise"):
        (tmp_path / name).chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("argv", "changes", "sentence"),
    [
        (("no-such-program",), {}, r"^command not found: 'no-such-program'; is it installed and on PATH\?$"),
        (("./no-such-program",), {}, r"^command not found: './no-such-program' \(looked in .*\); check the path$"),
        (("./plain",), {}, r"'plain' is not executable: run chmod \+x"),
        (("./orphan",), {}, r"the interpreter in the first line of './orphan' does not exist"),
        (("./noise",), {}, r"'./noise' is not a program for this machine"),
        (("true",), {"cwd": Path("/no/such/folder")}, r"the working directory '/no/such/folder' cannot be entered"),
        (("true", "a\0b"), {}, r"'true' could not be started: embedded null byte"),
        (("true", "x" * 3_000_000), {}, r"the arguments and environment of 'true' are too long"),
        (("true",), {"log_path": Path("/no/such/log")}, r"the log '/no/such/log' cannot be opened"),
    ],
)
@pytest.mark.usefixtures("fake_programs")
def test_what_cannot_start_says_why_and_leaves_nothing(
    bench: Bench, argv: tuple[str, ...], changes: dict[str, Path], sentence: str
) -> None:
    with pytest.raises(DispatchError, match=sentence):
        bench.dispatch(bench.spec(argv, **changes))
    assert bench.dispatcher.adopt(bench.token(), bench.trial_dir(), {}) is None
    assert {path.name for path in bench.trial_dir().iterdir()} <= {"train.1.log"}
    # Its slot is free, and nothing stands in the way of a start once the mistake is corrected.
    assert bench.dispatch(bench.spec(("true",))).slot["index"] == 0
    assert bench.wait().code == 0


def test_a_trial_folder_that_cannot_be_made_is_said(bench: Bench) -> None:
    (bench.folder / "trials").write_text("in the way")
    with pytest.raises(DispatchError, match="trials/trial_0001 cannot be made"):
        bench.dispatch(bench.spec(("true",)))


def test_a_token_is_never_started_twice(bench: Bench, successor: Bench) -> None:
    bench.start(python(SLEEP))
    with pytest.raises(DispatchError, match="runs already"):
        bench.dispatch(bench.spec(("true",)))
    bench.dispatcher.cancel(bench.token())
    bench.wait()
    with pytest.raises(DispatchError, match="never started twice"):
        bench.dispatch(bench.spec(("true",)))
    bench.dispatcher.close()
    successor.dispatcher.open()
    with pytest.raises(DispatchError, match="never started twice"):
        successor.dispatch(successor.spec(("true",)))


def test_jobs_given_together_are_answered_in_their_order(bench: Bench) -> None:
    look_around = python(  # at what it has open for good: it is still at work when its job begins
        "import os, time; look = lambda: sorted(os.listdir(f'/proc/{os.getppid()}/fd'), key=int); seen = []\n"
        "while len(seen) < 20 or seen[-20:] != [seen[-1]] * 20: seen.append(look()); time.sleep(0.02)\n"
        "print(seen[-1], flush=True); print(0)"
    )
    specs = [bench.spec(look_around, n) for n in range(1, 5)]
    specs[2] = bench.spec(("no-such-program",), 3)
    first, second, third, fourth = bench.dispatcher.dispatch(specs)
    assert isinstance(third, DispatchError)
    assert "no-such-program" in str(third)
    for answer in (first, second, fourth):
        assert not isinstance(answer, DispatchError)
    assert [bench.wait(n).code for n in (1, 2, 4)] == [0, 0, 0]
    # What a keeper has open is its own: as much for one that was forked first as for one that was forked last.
    assert len({len(bench.log(n).splitlines()[0].split()) for n in (1, 2, 4)}) == 1
    with pytest.raises(ValueError, match="twice"):
        bench.dispatcher.dispatch([bench.spec(("true",), 9)] * 2)


def test_fifty_jobs_at_once(bench: Bench) -> None:
    code = "import time; time.sleep(0.5); raise SystemExit({})"
    answers = bench.dispatcher.dispatch([bench.spec(python(code.format(n)), n) for n in range(1, 51)])
    assert [isinstance(answer, Started) and answer.slot["index"] for answer in answers] == list(range(50))
    assert [bench.wait(n).code for n in range(1, 51)] == list(range(1, 51))
    assert bench.start(("true",), 51).slot["index"] == 0


def test_gpus_are_handed_out_and_taken_back(tmp_path: Path) -> None:
    environ = os.environ | {"CUDA_VISIBLE_DEVICES": "3,GPU-b"}
    bench = Bench(tmp_path, environ)
    bench.dispatcher.open()
    show = "import os, time; print(os.environ['CUDA_VISIBLE_DEVICES'], flush=True); time.sleep(600)"
    bench.start(python(show), 1, gpus=1)
    bench.start(python(show), 2, gpus=1)
    bench.wait_log("3\n", 1)
    bench.wait_log("GPU-b\n", 2)
    assert bench.dispatcher.capacity(1, 1).reason == "needs 1 GPU, but 0 of 2 are free"
    with pytest.raises(DispatchError, match="needs 1 GPU"):
        bench.dispatch(bench.spec(("true",), 3, gpus=1))
    bench.start(("printenv", "CUDA_VISIBLE_DEVICES"), 4)
    bench.wait(4)
    assert bench.log(4) == "3,GPU-b\n", "a job that asks for no GPU sees what is inherited"
    bench.dispatcher.close()

    again = Bench(tmp_path, environ)
    again.dispatcher.open()
    for number in (1, 2):
        assert again.dispatcher.adopt(again.token(number), again.trial_dir(number), {}) is not None
    assert not again.dispatcher.capacity(1, 1).free
    again.dispatcher.cancel(again.token(2))
    again.wait(2)
    assert again.start(("true",), 5, gpus=1).slot == {"index": 1, "gpus": ["GPU-b"]}
    again.dispatcher.cancel(again.token(1))
    again.wait(1)
    again.dispatcher.close()


def test_jobs_outlive_a_killed_orchestrator_and_are_adopted(tmp_path: Path, successor: Bench) -> None:
    go = tmp_path / "go"
    until_go = f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\nraise SystemExit(%d)"
    ended = JobFiles.of(successor.trial_dir(2), successor.token(2)).exit
    launcher = kill_orchestrator_after(
        tmp_path, until_go % 11, "raise SystemExit(12)", until_go % 13, until=ended.exists
    )
    wait_until(lambda: (it := look(launcher)) is None or it.state == "Z", "the launcher to leave with its orchestrator")
    successor.dispatcher.open()
    seen = [successor.dispatcher.adopt(successor.token(n), successor.trial_dir(n), {}) for n in (1, 2, 3, 4)]
    assert [update and update.phase for update in seen] == [JobPhase.RUNNING, JobPhase.ENDED, JobPhase.RUNNING, None]
    assert seen[1] is not None
    assert seen[1].exit is not None
    assert seen[1].exit.code == 12
    # Slots of adopted jobs are taken: trial 2's was free again when trial 3 started or not, but never 0.
    taken = {successor.record(n).slot["index"] for n in (1, 3)}
    assert successor.start(("true",), 5).slot["index"] not in taken
    go.touch()
    assert [successor.wait(n).code for n in (1, 3)] == [11, 13]
    assert not any(left_over(successor.record(n)) for n in (1, 2, 3))


def test_a_handle_finds_a_job_whose_pid_file_is_gone(bench: Bench, successor: Bench) -> None:
    handle = bench.dispatch(bench.spec(python(SLEEP))).handle
    bench.dispatcher.close()
    JobFiles.of(bench.trial_dir(), bench.token()).pid.unlink()
    successor.dispatcher.open()
    found = successor.dispatcher.adopt(bench.token(), bench.trial_dir(), json.loads(json.dumps(handle)))
    assert found is not None
    assert found.phase == JobPhase.RUNNING
    successor.dispatcher.cancel(bench.token())
    assert successor.wait().killed


def test_a_paused_job_is_adopted_as_paused(bench: Bench, successor: Bench) -> None:
    bench.start(python(SLEEP))
    bench.dispatcher.pause(bench.token())
    bench.wait_phase(JobPhase.PAUSED)
    bench.dispatcher.close()
    successor.dispatcher.open()
    found = successor.dispatcher.adopt(bench.token(), bench.trial_dir(), {})
    assert found is not None
    assert found.phase == JobPhase.PAUSED
    successor.dispatcher.resume(bench.token())
    successor.wait_phase(JobPhase.RUNNING)
    successor.dispatcher.cancel(bench.token())
    assert successor.wait().signal == signal.SIGTERM


DAEMON = """
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print('daemon', os.getpid(), flush=True)
        time.sleep(600)
    os._exit(0)
os.wait()
"""


def test_a_killed_keeper_means_lost_and_nothing_left(bench: Bench) -> None:
    record = bench.start(python(DAEMON + SLEEP))
    bench.wait_log("daemon")
    bench.wait_log("up")
    assert len(left_over(record)) == 2
    os.kill(record.keeper_pid, signal.SIGKILL)
    end = bench.wait()
    assert end.lost
    assert end.message == "its keeper was killed, so nobody saw how it ended"
    assert not alive(record.keeper_pid, record.keeper_start), "the fault happened"
    assert left_over(record) == []
    assert bench.start(("true",), 2).slot["index"] == 0, "its slot is free"


def test_a_keeper_killed_while_nobody_watched(bench: Bench, successor: Bench) -> None:
    record = bench.start(python(DAEMON + SLEEP))
    bench.wait_log("daemon")
    bench.dispatcher.close()
    os.kill(record.keeper_pid, signal.SIGKILL)
    wait_until(lambda: not alive(record.keeper_pid, record.keeper_start), "the keeper's death")
    assert left_over(record), "the job outlives its keeper"
    successor.dispatcher.open()
    for _ in range(2):
        found = successor.dispatcher.adopt(bench.token(), bench.trial_dir(), {})
        assert found is not None
        assert found.exit is not None
        assert found.exit.lost
        assert left_over(record) == []


def test_a_killed_launcher_is_replaced_and_loses_nothing(bench: Bench) -> None:
    go = bench.folder / "go"
    bench.start(
        python(f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\nraise SystemExit(4)")
    )
    first = bench.dispatcher.launcher_pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert bench.run(("true",), 2).code == 0
    assert bench.dispatcher.launcher_pid != first
    go.touch()
    assert bench.wait(1).code == 4


@pytest.mark.parametrize("delay_s", [0.0, 0.001, 0.003, 0.3])
def test_a_launcher_killed_in_the_middle_of_a_launch(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, delay_s: float
) -> None:
    """Whether the launch had happened or not: the job runs, and once."""
    receive, killed = channel.LauncherChannel._receive, []

    def kill_before_the_answer(self: channel.LauncherChannel) -> object:
        if not killed and self.pid:
            time.sleep(delay_s)
            killed.append(self.pid)
            os.kill(self.pid, signal.SIGKILL)
            raise channel.LauncherGoneError
        return receive(self)

    monkeypatch.setattr(channel.LauncherChannel, "_receive", kill_before_the_answer)
    assert bench.run(python("print('ran')")).code == 0
    assert killed
    assert bench.log() == "ran\n"


def test_one_launcher_at_a_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "LOCK_S", 0.3)
    second = channel.LauncherChannel(bench.dispatcher._channel._lock_path, os.environ)
    with pytest.raises(DispatchError, match=r"launch.lock is held: another process still launches jobs of this sweep"):
        second.start()
    bench.dispatcher.close()
    monkeypatch.setattr(channel, "LOCK_S", 30.0)
    second.start()
    second.close()


def test_a_launcher_that_hangs_is_ended_by_who_takes_over(bench: Bench, successor: Bench) -> None:
    first = bench.dispatcher.launcher_pid
    assert first is not None
    os.kill(first, signal.SIGSTOP)
    successor.dispatcher.open()
    assert successor.run(("true",)).code == 0


def test_a_launcher_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "launch.lock").mkdir()
    bench = Bench(tmp_path)
    with pytest.raises(DispatchError, match=r"the process that launches jobs did not start: IsADirectoryError"):
        bench.dispatcher.open()
    bench.dispatcher.close()


def test_the_launcher_stays_light(bench: Bench) -> None:
    modules = subprocess.run(
        [
            *channel.interpreter(),
            "-c",
            f"{channel.RUN.rpartition(';')[0]}; print(*sys.modules)",
            channel.PACKAGE_FOLDER,
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert "sweeptui.dispatchers.local.launcher" in modules
    assert not {"pydantic", "psutil", "subprocess", "dataclasses", "socket", "textual", "numpy"} & set(modules)


def test_after_a_restart_of_the_machine_nothing_is_killed(bench: Bench, successor: Bench) -> None:
    record = bench.start(python(SLEEP))
    bench.dispatcher.close()
    pid_file = JobFiles.of(bench.trial_dir(), bench.token()).pid
    pid_file.write_text(json.dumps(record._replace(boot="another boot")._asdict()))
    successor.dispatcher.open()
    found = successor.dispatcher.adopt(bench.token(), bench.trial_dir(), {})
    assert found is not None
    assert found.exit is not None
    assert found.exit.lost
    assert "restarted" in found.exit.message
    assert left_over(record) == [record.job_pid]
    os.kill(record.keeper_pid, signal.SIGTERM)


def test_a_reused_pid_is_not_taken_for_the_keeper(bench: Bench, successor: Bench) -> None:
    record = bench.start(python(SLEEP))
    bench.dispatcher.close()
    stranger = subprocess.Popen(["sleep", "600"])
    pid_file = JobFiles.of(bench.trial_dir(), bench.token()).pid
    pid_file.write_text(json.dumps(record._replace(keeper_pid=stranger.pid)._asdict()))
    successor.dispatcher.open()
    found = successor.dispatcher.adopt(bench.token(), bench.trial_dir(), {})
    assert found is not None
    assert found.exit is not None
    assert found.exit.lost
    assert stranger.poll() is None
    assert left_over(record) == []
    stranger.kill()
    stranger.wait()


def test_a_copy_of_a_running_sweep_leaves_the_original_alone(
    bench: Bench, tmp_path_factory: pytest.TempPathFactory
) -> None:
    record = bench.start(python(SLEEP))
    copy = Bench(tmp_path_factory.mktemp("copy"))
    shutil.copytree(bench.folder, copy.folder, dirs_exist_ok=True)
    copy.dispatcher.open()
    found = copy.dispatcher.adopt(copy.token(), copy.trial_dir(), {})
    copy.dispatcher.close()
    assert found is not None
    assert found.exit is not None
    assert found.exit.lost
    assert "this is a copy" in found.exit.message
    assert left_over(record) == [record.job_pid]
    bench.dispatcher.cancel(bench.token())
    assert bench.wait().killed


def test_a_sweep_may_be_moved_while_it_runs(bench: Bench, tmp_path: Path) -> None:
    go = tmp_path / "go"
    bench.start(
        python(f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)"),
    )
    bench.dispatcher.close()
    moved = Bench(tmp_path / "moved")
    moved.folder.mkdir()
    (tmp_path / "trials").rename(moved.folder / "trials")
    moved.dispatcher.open()
    found = moved.dispatcher.adopt(moved.token(), moved.trial_dir(), {})
    assert found is not None
    assert found.phase == JobPhase.RUNNING
    go.touch()
    assert moved.wait().code == 0
    moved.dispatcher.close()


def test_interrupted_in_a_launch_the_dispatcher_keeps_its_wits(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    receive, interrupted = channel.LauncherChannel._receive, []

    def interrupt_once(self: channel.LauncherChannel) -> object:
        if not interrupted:
            interrupted.append(True)
            raise KeyboardInterrupt
        return receive(self)

    monkeypatch.setattr(channel.LauncherChannel, "_receive", interrupt_once)
    with pytest.raises(KeyboardInterrupt):
        bench.dispatch(bench.spec(("sleep", "600")))
    assert interrupted
    assert bench.run(python("print('second')"), 2).code == 0
    assert bench.log(2) == "second\n"


def test_without_pidfds_jobs_are_watched_all_the_same(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int) -> int:
        raise OSError("no pidfd here")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    bench.start(python(SLEEP))
    assert bench.dispatcher.fileno_set() == []
    bench.dispatcher.pause(bench.token())
    bench.wait_phase(JobPhase.PAUSED)
    bench.dispatcher.cancel(bench.token())
    assert bench.wait().killed
    assert bench.dispatcher.fileno_set() != []
