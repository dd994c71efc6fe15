"""What is wrong with the commands of a recipe's stages is told with its file and line, before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweeptui.cli import main

YAML = """\
max_trials: 2
train_command: python train.py {p:lr}
eval_command:
  - python
  - eval.py
  - "{simulation}"
evaluation_simulations:
  - name: arena
  - name: maze
    command: [python,
              maze.py, "{simulation}"]
stages:
  - name: data
    command: python data.py
    gives: {rows: int}
  - train
  - eval
  - name: export
    takes: {rows: int}
    command:
      - python
      - export.py
      - "--rows={in:rows}"
      - "{checkpoint}"
protein_config:
  metric: score
  parameters:
    model.lr: {min: 0.1, max: 0.2, distribution: uniform}
"""
PYTHON = """\
from sweeptui import SweepTool

EXPORT = ["python", "export.py", "--rows={in:rows}"]


def mine() -> SweepTool:
    command = ["python",
               "train.py", "{p:lr}"]
    return SweepTool(
        train_command=command,
        stages=[
            {"name": "data", "command": "python data.py", "gives": {"rows": int}},
            "train",
            {"name": "export", "command": EXPORT, "takes": {
                "rows": int,
            }},
        ],
        protein_config={"parameters": {"lr": {"min": 0.1, "max": 0.2, "distribution": "uniform"}}},
    )
"""


def told(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a command says that must fail and make nothing."""
    files = sorted(folder.iterdir())
    assert main(["run", *words, "--headless"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert sorted(folder.iterdir()) == files
    return said.err.removeprefix("error: ").rstrip("\n")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("train.py {p:lr}", "train.py {p:lrr}", 2, "train_command: {p:lrr}: no such parameter; did you mean {p:lr}?"),
        ("  - eval.py", "  - eval.py\n  - '{rnu}'", 6, "eval_command: unknown placeholder {rnu}; did you mean {run}?"),
        ('"{simulation}"]', '"{simulatoin}"]', 11, "command of simulation 'maze': unknown placeholder {simulatoin}"),
        ("{in:rows}", "{in:row}", 23, "command of stage 'export': {in:row}: no stage before it gives 'row'; did you m"),
        ('"{checkpoint}"', '"{checkpoint"', 24, "command of stage 'export': '{checkpoint' has a single {; write {{"),
        ("python data.py", "python data.py {in:rows}", 14, "command of stage 'data': {in:rows}: no stage before it "),
        ("max_trials: 2", "train_overrides: {a: 1}", 2, "train_overrides is set, but train_command has no {over"),
        ("takes: {rows: int}", "takes: {\n      row: int}", 20, "stages do not fit together: stage 'export' reads"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_yaml_recipe_is_told_by_line(
    folder: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, line: int, said: str
) -> None:
    assert YAML.count(old) == 1
    (folder / "sub").mkdir()
    (folder / "sub" / "mine.yaml").write_text(YAML.replace(old, new))
    assert told(folder, capsys, "sub/mine.yaml").startswith(f"sub/mine.yaml, line {line}: {said}")


def test_what_stands_inside_of_sweep_is_found_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    body = YAML.replace('"{simulation}"]', '"{p:lrr}"]').splitlines()
    moved = [*body[6:11], "protein:", *body[-3:]]
    text = "\n".join([*body[1:6], *body[11:-4], "sweep:", *(f"  {line}" for line in moved)])
    (folder / "mine.yaml").write_text(text)
    line = text[: text.index("{p:lrr}")].count("\n") + 1
    assert told(folder, capsys, "mine.yaml").startswith(
        f"mine.yaml, line {line}: command of simulation 'maze': {{p:lrr}}"
    )


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("{p:lr}", "{p:lrr}", 8, "train_command: {p:lrr}: no such parameter; did you mean {p:lr}?"),
        ("{in:rows}", "{in:row}", 3, "command of stage 'export': {in:row}: no stage before it gives 'row'; did you me"),
        ("data.py", "data.py {in:rows}", 12, "command of stage 'data': {in:rows}: no stage before it gives 'rows'; "),
        ('                "rows"', '                "row"', 15, "stages do not fit together: stage 'export' reads"),
        ('                "rows": int', '                "rows": str', 9, "stages do not fit together: stage 'export'"),
        ('"train.py", "{p:lr}"]', '"a{", "a{"]', 8, "train_command: 'a{' has a single {; write {{ for"),
        ('command = ["python",\n               "train.py", "{p:lr}"]', 'command = ["python", "{" + "no}"]\n', 9,
         "train_command: unknown placeholder {no}"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_python_recipe_is_told_by_line(
    folder: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, line: int, said: str
) -> None:
    assert PYTHON.count(old) == 1
    (folder / "mine.py").write_text(PYTHON.replace(old, new))
    assert told(folder, capsys, "mine.py").startswith(f"mine.py, line {line}: {said}")


def test_what_the_command_line_changed_is_not_blamed_on_the_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "mine.yaml").write_text(YAML)
    words = ("mine.yaml", "--set", 'train_command=["python", "{p:lrr}"]')
    assert told(folder, capsys, *words).startswith("train_command: {p:lrr}: no such parameter; ")
    # Of what both have, the file has the line.
    (folder / "mine.yaml").write_text(YAML.replace("{in:rows}", "{in:row}"))
    assert told(folder, capsys, "mine.yaml", "--set", "max_trials=3").startswith("mine.yaml, line 23: ")
