"""Tables from the lines that `benchmarks/optimizers.py` writes."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BASELINE = "random"
SMALLEST = 1e-8
"""Gap to the optimum that counts as none."""
SHARES = (0.25, 0.5, 1.0)
SIZES = (30, 60, 100)

EXPLAINED = """\
The gap of a run is its best loss so far minus the optimum: COCO's own, for LCBench that of a long search, for
scikit-learn the best of any run in these files. "log10 gap" is log10 of the gap over the median gap of random search
at the same number of evaluations, floored (-4, or -2 where the optimum is not known exactly): -1 is ten times closer
to the optimum than random search. Seeds are averaged within a task; the range is a 90% bootstrap over tasks. Ranks and
wins go by task, and only tasks that all methods of a table have are in it."""


def lines(files: list[Path]) -> list[dict[str, Any]]:
    return [json.loads(line) for file in files if file.exists() for line in file.read_text().splitlines()]


def report(files: list[Path], methods: list[str]) -> str:
    found = lines(files)
    runs = Runs([line for line in found if line["kind"] == "run" and line["ok"]], methods)
    parts = [EXPLAINED]
    for batch in sorted({run["batch"] for run in runs.all}):
        for n in SIZES:
            way = "one at a time" if batch == 1 else f"batches of {batch}"
            parts.append(f"**{n} evaluations, {way}**\n\n{quality(runs, n, batch)}")
    parts.append(f"**Best loss at a share of the cost of n random evaluations: rank (log10 gap)**\n\n{by_cost(runs)}")
    parts.append(f"**CPU milliseconds of ask + tell within the runs, median / 95%**\n\n{latency(runs)}")
    timings = [line for line in found if line["kind"] == "scale" and line["ok"]]
    parts.append(f"**CPU seconds of ask + tell by length of the history, mean, and peak MB**\n\n{scaling(timings)}")
    failed = [line for line in found if not line["ok"]]
    if failed:
        listed = [f"- {line.get('task', line.get('dim'))} {line['method']}: {line['error']}" for line in failed]
        parts.append("**Failed**\n\n" + "\n".join(listed))
    return "\n\n".join(parts)


class Runs:
    def __init__(self, all_runs: list[dict[str, Any]], methods: list[str]) -> None:
        self.best: dict[str, float] = {}
        for run in all_runs:
            least = min(run["losses"]) if run["optimum"] is None else min(run["optimum"], *run["losses"])
            self.best[run["task"]] = min(least, self.best.get(run["task"], math.inf))
        self.all = [run for run in all_runs if not methods or run["method"] in {*methods, BASELINE}]

    def log_gaps(
        self, batch: int, best_of: Callable[[dict[str, Any]], float | None]
    ) -> tuple[list[str], list[str], np.ndarray]:
        """Methods, tasks, and the mean log10 gap of each (methods by tasks); only tasks that all methods have."""
        gaps: dict[tuple[str, str], list[float]] = defaultdict(list)
        floors = {}
        for run in self.all:
            loss = best_of(run)
            if loss is None or run["batch"] not in {1, batch} or (run["batch"] != batch and run["method"] != BASELINE):
                continue
            gaps[run["method"], run["task"]].append(max(loss - self.best[run["task"]], SMALLEST))
            floors[run["task"]] = run["floor"]
        methods = sorted({method for method, _ in gaps})
        tasks = [name for name in sorted(floors) if all((method, name) in gaps for method in methods)]
        means = np.zeros((len(methods), len(tasks)))
        for j, name in enumerate(tasks):
            base = float(np.median(gaps.get((BASELINE, name), [math.nan])))
            for i, method in enumerate(methods):
                logs = [max(math.log10(gap / base), floors[name]) for gap in gaps[method, name]]
                means[i, j] = np.mean(logs)
        return methods, tasks, means


def ranks(column: np.ndarray) -> np.ndarray:
    """1 is best; what is within a thousandth shares its ranks."""
    rounded = np.round(column / 1e-3)
    return np.array([(rounded < each).sum() + ((rounded == each).sum() + 1) / 2 for each in rounded])


def quality(runs: Runs, n: int, batch: int) -> str:
    methods, tasks, means = runs.log_gaps(
        batch, lambda run: min(run["losses"][:n]) if len(run["losses"]) >= n else None
    )
    if not tasks:
        return "No task has results of all methods."
    ranked = np.array([ranks(means[:, j]) for j in range(len(tasks))])
    rng = np.random.default_rng(0)
    rows = []
    for i in np.argsort(ranked.mean(axis=0)):
        drawn = [means[i, rng.integers(0, len(tasks), len(tasks))].mean() for _ in range(1000)]
        low, high = np.percentile(drawn, [5, 95])
        wins = int((means[i] <= means.min(axis=0) + 1e-3).sum())
        rows.append(
            [methods[i], f"{ranked[:, i].mean():.2f}", f"{means[i].mean():+.2f}", f"{low:+.2f} to {high:+.2f}", wins]
        )
    return f"{table(['method', 'rank', 'log10 gap', '90%', 'wins'], rows)}\n\n{len(tasks)} tasks."


def by_cost(runs: Runs) -> str:
    cells: dict[str, list[str]] = defaultdict(list)
    count = 0
    for share in SHARES:

        def best(run: dict[str, Any], share: float = share) -> float | None:
            if "costs" not in run or run["batch"] != 1:
                return None
            within = int(np.searchsorted(np.cumsum(run["costs"]), share * run["allowance"], side="right"))
            return min(run["losses"][:within]) if within else max(run["losses"])

        methods, tasks, means = runs.log_gaps(1, best)
        if not tasks:
            return "No task whose cost differs has results of all methods."
        count = len(tasks)
        ranked = np.array([ranks(means[:, j]) for j in range(count)])
        for i, method in enumerate(methods):
            cells[method].append(f"{ranked[:, i].mean():.2f} ({means[i].mean():+.2f})")
    spent: dict[str, list[float]] = defaultdict(list)
    for run in runs.all:
        if "costs" in run and run["batch"] == 1:
            spent[run["method"]].append(sum(run["costs"][: run["n"]]) / run["allowance"])
    rows = [[method, *cells[method], f"{np.median(spent[method]):.2f}"] for method in sorted(cells)]
    rows.sort(key=lambda row: float(row[-2].split()[0]))
    return f"{table(['method', *map(str, SHARES), 'cost of the first n'], rows)}\n\n{count} tasks."


def latency(runs: Runs) -> str:
    measured: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run in runs.all:
        if run["batch"] == 1:
            for k in (20, 50, 100):
                measured[run["method"]][k] += run["cpu_ms"][k - 5 : k + 5]
    rows = []
    for method, by_length in sorted(measured.items()):
        cells = [
            f"{np.median(times):.1f} / {np.percentile(times, 95):.1f}" if times else "-" for times in by_length.values()
        ]
        rows.append([method, *cells])
    return table(["method", "after 20", "after 50", "after 100"], rows)


def scaling(timings: list[dict[str, Any]]) -> str:
    sizes = sorted({line["n"] for line in timings})
    rows = []
    for dimension in sorted({line["dim"] for line in timings}):
        for method in sorted({line["method"] for line in timings}):
            mine = {line["n"]: line for line in timings if (line["method"], line["dim"]) == (method, dimension)}
            cells = [f"{np.mean(mine[n]['cpu_ms']) / 1000:.3f}" if n in mine else "-" for n in sizes]
            rows.append([method, dimension, *cells, max((line["rss_mb"] for line in mine.values()), default="-")])
    return table(["method", "dimensions", *(f"n={n}" for n in sizes), "MB"], rows)


def table(head: list[str], rows: list[list[Any]]) -> str:
    drawn = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in drawn)
