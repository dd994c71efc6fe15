"""The log that W&B's client writes of a run: read as it grows, whatever its bytes."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweeptui.core.wandb_log import BLOCK_BYTES, LogFile, flat, load_records, run_folders
from sweeptui.core.wandb_source import WandbReader, number

pytest.importorskip("wandb")

calm = settings(deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))
HEAD = b":W&B\x1e\xbe\x00"


def log_bytes(records: list[bytes]) -> bytes:
    """As LevelDB writes them: frames that do not cross a block, and padding where no frame fits."""
    data = HEAD
    for record in records:
        left, first = record, True
        while left or first:
            room = BLOCK_BYTES - len(data) % BLOCK_BYTES
            if room < 7:
                data += b"\0" * room
                continue
            piece, left = left[: room - 7], left[room - 7 :]
            kind = (1 if not left else 2) if first else (4 if not left else 3)
            first = False
            data += struct.pack("<IHB", zlib.crc32(bytes([kind]) + piece), len(piece), kind) + piece
    return data


def history(**values: Any) -> bytes:
    record = load_records()()
    for name, value in values.items():
        item = record.history.item.add()
        item.key, item.value_json = name, json.dumps(value)
    return bytes(record.SerializeToString())


def summary(**values: Any) -> bytes:
    record = load_records()()
    for name, value in values.items():
        item = record.summary.update.add()
        item.nested_key.extend(name.split("__"))
        item.value_json = json.dumps(value)
    return bytes(record.SerializeToString())


def run_file(folder: Path, name: str = "run-20260101_120000-x") -> Path:
    run = folder / "wandb" / name
    run.mkdir(parents=True)
    return run / "run-x.wandb"


@calm
@given(st.lists(st.integers(0, 3 * BLOCK_BYTES), max_size=8), st.lists(st.integers(1, 200_000), min_size=1, max_size=6))
def test_records_of_any_size_are_read_whole_however_the_file_grows(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], growth: list[int]
) -> None:
    written = [history(text="x" * size, n=index) for index, size in enumerate(sizes)]
    data = log_bytes(written)
    path = tmp_path_factory.mktemp("log") / "run-x.wandb"
    log = LogFile(path)
    assert log.read() == []
    read, at = [], 0
    while at < len(data):
        at += growth[at % len(growth)]
        path.write_bytes(data[:at])
        read += log.read()
    assert [record.SerializeToString() for record in read] == written
    assert not log.damaged
    assert not log.more


def test_what_is_damaged_is_not_read_and_ends_the_reading(tmp_path: Path) -> None:
    data = bytearray(log_bytes([history(a=1), history(a=2), history(a=3)]))
    data[len(HEAD) + 7 + len(history(a=1)) + 9] ^= 0xFF
    path = tmp_path / "run-x.wandb"
    path.write_bytes(bytes(data))
    log = LogFile(path)
    assert len(log.read()) == 1
    assert log.damaged
    assert log.read() == []
    path.write_bytes(b"something else altogether")
    other = LogFile(path)
    assert other.read() == []
    assert other.damaged


@calm
@given(st.binary(max_size=4000))
def test_no_bytes_break_it(tmp_path_factory: pytest.TempPathFactory, noise: bytes) -> None:
    path = tmp_path_factory.mktemp("log") / "run-x.wandb"
    path.write_bytes(HEAD + noise)
    LogFile(path).read()


def test_a_reader_goes_on_where_an_earlier_one_stopped(tmp_path: Path) -> None:
    path = run_file(tmp_path)
    records = [history(loss=3 - step, _step=step, _runtime=1.5) for step in range(3)]
    path.write_bytes(log_bytes(records[:2]))
    first = WandbReader(tmp_path, "x", "loss")
    assert [(report.step, report.score) for report in first.read()] == [(0, 3), (1, 2)]
    path.write_bytes(log_bytes([*records, summary(loss=0.5, best__loss=0.1, _runtime=3)]))
    second = WandbReader(tmp_path, "x", "loss", first.offset)
    last, closing = second.read(final=True)
    assert (last.step, last.score, last.metrics) == (2, 1, {"loss": 1})
    assert (closing.step, closing.score, closing.metrics) == (None, 0.5, {"loss": 0.5, "best.loss": 0.1})


def test_a_summary_that_says_nothing_new_is_no_report(tmp_path: Path) -> None:
    run_file(tmp_path).write_bytes(log_bytes([history(loss=3, _step=0), summary(loss=3, _step=0)]))
    assert [report.score for report in WandbReader(tmp_path, "x", "loss").read(final=True)] == [3]


def test_the_run_that_was_asked_for_counts_and_else_all(tmp_path: Path) -> None:
    run_file(tmp_path, "run-20260101_120001-other").write_bytes(log_bytes([history(loss=2)]))
    run_file(tmp_path, "offline-run-20260101_120000-first").write_bytes(log_bytes([history(loss=1)]))
    assert [report.score for report in WandbReader(tmp_path, "x", "loss").read()] == [1, 2]
    run_file(tmp_path, "run-20260101_110000-x").write_bytes(log_bytes([history(loss=7)]))
    assert [report.score for report in WandbReader(tmp_path, "x", "loss").read()] == [7]
    (tmp_path / "wandb" / "latest-run").symlink_to("run-20260101_110000-x")
    assert len(run_folders(tmp_path)) == 3


def test_where_the_log_has_no_summary_the_file_beside_it_counts(tmp_path: Path) -> None:
    path = run_file(tmp_path)
    path.write_bytes(log_bytes([]))
    (path.parent / "files").mkdir()
    (path.parent / "files" / "wandb-summary.json").write_text('{"val": {"loss": 4}, "_runtime": 2}')
    [report] = WandbReader(tmp_path, "x", "val.loss").read(final=True)
    assert (report.score, report.metrics) == (4, {"val.loss": 4})


def test_what_a_script_logs_can_be_stored_and_printed(tmp_path: Path) -> None:
    record = load_records()()
    logged = {
        "a\x1b[31m": '"red\\u001b\\ud800"',
        "big": "9" * 1000,
        "huge": "9" * 9000,
        "deep": '{"x":' * 400 + "1" + "}" * 400,
        "deeper": "[" * 100_000,
        "n" * 600: "1",
        "not": "json",
        "inf": "Infinity",
        "loss": "1",
    }
    for name, text in logged.items():
        item = record.history.item.add()
        item.key, item.value_json = name, text
    run_file(tmp_path).write_bytes(log_bytes([bytes(record.SerializeToString())]))
    [report] = WandbReader(tmp_path, "x", "loss").read(final=True)
    assert report.metrics == {"a\ufffd[31m": "red\ufffd\ufffd", "big": "inf", "huge": "inf", "inf": "inf", "loss": 1}
    assert report.score == 1


def test_names_are_flat_and_what_is_drawn_is_left_out() -> None:
    values = {"a": {"b": {"c": 1}}, "img": {"_type": "histogram", "values": [1], "n": 2}, "l": [1], "ok": True}
    assert flat(values) == {"a.b.c": 1, "ok": True}
    assert flat({"x": float("nan"), "y": float("-inf")}) == {"x": "nan", "y": "-inf"}
    assert number("-inf") == float("-inf")
    assert number(True) is number("3") is number(None) is None
