"""Which trial somebody looks at: a window says it, whoever runs the sweep may do more for that trial.

A number in a file of the sweep's folder, no more than a hint: it may be missing, old or wrong.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

NAME = "watched"


def say(folder: Path, trial: int) -> None:
    """Somebody looks at this trial now."""
    with contextlib.suppress(OSError):
        (folder / NAME).write_text(str(trial))


class Watched:
    """The number that was said last, read anew only when it has changed."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._read_at = -1
        self._trial: int | None = None

    @property
    def trial(self) -> int | None:
        with contextlib.suppress(OSError, ValueError):
            changed_at = self._path.stat().st_mtime_ns
            if changed_at != self._read_at:
                self._trial = int(self._path.read_text())
                self._read_at = changed_at
        return self._trial
