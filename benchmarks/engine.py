"""What the engine costs, measured in one run on this machine: `python benchmarks/engine.py [part ...]`.

Figures on a shared machine mean little by themselves, so each stands beside something measured in the same minute.
Parts: throughput, gap, restart, memory, help.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import optuna
import psutil

from sweeptui import ParameterConfig, ProteinConfig, SweepTool
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import JobOutcome, JobState, Stage, TrialStatus
from sweeptui.launch import prepare

SLOTS = 8
TRUE = shutil.which("true") or "/bin/true"


def tool(method: str, trials: int, command: list[str], slots: int = SLOTS) -> SweepTool:
    return SweepTool(
        sweep_name="bench",
        max_trials=trials,
        max_parallel_jobs=slots,
        breaker_failures=0,  # /bin/true reports nothing, which is a failure
        train_command=command,
        protein_config=ProteinConfig(
            method=method,
            parameters={
                name: ParameterConfig(min=1e-5, max=1e-1, distribution="log_normal")
                for name in ("a", "b", "c", "d", "e")
            },
        ),
    )


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def rate(trials: int, work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return trials / (time.perf_counter() - start)


def throughput(root: Path, trials: int) -> None:
    """Trials a second of `true`, 8 at a time."""

    def bare() -> None:
        with ThreadPoolExecutor(SLOTS) as pool:
            list(pool.map(lambda _: subprocess.run([TRUE], check=True), range(trials)))

    ours_s = rate(trials, prepare("bench", tool("random", trials, [TRUE]), root).run)
    bare_s = rate(trials, bare)
    few = max(50, trials // 5)
    optuna_s = rate(few, lambda: optuna_sweep(root, few))
    print(f"throughput, {trials} trials of {TRUE}, {SLOTS} slots, durable store")
    print(f"  sweeptui                {ours_s:8.1f} trials/s")
    print(f"  bare spawn and wait     {bare_s:8.1f} /s        sweeptui is at {ours_s / bare_s:.2f} of it")
    print(f"  Optuna, SQLite storage  {optuna_s:8.1f} trials/s  sweeptui is {ours_s / optuna_s:.1f} times as fast")


def optuna_sweep(root: Path, trials: int) -> None:
    """The same with Optuna: its SQLite storage, its random sampler, 8 threads."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def objective(trial: optuna.Trial) -> float:
        for name in ("a", "b", "c", "d", "e"):
            trial.suggest_float(name, 1e-5, 1e-1, log=True)
        subprocess.run([TRUE], check=True)
        return 0.0

    study = optuna.create_study(
        storage=f"sqlite:///{root / 'optuna.db'}", sampler=optuna.samplers.RandomSampler(seed=0)
    )
    study.optimize(objective, n_trials=trials, n_jobs=SLOTS)


def gap(root: Path, trials: int) -> None:
    """From the end of a trial to the start of the next one on its slot."""
    # Each trial sleeps 3 to 5 s, so that ends are spread as those of real trainings are.
    script = "import os, sys, time; t = 3 + int(float(sys.argv[1]) * 1e12) % 2000 / 1000; time.sleep(t); "
    script += 'open(os.environ["SWEEPTUI_REPORT"], "a").write(\'{{"score": %g}}\\n\' % t)'
    command = [sys.executable, "-S", "-c", script, "{p:a}"]
    print(f"gap between a trial's end and the next start on its slot, {trials} trials, {SLOTS} slots")
    medians = {}
    for method in ("random", "bayes"):
        folder = root / method
        session = prepare("bench", tool(method, trials, command), folder)
        session.run()
        gaps = slot_gaps(session.database)
        medians[method] = statistics.median(gaps)
        print(
            f"  {method:7} median {1000 * medians[method]:6.1f} ms   p95 {1000 * percentile(gaps, 0.95):6.1f} ms   "
            f"longest {1000 * max(gaps):6.1f} ms"
        )
    print(f"  Protein's median is {medians['bayes'] / medians['random']:.2f} times that of random search")


