"""What replicates have shown of the configurations that they repeat: `sweeptui validate`, and the report.

repeated(state)                                # {"default": {1: trial, 2: trial}, "trial_0003": {...}}
concluded(groups, found_with, objectives, which)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sweeptui.core.analysis.replicates import estimate, gain
from sweeptui.core.objectives import value_of
from sweeptui.core.trial import TrialStatus
from sweeptui.core.validating import DEFAULT

if TYPE_CHECKING:
    from sweeptui.core.objectives import Objective, Objectives
    from sweeptui.core.state import SweepState
    from sweeptui.core.trial import Trial

Group = Mapping[int, "Trial"]
"""The replicates of a configuration, by the number of their seed."""
_REPEAT = re.compile(r"(\d+) of \d+")


def repeated(state: SweepState) -> dict[str, dict[int, Trial]]:
    """All replicates of a sweep by what they repeat, `DEFAULT` first and then by its id. Killed ones were given up."""
    found: dict[str, dict[int, Trial]] = {}
    for number in sorted(state.replicates):
        trial = state.trials[number]
        index = _REPEAT.fullmatch(str(trial.provenance.get("repeat", "")))
        if trial.status is not TrialStatus.KILLED and index is not None:
            found.setdefault(str(trial.provenance.get("of")), {})[int(index[1])] = trial
    return {name: found[name] for name in sorted(found, key=lambda name: (name != DEFAULT, name))}


def concluded(
    groups: Mapping[str, Group], found_with: Mapping[str, float | None], objectives: Objectives, which: int
) -> list[dict[str, Any]]:
    """Of each configuration, `DEFAULT` among them, its mean with an interval and its gain over the default.

    `found_with`: what the sweep found each with, in the user's sign. `gain` is in the metric's unit, more is better;
    its test is made for as many comparisons as there are.
    """
    objective = objectives[which]
    scores = {name: _scores(group, objectives, which) for name, group in groups.items()}
    shapes: list[dict[str, Any]] = []
    for name, group in groups.items():
        told = estimate(list(scores[name].values()))
        shapes.append(
            {
                "of": name,
                "found_with": found_with.get(name),
                "seeds": told.count,
                "failed": sum(trial.status is TrialStatus.FAILED for trial in group.values()),
                "waiting": sum(not trial.status.terminal for trial in group.values()),
                "mean": told.mean,
                "std": told.std,
                "low": told.low,
                "high": told.high,
                "flattered_by": _flattered(found_with.get(name), told.mean, objective),
                "trials": [trial.id for trial in group.values()],
            }
        )
    for shape in shapes:
        if shape["of"] != DEFAULT and DEFAULT in scores:
            versus = gain(scores[str(shape["of"])], scores[DEFAULT], objective.goal, len(shapes) - 1)
            shape["gain"] = {**asdict(versus), "sentence": versus.sentence}
    return shapes


def _scores(group: Group, objectives: Objectives, which: int) -> dict[int, float]:
    values = {index: value_of(trial, objectives, which) for index, trial in group.items()}
    return {
        index: value
        for index, value in values.items()
        if value is not None and group[index].status is TrialStatus.COMPLETED
    }


def _flattered(found: float | None, mean: float | None, objective: Objective) -> float | None:
    """How much better than over fresh seeds it looked when it was chosen; below 0 where it was unlucky."""
    return None if found is None or mean is None else objective.sign * (found - mean)
