"""How the cockpit says things: states, numbers, times, costs, parameters."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweeptui.app import theme
from sweeptui.core.ansi import sanitize
from sweeptui.core.stagewords import Doing
from sweeptui.core.trial import RUNNING, FailureKind, JobOutcome, JobState, TrialStatus
from sweeptui.core.wording import UNKNOWN, cost, duration, number, short_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sweeptui.core.trial import Job, Trial

__all__ = [
    "BARS",
    "ENDING_WORDS",
    "UNKNOWN",
    "State",
    "cost",
    "duration",
    "ending_word",
    "even",
    "exit_summary",
    "failure_word",
    "job_state",
    "line",
    "number",
    "param",
    "predicted",
    "provenance",
    "remote",
    "short_names",
    "size",
    "slot",
    "sparkline",
    "status_state",
    "sweep_state",
    "trial_state",
]

BARS = "▁▂▃▄▅▆▇"
"""Without the full block, so that curves on adjacent lines do not touch."""


@dataclass(frozen=True, slots=True)
class State:
    """A state as it is shown: never by its colour alone."""

    glyph: str
    word: str
    colour: str

    def __str__(self) -> str:
        return f"{self.glyph} {self.word}"


_TRIALS = {
    TrialStatus.PENDING: State("◌", "queued", theme.QUIET),
    TrialStatus.TRAINING: State("▶", "training", theme.SKY),
    TrialStatus.TRAINED: State("◌", "trained", theme.SKY),
    TrialStatus.EVALUATING: State("▶", "evaluating", theme.SKY),
    TrialStatus.PAUSED: State("‖", "paused", theme.YELLOW),
    TrialStatus.COMPLETED: State("✔", "done", theme.GREEN),
    TrialStatus.FAILED: State("✗", "failed", theme.VERMILLION),
    TrialStatus.STOPPED: State("✂", "stopped", theme.PURPLE),
    TrialStatus.KILLED: State("☠", "killed", theme.ORANGE),
}
_FAILURES = {
    FailureKind.OUT_OF_MEMORY: "memory",
    FailureKind.DISPATCH_ERROR: "not started",
    FailureKind.NO_METRIC: "no metric",
    FailureKind.INVALID_METRIC: "bad metric",
}
_ENDING = {
    JobOutcome.KILLED: State("☠", "killing", theme.ORANGE),
    JobOutcome.STOPPED: State("✂", "stopping", theme.PURPLE),
    JobOutcome.INTERRUPTED: State("‖", "stopping", theme.YELLOW),
}
ENDING_WORDS = tuple(dict.fromkeys(state.word for state in _ENDING.values()))
_SWEEPS = {
    "created": State("◌", "not started", theme.QUIET),
    "running": State("▶", "running", theme.SKY),
    "paused": State("‖", "paused", theme.YELLOW),
    "stopping": State("‖", "stopping", theme.YELLOW),
    "finished": State("✔", "finished", theme.GREEN),
    "stopped": State("✂", "stopped", theme.PURPLE),
    "interrupted": State("‖", "interrupted", theme.YELLOW),
    "detached": State("◌", "detached", theme.YELLOW),
    "broken": State("✗", "broken", theme.VERMILLION),
}


_NOTHING_MORE = Doing()
_REMOTE = {"submitting": "launching", "provisioning": "starting", "recovering": "moving"}
"""Shorter than SkyPilot says it."""


def trial_state(trial: Trial, job: Job | None = None, stages: Doing = _NOTHING_MORE) -> State:
    """The state of a trial; `job` is its unfinished one, which may have been asked to end.

    `stages` says what it does in stages that are neither training nor evaluation, and between two of them.
    """
    if job is not None and job.ask in _ENDING:
        return _ENDING[job.ask]
    if job is not None and (state := _elsewhere(job)) is not None:
        return state
    state = _TRIALS[trial.status]
    at_work = RUNNING if job is not None else (TrialStatus.TRAINED,)
    if trial.status in at_work and (word := stages.of(trial, job)):
        return State(state.glyph, line(word), state.colour)
    if trial.failure is None or trial.status is not TrialStatus.FAILED:
        return state
    return State(state.glyph, failure_word(trial.failure), state.colour)


def _elsewhere(job: Job) -> State | None:
    """How far another machine is with an unfinished job, where it does not run (again) yet."""
    state = str(job.slot.get("state", "running"))
    if job.outcome is not None or state in ("running", "succeeded"):
        return None
    return State("◌", _REMOTE.get(state, line(state)), theme.SKY)


def failure_word(failure: FailureKind) -> str:
    return _FAILURES.get(failure, str(failure))


def ending_word(job: Job | None) -> str:
    """What a job that was asked to end is said to do; empty where it was not."""
    return _ENDING[job.ask].word if job is not None and job.ask in _ENDING else ""


def status_state(status: TrialStatus) -> State:
    return _TRIALS[status]


def sweep_state(label: str) -> State:
    """The state of a sweep, by what `truth` says of it."""
    return _SWEEPS[label]


def even(value: float) -> str:
    """A number for a column: always four digits, so that the points are near each other."""
    return f"{value:#.4g}".removesuffix(".")


def param(value: Any, *, full: bool = False) -> str:
    """A parameter's value on one line; `full` has as many digits as anybody reads, and no more."""
    if not isinstance(value, float):
        return line(str(value))
    return f"{value:.7g}" if full else even(value)


