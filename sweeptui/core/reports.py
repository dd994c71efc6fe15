"""Reads what training processes report, as it grows: JSON lines of a report file, or a log by regular expression.

Nothing read here is trusted. Whatever bytes a file holds, reading ends, memory is bounded, and what comes out is
printable, encodable and JSON-able; lines that make no sense are skipped and counted with the reason.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sweeptui.reporting import MARKER, MAX_LINE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

MAX_READ_BYTES = 4 * 1024 * 1024
"""Of one call of `read`; what is left comes with the next one."""

MAX_DEPTH = 16
MAX_NAME_CHARS = 500
MAX_REGEX_CHARS = 4096
"""A log line is matched up to here, to bound what a backtracking expression can cost."""

_ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-9;:?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)")
_NUMBER_WORDS = {"nan": math.nan, "inf": math.inf, "+inf": math.inf, "-inf": -math.inf}
_MAX_INT_DIGITS = 18
_MARKER = MARKER.strip().encode()


@dataclass(frozen=True, slots=True)
class ParsedReport:
    """One report. `score` may be NaN or infinite (that is for the sweep to judge), the other numbers are finite.

    `metrics` has flat names (`{"losses": {"value": 1}}` is `losses/value`) and JSON values; a number that is not
    finite is one of the strings "nan", "inf" and "-inf", as in the report protocol.
    """

    step: float | None = None
    total_steps: float | None = None
    score: float | None = None
    cost: float | None = None
    checkpoint: str | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rejected:
    """How much was skipped since the reader was made, and why, of the first."""

    count: int = 0
    reason: str = ""


class _MalformedError(Exception):
    """A line, or a field of it, that cannot be taken; the message is the reason."""


def objective(report: ParsedReport, metric: str) -> float | None:
    """The value of the sweep's metric: under the metric's own name, else the report's `score`.

    NaN and infinities are returned as such; a boolean or a word is no value.
    """
    if metric in report.metrics:
        return _number(report.metrics[metric])
    named = {"cost": report.cost, "step": report.step}.get(metric)
    return report.score if named is None else named


def objective_values(report: ParsedReport, names: Sequence[str]) -> dict[str, float]:
    """The values of the sweep's metrics that a report has, by their names.

    One metric may be reported as `score` whatever its name; of several, each has its own.
    """
    if len(names) == 1:
        value = objective(report, names[0])
        return {} if value is None else {names[0]: value}
    own = {"score": report.score, "cost": report.cost, "step": report.step}
    found = {name: _number(report.metrics[name]) if name in report.metrics else own.get(name) for name in names}
    return {name: value for name, value in found.items() if value is not None}


class _LineReader(ABC):
    """Follows a growing file of lines, from `offset` (bytes)."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        self.path = path
        self.offset = offset
        """Everything before it has been returned or rejected; a later reader can go on from here."""
        self.more = False
        """The last call stopped at `MAX_READ_BYTES`: there is more to read at once."""
        self.rejected = Rejected()
        self._in_long_line = False

    def read(self, final: bool = False) -> list[ParsedReport]:
        """The reports since the last call. A last line without its newline is waited for, unless `final`.

        A file that is not there (yet) is an empty one.
        """
        data = self._read_bytes()
        reports: list[ParsedReport] = []
        for line in self._lines(data, final and not self.more):
            try:
                reports += self._parse(line)
            except _MalformedError as error:
                self._reject(str(error))
        return reports

    @abstractmethod
    def _parse(self, line: bytes) -> Iterator[ParsedReport]: ...

    def _reject(self, reason: str) -> None:
        self.rejected = Rejected(self.rejected.count + 1, self.rejected.reason or reason)

    def _read_bytes(self) -> bytes:
        self.more = False
        try:
            # Without O_NONBLOCK, a pipe that somebody put in the file's place would block here for ever.
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return b""
        try:
            info = os.fstat(descriptor)
            if not stat.S_ISREG(info.st_mode):
                if not self.rejected.count:
                    self._reject("it is not a regular file")
                return b""
            if info.st_size < self.offset:
                self._reject("the file was cut short, so it is read from its beginning")
                self.offset, self._in_long_line = 0, False
            data = os.pread(descriptor, MAX_READ_BYTES, self.offset)
            self.more = info.st_size > self.offset + len(data)
            return data
        finally:
            os.close(descriptor)

    def _lines(self, data: bytes, final: bool) -> Iterator[bytes]:
        start = 0
        while start < len(data):
            end = data.find(b"\n", start)
            if end < 0 and not final:
                if not self._in_long_line and len(data) - start <= MAX_LINE_BYTES:
                    return
                # Known to be too long already: let go of it instead of reading it again and again.
                self._skip_long_line()
                self.offset += len(data) - start
                self._in_long_line = True
                return
            line = data[start:] if end < 0 else data[start:end]
            start = len(data) if end < 0 else end + 1
            self.offset += len(line) + (end >= 0)
            if self._in_long_line or len(line) >= MAX_LINE_BYTES:
                self._skip_long_line()
                self._in_long_line = False
            elif line.strip():
                yield line

    def _skip_long_line(self) -> None:
        if not self._in_long_line:
            self._reject(f"a line is longer than {MAX_LINE_BYTES} bytes")


