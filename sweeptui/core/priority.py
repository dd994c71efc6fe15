"""Who comes first where there are fewer cores than processes: the trials and the screen, then what helps them."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

HELPERS = 5
"""How nice they are, as `nice` counts: they get a third of what a trial beside them does."""
AUTOGROUP = Path("/proc/self/autogroup")


def step_back(niceness: int = HELPERS) -> None:
    """Let other processes go first. For a helper's own process, before it starts threads; what it starts is as nice.

    Linux shares the cores among sessions before it does so among the processes of each (`man 7 sched`, "The autogroup
    feature"): a process with a session of its own is no nicer to others than that session is.
    """
    with suppress(OSError):  # it may not; and a kernel without such groups, or one that is asked too often
        os.nice(niceness)
        if os.getsid(0) == os.getpid():
            AUTOGROUP.write_text(str(os.nice(0)))
