"""What the screen is told of a sweep."""

from __future__ import annotations

from sweeptui.app.actions import BY_ID
from sweeptui.app.snapshot import Snapshot, snapshot
from sweeptui.core.state import Change, ChangeKind, SweepState
from sweeptui.core.trial import Trial, TrialStatus

AT = 1_700_000_000.0


def told(max_trials: int, searched: int, replicates: int) -> Snapshot:
    state = SweepState()
    config = {"max_trials": max_trials, "protein_config": {"metric": "score", "parameters": {}}}
    state.apply(Change(1, AT, ChangeKind.SWEEP_CREATED, None, {"name": "s", "config": config}, "test"))
    for number in range(1, searched + replicates + 1):
        provenance = {"method": "validation"} if number > searched else {"method": "random"}
        state.put_trial(Trial(number, {}, 0, AT, status=TrialStatus.COMPLETED, score=0.5, provenance=provenance))
    trials = tuple(state.trials.values())
    return snapshot(state, at=AT, label="running", best=None, trials=trials, spent=0.0)


def test_replicates_are_trials_that_count_to_no_limit() -> None:
    seen = told(max_trials=10, searched=8, replicates=6)
    assert (seen.made, seen.searched, seen.done, seen.total) == (14, 8, 14, 16)
    assert BY_ID["inject"].refusal(seen, None) == "", "two more trials of the search have room"
    full = told(max_trials=8, searched=8, replicates=6)
    assert full.done == full.total == 14
    assert "all 8 trials" in BY_ID["inject"].refusal(full, None)


def test_trials_by_hand_may_be_more_than_the_limit() -> None:
    assert told(max_trials=3, searched=5, replicates=1).total == 6
