"""The keeper of a job, with real processes: pausing, time limits, ending every descendant, and its own faults."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from local_jobs import Bench, kill_orchestrator_after, left_over, python, wait_until

from sweeptui.core.dispatch import DispatchError, JobPhase
from sweeptui.dispatchers.local import channel, ps
from sweeptui.dispatchers.local.files import JobFiles
from sweeptui.dispatchers.local.processes import kill_all, look

SLEEP = "print('up', flush=True)\nimport time\ntime.sleep(600)"
# A daemon that hides: own session, orphaned, deaf to TERM. It shares nothing with the job but its ancestry.
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
while b'daemon' not in open(sys.argv[1], 'rb').read(): time.sleep(0.01)
"""
FAULTY = """
import os, sys, signal
sys.path.append(sys.argv[1])
from sweeptui.dispatchers.local import files, keeper, launcher
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
{fault}
launcher.main(sys.argv[2])
"""


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
def faulty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Bench]]:
    """A dispatcher whose launcher and keepers run with some lines of Python that break them."""
    benches = []

    def make(fault: str) -> Bench:
        monkeypatch.setattr(channel, "RUN", FAULTY.format(fault=fault))
        benches.append(Bench(tmp_path))
        benches[-1].dispatcher.open()
        return benches[-1]

    yield make
    for bench in benches:
        bench.dispatcher.close()


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_cancel_gives_the_job_time_to_end_well(bench: Bench) -> None:
    code = """
import signal, sys
signal.signal(15, lambda *_: (print('saved'), sys.exit(0)))
print('up')
signal.pause()
"""
    record = bench.start(python(code))
    bench.wait_log("up")
    for _ in range(3):
        bench.dispatcher.cancel(bench.token())
    end = bench.wait()
    assert (end.code, end.signal, end.killed, end.timed_out) == (0, None, True, False)
    assert bench.log() == "up\nsaved\n"
    assert left_over(record) == []
    bench.dispatcher.cancel(bench.token())
    bench.dispatcher.pause(bench.token())
    assert bench.dispatcher.poll() == []


def test_a_job_that_ignores_term_is_killed_after_its_grace(bench: Bench) -> None:
    record = bench.start(python("import signal\nsignal.signal(15, signal.SIG_IGN)\n" + SLEEP), grace_s=0.4)
    bench.wait_log("up")
    asked = time.monotonic()
    bench.dispatcher.cancel(bench.token())
    end = bench.wait()
    assert (end.code, end.signal, end.killed) == (None, signal.SIGKILL, True)
    assert time.monotonic() - asked >= 0.4
    assert left_over(record) == []


def test_cancel_ends_descendants_that_hid(bench: Bench) -> None:
    log = str(bench.trial_dir() / "train.1.log")
    record = bench.start(python(DAEMON + SLEEP, log), grace_s=0.2)
    bench.wait_log("up")
    daemon = look(int(bench.log().split()[1]))
    assert daemon is not None
    assert daemon.session != record.job_pid
    assert daemon.ppid == record.keeper_pid, "orphans come to the keeper"
    bench.dispatcher.cancel(bench.token())
    assert bench.wait().killed
    assert left_over(record) == []


def test_what_a_job_leaves_behind_is_ended(bench: Bench) -> None:
    log = str(bench.trial_dir() / "train.1.log")
    record = bench.start(python(DAEMON + "sys.exit(5)", log), grace_s=0.2)
    end = bench.wait()
    assert (end.code, end.killed) == (5, False)
    assert "daemon" in bench.log(), "there was something to leave behind"
    assert left_over(record) == []


def test_a_tree_that_keeps_forking_is_ended(bench: Bench) -> None:
    code = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
print('up', flush=True)
while True:
    if os.fork() == 0:
        os.setsid()
        time.sleep(0.1)
        if os.fork() == 0:
            time.sleep(600)
        os._exit(0)
    time.sleep(0.005)
"""
    record = bench.start(python(code), grace_s=0.1)
    bench.wait_log("up")
    wait_until(lambda: len(left_over(record)) > 10, "a tree")
    bench.dispatcher.cancel(bench.token())
    assert bench.wait().signal == signal.SIGKILL
    assert left_over(record) == []


def test_paused_time_does_not_count(bench: Bench) -> None:
    burn = """
