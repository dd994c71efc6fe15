"""Imported sweeps are concluded from as our own are: best, importance, report, the past; they are not trained again."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import optuna
import pytest
from click.testing import CliRunner, Result

from sweeptui.app.frame import sweep_frame
from sweeptui.cli import cli
from sweeptui.core.stores.past import Past
from sweeptui.survey import open_sweep

TRIALS = 30


def score_of(params: dict[str, Any]) -> float:
    """Only the learning rate matters; best at 0.001."""
    return 1 - (math.log10(params["lr"]) + 3) ** 2 / 4


def drawn() -> list[dict[str, Any]]:
    rng = random.Random(1)
    return [{"lr": 10 ** rng.uniform(-5, -1), "width": rng.choice([16, 32, 64])} for _ in range(TRIALS)]


def from_csv(root: Path) -> list[str]:
    rows = "".join(f"{each['lr']!r},{each['width']},{score_of(each)!r},2.5\n" for each in drawn())
    (root / "runs.csv").write_text(f"lr,width,score,cost\n{rows}", encoding="utf-8")
    return ["csv", "runs.csv", "--goal", "maximize"]


def from_optuna(root: Path) -> list[str]:
    storage = f"sqlite:///{root / 'study.db'}"
    study = optuna.create_study(storage=storage, study_name="theirs", direction="maximize")
    axes = {
        "lr": optuna.distributions.FloatDistribution(1e-5, 1e-1, log=True),
        "width": optuna.distributions.CategoricalDistribution([16, 32, 64]),
    }
    for each in drawn():
        study.add_trial(optuna.trial.create_trial(params=each, distributions=axes, value=score_of(each)))
    return ["optuna", "study.db"]


def from_jsonl(root: Path) -> list[str]:
    """What `export` has written of a sweep that was imported already."""
    asked(root, "import", *from_csv(root), "--sweep-name", "before")
    asked(root, "export", "before", "--format", "jsonl", "-o", "runs.jsonl")
    return ["jsonl", "runs.jsonl"]


def asked(root: Path, *words: str, code: int = 0) -> str:
    result: Result = CliRunner().invoke(cli, [*words, "--root", str(root)])
    said = result.output + (str(result.exception) if result.exception else "")
    assert result.exit_code == code, f"{words}: {said}"
    return said


@pytest.mark.parametrize("source", [from_csv, from_optuna, from_jsonl])
def test_what_is_imported_is_concluded_from_and_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    asked(tmp_path, "import", *source(tmp_path), "--sweep-name", "s")
    best = max(drawn(), key=score_of)
    said = asked(tmp_path, "best", "s", "--no-patch")
    assert f"score: {score_of(best)!r}" in said
    assert "Complete training command: none, the sweep was imported" in said
    assert "sweeptui validate" not in said
    given: dict[str, Any] = {}
    exec(asked(tmp_path, "best", "s", "--format", "python"), given)
    assert given["params"] == best

    assert f"` {score_of(best)!r}**" in asked(tmp_path, "report", "s", "--md")
    before = len(list((tmp_path / "train_dir/sweeps/s").rglob("*")))
    for words in (("validate", "s"), ("validate", "s", "--seed-parameter", "SWEEPTUI_SEED")):
        assert "it was imported), so nothing of it can be trained again" in asked(tmp_path, *words, code=1)
    assert len(list((tmp_path / "train_dir/sweeps/s").rglob("*"))) == before


def test_importance_and_the_report_of_what_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    asked(tmp_path, "import", *from_csv(tmp_path), "--sweep-name", "s")
    shape = json.loads(asked(tmp_path, "importance", "s", "--evaluator", "protein", "--json"))
    [found] = shape["metrics"]
    told = [row for row in found["evaluators"][0]["rows"] if row["told"]]
    assert [row["parameter"] for row in told] == ["lr"]

    asked(tmp_path, "report", "s")
    page = (tmp_path / "train_dir/sweeps/s/report.html").read_text(encoding="utf-8")
    assert f"{max(map(score_of, drawn()))!r}" in page
    assert "cd ." not in page, "there is no command to copy"


def test_the_past_of_what_is_imported_is_its_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    asked(tmp_path, "import", *from_csv(tmp_path), "--sweep-name", "s")
    shown = asked(tmp_path, "show", "s", "--at", "10")
    assert "trial_0010" in shown
    assert "trial_0011" not in shown
    with open_sweep(tmp_path / "train_dir/sweeps/s") as store:
        past = Past(store)
        seqs = [seq for seq in range(1, past.last + 1) if (past.go_to(seq), past.state.last_trial)[1] == 20]
    frame = sweep_frame(tmp_path / "train_dir/sweeps/s", (120, 40), start=seqs[-1]).text()
    assert "PAST" in frame
    assert "Trials 20" in frame
    assert "✔lr" in frame, "what these twenty tell"
