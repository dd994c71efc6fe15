"""Whatever goes on with a sweep inside an experiment, it makes no more trials than the budgets around it have left."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from app_sweep import toasts, until
from test_experiment_budget import scopes, sweep_inside

from sweeptui.app.home import Home
from sweeptui.app.screens.newsweep import NewSweep
from sweeptui.budgets import Budget, reserve
from sweeptui.cli import main
from sweeptui.cli.run import read_words
from sweeptui.core.errors import UserError
from sweeptui.core.experiments import Pipeline
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import TrialStatus
from sweeptui.experiments import Experiment, RandomOptimizer, SweepExperiment, Uniform
from sweeptui.experiments.scope import current
from sweeptui.folders import EXPERIMENT_DATABASE, sweep_path

MORE = (
    "max_trials is 4, but of the budget of 8 trials of experiment out 3 are left for out.a; use 3 or less, or run the"
    " experiment with a larger budget"
)
RECIPE = """
sweep_name: {name}
max_trials: {trials}
train_command: [{python}, -c, "import sweeptui; sweeptui.report(step=1, score=1.0)", "{{overrides}}"]
protein_config:
  metric: score
  parameters:
    x: {{distribution: uniform, min: 0.0, max: 1.0}}
"""


def everything(root: Path) -> dict[str, list[tuple[str, object]]]:
    """What is in all journals."""
    found = {}
    for path in sorted(root.rglob("*.db")):
        with closing(SqliteStore.open(path, readonly=True)) as store:
            found[os.fspath(path)] = [(change.kind, change.data) for change in store.journal()]
    return found


@pytest.fixture
def inner(tmp_path: Path) -> SqliteStore:
    return sweep_inside(tmp_path)


@pytest.fixture
def recipe(tmp_path: Path) -> Callable[[str, int], Path]:
    def write(name: str, trials: int) -> Path:
        path = tmp_path / "recipe.yaml"
        path.write_text(RECIPE.format(name=name, trials=trials, python=sys.executable))
        return path

    return write


def grown(inner: SqliteStore) -> None:
    """Its configuration says more than there is, as in a copy or after others have taken what it had left."""
    with inner.transaction() as tx:
        tx.set_sweep(config={**inner.state.config, "max_trials": 4})


@pytest.mark.parametrize(
    "words",
    [
        ("run", "{recipe}", "--max-trials", "4", "--sweep-name", "out.a"),
        ("run", "{recipe}", "--set", "max_trials=4", "--set", "sweep_name=out.a", "--accept-changes", "keep"),
        ("run", "{recipe}"),
        ("continue", "out.a"),
        ("inject", "out.a", "x=0.5"),
        ("requeue", "out.a", "1", "--set", "x=0.5"),
    ],
    ids=["options", "fields", "file", "continue", "inject", "requeue"],
)
def test_no_command_lets_a_sweep_inside_make_more_than_the_budget_has(
    words: tuple[str, ...],
    tmp_path: Path,
    inner: SqliteStore,
    recipe: Callable[[str, int], Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = recipe("out.a", 4) if words == ("run", "{recipe}") else recipe("else", 2)
    if words[0] != "run":
        grown(inner)
    with inner.transaction() as tx:
        tx.set_trial(tx.create_trial({"x": 0.25}, 1, {}).number, status=TrialStatus.KILLED, end_order=1)
    before = everything(tmp_path)
    code = main([*(word.format(recipe=file) for word in words), "--root", os.fspath(tmp_path)])
    assert (code, capsys.readouterr().err) == (2, f"error: {MORE}\n")
    after = everything(tmp_path)
    if words[0] in ("inject", "requeue"):  # the command and its refusal are told
        store = os.fspath(inner.path)
        told = after.pop(store)[len(before.pop(store)) :]
        assert {kind.split(".")[0] for kind, _ in told} == {"command", "lease"}
    assert after == before, "nothing is changed"
    inner.close()


def test_what_a_user_goes_on_with_is_reserved_until_it_is_over(
    tmp_path: Path, inner: SqliteStore, recipe: Callable[[str, int], Path]
) -> None:
    code = main(["run", str(recipe("out.a", 3)), "--root", os.fspath(tmp_path), "--accept-changes", "keep"])
    assert code == 0
    inner.refresh()
    assert inner.state.last_trial == 3
    with closing(SqliteStore.open(sweep_path(tmp_path, "out") / EXPERIMENT_DATABASE, readonly=True)) as store:
        told = [change for change in store.journal() if change.data.get("sweep") == "out.a"]
    assert [(change.kind, change.data.get("trials")) for change in told] == [
        ("budget.reserved", 2),
        ("budget.reserved", 3),
        ("budget.released", None),
    ]
    assert main(["continue", "out.a", "--root", os.fspath(tmp_path)]) == 0, "it is over, and makes no more"
    inner.close()


def test_a_new_sweep_inside_counts_as_well(
    tmp_path: Path,
    inner: SqliteStore,
    recipe: Callable[[str, int], Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    inner.close()
    new = MORE.replace("3 are left", "1 are left").replace("use 3", "use 1").replace("out.a", "out.new")
    before = everything(tmp_path)
    assert main(["run", str(recipe("out.new", 4)), "--root", os.fspath(tmp_path)]) == 2
    assert capsys.readouterr().err == f"error: {new}\n"
    table = tmp_path / "trials.csv"
    table.write_text("x,score\n" + "0.5,1.0\n" * 4)
    argv = ["import", "csv", str(table), "--recipe", str(recipe("else", 4)), "--root", os.fspath(tmp_path)]
    assert main([*argv, "--sweep-name", "out.new"]) == 2
    assert capsys.readouterr().err == f"error: {new}\n"
    assert everything(tmp_path) == before


def test_a_script_that_runs_a_sweep_inside_by_itself_is_refused(tmp_path: Path, inner: SqliteStore) -> None:
    inner.close()
    sweep = SweepExperiment("out.a", RandomOptimizer({"x": Uniform(0.0, 1.0)}), train=["true"])
    before = everything(tmp_path)
    with pytest.raises(UserError) as refused:
        sweep.run(4, root=tmp_path)
    assert str(refused.value) == MORE
    assert everything(tmp_path) == before


class Alone(Experiment):
    def pipeline(self) -> Pipeline:
        return Pipeline().stage("ask", lambda _: {"given": reserve(_budgets(), "out.in.new", 50)}).through(given=int)


def _budgets() -> list[Budget]:
    scope = current()
    assert scope is not None
    return scope.budgets


def test_an_experiment_inside_that_is_run_by_itself_keeps_to_the_budgets_around_it(tmp_path: Path) -> None:
    outer, _ = scopes(tmp_path, 8)
    assert reserve(outer.budgets, "out.other", 5) == 5
    result: Any = Alone("out.in").run(50, root=tmp_path)
    assert result["given"] == 3


async def test_going_on_beyond_the_budget_is_refused_on_the_start_screen(
    tmp_path: Path, inner: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    grown(inner)
    inner.close()
    before = everything(tmp_path)
    app = Home(tmp_path, read_words)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until(pilot, lambda: app.looked, "the first look")
        await pilot.press("enter")
        await until(pilot, lambda: app.sweeps.table.cursor == "out.a", "what is inside")
        await pilot.press("r")
        await until(pilot, lambda: any(MORE in each for each in toasts(app)), "a no")
    assert everything(tmp_path) == before


async def test_a_new_sweep_inside_is_refused_as_it_is_written_down(
    tmp_path: Path, inner: SqliteStore, recipe: Callable[[str, int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    inner.close()
    before = everything(tmp_path)
    app = Home(tmp_path, read_words)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.looked, "the first look")
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, NewSweep) and app.screen.is_mounted, "the form")
        page = app.screen
        assert isinstance(page, NewSweep)
        page.recipe.value = str(recipe("out.new", 4))
        await until(pilot, lambda: "trials of experiment out 1 are left for out.new; use 1 or less" in page.problem)
    assert everything(tmp_path) == before
