"""What many remote trials cost here: `python benchmarks/skypilot_scale.py [trials ...] [--no-cockpit]`.

The real engine and the real SkyPilot dispatcher, in a process of their own, on a SkyPilot that is made up: every trial
runs, prints a line and reports a score every few seconds, and none ends while it is measured. For each number of
trials: CPU of the sweep's process (all of it: the optimizer's process is idle), looks and log fetches per minute, how
long a turn of the loop takes at most, and of how many trials there was news.

Then, from 1,000 trials on, the cockpit, in a pseudo-terminal, on the largest of these sweeps while it runs: how long
keys take, beside what the same keys take on the same trials once nobody runs them any more.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cockpit
import psutil

from sweeptui import ParameterConfig, ProteinConfig, SweepTool, launch, readiness
from sweeptui.core.trial import TrialStatus
from sweeptui.dispatchers import places
from sweeptui.dispatchers.skypilot.gateway import RemoteState, Sighting, Submission

WARM_UP_S = 5.0
MEASURED_S = 40.0
INTERVAL_S = 5.0
REPORT_EVERY_S = 5.0
ANSWER_S = 0.5
"""What SkyPilot takes for an answer at its best."""
HERE = Path(__file__).parent
SWEEP = "scale"
CPU_PERCENT = 20.0
KEYS, MANY = 25, 1000
"""So many pages are among so many trials."""
KEYS_RATIO, COCKPIT_CPU = 1.5, 0.15
"""The cockpit's own budgets: `benchmarks/cockpit.py`."""


class MadeUpSky:
    """Implements `gateway.Gateway`: all jobs run from the moment they are launched."""

    def __init__(self) -> None:
        self.began: dict[str, float] = {}
        self.calls: Counter[str] = Counter()
        self.followed: dict[str, threading.Event] = {}

    def submit(self, submission: Submission) -> str:
        self.began[submission.name] = time.time()
        return str(len(self.began))

    def poll_many(self, names: list[str]) -> dict[str, list[Sighting]]:
        self.calls["looks"] += 1
        time.sleep(ANSWER_S)
        running = RemoteState.RUNNING
        return {name: [Sighting("1", running, "", "aws/us-east-1", 2.0)] for name in names if name in self.began}

    find_by_name = poll_many

    def logs(self, name: str, remote_id: str, tail: int | None) -> list[str]:
        self.calls["logs"] += 1
        time.sleep(ANSWER_S)
        return self._lines(name, tail)

    def _lines(self, name: str, tail: int | None) -> list[str]:
        count = int((time.time() - self.began[name]) / REPORT_EVERY_S)
        lines = []
        for n in range(max(1, 2 * count - (tail or 2 * count)), 2 * count + 1):
            said = f"epoch {n}" if n % 2 else "::sweeptui:: " + json.dumps({"step": n, "score": n / 1000})
            lines.append(f"(x, pid=1) sweeptui-a1:{n}|{said}")
        return lines

    def follow(self, name: str, remote_id: str, tail: int | None, take: Callable[[Sequence[str]], None]) -> None:
        self.calls["streams"] += 1
        stopped = self.followed[name] = threading.Event()
        take(self._lines(name, tail))
        while name in self.began and not stopped.wait(REPORT_EVERY_S):
            take(self._lines(name, 2))

    def unfollow(self, name: str) -> None:
        self.followed[name].set()

    def cancel(self, name: str, remote_id: str) -> None:
        self.began.pop(name, None)

    def down(self, name: str) -> None:
        self.began.pop(name, None)

    def standing(self, suffix: str) -> list[str]:
        return []

    def close(self) -> None:
        for stopped in self.followed.values():
            stopped.set()


@dataclass
class Run:
    """A sweep whose trials all run, on a thread of this process."""

    sky: MadeUpSky
    session: launch.Session
    thread: threading.Thread
    launched_s: float
    reports: Counter[int]
    """Of which trials there was news."""

    @classmethod
    def start(cls, trials: int, root: Path) -> Run:
        sky = MadeUpSky()
        places.gateway_of = lambda tool, sweep_dir: sky  # type: ignore[assignment]
        readiness.check_places = lambda tool, sweeps: None
        parameters = {name: ParameterConfig(min=0.0, max=1.0, distribution="uniform") for name in "abc"}
        tool = SweepTool(
            sweep_name=SWEEP,
            max_trials=trials,
            max_parallel_jobs=trials,
            monitoring_interval=INTERVAL_S,
            dispatcher_type="skypilot",
            skypilot={"max_submissions": 16},  # type: ignore[arg-type]
            train_command=["train"],
            protein_config=ProteinConfig(method="random", parameters=parameters),
        )
        session = launch.prepare(None, tool, root)
        reports: Counter[int] = Counter()
        running = 0

        def listen(changes, state) -> None:
            nonlocal running
            running = state.counts[TrialStatus.TRAINING]
            reports.update(
                change.trial for change in changes if change.kind == "trial.changed" and "step" in change.data
            )

        thread = threading.Thread(target=session.run, args=(listen,))
        started = time.monotonic()
        thread.start()
        while len(sky.began) < trials or running < trials:
            assert thread.is_alive(), "the sweep has ended before its time"
            time.sleep(0.1)
        return cls(sky, session, thread, time.monotonic() - started, reports)

    def let_go(self) -> None:
        """The trials stay as they are."""
        self.session.interrupt(leave_running=True)
        self.thread.join()


