"""What the cockpit's optimizer page shows of a sweep: importance, slices, predictions, and the next suggestion.

Fits and searches take up to seconds, so it is computed in a process of its own, beside the screen:

    python -m sweeptui.core.analysis.outlook FOLDER [WHICH [SEQ]]        prints one JSON object

WHICH is the number of the metric, from 0, and SEQ the row of the journal that it is asked as of.
"""

from __future__ import annotations

import contextlib
import json
import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeptui.core import warmstart
from sweeptui.core.analysis.evidence import TooFewTrialsError, evidence_of
from sweeptui.core.analysis.importance import importance
from sweeptui.core.analysis.ranking import ranked
from sweeptui.core.analysis.summary import json_line, tool_of
from sweeptui.core.errors import UserError
from sweeptui.core.objectives import objectives_of, value_of
from sweeptui.core.optimizers import registry
from sweeptui.core.optimizers.base import SpaceExhaustedError
from sweeptui.core.priority import step_back
from sweeptui.core.suggesting import history
from sweeptui.core.trial import TrialStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sweeptui.core.analysis.belief import Belief, Foretold
    from sweeptui.core.config import SweepTool
    from sweeptui.core.state import SweepState
    from sweeptui.core.trial import Trial

NINETY = 1.645
"""Half the width of the middle 90% of a normal distribution, in halves of the middle 68%."""


def outlook(state: SweepState, tool: SweepTool, which: int = 0) -> dict[str, Any]:
    """Of the objective number `which`. `problem` says why where there is nothing to learn from, and is all then."""
    from sweeptui.core.analysis.belief import Belief  # noqa: PLC0415 - its libraries take a second

    evidence = evidence_of(state, tool.space, which)
    stored = _stored(state, which)
    shape: dict[str, Any] = {
        "metric": evidence.metric,
        "trials": len(evidence.observations),
        "problem": "",
        "stored": _calibration(stored),
    }
    try:
        belief = Belief(tool.space, evidence)
    except TooFewTrialsError as error:
        return {**shape, "problem": str(error)}
    best = _best(state, which)
    through = None if best is None or not tool.space.covers(best.params) else best.params
    shape["through"] = None if through is None or best is None else best.id
    shape["slices"] = [asdict(each) for each in belief.slices(through)]
    shape["lengthscales"] = belief.lengthscales
    shape["left_out"] = _calibration([(each.number, each.observed, each) for each in belief.leave_one_out()])
    try:
        found = importance(tool.space, evidence, "protein")
        shape["importance"] = {"rows": [asdict(row) for row in found.rows], "verdict": found.verdict}
    except UserError as error:
        shape["importance"] = {"rows": [], "verdict": str(error)}
    shape["next"] = _next(state, tool, belief, which)
    return shape


def _best(state: SweepState, which: int) -> Trial | None:
    objectives = objectives_of(state.config)
    goal = objectives[which].goal
    order = ranked(state.trials.values(), goal, lambda trial: value_of(trial, objectives, which))
    return order[0].trial if order else None


def _foretold(provenance: Mapping[str, Any], which: int) -> tuple[float, float] | None:
    """Mean and deviation of one metric, as the suggestion had them."""
    means, stds = provenance.get("score_means"), provenance.get("score_stds")
    several = isinstance(means, list) and isinstance(stds, list) and which < min(len(means), len(stds))
    mean, std = (means[which], stds[which]) if several else (None, None)  # type: ignore[index]
    if not several and which == 0:
        mean, std = provenance.get("score_mean"), provenance.get("score_std")
    return (float(mean), float(std)) if isinstance(mean, int | float) and isinstance(std, int | float) else None


def _stored(state: SweepState, which: int) -> list[tuple[int, float, Any]]:
    """What was predicted of a trial before it was run, and what came: nothing is more honest."""
    found = []
    objectives = objectives_of(state.config)
    for number, trial in sorted(state.trials.items()):
        told, came = _foretold(trial.provenance, which), value_of(trial, objectives, which)
        if trial.status is TrialStatus.COMPLETED and told and came is not None and math.isfinite(came):
            found.append((number, came, {"mean": told[0], "spread": told[1]}))
    return found


def _calibration(pairs: list[tuple[int, float, Foretold | dict[str, float]]]) -> dict[str, Any]:
    rows = []
    for number, observed, told in pairs:
        mean, spread = (told["mean"], told["spread"]) if isinstance(told, dict) else (told.mean, told.spread)
        off = (observed - mean) / spread if spread > 0 else 0.0
        rows.append({"number": number, "observed": observed, "mean": mean, "spread": spread, "off": off})
    return {
        "rows": rows,
        "in_68": sum(abs(row["off"]) <= 1 for row in rows),
        "in_90": sum(abs(row["off"]) <= NINETY for row in rows),
    }


def _next(state: SweepState, tool: SweepTool, belief: Belief, which: int) -> dict[str, Any]:
    """What the sweep's method would suggest if it were asked now: with all that is known, and what runs as pending."""
    protein = tool.protein_config
    goals = [each.goal for each in objectives_of(state.config)]
    known = history(
        state.trials,
        state.last_trial + 1,
        state.ended,
        prior=warmstart.observations(state.config),
        objectives=objectives_of(state.config),
    )
    pending = [trial.number for trial in state.active if not trial.is_replicate]
    shape: dict[str, Any] = {"method": protein.method, "pending": pending, "problem": ""}
    try:
        factory = registry.resolve(protein.method)
        optimizer = registry.made(factory, tool.space, goals, protein.settings.model_dump(), tool.seed)
        [suggestion] = optimizer.suggest(known, state.last_trial + 1, 1)
    except (SpaceExhaustedError, UserError, ValueError) as error:
        return {**shape, "problem": str(error) or "there is nothing left to suggest"}
    provenance = dict(suggestion.provenance)
    if (told := _foretold(provenance, which)) is not None:
        provenance |= {"score_mean": told[0], "score_std": told[1]}
    shape |= {"params": dict(suggestion.params), "provenance": provenance}
    if protein.method == "bayes" and len(goals) == 1:
        shape["improvement"] = belief.improvement(suggestion.params)
    return shape


def main(argv: list[str]) -> int:
    from sweeptui.core.stores.past import Past  # noqa: PLC0415
    from sweeptui.core.stores.sqlite import SqliteStore  # noqa: PLC0415

    which, seq = (*map(int, argv[2:]), None, None)[:2]
    with contextlib.closing(SqliteStore.open(Path(argv[1]) / "sweep.db", readonly=True)) as store:
        state = store.state
        if seq is not None:
            past = Past(store)
            past.go_to(seq)
            state = past.state
    sys.stdout.write(json_line(outlook(state, tool_of(state), which or 0)) + "\n")
    return 0


def read(text: str) -> dict[str, Any]:
    """What `main` has printed."""
    shape: dict[str, Any] = json.loads(text)
    return shape


if __name__ == "__main__":
    step_back()
    sys.exit(main(sys.argv))
