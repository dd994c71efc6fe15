"""Trials that wait for a slot, and how long they may."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sweeptui.core.state import SweepStatus
from sweeptui.core.trial import FailureKind, TrialStatus

if TYPE_CHECKING:
    from sweeptui.core.config import SweepTool
    from sweeptui.core.state import SweepState
    from sweeptui.core.stores.sqlite import Transaction


class Queued:
    """Since when each trial has waited; a paused sweep stops that clock."""

    def __init__(self) -> None:
        self._since: dict[int, float] = {}

    def late(self, tool: SweepTool, state: SweepState) -> list[int]:
        """Those that have waited for longer than `queue_timeout_s`."""
        limit = tool.queue_timeout_s
        if limit is None or state.status is SweepStatus.PAUSED:
            self._since.clear()
            return []
        now = time.monotonic()
        waiting = {trial.number for trial in state.active if trial.status is TrialStatus.PENDING}
        self._since = {number: self._since.get(number, now) for number in waiting}
        return [number for number, since in self._since.items() if now - since > limit]


def fail_late(tx: Transaction, late: list[int], tool: SweepTool, ended: int) -> None:
    """They have failed; `ended` trials had come to an end before."""
    for order, number in enumerate(late, ended + 1):
        tx.set_trial(
            number,
            status=TrialStatus.FAILED,
            failure=FailureKind.TIMEOUT,
            reason=f"waited for a slot longer than queue_timeout_s ({tool.queue_timeout_s:g} s)",
            end_order=order,
            ended_at=tx.now,
        )