def slot_gaps(database: Path) -> list[float]:
    """Seconds from each end to the next start on the same slot, by the clock of the jobs' supervisors."""
    store = SqliteStore.open(database, readonly=True)
    try:
        jobs = [job for number in store.state.trials for job in store.jobs(number)]
    finally:
        store.close()
    gaps = []
    for slot in {job.slot["index"] for job in jobs}:
        times = sorted((job.handle["started_at"], job.exit["ended_at"]) for job in jobs if job.slot["index"] == slot)
        gaps += [start - end for (_, end), (start, _) in pairwise(times)]
    return gaps


def restart(root: Path, finished: int) -> None:
    """From the start of the process to the first job, with `finished` trials in the store."""
    sweep = tool("random", finished + 1, [TRUE])
    session = prepare("bench", sweep, root)
    store = SqliteStore.open(session.database)
    for start in range(0, finished, 500):
        with store.transaction("benchmark") as tx:
            for _ in range(start, min(finished, start + 500)):
                trial = tx.create_trial(dict.fromkeys("abcde", 0.001), 0, {"method": "random"})
                job = tx.create_job(trial.number, Stage.TRAIN, [TRUE])
                tx.set_trial(trial.number, status=TrialStatus.TRAINING)
                tx.set_job(job.id, state=JobState.ENDED, outcome=JobOutcome.COMPLETED, ended_at=tx.now)
                tx.set_trial(
                    trial.number,
                    status=TrialStatus.COMPLETED,
                    score=1.0,
                    cost=1.0,
                    end_order=trial.number,
                    ended_at=tx.now,
                )
    store.close()
    code = (
        "import sys; from pathlib import Path; from sweeptui.launch import reopen; "
        "reopen(Path(sys.argv[1]), 'bench').run()"
    )
    begin = time.time()
    subprocess.run([sys.executable, "-c", code, str(root)], check=True)
    pid_file = session.path / "trials" / f"trial_{finished + 1:04d}" / "train.1.pid.json"
    first = json.loads(pid_file.read_text())["started_at"] - begin
    empty = time.time()
    subprocess.run([sys.executable, "-c", "import sweeptui.launch"], check=True)
    imports = time.time() - empty
    print(f"restart with {finished:,} finished trials")
    print(f"  process start to first job {first:.2f} s, of which imports {imports:.2f} s")


def memory(root: Path) -> None:
    """Resident memory of the process that runs a sweep with Protein, without the optimizer's own process."""
    session = prepare("bench", tool("bayes", 12, [sys.executable, "-S", "-c", "import time; time.sleep(1)"], 2), root)
    code = (
        "import sys; from pathlib import Path; from sweeptui.launch import reopen; "
        "reopen(Path(sys.argv[1]), 'bench').run()"
    )
    process = psutil.Popen([sys.executable, "-c", code, str(root)])
    peak = worker = 0
    while process.poll() is None:
        try:
            peak = max(peak, process.memory_info().rss)
            for child in process.children():
                if "sweeptui.core.optimizers.worker" in child.cmdline():
                    worker = max(worker, child.memory_info().rss)
        except psutil.Error:
            pass
        time.sleep(0.05)
    print(f"memory of a run of {session.name} with Protein")
    print(f"  headless {peak / 1e6:.0f} MB, the optimizer's own process {worker / 1e6:.0f} MB")


def help_time(repeat: int = 15) -> None:
    """`sweeptui --help` beside the cheapest Python program that parses arguments."""

    def median_s(command: list[str]) -> float:
        times = []
        for _ in range(repeat):
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            times.append(time.perf_counter() - start)
        return statistics.median(times)

    ours = median_s([str(Path(sys.executable).with_name("sweeptui")), "--help"])
    base = median_s([sys.executable, "-c", "import argparse"])
    print("start-up")
    print(f"  sweeptui --help {1000 * ours:.0f} ms, {ours / base:.1f} times python -c 'import argparse'")


def main() -> None:
    parts = ["throughput", "gap", "restart", "memory", "help"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*parts, []], default=parts)
    parser.add_argument("--trials", type=int, default=1000, help="trials of the throughput part")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}\n")
    for part in arguments.parts:
        with tempfile.TemporaryDirectory(prefix="sweeptui-bench-") as folder:
            root = Path(folder)
            match part:
                case "throughput":
                    throughput(root, arguments.trials)
                case "gap":
                    gap(root, 60)
                case "restart":
                    restart(root, 10_000)
                case "memory":
                    memory(root)
                case "help":
                    help_time()
        print()


if __name__ == "__main__":
    main()
