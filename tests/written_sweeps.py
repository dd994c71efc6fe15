"""Finished sweeps, written straight into their stores: what the report is tried on."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sweeptui.core.config import SweepTool
from sweeptui.core.state import SweepStatus
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import FailureKind, JobState, Report, Stage, TrialStatus

PARAMETERS: dict[str, Any] = {
    "model.lr": {"distribution": "log_normal", "min": 1e-5, "max": 1e-1, "mean": 1e-3},
    "model.width": {"distribution": "uniform_pow2", "min": 16, "max": 512},
    "model.act": {"distribution": "categorical", "values": ["relu", "gelu", "tanh"]},
    "dropout": {"distribution": "uniform", "min": 0.0, "max": 0.5},
}
START = 1_700_000_000.0


class Written:
    """A sweep under `root` to which trials are added that have ended."""

    def __init__(self, root: Path, name: str = "net-bold-lynx", search: Mapping[str, Any] | None = None, **config: Any):
        self.root, self.name = root, name
        self.folder = root / "train_dir" / "sweeps" / name
        protein = {"metric": "accuracy", "goal": "maximize", "method": "random", "parameters": PARAMETERS}
        given = {
            "sweep_name": name,
            "train_command": ["python", "train.py", "{overrides}"],
            "working_dir": str(root),
            "max_trials": 20,
            "protein_config": {**protein, **(search or {})},
            **config,
        }
        self.tool = SweepTool.model_validate(given)
        launch = {"recipe": "net.yaml"}
        self.now = START
        self.store = SqliteStore.create(
            self.folder / "sweep.db", name, {**self.tool.to_json(), "launch": launch}, clock=lambda: self.now
        )
        with self.store.transaction() as tx:
            tx.set_sweep(status=SweepStatus.RUNNING, started_at=self.now)

    def done(
        self,
        params: Mapping[str, Any],
        score: float | None,
        *,
        cost: float = 10.0,
        curve: Iterable[float] = (),
        metrics: Mapping[str, Any] | None = None,
        status: TrialStatus = TrialStatus.COMPLETED,
        **fields: Any,
    ) -> int:
        """A trial that has ended."""
        self.now += cost
        with self.store.transaction() as tx:
            number = tx.create_trial(dict(params), 1, {"method": "random"}).number
            job = tx.create_job(number, Stage.TRAIN, ["python", "train.py"])
            tx.add_reports(
                Report(number, job.id, Stage.TRAIN, self.now, step=float(100 * (k + 1)), score=value)
                for k, value in enumerate(curve)
            )
            tx.set_job(job.id, state=JobState.ENDED, ended_at=self.now)
            tx.set_trial(number, status=TrialStatus.TRAINING, started_at=self.now - cost)
            tx.set_trial(
                number,
                status=status,
                score=score,
                cost=cost,
                spent=cost,
                metrics=dict(metrics or {}),
                end_order=number,
                ended_at=self.now,
                **fields,
            )
        return number

    def failed(self, params: Mapping[str, Any], reason: str, log: str = "") -> int:
        number = self.done(params, None, status=TrialStatus.FAILED, failure=FailureKind.CRASHED, reason=reason)
        if log:
            path = self.folder / "trials" / f"trial_{number:04d}" / "train.1.log"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(log)
        return number

    def end(self, status: SweepStatus = SweepStatus.FINISHED, reason: str = "all trials are done") -> Written:
        with self.store.transaction() as tx:
            tx.set_sweep(status=status, reason=reason, run_s=self.now - START, ended_at=self.now)
        return self


def some_params(rng: random.Random) -> dict[str, Any]:
    return {
        "model.lr": 10 ** rng.uniform(-5, -1),
        "model.width": 2 ** rng.randint(4, 9),
        "model.act": rng.choice(["relu", "gelu", "tanh"]),
        "dropout": rng.uniform(0, 0.5),
    }


def accuracy(params: Mapping[str, Any], rng: random.Random) -> float:
    """Best at a learning rate of 3e-3 and much width."""
    at = math.log10(params["model.lr"]) + 2.5
    return 0.9 * math.exp(-(at**2) / 3) + 0.01 * math.log2(params["model.width"]) + rng.gauss(0, 0.01)


def usual(root: Path, trials: int = 16, **config: Any) -> Written:
    """A sweep as they mostly are: some failed, one was stopped early."""
    sweep, rng = Written(root, **config), random.Random(1)
    for number in range(trials):
        params = some_params(rng)
        if number % 8 == 5:
            log = (
                f"step 1\nTraceback (most recent call last):\n  File 'train.py', line 3\nValueError: nan at {number}\n"
            )
            sweep.failed(params, f"train exited with code 1: ValueError: nan at {number}", log)
            continue
        score = accuracy(params, rng)
        status = TrialStatus.STOPPED if number == 7 else TrialStatus.COMPLETED
        curve = [score * (1 - math.exp(-k / 6)) for k in range(1, 25)]
        sweep.done(params, score, cost=5 + params["model.width"] / 20, curve=curve, status=status)
    return sweep.end()
