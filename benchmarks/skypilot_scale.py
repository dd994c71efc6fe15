"""What many remote trials cost here: `python benchmarks/skypilot_scale.py [trials ...]`.

The real engine and the real SkyPilot dispatcher, in a process of their own, on a SkyPilot that is made up: every trial
runs, prints a line and reports a score every few seconds, and none ends while it is measured. For each number of
trials: CPU of the sweep's process (all of it: the optimizer's process is idle), looks and log fetches per minute, how
long a turn of the loop takes at most, and how old a trial's newest report is when it arrives.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import psutil

from sweeptui import ParameterConfig, ProteinConfig, SweepTool, launch
from sweeptui.core.trial import TrialStatus
from sweeptui.dispatchers import places
from sweeptui.dispatchers.skypilot.gateway import RemoteState, Sighting, Submission

WARM_UP_S = 5.0
MEASURED_S = 40.0
INTERVAL_S = 5.0
REPORT_EVERY_S = 5.0
ANSWER_S = 0.5
"""What SkyPilot takes for an answer at its best."""


class MadeUpSky:
    """Implements `gateway.Gateway`: all jobs run from the moment they are launched."""

    def __init__(self) -> None:
        self.began: dict[str, float] = {}
        self.calls: Counter[str] = Counter()

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
        count = int((time.time() - self.began[name]) / REPORT_EVERY_S)
        lines = []
        for n in range(max(1, 2 * count - (tail or 2 * count)), 2 * count + 1):
            said = f"epoch {n}" if n % 2 else "::sweeptui:: " + json.dumps({"step": n, "score": n / 1000})
            lines.append(f"(x, pid=1) sweeptui-a1:{n}|{said}")
        return lines

    def cancel(self, name: str, remote_id: str) -> None:
        self.began.pop(name, None)

    def down(self, name: str) -> None:
        self.began.pop(name, None)

    def standing(self, suffix: str) -> list[str]:
        return []

    def close(self) -> None:
        pass


def measure(trials: int) -> dict[str, float]:
    """One sweep of so many trials at once; in a process of its own."""
    sky = MadeUpSky()
    places.gateway_of = lambda tool, sweep_dir: sky  # type: ignore[assignment]
    places.check_places = lambda tool, sweeps: None
    launch.check_places = places.check_places
    parameters = {name: ParameterConfig(min=0.0, max=1.0, distribution="uniform") for name in "abc"}
    tool = SweepTool(
        sweep_name="scale",
        max_trials=trials,
        max_parallel_jobs=trials,
        monitoring_interval=INTERVAL_S,
        dispatcher_type="skypilot",
        skypilot={"max_submissions": 16},  # type: ignore[arg-type]
        train_command=["train"],
        protein_config=ProteinConfig(method="random", parameters=parameters),
    )
    with tempfile.TemporaryDirectory(prefix="sweeptui-scale-") as folder:
        session = launch.prepare(None, tool, Path(folder))
        turns: list[float] = []
        reports: Counter[int] = Counter()
        running = 0

        def listen(changes, state) -> None:
            nonlocal running
            running = state.counts[TrialStatus.TRAINING]
            reports.update(
                change.trial for change in changes if change.kind == "trial.changed" and "step" in change.data
            )

        thread = threading.Thread(target=session.run, args=(listen,))
        thread.start()
        started = time.monotonic()
        while len(sky.began) < trials or running < trials:
            time.sleep(0.1)
        launched_s = time.monotonic() - started
        time.sleep(WARM_UP_S)
        poll = session._orchestrator._dispatcher.poll

        def timed_poll():
            begin = time.perf_counter()
            try:
                return poll()
            finally:
                turns.append(time.perf_counter() - begin)

        session._orchestrator._dispatcher.poll = timed_poll
        process, calls = psutil.Process(), Counter(sky.calls)
        reports.clear()
        before = process.cpu_times()
        time.sleep(MEASURED_S)
        after = process.cpu_times()
        cpu = (after.user + after.system - before.user - before.system) / MEASURED_S
        done = Counter(sky.calls) - calls
        result = {
            "trials": trials,
            "launched_s": launched_s,
            "cpu_percent": 100 * cpu,
            "looks_per_min": 60 * done["looks"] / MEASURED_S,
            "logs_per_min": 60 * done["logs"] / MEASURED_S,
            "poll_ms_median": 1000 * statistics.median(turns),
            "poll_ms_max": 1000 * max(turns),
            "trials_with_news_per_min": 60 * len(reports) / MEASURED_S,
            "rss_mb": process.memory_info().rss / 1e6,
        }
        session.interrupt()
        thread.join()
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trials", nargs="*", type=int, default=[10, 100, 1000])
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one)))
        return
    rows = []
    for trials in options.trials:
        told = subprocess.run(
            [sys.executable, __file__, "--one", str(trials)], stdout=subprocess.PIPE, text=True, check=True
        ).stdout
        rows.append(json.loads(told.splitlines()[-1]))
    for name in rows[0]:
        print(f"{name:>26}" + "".join(f"{row[name]:>12,.1f}" for row in rows))


if __name__ == "__main__":
    main()
