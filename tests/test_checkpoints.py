"""Checkpoints: handed over whole, kept while anybody may need them, and deleted within what was asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from engine_support import Sweep
from test_early_stopping import run, simulated

from sweeptui.app.lineage import lineage
from sweeptui.app.screens.lines import Section
from sweeptui.app.snapshot import snapshot
from sweeptui.core.checkpoints import Checkpoints
from sweeptui.core.files import Files
from sweeptui.core.state import SweepState
from sweeptui.core.trial import Trial, TrialStatus


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    return Sweep(tmp_path)


def trial(number: int, checkpoint: Path | None = None, **fields: Any) -> Trial:
    return Trial(number, {"x": number / 10}, 0, 0.0, checkpoint=checkpoint and str(checkpoint), **fields)


def made(tmp_path: Path) -> tuple[Checkpoints, Path]:
    source = tmp_path / "trials" / "trial_0001" / "checkpoints" / "epoch_3.pt"
    source.parent.mkdir(parents=True)
    source.write_text("weights")
    return Checkpoints(Files(tmp_path), tmp_path), source


def test_a_child_keeps_its_checkpoint_whatever_becomes_of_its_parents(tmp_path: Path) -> None:
    checkpoints, source = made(tmp_path)
    given = checkpoints.hand_over(trial(1, source), 2)
    assert given == tmp_path / "trials" / "trial_0002" / "checkpoints" / "from_trial_0001_epoch_3.pt"
    assert given.stat().st_ino == source.stat().st_ino, "the disk holds it once"
    assert checkpoints.size([1, 2]) == {1: 7, 2: 0}
    source.unlink()
    assert given.read_text() == "weights"


def test_a_folder_is_handed_over_too_and_again_after_a_crash(tmp_path: Path) -> None:
    checkpoints, source = made(tmp_path)
    folder = source.with_name("step_9")
    folder.mkdir()
    (folder / "model").write_text("m")
    left = tmp_path / "trials" / "trial_0002" / "checkpoints" / "from_trial_0001_step_9.part"
    left.mkdir(parents=True)
    (left / "half").write_text("of what was copied before the crash")
    for _ in range(2):
        given = checkpoints.hand_over(trial(1, folder), 2)
        assert [path.name for path in given.iterdir()] == ["model"]
    assert [path.name for path in given.parent.iterdir()] == ["from_trial_0001_step_9"]


def test_what_a_trial_began_from_is_not_its_own(tmp_path: Path) -> None:
    checkpoints, source = made(tmp_path)
    assert checkpoints.committed(trial(1, source))
    assert not checkpoints.committed(trial(1, source, provenance={"checkpoint": str(source)}))
    assert not checkpoints.committed(trial(1, source.with_name("reported_too_early.pt")))
    assert not checkpoints.committed(trial(1))
    with pytest.raises(FileNotFoundError):
        checkpoints.hand_over(trial(1, source.with_name("gone.pt")), 2)


def left(sweep: Sweep) -> dict[int, list[str]]:
    folder = sweep.database.parent / "trials"
    return {number: sorted(p.name for p in (folder / t.id / "checkpoints").iterdir())
            for number, t in sweep.state.trials.items()}  # fmt: skip


def test_of_each_trial_the_newest_are_kept(sweep: Sweep) -> None:
    run(sweep, "optimizing", {}, 2, {}, keep_checkpoints=2)
    assert left(sweep) == {number: ["epoch_8.json", "epoch_9.json"] for number in (1, 2)}
    with sweep.store() as store:
        notes = [change for change in store.journal() if change.kind == "checkpoints"]
    assert [len(note.data["deleted"]) for note in notes] == [7, 7]
    assert all(note.data["why"] == "keep_checkpoints is 2" for note in notes)


def test_beyond_the_disk_budget_the_worst_lose_theirs(sweep: Sweep) -> None:
    run(sweep, "optimizing", {}, 3, {}, checkpoint_disk_mb=0.0004)
    kept = left(sweep)
    best = max(sweep.state.trials.values(), key=lambda trial: trial.score or 0)
    assert kept[best.number], "never those of the best"
    gone = [number for number, names in kept.items() if not names]
    assert gone
    assert all(sweep.state.trials[number].checkpoint is None for number in gone)


def test_no_budget_takes_what_a_promotion_may_need(sweep: Sweep) -> None:
    options = {"max_epochs": 9, "grace_period": 1, "variant": "promotion"}
    expected = simulated("asha", options, 9)
    run(sweep, "asha", options, 9, {"*": [1, 3]}, checkpoint_disk_mb=0.0001, keep_checkpoints=1)
    assert {n: (t.status, t.score) for n, t in sweep.state.trials.items()} == {
        n: (t.status, t.score) for n, t in expected.state.trials.items()
    }
    for each in sweep.state.trials.values():
        if each.status is TrialStatus.STOPPED:
            assert each.checkpoint is not None
            assert json.loads(Path(each.checkpoint).read_text())["epoch"] in (1, 3)


def test_the_lineage_is_drawn_as_a_tree() -> None:
    state = SweepState()
    family: dict[int, dict[str, Any]] = {
        1: {},
        2: {},
        3: {"parent": 1, "generation": 2, "mutation": {}},
        4: {"parent": 1, "generation": 2, "mutation": {"model.x": 0.25}},
        5: {"parent": 3, "generation": 3, "mutation": {}},
        6: {"parent": 3, "generation": 3, "mutation": {"model.x": 0.5}},
    }
    for number, how in family.items():
        state.put_trial(trial(number, provenance=how, score=float(number), status=TrialStatus.STOPPED))
    shown = snapshot(state, at=0.0, label="running", best=None, trials=tuple(state.trials.values()), spent=0.0)

    def drawn(number: int) -> list[str]:
        section = lineage(shown, state.trials[number])
        assert isinstance(section, Section)
        return ["".join(text for text, _ in row.pieces).rstrip() for row in section.lines]

    assert drawn(1) == [
        "✂ #1  1",
        "├ ✂ #3  3",
        "│ ├ ✂ #5  5",
        "│ └ ✂ #6  6  x 0.5000",
        "└ ✂ #4  4  x 0.2500",
    ]
    assert drawn(6) == ["✂ #1  1  and 1 more from here", "└ ✂ #3  3  and 1 more from here", "  └ ✂ #6  6  x 0.5000"]
    assert lineage(shown, state.trials[2]) is None
