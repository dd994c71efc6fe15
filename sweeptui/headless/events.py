"""From the store's changes to what a person or a script wants to know of a sweep.

The shapes of `--json` are documented in docs/cli.md; each has `event` and `at`, and `trial` where it is about one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sweeptui.core import warmstart
from sweeptui.core.analysis.summary import metrics_json, recipe_of, scores_json
from sweeptui.core.objectives import objectives_of
from sweeptui.core.state import Change, ChangeKind
from sweeptui.core.trial import JobState, Stage, TrialStatus, trial_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sweeptui.core.state import SweepState
    from sweeptui.core.trial import Job


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. `kind` is one of those in docs/cli.md."""

    kind: str
    at: float
    trial: int | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    job: Job | None = None
    """The job that began or ended with it: whose log to follow."""

    def to_json(self) -> dict[str, Any]:
        about = {} if self.trial is None else {"trial": trial_id(self.trial)}
        return {"event": self.kind, "at": self.at, **about, **self.data}


NOTES = frozenset({"breaker", "disk", "optimizer", "lease", "store", "dispatcher"})


def started(state: SweepState, at: float) -> Event:
    """The first event: what is run, and how much of it is done already."""
    config = state.config
    protein = config.get("protein_config", {})
    return Event(
        "sweep_started",
        at,
        data={
            "sweep": state.name,
            "recipe": recipe_of(state),
            "max_trials": config.get("max_trials"),
            "dispatcher": config.get("dispatcher_type"),
            "scheduler": config.get("scheduler"),
            "method": protein.get("method"),
            **metrics_json(objectives_of(config)),
            "seed": config.get("seed"),
            "known_trials": len(state.trials),
            "warm_start": warmstart.told(config),
        },
    )


def events_of(change: Change, state: SweepState) -> list[Event]:
    """Translate one change. `state` has it, and perhaps later ones, applied already."""
    match change.kind:
        case ChangeKind.SWEEP_CHANGED if "status" in change.data:
            data = {"status": change.data["status"], "reason": change.data.get("reason", "")}
            return [Event("sweep_status", change.at, data=data)]
        case ChangeKind.JOB_CREATED:
            return [_scheduled(change, state)]
        case ChangeKind.JOB_CHANGED if change.data.get("state") == JobState.ENDED:
            job = state.jobs.get(change.data["id"])
            return [] if job is None else [_job_ended(change, job)]
        case ChangeKind.TRIAL_CHANGED if "status" in change.data:
            return [_trial_status(change, state)]
        case ChangeKind.COMMAND_SUBMITTED:
            data = {"id": change.data["id"], "verb": change.data["verb"], "args": change.data.get("args", {})}
            return [Event("command", change.at, data={**data, "actor": change.actor})]
        case ChangeKind.COMMAND_FINISHED:
            data = {"id": change.data["id"], "state": change.data["state"], "result": change.data.get("result", "")}
            return [Event("command_result", change.at, data=data)]
        case kind if kind in NOTES:
            return [Event("note", change.at, change.trial, {"about": kind, **change.data})]
    return []


def _scheduled(change: Change, state: SweepState) -> Event:
    job = state.jobs[change.data["id"]]
    trial = state.trials[job.trial]
    data: dict[str, Any] = {
        "stage": job.stage,
        "attempt": job.attempt,
        "scheduler": state.config.get("scheduler"),
    }
    if job.stage is Stage.TRAIN:
        data |= {
            "number": trial.number,
            "max_trials": state.config.get("max_trials"),
            "params": dict(trial.params),
            "provenance": dict(trial.provenance),
        }
    return Event("scheduled", change.at, job.trial, data, job)


def _job_ended(change: Change, job: Job) -> Event:
    outcome = None if job.outcome is None else job.outcome.value
    data = {"stage": job.stage, "attempt": job.attempt, "outcome": outcome, "reason": job.reason}
    return Event("job_ended", change.at, job.trial, data, job)


def _trial_status(change: Change, state: SweepState) -> Event:
    assert change.trial is not None
    trial = state.trials[change.trial]
    status = TrialStatus(change.data["status"])
    data: dict[str, Any] = {"status": status.value, "reason": change.data.get("reason", "")}
    if status.terminal:
        data |= {"score": trial.score, **scores_json(trial, objectives_of(state.config)), "cost": trial.cost}
    if status is TrialStatus.FAILED:
        data["failure"] = change.data.get("failure")
    return Event("trial_status", change.at, change.trial, data)
