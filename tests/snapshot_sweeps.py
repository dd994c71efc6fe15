"""The sweeps that the snapshots show: one for each state that a sweep can be in, the same on every machine."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from app_sweep import CONFIG, NOW, Clock, Sweep, busy_sweep

from sweeptui.core.state import SweepStatus
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import FailureKind, JobState, TrialStatus

PROTEIN = {"method": "protein", "score_mean": 471.3, "score_std": 18.2, "cost_mean": 21.4}
OUT_OF_MEMORY = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate {} GiB"
TRACEBACK = (
    "\x1b[31mTraceback (most recent call last):\x1b[0m\n"
    '  File "/home/ada/cartpole/train.py", line 212, in <module>\n'
    "    main()\n"
    '  File "/home/ada/cartpole/train.py", line 188, in main\n'
    "    loss = model(batch).mean()\n" + OUT_OF_MEMORY + "\n"
)
LONG_NAME = "ppo-cartpole-with-a-name-that-says-everything-about-the-experiment-and-then-some-2023-11-14"
UNICODE = ("größe: 很大 🚀", "naïve", "крупный")


def hold(sweep: Sweep, label: str = "headless") -> Sweep:
    """Somebody on another machine runs it, and does not fall silent."""
    sweep.store.acquire_lease(label, ttl_s=1e9)
    with closing(sqlite3.connect(sweep.folder / "sweep.db")) as db:
        db.execute("UPDATE lease SET host = 'lab', boot = '', pid = 4127, ttl_s = 1e9")
        db.commit()
    return sweep


def end_of(sweep: Sweep, status: SweepStatus, reason: str) -> Sweep:
    """The sweep is over, or stands still, and nobody runs it."""
    with sweep.store.transaction() as tx:
        tx.set_sweep(status=status, reason=reason)
    sweep.store.release_lease()
    return sweep


def curve(final: float, points: int = 50, wobble: float = 9.0) -> list[float]:
    return [final * (1 - math.exp(-i / 12)) + wobble * math.sin(i * final) for i in range(points)]


def finish(sweep: Sweep, score: float, seconds: float = 20.0, provenance: dict[str, Any] | None = None) -> int:
    """A trial from its beginning to a good end."""
    number = sweep.trial(provenance or PROTEIN)
    sweep.start(number)
    sweep.report(number, curve(score))
    sweep.write_log(number, "".join(f"epoch {epoch:>3}  return {score * epoch / 50:8.2f}\n" for epoch in range(1, 51)))
    sweep.clock.now += seconds
    sweep.end(number, score)
    return number


def fail(sweep: Sweep, amount: float, failure: FailureKind = FailureKind.OUT_OF_MEMORY) -> int:
    """A trial that ends with a traceback."""
    number = sweep.trial(PROTEIN)
    sweep.start(number)
    sweep.report(number, [20.0, 31.0, 12.0])
    sweep.write_log(number, f"epoch   1  return    20.00\nepoch   2  return    31.00\n{TRACEBACK.format(amount)}")
    sweep.clock.now += 4
    sweep.end(number, None, failure, f"train exited with code 1: {OUT_OF_MEMORY.format(amount)}")
    return number


# -- in full swing


def busy(root: Path) -> Sweep:
    """Every state of a trial; one that was evaluated, one in its second attempt, one that asks for four GPUs."""
    sweep = busy_sweep(root)
    with sweep.store.transaction() as tx:
        best = {"eval/return_std": 12.25, "sps": 798.0, "loss/value": 0.0182, "loss/policy": -0.00131, "kl": 0.0113}
        tx.set_trial(5, metrics=best)
        running = {number: job.id for number, job in sweep.store.state.running_jobs.items()}
        tx.set_job(running[9], slot={"index": 0, "gpus": ["0"]})
        tx.set_job(running[7], state=JobState.PAUSED, slot={"index": 1, "gpus": ["1"]})
    sweep.write_log(6, TRACEBACK.format(2.5))
    return hold(sweep)


def failing(root: Path) -> Sweep:
    """Three groups of errors."""
    sweep = Sweep(root, "ppo-many-failures")
    for amount in (2.5, 4, 8.25):
        fail(sweep, amount)
    number = sweep.trial()
    sweep.start(number)
    sweep.write_log(number, "no traceback here\n")
    sweep.end(number, failure=FailureKind.CRASHED, reason="train exited with code 3")
    number = sweep.trial()
    sweep.start(number)
    sweep.clock.now += 900
    sweep.end(number, failure=FailureKind.TIMEOUT, reason="train ran longer than train_timeout_s (900 s)")
    for score in (187.4, 326.1):
        finish(sweep, score)
    return hold(sweep)


# -- the states of a sweep


def empty(root: Path) -> Sweep:
    return hold(Sweep(root, "ppo-just-begun"))


def unstarted(root: Path) -> Sweep:
    sweep = Sweep(root, "ppo-not-begun")
    with sweep.store.transaction() as tx:
        tx.set_sweep(status=SweepStatus.CREATED)
    return sweep


def one(root: Path) -> Sweep:
    sweep = Sweep(root, "ppo-one-trial")
    number = sweep.trial({"method": "random"})
    sweep.start(number)
    sweep.report(number, curve(300.0, 12))
    sweep.write_log(number, "".join(f"epoch {epoch:>3}  return {25 * epoch:8.2f}\n" for epoch in range(1, 13)))
    sweep.clock.now += 6
    return hold(sweep)


def finished(root: Path) -> Sweep:
    sweep = Sweep(root, "ppo-all-done")
    for number in range(1, 12):
        finish(
            sweep, 500 * math.sin(0.19 * number) ** 2 + 7, 18 + number % 5, {"method": "random"} if number < 3 else None
        )
    fail(sweep, 2.5)
    return end_of(sweep, SweepStatus.FINISHED, "all 12 trials are over: 11 completed, 1 failed")


def broken(root: Path) -> Sweep:
    sweep = Sweep(root, "ppo-all-failed")
    for amount in (2.5, 4, 8.25, 3, 6.5):
        fail(sweep, amount)
    reason = f"5 trials in a row failed with out_of_memory (last: trial_0005: {OUT_OF_MEMORY.format(6.5)}); "
    with sweep.store.transaction() as tx:
        tx.note("breaker", {"message": reason + "mend the cause and run the same command again"})
    return end_of(sweep, SweepStatus.BROKEN, reason + "mend the cause and run the same command again")


def paused(root: Path) -> Sweep:
    sweep = Sweep(root, "ppo-on-hold")
    for score in (187.4, 326.1, 441.75):
        finish(sweep, score)
    sweep.trial(PROTEIN)
    with sweep.store.transaction() as tx:
        tx.set_sweep(status=SweepStatus.PAUSED, reason="paused by ada@lab (cockpit)")
    return hold(sweep)


def orphaned(root: Path) -> Sweep:
    """Its runner is gone."""
    sweep = Sweep(root, "ppo-left-alone")
    for score in (187.4, 326.1, 441.75):
        finish(sweep, score)
    number = sweep.trial(PROTEIN)
    with sweep.store.transaction() as tx:
        tx.set_trial(number, status=TrialStatus.PENDING, reason="queued by ada@lab (cockpit)")
    return sweep


def full_disk(root: Path) -> Sweep:
    sweep = Sweep(root, "ppo-no-room", min_free_disk_mb=2048)
    for score in (187.4, 326.1):
        finish(sweep, score)
    sweep.trial(PROTEIN)
    return hold(sweep)


def locked(root: Path) -> Sweep:
    """Another program keeps its database locked, until this process ends."""
    sweep = Sweep(root, "ppo-in-use")
    sweep.store.close()
    sweep.lock = sqlite3.connect(sweep.folder / "sweep.db", isolation_level=None)  # type: ignore[attr-defined]
    sweep.lock.execute("PRAGMA locking_mode = EXCLUSIVE")  # type: ignore[attr-defined]
    sweep.lock.execute("BEGIN EXCLUSIVE")  # type: ignore[attr-defined]
    return sweep


# -- what happens while one looks on: these are changed by their scenes


def _young(root: Path, name: str) -> Sweep:
    sweep = Sweep(root, name)
    for score in (187.4, 326.1):
        finish(sweep, score)
    return hold(sweep)


def rising(root: Path) -> Sweep:
    return _young(root, "ppo-finds-better")


def rise(sweep: Sweep) -> None:
    finish(sweep, 441.75)


def falling(root: Path) -> Sweep:
    return _young(root, "ppo-has-a-failure")


def fall(sweep: Sweep) -> None:
    fail(sweep, 2.5)


def breaking(root: Path) -> Sweep:
    return _young(root, "ppo-breaks")


def trip(sweep: Sweep) -> None:
    """As the runner does it when the breaker opens."""
    reason = "3 trials in a row failed with crashed (last: trial_0005: train exited with code 3)"
    with sweep.store.transaction() as tx:
        tx.note("breaker", {"message": reason})


# -- the shapes of a sweep


def _shaped(
    root: Path, name: str, parameters: dict[str, dict[str, Any]], rows: list[dict[str, Any]], **config: Any
) -> Sweep:
    """A sweep of these parameters; the last but one of the trials runs, and the last waits."""
    protein = {**CONFIG["protein_config"], "parameters": parameters, **config.pop("protein", {})}
    sweep = Sweep(root, name, protein_config=protein, **config)
    scores = config.get("scores") or [0.5 + 0.4 * math.sin(index * 1.3) for index in range(len(rows))]
    for index, params in enumerate(rows):
        with sweep.store.transaction() as tx:
            number = sweep.store.state.last_trial + 1
            tx.create_trial(params, 1, {"method": "random"})
        if index == len(rows) - 1:
            break
        sweep.start(number)
        sweep.report(number, curve(scores[index], 20, scores[index] / 40))
        sweep.clock.now += 12 + index
        if index < len(rows) - 2:
            sweep.end(number, scores[index])
    return hold(sweep)


def lengthy(root: Path) -> Sweep:
    """Nothing is short: the name of the sweep, of its metric, of its parameters, and their values."""
    deep = "trainer.algorithm.optimizer.learning_rate_schedule.warmup"
    parameters: dict[str, Any] = {
        f"{deep}.fraction_of_all_environment_steps": {"distribution": "uniform", "min": 0, "max": 1},
        f"{deep}.initial_multiplier_of_learning_rate": {"distribution": "log_normal", "min": 1e-7, "max": 1},
        "agent.größe": {"distribution": "categorical", "values": list(UNICODE)},
        "agent.网络.层数": {"distribution": "int_uniform", "min": 1, "max": 12},
        "env.map": {"distribution": "categorical", "values": ["maps/arena/basic/very_large_open_field.yaml", "maze"]},
    }
    names, maps = list(parameters), parameters["env.map"]["values"]
    values = ((0.1 * at, 10.0**-at, UNICODE[at % 3], at + 1, maps[1 - at % 2]) for at in range(6))
    rows = [dict(zip(names, row, strict=True)) for row in values]
    metric = "evaluator/eval_arena_with_many_agents/mean_episode_return_over_the_last_hundred_episodes"
    return _shaped(root, LONG_NAME, parameters, rows, protein={"metric": metric})


def categorical(root: Path) -> Sweep:
    parameters = {
        "optimizer": {"distribution": "categorical", "values": ["adam", "sgd", "lion"]},
        "normalize": {"distribution": "categorical", "values": [True, False]},
        "layers": {"distribution": "int_uniform", "min": 1, "max": 6},
        "batch_size": {"distribution": "uniform_pow2", "min": 16, "max": 4096},
    }
    rows = [
        {
            "optimizer": ("adam", "sgd", "lion")[at % 3],
            "normalize": at % 2 == 0,
            "layers": 1 + at % 6,
            "batch_size": 16 << at,
        }
        for at in range(8)
    ]
    return _shaped(root, "net-of-choices", parameters, rows)


def minimize(root: Path) -> Sweep:
    parameters = {
        "lr": {"distribution": "log_normal", "min": 1e-6, "max": 1e-1},
        "weight_decay": {"distribution": "log_normal", "min": 1e-8, "max": 1e-2},
        "width": {"distribution": "uniform_pow2", "min": 64, "max": 8192},
    }
    rows = [
        {"lr": 10 ** (-1 - 0.6 * index), "weight_decay": 1e-8 * 7**index, "width": 64 << index} for index in range(8)
    ]
    scores = [2.31, 1.94, 1.12, 0.871, 0.0934, 0.00412, 0.118, 0.5]
    protein = {"metric": "val/loss", "goal": "minimize"}
    return _shaped(root, "lm-small-loss", parameters, rows, protein=protein, cost_unit="usd", scores=scores)


def costless(root: Path) -> Sweep:
    """Trials that did not say what they cost."""
    sweep = Sweep(root, "no-cost-known")
    for score in (187.4, 326.1, 441.75):
        number = finish(sweep, score, provenance={"method": "random"})
        with sweep.store.transaction() as tx:
            tx.set_trial(number, cost=None, spent=0.0)
    return hold(sweep)


def huge(root: Path) -> Sweep:
    """Ten thousand trials, six of them running."""
    sweep = Sweep(root, "ppo-ten-thousand", max_trials=12_000, max_parallel_jobs=8)
    with sweep.store.transaction() as tx:
        for number in range(1, 10_001):
            wave = math.sin(number * 0.37)
            tx.create_trial(
                {
                    f"trainer.algorithm.{name}": 0.1 + 0.1 * math.sin(number * (index + 1))
                    for index, name in enumerate("abc")
                },
                1,
                {"method": "protein"},
            )
            if number > 9_994:
                continue
            failed = number % 97 == 0
            tx.set_trial(number, status=TrialStatus.TRAINING, started_at=NOW)
            tx.set_trial(
                number,
                status=TrialStatus.FAILED if failed else TrialStatus.COMPLETED,
                failure=FailureKind.OUT_OF_MEMORY if failed else None,
                reason=f"train exited with code 1: {OUT_OF_MEMORY.format(number % 7)}" if failed else "",
                score=None if failed else 400 * (1 - math.exp(-number / 4000)) + 60 * wave,
                cost=12 + 3 * wave,
                spent=12 + 3 * wave,
                ended_at=NOW + 12 + 3 * wave,
            )
    sweep.clock.now += 43_210
    for number in range(9_995, 10_001):
        sweep.start(number)
        sweep.report(number, curve(400.0, 8 + number % 40))
        sweep.clock.now += 1
    return hold(sweep)


SWEEPS: dict[str, Callable[[Path], Sweep]] = {
    each.__name__: each
    for each in (
        busy, failing, empty, unstarted, one, finished, broken, paused, orphaned, full_disk, locked, rising, falling,
        breaking, lengthy, categorical, minimize, costless, huge,
    )
}  # fmt: skip


# -- several of them, for the start screen


def _small(
    root: Path, name: str, scores: list[float | None], status: SweepStatus, age_s: float, **config: Any
) -> Sweep:
    made = Sweep.__new__(Sweep)
    made.folder = root / "train_dir" / "sweeps" / name
    made.clock = Clock()
    made.clock.now -= age_s
    made.store = SqliteStore.create(made.folder / "sweep.db", name, {**CONFIG, **config}, clock=made.clock)
    for score in scores:
        number = made.trial()
        made.start(number)
        made.clock.now += 10
        made.end(number, score, None if score is not None else FailureKind.OUT_OF_MEMORY, "CUDA out of memory")
    with made.store.transaction() as tx:
        tx.set_sweep(status=status)
    return made


def several(root: Path) -> None:
    """The start screen's: one in each state that it can show."""
    ppo = {"launch": {"recipe": "ppo"}}
    _small(
        root, "arena-first-look", [0.5, 0.9], SweepStatus.FINISHED, 9e5, launch={"recipe": "arena.yaml"}
    ).store.close()
    _small(root, "clip-range", [0.7, None, 0.82], SweepStatus.STOPPED, 9e4, **ppo).store.close()
    _small(root, "lr-and-entropy", [0.2], SweepStatus.RUNNING, 9e3, **ppo).store.close()
    _small(root, "too-large", [None, None, None], SweepStatus.BROKEN, 5e4, **ppo).store.close()
    _small(root, "not-begun", [], SweepStatus.CREATED, 60, **ppo).store.close()
    live = _small(root, "ppo-calm-otter", [187.4, 326.1, 441.75], SweepStatus.RUNNING, 600, **ppo)
    hold(live).store.close()
    damaged = root / "train_dir" / "sweeps" / "damaged"
    damaged.mkdir()
    (damaged / "sweep.db").write_bytes(b"SQLite format 3\0" + b"no database" * 500)


