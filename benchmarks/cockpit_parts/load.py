"""The load, in processes of its own: trials that report, a log that grows, Protein that fits.

`python -m cockpit_parts.load trials FOLDER`, `... log FILE` or `... protein`; each goes on until it is killed.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

from cockpit_parts.sweeps import PARAMETERS, TOTAL_STEPS, curve
from sweeptui.core.optimizers.base import History
from sweeptui.core.optimizers.messages import request_line
from sweeptui.core.optimizers.service import WORKER_COMMAND
from sweeptui.core.space import Space
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import Observation, Report, Stage
from sweeptui.launch import DATABASE

UPDATES_HZ = 4
GROUPS = 10
"""Trials do not report at the same moment: in so many groups, one after another."""
LINES_PER_S = 20_000
LOG_HZ = 40
OBSERVATIONS = 150


def trials(folder: Path) -> None:
    """Each running trial reports 4 times a second, as its orchestrator would write it."""
    store = SqliteStore.open(folder / DATABASE)
    store.acquire_lease("headless", ttl_s=10.0)
    numbers = sorted(store.state.running_jobs)
    dice, due, beat, step = random.Random(0), time.monotonic(), 0.0, 31.0
    while True:
        step += 0.01
        for group in range(GROUPS):
            with store.transaction() as tx:
                for number in numbers[group::GROUPS]:
                    job = tx.job(store.state.running_jobs[number].id)
                    score = curve(step, dice)
                    metrics = {"loss": dice.random(), "sps": dice.uniform(700, 800)}
                    tx.add_reports(
                        [Report(number, job.id, Stage.TRAIN, tx.now, 1000 * step, TOTAL_STEPS, score, metrics=metrics)]
                    )
                    tx.set_trial(number, score=score, step=1000 * step, metrics=metrics)
                    tx.set_job(job.id, report_offset=job.report_offset + 80)
            due += 1 / (UPDATES_HZ * GROUPS)
            time.sleep(max(0.0, due - time.monotonic()))
        if time.monotonic() - beat > 2:
            store.heartbeat()
            beat = time.monotonic()


def log(path: Path) -> None:
    batch, due, count = LINES_PER_S // LOG_HZ, time.monotonic(), 0
    with path.open("ab", buffering=0) as file:
        while True:
            file.write(lines(count, batch))
            count += batch
            due += 1 / LOG_HZ
            time.sleep(max(0.0, due - time.monotonic()))


def lines(first: int, count: int) -> bytes:
    """What a training prints, coloured."""
    return b"".join(
        b"\x1b[36mepoch %7d\x1b[0m  step %9d  return \x1b[1m%7.2f\x1b[0m"
        b"  loss 0.0412  kl 0.0113  \x1b[32msps 791\x1b[0m\n" % (number, number * 1000, number % 500)
        for number in range(first, first + count)
    )


def protein() -> None:
    """A real optimizer process that is always asked for one more suggestion."""
    import json

    space = Space.from_parameters(PARAMETERS)
    dice = random.Random(1)
    history = History(
        observations=tuple(
            Observation(number, space.sample(dice), dice.uniform(100, 500), dice.uniform(20, 90))
            for number in range(1, OBSERVATIONS + 1)
        )
    )
    hello = {"method": "bayes", "space": space.to_json(), "goals": ["maximize"], "settings": {}, "seed": 0}
    worker = subprocess.Popen(  # as `OptimizerService` does
        WORKER_COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write((json.dumps(hello) + "\n").encode())
    request = 0
    while True:
        request += 1
        worker.stdin.write(request_line(request, history, OBSERVATIONS + request, 1))
        worker.stdin.flush()
        answer = json.loads(worker.stdout.readline())
        if "error" in answer:
            raise SystemExit(answer["error"])
        print("suggested", flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["trials", folder]:
            trials(Path(folder))
        case ["log", path]:
            log(Path(path))
        case ["protein"]:
            protein()
