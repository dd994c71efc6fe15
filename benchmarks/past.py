"""How long a jump through the past of a long sweep takes: `python benchmarks/past.py [TRIALS]`.

Figures are seconds of one processor, so that they do not depend on what else the machine does.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sweeptui.core.state import SweepStatus
from sweeptui.core.stores.past import Past
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import JobOutcome, JobState, Report, Stage, TrialStatus

BATCH = 500
JUMPS = 10


def fill(store: SqliteStore, trials: int) -> None:
    """Trials with eight parameters, twenty reports and twelve changes each."""
    for first in range(1, trials + 1, BATCH):
        with store.transaction() as tx:
            for n in range(first, min(first + BATCH, trials + 1)):
                tx.create_trial({f"p{each}": n * 0.1 + each for each in range(8)}, n, {"method": "bayes"})
                job = tx.create_job(n, Stage.TRAIN, ("true",))
                tx.set_job(job.id, state=JobState.RUNNING, started_at=tx.now)
                tx.set_trial(n, status=TrialStatus.TRAINING, started_at=tx.now)
                tx.add_reports([Report(n, job.id, Stage.TRAIN, tx.now, step, score=step) for step in range(20)])
                for part in range(1, 4):
                    tx.set_job(job.id, report_offset=100 * part)
                    tx.set_trial(n, step=float(part), score=float(part))
                tx.set_job(job.id, state=JobState.ENDED, outcome=JobOutcome.COMPLETED, ended_at=tx.now)
                tx.set_trial(n, status=TrialStatus.COMPLETED, score=float(n), end_order=n, ended_at=tx.now)
    with store.transaction() as tx:
        tx.set_sweep(status=SweepStatus.FINISHED)


def timed(do: Callable[[], object]) -> float:
    begun = time.process_time()
    do()
    return time.process_time() - begun


def main() -> None:
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sweep.db"
        with closing(SqliteStore.create(path, "long", {})) as store:
            fill(store, trials)
        with closing(SqliteStore.open(path, readonly=True)) as store:
            begun = time.process_time()
            past = Past(store)
            past.go_to(past.last)
            print(f"{trials:,} trials, {past.last:,} changes")
            print(f"the first step: {time.process_time() - begun:.2f} s")
            draw = random.Random(1)
            jumps = [timed(lambda: past.go_to(draw.randint(1, past.last))) for _ in range(JUMPS)]
            print(f"{JUMPS} jumps after that: {min(jumps):.3f} to {max(jumps):.3f} s")


if __name__ == "__main__":
    main()
