"""Which parameters' columns come first: what is told of them, and that they stay where they are."""

from __future__ import annotations

import math
import random
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from app_sweep import Sweep, frame, until
from scipy import stats

from sweeptui.app import commandline
from sweeptui.app.cockpit import Cockpit
from sweeptui.app.leading import Leading
from sweeptui.app.snapshot import Snapshot, snapshot
from sweeptui.core.analysis.screening import chance, kruskal, midranks, told
from sweeptui.core.errors import UserError
from sweeptui.core.state import SweepStatus
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import Stage, TrialStatus

NAMES = ("a", "b", "c", "d")


def results(count: int, seed: int, effect: float = 0.0) -> list[tuple[dict[str, Any], float]]:
    """Only "c" matters, in the middle of its axis most."""
    rng = random.Random(seed)
    found = []
    for _ in range(count):
        params = {"a": rng.random(), "b": rng.choice(["x", "y", "z"]), "c": rng.random(), "d": 2 ** rng.randrange(6)}
        found.append((params, rng.gauss(0, 1) - effect * (params["c"] - 0.5) ** 2))
    return found


# -- the test


@pytest.mark.parametrize("digits", [6, 0])
def test_the_statistic_is_scipys(digits: int) -> None:
    rng = random.Random(digits)
    groups = [[round(rng.gauss(shift, 2), digits) for _ in range(9)] for shift in (0, 1, 3)]
    assert digits or len({value for group in groups for value in group}) < 27, "there are ties"
    ranks = midranks([value for group in groups for value in group])
    found = kruskal([ranks[9 * k : 9 * k + 9] for k in range(3)])
    theirs = stats.kruskal(*groups)
    assert found is not None
    assert found[0] == pytest.approx(theirs.statistic)
    assert chance(*found) == pytest.approx(theirs.pvalue, rel=0.05)


def test_what_matters_is_told_and_noise_is_not() -> None:
    assert list(told(NAMES, results(60, 1, effect=20.0))) == ["c"]
    assert told(NAMES, results(9, 1, effect=20.0)) == {}
    assert told(NAMES, [(params, 1.0) for params, _ in results(60, 1)]) == {}
    alarms = sum(bool(told(NAMES, results(40, seed), level=0.05)) for seed in range(400))
    assert alarms / 400 < 0.08


def test_long_sweeps_and_parameters_that_do_not_always_exist() -> None:
    many = results(5000, 2, effect=20.0)
    assert list(told((*NAMES, "nowhere"), many)) == ["c"]
    some = [({k: v for k, v in params.items() if k != "c" or n % 2}, score) for n, (params, score) in enumerate(many)]
    assert list(told(NAMES, some)) == ["c"]


# -- when columns move


def seen(folder: Path, scores: list[tuple[dict[str, Any], float]]) -> Snapshot:
    """Of a sweep whose trials are all completed."""
    store = SqliteStore.create(
        folder / "sweep.db", "s", {"protein_config": {"parameters": {name: {} for name in NAMES}}}
    )
    with store.transaction() as tx:
        for params, score in scores:
            number = tx.create_trial(params, 1).number
            tx.create_job(number, Stage.TRAIN, ["true"])
            tx.set_trial(number, status=TrialStatus.TRAINING)
            tx.set_trial(number, status=TrialStatus.COMPLETED, score=score)
    state = store.state
    store.close()
    return snapshot(state, at=0.0, label="running", best=None, trials=tuple(state.trials.values()), spent=0.0)


def of(whole: Snapshot, count: int) -> Snapshot:
    return replace(whole, trials=whole.trials[:count], counts={TrialStatus.COMPLETED: count})


def test_an_order_changes_when_two_looks_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    answers = {10: (), 11: ("c",), 13: ("c",), 15: ("a", "c"), 17: ("c",), 19: ("a", "c"), 21: ("a", "c")}

    def look(trials: Any, _params: Any, _objectives: Any) -> tuple[str, ...]:
        looks.append(len(trials))
        return answers[len(trials)]

    monkeypatch.setattr("sweeptui.app.leading.important", look)
    whole, leading = seen(tmp_path, results(21, 3)), Leading()
    shown = {count: leading.order(of(whole, count)) for count in range(22)}
    assert looks == sorted(answers), "a tenth more has to be there"
    assert [count for count in range(1, 22) if shown[count] != shown[count - 1]] == [13, 21]
    assert (shown[13], shown[21]) == (("c",), ("a", "c"))
    assert leading.order(replace(of(whole, 21), older=5)) == ("a", "c"), "what is not read yet is waited for"


