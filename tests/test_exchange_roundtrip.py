"""Out and in again: nothing is lost that a format can hold, whatever the trials are."""

from __future__ import annotations

import csv
import json
import math
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from exchange_support import SPACE, contents, make, tool
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.trial import FailureKind, Job, JobOutcome, JobState, Report, Stage, Trial, TrialStatus
from sweeptui.exchange.foreign import tool_of
from sweeptui.exchange.formats import FORMATS, export, read
from sweeptui.exchange.records import Record, plain, unplain
from sweeptui.exchange.tables import cell, value_of
from sweeptui.exchange.taking import take
from sweeptui.folders import DATABASE, sweep_path

TEXT = st.text(max_size=12) | st.sampled_from(
    ["=1+1", "+1", "-1", "@x", "nan", "1", "true", "null", "[]", '"', "", " a ", "a,b\r\nc", "\ud800", "ü", "１", "\t="]
)
FLOAT = st.floats(allow_nan=True, allow_infinity=True)
SCALAR = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | FLOAT | TEXT
VALUE = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2), max_leaves=4
)
NAME = st.sampled_from(["loss", "acc", "größe", "a.b", "$float"])
ENDED = st.sampled_from(
    [TrialStatus.COMPLETED, TrialStatus.FAILED, TrialStatus.STOPPED, TrialStatus.KILLED, TrialStatus.PENDING]
)


@st.composite
def params(draw: Any) -> dict[str, Any]:
    opt = draw(st.sampled_from(SPACE["opt"]["values"]))
    found = {"lr": draw(st.floats(1e-5, 1e-1) | FLOAT), "n": draw(st.integers(1, 8)), "opt": opt}
    return found | ({"momentum": draw(st.sampled_from([0.0, 1.0, 0.5]))} if opt == "sgd" else {})


@st.composite
def records(draw: Any) -> list[Record]:
    """A few trials with attempts, curves, failures and values of every kind."""
    found, job = [], 0
    for number in sorted(draw(st.sets(st.integers(1, 30), min_size=1, max_size=4))):
        status = draw(ENDED)
        jobs = []
        for attempt in range(1, draw(st.integers(0, 2)) + 1):
            job += 1
            outcome = draw(st.sampled_from([JobOutcome.CRASHED, JobOutcome.COMPLETED]))
            jobs.append(
                Job(
                    job,
                    number,
                    Stage.TRAIN,
                    attempt,
                    5.0,
                    JobState.ENDED,
                    ("a", "b"),
                    outcome=outcome,
                    exit={"code": 1},
                )
            )
        reports = [
            Report(number, jobs[-1].id, Stage.TRAIN, 7.5, float(step), score=draw(FLOAT), metrics={"x": draw(SCALAR)})
            for step in range(draw(st.integers(0, 3)))
            if jobs
        ]
        trial = Trial(
            number, draw(params()), draw(st.integers(0, 2**31)), 5.25, status, draw(TEXT),
            FailureKind.CRASHED if status is TrialStatus.FAILED else None,
            score=draw(st.none() | FLOAT), cost=draw(st.none() | st.floats(0, 1e9) | st.integers(0, 9)),
            metrics=draw(st.dictionaries(NAME, VALUE, max_size=3)),
            provenance={"note": draw(TEXT)} | draw(st.dictionaries(TEXT, VALUE, max_size=1)),
            attempt=len(jobs), spent=2.5, end_order=number, started_at=6.0, ended_at=draw(st.none() | st.just(9.5)),
        )  # fmt: skip
        found.append(Record(trial, tuple(jobs), tuple(reports)))
    return found


def there_and_back(root: Path, folder: Path, kind: str, name: str, suffix: str = "") -> Path:
    """Write a sweep, and make another one of what was written."""
    done = export(folder, kind, root / f"{name}{suffix or FORMATS[kind].suffix}", force=False)
    source = read(kind, str(done.path))
    ours = tool() if source.header is not None else tool_of(source, "score", "maximize")
    take(root, name, source, ours, "refuse", exact=True)
    return sweep_path(root, name)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(records())
