"""What the slots page says of the past: who was in which slot when, and how many were taken at once."""

from __future__ import annotations

import pytest
from app_sweep import NOW, Sweep, frame, until

from sweeptui.app.cockpit import Cockpit
from sweeptui.app.screens import occupancy
from sweeptui.app.screens.occupancy import Stints
from sweeptui.core.stores.stints import Stint, stints
from sweeptui.core.trial import FailureKind, JobOutcome


def stint(job: int, slot: int | None, began: float, ended: float | None, outcome=JobOutcome.COMPLETED) -> Stint:
    return Stint(job, job, slot, began, ended, None if ended is None else outcome, None, "train")


def text(section) -> list[str]:
    return ["".join(text for text, _ in line.pieces) for line in section.lines]


def run(
    sweep: Sweep, slot: int | None, took: float, failure: FailureKind | None = None, cpu_s: float | None = None
) -> int:
    number = sweep.trial()
    job = sweep.start(number)
    rusage = {} if cpu_s is None else {"rusage": {"utime_s": cpu_s - 1.0, "stime_s": 1.0}}
    with sweep.store.transaction() as tx:
        tx.set_job(job, slot={} if slot is None else {"index": slot, "gpus": []}, exit=rusage)
    sweep.clock.now += took
    sweep.end(number, None if failure else 1.0, failure)
    return number


def test_the_stints_of_a_sweep_are_read_and_what_is_over_only_once(tmp_path):
    sweep = Sweep(tmp_path)
    run(sweep, 1, 10.0, cpu_s=15.0)
    run(sweep, None, 5.0, FailureKind.CRASHED)
    sweep.start(sweep.trial())
    sweep.trial()  # waits, and was in no slot yet
    database = sweep.folder / "sweep.db"
    reader = Stints(database)
    first = reader.read()
    assert first == (
        Stint(1, 1, 1, NOW, NOW + 10, JobOutcome.COMPLETED, 15.0, "train"),
        Stint(2, 2, None, NOW + 10, NOW + 15, JobOutcome.CRASHED, None, "train"),
        Stint(3, 3, None, NOW + 15, None, None, None, "train"),
    )
    assert [each.job for each in stints(database, after=reader._last)] == [3]
    sweep.clock.now += 2
    sweep.end(3, 1.0)
    assert reader.read() == (*first[:2], Stint(3, 3, None, NOW + 15, NOW + 17, JobOutcome.COMPLETED, None, "train"))
    sweep.store.close()
    database.unlink()
    assert len(reader.read()) == 3, "what is known of before"


def test_who_ran_elsewhere_is_in_the_first_lane_that_is_free():
    held = occupancy.occupancy(
        [stint(1, None, 0, 10), stint(2, None, 5, 20), stint(3, None, 10, None), stint(4, None, 12, None)],
        30,
        over=False,
    )
    assert [[each.job for each in lane] for lane in held.lanes] == [[1, 3], [2], [4]]
    assert (held.began, held.until) == (0, 30)


def test_of_the_past_it_is_what_was_so_then():
    found = [stint(1, 0, 0, 10), stint(2, 0, 10, 20), stint(3, 1, 15, 25)]
    held = occupancy.occupancy(found, 12, over=False)
    assert [[(each.job, each.ended) for each in lane] for lane in held.lanes] == [[(1, 10), (2, None)]]
    assert occupancy.occupancy(found, -1, over=False) is None
    over = occupancy.occupancy(found, 1000, over=True)
    assert (over.until, [over.taken(lane) for lane in over.lanes]) == (25, [20, 10])


def test_a_line_for_each_slot_says_what_it_has_done():
    found = [
        stint(1, 0, 0, 30),
        stint(2, 0, 30, 50, JobOutcome.CRASHED),
        stint(3, 0, 60, None),
        stint(4, 1, 50, 75, JobOutcome.STOPPED),
    ]
    held = occupancy.occupancy(found, 100, over=False)
    head, first, second = text(occupancy.done(held, 65))
    assert head.split() == ["slot", "trials", "failed", "taken", "CPU", "1m40s", "before", "now"]
    assert first.split()[:5] == ["0", "3", "1", "90%", "–"]
    assert first[-30:] == "━━━━━━━━╸━━━━━✗───━━━━━━━━━━━━"
    assert second.split()[:5] == ["1", "1", "0", "25%", "–"]
    assert second[-30:] == "───────────────━━━━━━✂────────"
    assert len(first) == 65
    assert text(occupancy.done(held, 40))[1].split() == ["0", "3", "1", "90%", "–"], "too little room for a bar"


def test_what_ended_last_stands_first():
    found = [
        stint(1, 0, 0, 10),
        stint(2, 1, 2, 30, JobOutcome.CRASHED),
        Stint(3, 3, 0, 12, 22, JobOutcome.STOPPED, 5.0, "eval"),
        stint(4, 0, 23, None),
    ]
    held = occupancy.occupancy(found, 40, over=False)
    section = occupancy.ended(held, lambda number: None, 40, 2)
    head, first, second = (row.split() for row in text(section))
    assert head == ["slot", "trial", "stage", "ended", "took", "CPU", "score"]
    assert first == ["1", "2", "train", "✗", "crashed", "28s", "–", "–", "10s", "ago"]
    assert second == ["0", "3", "eval", "✂", "stopped", "10s", "50%", "–", "18s", "ago"]
    assert [row.key for row in section.lines] == [None, 2, 3]
    assert section.note == "2 of 3"
    running = occupancy.occupancy(found[3:], 40, over=False)
    assert occupancy.ended(running, lambda number: None, 40, 2) is None


def test_how_many_were_taken_is_drawn_to_scale():
    held = occupancy.occupancy([stint(1, 0, 0, 10), stint(2, 1, 5, 10)], 10, over=True)
    section = occupancy.used(held, 2, 13, 2)
    assert text(section)[:2] == ["2 │     █████", "0 │██████████"]
    assert section.note == "1.5 at once on average"


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_the_page_has_both(tmp_path, size):
    sweep = Sweep(tmp_path)
    for took in (4.0, 6.0, 9.0):
        run(sweep, 0, took, cpu_s=took)
    run(sweep, 1, 3.0, FailureKind.OUT_OF_MEMORY)
    app = Cockpit(sweep.folder, None, utf8=True, clock=sweep.clock)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.snapshot is not None, "the first snapshot")
        await pilot.press("o")
        await until(pilot, lambda: any("on average" in row for row in frame(app)), "what the slots have done")
        rows = frame(app)
        assert any("3       0    86%  100%" in row for row in rows)
        assert any("1       1    14%     –" in row for row in rows)
        assert {len(row) for row in rows} == {size[0]}
        assert any("Ended last" in row for row in rows) == (size[1] >= 40), "where there is room"
        if size[1] >= 40:
            await pilot.press("down", "up", "enter")
            await pilot.pause()
            assert any("trial_0004" in row for row in frame(app)[:2]), "the one that ended last, on its page"
