"""Trials from elsewhere: what becomes of values outside of the search space, and of what is not ours at all."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from exchange_support import make, tool

from sweeptui.core.distributions import (
    Choice,
    Constant,
    Distribution,
    Integer,
    LogUniform,
    PowerOfTwo,
    QUniform,
    Uniform,
)
from sweeptui.core.errors import UserError
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import Trial, TrialStatus
from sweeptui.exchange.fitting import MISSING, Policy, Report, nearest
from sweeptui.exchange.foreign import tool_of
from sweeptui.exchange.formats import export, read
from sweeptui.exchange.records import Record, Source
from sweeptui.exchange.taking import take
from sweeptui.folders import DATABASE, sweep_path

PARAMETERS = {"lr": {"min": 0.0, "max": 1.0}, "c": {"values": ["a"]}}
ROWS = [{"lr": 1, "c": "a"}, {"lr": 7.5, "c": "a"}, {"lr": 0.5, "c": "b"}, {"lr": 0.25, "c": "a"}]


def foreign(rows: list[dict[str, Any]]) -> Source:
    return Source("them", lambda: ({**row, "score": number} for number, row in enumerate(rows)))


def taken(
    root: Path, policy: Policy, rows: list[dict[str, Any]] | None = None
) -> tuple[Report, dict[str, Any], list[Trial]]:
    """What was said of four trials, two of them outside of the space; the configuration, and the trials."""
    report = take(root, policy, foreign(rows or ROWS), tool(PARAMETERS), policy)
    with closing(SqliteStore.open(sweep_path(root, policy) / DATABASE, readonly=True)) as store:
        return report, dict(store.state.config), list(store.state.trials.values())


def test_it_is_refused_by_default_with_the_trial_the_parameter_and_the_value(tmp_path: Path) -> None:
    with pytest.raises(UserError) as refused:
        taken(tmp_path, "refuse")
    assert str(refused.value) == (
        "trial 2 has lr = 7.5, outside of the search space (uniform, 0.0 to 1.0); say what becomes of such trials with "
        "--outside drop, clip, widen or keep"
    )
    with pytest.raises(UserError, match="trial 1 has no c, which the search space needs"):
        taken(tmp_path, "refuse", [{"lr": 0.5}])
    assert not list(tmp_path.iterdir())


def test_what_is_outside_is_dropped_clipped_widened_to_or_kept(tmp_path: Path) -> None:
    report, _, trials = taken(tmp_path, "drop")
    assert [trial.score for trial in trials] == [0, 3]
    assert report.lines() == [
        "4 trials of them: 2 with a score and 0 without were taken",
        "1 were left out: their c is outside of the space",
        "1 were left out: their lr is outside of the space",
    ]
    report, _, trials = taken(tmp_path, "clip")
    assert [trial.params["lr"] for trial in trials] == [1.0, 1.0, 0.25]
    assert report.lines()[1:] == [
        "1 had values outside of the space, which were moved to the nearest inside",
        "1 were left out: nothing is near their c",
    ]
    report, config, trials = taken(tmp_path, "widen")
    assert len(trials) == 4
    parameters = config["protein_config"]["parameters"]
    assert (parameters["lr"]["max"], parameters["c"]["values"]) == (7.5, ["a", "b"])
    report, config, trials = taken(tmp_path, "keep")
    assert [trial.params["lr"] for trial in trials] == [1.0, 7.5, 0.5, 0.25]
    assert config["launch"]["mixed"] is True
    assert report.lines()[1:] == ["2 lie outside of the space: they are shown, and tell the optimizer nothing"]
    assert all(trial.provenance == {"method": "import", "imported": "them"} for trial in trials)
    with pytest.raises(UserError, match="sweep 'keep' is there already"):
        taken(tmp_path, "keep")


def test_what_cannot_be_widened_is_refused(tmp_path: Path) -> None:
    kind = "categorical_w_probabilities"
    weighted = tool({"c": {"distribution": kind, "values": ["a", "b"], "probabilities": [0.5, 0.5]}})
    with pytest.raises(UserError, match=r"trial 1 has c = 'x', and that search .* cannot be widened"):
        take(tmp_path, "w", foreign([{"c": "x"}]), weighted, "widen")
    powers = tool({"w": {"distribution": "uniform_pow2", "min": 4, "max": 8}})
    with pytest.raises(UserError, match=r"trial 1 has w = 3, outside of the search space \(uniform_pow2, 3.* to 8"):
        take(tmp_path, "w", foreign([{"w": 3}]), powers, "widen")


@pytest.mark.parametrize(
    ("distribution", "value", "wanted"),
    [
        (Uniform(0, 1), 7, 1.0),
        (LogUniform(1e-3, 1), 0, 1e-3),
        (Integer(1, 9), 3.4, 3),
        (Integer(1, 9), -5, 1),
        (QUniform(min=0, max=100, q=10), 44.0, 40),
        (PowerOfTwo(1, 64), 50, 64),
        (Constant("x"), "y", "x"),
        (Choice(["a", "b"]), "c", MISSING),
        (Integer(1, 9), "3", MISSING),
        (Integer(1, 9), True, MISSING),
        (Uniform(0, 1), float("nan"), MISSING),
    ],
)
def test_the_nearest_value(distribution: Distribution, value: Any, wanted: Any) -> None:
    assert nearest(distribution, value) == wanted


def test_a_space_is_made_of_what_a_foreign_table_holds(tmp_path: Path) -> None:
    file = tmp_path / "their runs.csv"
    file.write_text(
        "lr,units,opt,momentum,state,loss\n"
        "0.001,32,adam,,COMPLETE,0.5\n0.1,64,sgd,0.9,COMPLETE,0.25\n0.01,64,sgd,0.5,FAIL,\n0.01,32,adam,,RUNNING,\n"
    )
    source = read("csv", str(file))
    found = tool_of(source, "loss", "minimize")
    parameters = found.to_json()["protein_config"]["parameters"]
    shapes = {name: (each.get("distribution"), each.get("when")) for name, each in parameters.items()}
    assert shapes == {
        "lr": ("log_normal", None),
        "units": ("int_uniform", None),
        "opt": ("categorical", None),
        "momentum": ("uniform", "opt == 'sgd'"),
    }
    report = take(tmp_path, "t", source, found, "refuse", exact=True)
    assert (report.completed, report.failed, dict(report.counts)) == (2, 1, {"were left out: they have not ended": 1})
    with pytest.raises(UserError, match="does not say which way is better; add --goal"):
        tool_of(source, "loss", None)


def test_a_recipe_takes_ours_and_leaves_off_what_it_does_not_search(tmp_path: Path) -> None:
    trials = [
        Trial(n, {"lr": 0.5, "c": "a", "old": n}, 0, 1.0, TrialStatus.COMPLETED, score=float(n), end_order=n)
        for n in (1, 3)
    ]
    folder = make(tmp_path, "s", [Record(trial) for trial in trials], tool({**PARAMETERS, "old": {"min": 0, "max": 9}}))
    done = export(folder, "jsonl", tmp_path / "s.jsonl", force=False)
    report = take(tmp_path, "t", read("jsonl", str(done.path)), tool(PARAMETERS), "refuse")
    assert dict(report.counts) == {"have old, which is not searched and was left off": 2}
    with closing(SqliteStore.open(sweep_path(tmp_path, "t") / DATABASE, readonly=True)) as store:
        assert {number: dict(trial.params) for number, trial in store.state.trials.items()} == {
            1: {"lr": 0.5, "c": "a"},
            3: {"lr": 0.5, "c": "a"},
        }


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "", "is empty"),
        ("a.csv", "x,x\n1,2\n", "has two columns 'x'"),
        ("a.csv", "x,y\n1\n", "row 2 has 1 cells, and there are 2 columns"),
        ("a.csv", "number,status,seed,created_at\n1,gone,0,0\n", "row 2 is no trial of a sweep: 'gone'"),
        ("a.jsonl", "{\n", "line 1 is not JSON"),
        ("a.jsonl", "3\n", "line 1 is '3'; each line is to be one object"),
        ("a.jsonl", json.dumps({"sweeptui": 99}) + "\n", "written by a newer sweeptui"),
        ("a.jsonl", json.dumps({"sweeptui": 1, "sweep": {}}) + '\n{"number": 0}\n', "line 2 is no trial of a sweep"),
        ("a.parquet", "x", "cannot be read as Parquet"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path, name: str, text: str, said: str) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=said) as error:
        list(read(name.partition(".")[2], str(tmp_path / name)).rows())
    assert "\n" not in str(error.value)
