"""Sweeps made by hand, for the tests of the cockpit."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from textual.pilot import Pilot

from sweeptui.app.cockpit import Cockpit
from sweeptui.core.limits import Ending
from sweeptui.core.state import SweepStatus
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import FailureKind, JobOutcome, JobState, Report, Stage, TrialStatus

PARAMS = ("learning_rate", "clip_coef", "ent_coef", "gae_lambda", "vf_coef")
RANGES = ((1e-4, 1e-2), (0.1, 0.4), (1e-4, 1e-1), (0.8, 0.99), (0.1, 1.0))
CONFIG: dict[str, Any] = {
    "max_trials": 12,
    "max_parallel_jobs": 2,
    "cost_unit": "seconds",
    "protein_config": {
        "metric": "evaluator/eval_cartpole/score",
        "goal": "maximize",
        "parameters": {
            f"trainer.algorithm.{name}": {"distribution": "uniform", "min": low, "max": high}
            for name, (low, high) in zip(PARAMS, RANGES, strict=True)
        },
    },
}
NOW = 1_700_000_000.0


class Clock:
    """The store's time, which the test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class Sweep:
    """A sweep in `root`, and what a runner would have written about it."""

    def __init__(self, root: Path, name: str = "ppo-calm-otter", **config: Any) -> None:
        self.folder = root / "train_dir" / "sweeps" / name
        self.clock = Clock()
        self.store = SqliteStore.create(self.folder / "sweep.db", name, {**CONFIG, **config}, clock=self.clock)
        with self.store.transaction() as tx:
            tx.set_sweep(status=SweepStatus.RUNNING)

    def trial(self, provenance: dict[str, Any] | None = None) -> int:
        with self.store.transaction() as tx:
            number = self.store.state.last_trial + 1
            params = {
                f"trainer.algorithm.{name}": low + (high - low) * math.sin(number * (index + 1.7)) ** 2
                for index, (name, (low, high)) in enumerate(zip(PARAMS, RANGES, strict=True))
            }
            tx.create_trial(params, 1, provenance or {"method": "random"})
        return number

    def start(self, number: int, stage: Stage = Stage.TRAIN) -> int:
        status = TrialStatus.EVALUATING if stage.evaluates else TrialStatus.TRAINING
        with self.store.transaction() as tx:
            job = tx.create_job(number, stage, ("true",))
            tx.set_job(job.id, state=JobState.RUNNING, started_at=tx.now)
            tx.set_trial(number, status=status, started_at=tx.trial(number).started_at or tx.now)
        self.log(number, stage).parent.mkdir(parents=True, exist_ok=True)
        return job.id

    def report(self, number: int, scores: list[float], total: float = 50_000) -> None:
        job = self.store.state.running_jobs[number]
        reports = [
            Report(number, job.id, job.stage, self.clock(), (index + 1) * 1000.0, total, score)
            for index, score in enumerate(scores)
        ]
        with self.store.transaction() as tx:
            tx.add_reports(reports)
            tx.set_job(job.id, report_offset=job.report_offset + len(scores))
            tx.set_trial(number, step=reports[-1].step, total_steps=total, score=scores[-1])

    def end(
        self, number: int, score: float | None = None, failure: FailureKind | None = None, reason: str = ""
    ) -> None:
        job = self.store.state.running_jobs[number]
        outcome = JobOutcome(failure) if failure else JobOutcome.COMPLETED
        with self.store.transaction() as tx:
            tx.set_job(job.id, state=JobState.ENDED, outcome=outcome, reason=reason, ended_at=tx.now)
            cost = tx.now - (tx.trial(number).started_at or tx.now)
            tx.set_trial(
                number,
                status=TrialStatus.FAILED if failure else TrialStatus.COMPLETED,
                failure=failure,
                reason=reason,
                score=score,
                cost=cost,
                spent=cost,
                ended_at=tx.now,
            )

    def set(self, number: int, status: TrialStatus, **fields: Any) -> None:
        with self.store.transaction() as tx:
            tx.set_trial(number, status=status, **fields)

    def log(self, number: int, stage: Stage = Stage.TRAIN, attempt: int = 1) -> Path:
        return self.folder / "trials" / f"trial_{number:04d}" / f"{stage}.{attempt}.log"

    def write_log(self, number: int, text: str | bytes, stage: Stage = Stage.TRAIN) -> None:
        path = self.log(number, stage)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(text.encode() if isinstance(text, str) else text)

    def command(self) -> Any:
        """The oldest pending command."""
        self.store.refresh()
        return next(iter(self.store.state.commands.values()), None)

    def answer(self, command: Any, state: str, result: str) -> None:
        with self.store.transaction() as tx:
            tx.finish_command(command.id, state, result)