def measure(trials: int, root: Path) -> dict[str, float]:
    """One sweep of so many trials at once; in a process of its own."""
    run = Run.start(trials, root)
    time.sleep(WARM_UP_S)
    dispatcher, turns = run.session._orchestrator._dispatcher, []
    poll = dispatcher.poll

    def timed_poll():
        begin = time.perf_counter()
        try:
            return poll()
        finally:
            turns.append(time.perf_counter() - begin)

    dispatcher.poll = timed_poll
    process, calls = psutil.Process(), Counter(run.sky.calls)
    run.reports.clear()
    before = process.cpu_times()
    time.sleep(MEASURED_S)
    after = process.cpu_times()
    cpu = (after.user + after.system - before.user - before.system) / MEASURED_S
    done = Counter(run.sky.calls) - calls
    result = {
        "trials": trials,
        "launched_s": run.launched_s,
        "cpu_percent": 100 * cpu,
        "looks_per_min": 60 * done["looks"] / MEASURED_S,
        "logs_per_min": 60 * done["logs"] / MEASURED_S,
        "poll_ms_median": 1000 * statistics.median(turns),
        "poll_ms_max": 1000 * max(turns),
        "trials_with_news_per_min": 60 * len(run.reports) / MEASURED_S,
        "rss_mb": process.memory_info().rss / 1e6,
    }
    run.let_go()
    return result


def serve(trials: int, root: Path) -> None:
    """Run a sweep for as long as stdin is open; a line on stdout says that all its trials run."""
    run = Run.start(trials, root)
    print("running", flush=True)
    sys.stdin.read()
    run.let_go()


def child(*words: str, root: Path) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--root", str(root), *words]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def keys(trials: int, root: Path) -> None:
    """The cockpit on a sweep that runs, then on what it leaves."""
    os.environ["PYTHONPATH"] = str(HERE)
    engine = child("--serve", str(trials), root=root)
    assert engine.stdout is not None
    assert engine.stdout.readline(), "the sweep did not run"
    print(f"\nkeys in the cockpit at {trials:,} remote trials, milliseconds to the answer, median and p95;")
    print("in brackets p95 until nothing was painted for 25 ms")
    with cockpit.cockpit(root, SWEEP) as terminal:
        terminal.until(cockpit.OURS)
        time.sleep(3)
        busy = cockpit.Pressed("all trials run", terminal, cockpit.OURS, KEYS)
        cpu = cpu_of(engine.pid)
    engine.communicate()
    with cockpit.cockpit(root, SWEEP) as terminal:
        terminal.until(cockpit.OURS)
        terminal.quiet(1.0, 8.0)
        idle = cockpit.Pressed("nobody runs them", terminal, cockpit.OURS, KEYS)
    for key, answers in idle.answers.items():
        ratio = cockpit.p95(busy.answers[key]) / cockpit.p95(answers)
        print(f"  {key}: p95 is {ratio:.2f} times idle, {cockpit.verdict(ratio, KEYS_RATIO)}")
    print(f"  the cockpit's CPU {busy.cpu:.1%}, {cockpit.verdict(100 * busy.cpu, 100 * COCKPIT_CPU)}")
    print(f"  the sweep's CPU while it is shown {cpu:.1%}, {cockpit.verdict(100 * cpu, CPU_PERCENT)}")


def cpu_of(pid: int) -> float:
    """Of one core, by a process and not its children."""
    process = psutil.Process(pid)
    before = process.cpu_times()
    time.sleep(cockpit.CPU_S)
    after = process.cpu_times()
    return (after.user + after.system - before.user - before.system) / cockpit.CPU_S


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trials", nargs="*", type=int, default=[10, 100, 1000])
    parser.add_argument("--no-cockpit", action="store_true", help="leave the cockpit out")
    for name in ("--one", "--serve"):
        parser.add_argument(name, type=int, help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, options.root)))
        return
    if options.serve:
        serve(options.serve, options.root)
        return
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}\n")
    rows = []
    for trials in options.trials:
        with tempfile.TemporaryDirectory(prefix="sweeptui-scale-") as folder:
            told, _ = child("--one", str(trials), root=Path(folder)).communicate()
        rows.append(json.loads(told.splitlines()[-1]))
    for name in rows[0]:
        print(f"{name:>26}" + "".join(f"{row[name]:>12,.1f}" for row in rows))
    looks = [row["looks_per_min"] for row in rows]
    print(f"\nlooks per minute, most by least: {max(looks) / min(looks):.2f}")
    most = max(row["cpu_percent"] for row in rows)
    print(f"CPU at most {most:.1f} %, {cockpit.verdict(most, CPU_PERCENT)}")
    if max(options.trials) >= MANY and not options.no_cockpit:
        with tempfile.TemporaryDirectory(prefix="sweeptui-scale-") as folder:
            keys(max(options.trials), Path(folder))


if __name__ == "__main__":
    main()
