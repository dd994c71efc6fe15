"""Any moment of a sweep: the fold of its journal up to there, by the same fold as everybody's."""

from __future__ import annotations

import time
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest
from app_sweep import Sweep, busy_sweep

from sweeptui.core.errors import UserError
from sweeptui.core.moments import moment_of
from sweeptui.core.state import SweepState, SweepStatus
from sweeptui.core.stores import past as past_module
from sweeptui.core.stores.past import Past
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import Stage, TrialStatus


def seen(state: SweepState) -> dict[str, object]:
    """All that a state says."""
    return {
        **{name: value for name, value in vars(state).items() if not name.startswith("_")},
        "active": state.active,
        "best": state.best("maximize"),
    }


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    return busy_sweep(tmp_path)


@pytest.mark.parametrize("every", [1, 7, 2000])
def test_a_moment_is_the_fold_up_to_it_whichever_way_it_is_come_to(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    monkeypatch.setattr(past_module, "KEPT_EVERY", every)
    past, folded = Past(sweep.store), SweepState()
    wanted = [seen(folded.copy())]
    for change in sweep.store.journal():
        folded.apply(change)
        wanted.append(seen(folded.copy()))
    last = past.last
    assert last == len(wanted) - 1
    for seq in (last, 0, last // 2, last // 2 + 1, 3, last - 1, 1, last, last // 3):
        past.go_to(seq)
        assert seen(past.state) == wanted[seq], seq
    past.go_to(last)
    with closing(SqliteStore.open(sweep.store.path, readonly=True)) as store:
        assert past.state.trials == store.state.trials
        assert past.state.counts == store.state.counts


def test_the_way_forward_tells_what_changed(sweep: Sweep) -> None:
    past = Past(sweep.store)
    assert [change.seq for change in past.go_to(3) or []] == [1, 2, 3]
    assert past.go_to(3) == []
    assert [change.seq for change in past.go_to(5) or []] == [4, 5]
    assert past.go_to(1) is None


def test_steps_lead_from_end_to_end_and_from_change_to_change(sweep: Sweep) -> None:
    past = Past(sweep.store)
    past.go_to(past.last)
    ends = []
    while True:
        past.go_to(past.next_end(-1))
        if (end := past.just_ended()) is None:
            break
        assert past.state.trials[end.trial].status == end.status
        ends.append(end.trial)
    assert ends == [8, 6, 5, 4, 3, 2, 1]
    assert past.seq == 1
    moments = []
    while past.seq < past.last:
        past.go_to(past.next_change(1))
        moments.append((past.seq, past.at))
    assert moments == sorted(set(moments))
    assert len({at for _, at in moments}) == len(moments)
    backwards = []
    while past.seq > moments[0][0]:
        backwards.append(past.seq)
        past.go_to(past.next_change(-1))
    assert [*backwards[::-1]] == [seq for seq, _ in moments[1:]]


def test_curves_and_jobs_are_those_of_the_moment(sweep: Sweep) -> None:
    past = Past(sweep.store)
    past.go_to(past.end_of(2))
    assert [job.trial for job in past.jobs(2)] == [2]
    assert past.jobs(3) == []
    assert len(past.reports(2, Stage.TRAIN)) == 50
    assert past.reports(9) == []
    assert past.scores(9, Stage.TRAIN) == []
    past.go_to(past.last)
    assert len(past.scores(9, Stage.TRAIN)) == 31


def test_what_is_written_meanwhile_is_taken_in(sweep: Sweep) -> None:
    past = Past(sweep.store)
    last = past.last
    sweep.clock.now += 5
    sweep.set(9, TrialStatus.KILLED, reason="enough")
    past.grow()
    assert past.last == last + 1
    assert past.end_of(9) == past.last


def test_a_moment_is_meant_by_a_trial_or_a_time(sweep: Sweep) -> None:
    past = Past(sweep.store)
    first, last = past.span
    assert moment_of(past, "2") == moment_of(past, "#2") == moment_of(past, "trial_0002") == past.end_of(2)
    past.go_to(past.end_of(4))
    assert moment_of(past, datetime.fromtimestamp(past.at).astimezone().isoformat()) == past.at_time(past.at)
    assert moment_of(past, f"-{int(last - past.at)}s") == past.at_time(past.at)
    assert moment_of(past, "-99d") == past.at_time(first - 1) == 1
    assert moment_of(past, time.strftime("%H:%M:%S", time.localtime(past.at))) == past.at_time(past.at)
    assert moment_of(past, time.strftime("%H:%M", time.localtime(last))) == past.last


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("soon", "--at is 'soon', which is neither a time nor a trial; write 2026-05-01T14:30, 14:30, -10m, or"),
        ("25:00", "which is neither a time nor a trial"),
        ("-", "which is neither a time nor a trial"),
        ("99", "--at is '99', and the sweep has 10 trials"),
        ("9", "trial_0009 has not ended, so there is no moment of its end"),
        ("2001-01-01", "and the sweep began at 2023-11-1"),
    ],
)
def test_what_means_no_moment_is_one_sentence(sweep: Sweep, text: str, why: str) -> None:
    with pytest.raises(UserError) as error:
        moment_of(Past(sweep.store), text)
    assert why in str(error.value)
    assert "\n" not in str(error.value)


def test_ten_thousand_trials_share_what_a_moment_holds(tmp_path: Path) -> None:
    """A jump costs the rows since the nearest kept state, however long the journal is."""
    sweep = Sweep(tmp_path)
    with sweep.store.transaction() as tx:
        for number in range(1, 1201):
            tx.create_trial({"x": number}, 0)
            tx.set_trial(number, status=TrialStatus.TRAINING)
            tx.set_trial(number, status=TrialStatus.COMPLETED, score=float(number), end_order=number)
        tx.set_sweep(status=SweepStatus.FINISHED)
    past = Past(sweep.store)
    past.go_to(past.last)
    read: list[int] = []
    journal = sweep.store.journal

    def counted(after: int = 0, limit: int | None = None) -> list[object]:
        found = journal(after, limit)
        read.append(len(found))
        return found

    sweep.store.journal = counted  # type: ignore[method-assign,assignment]
    for seq in (past.last // 2, past.last - 1, 10, past.end_of(1100)):
        read.clear()
        past.go_to(seq)
        assert sum(read) <= past_module.KEPT_EVERY + past_module.READ_AT_ONCE
    assert past.state.counts[TrialStatus.COMPLETED] == 1100
    past.go_to(past.end_of(700))
    kept = past._kept[1]
    assert kept.trials[600] is past.state.trials[600]
