"""`sweeptui.report`, as a training script meets it."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy
import pytest

from sweeptui.reporting import MARKER, MAX_LINE_BYTES, params, report, trial_dir


@pytest.fixture
def report_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "reports.jsonl"
    monkeypatch.setenv("SWEEPTUI_REPORT", str(path))
    return path


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_report_is_one_line_of_what_was_given(report_file: Path) -> None:
    report(step=1, total_steps=10, score=0.5)
    report(step=2, cost=3.5, checkpoint=Path("a/b.pt"), loss=0.25, phase="warm-up", layers=[1, 2])
    assert lines(report_file) == [
        {"step": 1, "total_steps": 10, "score": 0.5},
        {"step": 2, "cost": 3.5, "checkpoint": "a/b.pt", "loss": 0.25, "phase": "warm-up", "layers": [1, 2]},
    ]


@pytest.mark.parametrize(
    ("value", "written"), [(math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf"), (numpy.float32("nan"), "nan")]
)
def test_numbers_that_json_has_not_are_words(report_file: Path, value: float, written: str) -> None:
    report(score=value)
    assert lines(report_file) == [{"score": written}]


def test_scalars_and_arrays_of_numpy_are_numbers(report_file: Path) -> None:
    report(step=numpy.int64(3), score=numpy.float32(0.5), done=numpy.bool_(True), grid=numpy.array([[1.0, math.inf]]))
    assert lines(report_file) == [{"step": 3, "score": 0.5, "done": True, "grid": [[1.0, "inf"]]}]


def test_scalars_with_only_item_are_numbers(report_file: Path) -> None:
    class Scalar:
        def item(self) -> float:
            return 2.5

    report(score=Scalar())  # type: ignore[arg-type]
    assert lines(report_file) == [{"score": 2.5}]


def test_a_report_that_is_too_long_is_refused_whole(report_file: Path) -> None:
    with pytest.raises(ValueError, match="65536 bytes"):
        report(score=1, text="x" * MAX_LINE_BYTES)
    assert not report_file.exists()
    report(text="x" * (MAX_LINE_BYTES - len('{"text":""}\n')))
    assert report_file.stat().st_size == MAX_LINE_BYTES


def test_what_json_cannot_hold_is_named(report_file: Path) -> None:
    with pytest.raises(TypeError, match="losses/policy is a object"):
        report(losses={"policy": object()})
    assert not report_file.exists()


def test_lines_of_many_writers_do_not_mix(report_file: Path) -> None:
    def write(number: int) -> None:
        for step in range(50):
            report(step=step, writer=number, padding="x" * 5000)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted((line["writer"], line["step"]) for line in lines(report_file)) == [  # type: ignore[type-var]
        (writer, step) for writer in range(4) for step in range(50)
    ]


def test_outside_of_a_sweep_nothing_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("SWEEPTUI_REPORT", "SWEEPTUI_REPORT_STDOUT", "SWEEPTUI_PARAMS", "SWEEPTUI_TRIAL_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    report(step=1, score=2.0)
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []
    assert params() == {}
    assert trial_dir() is None


def test_without_a_shared_file_reports_go_to_stdout_behind_a_marker() -> None:
    script = "from sweeptui.reporting import report; print('before'); report(score=1); print('after')"
    environment = {**os.environ, "SWEEPTUI_REPORT_STDOUT": "1"}
    environment.pop("SWEEPTUI_REPORT", None)
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == f'before\n{MARKER}{{"score":1}}\nafter\n'


def test_a_script_finds_its_parameters_and_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "params.json").write_text('{"a.lr": 1e-05, "name": "ü"}', encoding="utf-8")
    monkeypatch.setenv("SWEEPTUI_PARAMS", str(tmp_path / "params.json"))
    monkeypatch.setenv("SWEEPTUI_TRIAL_DIR", str(tmp_path))
    assert params() == {"a.lr": 1e-05, "name": "ü"}
    assert trial_dir() == tmp_path


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_an_error_of_the_script(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWEEPTUI_REPORT", "/dev/full")
    with pytest.raises(OSError, match="No space left"):
        report(score=1)


def test_importing_it_brings_in_nothing_that_takes_long() -> None:
    script = "import sys, sweeptui.reporting; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-S", "-c", script], capture_output=True, text=True, check=True, cwd=_ROOT)
    loaded = set(done.stdout.split())
    assert "sweeptui.reporting" in loaded
    assert not loaded & {"json", "pathlib", "dataclasses", "pydantic", "numpy", "torch", "textual"}


_ROOT = Path(__file__).parent.parent
