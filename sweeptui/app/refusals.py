"""Why an action of the cockpit does not apply now: one sentence, or nothing where it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweeptui.app import wording
from sweeptui.core.stagewords import PREPARING
from sweeptui.core.trial import Stage, TrialStatus

if TYPE_CHECKING:
    from sweeptui.app.snapshot import Snapshot
    from sweeptui.core.trial import Trial


def _no_trial(snapshot: Snapshot | None) -> str:
    hidden = snapshot is not None and snapshot.trials
    return "no trial matches the filter: Esc shows all again" if hidden else "there is no trial yet"


def always(_snapshot: Snapshot | None, _trial: Trial | None) -> str:
    return ""


def any_trial(snapshot: Snapshot | None, trial: Trial | None) -> str:
    return "" if trial is not None else _no_trial(snapshot)


def pausable(snapshot: Snapshot | None, trial: Trial | None) -> str:
    if trial is None or snapshot is None:
        return _no_trial(snapshot)
    if trial.status.terminal:
        return f"{trial.id} is over ({wording.trial_state(trial).word}): there is nothing to pause"
    job = snapshot.running.get(trial.number)
    if job is not None and wording.remote(job.slot) and not job.slot.get("pausable"):
        if job.stage.evaluates:
            return f"{trial.id} is evaluated on SkyPilot, where an evaluation cannot be paused: kill it, or let it end"
        if job.stage is not Stage.TRAIN:
            return f"{trial.id} runs {job.stage} on SkyPilot, which can pause trainings only: kill it, or let it end"
        return f"{trial.id} runs on SkyPilot without skypilot.checkpoints: it cannot be paused, but killed and requeued"
    return _being_ended(snapshot, trial)


def killable(snapshot: Snapshot | None, trial: Trial | None) -> str:
    if trial is None or snapshot is None:
        return _no_trial(snapshot)
    if trial.status.terminal:
        return f"{trial.id} is over already ({wording.trial_state(trial).word})"
    return _being_ended(snapshot, trial)


def _being_ended(snapshot: Snapshot, trial: Trial) -> str:
    job = snapshot.running.get(trial.number)
    return f"{trial.id} is being ended: {job.ask_reason}" if job is not None and job.ask is not None else ""


def requeueable(snapshot: Snapshot | None, trial: Trial | None) -> str:
    if trial is None:
        return _no_trial(snapshot)
    if not trial.status.terminal:
        return f"{trial.id} is {wording.trial_state(trial).word}: only a trial that is over can be tried again"
    return ""


def sweep_pausable(snapshot: Snapshot | None, _trial: Trial | None) -> str:
    if snapshot is None:
        return "the sweep has not started yet"
    if snapshot.status.ended:
        return f"the sweep is {snapshot.status}: there is nothing to pause"
    return ""


def has_best(snapshot: Snapshot | None, _trial: Trial | None) -> str:
    return "" if snapshot is not None and snapshot.best is not None else "no trial has a score yet"


def has_other_log(snapshot: Snapshot | None, trial: Trial | None) -> str:
    if trial is None or snapshot is None:
        return _no_trial(snapshot)
    jobs = snapshot.focus.jobs if snapshot.focus is not None and snapshot.focus.trial == trial.number else ()
    if len({job.stage for job in jobs}) < 2:
        return f"{trial.id} has only one log so far"
    return ""


def has_other_attempt(snapshot: Snapshot | None, trial: Trial | None) -> str:
    if trial is None or snapshot is None:
        return _no_trial(snapshot)
    jobs = snapshot.focus.jobs if snapshot.focus is not None and snapshot.focus.trial == trial.number else ()
    if len({(job.stage, job.attempt) for job in jobs}) == len({job.stage for job in jobs}):
        return f"{trial.id} has had one attempt so far"
    return ""


def several_metrics(snapshot: Snapshot | None, _trial: Trial | None) -> str:
    if snapshot is None:
        return "the sweep has not started yet"
    return "" if snapshot.objectives else "this sweep has one metric"


def any_failed(snapshot: Snapshot | None, _trial: Trial | None) -> str:
    failed = snapshot is not None and snapshot.counts[TrialStatus.FAILED]
    return "" if failed else "no trial has failed"


def evaluable(snapshot: Snapshot | None, trial: Trial | None) -> str:
    if trial is None:
        return _no_trial(snapshot)
    if trial.status is TrialStatus.STOPPED:
        return ""
    later = snapshot is not None and any(word != PREPARING for word in snapshot.stages.words.values())
    if not trial.eval_attempt and not (later and trial.attempt):
        return f"{trial.id} was not evaluated yet: there is no evaluation to repeat"
    if trial.status not in (TrialStatus.COMPLETED, TrialStatus.FAILED, TrialStatus.KILLED):
        return f"{trial.id} is {wording.trial_state(trial).word}: only a trial that is over can be evaluated again"
    return ""


def room(snapshot: Snapshot | None, _trial: Trial | None) -> str:
    if snapshot is None:
        return "the sweep has not started yet"
    if snapshot.searched >= snapshot.max_trials:
        return f"all {snapshot.max_trials} trials of the sweep are made: raise max_trials first"
    return ""


def editable(snapshot: Snapshot | None, trial: Trial | None) -> str:
    return any_trial(snapshot, trial) or room(snapshot, trial)


def started(snapshot: Snapshot | None, _trial: Trial | None) -> str:
    return "" if snapshot is not None else "the sweep has not started yet"


def has_slots(snapshot: Snapshot | None, trial: Trial | None) -> str:
    if snapshot is not None and snapshot.slots <= 1:
        return "there is one slot left: pause the sweep instead"
    return started(snapshot, trial)


def earlier(snapshot: Snapshot | None, _trial: Trial | None) -> str:
    if snapshot is None:
        return "the sweep has not started yet"
    return "this is the start: nothing was before" if snapshot.past is not None and snapshot.past.seq <= 1 else ""


def later(snapshot: Snapshot | None, _trial: Trial | None) -> str:
    return "" if snapshot is not None and snapshot.past is not None else "this is now: nothing is later"