import os, time
if os.fork(): print('up', flush=True)
end = time.process_time() + 0.6
while time.process_time() < end: pass
os._exit(0)
"""
    started = time.monotonic()
    record = bench.start(python(burn), timeout_s=20.0)
    bench.wait_log("up")
    bench.dispatcher.pause(bench.token())
    bench.wait_phase(JobPhase.PAUSED)
    pids = left_over(record)
    assert len(pids) == 2
    wait_until(lambda: all((it := look(pid)) and it.state == "T" for pid in pids), "the whole tree to stop")
    burnt, paused = [cpu_s(pid) for pid in pids], time.monotonic()
    time.sleep(0.7)
    assert [cpu_s(pid) for pid in pids] == burnt
    asleep = time.monotonic() - paused
    bench.dispatcher.resume(bench.token())
    bench.wait_phase(JobPhase.RUNNING)
    end = bench.wait()
    assert end.code == 0
    assert end.paused_s >= asleep
    assert 0 < end.run_s <= time.monotonic() - started - asleep


def test_a_pause_does_not_run_into_the_time_limit(bench: Bench) -> None:
    bench.start(python(SLEEP), timeout_s=0.8)
    bench.wait_log("up")
    bench.dispatcher.pause(bench.token())
    bench.wait_phase(JobPhase.PAUSED)
    time.sleep(1.0)
    assert bench.dispatcher.poll() == []
    bench.dispatcher.resume(bench.token())
    end = bench.wait()
    assert end.timed_out
    assert end.paused_s >= 0.9, "what it slept, but for how late the keeper saw it"
    assert end.run_s >= 0.8


def test_a_paused_job_can_be_cancelled(bench: Bench) -> None:
    code = "import signal, sys\nsignal.signal(15, lambda *_: sys.exit(9))\nprint('up', flush=True)\nsignal.pause()"
    bench.start(python(code))
    bench.wait_log("up")
    bench.dispatcher.pause(bench.token())
    bench.wait_phase(JobPhase.PAUSED)
    bench.dispatcher.cancel(bench.token())
    assert (bench.wait().code, bench.wait().killed) == (9, True)


def test_the_last_of_many_wishes_holds(bench: Bench) -> None:
    bench.start(python(SLEEP))
    bench.wait_log("up")
    for _ in range(5):
        bench.dispatcher.pause(bench.token())
        bench.dispatcher.resume(bench.token())
    bench.dispatcher.pause(bench.token())
    bench.wait_phase(JobPhase.PAUSED)
    bench.dispatcher.cancel(bench.token())
    bench.wait()


def test_a_job_over_its_time_is_ended(bench: Bench) -> None:
    record = bench.start(python(SLEEP), timeout_s=0.3)
    end = bench.wait()
    assert (end.timed_out, end.killed, end.signal) == (True, False, signal.SIGTERM)
    assert end.run_s >= 0.3
    assert left_over(record) == []


def test_time_limits_hold_while_no_orchestrator_lives(tmp_path: Path) -> None:
    kill_orchestrator_after(tmp_path, f"#timeout=0.5\n{SLEEP}")
    bench = Bench(tmp_path)
    files = JobFiles.of(bench.trial_dir(), bench.token())
    wait_until(files.exit.exists, "the time limit")
    bench.dispatcher.open()
    found = bench.dispatcher.adopt(bench.token(), bench.trial_dir(), {})
    bench.dispatcher.close()
    assert found is not None
    assert found.exit is not None
    assert found.exit.timed_out
    assert left_over(bench.record()) == []


def test_killed_before_the_job_was_on_record(faulty: Callable[[str], Bench]) -> None:
    bench = faulty("keeper.write_json = die")
    with pytest.raises(DispatchError, match="keeper was killed before the job could start"):
        bench.dispatch(bench.spec(python("print('ran')")))
    assert bench.dispatcher.adopt(bench.token(), bench.trial_dir(), {}) is None
    assert bench.log() == ""


def test_killed_between_the_record_and_the_start(faulty: Callable[[str], Bench]) -> None:
    bench = faulty("keeper.spawn = die")
    record = bench.start(python("print('ran')"))
    assert record.job_pid == 0, "the fault happened"
    assert bench.wait().lost
    assert bench.log() == ""


def test_killed_just_after_the_start(faulty: Callable[[str], Bench]) -> None:
    bench = faulty("spawn = keeper.spawn\nkeeper.spawn = lambda order: (spawn(order), die())")
    record = bench.start(python(SLEEP))
    assert record.job_pid == 0, "the fault happened"
    assert bench.wait().lost
    assert left_over(record) == []


def test_a_disk_that_fills_up_just_after_the_start(faulty: Callable[[str], Bench]) -> None:
    bench = faulty("""
