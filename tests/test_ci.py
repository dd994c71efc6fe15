"""What a headless run leaves for CI: summary, JUnit XML, JSON, the exit code by the score, and the example workflow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
import yaml
from commandline import RECIPE, Project
from written_sweeps import usual

from sweeptui.cli.outcome import Outcome, junit
from sweeptui.core.limits import Ending, ExitCode
from sweeptui.core.state import SweepStatus

EXAMPLE = Path(__file__).parents[1] / "docs" / "examples" / "sweep-in-ci.yml"
DONE = Ending(SweepStatus.FINISHED, "all trials are done", 0)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_a_run_leaves_summary_junit_and_json_and_fails_under_the_score(project: Project) -> None:
    recipe = project.recipe()
    words = ("--headless", "--sweep-name", "s", "--summary-md", "s.md", "--junit", "s.xml", "--result-json", "s.json")
    (project.folder / "s.md").write_text("before\n")
    done = project.run("run", recipe, *words, "--fail-under", "0", "--json", code=6)
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["event"], last["exit_code"]) == ("summary", 6)
    best = last["best"]["score"]
    assert best < 0
    missed = f"the best score, {best!r} of {last['best']['id']}, is worse than --fail-under 0.0 (maximize)"
    assert done.stderr == f"error: {missed}\n"
    assert json.loads((project.folder / "s.json").read_text())["reason"] == f"all 2 trials are done; {missed}"
    said = (project.folder / "s.md").read_text()
    assert said.startswith("before\n<!-- sweeptui report: s -->\n")
    assert f"**Failed:** {missed}\n" in said
    suite = Xml.parse(project.folder / "s.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "0")
    assert [case.get("name") for case in suite.iter("testcase")] == ["trial_0001", "trial_0002", "fail_under"]

    again = project.run("continue", "s", "--headless", "--summary-md", "s.md", "--fail-under", "-1", code=0)
    assert again.stderr == ""
    assert (project.folder / "s.md").read_text().count("<!-- sweeptui report: s -->") == 2, "it appends"


def test_what_is_minimized_fails_above_the_score(tmp_path: Path) -> None:
    loss = usual(tmp_path, 4, search={"metric": "loss", "goal": "minimize"})
    best = loss.store.state.best("minimize")
    assert best is not None
    assert best.score is not None

    def code(limit: float, end: Ending = DONE) -> int:
        return Outcome(fail_under=limit).conclude(loss.store, end).exit_code

    assert [code(best.score + delta) for delta in (0.1, 0.0, -0.1)] == [0, 0, ExitCode.UNDER]
    for other in (ExitCode.NO_SUCCESS, ExitCode.BREAKER, ExitCode.INTERRUPTED):
        assert code(-1e9, Ending(SweepStatus.BROKEN, "", int(other))) == other, "worse ends keep their own code"
    assert code(-1e9, Ending(SweepStatus.FINISHED, "", int(ExitCode.BUDGET))) == ExitCode.UNDER


def test_junit_tells_failures_from_what_has_not_ended_and_holds_any_text(tmp_path: Path) -> None:
    sweep = usual(tmp_path, 8)
    with sweep.store.transaction() as tx:
        tx.create_trial({"dropout": 0.1}, 1)
    number = sweep.failed({"dropout": 0.2}, 'said \x00\x1b[31m<&"\ufffe\ud800 and died')
    root = Xml.fromstring(junit(sweep.store.state, DONE, None))
    cases = {case.get("name"): case for case in root.iter("testcase")}
    assert len(cases) == int(root.get("tests") or 0) == 10
    assert cases["trial_0009"].find("skipped") is not None
    failure = cases[f"trial_{number:04d}"].find("failure")
    assert failure is not None
    assert (failure.get("type"), failure.get("message")) == ("crashed", 'said <&"\ufffd and died')
    assert cases["trial_0001"].findtext("system-out", "").startswith("score ")
    assert (root.get("failures"), root.get("skipped")) == ("2", "1")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--junit", "no/x.xml"), "error: --junit no/x.xml: there is no folder no; make it first"),
        (("--summary-md", "no/x.md"), "error: --summary-md no/x.md: there is no folder no; make it first"),
    ],
)
def test_what_cannot_be_written_is_said_before_anything_runs(project: Project, words, sentence) -> None:
    assert project.error("run", project.recipe(), "--headless", *words) == sentence
    assert not project.written()


def test_no_threshold_for_several_metrics(project: Project) -> None:
    search = {**RECIPE["protein_config"], "metrics": [{"name": "a"}, {"name": "b"}]}
    recipe = project.recipe(protein_config={name: search[name] for name in ("metrics", "method", "parameters")})
    said = project.error("run", recipe, "--headless", "--fail-under", "1")
    assert said.startswith("error: --fail-under is 1, and there are several metrics")
    assert not project.written()


def test_the_example_workflow_is_one_and_its_commands_run(tmp_path: Path) -> None:
    workflow = yaml.safe_load(EXAMPLE.read_text())
    assert set(workflow) == {"name", True, "jobs"}, "YAML 1.1 reads `on` as true"
    steps = workflow["jobs"]["sweep"]["steps"]
    assert all(("run" in step) != ("uses" in step) for step in steps)
    summary = tmp_path / "summary.md"
    env = {**os.environ, "GITHUB_STEP_SUMMARY": str(summary)}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    commands = [step["run"] for step in steps if "run" in step]
    assert commands[0] == "pip install 'sweeptui[analysis]'"
    for command in commands[1:]:
        # As GitHub's runner does it.
        subprocess.run(["bash", "-eo", "pipefail", "-c", command], cwd=tmp_path, env=env, check=True, timeout=120)
    kept = next(step for step in steps if step.get("uses", "").startswith("actions/upload-artifact"))
    assert all((tmp_path / name).stat().st_size for name in kept["with"]["path"].split())
    assert summary.read_text().startswith("<!-- sweeptui report: ci -->")
