"""From how a process ended to what that means for its trial, and whether it is tried again."""

from __future__ import annotations

import math
import re
import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sweeptui.core.dispatch import JobExit
from sweeptui.core.trial import FailureKind, Job, JobOutcome

LOG_TAIL_BYTES = 32 * 1024
EXIT_KILLED = 128 + signal.SIGKILL

OUT_OF_MEMORY = re.compile(
    r"CUDA out of memory|torch\.OutOfMemoryError|OutOfMemoryError|CUBLAS_STATUS_ALLOC_FAILED|RESOURCE_EXHAUSTED"
    r"|HIP out of memory|MPS backend out of memory|std::bad_alloc|(?m:^\s*(?:numpy\..*)?(?:Array)?MemoryError\b)"
)
"""What the frameworks print when memory ran out. Only looked for where the process failed."""

EXCEPTION_LINE = re.compile(r"(?m)^(?:[\w.]+(?:Error|Exception|Interrupt|Exit|Warning)\b.*)$")


@dataclass(frozen=True, slots=True)
class Verdict:
    outcome: JobOutcome
    reason: str


def log_tail(path: Path, size: int = LOG_TAIL_BYTES) -> str:
    """Return the last `size` bytes of a log as text, "" where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - size))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def judge(
    job: Job,
    end: JobExit,
    tail: str,
    *,
    values: Mapping[str, float | None],
    needs_metric: bool,
    where_looked: str = "",
    title: str = "",
    timeout_field: str = "",
) -> Verdict:
    """Say what the end of a job means.

    `values` are those of the objectives that were reported (None: none, NaN or infinite: as reported); they only
    count where `needs_metric`, that is in the stage of a trial that is to give them. `where_looked` says for a missing
    one where it is not. `title`: what people call the stage; `timeout_field`: where its timeout is set.
    """
    title = title or job.stage
    if job.ask is not None and end.killed:
        return Verdict(job.ask, job.ask_reason)
    if end.not_started:
        return Verdict(JobOutcome.DISPATCH_ERROR, end.message)
    if end.lost:
        return Verdict(JobOutcome.LOST, end.message or "nobody saw it end")
    if end.preempted:
        return Verdict(JobOutcome.PREEMPTED, end.message or "its machine was taken away")
    if end.timed_out and end.message:
        return Verdict(JobOutcome.TIMEOUT, end.message)
    if end.timed_out:
        return Verdict(JobOutcome.TIMEOUT, f"{title} ran longer than {timeout_field} ({end.run_s:.0f} s)")
    if end.killed:
        # Its keeper was told to, but not by the sweep: the machine goes down, or the sweep could not even write it.
        return Verdict(JobOutcome.PREEMPTED, "ended from outside of the sweep")
    if end.code != 0:
        return _failed(title, end, tail)
    if needs_metric:
        if missing := [name for name, value in values.items() if value is None]:
            name = "score" if len(values) == 1 else missing[0]
            call = f"{name}=..." if name.isidentifier() else f"**{{{name!r}: ...}}"
            how = f"call sweeptui.report({call}) or write a JSON line to $SWEEPTUI_REPORT"
            said = where_looked or f"but never reported {' and '.join(map(repr, missing))}; {how}"
            return Verdict(JobOutcome.NO_METRIC, f"{title} exited with code 0 {said}")
        for name, value in values.items():
            if value is not None and not math.isfinite(value):
                return Verdict(JobOutcome.INVALID_METRIC, f"{name!r} was reported as {value}")
    return Verdict(JobOutcome.COMPLETED, f"{title} done in {end.run_s:.1f} s")


def _failed(title: str, end: JobExit, tail: str) -> Verdict:
    ended = f"was ended by {_signal_name(end.signal)}" if end.signal else f"exited with code {end.code}"
    how = f"{title} {ended}"
    said = end.message or _last_exception(tail)
    if said:
        how = f"{how}: {said}"
    if end.signal == signal.SIGKILL or end.code == EXIT_KILLED or OUT_OF_MEMORY.search(tail):
        return Verdict(JobOutcome.OUT_OF_MEMORY, how)
    return Verdict(JobOutcome.CRASHED, how)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _last_exception(tail: str) -> str:
    """The last line that looks like an exception, short enough for a table."""
    lines = EXCEPTION_LINE.findall(tail)
    return "".join(c for c in lines[-1].strip() if c.isprintable())[:200] if lines else ""


def tries_left(outcome: JobOutcome, earlier: Iterable[Job], retries: Mapping[FailureKind, int]) -> int:
    """How many more times a job that ended with `outcome` may run.

    `earlier` holds the ended jobs of the same trial and stage since the user last requeued it, this one not included.
    """
    kind = outcome.failure
    if kind is None:
        return 0
    used = sum(1 for job in earlier if job.outcome is outcome)
    return max(0, retries.get(kind, 0) - used)
