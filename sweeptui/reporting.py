"""What a training script calls. Standard library only, so that it costs a training process nothing.

A report is one JSON line appended to the file that `$SWEEPTUI_REPORT` names. Where no file can be shared with
the sweep, `SWEEPTUI_REPORT_STDOUT=1` sends the same line to stdout behind `MARKER`. Outside of a sweep nothing
is written, so a script that reports still runs by itself.
"""

from __future__ import annotations

import errno
import math
import os
import sys

# What takes long to import (typing, json, pathlib) is imported where it is needed: importing this file costs
# about a millisecond, and outside of a sweep a report costs a look at the environment.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

MARKER = "::sweeptui:: "
MAX_LINE_BYTES = 64 * 1024
"""Of one report, its newline included."""


def report(
    step: float | None = None,
    score: float | None = None,
    cost: float | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    total_steps: float | None = None,
    **metrics: Any,
) -> None:
    """Tell the sweep how this trial is doing; call it as often as there is something new.

    `score` is the objective in its own sign, `cost` is in the sweep's cost unit (seconds by default) since the
    start of training, `checkpoint` is a path (or URI) that the evaluation can load. `step` of `total_steps` is
    the progress. Everything else is a metric: numbers, strings, booleans, and lists or dicts of them; scalars
    and arrays of numpy and torch are taken as they are.

    Raises `TypeError` for a value that JSON cannot hold and `ValueError` for a report above 64 KiB; nothing is
    written then.
    """
    path = os.environ.get("SWEEPTUI_REPORT")
    to_stdout = not path and os.environ.get("SWEEPTUI_REPORT_STDOUT") == "1"
    if not path and not to_stdout:
        return
    import json  # noqa: PLC0415

    known = {"step": step, "total_steps": total_steps, "score": score, "cost": cost, "checkpoint": checkpoint}
    fields = {name: value for name, value in known.items() if value is not None} | metrics
    text = json.dumps({name: _jsonable(value, name) for name, value in fields.items()}, separators=(",", ":"))
    line = f"{text}\n".encode()
    if len(line) > MAX_LINE_BYTES:
        raise ValueError(f"a report may have {MAX_LINE_BYTES} bytes and this one has {len(line)}; report less at once")
    if path:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            _write_whole(descriptor, line)
        finally:
            os.close(descriptor)
    else:
        sys.stdout.flush()
        _write_whole(sys.stdout.fileno(), MARKER.encode() + line)


def params() -> dict[str, Any]:
    """The parameters of this trial by their full dot paths; empty outside of a sweep."""
    path = os.environ.get("SWEEPTUI_PARAMS")
    if not path:
        return {}
    import json  # noqa: PLC0415

    with open(path, encoding="utf-8") as file:  # noqa: PTH123
        values: dict[str, Any] = json.load(file)
    return values


def trial_dir() -> Path | None:
    """The folder of this trial, for checkpoints and other files that belong to it; None outside of a sweep."""
    path = os.environ.get("SWEEPTUI_TRIAL_DIR")
    if not path:
        return None
    from pathlib import Path  # noqa: PLC0415

    return Path(path)


def _write_whole(descriptor: int, line: bytes) -> None:
    # One write, so that lines of several processes (one per GPU, say) never mix.
    if os.write(descriptor, line) != len(line):
        raise OSError(errno.ENOSPC, "only a part of the report could be written")


def _jsonable(value: Any, name: str) -> Any:
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        # JSON has no NaN and no infinities, and not every language's parser takes Python's spelling of them.
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, dict):
        return {str(key): _jsonable(item, f"{name}/{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(item, name) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    # numpy and torch: tolist() gives a plain number for a scalar and plain lists for an array.
    convert = getattr(value, "tolist", None) or getattr(value, "item", None)
    if convert is not None:
        return _jsonable(convert(), name)
    raise TypeError(f"report: {name} is a {type(value).__name__}, which JSON cannot hold")
