"""From the scores of several evaluations to the objective: means over simulations and over their categories.

"arena/combat" is the simulation combat of the category arena. Beside each simulation there are then the metrics
"arena", the weighted mean over the category, "avg_category_score", the plain mean over all categories, and
"avg_simulation_score", the weighted mean over all simulations.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sweeptui.core.objectives import number_in
from sweeptui.core.reports import ParsedReport, objective_values

if TYPE_CHECKING:
    from sweeptui.core.flow import Flow, Step
    from sweeptui.core.stages import SimulationConfig

AVERAGES = ("avg_category_score", "avg_simulation_score")
_EVALUATOR = re.compile(r"evaluator/(?:eval_)?(.+)/score")


def values_of(report: ParsedReport, names: Sequence[str], simulation: SimulationConfig | None) -> dict[str, float]:
    """The values of the sweep's metrics that a report has.

    That of one simulation may be reported under the simulation's own name, too, or as `evaluator/eval_NAME/score`.
    """
    if simulation is not None and len(names) == 1:
        own = simulation.name
        for name in (f"evaluator/eval_{own}/score", f"evaluator/{own}/score", own):
            if (value := number_in(report.metrics, name)) is not None:
                return {names[0]: value}
    return objective_values(report, names)


def settled(step: Step, values: Mapping[str, float | None]) -> dict[str, Any]:
    """What an evaluation leaves in the trial's metrics: the value of each objective, or of its simulation."""
    return {
        name if step.simulation is None else _key(step.simulation, name, values): _plain(value)
        for name, value in values.items()
        if value is not None
    }


def aggregated(flow: Flow, names: Sequence[str], metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The score, and all metrics, of a trial whose simulations are all evaluated."""
    simulations = [step.simulation for step in flow.evaluations if step.simulation is not None]
    found: dict[str, float] = {}
    for name in names:
        scores = [number_in(metrics, _key(each, name, names)) for each in simulations]
        weighted = [(each, score) for each, score in zip(simulations, scores, strict=True) if score is not None]
        means = _means(weighted)
        if len(names) == 1:
            found |= means
            name_of_it = measured(name, [each.name for each in simulations])
            found[name] = means[name_of_it]
        elif weighted:
            found[name] = means[AVERAGES[1]]
    return {
        "score": found.get(names[0]),
        "metrics": {**metrics, **{name: _plain(value) for name, value in found.items()}},
    }


def measured(metric: str, simulations: Sequence[str]) -> str:
    """Which of the means a sweep's metric is: a simulation, a category, or an average; else that over all."""
    known = {*simulations, *map(category, simulations), *AVERAGES}
    if metric in known:
        return metric
    match = _EVALUATOR.fullmatch(metric)
    return match[1] if match and match[1] in known else AVERAGES[1]


def category(simulation: str) -> str:
    """ "arena" of "arena/combat"; of a name without one, the name."""
    return simulation.partition("/")[0]


def _means(scores: Sequence[tuple[SimulationConfig, float]]) -> dict[str, float]:
    of_category: dict[str, list[tuple[float, float]]] = {}
    for each, score in scores:
        of_category.setdefault(category(each.name), []).append((each.weight, score))
    categories = {name: _mean(pairs) for name, pairs in of_category.items()}
    over_all = _mean([(each.weight, score) for each, score in scores])
    over_categories = _mean([(1.0, score) for score in categories.values()])
    return {**categories, **{each.name: score for each, score in scores}} | dict(
        zip(AVERAGES, (over_categories, over_all), strict=True)
    )


def _mean(pairs: Sequence[tuple[float, float]]) -> float:
    total = math.fsum(weight for weight, _ in pairs)
    return math.fsum(weight * score for weight, score in pairs) / total if total else math.nan


def _key(simulation: SimulationConfig, name: str, names: Collection[str]) -> str:
    """Where the value of a simulation is kept."""
    return simulation.name if len(names) == 1 else f"{simulation.name}/{name}"


def _plain(value: float) -> float | str:
    """As metrics are stored: JSON has no NaN and no infinities."""
    return value if math.isfinite(value) else str(value)
