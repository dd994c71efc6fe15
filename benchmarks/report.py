"""How large the report of a large sweep is, and how long it takes: `python benchmarks/report.py [TRIALS]`.

The sweep has 12 parameters, 20 reports a trial and failures in between; the report is made by the command, in a process
of its own, as a user would. With `--keep FOLDER` the sweep stays there, to be looked at.
"""

from __future__ import annotations

import argparse
import math
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sweeptui.core.config import SweepTool
from sweeptui.core.state import SweepStatus
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import FailureKind, JobState, Report, Stage, TrialStatus

NAME = "large"
AXES = 12
REPORTS = 20
FAILS = 25
"""One trial in so many fails."""
A_WRITE = 1000


def written(root: Path, trials: int) -> Path:
    """A sweep of so many trials under `root`."""
    names = [f"model.block_{k}.rate" for k in range(AXES)]
    how = {"distribution": "log_normal", "min": 1e-4, "max": 1.0, "mean": 1e-2}
    tool = SweepTool.model_validate(
        {
            "sweep_name": NAME,
            "train_command": ["python", "train.py", "{overrides}"],
            "max_trials": trials,
            "protein_config": {"metric": "accuracy", "parameters": dict.fromkeys(names, how)},
        }
    )
    rng = random.Random(0)
    folder = root / "train_dir" / "sweeps" / NAME
    store = SqliteStore.create(folder / "sweep.db", NAME, tool.to_json())
    for first in range(0, trials, A_WRITE):
        with store.transaction() as tx:
            for _ in range(first, min(trials, first + A_WRITE)):
                at = [rng.uniform(-4, 0) for _ in names]
                number = tx.create_trial({name: 10**x for name, x in zip(names, at, strict=True)}, 1).number
                job = tx.create_job(number, Stage.TRAIN, ["python", "train.py"])
                score = sum(math.exp(-((x + 2) ** 2)) / (k + 1) for k, x in enumerate(at)) + rng.gauss(0, 0.05)
                failed = number % FAILS == 0
                tx.add_reports(
                    Report(number, job.id, Stage.TRAIN, tx.now, 100.0 * k, score=score * (1 - math.exp(-k / 5)))
                    for k in range(1, 1 + REPORTS)
                )
                tx.set_job(job.id, state=JobState.ENDED)
                tx.set_trial(number, status=TrialStatus.TRAINING)
                tx.set_trial(
                    number,
                    status=TrialStatus.FAILED if failed else TrialStatus.COMPLETED,
                    score=None if failed else score,
                    failure=FailureKind.CRASHED if failed else None,
                    reason=f"train exited with code 1: ValueError: nan in step {number}" if failed else "",
                    end_order=number,
                    cost=rng.uniform(10, 60),
                    spent=10.0,
                )
    with store.transaction() as tx:
        tx.set_sweep(status=SweepStatus.FINISHED, reason=f"all {trials} trials are done")
    store.close()
    return folder


def cpu_s() -> float:
    """What the processes that were waited for have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trials", nargs="?", type=int, default=10_000)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = given.keep or Path(scratch)
        folder = written(root, given.trials)
        begun, used = time.perf_counter(), cpu_s()
        command = [sys.executable, "-m", "sweeptui", "report", NAME, "--root", str(root)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        took_s, used_s = time.perf_counter() - begun, cpu_s() - used
        size = (folder / "report.html").stat().st_size
    print(f"{given.trials} trials: {size / 1e6:.2f} MB in {took_s:.1f} s, {used_s:.1f} s of CPU time")
    return 0


if __name__ == "__main__":
    sys.exit(main())
