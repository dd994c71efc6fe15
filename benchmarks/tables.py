"""Tables from the lines that `benchmarks/optimizers.py` writes."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.ablations import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BASELINE = "random"
SMALLEST = 1e-8
"""Gap to the optimum that counts as none."""
SHARES = (0.25, 0.5, 1.0)
SIZES = (30, 60, 100)
SPANS = ((0, 15), (15, 30), (30, 60), (60, 100))

EXPLAINED = """\
The gap of a run is its best loss so far minus the optimum: COCO's own, for LCBench that of a long search, for
scikit-learn the best of any run in these files. "log10 gap" is log10 of the gap over the median gap of random search
at the same number of evaluations, floored (-4, or -2 where the optimum is not known exactly): -1 is ten times closer
to the optimum than random search. Seeds are averaged within a task; the range is a 90% bootstrap over tasks. Ranks and
wins go by task, and only runs (task and seed) that all methods of a table have are in it: methods that take minutes may
have fewer, so each table is followed by one in which they are left out, and which has more of the others."""


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
    if any("predictions" in run for run in runs.all):
        parts.append(
            "**Calibration**: how often a score lay in the interval predicted for it, and the log density given to it"
            f" in units of the deviation of the losses before it\n\n{calibration(runs)}"
        )
    if any(_ablated(run) for run in runs.all):
        parts.append(f"**Ablations**: Protein without one of its parts\n\n{ablations(runs)}")
    timings = [line for line in found if line["kind"] == "scale" and line["ok"]]
    parts.append(f"**CPU seconds of ask + tell by length of the history, mean, and peak MB**\n\n{scaling(timings)}")
    failed = [line for line in found if not line["ok"]]
    if failed:
        listed = [f"- {line.get('task', line.get('dim'))} {line['method']}: {line['error']}" for line in failed]
        parts.append("**Failed**\n\n" + "\n".join(listed))
    return "\n\n".join(parts)


Cell = tuple[str, int]
"""A task and a seed: what methods are compared on."""
RICHER = 1.5
"""A table without the methods that ran least is worth printing where it has so many times the runs."""


class Runs:
    def __init__(self, all_runs: list[dict[str, Any]], methods: list[str]) -> None:
        self.best: dict[str, float] = {}
        for run in all_runs:
            least = min(run["losses"]) if run["optimum"] is None else min(run["optimum"], *run["losses"])
            self.best[run["task"]] = min(least, self.best.get(run["task"], math.inf))
        self.all = [run for run in all_runs if not methods or run["method"] in {*methods, BASELINE}]

    def log_gaps(self, batch: int, best_of: Callable[[dict[str, Any]], float | None]) -> dict[str, dict[Cell, float]]:
        """Of each method, the log10 gap of each of its runs, averaged where there are several of a cell."""
        gaps: dict[tuple[str, Cell], list[float]] = defaultdict(list)
        of_task: dict[str, list[float]] = defaultdict(list)
        floors = {}
        for run in self.all:
            loss = best_of(run)
            if loss is None or run["batch"] not in {1, batch} or (run["batch"] != batch and run["method"] != BASELINE):
                continue
            gap = max(loss - self.best[run["task"]], SMALLEST)
            gaps[run["method"], (run["task"], run["seed"])].append(gap)
            floors[run["task"]] = run["floor"]
            if run["method"] == BASELINE:
                of_task[run["task"]].append(gap)
        found: dict[str, dict[Cell, float]] = defaultdict(dict)
        for (method, cell), several in gaps.items():
            if of_task[cell[0]]:
                base = float(np.median(of_task[cell[0]]))
                found[method][cell] = float(np.mean([max(math.log10(gap / base), floors[cell[0]]) for gap in several]))
        return dict(found)


@dataclass(frozen=True)
class Comparison:
    """Methods on the cells that all of them have."""

    methods: list[str]
    tasks: list[str]
    means: np.ndarray
    """Mean log10 gap, methods by tasks."""
    runs: int

    @property
    def ranks(self) -> np.ndarray:
        """Tasks by methods."""
        return np.array([ranks(self.means[:, j]) for j in range(len(self.tasks))])


def comparisons(found: dict[str, dict[Cell, float]]) -> list[Comparison]:
    """All methods, and then without those that ran least as long as that makes a richer table."""
    methods = sorted(found)
    made: list[Comparison] = []
    while len(methods) > 1:
        cells = sorted(set.intersection(*(set(found[method]) for method in methods)))
        if cells and (not made or len(cells) >= RICHER * made[-1].runs):
            tasks = sorted({task for task, _ in cells})
            means = [
                [np.mean([found[method][cell] for cell in cells if cell[0] == task]) for task in tasks]
                for method in methods
            ]
            made.append(Comparison(methods, tasks, np.array(means), len(cells)))
        fewest = min(len(found[method]) for method in methods if method != BASELINE)
        methods = [method for method in methods if len(found[method]) > fewest or method == BASELINE]
    return made


def ranks(column: np.ndarray) -> np.ndarray:
    """1 is best; what is within a thousandth shares its ranks."""
    rounded = np.round(column / 1e-3)
    return np.array([(rounded < each).sum() + ((rounded == each).sum() + 1) / 2 for each in rounded])


def quality(runs: Runs, n: int, batch: int) -> str:
    def best(run: dict[str, Any]) -> float | None:
        whole = len(run["losses"]) >= n and not run["method"].startswith(PREFIX)
        return min(run["losses"][:n]) if whole else None

    compared = comparisons(runs.log_gaps(batch, best))
    return "\n\n".join(map(_quality, compared)) or "No run is there of all methods."


def _quality(compared: Comparison) -> str:
    ranked, means, tasks = compared.ranks, compared.means, compared.tasks
    rng = np.random.default_rng(0)
    rows = []
    for i in np.argsort(ranked.mean(axis=0)):
        drawn = [means[i, rng.integers(0, len(tasks), len(tasks))].mean() for _ in range(1000)]
        low, high = np.percentile(drawn, [5, 95])
        wins = int((means[i] <= means.min(axis=0) + 1e-3).sum())
        mean, interval = f"{means[i].mean():+.2f}", f"{low:+.2f} to {high:+.2f}"
        rows.append([compared.methods[i], f"{ranked[:, i].mean():.2f}", mean, interval, wins])
    shown = table(["method", "rank", "log10 gap", "90%", "wins"], rows)
    return f"{shown}\n\n{compared.runs} runs of each, on {len(tasks)} tasks: {', '.join(tasks)}."


def by_cost(runs: Runs) -> str:
    longest = max((run["n"] for run in runs.all if "costs" in run), default=0)
    spent: dict[str, list[float]] = defaultdict(list)
    for run in runs.all:
        if "costs" in run and run["batch"] == 1 and run["n"] == longest:
            spent[run["method"]].append(sum(run["costs"][:longest]) / run["allowance"])
    by_share = []
    for share in SHARES:

        def best(run: dict[str, Any], share: float = share) -> float | None:
            if "costs" not in run or run["batch"] != 1 or run["n"] != longest or run["method"].startswith(PREFIX):
                return None
            within = int(np.searchsorted(np.cumsum(run["costs"]), share * run["allowance"], side="right"))
            return min(run["losses"][:within]) if within else max(run["losses"])

        by_share.append(comparisons(runs.log_gaps(1, best)))
    parts = []
    for same in zip(*by_share, strict=True):
        rows = []
        for i, method in enumerate(same[0].methods):
            cells = [f"{each.ranks[:, i].mean():.2f} ({each.means[i].mean():+.2f})" for each in same]
            rows.append([method, *cells, f"{np.median(spent[method]):.2f}"])
        rows.sort(key=lambda row: float(row[-2].split()[0]))
        shown = table(["method", *map(str, SHARES), "cost of the first n"], rows)
        parts.append(f"{shown}\n\n{same[0].runs} runs of each, on {len(same[0].tasks)} tasks, n = {longest}.")
    return "\n\n".join(parts) or "No task whose cost differs has results of all methods."


def ablations(runs: Runs) -> str:
    """Protein without each of its parts, beside itself on the same runs."""
    sizes = [size for size in SIZES if any(len(run["losses"]) >= size for run in runs.all if _ablated(run))]
    rows = []
    for method in sorted({run["method"] for run in runs.all if _ablated(run)}):
        cells: list[str] = []
        count = 0
        for size in sizes:
            found = runs.log_gaps(1, lambda run, size=size: min([math.inf, *run["losses"][:size]]))
            common = sorted(found.get(method, {}).keys() & found.get("protein", {}).keys())
            count = len(common)
            own, whole = (np.array([found[which][cell] for cell in common]) for which in (method, "protein"))
            better = f"{int((own < whole - 1e-3).sum())}/{int((own > whole + 1e-3).sum())}"
            cells += [f"{own.mean():+.2f} ({whole.mean():+.2f})", better] if count else ["-", "-"]
        times = [time for run in runs.all if run["method"] == method for time in run["cpu_ms"][25:]]
        rows.append([method.removeprefix(PREFIX), *cells, f"{np.median(times):.0f}", count])
    head = [part for size in sizes for part in (f"log10 gap at {size} (Protein's)", "better/worse")]
    return table(["without", *head, "ms", "runs"], rows)


def _ablated(run: dict[str, Any]) -> bool:
    return run["method"].startswith(PREFIX)


def calibration(runs: Runs) -> str:
    """Of each trial that a model suggested: whether its score lay within what was predicted for it."""
    rows = []
    for method in sorted({run["method"] for run in runs.all if "predictions" in run}):
        for first, last in SPANS:
            off, density = [], []
            for run in runs.all:
                if run["method"] != method or run["batch"] != 1:
                    continue
                for k, predicted in list(enumerate(run.get("predictions", ())))[first:last]:
                    if predicted is not None and (spread := float(np.std(run["losses"][:k]))) > 0:
                        std = max(predicted[1], 1e-9 * spread)
                        off.append(abs(run["losses"][k] - predicted[0]) / std)
                        density.append(-0.5 * off[-1] ** 2 - math.log(std / spread) - 0.5 * math.log(2 * math.pi))
            if off:
                held = [f"{np.mean(np.array(off) < width):.2f}" for width in (0.6745, 1.6449)]
                rows.append([method, f"{first + 1} to {last}", *held, f"{np.median(density):+.2f}", len(off)])
    return table(["method", "trials", "in 50%", "in 90%", "log density, median", "predictions"], rows)


def latency(runs: Runs) -> str:
    measured: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run in runs.all:
        if run["batch"] == 1 and not _ablated(run):
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
