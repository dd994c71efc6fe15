"""Protein and its peers on the same tasks, with the same seeds.

    python -m benchmarks.optimizers run --out results.jsonl            # again, to go on where it stopped
    python -m benchmarks.optimizers run --batch 4 --n 60 --out results.jsonl
    python -m benchmarks.optimizers scale --out results.jsonl          # latency and memory by length of the history
    python -m benchmarks.optimizers ablate --out ablations.jsonl       # Protein with each of its parts off in turn
    python -m benchmarks.optimizers report results.jsonl
    python -m benchmarks.optimizers front                              # several objectives: see benchmarks/front.py

It needs, beside the package: `pip install torch coco-experiment scikit-learn onnxruntime optuna cmaes nevergrad
ax-platform smac psutil`, and for the `lcb` tasks a folder with LCBench's surrogate: see `benchmarks/tasks.py`. What
cannot be had is left out by `--methods` and `--groups`; a run that fails is recorded with its error.

The tasks are COCO's functions (also with integers), scikit-learn's models on its own data, and LCBench's surrogate.
The group `held` is of tasks that no version of Protein was developed on. Tables are explained above each. One line of
`--out` is one run: its losses, costs, and the CPU time of each ask + tell.
Every run has a process of its own, one at a time; with one thread, so set nothing else going beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import numpy as np

from benchmarks import front, tables
from benchmarks.ablations import PARTS, PREFIX, without
from benchmarks.peers import PEERS, imported
from benchmarks.tasks import Task, names, task

GROUPS = "bbob2,bbob5,mixint5,ml,lcb"
METHODS = "protein,random,sobol,tpe,gpsampler,cmaes,ngopt,smac,ax"
ABLATED = "bbob-f8-d5,lcb-167168,mixint-f8-d5,bbob-f13-d10,lcb-126026,bbob-f17-d5"
BEYOND = 1.5
"""Where cost differs, a run goes on to this many times `n` evaluations to spend what `n` random ones cost."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run what --out does not have yet")
    run.add_argument("--methods", default=METHODS)
    run.add_argument("--groups", default=GROUPS, help=f"of bbob2, bbob3, bbob5, bbob10, mixint5, ...; default {GROUPS}")
    run.add_argument("--tasks", help="single tasks instead of groups")
    run.add_argument("--n", type=int, default=100)
    run.add_argument("--batch", type=int, default=1)
    run.add_argument("--seeds", type=int, default=3)
    run.add_argument("--timeout", type=float, default=1800)
    ablate = commands.add_parser("ablate", help="run Protein without each of its parts, with random search beside it")
    ablate.add_argument("--methods", default=",".join(["random", "protein", *(PREFIX + part for part in PARTS)]))
    ablate.add_argument("--groups", default="")
    ablate.add_argument("--tasks", default=ABLATED)
    ablate.add_argument("--n", type=int, default=60)
    ablate.add_argument("--batch", type=int, default=1)
    ablate.add_argument("--seeds", type=int, default=1)
    ablate.add_argument("--timeout", type=float, default=600)
    scale = commands.add_parser("scale", help="time ask + tell after histories of some lengths")
    scale.add_argument("--methods", default="protein,gpsampler")
    scale.add_argument("--dims", default="5,20")
    scale.add_argument("--sizes", default="20,50,100,300,1000")
    scale.add_argument("--timeout", type=float, default=600)
    for each in (run, ablate, scale):
        each.add_argument("--out", type=Path, required=True)
    report = commands.add_parser("report", help="print the tables")
    report.add_argument("files", nargs="+", type=Path)
    report.add_argument("--methods", default="")
    several = commands.add_parser("front", help="several objectives at once: how much of the front is found")
    several.add_argument("--methods", default=front.METHODS)
    several.add_argument("--seeds", type=int, default=3)
    several.add_argument("--at", default="20,40", help="trials after which the front is measured")
    arguments = parser.parse_args()
    if arguments.command == "front":
        front.report(arguments.methods.split(","), arguments.seeds, [int(each) for each in arguments.at.split(",")])
    elif arguments.command == "report":
        print(tables.report(arguments.files, [name for name in arguments.methods.split(",") if name]))
    elif arguments.command in ("run", "ablate"):
        run_all(arguments)
    else:
        scale_all(arguments)


def run_all(arguments: argparse.Namespace) -> None:
    chosen = arguments.tasks.split(",") if arguments.tasks else interleaved(arguments.groups.split(","))
    methods = arguments.methods.split(",")
    jobs = [
        {"kind": "run", "task": name, "method": method, "seed": seed, "batch": arguments.batch, "n": arguments.n}
        for seed in range(arguments.seeds)
        for name in chosen
        for method in methods
    ]
    have = [{key: line[key] for key in jobs[0]} for line in tables.lines([arguments.out]) if line["kind"] == "run"]
    imported(methods)
    for done, job in enumerate(jobs, 1):
        if job not in have:
            wall = recorded(job, lambda job=job: one_run(job), arguments.out, arguments.timeout)
            print(f"{done}/{len(jobs)} {job['task']} {job['method']} seed {job['seed']}: {wall:.0f} s", flush=True)


