"""The optimizer page: what the process beside computes, and that it is asked once for what is known."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from commandline import Project
from outlook_shown import shown

from sweeptui.app.screens import optimizer as page
from sweeptui.core.analysis.summary import tool_of
from sweeptui.core.stores.sqlite import SqliteStore

PARAMETERS = {
    "model.lr": {"distribution": "log_normal", "min": 1e-5, "max": 1e-2},
    "model.width": {"min": 0.0, "max": 1.0},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("outlook"))
    protein: dict[str, Any] = {"metric": "score", "goal": "maximize", "method": "bayes", "parameters": PARAMETERS}
    project.recipe(max_trials=9, max_parallel_jobs=2, protein_config=protein)
    project.run("recipe.yaml", "--sweep-name", "s", "--headless", "--quiet")
    return project


def folder(project: Project) -> Path:
    return project.folder / "train_dir/sweeps/s"


def test_what_the_page_shows_is_computed_by_a_process_beside(project: Project) -> None:
    found = page.compute(folder(project))
    with closing(SqliteStore.open(folder(project) / "sweep.db", readonly=True)) as store:
        state = store.state
    predicted = [n for n, trial in sorted(state.trials.items()) if "score_mean" in trial.provenance]
    assert predicted, "no trial was suggested by a model"
    assert [row["number"] for row in found["stored"]["rows"]] == predicted
    first = found["stored"]["rows"][0]
    told = state.trials[predicted[0]]
    assert (first["mean"], first["observed"]) == (told.provenance["score_mean"], told.score)
    assert first["off"] == pytest.approx((told.score - first["mean"]) / told.provenance["score_std"])  # type: ignore[operator]
    assert [row["number"] for row in found["left_out"]["rows"]] == list(range(1, 10))
    assert [each["parameter"] for each in found["slices"]] == list(PARAMETERS)
    assert tool_of(state).space.contains(found["next"]["params"])
    assert {max(profile) for profile in found["next"]["improvement"].values()} == {1.0}
    assert found["importance"]["rows"][0]["parameter"] == "model.lr"


def test_where_there_is_too_little_it_says_so(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.run(project.recipe(), "--sweep-name", "s", "--headless", "--quiet")
    found = page.compute(folder(project))
    assert found["problem"] == "2 trials have a score inside the search space; this takes at least 4"
    with pytest.raises(RuntimeError, match="the models cannot be fitted"):
        page.compute(tmp_path / "nowhere")


def test_the_made_up_outlook_has_the_shape_of_a_real_one(project: Project) -> None:
    found = page.compute(folder(project))
    made_up = json.loads(json.dumps(shown()))
    assert made_up.keys() == found.keys()
    for key in ("next", "importance", "stored", "left_out"):
        assert made_up[key].keys() == found[key].keys()
    assert made_up["slices"][0].keys() == found["slices"][0].keys()
    assert made_up["importance"]["rows"][0].keys() == found["importance"]["rows"][0].keys()
    assert made_up["stored"]["rows"][0].keys() == found["stored"]["rows"][0].keys()
