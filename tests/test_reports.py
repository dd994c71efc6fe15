"""Reading report files and logs while they grow, whatever is in them."""

from __future__ import annotations

import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeptui.core.reports import MAX_DEPTH, LogReader, ParsedReport, ReportReader, objective
from sweeptui.reporting import MARKER, MAX_LINE_BYTES, report


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "reports.jsonl"


def parse(path: Path, *lines: str) -> list[ParsedReport]:
    path.write_text("".join(f"{line}\n" for line in lines))
    return ReportReader(path).read()


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_what_is_reported_is_what_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWEEPTUI_REPORT", str(path))
    report(step=1, total_steps=8, score=0.5, cost=2, checkpoint="c.pt", loss=0.1, note="hé", flags=[True, None])
    assert ReportReader(path).read() == [
        ParsedReport(
            step=1.0,
            total_steps=8.0,
            score=0.5,
            cost=2.0,
            checkpoint="c.pt",
            metrics={"loss": 0.1, "note": "hé", "flags": [True, None]},
        )
    ]


def test_it_reads_on_from_where_it_was(path: Path) -> None:
    reader = ReportReader(path)
    assert reader.read() == []
    append(path, '{"step": 1}\n{"step": 2}\n')
    assert [r.step for r in reader.read()] == [1, 2]
    assert reader.read() == []
    append(path, '{"step": 3}\n')
    later = ReportReader(path, reader.offset)
    assert [r.step for r in reader.read()] == [r.step for r in later.read()] == [3]
    assert reader.offset == later.offset == path.stat().st_size


def test_a_torn_last_line_is_waited_for(path: Path) -> None:
    reader = ReportReader(path)
    append(path, '{"step": 1}\n{"step": ')
    assert [r.step for r in reader.read()] == [1]
    append(path, "2}")
    assert reader.read() == []
    append(path, "\n")
    assert [r.step for r in reader.read()] == [2]
    assert reader.rejected.count == 0


@pytest.mark.parametrize(("rest", "steps", "rejected"), [('{"step": 2}', [1, 2], 0), ('{"step": ', [1], 1)])
def test_at_the_end_a_last_line_without_newline_counts_if_it_is_whole(
    path: Path, rest: str, steps: list[int], rejected: int
) -> None:
    append(path, '{"step": 1}\n' + rest)
    reader = ReportReader(path)
    assert [r.step for r in reader.read(final=True)] == steps
    assert reader.rejected.count == rejected
    assert reader.offset == path.stat().st_size


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("not json", "not JSON"),
        ("[1, 2]", "not an object"),
        ("7", "not an object"),
        ("[" * 60_000, "not JSON"),
        ('{"a":' * 900 + "1" + "}" * 900, "nested deeper"),
        ('{"a": ' + "[" * 900 + "]" * 900 + "}", "nested deeper"),
        ('{"x": "' + "y" * MAX_LINE_BYTES + '"}', "longer than 65536 bytes"),
        ('{"score": true}', "score is not a number"),
        ('{"score": "high"}', "score is not a number"),
        ('{"score": [1]}', "score is not a number"),
        ('{"step": "nan"}', "step is not finite"),
        ('{"cost": 1e999}', "cost is not finite"),
        ('{"checkpoint": 3}', "checkpoint is not a path"),
        ('{"checkpoint": "a\\u0000b"}', "checkpoint is not a path"),
        ('{"%s": 1}' % ("n" * 600), "name is longer"),
    ],
)
def test_what_makes_no_sense_is_skipped_and_counted(path: Path, line: str, reason: str) -> None:
    path.write_text(f'{{"step": 1}}\n{line}\n{{"step": 2, "score": 3}}\nnonsense\n')
    reader = ReportReader(path)
    reports = [r for r in reader.read() if r != ParsedReport()]
    assert [(r.step, r.score) for r in reports] == [(1, None), (2, 3)]
    assert reader.rejected.count == 2
    assert reason in reader.rejected.reason


def test_a_wrong_field_does_not_cost_the_rest_of_its_line(path: Path) -> None:
    assert parse(path, '{"step": 4, "score": "best yet", "loss": 0.5}') == [ParsedReport(step=4, metrics={"loss": 0.5})]


def test_nested_metrics_become_flat(path: Path) -> None:
    (parsed,) = parse(path, '{"evaluator": {"eval_arena": {"score": 0.7, "none": null}}, "total": 9}')
    assert parsed == ParsedReport(total_steps=9, metrics={"evaluator/eval_arena/score": 0.7})
    assert objective(parsed, "evaluator/eval_arena/score") == 0.7


@pytest.mark.parametrize(
    ("line", "metric", "value"),
    [
        ('{"score": 1}', "score", 1.0),
        ('{"score": 1, "acc": 2}', "acc", 2.0),
        ('{"score": 1}', "acc", 1.0),
        ('{"acc": true}', "acc", None),
        ('{"acc": "0.5"}', "acc", None),
        ('{"loss": 2}', "acc", None),
        ('{"score": 1, "cost": 5}', "cost", 5.0),
        ('{"score": "inf"}', "score", math.inf),
        ('{"acc": "-inf"}', "acc", -math.inf),
        ('{"acc": -Infinity}', "acc", -math.inf),
        ('{"acc": 1e999}', "acc", math.inf),
        ('{"acc": %s}' % ("9" * 5000), "acc", math.inf),
        ('{"acc": 123456789012345678901234567890}', "acc", 123456789012345678901234567890.0),
    ],
)
def test_objective(path: Path, line: str, metric: str, value: float | None) -> None:
    (parsed,) = parse(path, line)
    assert objective(parsed, metric) == value