def interleaved(groups: list[str]) -> list[str]:
    """One of each group after the other, so that an interrupted benchmark has seen something of all."""
    columns = [names(group) for group in groups]
    return [column[i] for i in range(max(map(len, columns))) for column in columns if i < len(column)]


def scale_all(arguments: argparse.Namespace) -> None:
    for dimension in map(int, arguments.dims.split(",")):
        for method in arguments.methods.split(","):
            for size in map(int, arguments.sizes.split(",")):
                job = {"kind": "scale", "method": method, "dim": dimension, "n": size}
                have = [{key: line[key] for key in job if key in line} for line in tables.lines([arguments.out])]
                if job not in have:
                    recorded(job, lambda job=job: one_timing(job), arguments.out, arguments.timeout)
                    print(f"{method}, {dimension} dimensions, {size} observations", flush=True)


def recorded(job: dict[str, Any], work: Any, out: Path, timeout: float) -> float:
    """Do the work in a forked process and append its line, or why there is none. Returns the seconds it took."""
    began = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        try:
            line = job | {"ok": True} | work()
        except Exception as error:
            line = job | {"ok": False, "error": f"{type(error).__name__}: {error}"[:300]}
        line["rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        append(out, line)
        os._exit(0)
    while os.waitpid(pid, os.WNOHANG)[0] == 0:
        if time.perf_counter() - began > timeout:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            append(out, job | {"ok": False, "error": f"not done after {timeout:g} s"})
            break
        time.sleep(0.02)
    return time.perf_counter() - began


def append(out: Path, line: dict[str, Any]) -> None:
    with out.open("a") as file:
        file.write(json.dumps(line, separators=(",", ":")) + "\n")


def one_run(job: dict[str, Any]) -> dict[str, Any]:
    played = task(job["task"])
    n, batch = job["n"], job["batch"]
    allowance = random_cost(played, n)
    optimizer = contender(job["method"])(
        played.space, seed=job["seed"], budget=n, batch=batch, cost_aware=allowance is not None
    )
    losses: list[float] = []
    costs: list[float] = []
    cpu_ms: list[float] = []

    def goes_on() -> bool:
        spend = allowance is not None and batch == 1 and sum(costs) < allowance and len(losses) < BEYOND * n
        return len(losses) < n or spend

    while goes_on():
        clock = time.process_time()
        configurations = optimizer.ask(batch)
        spent = time.process_time() - clock
        for configuration in configurations:
            loss, cost = played.evaluate(configuration)
            clock = time.process_time()
            optimizer.tell(configuration, loss, cost)
            spent += time.process_time() - clock
            losses.append(loss)
            costs.append(cost)
        cpu_ms.append(round(1000 * spent, 2))
    result: dict[str, Any] = {
        "optimum": played.optimum,
        "floor": played.floor,
        "losses": [float(f"{loss:.10g}") for loss in losses],
        "cpu_ms": cpu_ms,
    }
    if hasattr(optimizer, "predictions"):
        result["predictions"] = optimizer.predictions
    if allowance is not None:
        result |= {"costs": [float(f"{cost:.5g}") for cost in costs], "allowance": allowance}
    return result


def contender(method: str) -> Any:
    return without(method.removeprefix(PREFIX)) if method.startswith(PREFIX) else PEERS[method]


def random_cost(played: Task, n: int) -> float | None:
    """What `n` random evaluations cost on average; None where all cost the same."""
    if played.cost is None:
        return None
    rng = np.random.default_rng(12345)
    return n * float(np.mean([played.cost(played.space.sample(rng)) for _ in range(2000)]))


def one_timing(job: dict[str, Any]) -> dict[str, Any]:
    """Observations are told, as many as asked for but the last; then ask + tell is timed."""
    played = task(f"synth-d{job['dim']}")
    rng = np.random.default_rng(0)
    budget = 48 if job["method"] == "smac" else job["n"] + 100  # SMAC sizes its first design by the budget
    optimizer = contender(job["method"])(played.space, seed=0, budget=budget, batch=1, cost_aware=True)
    for k in range(job["n"]):
        if k < 14:  # past every method's first design
            [configuration] = optimizer.ask(1)
        else:
            configuration = played.space.sample(rng)
        optimizer.tell(configuration, *played.evaluate(configuration))
    cpu_ms = []
    for _ in range(9 if job["n"] < 500 else 4):
        clock = time.process_time()
        [configuration] = optimizer.ask(1)
        optimizer.tell(configuration, *played.evaluate(configuration))
        cpu_ms.append(round(1000 * (time.process_time() - clock), 2))
    return {"cpu_ms": cpu_ms}


if __name__ == "__main__":
    sys.exit(main())