def busy_sweep(root: Path) -> Sweep:
    """A sweep in full swing: every state, a best trial, a learning curve for each."""
    sweep = Sweep(root)
    sweep.store.acquire_lease("headless", ttl_s=3600)
    protein = {"method": "protein", "score_mean": 471.3, "score_std": 18.2, "cost_mean": 21.4}
    for step, final in enumerate((187.4, 326.1, 88.25, 441.75, 497.6), start=1):
        number = sweep.trial(protein if step > 2 else None)
        sweep.start(number)
        sweep.report(number, [final * (1 - math.exp(-i / 12)) + 9 * math.sin(i * step) for i in range(50)])
        sweep.write_log(number, f"epoch 50 score {final}\n")
        sweep.clock.now += 17 + step
        sweep.end(number, final)
    number = sweep.trial(protein)
    sweep.start(number)
    sweep.report(number, [20.0, 31.0, 12.0])
    sweep.clock.now += 4
    sweep.write_log(number, "Traceback (most recent call last):\nMemoryError\n")
    sweep.end(
        number, None, FailureKind.OUT_OF_MEMORY, "the training ran out of memory: MemoryError in line 41 of train.py"
    )
    number = sweep.trial({"method": "random", "fallback": "the model could not be fitted: singular matrix"})
    sweep.start(number)
    sweep.set(number, TrialStatus.PAUSED, paused_from=TrialStatus.TRAINING, reason="paused by ada@lab (cockpit)")
    number = sweep.trial(protein)
    sweep.set(number, TrialStatus.KILLED, reason="killed by ada@lab (cockpit)")
    number = sweep.trial(protein)
    sweep.start(number)
    sweep.report(number, [480 * (1 - math.exp(-i / 9)) + 12 * math.sin(i) for i in range(31)])
    for epoch in range(1, 32):
        sps = 790 + 13 * math.sin(epoch)
        score = 480 * (1 - math.exp(-epoch / 9))
        kl = 0.011 + 0.002 * math.sin(epoch)
        head = f"\x1b[36mepoch {epoch:>3}\x1b[0m  step {epoch * 1000:>6}  return \x1b[1m{score:7.2f}\x1b[0m"
        sweep.write_log(number, f"{head}  loss {0.9 / epoch:.4f}  kl {kl:.4f}  \x1b[32msps {sps:.0f}\x1b[0m\n")
    sweep.clock.now += 14
    sweep.trial(protein)
    return sweep


class FakeSession:
    """Stands for a session: runs until it is interrupted or `ending` is set by the test."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self.name = folder.name
        self.interrupted: list[bool] = []
        self.ending: Ending | None = None
        self.error: BaseException | None = None
        self._over = threading.Event()

    def run(self, listener: Any = None) -> Ending:
        assert self._over.wait(60)
        if self.error is not None:
            raise self.error
        return self.ending or Ending(SweepStatus.INTERRUPTED, "interrupted", 130)

    def interrupt(self, leave_running: bool = False) -> None:
        self.interrupted.append(leave_running)
        self._over.set()

    def finish(self, ending: Ending | None = None, error: BaseException | None = None) -> None:
        self.ending, self.error = ending, error
        self._over.set()


def frame(app: Cockpit) -> list[str]:
    """What is on screen, line by line, without colours."""
    return [strip.text for strip in app.screen._compositor.render_strips()]


def widths(app: Cockpit) -> set[int]:
    return {cell_len(line) for line in frame(app)}


def toasts(app: Cockpit) -> list[str]:
    return [note.message for note in app._notifications]


async def until(pilot: Pilot[None], happened: Callable[[], object], what: str = "") -> None:
    """Wait for something that a thread brings about."""
    for _ in range(2000):
        if happened():
            await pilot.pause()
            return
        await asyncio.sleep(0.025)
        await pilot.pause()
    raise AssertionError(f"{what or 'it'} did not happen; on screen:\n" + "\n".join(frame(pilot.app)))  # type: ignore[arg-type]
