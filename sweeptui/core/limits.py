"""When a sweep makes no more trials, when it is over, and what its exit code is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from sweeptui.core.state import SweepStatus
from sweeptui.core.trial import TrialStatus

if TYPE_CHECKING:
    from sweeptui.core.config import SweepTool
    from sweeptui.core.state import SweepState
    from sweeptui.core.trial import Trial


class ExitCode(IntEnum):
    DONE = 0
    USAGE = 2
    NO_SUCCESS = 3
    BREAKER = 4
    BUDGET = 5
    UNDER = 6
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run of a sweep ended."""

    status: SweepStatus
    reason: str
    exit_code: int


@dataclass(frozen=True, slots=True)
class Limit:
    """Why no more trials are made; `early` where that is before `max_trials` and without the target."""

    reason: str
    early: bool = False


def better(goal: str, score: float, than: float) -> bool:
    return score > than if goal == "maximize" else score < than


def limit_reached(tool: SweepTool, state: SweepState, run_s: float) -> Limit | None:
    """The budget that is used up or the target that was reached, or None.

    Cost counts every attempt, failed ones too. Wall time counts the time the sweep was being run, over all restarts.
    """
    best = state.best(tool.protein_config.goal)
    if tool.target_score is not None and best is not None and best.score is not None and not _missed(tool, state):
        return Limit(f"{best.id} reached the target score {tool.target_score:g} with {best.score:g}")
    if tool.max_wall_time_s is not None and run_s >= tool.max_wall_time_s:
        return Limit(f"the wall-time budget of {tool.max_wall_time_s:g} s is used up", early=True)
    if tool.max_cost is not None:
        spent = sum(trial.spent for trial in state.trials.values() if not trial.is_replicate)
        if spent >= tool.max_cost:
            return Limit(f"the cost budget of {tool.max_cost:g} {tool.cost_unit} is used up ({spent:g})", early=True)
    return None


def breaker_tripped(ended: list[Trial], failures: int) -> str:
    """The sentence that says why the breaker is open, or "".

    `ended`: the trials that ended since the sweep was started, in order. Open after `failures` in a row of one kind.
    """
    if failures <= 0 or len(ended) < failures:
        return ""
    last = ended[-failures:]
    kind = last[-1].failure
    if kind is None or any(trial.status is not TrialStatus.FAILED or trial.failure is not kind for trial in last):
        return ""
    return (
        f"{failures} trials in a row failed with {kind} (last: {last[-1].id}: {last[-1].reason}); "
        f"mend the cause and run the same command again"
    )


@dataclass(frozen=True, slots=True)
class Verdict:
    """A sweep is over. `note`: the kind of the journal's note on it, "" where none is needed."""

    status: SweepStatus
    reason: str
    note: str = ""


def verdict_on(
    tool: SweepTool, state: SweepState, limit: Limit | None, broken: str, exhausted: bool, error: str, over: str = ""
) -> Verdict | None:
    """Whether a sweep of which nothing runs is over.

    `broken`: what `breaker_tripped` says; `exhausted`: the optimizer has nothing more to suggest; `error`: why it
    cannot; `over`: why the scheduler has nothing more to do.
    A trial that waits for its evaluation is still evaluated, whatever else is over.
    """
    trained = any(trial.status is TrialStatus.TRAINED for trial in state.active)
    complete = not state.active and state.searched >= tool.max_trials
    if state.status is SweepStatus.STOPPING:
        return Verdict(SweepStatus.STOPPED, state.reason)
    if broken and not trained:
        return Verdict(SweepStatus.BROKEN, broken, "breaker")
    if any(trial.is_replicate for trial in state.active):
        return None  # it was asked for beyond all budgets
    if limit is not None and not trained and not (complete and limit.early):
        return Verdict(SweepStatus.FINISHED, limit.reason)
    if complete:
        return Verdict(SweepStatus.FINISHED, f"all {state.searched} trials are done")
    if state.active:
        return None
    if over:
        return Verdict(SweepStatus.FINISHED, over)
    if exhausted:
        tried = f"all {len(state.trials)} configurations of the search space were tried"
        return Verdict(SweepStatus.FINISHED, tried)
    return Verdict(SweepStatus.BROKEN, error, "optimizer") if error else None


def ending(tool: SweepTool, state: SweepState, status: SweepStatus, reason: str, limit: Limit | None) -> Ending:
    """The ending of a sweep that has nothing more to do."""
    success = state.best(tool.protein_config.goal) is not None
    complete = not state.active and state.searched >= tool.max_trials
    if status is SweepStatus.BROKEN:
        code = ExitCode.BREAKER
    elif status is SweepStatus.INTERRUPTED:
        code = ExitCode.INTERRUPTED
    elif not success:
        code = ExitCode.NO_SUCCESS
    elif (limit is not None and limit.early and not complete) or _missed(tool, state):
        code = ExitCode.BUDGET
    else:
        code = ExitCode.DONE
    return Ending(status, reason, int(code))


def _missed(tool: SweepTool, state: SweepState) -> bool:
    best = state.best(tool.protein_config.goal)
    if tool.target_score is None or best is None or best.score is None:
        return False
    return better(tool.protein_config.goal, tool.target_score, best.score)
