"""The JSON shapes of the command line: what `list`, `show` and the end of a headless run print.

Documented in docs/cli.md. Times are seconds since the epoch, costs in the sweep's cost unit, scores in the user's sign.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeptui.core import warmstart
from sweeptui.core.analysis.ranking import ranked
from sweeptui.core.objectives import front, objectives_of, value_of
from sweeptui.core.state import SweepStatus
from sweeptui.core.stores.wandb.book import standing
from sweeptui.core.trial import TrialStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sweeptui.core.config import SweepTool
    from sweeptui.core.objectives import Objectives
    from sweeptui.core.state import SweepState
    from sweeptui.core.trial import Job, Trial


def json_line(value: Any) -> str:
    """Return `value` as JSON on one line. JSON has no NaN and no infinity: they become null."""
    return json.dumps(_finite(value), allow_nan=False, ensure_ascii=False)


def _finite(value: Any) -> Any:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {key: _finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
    return value


def truth(state: SweepState, *, held: bool, jobs_alive: bool) -> str:
    """Return the sweep's state in one word, as it really is.

    `held`: somebody holds a live lease. What the store says of a sweep whose runner is gone is no longer true: it is
    "detached" where its jobs still run, and "interrupted" where nothing does.
    """
    if held or (state.status.ended and state.status is not SweepStatus.INTERRUPTED):
        return state.status.value
    if jobs_alive:
        return "detached"
    return state.status.value if state.status is SweepStatus.CREATED else SweepStatus.INTERRUPTED.value


def tool_of(state: SweepState) -> SweepTool:
    """Return the configuration that the sweep is run with."""
    from sweeptui.core.config import SweepTool  # noqa: PLC0415 - pydantic is not for those who only look

    return SweepTool.from_json({key: value for key, value in state.config.items() if key != "launch"})


def recipe_of(state: SweepState) -> str:
    """Return what is trained: the recipe module's entry point, or the recipe as it was named."""
    module = state.config.get("recipe_module")
    if module:
        return f"{module}.{state.config.get('train_entrypoint', 'train')}"
    return str(state.config.get("launch", {}).get("recipe") or "")


def goal(state: SweepState) -> str:
    """Return "maximize" or "minimize": of the first objective, where there are several."""
    return objectives_of(state.config)[0].goal


def best_trial(state: SweepState) -> Trial | None:
    """Return the trial that is the best in the first objective."""
    order = ranked(state.trials.values(), goal(state))
    return order[0].trial if order else None


def sweep_json(state: SweepState, *, label: str, path: str, holder: str | None) -> dict[str, Any]:
    """Return one element of `list --json`. `label` is what `truth` said, `holder` who runs it."""
    best = best_trial(state)
    config = state.config
    objectives = objectives_of(config)
    return {
        "name": state.name,
        "state": label,
        "reason": state.reason,
        "path": path,
        "recipe": recipe_of(state),
        "counts": {status.value: state.counts[status] for status in TrialStatus},
        "trial_count": len(state.trials),
        "replicates": len(state.replicates),
        "max_trials": config.get("max_trials"),
        **metrics_json(objectives),
        "best": None if best is None else best_json(best, objectives),
        **front_json(state),
        "holder": holder,
        "wandb": _wandb_json(state, path),
        "created_at": state.created_at,
        "started_at": state.started_at,
        "ended_at": state.ended_at,
        "run_s": state.run_s,
    }


def _wandb_json(state: SweepState, path: str) -> dict[str, Any] | None:
    """Return how the mirror in W&B stands; None where the sweep has none."""
    found = standing(Path(path)) if path and state.config.get("store") == "wandb" else None
    if found is None:
        return None
    return {"state": found.state, "behind": found.behind, "since": found.since, "message": found.message}


def unreadable_json(name: str, path: str, reason: str) -> dict[str, Any]:
    """Return the element of `list --json` for a sweep whose database cannot be read."""
    return {"name": name, "state": "unreadable", "reason": reason, "path": path, "counts": {}, "best": None}


def show_json(state: SweepState, jobs: Iterable[Job], *, label: str, path: str, holder: str | None) -> dict[str, Any]:
    """Return what `show --json` prints. `jobs`: all of the sweep's, in the order in which they were made."""
    by_trial: dict[int, list[Job]] = {}
    for job in jobs:
        by_trial.setdefault(job.trial, []).append(job)
    return {
        **sweep_json(state, label=label, path=path, holder=holder),
        "config": {key: value for key, value in state.config.items() if key != "launch"},
        "warm_start": warmstart.summary(state.config),
        "trials": [trial_json(trial, by_trial.get(number, ())) for number, trial in sorted(state.trials.items())],
        "commands": [
            {
                "id": command.id,
                "at": command.at,
                "actor": command.actor,
                "verb": command.verb,
                "args": dict(command.args),
            }
            for command in state.commands.values()
        ],
    }


def metrics_json(objectives: Objectives) -> dict[str, Any]:
    """What is searched for; `metrics` where it is more than one, of which `metric` is the first."""
    first = {"metric": objectives[0].name, "goal": objectives[0].goal}
    if len(objectives) == 1:
        return first
    return {**first, "metrics": [{"name": each.name, "goal": each.goal} for each in objectives]}


def front_json(state: SweepState) -> dict[str, Any]:
    """`front`, where there are several objectives: the trials that no other beats."""
    objectives = objectives_of(state.config)
    if len(objectives) == 1:
        return {}
    return {"front": [best_json(each.trial, objectives) for each in front(state.trials.values(), objectives)]}


def scores_json(trial: Trial, objectives: Objectives) -> dict[str, Any]:
    """`scores`, by the names of the metrics, where there are several."""
    if len(objectives) == 1:
        return {}
    return {"scores": {each.name: value_of(trial, objectives, which) for which, each in enumerate(objectives)}}


def best_json(trial: Trial, objectives: Objectives) -> dict[str, Any]:
    return {
        "id": trial.id,
        "number": trial.number,
        "score": trial.score,
        **scores_json(trial, objectives),
        "cost": trial.cost,
        "params": dict(trial.params),
    }


def trial_json(trial: Trial, jobs: Iterable[Job] = ()) -> dict[str, Any]:
    """Return one element of `trials`. `attempts` counts trainings begun, `jobs` lists every attempt of every stage."""
    return {
        "id": trial.id,
        "number": trial.number,
        "status": trial.status.value,
        "reason": trial.reason,
        "failure": None if trial.failure is None else trial.failure.value,
        "score": trial.score,
        "cost": trial.cost,
        "spent": trial.spent,
        "params": dict(trial.params),
        "seed": trial.seed,
        "attempts": trial.attempt,
        "eval_attempts": trial.eval_attempt,
        "step": trial.step,
        "total_steps": trial.total_steps,
        "metrics": dict(trial.metrics),
        "checkpoint": trial.checkpoint,
        "provenance": dict(trial.provenance),
        "created_at": trial.created_at,
        "started_at": trial.started_at,
        "ended_at": trial.ended_at,
        "jobs": [job_json(job) for job in jobs],
    }


def job_json(job: Job) -> dict[str, Any]:
    return {
        "stage": job.stage,
        "attempt": job.attempt,
        "state": job.state.value,
        "outcome": None if job.outcome is None else job.outcome.value,
        "reason": job.reason,
        "argv": list(job.argv),
        "slot": dict(job.slot),
        "exit": dict(job.exit),
        "started_at": job.started_at,
        "ended_at": job.ended_at,
    }
