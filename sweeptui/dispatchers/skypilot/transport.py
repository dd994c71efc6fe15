"""A remote log, seen piece by piece, written to the files that a local job would write, each line exactly once.

The lines are numbered by `runner`. What a training process reports is among them, behind the report protocol's marker:
it goes to the report file, everything else to the log. How far that is, is in a file beside them, written after both:
what they hold beyond it was written just before a crash, and is passed over when the same lines come again.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from sweeptui.reporting import MARKER

if TYPE_CHECKING:
    from pathlib import Path

_COLOUR = r"(?:\x1b\[[0-9;]*m)*"
_NUMBERED = re.compile(
    rf"{_COLOUR}(?:\([^()]*\bpid=\d+[^()]*\){_COLOUR} )?sweeptui-([0-9a-f]{{1,16}}):(\d{{1,12}})([|!])(.*)", re.DOTALL
)
MOVED = "-- the job was moved to another machine, and started again --"
MISSING = "-- {count} lines of the remote log are missing here --"


@dataclass(slots=True)
class _Position:
    start: str = ""
    """Of the runner whose lines these are."""
    earlier: list[str] = field(default_factory=list)
    """Of the runners before it. They are in no order: the clocks of their machines may differ."""
    number: int = 0
    log_bytes: int = 0
    report_bytes: int = 0
    log_skip: int = 0
    """So many of the next lines for the log are in it already."""
    report_skip: int = 0


class Fed(NamedTuple):
    """`gap`: lines between those written and those given are missing: give them all."""

    gap: bool
    new: int


class Transport:
    """Of one job. `mount` and `uri`: a checkpoint that is reported below `mount` is, from elsewhere, below `uri`."""

    def __init__(self, log: Path, reports: Path, state: Path, mount: str = "", uri: str = "") -> None:
        self._log, self._reports, self._state = log, reports, state
        self._mount, self._uri = mount.rstrip("/"), uri.rstrip("/")
        self.end: Mapping[str, Any] | None = None
        """How the newest runner ended, once it said so."""
        self._at = _Position(**_read(state))
        self._at.log_skip += _whole_lines(log, self._at.log_bytes)
        self._at.report_skip += _whole_lines(reports, self._at.report_bytes)

    @property
    def seen(self) -> bool:
        """The training has printed something, or has been started."""
        return bool(self._at.start)

    def feed(self, lines: Iterable[str], *, whole: bool) -> Fed:
        """Write down what is new among these lines of the remote log; `whole`: there are no earlier ones."""
        log: list[bytes] = []
        reports: list[bytes] = []
        new = 0
        for line in lines:
            match = _NUMBERED.match(line)
            if match is None:
                continue
            start, number, kind, text = match[1], int(match[2]), match[3], match[4]
            at = self._at
            if start in at.earlier or (start == at.start and number <= at.number):
                if start == at.start and kind == "!" and self.end is None:
                    self.end = _end(text)
                continue
            if start != at.start:
                if number > 1 and not whole:
                    self._write(log, reports)
                    return Fed(gap=True, new=new)
                if at.start:
                    log.append(MOVED.encode())
                    at.earlier.append(at.start)
                at.start, at.number, self.end = start, 0, None
            if number > at.number + 1:
                if not whole:
                    self._write(log, reports)
                    return Fed(gap=True, new=new)
                log.append(MISSING.format(count=number - at.number - 1).encode())
            at.number, new = number, new + 1
            if kind == "!":
                self.end = _end(text)
            elif text.startswith(MARKER):
                reports.append(self._report(text.removeprefix(MARKER)))
            else:
                log.append(text.encode("utf-8", "replace"))
        self._write(log, reports)
        return Fed(gap=False, new=new)

    def append(self, lines: Iterable[str]) -> None:
        """Write lines of another origin to the log: why a setup failed, say."""
        self._write([line.encode("utf-8", "replace") for line in lines], [])

    def _report(self, text: str) -> bytes:
        if self._mount and f'"{self._mount}/' in text:
            try:
                report = json.loads(text)
                path = report.get("checkpoint")
            except (ValueError, AttributeError):
                path = None
            if isinstance(path, str) and path.startswith(f"{self._mount}/"):
                text = json.dumps({**report, "checkpoint": self._uri + path.removeprefix(self._mount)})
        return text.encode("utf-8", "replace")

    def _write(self, log: list[bytes], reports: list[bytes]) -> None:
        if not (log or reports):
            return
        # The order matters: see the module's docstring.
        at = self._at
        _append(self._reports, reports[at.report_skip :])
        _append(self._log, log[at.log_skip :])
        at.report_skip, at.log_skip = max(0, at.report_skip - len(reports)), max(0, at.log_skip - len(log))
        at.log_bytes, at.report_bytes = _size(self._log), _size(self._reports)
        partial = self._state.with_suffix(".part")
        partial.write_text(json.dumps(asdict(at)))
        partial.replace(self._state)


def _end(text: str) -> Mapping[str, Any] | None:
    try:
        end = json.loads(text)
    except ValueError:
        return None
    return end if isinstance(end, dict) else None


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text())
        return {name: data[name] for name in _Position.__slots__}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _append(path: Path, lines: list[bytes]) -> None:
    if lines:
        data = b"\n".join(lines) + b"\n"
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            while data:
                data = data[os.write(descriptor, data) :]
        finally:
            os.close(descriptor)


def _whole_lines(path: Path, start: int) -> int:
    """How many lines the file has from there; a last one without its end is cut off."""
    try:
        with path.open("r+b") as file:
            file.seek(start)
            rest = file.read()
            if not rest.endswith(b"\n"):
                file.truncate(start + rest.rfind(b"\n") + 1)
            return rest.count(b"\n")
    except FileNotFoundError:
        return 0
