"""Failed trials, sorted by what went wrong: the traceback in a log, and which errors are the same one.

Nothing here makes text safe to show: what a job printed is still to go through `ansi.sanitize`.
"""

from __future__ import annotations

import functools
import math
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweeptui.core.trial import FailureKind, Trial, TrialStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

GAP = "…"
"""Stands for what differs between two messages of the same error."""
MAX_ERROR_CHARS = 400
MAX_TRACEBACK_LINES = 200

_HEADS = ("Traceback (most recent call last):", "Exception Group Traceback (most recent call last):")
_DRAWN = re.compile(r"╭─+ Traceback \(most recent call last\) ─+╮")
_CHAINS = (
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
)

# How the engine says that a job failed, and what it adds: the same for every error.
_PREAMBLE = re.compile(r"(?:(?:train|eval) (?:exited with code \d+|was ended by \w+): )*")
_APPENDIX = re.compile(r" \(\d+ report lines were skipped, the first: .*\)$")
_VARIABLE = re.compile(
    r"(?P<url>\b[a-z][a-z0-9+.-]*://\S+)"
    r"|(?P<uuid>\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b)"
    r"|(?P<path>(?<![\w.])(?:~|\.{1,2})?(?:/[\w.+@%~-]+)+/?|\b[A-Za-z]:\\[\w.\\-]+)"
    r"|(?P<address>\b0[xX][0-9a-fA-F]+\b)"
    r"|(?P<digest>\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{12,}\b)"
    # Not in a name, as in float32, but in trial_0007. An exit code stays: it tells errors apart.
    r"|(?P<number>(?<![\w.])(?<!code )[-+]?\d+(?:[.,_]\d+)*(?:[eE][-+]?\d+)?(?=[A-Za-z]{0,3}\b|\W|$)|(?<=_)\d+\b)"
)


@dataclass(frozen=True, slots=True)
class Group:
    """Trials that failed with the same error."""

    error: str
    """The error without what every message says; where the trials' messages differ, a gap."""
    failure: FailureKind | None
    trials: tuple[Trial, ...]
    """By number."""


@dataclass(frozen=True, slots=True)
class Telling:
    """A parameter that sets failed trials apart: all of their values lie on one side of all the others'."""

    name: str
    low: float
    high: float
    """Of the failed trials."""
    bound: float
    """The nearest value with which a trial did not fail this way."""


def normalised(message: str) -> str:
    """What is left of an error's message once all that changes from one time to the next is taken out.

    Numbers, addresses, digests, paths, URLs and what the engine adds give way to `GAP`. Idempotent.
    """
    return _VARIABLE.sub(GAP, essence(message))


@functools.lru_cache(maxsize=4096)
def essence(message: str) -> str:
    """The error itself on one line, without the engine's words around it."""
    text = " ".join(message.split())
    text = _APPENDIX.sub("", text)
    return _PREAMBLE.sub("", text, count=1)[:MAX_ERROR_CHARS]


def groups(trials: Iterable[Trial]) -> list[Group]:
    """The failed ones among the trials by their error, the most frequent first; of equals, the newest."""
    found: dict[tuple[FailureKind | None, str], list[Trial]] = defaultdict(list)
    for trial in trials:
        if trial.status is TrialStatus.FAILED:
            found[trial.failure, _normalised(trial.reason)].append(trial)
    result = []
    for (failure, pattern), members in found.items():
        said = {essence(trial.reason) for trial in members}
        error = said.pop() if len(said) == 1 else pattern
        result.append(Group(error, failure, tuple(sorted(members, key=lambda trial: trial.number))))
    return sorted(result, key=lambda group: (-len(group.trials), -group.trials[-1].number))


_normalised = functools.lru_cache(maxsize=4096)(normalised)


def telling(group: Group, trials: Iterable[Trial]) -> list[Telling]:
    """The numeric parameters whose values set the group apart from the trials that had a result.

    Only where both sides have at least two: one point is apart from anything.
    """
    fine = [trial for trial in trials if trial.status in (TrialStatus.COMPLETED, TrialStatus.STOPPED)]
    if len(group.trials) < 2 or len(fine) < 2:
        return []
    found = []
    for name in group.trials[0].params:
        bad = _numbers(group.trials, name)
        good = _numbers(fine, name)
        if len(bad) < len(group.trials) or len(good) < len(fine):
            continue
        if min(bad) > max(good):
            found.append(Telling(name, min(bad), max(bad), max(good)))
        elif max(bad) < min(good):
            found.append(Telling(name, min(bad), max(bad), min(good)))
    return found


def _numbers(trials: Sequence[Trial], name: str) -> list[float]:
    values: list[Any] = [trial.params.get(name) for trial in trials]
    return [v for v in values if isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v)]


def last_traceback(text: str) -> list[str]:
    """The last Python traceback in what a job printed, with those that it was raised from; [] where there is none.

    What is in front of its first line (`[rank0]: `, a time) is taken off all of its lines. Those that `rich` draws
    count, too.
    """
    lines = text.splitlines()
    drawn = next((at for at in range(len(lines) - 1, -1, -1) if _DRAWN.match(lines[at])), -1)
    last = next((at for at in range(len(lines) - 1, -1, -1) if _head(lines[at]) is not None), -1)
    if drawn > last:
        close = next((at for at in range(drawn, len(lines)) if lines[at].startswith("╰")), len(lines))
        return _shortened(lines[drawn : close + 2])
    if last < 0:
        return []
    prefix = _head(lines[last]) or ""
    first = last
    while (before := _chained(lines, first, prefix)) is not None:
        first = before
    stop = _end(lines, last, prefix)
    return _shortened([line.removeprefix(prefix) if prefix.strip() else line for line in lines[first:stop]])


def _shortened(lines: list[str]) -> list[str]:
    if len(lines) <= MAX_TRACEBACK_LINES:
        return lines
    half = MAX_TRACEBACK_LINES // 2
    return [*lines[:half], f"{GAP} {len(lines) - 2 * half} lines {GAP}", *lines[-half:]]


def _head(line: str) -> str | None:
    """What stands in front of a traceback on its first line; None where the line is not one."""
    for head in reversed(_HEADS):
        before, found, after = line.rstrip().partition(head)
        if found and not after:
            return before
    return None


def _chained(lines: Sequence[str], first: int, prefix: str) -> int | None:
    """Where the traceback starts that the one at `first` says it follows from."""
    at = first - 1
    while at >= 0 and lines[at].removeprefix(prefix).strip() in ("", "|"):
        at -= 1
    if at < 0 or lines[at].removeprefix(prefix).strip() not in _CHAINS:
        return None
    return next((before for before in range(at - 1, -1, -1) if _head(lines[before]) == prefix), None)


def _end(lines: Sequence[str], head: int, prefix: str) -> int:
    """The line after the exception that ends the traceback at `head`."""
    at = head + 1
    grouped = prefix.rstrip().endswith("+")
    while at < len(lines):
        line = lines[at].removeprefix(prefix)
        if grouped:
            if not re.match(r"\s*[|+]", lines[at]):
                break
        elif line.strip() and not line[0].isspace():
            return _end_of_message(lines, at + 1, prefix)
        at += 1
    return at


def _end_of_message(lines: Sequence[str], at: int, prefix: str) -> int:
    """An exception's message may have more lines: those that follow without a gap, as long as they belong to it."""
    while at < len(lines):
        line = lines[at].removeprefix(prefix)
        if not line[:1].isspace() or not line.strip():
            break
        at += 1
    return at