@pytest.mark.parametrize("word", ['"nan"', "NaN", '"NaN"'])
def test_nan_is_read_as_nan(path: Path, word: str) -> None:
    (parsed,) = parse(path, f'{{"score": {word}, "acc": {word}}}')
    assert math.isnan(objective(parsed, "score") or 0)
    assert math.isnan(objective(parsed, "acc") or 0)
    json.dumps(parsed.metrics, allow_nan=False)


def test_a_line_without_end_is_let_go_of(path: Path) -> None:
    reader = ReportReader(path)
    append(path, '{"x": "')
    for _ in range(5):
        append(path, "y" * MAX_LINE_BYTES)
        assert reader.read() == []
    assert reader.offset > 4 * MAX_LINE_BYTES
    append(path, '"}\n{"step": 1}\n')
    assert [r.step for r in reader.read()] == [1]
    assert reader.rejected.count == 1


def test_one_call_reads_a_bounded_part(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeptui.core.reports.MAX_READ_BYTES", 100)
    append(path, "".join(f'{{"step": {step}}}\n' for step in range(50)) + '{"step": 50}')
    reader, steps, calls = ReportReader(path), [], 0
    while calls == 0 or reader.more:
        steps += [r.step for r in reader.read(final=True)]
        calls += 1
    assert steps == list(range(51))
    assert calls > 5


def test_a_file_that_was_cut_short_is_read_anew(path: Path) -> None:
    reader = ReportReader(path)
    append(path, '{"step": 1}\n{"step": 2}\n')
    assert len(reader.read()) == 2
    path.write_text('{"step": 3}\n')
    assert [r.step for r in reader.read()] == [3]
    assert "cut short" in reader.rejected.reason


def test_a_pipe_in_its_place_does_not_block(path: Path) -> None:
    os.mkfifo(path)
    reader = ReportReader(path)
    assert reader.read() == []
    assert reader.read(final=True) == []
    assert reader.rejected.count == 1


def test_nothing_that_steers_a_terminal_comes_through(path: Path) -> None:
    (parsed,) = parse(path, '{"a\\u001b[2J": "x\\u0007\\ud800", "list": ["\\u009b"]}')
    text = "".join([*parsed.metrics, *map(str, parsed.metrics.values())])
    assert text.isprintable()
    text.encode()


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
_names = st.sampled_from(["score", "step", "total", "total_steps", "cost", "checkpoint", "acc"]) | st.text(max_size=6)
_lines = (
    st.dictionaries(_names, _json, max_size=5).map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=60)
    | st.integers(1, 3 * MAX_DEPTH).map(lambda depth: b'{"a":' * depth + b"1" + b"}" * depth)
)


@given(lines=st.lists(_lines, max_size=6), cuts=st.lists(st.integers(0, 400), max_size=4))
def test_whatever_the_bytes_what_comes_out_is_clean(lines: list[bytes], cuts: list[int]) -> None:
    data = b"\n".join(lines)
    with tempfile.TemporaryDirectory() as folder:
        whole, grown = Path(folder, "whole"), Path(folder, "grown")
        whole.write_bytes(data)
        at_once = ReportReader(whole).read(final=True)
        reader, in_parts = ReportReader(grown), []
        for cut in sorted(cuts):
            grown.write_bytes(data[:cut])
            in_parts += reader.read()
        grown.write_bytes(data)
        in_parts += reader.read(final=True)
        log = LogReader(whole, regex=r"(?P<score>[-\w.]+)").read(final=True)
    assert repr(in_parts) == repr(at_once)
    assert reader.offset == len(data)
    for parsed in [*at_once, *log]:
        check_clean(parsed)


def check_clean(parsed: ParsedReport) -> None:
    for number in (parsed.step, parsed.total_steps, parsed.cost):
        assert number is None or (type(number) is float and math.isfinite(number))
    assert parsed.score is None or type(parsed.score) is float
    assert isinstance(objective(parsed, "acc"), (float, type(None)))
    text = json.dumps(parsed.metrics, allow_nan=False, ensure_ascii=False)
    text.encode()
    assert text.isprintable()
    check_ints(parsed.metrics)


def check_ints(value: Any) -> None:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            check_ints(item)
    elif isinstance(value, int):
        assert abs(value) < 2**63


LOG = r"score=(?P<score>\S+)(?: step=(?P<step>\d+)/(?P<total>[\d,]+))?(?: loss=(?P<loss>\S+))?"


def read_log(tmp_path: Path, text: str, regex: str | None = LOG) -> list[ParsedReport]:
    (tmp_path / "log").write_text(text)
    return LogReader(tmp_path / "log", regex=regex).read(final=True)


def test_a_log_is_read_by_its_expression(tmp_path: Path) -> None:
    text = "starting\nscore=0.5 step=10/1,000 loss=0.25\nbye score=nan\n"
    first, second = read_log(tmp_path, text)
    assert first == ParsedReport(score=0.5, step=10, total_steps=1000, metrics={"loss": 0.25})
    assert math.isnan(second.score or 0)


def test_colours_and_progress_bars_do_not_hide_a_score(tmp_path: Path) -> None:
    text = "\x1b[32mscore=\x1b[1m0.5\x1b[0m\n 10% score=0.6\r 20% score=0.7\r\n"
    assert [r.score for r in read_log(tmp_path, text)] == [0.5, 0.6, 0.7]


def test_a_marked_line_in_a_log_is_a_report(tmp_path: Path) -> None:
    text = f'rank 0: {MARKER}{{"score": 2, "acc": 1}}\nscore=3\n{MARKER}oops\n'
    assert read_log(tmp_path, text) == [ParsedReport(score=2, metrics={"acc": 1}), ParsedReport(score=3)]
    assert read_log(tmp_path, text, regex=None) == [ParsedReport(score=2, metrics={"acc": 1})]