def line(text: str) -> str:
    """Foreign text on one line, safe to show."""
    return " ".join(sanitize(text, colour=False).split())


def sparkline(values: Iterable[float], width: int) -> str:
    """The curve as `width` bars at most; where there are more values, each bar is the mean of its share."""
    points = [value for value in values if math.isfinite(value)]
    if len(points) > width:
        edges = [round(i * len(points) / width) for i in range(width + 1)]
        points = [math.fsum(points[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
    if not points:
        return ""
    low, high = min(points), max(points)
    if not math.isfinite(high - low) or high == low:
        return BARS[3] * len(points)
    return "".join(BARS[round((point - low) / (high - low) * (len(BARS) - 1))] for point in points)


def provenance(trial: Trial, unit: str) -> str:
    """How the trial's parameters were chosen, and what was expected of them."""
    found = trial.provenance
    method = param(found.get("method", "unknown"))
    if "imported" in found:
        method = f"{method}, imported from {param(found['imported'])}"
    if trial.is_replicate:
        return f"validation of {param(found.get('of', ''))}, seed {param(found.get('repeat', ''))}"
    if reason := found.get("fallback"):
        return f"{method} (fallback: {param(reason)})"
    expected = [f"predicted {said}"] if (said := predicted(trial)) else []
    if (mean := found.get("cost_mean")) is not None:
        expected.append(f"cost {cost(mean, unit)}")
    return f"{method}: {', '.join(expected)}" if expected else method


def predicted(trial: Trial) -> str:
    """The score that its optimizer expected of it, empty where it expected none."""
    mean, spread = trial.provenance.get("score_mean"), trial.provenance.get("score_std")
    if mean is None:
        return ""
    return number(mean) + (f" ± {number(spread, 2)}" if spread is not None else "")


_JOBS = {
    JobOutcome.COMPLETED: State("✔", "done", theme.GREEN),
    JobOutcome.INTERRUPTED: State("‖", "interrupted", theme.YELLOW),
    JobOutcome.KILLED: State("☠", "killed", theme.ORANGE),
    JobOutcome.STOPPED: State("✂", "stopped", theme.PURPLE),
}


def job_state(job: Job) -> State:
    """The state of one attempt."""
    if job.outcome is None:
        if job.ask in _ENDING:
            return _ENDING[job.ask]
        if job.state is JobState.PAUSED:
            return State("‖", "paused", theme.YELLOW)
        if (state := _elsewhere(job)) is not None:
            return state
        return State("◌", "starting", theme.SKY) if job.state is JobState.INTENT else State("▶", "running", theme.SKY)
    return job_end(job.outcome)


def job_end(outcome: JobOutcome) -> State:
    """How one attempt has ended."""
    failure = outcome.failure
    return _JOBS[outcome] if failure is None else State("✗", _FAILURES.get(failure, str(failure)), theme.VERMILLION)


def remote(place: Mapping[str, Any]) -> bool:
    """Whether that is the slot of a job on another machine."""
    return place.get("on") == "skypilot"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def slot(place: Mapping[str, Any]) -> str:
    """Where a job runs: `slot 0`, `slot 1, GPU 0 1`, `aws/us-east-1 $2.50/h`; empty where nobody said."""
    if remote(place):
        pieces = [
            line(str(place.get("infra") or "SkyPilot")),
            *(["#" + line(str(place["id"]))] if "id" in place else []),
        ]
        pieces += [f"${place['usd_h']:.2f}/h"] if _is_number(place.get("usd_h")) else []
        pieces += [f"${place['usd']:.2f} so far"] if _is_number(place.get("usd")) else []
        pieces += [f"moved {place['recoveries']} x"] if place.get("recoveries") else []
        return " ".join(pieces)
    if "index" not in place:
        return line(", ".join(f"{name} {value}" for name, value in place.items()))
    gpus = " ".join(line(str(gpu)) for gpu in place.get("gpus", ()))
    return f"slot {place['index']}" + (f", GPU {gpus}" if gpus else "")


def size(amount: float) -> str:
    """Bytes as `512 MB`, `1.5 GB`."""
    for unit in ("B", "KB", "MB", "GB"):
        if amount < 1024:
            return f"{amount:.1f} {unit}" if unit == "GB" and amount < 100 else f"{amount:.0f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TB"


def exit_summary(ended: Mapping[str, Any]) -> str:
    """How a job's process ended and what it used: `exit 1, ran 2m05s, CPU 4m10s, memory up to 1.5 GB`."""
    parts = []
    if ended.get("signal") is not None:
        parts.append(f"signal {ended['signal']}")
    elif ended.get("code") is not None:
        parts.append(f"exit {ended['code']}")
    if ended.get("run_s"):
        parts.append(f"ran {duration(ended['run_s'])}")
    if ended.get("paused_s"):
        parts.append(f"paused {duration(ended['paused_s'])}")
    used = ended.get("rusage", {})
    if used.get("utime_s") or used.get("stime_s"):
        parts.append(f"CPU {duration(used.get('utime_s', 0.0) + used.get('stime_s', 0.0))}")
    if used.get("maxrss_bytes"):
        parts.append(f"memory up to {size(used['maxrss_bytes'])}")
    return ", ".join(parts)
