"""Taking back what was asked for from this window, as long as it has not begun."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweeptui.core.errors import UserError
from sweeptui.core.trial import TrialStatus, trial_id

if TYPE_CHECKING:
    from sweeptui.app.snapshot import Snapshot
    from sweeptui.core.trial import Trial

Fits = Callable[["Trial"], bool]
QUEUED = (TrialStatus.PENDING, TrialStatus.TRAINED, TrialStatus.PAUSED)
OPPOSITES = {"pause": "resume", "resume": "pause"}


@dataclass(slots=True)
class Given:
    """A command that was given from this window."""

    verb: str
    args: Mapping[str, Any]
    before: Snapshot | None
    """What was shown when it was given."""
    limits: Mapping[str, int]
    """The limits that held then."""
    id: int | None = None
    """Its number in the sweep, once it is entered; set by the thread that enters it."""

    def entered(self, number: int) -> None:
        self.id = number


def taking_back(given: Given, now: Snapshot) -> tuple[str, dict[str, Any]]:
    """The command that takes `given` back. Raises `UserError` saying why there is none."""
    if given.verb == "set":
        return "set", {key: given.limits[key] for key in given.args if key in given.limits}
    if given.verb in OPPOSITES and not given.args.get("trials"):
        return OPPOSITES[given.verb], {}
    if given.verb == "pause":
        return "resume", {"trials": _those(given, now, "is not paused any more", _paused)}
    if given.verb == "resume":
        return "pause", {"trials": _those(given, now, "is not running any more", _unfinished)}
    if given.verb == "kill":
        return "requeue", {"trials": _those(given, now, "was not in the queue", _killed_in_the_queue(given))}
    if given.verb == "inject" or (given.verb == "requeue" and given.args.get("params")):
        return "unqueue", {"trials": _made(given, now)}
    if given.verb in ("requeue", "evaluate"):
        return "unqueue", {"trials": _those(given, now, "is not in the queue any more", _waits(now))}
    raise UserError(f"{given.verb} cannot be taken back")


def _those(given: Given, now: Snapshot, why_not: str, fits: Fits) -> list[int]:
    trials = [trial for number in given.args["trials"] if (trial := now.trial(number)) is not None]
    found = [trial.number for trial in trials if fits(trial)]
    if not found:
        names = ", ".join(trial_id(number) for number in given.args["trials"])
        raise UserError(f"{given.verb} of {names} cannot be taken back: it {why_not}")
    return found


def _paused(trial: Trial) -> bool:
    return trial.status is TrialStatus.PAUSED


def _unfinished(trial: Trial) -> bool:
    return not trial.status.terminal and trial.status is not TrialStatus.PAUSED


def _waits(now: Snapshot) -> Fits:
    return lambda trial: trial.status in QUEUED and trial.number not in now.running


def _killed_in_the_queue(given: Given) -> Fits:
    def fits(trial: Trial) -> bool:
        before = given.before.trial(trial.number) if given.before is not None else None
        waited = before is not None and before.status is TrialStatus.PENDING and before.attempt == trial.attempt
        return waited and trial.status is TrialStatus.KILLED

    return fits


def _made(given: Given, now: Snapshot) -> list[int]:
    made = [trial for trial in reversed(now.trials) if given.id and trial.provenance.get("command") == given.id]
    if not made:
        raise UserError(f"{given.verb} has not been carried out: there is nothing to take back")
    waiting = [trial.number for trial in made if not trial.attempt and not trial.status.terminal]
    if not waiting:
        raise UserError(f"{made[0].id} has begun, or is over: kill it to end it")
    return sorted(waiting)
