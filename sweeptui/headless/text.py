"""Events as plain lines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sweeptui.core.analysis.ranking import ranked
from sweeptui.core.analysis.summary import goal
from sweeptui.core.flow import DUE
from sweeptui.core.objectives import front, objectives_of, value_of
from sweeptui.core.trial import VALIDATION, trial_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweeptui.core.objectives import Objectives
    from sweeptui.core.state import SweepState
    from sweeptui.headless.events import Event

RULE = "=" * 56
THIN_RULE = "-" * 56
SWEEP = "[SweepOrchestrator]"


def lines_of(event: Event) -> list[str]:
    """Return the lines for one event; [] where it is none of a reader's business."""
    data = event.data
    match event.kind:
        case "sweep_started":
            return [f"{SWEEP} {line}" for line in _started(data)]
        case "scheduled":
            return _scheduled(event)
        case "trial_status":
            return _trial_status(event)
        case "sweep_status" if data["status"] != "running" or data["reason"]:
            return [f"{SWEEP} Sweep is {data['status']}{_because(data['reason'])}"]
        case "command_result":
            return [f"{SWEEP} Command {data['id']} {data['state']}: {data['result']}"]
        case "command":
            trials = "".join(f" {trial_id(number)}" for number in data["args"].get("trials", ()))
            rest = "".join(f" {key}={value}" for key, value in data["args"].items() if key != "trials")
            return [f"{SWEEP} Command {data['id']} from {data['actor']}: {data['verb']}{trials}{rest}"]
        case "note":
            about = "" if data["about"] == "wandb" else f"{data['about'].capitalize()}: "
            return [f"{SWEEP} {about}{data.get('message', '')}"]
    return []


def _started(data: Mapping[str, Any]) -> list[str]:
    lines = [
        f"Starting sweep: {data['sweep']}",
        f"Recipe: {data['recipe']}",
        f"Max trials: {data['max_trials']}",
        f"Dispatcher type: {data['dispatcher']}",
        f"{_metrics(data)}, method: {data['method']}, seed: {data['seed']}",
    ]
    if data["warm_start"]:
        lines.append(f"Warm start: {data['warm_start']}")
    if data["known_trials"]:
        lines.append(f"Going on with {data['known_trials']} trials that are known already")
    return lines


def _metrics(data: Mapping[str, Any]) -> str:
    several = data.get("metrics")
    if not several:
        return f"Metric: {data['metric']} ({data['goal']})"
    return "Metrics: " + ", ".join(f"{each['name']} ({each['goal']})" for each in several)


def _scheduled(event: Event) -> list[str]:
    data = event.data
    trial = trial_id(event.trial or 0)
    again = f" (attempt {data['attempt']})" if data["attempt"] > 1 else ""
    name = f"[{scheduler_name(data)}]"
    if data["stage"] != "train":
        what = "evaluation" if data["stage"] == "eval" else data["stage"]
        return [f"{name} Scheduling {what} for {trial}{again}"]
    lines = [f"{name} Scheduling trial {data['number']}/{data['max_trials']}: {trial}{again}"]
    if data["provenance"].get("method") == VALIDATION:
        of, repeat = data["provenance"].get("of"), data["provenance"].get("repeat")
        return [f"{name} Scheduling {trial}{again}: validation of {of}, seed {repeat}"]
    if data["attempt"] == 1:
        lines += [f"{name}    {path}: {value!r}" for path, value in data["params"].items()]
        if fallback := data["provenance"].get("fallback"):
            lines.append(f"{name}    chosen by {data['provenance'].get('method')} instead: {fallback}")
    return lines


def _trial_status(event: Event) -> list[str]:
    data = event.data
    trial = trial_id(event.trial or 0)
    reason = _because(data["reason"])
    match data["status"]:
        case "training" if reason:
            return [f"{SWEEP} Trial {trial} goes on{reason}"]
        case "completed":
            return [f"{SWEEP} Trial {trial} completed with {_scores(data)}"]
        case "failed":
            return [
                f"{SWEEP} Trial {trial} failed ({data['failure']}){reason}",
                *(f"[{trial}] | {line}" for line in data.get("log_tail", ())),
            ]
        case "stopped":
            return [f"{SWEEP} Trial {trial} stopped with {_scores(data)}{reason}"]
        case "killed" | "paused":
            return [f"{SWEEP} Trial {trial} {data['status']}{reason}"]
        case "pending" if data["reason"].endswith(DUE):
            return [f"{SWEEP} Trial {trial}{reason}"]
        case "pending" if data["reason"]:
            return [f"{SWEEP} Trial {trial} queued again{reason}"]
    # Training, trained, evaluating: told by the scheduling lines.
    return []


def _scores(data: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}: {value!r}" for name, value in data.get("scores", {"score": data["score"]}).items())


def scheduler_name(data: Mapping[str, Any]) -> str:
    """`ASHAScheduler` for asha."""
    name = str(data.get("scheduler") or "optimizing").rpartition(":")[2]
    words = (word.upper() if word in ("asha", "pbt") else word.title() for word in name.split("_"))
    return name if name.endswith("Scheduler") else f"{''.join(words)}Scheduler"


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def summary(state: SweepState) -> list[str]:
    """Return the closing table and the best result, or the front."""
    objectives = objectives_of(state.config)
    titles = ["Score"] if len(objectives) == 1 else [each.name for each in objectives]
    rows = [
        ["-" if (value := value_of(trial, objectives, which)) is None else repr(value) for which in range(len(titles))]
        for _, trial in sorted(state.trials.items())
    ]
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    lines = ["SWEEP SUMMARY", RULE, f"{'Run ID':<26}{'Status':<15}{_row(titles, widths)}", THIN_RULE]
    for (_, trial), row in zip(sorted(state.trials.items()), rows, strict=True):
        status = f"{trial.status} ({trial.failure})" if trial.failure else str(trial.status)
        lines.append(f"{trial.id:<25} {status:<14} {_row(row, widths)}")
    lines.append(RULE)
    if len(objectives) > 1:
        return [f"{SWEEP} {line}" for line in [*lines, *_front(state, objectives)]]
    order = ranked(state.trials.values(), goal(state))
    if not order:
        return [f"{SWEEP} {line}" for line in [*lines, "Best result: none; no trial gave a score"]]
    best = order[0]
    config, *more = json.dumps(dict(best.trial.params), indent=4).splitlines()
    run = f"{state.name}_{best.trial.id}"
    lines += ["Best result:", f"   Run: {run}", f"   Score: {best.score!r}", f"   Config: {config}"]
    return [*(f"{SWEEP} {line}" for line in lines), *more]


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _front(state: SweepState, objectives: Objectives) -> list[str]:
    members = front(state.trials.values(), objectives)
    if not members:
        return ["Front: none; no trial gave all scores"]
    lines = [f"Front: {len(members)} of {len(state.trials)} trials are beaten by no other"]
    for member in members:
        scores = ", ".join(f"{each.name}: {value!r}" for each, value in zip(objectives, member.values, strict=True))
        lines.append(f"   {state.name}_{member.trial.id}: {scores}")
    return lines
