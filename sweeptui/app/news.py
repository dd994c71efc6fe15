"""What happened between two snapshots that is worth a word: a new best trial, and failures."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from sweeptui.app import wording
from sweeptui.core.trial import TrialStatus

if TYPE_CHECKING:
    from sweeptui.app.snapshot import Snapshot
    from sweeptui.core.trial import Trial

PAUSE_S = 10.0
"""Failures are told at most so often: of a sweep that fails fast, several at once."""


@dataclass(frozen=True, slots=True)
class Item:
    text: str
    bad: bool = False


class News:
    """Of one sweep, from one window."""

    def __init__(self) -> None:
        self._seen: Snapshot | None = None
        self._failed: dict[int, Trial] = {}
        """Those that were not told yet."""
        self._told_at = float("-inf")

    def of(self, snapshot: Snapshot, now: float) -> list[Item]:
        """What is new since the last snapshot; `now` is in seconds, of a clock that only goes forward.

        The first snapshot is where it begins, and so is the first that has all trials.
        """
        seen, self._seen = self._seen, snapshot
        if seen is None or seen.older or snapshot.older:
            return []
        items = []
        if snapshot.best is not None and (seen.best is None or seen.best.number != snapshot.best.number):
            items.append(Item(_best(snapshot, snapshot.best)))
        if snapshot.counts[TrialStatus.FAILED] > seen.counts[TrialStatus.FAILED]:
            for before, trial in zip_longest(seen.trials, snapshot.trials):
                if trial is before or trial is None or trial.status is not TrialStatus.FAILED:
                    continue  # of very many trials hardly any has changed, and those that have not are the same objects
                old = seen.trial(trial.number)
                if old is None or old.status is not TrialStatus.FAILED:
                    self._failed[trial.number] = trial
        if self._failed and now - self._told_at >= PAUSE_S:
            items.append(Item(_failures(list(self._failed.values())), bad=True))
            self._failed, self._told_at = {}, now
        return items


def _best(snapshot: Snapshot, best: Trial) -> str:
    text = f"★ {best.id} is the new best: {wording.number(best.score)}"
    second = snapshot.runner_up
    if second is None or second.score is None or best.score is None:
        return text
    return f"{text}, {wording.number(abs(best.score - second.score), 3)} ahead of #{second.number}"


def _failures(trials: list[Trial]) -> str:
    last = trials[-1]
    why = wording.line(last.reason) or wording.trial_state(last).word
    if len(trials) == 1:
        return f"✗ {last.id} failed: {why}"
    return f"✗ {len(trials)} trials failed; {last.id}: {why}"
