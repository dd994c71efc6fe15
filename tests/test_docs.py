"""The docs: the site is built without a warning, what they say can be typed, and what they promise is tested."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from commandline import Project

from sweeptui.cli import COMMANDS, cli

HERE = Path(__file__).parent
ROOT = HERE.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND = re.compile(r"^(?: {4})?(sweeptui .*)$", re.MULTILINE)
NOTE = re.compile(r"\s+#\s.*$|\s{3,}.*$")
"""After a command: what it does."""
LOOKING = {"list", "show", "logs", "best", "frame", "recipes", "schema", "keys", "doctor", "completion", "importance"}
"""What is run as it stands, on a sweep that there is; of all others at least the options are checked."""
ELSEWHERE = {"skypilot", "hybrid_remote_train", "--store", "curriculum", "hybrid", "meta"}
"""Not tried without running anything: what needs more than this machine has, and experiments of several sweeps."""
NAMES = {"SWEEP": "calm-otter", "lr-calm-otter": "calm-otter", "METRIC": "evaluator/eval_quick_test/score"}
RECIPE = """
train_command: python train.py {p:lr} ok
protein_config: {metric: score, parameters: {lr: {min: 0.1, max: 1.0}}}
"""
MODULE = """
from sweeptui.core.config import SweepTool


def my_sweep() -> SweepTool:
    search = {"metric": "accuracy", "parameters": {"lr": {"min": 0.1, "max": 1.0}}}
    return SweepTool(protein_config=search, train_command="python train.py --lr {p:lr}")
"""


def commands(page: Path) -> list[str]:
    return [NOTE.sub("", line) for line in COMMAND.findall(page.read_text())]


def documented() -> list[tuple[str, str]]:
    return [(page.name, line) for page in PAGES if page.name != "tutorial.md" for line in commands(page)]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A folder with what the pages speak of: sweeps that have ended, a W&B sweep file, recipes."""
    folder = tmp_path_factory.mktemp("documented")
    shutil.copytree(HERE / "examples/wandb", folder, dirs_exist_ok=True)
    project = Project(folder)
    (folder / "lr.yaml").write_text(RECIPE)
    for name in ("mymodule.py", "sweeps.py"):
        (folder / name).write_text(MODULE)
    for recipe, name in (("quick_test", "calm-otter"), ("lr.yaml", "first")):
        project.run(recipe, "--sweep-name", name, "--max-trials", "5", "--headless", "--quiet")
    return project


def test_there_are_pages_with_commands() -> None:
    assert len(documented()) > 30
    assert all(commands(page) for page in PAGES if page.name in ("README.md", "cli.md", "cockpit.md", "recipes.md"))


@pytest.mark.parametrize(("page", "line"), documented(), ids=[f"{page}: {line}" for page, line in documented()])
def test_what_the_pages_say_can_be_typed(page: str, line: str, project: Project) -> None:
    del page
    for name, meant in NAMES.items():
        line = line.replace(name, meant)
    words = shlex.split(line.split(" > ")[0])[1:]
    name = words[0] if words[0] in COMMANDS else "run"
    if name in LOOKING:
        project.run(*words)
        return
    command = cli.get_command(cli.make_context("sweeptui", list(words)), name)
    assert command is not None
    assert isinstance(command.make_context(name, words[words[0] == name :]), click.Context)
    if name == "run" and not ELSEWHERE & set(words):
        project.run(*words, *([] if "--dry-run" in words else ["--dry-run"]))


def test_what_is_promised_is_tested() -> None:
    named = re.findall(r"`(test_\w+\.py)(?:::(\w+))?`", (ROOT / "docs/guarantees.md").read_text())
    assert len(named) > 30
    for file, test in named:
        assert f"def {test}(" in (HERE / file).read_text() if test else (HERE / file).exists(), f"{file}::{test}"


@pytest.mark.timeout(300)
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    words = ["-W", "--keep-going", "-n", "-q", "-b", "html", str(ROOT / "docs"), str(tmp_path)]
    done = subprocess.run([sys.executable, "-m", "sphinx", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    settings = (tmp_path / "reference/settings.html").read_text()
    assert "max_suggestion_cost" in settings
    assert "reduction_factor" in (tmp_path / "reference/schedulers.html").read_text()
    reference = (tmp_path / "reference/commands.html").read_text()
    assert all(f"sweeptui-{name}" in reference for name in COMMANDS)