def test_a_sweep_that_is_opened_is_in_its_order_at_once_and_the_past_stays_in_it(tmp_path: Path) -> None:
    whole, leading = seen(tmp_path, results(60, 1, effect=20.0)), Leading()
    assert leading.order(whole) == ("c",)
    past: Any = object()
    assert leading.order(replace(of(whole, 10), past=past)) == ("c",)
    assert Leading().order(of(whole, 9)) == ()


# -- on the screen


@asynccontextmanager
async def cockpit(sweep: Sweep, size: tuple[int, int] = (120, 40)):
    app = Cockpit(sweep.folder, None, utf8=True, clock=sweep.clock)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.snapshot is not None, "the first snapshot")
        await pilot.pause()
        yield app, pilot


def header(app: Cockpit) -> str:
    return next(line for line in frame(app) if "state" in line and "score" in line)


def titles(app: Cockpit) -> list[str]:
    return [title for title, field in app.table.titles() if field in app.table.fields.by_param.values()]


def written(tmp_path: Path) -> Sweep:
    """Thirty trials of which only "vf_coef", the last parameter, says how good they are."""
    sweep = Sweep(tmp_path, max_trials=60)
    path = "trainer.algorithm.vf_coef"
    for _ in range(30):
        number = sweep.trial()
        sweep.start(number)
        with sweep.store.transaction() as tx:
            value = tx.trial(number).params[path]
            tx.set_trial(number, status=TrialStatus.COMPLETED, score=math.sin(3 * float(value)), cost=1.0)
    with sweep.store.transaction() as tx:
        tx.set_sweep(status=SweepStatus.FINISHED, reason="enough")
    return sweep


async def test_the_important_columns_come_first_and_the_users_before_them(tmp_path) -> None:
    sweep = written(tmp_path)
    async with cockpit(sweep, (80, 24)) as (app, pilot):
        await until(pilot, lambda: titles(app)[0].startswith("✔"), "what the trials tell")
        assert titles(app)[0] == "✔vf_coef"
        assert not any(title.startswith("✔") for title in titles(app)[1:])
        assert "✔vf" in header(app), "it is seen where there is little room"
        commandline.prepare(app, "columns ent_coef gae_lambda").run()
        await pilot.pause()
        assert titles(app)[:2] == ["ent_coef", "gae_lambda"]
        assert "✔vf_coef" in titles(app)
        commandline.prepare(app, "columns auto").run()
        await pilot.pause()
        assert titles(app)[0] == "✔vf_coef"
        for line, said in (("columns", "columns auto"), ("columns score", "score is no parameter"),
                           ("columns lerning", "learning_rate")):  # fmt: skip
            with pytest.raises(UserError, match=said):
                commandline.prepare(app, line)
        offered = [each.word for each in commandline.completions(app, "columns v")]
        assert offered == ["vf_coef"]


async def test_a_column_that_is_read_stays(tmp_path) -> None:
    sweep = written(tmp_path)
    async with cockpit(sweep, (80, 24)) as (app, pilot):
        await until(pilot, lambda: titles(app)[0] == "✔vf_coef", "what the trials tell")
        app.table.focus()
        await pilot.press("right")
        before = titles(app)
        app.table.show(replace(app.snapshot, leading=("trainer.algorithm.clip_coef",)))
        assert titles(app) == before
        await pilot.press("left")
        app.table.show(replace(app.snapshot, leading=("trainer.algorithm.clip_coef",)))
        assert titles(app)[0] == "✔clip_coef"
        app.table.sort_by("clip_coef")
        app.table.show(replace(app.snapshot, leading=()))
        assert titles(app)[0].startswith("✔clip_coef")
