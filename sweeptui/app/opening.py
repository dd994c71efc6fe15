"""The first frame of a sweep, however large: its newest trials are read at once, the rest when they are on screen."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from sweeptui.app.leading import Leading
from sweeptui.app.snapshot import snapshot
from sweeptui.core.analysis.summary import truth
from sweeptui.core.errors import UserError
from sweeptui.core.stores.glance import glance
from sweeptui.folders import DATABASE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sweeptui.app.snapshot import Snapshot
    from sweeptui.core.state import SweepState

NEWEST = 200
"""So many trials are shown before the rest is read, more than a screen has lines."""
FEW = 2000
"""Up to so many are read at once."""
FRAME_S = 0.1
"""The first frame does not wait longer than that for what is to be shown in it."""
PAINTED_S = 1.0
"""Nor the reading of all for the first frame."""


class Opening:
    """Looks at the sweep on a thread of its own, from the moment it is made."""

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._clock = clock
        self._looked = threading.Event()
        self._painted = threading.Event()
        self._found: Snapshot | None = None
        self._taken = False
        self.leading = Leading()
        threading.Thread(target=self._look, name="opening", daemon=True).start()

    def first(self) -> Snapshot | None:
        """What the first frame shows; None where that is not read yet."""
        if self._looked.wait(FRAME_S):
            self._taken = True
            return self._found
        return None

    def painted(self) -> None:
        """The first frame is on screen."""
        self._painted.set()

    def missed(self) -> Snapshot | None:
        """Wait until the first frame is on screen; what came too late to be in it."""
        self._painted.wait(PAINTED_S)
        self._looked.wait()
        return None if self._taken else self._found

    def _look(self) -> None:
        try:
            found = glance(self._folder / DATABASE, NEWEST, FEW)
            state, holder = found.state, found.lease if found.lease is not None and found.lease.alive else None
            label = truth(
                state, held=holder is not None, jobs_alive=holder is None and any_job_lives(self._folder, state)
            )
            trials = tuple(state.trials.values())
            best, runner_up = (*found.best, None, None)[:2]
            first = snapshot(state, at=self._clock(), label=label, best=best, trials=trials, spent=found.spent)
            first = replace(first, holder=holder, runner_up=runner_up, older=found.older)
            self._found = replace(first, leading=self.leading.order(first))
        except UserError:  # what is wrong is found again where all is read, and said there
            pass
        finally:
            self._looked.set()


def any_job_lives(folder: Path, state: SweepState) -> bool:
    """Whether a process of a job of the sweep runs on this machine."""
    jobs = state.running_jobs.values()
    if not jobs:
        return False
    from sweeptui.survey import any_alive  # noqa: PLC0415 - a sweep that somebody runs is shown without it

    return any_alive(folder, jobs)