def experiments(root: Path) -> None:
    """One that runs, with a stage of each state and an experiment inside it, one that is paused, and a lone sweep."""
    spirals = {"launch": {"recipe": "spirals"}}
    _small(root, "tune.explore", [0.5, 0.62, 0.58], SweepStatus.FINISHED, 4000, **spirals).store.close()
    _small(root, "tune.loop1-0-model", [0.66, None, None], SweepStatus.BROKEN, 2900, **spirals).store.close()
    live = _small(root, "tune.loop1-0-model-2", [0.71, None, 0.83], SweepStatus.RUNNING, 2000, **spirals)
    hold(live, "experiment").store.close()
    _small(root, "tune.settings.search", [0.7], SweepStatus.FINISHED, 3500, **spirals).store.close()
    inner = _small(root, "tune.settings.search.trial_0001-1", [0.68, 0.7], SweepStatus.FINISHED, 3400, **spirals)
    inner.store.close()
    _small(root, "lone", [0.2], SweepStatus.FINISHED, 9e3, **spirals).store.close()
    done = ("done", 120.0)
    _experiment(root, "tune", "HybridExperiment", 60, 4100, [
        ("explore", 1, *done), ("settings", 1, *done), ("loop1[0]/model", 2, "running", 0.0),
    ])  # fmt: skip
    _experiment(root, "tune.settings", "MetaExperiment", None, 3600, [("search", 1, *done)], SweepStatus.FINISHED)
    _experiment(root, "walk", "CurriculumExperiment", 20, 500, [("init", 1, *done)], SweepStatus.PAUSED)


def _experiment(
    root: Path,
    name: str,
    kind: str,
    budget: int | None,
    age_s: float,
    stages: list[tuple[str, int, str, float]],
    status: SweepStatus = SweepStatus.RUNNING,
) -> None:
    clock = Clock()
    clock.now -= age_s
    database = root / "train_dir" / "sweeps" / name / "experiment.db"
    with closing(SqliteStore.create(database, name, {"kind": kind, "budget": budget}, clock=clock)) as store:
        if not status.ended:
            store.acquire_lease("experiment", ttl_s=1e9)
        with store.transaction("pipeline") as tx:
            for path, attempts, state, seconds in stages:
                tx.note("stage.attempt", {"path": path, "attempt": attempts})
                if state == "done":
                    tx.note("stage.done", {"path": path, "attempts": attempts, "seconds": seconds})
            tx.set_sweep(status=status, reason="paused by ada@lab" if status is SweepStatus.PAUSED else "")
    if not status.ended:
        with closing(sqlite3.connect(database)) as db:
            db.execute("UPDATE lease SET host = 'lab', boot = '', pid = 4127")
            db.commit()


FOLDERS: dict[str, Callable[[Path], None]] = {"several": several, "experiments": experiments}
"""What the start screen shows."""
