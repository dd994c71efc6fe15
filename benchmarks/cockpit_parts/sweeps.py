"""Sweeps of any size, through the real store."""

from __future__ import annotations

import math
import os
import random
from contextlib import closing
from pathlib import Path

from sweeptui import ParameterConfig, ProteinConfig, SweepTool
from sweeptui.core.state import SweepStatus
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import FailureKind, JobOutcome, JobState, Report, Stage, TrialStatus
from sweeptui.launch import prepare

RUNNING = 50
TOTAL_STEPS = 50_000.0
BATCH = 2_000
PARAMETERS = {
    "train.learning_rate": ParameterConfig(min=1e-5, max=1e-1, distribution="log_normal"),
    "train.clip_coef": ParameterConfig(min=0.1, max=0.4, distribution="uniform"),
    "train.ent_coef": ParameterConfig(min=1e-4, max=1e-1, distribution="log_normal"),
    "train.gae_lambda": ParameterConfig(min=0.8, max=0.99, distribution="uniform"),
    "train.batch_size": ParameterConfig(min=256, max=8192, distribution="uniform_pow2"),
}


def tool(name: str, trials: int) -> SweepTool:
    return SweepTool(
        sweep_name=name,
        max_trials=trials,
        max_parallel_jobs=RUNNING,
        min_free_disk_mb=0,
        train_command=["true"],
        protein_config=ProteinConfig(metric="reward", parameters=PARAMETERS),
    )


def build(root: Path, name: str, trials: int, running: int = 0, log: Path | None = None, logs: int = 0) -> Path:
    """A sweep with so many trials, of which the newest `running` run; its folder.

    `log` is what the first `logs` trials and all that run have printed: one file under many names.
    """
    session = prepare("bench", tool(name, trials), root)
    dice = random.Random(trials)
    with closing(SqliteStore.open(session.database)) as store:
        with store.transaction() as tx:
            tx.set_sweep(status=SweepStatus.RUNNING)
        for first in range(1, trials + 1, BATCH):
            with store.transaction() as tx:
                for number in range(first, min(first + BATCH, trials + 1)):
                    params = {
                        "train.learning_rate": 10 ** dice.uniform(-5, -1),
                        "train.clip_coef": dice.uniform(0.1, 0.4),
                        "train.ent_coef": 10 ** dice.uniform(-4, -1),
                        "train.gae_lambda": dice.uniform(0.8, 0.99),
                        "train.batch_size": 2 ** dice.randint(8, 13),
                    }
                    tx.create_trial(params, number, {"method": "protein", "score_mean": 400.0, "score_std": 20.0})
                    runs = number > trials - running
                    has_log = runs or number <= logs
                    if has_log:
                        job = tx.create_job(number, Stage.TRAIN, ["true"])
                        tx.set_job(job.id, state=JobState.RUNNING, started_at=tx.now)
                    tx.set_trial(number, status=TrialStatus.TRAINING, started_at=tx.now, total_steps=TOTAL_STEPS)
                    if has_log:
                        tx.add_reports(
                            Report(
                                number,
                                job.id,
                                Stage.TRAIN,
                                tx.now + step,
                                1000.0 * step,
                                TOTAL_STEPS,
                                curve(step, dice),
                            )
                            for step in range(1, 31)
                        )
                        if log is not None:
                            path = session.path / "trials" / f"trial_{number:04d}" / "train.1.log"
                            path.parent.mkdir(parents=True)
                            os.link(log, path)
                    if not runs:
                        if has_log:
                            tx.set_job(job.id, state=JobState.ENDED, outcome=JobOutcome.COMPLETED, ended_at=tx.now)
                        failed = dice.random() < 0.03
                        tx.set_trial(
                            number,
                            status=TrialStatus.FAILED if failed else TrialStatus.COMPLETED,
                            failure=FailureKind.CRASHED if failed else None,
                            reason="it ended with exit code 1" if failed else "",
                            score=None if failed else 500 - 80 * abs(math.log10(params["train.learning_rate"]) + 3),
                            step=TOTAL_STEPS,
                            cost=dice.uniform(20, 90),
                            spent=60.0,
                            end_order=number,
                            ended_at=tx.now + 60,
                        )
        if not running:
            with store.transaction() as tx:
                tx.set_sweep(status=SweepStatus.FINISHED)
    return session.path


def curve(step: float, dice: random.Random) -> float:
    return 500 * (1 - math.exp(-step / 12)) + dice.uniform(-8, 8)
