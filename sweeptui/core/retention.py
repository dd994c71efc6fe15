"""Which checkpoints are kept: the newest of each trial, and as many as a disk budget has room for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sweeptui.core.trial import trial_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sweeptui.core.checkpoints import Checkpoints
    from sweeptui.core.config import SweepTool
    from sweeptui.core.state import Change, SweepState
    from sweeptui.core.stores.sqlite import Transaction
    from sweeptui.core.trial import Trial

Deleted = tuple[int, list[str], str]
"""A trial's number, the names of its checkpoints that were deleted, and why."""


class Retention:
    """Deletes checkpoints of trials that have ended, in the sweep's own folders and nowhere else.

    Never of a trial that another may yet go on from, of one that is not over, or of the best.
    """

    def __init__(self, checkpoints: Checkpoints, needed: Callable[[Trial], bool]) -> None:
        self._checkpoints = checkpoints
        self._needed = needed
        self._ended: set[int] = set()

    def follow(self, changes: Iterable[Change]) -> None:
        """Take note of trials that have ended."""
        self._ended |= {change.trial for change in changes if change.trial is not None and "end_order" in change.data}

    def tidy(self, tool: SweepTool, state: SweepState) -> list[Deleted]:
        """After trials have ended: delete what need not be kept. Costs nothing where nothing has."""
        ended, self._ended = self._ended, set()
        if not ended or (tool.keep_checkpoints is None and tool.checkpoint_disk_mb is None):
            return []
        deleted: list[Deleted] = []
        if tool.keep_checkpoints is not None:
            for number in sorted(ended):
                if state.trials[number].status.terminal:
                    names = self._checkpoints.prune(state.trials[number], tool.keep_checkpoints)
                    deleted.append((number, names, f"keep_checkpoints is {tool.keep_checkpoints}"))
        if tool.checkpoint_disk_mb is not None:
            deleted += self._within(tool.checkpoint_disk_mb, tool.protein_config.goal, state)
        return [each for each in deleted if each[1]]

    def _within(self, budget_mb: float, goal: str, state: SweepState) -> list[Deleted]:
        """Whole trials' checkpoints, the worst first, until what is left is within the budget."""
        sizes = self._checkpoints.size(state.trials)
        used = sum(sizes.values())
        best = state.best(goal)
        sign = 1 if goal == "minimize" else -1

        def loss(trial: Trial) -> float:
            return math.inf if trial.score is None or math.isnan(trial.score) else sign * trial.score

        deleted: list[Deleted] = []
        for trial in sorted(state.trials.values(), key=lambda trial: (-loss(trial), trial.number)):
            if used <= budget_mb * 1e6:
                break
            kept = best is not None and best.number == trial.number
            if not sizes[trial.number] or kept or not trial.status.terminal or self._needed(trial):
                continue
            names = self._checkpoints.prune(trial, 0)
            used -= sizes[trial.number]
            deleted.append((trial.number, names, f"checkpoint_disk_mb is {budget_mb:g}"))
        return deleted


def note(tx: Transaction, deleted: Iterable[Deleted]) -> None:
    """Write down what was deleted; a trial whose newest checkpoint is gone has none."""
    for number, names, why in deleted:
        tx.note("checkpoints", {"deleted": names, "why": why, "of": trial_id(number)}, trial=number)
        checkpoint = tx.trial(number).checkpoint
        if checkpoint is not None and checkpoint.rpartition("/")[2] in names:
            tx.set_trial(number, checkpoint=None)
