"""How much of the front of several objectives each method finds: `python -m benchmarks.optimizers front`.

The problems are standard ones with known fronts: ZDT1, ZDT2, ZDT3 (Zitzler, Deb and Thiele 2000) in 5 dimensions, two
objectives, and DTLZ2 (Deb et al. 2002) in 6, three objectives. All objectives are minimised and every trial costs the
same. The table has the mean over the seeds of log10(H* - H), H being the hypervolume of what was found and H* that of
the true front: one less is ten times closer.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sweeptui.core.analysis.hypervolume import hypervolume
from sweeptui.core.optimizers.base import History
from sweeptui.core.optimizers.registry import resolve
from sweeptui.core.space import Space
from sweeptui.core.trial import Observation

METHODS = "bayes,random,genetic,optuna:NSGAIISampler,optuna:TPESampler"


@dataclass(frozen=True)
class Problem:
    axes: int
    objectives: int
    values: Callable[[Sequence[float]], tuple[float, ...]]
    reference: tuple[float, ...]
    optimum: float
    """The hypervolume of the true front."""


def _zdt(shape: Callable[[float, float], float]) -> Callable[[Sequence[float]], tuple[float, ...]]:
    def values(x: Sequence[float]) -> tuple[float, ...]:
        g = 1 + 9 * sum(x[1:]) / (len(x) - 1)
        return x[0], g * shape(x[0], g)

    return values


def _convex(f: float, g: float) -> float:
    return 1 - math.sqrt(f / g)


def _concave(f: float, g: float) -> float:
    return 1 - (f / g) ** 2


def _broken(f: float, g: float) -> float:
    return 1 - math.sqrt(f / g) - f / g * math.sin(10 * math.pi * f)


def _dtlz2(x: Sequence[float]) -> tuple[float, ...]:
    radius = 1 + sum((v - 0.5) ** 2 for v in x[2:])
    first, second = x[0] * math.pi / 2, x[1] * math.pi / 2
    return (
        radius * math.cos(first) * math.cos(second),
        radius * math.cos(first) * math.sin(second),
        radius * math.sin(first),
    )


def _below(shape: Callable[[float, float], float], reference: tuple[float, float]) -> float:
    """The hypervolume of a front f2 = shape(f1, 1), by its lowest value up to each f1."""
    steps = 100_000
    total, lowest = 0.0, reference[1]
    for step in range(steps):
        lowest = min(lowest, shape((step + 0.5) / steps, 1.0))
        total += (reference[1] - lowest) / steps
    return total + (reference[0] - 1) * (reference[1] - lowest)


ZDT_REFERENCE = (11.0, 11.0)
PROBLEMS = {
    "zdt1": Problem(5, 2, _zdt(_convex), ZDT_REFERENCE, _below(_convex, ZDT_REFERENCE)),
    "zdt2": Problem(5, 2, _zdt(_concave), ZDT_REFERENCE, _below(_concave, ZDT_REFERENCE)),
    "zdt3": Problem(5, 2, _zdt(_broken), ZDT_REFERENCE, _below(_broken, ZDT_REFERENCE)),
    "dtlz2": Problem(6, 3, _dtlz2, (2.5,) * 3, 2.5**3 - math.pi / 6),
}


def run(problem: Problem, method: str, seed: int, marks: Sequence[int]) -> tuple[list[float], float]:
    """log10 of what is missing after each of `marks` trials, and CPU seconds per suggestion."""
    space = Space.from_parameters({f"x{k}": {"min": 0.0, "max": 1.0} for k in range(problem.axes)})
    goals = ("minimize",) * problem.objectives
    optimizer = resolve(method)(space, goal=goals[0], goals=goals, settings={}, seed=seed)
    done: list[Observation] = []
    missing = []
    spent = 0.0
    for number in range(1, max(marks) + 1):
        clock = time.process_time()
        [suggestion] = optimizer.suggest(History(tuple(done)), number)
        spent += time.process_time() - clock
        values = problem.values(list(suggestion.params.values()))
        done.append(Observation(number, suggestion.params, values[0], 1.0, 1.0, values))
        if number in marks:
            points = [[-value for value in each.scores] for each in done]
            found = hypervolume(points, [-value for value in problem.reference])
            missing.append(math.log10(max(problem.optimum - found, 1e-6)))
    return missing, spent / max(marks)


def report(methods: Sequence[str], seeds: int, marks: Sequence[int]) -> str:
    """The table, in Markdown."""
    head = ["problem", "method", *(f"at {mark}" for mark in marks), "CPU ms"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name, problem in PROBLEMS.items():
        for method in methods:
            runs = [run(problem, method, seed, marks) for seed in range(seeds)]
            means = [sum(each[0][k] for each in runs) / seeds for k in range(len(marks))]
            ms = 1000 * sum(each[1] for each in runs) / seeds
            lines.append(f"| {name} | {method} | " + " | ".join(f"{mean:.2f}" for mean in means) + f" | {ms:.0f} |")
            print(lines[-1], flush=True)
    return "\n".join(lines)
