from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from sweeptui.core.analysis.ranking import ranked
from sweeptui.core.state import Change, ChangeKind, SweepState, SweepStatus
from sweeptui.core.trial import JobState, Stage, Trial, TrialStatus

AT = 1_700_000_000.0


def change(seq: int, kind: str, data: dict[str, object], trial: int | None = None) -> Change:
    return Change(seq, AT + seq, kind, trial, data, "test")


def put(state: SweepState, number: int, status: TrialStatus, score: float | None = None) -> None:
    state.put_trial(Trial(number, {}, 0, AT, status=status, score=score))


def test_a_trials_life_as_the_journal_tells_it() -> None:
    state = SweepState()
    for row in (
        change(1, ChangeKind.SWEEP_CREATED, {"name": "s", "config": {"max_trials": 3}}),
        change(2, ChangeKind.SWEEP_CHANGED, {"status": "running", "started_at": AT}),
        change(3, ChangeKind.TRIAL_CREATED, {"params": {"lr": 0.1}, "seed": 7, "provenance": {"method": "center"}}, 1),
        change(4, ChangeKind.JOB_CREATED, {"id": 1, "stage": "train", "attempt": 1, "argv": ["a", "b"]}, 1),
        change(5, ChangeKind.TRIAL_CHANGED, {"status": "training"}, 1),
        change(6, "disk.low", {"free_mb": 3}),
    ):
        state.apply(row)
    assert (state.name, state.status, state.created_at, state.started_at) == ("s", SweepStatus.RUNNING, AT + 1, AT)
    assert state.trials[1].attempt == 1
    assert state.trials[1].created_at == AT + 3
    assert state.running_jobs[1].stage is Stage.TRAIN
    assert state.running_jobs[1].argv == ("a", "b")
    state.apply(change(7, ChangeKind.JOB_CHANGED, {"id": 1, "state": "ended", "outcome": "crashed"}, 1))
    state.apply(change(8, ChangeKind.TRIAL_CHANGED, {"status": "failed", "failure": "crashed"}, 1))
    assert state.running_jobs == {}
    assert state.jobs[1].state is JobState.ENDED
    assert state.active == ()
    assert state.counts[TrialStatus.FAILED] == 1
    assert state.last_seq == 8


def test_commands_are_pending_until_they_are_answered() -> None:
    state = SweepState()
    state.apply(change(1, ChangeKind.COMMAND_SUBMITTED, {"id": 4, "verb": "stop", "args": {"kill": True}}))
    assert (state.commands[4].verb, state.commands[4].actor) == ("stop", "test")
    state.apply(change(2, ChangeKind.COMMAND_FINISHED, {"id": 4, "state": "done", "result": ""}))
    assert state.commands == {}


def test_a_trial_queued_again_takes_its_place_by_number() -> None:
    state = SweepState()
    for number in (1, 2, 3):
        put(state, number, TrialStatus.PENDING)
    put(state, 1, TrialStatus.FAILED)
    before = state.active
    put(state, 1, TrialStatus.PENDING)
    assert [trial.number for trial in before] == [2, 3]
    assert [trial.number for trial in state.active] == [1, 2, 3]


def test_the_view_of_active_trials_is_kept_while_nothing_changes() -> None:
    state = SweepState()
    put(state, 1, TrialStatus.PENDING)
    put(state, 2, TrialStatus.COMPLETED, 1.0)
    view = state.active
    put(state, 2, TrialStatus.COMPLETED, 2.0)
    assert state.active is view


def test_equal_scores_go_to_the_first_and_odd_ones_to_nobody() -> None:
    state = SweepState()
    assert state.best("maximize") is None
    put(state, 1, TrialStatus.COMPLETED, float("nan"))
    put(state, 2, TrialStatus.COMPLETED, float("inf"))
    put(state, 4, TrialStatus.COMPLETED, 1.0)
    put(state, 3, TrialStatus.STOPPED, 1.0)
    put(state, 5, TrialStatus.KILLED, 9.0)
    best = state.best("maximize")
    assert best is not None
    assert best.number == 3
    put(state, 3, TrialStatus.PENDING, None)
    assert state.best("maximize") == state.trials[4]