class ReportReader(_LineReader):
    """Reads the file that `$SWEEPTUI_REPORT` names."""

    def _parse(self, line: bytes) -> Iterator[ParsedReport]:
        yield _parse_json(line, self._reject)


class LogReader(_LineReader):
    """Reads a log: lines behind the report marker, and lines that `regex` finds something in.

    The named groups `score`, `step`, `total` (or `total_steps`) and `cost` are what they say, every other named
    group is a metric. Terminal escape sequences are removed first, and a carriage return ends a line as well, so
    progress bars can be read.
    """

    def __init__(self, path: Path, offset: int = 0, regex: str | None = None) -> None:
        super().__init__(path, offset)
        self._regex = re.compile(regex) if regex else None

    def _read_bytes(self) -> bytes:
        return super()._read_bytes().replace(b"\r", b"\n")

    def _parse(self, line: bytes) -> Iterator[ParsedReport]:
        _, marker, marked = line.partition(_MARKER)
        if marker:
            yield _parse_json(marked, self._reject)
        elif self._regex:
            text = _ESCAPE_SEQUENCE.sub("", line.decode("utf-8", "replace"))
            if match := self._regex.search(text[:MAX_REGEX_CHARS]):
                groups = {name: _word_to_number(value) for name, value in match.groupdict().items() if value}
                yield _to_report(groups, self._reject)


def _parse_json(line: bytes, reject: Callable[[str], None]) -> ParsedReport:
    try:
        value = json.loads(line.decode(), parse_int=parse_int, parse_constant=_parse_constant)
    except (ValueError, RecursionError):
        raise _MalformedError("a line is not JSON") from None
    if not isinstance(value, dict):
        raise _MalformedError("a line is JSON, but not an object")
    return _to_report(value, reject)


def parse_int(digits: str) -> float:
    # Python refuses to read very long integers, and no database takes them.
    return int(digits) if len(digits) <= _MAX_INT_DIGITS else float(digits)


def _parse_constant(name: str) -> float:
    return float(name)


def _to_report(values: dict[str, Any], reject: Callable[[str], None]) -> ParsedReport:
    """`reject` is told of fields that are left out; the rest of the line is still worth having."""
    fields: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    for name, value in values.items():
        try:
            if value is None:
                continue
            if name in _FIELDS:
                target, convert = _FIELDS[name]
                fields[target] = convert(name, value)
            else:
                _flatten(name, value, metrics)
        except _MalformedError as error:
            reject(str(error))
    return ParsedReport(**fields, metrics=metrics)


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return float(value)
    return _NUMBER_WORDS.get(value.strip().lower()) if isinstance(value, str) else None


def _score(name: str, value: Any) -> float:
    number = _number(value)
    if number is None:
        raise _MalformedError(f"{name} is not a number")
    return number


def _finite(name: str, value: Any) -> float:
    number = _score(name, value)
    if not math.isfinite(number):
        raise _MalformedError(f"{name} is not finite")
    return number


def _path(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise _MalformedError(f"{name} is not a path")
    return value


_FIELDS = {
    "step": ("step", _finite),
    "total": ("total_steps", _finite),
    "total_steps": ("total_steps", _finite),
    "score": ("score", _score),
    "cost": ("cost", _finite),
    "checkpoint": ("checkpoint", _path),
}


def _flatten(name: str, value: Any, into: dict[str, Any], depth: int = 1) -> None:
    if depth > MAX_DEPTH:
        raise _MalformedError(f"a metric is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        for key, item in value.items():
            _flatten(f"{name}/{key}", item, into, depth + 1)
    elif len(name) > MAX_NAME_CHARS:
        # Also bounds what a long name over many short ones would grow to.
        raise _MalformedError(f"a metric's name is longer than {MAX_NAME_CHARS} characters")
    elif value is not None:
        into[printable(name)] = _plain(value, depth)


def _plain(value: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise _MalformedError(f"a metric is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, list):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {printable(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return printable(value) if isinstance(value, str) else value


def printable(text: str) -> str:
    """Without what could steer a terminal or cannot be stored (control characters, lone surrogates)."""
    return text if text.isprintable() else "".join(char if char.isprintable() else "\ufffd" for char in text)


def _word_to_number(text: str) -> float | str:
    """A number as logs write it (`1,234.5`), else the text as it is."""
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return text
