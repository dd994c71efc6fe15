"""The docs: the site is built without a warning, what they say can be typed, and what they promise is tested."""

from __future__ import annotations

import functools
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
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
ACTING: dict[str, tuple[str, ...]] = {
    "export": ("--force",),
    "import": (),
    "attach": (),
    "report": ("--force",),
    "validate": ("--top-k", "1", "--seeds", "2"),
    "run": ("--max-trials", "2", "--headless"),
}
"""What is carried out, where it takes no more than this machine and seconds, with what makes it so."""
TO_SEE = {"--open", "--dry-run", "wandb", "hydra", "14:30"}
"""Not carried out: what opens a browser, asks a server, has a test of its own, or depends on the clock."""
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


def acting() -> list[list[str]]:
    """The documented commands that change something here, once each, in the order of the pages."""
    found = []
    for _, line in documented():
        meant = functools.reduce(lambda text, pair: text.replace(*pair), NAMES.items(), line)
        words = shlex.split(meant.split(" > ")[0])[1:]
        name = words[0] if words[0] in COMMANDS else "run"
        local = name != "run" or words[0] in ("lr.yaml", "quick_test")
        if name in ACTING and local and not TO_SEE & set(words):
            found.append([*words, *ACTING[name]])
    return [list(words) for words in dict.fromkeys(map(tuple, found))]


@pytest.mark.timeout(300)
def test_what_acts_is_carried_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one folder, as somebody would who types them all; what one command writes, another reads."""
    for name in ("here", "other"):
        (tmp_path / name).mkdir()
    here, other = Project(tmp_path / "here"), Project(tmp_path / "other")
    (here.folder / "lr.yaml").write_text(RECIPE)
    here.run("quick_test", "--sweep-name", "calm-otter", "--max-trials", "3", "--headless", "--quiet")
    shutil.copytree(here.folder / "train_dir", other.folder / "train_dir")
    here.run("lr.yaml", "--sweep-name", "first", "--max-trials", "2", "--headless", "--quiet")
    here.run("export", "first", "--format", "csv", "-o", "runs.csv")
    monkeypatch.chdir(here.folder)
    commands_ = acting()
    assert {words[0] for words in commands_} >= {"export", "import", "attach", "report", "validate", "lr.yaml"}
    assert len(commands_) >= 12
    for number, given in enumerate(commands_):
        # The recipe of the page searches what the sweep of the page did; this one's does not.
        foreign = given[:2] == ["import", "sweep"] and "--recipe" in given
        words = given[: given.index("--recipe")] if foreign else given
        if given[0] == "import":
            words = [*words, "--sweep-name", f"taken-{number}"]  # the one that it came from is here, too
        result = CliRunner().invoke(cli, words)
        assert result.exit_code == 0, f"sweeptui {shlex.join(words)}: {result.output}{result.exception!r}"
    there = {path.name for path in here.folder.iterdir()}
    assert there >= {"calm-otter.csv", "study.db", "calm-otter.sweep", "sweep.html"}
    sweeps = {path.name for path in (here.folder / "train_dir/sweeps").iterdir()}
    assert "second" in sweeps
    assert sum(name.startswith("taken-") for name in sweeps) >= 4


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