def test_the_best_is_still_the_best_while_it_is_trained_on_and_no_more_when_it_is_begun_anew() -> None:
    state = SweepState()
    ended = Trial(1, {}, 0, 0.0, TrialStatus.STOPPED, score=5.0, end_order=1, attempt=1)
    state.put_trial(ended)
    state.put_trial(Trial(2, {}, 0, 0.0, TrialStatus.STOPPED, score=3.0, end_order=2, attempt=1))
    for status, score in ((TrialStatus.PENDING, 5.0), (TrialStatus.TRAINING, 5.5), (TrialStatus.EVALUATING, 6.0)):
        goes_on = replace(ended, status=status, score=score, attempt=2)
        state.put_trial(goes_on)
        assert state.best("maximize") == goes_on
        assert [found.trial.number for found in ranked(state.trials.values(), "maximize")] == [1, 2]
    begun_anew = replace(ended, status=TrialStatus.TRAINING, score=9.0, requeued_after_job=4)
    crashed_and_tried_again = replace(ended, status=TrialStatus.TRAINING, score=9.0, end_order=None, attempt=2)
    failed = replace(ended, status=TrialStatus.FAILED, score=9.0)
    for trial in (begun_anew, crashed_and_tried_again, failed):
        state.put_trial(trial)
        best = state.best("maximize")
        assert best is not None
        assert best.number == 2
        assert [found.trial.number for found in ranked(state.trials.values(), "maximize")] == [2]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 6),
            st.sampled_from(list(TrialStatus)),
            st.one_of(st.none(), st.sampled_from([-1.0, 0.0, 0.5, 2.0])),
            st.booleans(),
        ),
        max_size=40,
    )
)
def test_what_is_kept_up_to_date_equals_what_is_computed_afresh(
    changes: list[tuple[int, TrialStatus, float | None, bool]],
) -> None:
    state = SweepState()
    for number, status, score, look in changes:
        put(state, number, status, score)
        if look:
            state.best("maximize"), state.best("minimize"), state.active
    trials = [state.trials[number] for number in sorted(state.trials)]
    assert list(state.active) == [trial for trial in trials if not trial.status.terminal]
    assert state.counts == {status: sum(trial.status is status for trial in trials) for status in TrialStatus}
    scored = [
        trial
        for trial in trials
        if trial.score is not None and trial.status in (TrialStatus.COMPLETED, TrialStatus.STOPPED)
    ]
    assert state.best("maximize") == max(scored, key=lambda trial: trial.score or 0.0, default=None)
    assert state.best("minimize") == min(scored, key=lambda trial: trial.score or 0.0, default=None)


def test_only_an_end_on_purpose_counts_as_one() -> None:
    ended = {status for status in SweepStatus if status.ended}
    assert ended == {SweepStatus.FINISHED, SweepStatus.STOPPED, SweepStatus.INTERRUPTED, SweepStatus.BROKEN}


def test_snapshots_are_values() -> None:
    state = SweepState()
    put(state, 1, TrialStatus.PENDING)
    (seen,) = state.active
    state.put_trial(replace(seen, status=TrialStatus.TRAINING))
    assert seen.status is TrialStatus.PENDING


def test_a_copy_is_not_touched_by_what_comes_later() -> None:
    state = SweepState()
    put(state, 1, TrialStatus.COMPLETED, 0.5)
    before = state.copy()
    held = {name: set(value) for name, value in vars(before).items() if isinstance(value, dict | set)}
    assert before.searched == 1
    state.put_trial(Trial(2, {}, 0, AT, status=TrialStatus.PENDING, provenance={"method": "validation"}))
    assert state.replicates == {2}
    assert before.searched == 1
    assert {name: set(value) for name, value in vars(before).items() if isinstance(value, dict | set)} == held
