"""Schedulers on learning curves: regret against simulated time and epochs, for 1, 4 and 16 workers.

    python -m benchmarks.schedulers run --data lcbench --out results.jsonl     # again, to go on where it stopped
    python -m benchmarks.schedulers report results.jsonl

`--data` is a folder with LCBench's surrogate (see `benchmarks/curves.py`). It needs, beside the package: `pip install
torch onnxruntime optuna syne-tune pytest`; a method whose library is missing is left out. One line of `--out` is one
run: the best loss so far whenever it fell, with the simulated seconds and the epochs of all trainings by then.

Every run may do 2,080 epochs: 40 whole trainings. ASHA with Protein may do a quarter of that, for Protein takes long to
choose among hundreds of trials.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

from benchmarks.curves import EPOCHS, LCBench
from benchmarks.scheduler_peers import PEERS, run_peer
from sweeptui.core.optimizers import registry
from sweeptui.core.schedulers import ASHAScheduler, Scheduler, resolve
from sweeptui.core.trial import Point, Trial
from sweeptui.testing import best_so_far, simulate

BUDGET = 40 * EPOCHS
GRACE = 3
"""An epoch that says something: the network of the first is untrained."""
ASHA = {"max_epochs": EPOCHS, "grace_period": GRACE, "resource": "step"}


class Blind(ASHAScheduler):
    """ASHA under which nothing is known of trials that still train: what their reports are worth to Protein."""

    name = "blind"

    def share(self, trial: Trial, point: Point) -> float | None:
        del trial, point
        return None


OURS: dict[str, tuple[str, str, dict[str, Any], int]] = {
    "random": ("random", "optimizing", {}, BUDGET),
    "protein": ("bayes", "optimizing", {}, BUDGET),
    "asha+random": ("random", "asha", ASHA, BUDGET),
    "asha-stopping+random": ("random", "asha", {**ASHA, "variant": "stopping"}, BUDGET),
    "asha-promotion+random": ("random", "asha", {**ASHA, "variant": "promotion"}, BUDGET),
    "asha+protein": ("bayes", "asha", ASHA, BUDGET // 4),
    "asha-stopping+protein": ("bayes", "asha", {**ASHA, "variant": "stopping"}, BUDGET // 4),
    "asha-promotion+protein": ("bayes", "asha", {**ASHA, "variant": "promotion"}, BUDGET // 4),
    "asha+protein blind": ("bayes", "benchmarks.schedulers:Blind", ASHA, BUDGET // 4),
    "hyperband": ("random", "hyperband", ASHA, BUDGET),
    "pbt": ("random", "pbt", {"population_size": 40, "num_generations": 6, "max_epochs": EPOCHS}, BUDGET),
}
"""Optimizer, scheduler, its options, and the epochs that it may do."""
TASKS = "189906,167104,3945,126026"
"""Data sets of OpenML. On the last, the order after a few epochs says little about the order at the end."""
MAX_TRIALS = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run what --out does not have yet")
    run.add_argument("--data", type=Path, required=True)
    run.add_argument("--methods", default=",".join([*OURS, *PEERS]))
    run.add_argument("--tasks", default=TASKS)
    run.add_argument("--workers", default="1,4,16")
    run.add_argument("--seeds", type=int, default=3)
    run.add_argument("--out", type=Path, required=True)
    report = commands.add_parser("report", help="tables of what was run")
    report.add_argument("results", type=Path, nargs="+")
    report.add_argument("--seeds", type=int, default=10**6, help="only so many, the first")
    report.add_argument("--tasks", default=TASKS, help="only these")
    options = parser.parse_args()
    if options.command == "run":
        _run(options)
    else:
        lines = [json.loads(line) for path in options.results for line in path.read_text().splitlines()]
        tasks = options.tasks.split(",")
        print(table([line for line in lines if line["seed"] < options.seeds and line["task"] in tasks]))


def _run(options: argparse.Namespace) -> None:
    done = set()
    if options.out.exists():
        done = {_key(json.loads(line)) for line in options.out.read_text().splitlines()}
    tasks = {name: LCBench(options.data, name) for name in options.tasks.split(",")}
    jobs = [
        (method, name, workers, seed)
        for method in options.methods.split(",")
        for seed in range(options.seeds)
        for name in tasks
        for workers in map(int, options.workers.split(","))
    ]
    for method, name, workers, seed in jobs:
        if (method, name, workers, seed) in done:
            continue
        began = time.process_time()
        try:
            trace = _ours(method, tasks[name], workers, seed) if method in OURS else None
            trace = run_peer(method, tasks[name], workers, seed, BUDGET, GRACE) if trace is None else trace
        except ImportError as error:
            print(f"{method}: left out, {error}", file=sys.stderr)
            continue
        line = {"method": method, "task": name, "workers": workers, "seed": seed, "best": trace}
        line["cpu_s"] = round(time.process_time() - began, 2)
        with options.out.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(f"{method} {name} x{workers} seed {seed}: {trace[-1][2]:.3f} ({line['cpu_s']} s)", file=sys.stderr)


def _key(line: dict[str, Any]) -> tuple[Any, ...]:
    return line["method"], line["task"], line["workers"], line["seed"]


def _ours(method: str, task: LCBench, workers: int, seed: int) -> list[tuple[float, int, float]]:
    """(simulated seconds, epochs, best loss) whenever the best loss fell, and at the end."""
    chooser, name, options, budget = OURS[method]
    optimizer = registry.resolve(chooser)(task.space, goal=task.goal, settings={}, seed=seed)
    scheduler: Scheduler = resolve(name, options)
    outcome = simulate(scheduler, optimizer, task, workers=workers, max_trials=MAX_TRIALS, max_epochs=budget, seed=seed)
    best = best_so_far(outcome, task.goal)
    last = outcome.reports[-1]
    return [(each.at_s, each.epochs, each.score) for each in best] + [(last.at_s, last.epochs, best[-1].score)]


# -- tables


def table(lines: list[dict[str, Any]]) -> str:
    """Means over tasks and seeds; regret is what a loss is above the least of all runs, in points of accuracy."""
    least = {task: min(line["best"][-1][2] for line in lines if line["task"] == task) for task in _of(lines, "task")}
    ends = {
        (task, workers): statistics.mean(_regret(line, least) for line in _pick(lines, "random", task, workers))
        for task in least
        for workers in _of(lines, "workers")
        if _pick(lines, "random", task, workers)
    }
    said = [
        "Regret in points of accuracy after the share of the epochs of 40 whole trainings; then the epochs, and the"
    ]
    said += ["simulated hours, until the regret that random search has at its end (`-`: not in half of the runs).", ""]
    said += ["| workers | method | 5% | 10% | 25% | 100% | epochs to random's end | hours to random's end |"]
    said += ["|---:|---|---:|---:|---:|---:|---:|---:|"]
    for workers in sorted(_of(lines, "workers")):
        for method in _of(lines, "method"):
            mine = [line for line in lines if (line["method"], line["workers"]) == (method, workers)]
            if not mine:
                continue
            cells = [_at(mine, least, share) for share in (0.05, 0.1, 0.25, 1.0)]
            epochs = [_until(line, least, ends, 1) for line in mine]
            hours = [_until(line, least, ends, 0) for line in mine]
            said.append(
                f"| {workers} | {method} | {' | '.join(cells)} | {_median(epochs, 1)} | {_median(hours, 3600)} |"
            )
    return "\n".join(
        [*said, "", *_by_time(lines, least), "", *_by_task(lines, least), "", *_scaling(lines, least, ends)]
    )


def _by_time(lines: list[dict[str, Any]], least: dict[str, float]) -> Iterable[str]:
    """Where methods use up their epochs at different speeds, epochs alone tell half of it."""
    yield "Regret after the share of the simulated time that random search takes with the same number of workers."
    yield ""
    yield "| workers | method | 5% | 10% | 25% | 50% | 100% |"
    yield "|---:|---|---:|---:|---:|---:|---:|"
    for workers in sorted(_of(lines, "workers")):
        whole = {
            task: statistics.mean(line["best"][-1][0] for line in found)
            for task in least
            if (found := _pick(lines, "random", task, workers))
        }
        for method in _of(lines, "method"):
            mine = [line for task in whole for line in _pick(lines, method, task, workers)]
            if mine:
                cells = [_at_time(mine, least, whole, share) for share in (0.05, 0.1, 0.25, 0.5, 1.0)]
                yield f"| {workers} | {method} | {' | '.join(cells)} |"


def _at_time(lines: list[dict[str, Any]], least: dict[str, float], whole: dict[str, float], share: float) -> str:
    found = []
    for line in lines:
        until = share * whole[line["task"]]
        if line["best"][-1][0] < until * 0.7:
            return "-"  # its epochs were used up before
        before = [loss for seconds, _, loss in line["best"] if seconds <= until] or [line["best"][0][2]]
        found.append(before[-1] - least[line["task"]])
    return f"{statistics.mean(found):.2f}"


def _by_task(lines: list[dict[str, Any]], least: dict[str, float]) -> Iterable[str]:
    """Where a few epochs say little, stopping may cost."""
    yield "Regret by task after 10%, 25% and all of the epochs, over all numbers of workers (`-`: it had fewer)."
    yield ""
    yield f"| method | {' | '.join(least)} |"
    yield f"|---|{'---:|' * len(least)}"
    for method in _of(lines, "method"):
        cells = []
        for task in least:
            found = [line for line in lines if (line["method"], line["task"]) == (method, task)]
            cells.append(", ".join(_at(found, least, share) for share in (0.1, 0.25, 1.0)) if found else "-")
        yield f"| {method} | {' | '.join(cells)} |"


def _scaling(lines: list[dict[str, Any]], least: dict[str, float], ends: dict[tuple[str, int], float]) -> Iterable[str]:
    """How much sooner many workers come as far as one."""
    most = max(_of(lines, "workers"))
    yield f"How many times sooner {most} workers than one come, in simulated time: to the regret that random search"
    yield "with one worker ends with (the medians of all runs), and to the regret that the same method ends with,"
    yield "with one worker and within its epochs (the median of those that come there, and how many do)."
    yield ""
    yield "| method | to random's end | to its own end | runs |"
    yield "|---|---:|---:|---:|"
    for method in _of(lines, "method"):
        ratios, count = [], 0
        ends_of: dict[int, list[float]] = {1: [], most: []}
        for task in least:
            ones = _pick(lines, method, task, 1)
            if not ones:
                continue
            for workers, found in ends_of.items():
                for line in _pick(lines, method, task, workers):
                    first = _first(line, least, ends.get((task, 1), -math.inf), 0)
                    found.append(math.inf if first is None else first)
            goal = statistics.mean(_regret(line, least) for line in ones)
            times = [_first(line, least, goal, 0) for line in ones]
            alone = [each for each in times if each is not None]
            for line in _pick(lines, method, task, most):
                count += 1
                reached = _first(line, least, goal, 0)
                if reached is not None and alone:
                    ratios.append(statistics.median(alone) / reached)
        medians = {workers: statistics.median_high(found) for workers, found in ends_of.items() if found}
        known = len(medians) == len(ends_of) and all(map(math.isfinite, medians.values()))
        sooner = f"{medians[1] / medians[most]:.1f}" if known else "-"
        own = f"{statistics.median(ratios):.1f}" if ratios else "-"
        yield f"| {method} | {sooner} | {own} | {len(ratios)} of {count} |"


def _of(lines: list[dict[str, Any]], key: str) -> list[Any]:
    return list(dict.fromkeys(line[key] for line in lines))


def _pick(lines: list[dict[str, Any]], method: str, task: str, workers: int) -> list[dict[str, Any]]:
    return [line for line in lines if (line["method"], line["task"], line["workers"]) == (method, task, workers)]


def _regret(line: dict[str, Any], least: dict[str, float]) -> float:
    return float(line["best"][-1][2] - least[line["task"]])


def _at(lines: list[dict[str, Any]], least: dict[str, float], share: float) -> str:
    found = []
    for line in lines:
        if line["best"][-1][1] < share * BUDGET * 0.9:
            return "-"  # it was not given as many
        before = [loss for _, epochs, loss in line["best"] if epochs <= share * BUDGET] or [line["best"][0][2]]
        found.append(before[-1] - least[line["task"]])
    return f"{statistics.mean(found):.2f}"


def _until(
    line: dict[str, Any], least: dict[str, float], ends: dict[tuple[str, int], float], column: int
) -> float | None:
    goal = ends.get((line["task"], line["workers"]))
    return None if goal is None else _first(line, least, goal, column)


def _first(line: dict[str, Any], least: dict[str, float], goal: float, column: int) -> float | None:
    reached = (each for each in line["best"] if each[2] - least[line["task"]] <= goal + 1e-9)
    return next((float(each[column]) for each in reached), None)


def _median(found: list[float | None], unit: float) -> str:
    """Of all runs: those that did not come there count as the longest."""
    known = sorted(each for each in found if each is not None)
    if len(known) <= len(found) / 2:
        return "-"
    middle = known[len(found) // 2] / unit
    return f"{middle:.0f}" if middle >= 10 else f"{middle:.2f}"


if __name__ == "__main__":
    main()
