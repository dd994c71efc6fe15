"""The stages of a trial on other machines: where they go, what they are called there, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sweeptui.core import tracking
from sweeptui.core.config import SweepTool
from sweeptui.core.dispatch import JobSpec
from sweeptui.core.errors import UserError
from sweeptui.core.remote import LOCAL, SKYPILOT, route_of, routes_of
from sweeptui.core.trial import Job, Stage, Trial
from sweeptui.dispatchers.skypilot.task import OURS, name_of
from sweeptui.readiness import checked

STAGES = [Stage("data"), Stage.TRAIN, Stage.EVAL, Stage.of_simulation("arena/" + "combat" * 20), Stage("x" * 60)]


def tool(folder: Path, **fields: Any) -> SweepTool:
    return SweepTool.from_json(
        {
            "protein_config": {"parameters": {"x": {"min": 0.0, "max": 1.0}}, "method": "random"},
            "train_command": ["true"],
            "working_dir": str(folder),
            "dispatcher_type": "skypilot",
            **fields,
        }
    )


def test_jobs_of_all_stages_have_names_of_their_own_there() -> None:
    here = Path("/x")
    names, runs = set(), set()
    for stage in STAGES:
        for attempt in (1, 2):
            spec = JobSpec(f"trial_0001.{stage}.{attempt}", 1, stage, ("true",), {}, here, here, here, here)
            names.add(name_of("Sweep_" * 10, spec, "abc123"))
            job = Job(1, 1, stage, attempt, created_at=0.0)
            runs.add(tracking.run_id("sweep" * 10, Trial(1, {}, 0, 0.0), job))
    assert len(names) == len(runs) == 2 * len(STAGES)
    assert all(OURS.fullmatch(name) and len(name) <= 63 for name in names)
    assert all(len(run) <= 64 for run in runs)


def test_a_stage_goes_where_its_name_is_sent(tmp_path: Path) -> None:
    found = tool(
        tmp_path,
        routes={"export": "local", "eval": "local"},
        evaluation_simulations=[{"name": "a", "command": "true"}],
        stages=[{"name": "data", "command": "true"}, "train", "eval", {"name": "export", "command": "true"}],
    )
    places = {stage: route_of(found, Stage(stage), {}) for stage in ("data", "train", "eval-a", "export")}
    assert places == {"data": SKYPILOT, "train": SKYPILOT, "eval-a": LOCAL, "export": LOCAL}
    assert routes_of(found) == (SKYPILOT, LOCAL)


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        (
            ["train", {"name": "export", "command": "true {checkpoint}"}],
            "skypilot.checkpoints is missing: command of stage 'export' has {checkpoint}, and what is trained on SkyPi",
        ),
        (
            [{"name": "data", "command": "true {trial_dir}"}, "train"],
            "skypilot.checkpoints is missing: command of stage 'data' has {trial_dir}, and what is prepared on SkyPilo",
        ),
    ],
)
def test_what_stays_on_a_machine_is_refused_at_the_start(tmp_path: Path, stages: list[Any], said: str) -> None:
    with pytest.raises(UserError) as error:
        checked(tool(tmp_path, stages=stages), tmp_path)
    assert str(error.value).startswith(said)
    assert not (tmp_path / "train_dir").exists()