write, written = keeper.write_json, []
def write_once(path, data):
    written.append(path)
    if len(written) > 1:
        raise OSError(28, 'No space left on device')
    write(path, data)
keeper.write_json = write_once
""")
    told = bench.start(python(SLEEP))
    assert told.job_pid != 0
    assert bench.record().job_pid == 0, "the fault happened"
    bench.dispatcher.close()
    successor = Bench(bench.folder)
    successor.dispatcher.open()
    found = successor.dispatcher.adopt(bench.token(), bench.trial_dir(), {})
    assert found is not None
    assert found.phase == JobPhase.RUNNING
    successor.dispatcher.cancel(bench.token())
    assert successor.wait().killed
    successor.dispatcher.close()


def test_a_keeper_with_a_bug_leaves_its_traceback(faulty: Callable[[str], Bench]) -> None:
    bench = faulty("keeper._Keeper.supervise = lambda self: 1 / 0")
    record = bench.start(python(SLEEP))
    assert bench.wait().lost
    assert left_over(record) == []
    assert "ZeroDivisionError" in JobFiles.of(bench.trial_dir(), bench.token()).trace.read_text()


def test_a_removed_trial_folder_holds_no_keeper_back(bench: Bench) -> None:
    go = bench.folder / "go"
    record = bench.start(python(f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)"))
    for path in bench.trial_dir().iterdir():
        path.unlink()
    bench.trial_dir().rmdir()
    go.touch()
    assert bench.wait().lost
    assert left_over(record) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)]
    mounted = subprocess.run(mount, check=False, capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


FILL = """
import os, sys
try:
    with open(sys.argv[1], 'wb', buffering=0) as file:
        while file.write(b'x' * 4096): pass
except OSError:
    pass
"""


def test_a_full_disk_loses_no_end(bench: Bench, small_disk: Path) -> None:
    trial_dir = small_disk / "trial_0001"
    spec = bench.spec(
        python(FILL + "sys.exit(7)", str(small_disk / "filler")),
        trial_dir=trial_dir,
        log_path=trial_dir / "train.1.log",
    )
    bench.dispatch(spec)
    assert bench.wait().code == 7
    assert os.statvfs(small_disk).f_bavail == 0, "the disk was full"


def test_nothing_starts_on_a_full_disk(bench: Bench, small_disk: Path) -> None:
    trial_dir = small_disk / "trial_0001"
    spec = bench.spec(python("print('ran')"), trial_dir=trial_dir, log_path=bench.folder / "elsewhere.log")
    trial_dir.mkdir()
    subprocess.run([sys.executable, "-c", FILL, str(small_disk / "filler")], check=True)
    assert os.statvfs(small_disk).f_bavail == 0, "the disk is full"
    with pytest.raises(DispatchError, match=r"(?i)trial_0001.* cannot be written: no space left on device"):
        bench.dispatch(spec)
    (small_disk / "filler").unlink()
    bench.dispatch(spec)
    assert bench.wait().code == 0
    assert (bench.folder / "elsewhere.log").read_text() == "ran\n"


def test_ps_sees_what_proc_sees() -> None:
    """What finds processes on macOS, tried on this system's ps."""
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    seen, known = ps.look(child.pid), look(child.pid)
    assert seen is not None
    assert known is not None
    assert (seen.pid, seen.ppid, seen.session) == (child.pid, os.getpid(), child.pid) == known[:3]
    assert ps.snapshot()[child.pid].start == seen.start
    child.kill()
    child.wait()
    assert ps.look(child.pid) is None
