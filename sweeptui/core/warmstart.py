"""What a new sweep takes over from another one: copies of its trials, in the new sweep's own configuration.

Copies, so that the new sweep is a function of its own store alone, whatever becomes of the other. The policy:

- Only completed trials with a finite score; goal and metric must be the same.
- Replicates are no trials: they say how noisy a configuration is. A trial that was validated has the mean of its own
  score and theirs, as the best of many trials would flatter itself in the new sweep, too.
- A parameter that both search is taken as it is. A trial outside the new range of one is left out.
- A parameter that only the other sweep searched (or that is fixed now) is dropped: the trial is taken as it would be
  without it, and the model learns how far scores are off for it.
- A parameter that is new is taken to have stood at its `mean`, unless the trial knows better.
- Of more than `MOST` trials the best half and the newest of the rest.

How far the scores hold in the new sweep is not decided here: `History.prior` tells the optimizer whose they are.
"""

from __future__ import annotations

import math
from statistics import fmean
from typing import TYPE_CHECKING, Any

from sweeptui.core.errors import UserError
from sweeptui.core.suggesting import observation
from sweeptui.core.trial import Observation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweeptui.core.config import SweepTool
    from sweeptui.core.trial import Trial

MOST = 200
METHOD = "bayes"
"""The one that can tell another sweep's trials from its own."""


def copied(name: str, theirs: SweepTool, trials: Mapping[int, Trial], tool: SweepTool) -> dict[str, Any]:
    """Return what `tool`'s sweep takes over from the sweep `name`, as JSON.

    `sweep`, `shared`, `dropped` and `added` (names of parameters), `left_out` (trials outside the new ranges), and
    `trials`: [parameters, score, cost] each. Raises `UserError` where there is nothing to take.
    """
    if tool.protein_config.method != METHOD:
        raise UserError(
            f"warm_start is {name!r}, and method {tool.protein_config.method!r} cannot learn from another sweep; use"
            f" --method {METHOD} or leave warm_start out"
        )
    if theirs.protein_config.metrics or tool.protein_config.metrics:
        whose = "this sweep" if tool.protein_config.metrics else "it"
        raise UserError(
            f"warm_start is {name!r}, and {whose} has several metrics, of which only one could be taken over; leave"
            " warm_start out"
        )
    if tool.protein_config.metrics:
        raise UserError(
            f"warm_start is {name!r}, and this sweep has several metrics, which are learnt from its own trials alone;"
            " give one metric or leave warm_start out"
        )
    for field in ("goal", "metric"):
        old, new = getattr(theirs.protein_config, field), getattr(tool.protein_config, field)
        if old != new:
            raise UserError(
                f"warm_start is {name!r}, whose {field} is {old!r} where this sweep's is {new!r}; name a sweep of the"
                " same goal and metric"
            )
    searched, known = tool.space.axes, set(theirs.space.axes)
    shared = [axis for axis in searched if axis in known]
    if not shared:
        raise UserError(
            f"warm_start is {name!r}, which searched none of this sweep's parameters (it searched"
            f" {', '.join(sorted(known))}); name another sweep or leave warm_start out"
        )
    kept, left_out = _translated(trials, tool)
    if not kept:
        outside = f", and {left_out} outside this sweep's ranges" if left_out else ""
        raise UserError(
            f"warm_start is {name!r}, which has no completed trial to learn from{outside}; name another sweep or leave"
            " warm_start out"
        )
    return {
        "sweep": name,
        "shared": shared,
        "dropped": sorted(known - set(searched)),
        "added": [axis for axis in searched if axis not in known],
        "left_out": left_out,
        "trials": _chosen(kept, tool.protein_config.goal),
    }


def _translated(trials: Mapping[int, Trial], tool: SweepTool) -> tuple[list[list[Any]], int]:
    """The trials as points of the new space, oldest first, and how many lie outside."""
    space, centre = tool.space, tool.space.center()
    kept, left_out = [], 0
    again = _repeated(trials)
    for number in sorted(trials):
        trial = trials[number]
        seen = _complete(trial)
        if seen is None or trial.is_replicate:
            continue
        score = fmean([seen.score, *again.get(trial.id, ())])
        taken = {axis: trial.params[axis] for axis in space.axes if axis in trial.params}
        params = {axis: value for axis, value in {**centre, **taken}.items() if axis in space.names}
        params = space.existing(space.full(params))
        if space.contains(params):
            kept.append([params, score, trial.cost])
        else:
            left_out += 1
    return kept, left_out


def _complete(trial: Trial) -> Observation | None:
    """What a whole training of its showed; None where it had none."""
    seen = observation(trial, trial.cost or 0.0)
    return None if seen is None or seen.fidelity < 1 or not math.isfinite(seen.score) else seen


def _repeated(trials: Mapping[int, Trial]) -> dict[str, list[float]]:
    """The scores of the replicates of each trial, by its id."""
    found: dict[str, list[float]] = {}
    for number in sorted(trials):
        trial = trials[number]
        if trial.is_replicate and (seen := _complete(trial)) is not None:
            found.setdefault(str(trial.provenance.get("of")), []).append(seen.score)
    return found


def _chosen(kept: list[list[Any]], goal: str) -> list[list[Any]]:
    if len(kept) <= MOST:
        return kept
    by_score = sorted(range(len(kept)), key=lambda index: kept[index][1], reverse=goal == "maximize")
    best = set(by_score[: MOST // 2])
    newest = [index for index in range(len(kept)) if index not in best][-(MOST - len(best)) :]
    return [kept[index] for index in sorted(best.union(newest))]


def observations(config: Mapping[str, Any]) -> tuple[Observation, ...]:
    """The copies in a stored configuration, for `History.prior`."""
    trials: Sequence[Any] = stored(config).get("trials", ())
    return tuple(
        Observation(index - len(trials), params, score, cost if cost and cost > 0 else 1.0)
        for index, (params, score, cost) in enumerate(trials)
    )


def stored(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """What `copied` returned when the sweep was made; empty where it was not warm-started."""
    found: Mapping[str, Any] = config.get("launch", {}).get("warm_start", {})
    return found


def summary(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """What `show --json` says of it: as `stored`, with the number of trials in their place."""
    found = stored(config)
    return {**found, "trials": len(found["trials"])} if found else None


def told(config: Mapping[str, Any]) -> str:
    """One line for people on what was taken over; empty where nothing was."""
    found = stored(config)
    if not found:
        return ""
    count = len(found["trials"])
    parts = [
        f"{count} {'trial' if count == 1 else 'trials'} of {found['sweep']}",
        "shared " + ", ".join(found["shared"]),
    ]
    parts += [f"{key} {', '.join(found[key])}" for key in ("dropped", "added") if found[key]]
    parts += [f"{found['left_out']} outside the ranges left out"] * bool(found["left_out"])
    return "; ".join(parts)