def test_nothing_is_lost_that_the_format_can_hold(given: list[Record]) -> None:
    pytest.importorskip("pyarrow")
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        folder = make(root, "s", given)
        for kind, nested in (("jsonl", ("jobs", "reports")), ("parquet", ("jobs", "reports")), ("csv", ())):
            there = there_and_back(root, folder, kind, f"{kind}-1")
            assert contents(there, *nested) == contents(folder, *nested), kind
            again = there_and_back(root, there, kind, f"{kind}-2")
            assert contents(again, *nested) == contents(folder, *nested), kind


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(records())
def test_an_optuna_study_holds_all_but_the_details_of_curves(given: list[Record]) -> None:
    pytest.importorskip("optuna")
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        folder = make(root, "s", given)
        there = there_and_back(root, folder, "optuna", "o", ".journal")
        assert contents(there, "jobs") == contents(folder, "jobs")
        curves = [[(r.step, plain(r.score)) for r in record.reports] for record in given]
        found = [[(r["step"], r["score"]) for r in shape["reports"]] for shape in contents(there, "reports")]
        assert found == curves


@settings(max_examples=300, deadline=None)
@given(VALUE)
def test_a_value_comes_back_from_a_cell_and_from_json(value: Any) -> None:
    text = cell(value)
    assert text
    assert same(value_of(text), value)
    assert same(unplain(json.loads(json.dumps(plain(value), allow_nan=False))), value)


@settings(max_examples=300, deadline=None)
@given(TEXT)
def test_no_text_becomes_a_formula(text: str) -> None:
    assert cell(text)[0] not in "=+-@\t\r\n＝＋－＠"


def same(one: Any, other: Any) -> bool:
    """Equal, of one type, and NaN is NaN."""
    return repr(one) == repr(other)


def test_a_csv_file_is_what_a_spreadsheet_and_a_data_frame_read(tmp_path: Path) -> None:
    params = {"lr": 0.01, "n": 2, "opt": "=1+1"}
    trial = Trial(1, params, 7, 1.0, TrialStatus.COMPLETED, "fine", score=-1.5, metrics={"ok": True}, end_order=1)
    gone = Trial(
        2, {**params, "opt": "sgd", "momentum": 0.5}, 8, 1.0, TrialStatus.FAILED, "=cmd()", FailureKind.CRASHED
    )
    folder = make(tmp_path, "s", [Record(trial), Record(gone)])
    export(folder, "csv", tmp_path / "s.csv", force=False)
    with (tmp_path / "s.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    columns = ("number", "status", "score", "params.lr", "params.n", "params.opt", "params.momentum", "metrics.ok")
    assert [first[name] for name in columns] == ["1", "completed", "-1.5", "0.01", "2", '"=1+1"', "", "true"]
    assert (second["reason"], second["failure"], second["params.momentum"]) == ('"=cmd()"', "crashed", "0.5")


def test_several_metrics_and_numbers_without_a_float_survive(tmp_path: Path) -> None:
    sweep = tool(protein={"metrics": [{"name": "acc", "goal": "maximize"}, {"name": "ms", "goal": "minimize"}]})
    params = {"lr": 0.01, "n": 2, "opt": "adam"}
    trial = Trial(
        1, params, 7, 1.0, TrialStatus.COMPLETED, score=0.5, metrics={"acc": 0.5, "ms": math.inf}, end_order=1
    )
    two = replace(trial, number=2, metrics={"acc": 0.5, "ms": 3}, end_order=2)
    folder = make(tmp_path, "s", [Record(trial), Record(two)], sweep)
    for kind in ("jsonl", "optuna"):
        there = there_and_back(tmp_path, folder, kind, f"s-{kind}", ".journal" if kind == "optuna" else "")
        assert contents(there) == contents(folder)
        with closing(SqliteStore.open(there / DATABASE, readonly=True)) as store:
            assert store.state.config["protein_config"]["metrics"] == sweep.to_json()["protein_config"]["metrics"]
            assert store.state.status == "finished"
            assert store.state.reason == "all done"
