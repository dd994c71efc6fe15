"""The command line, run as users run it."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from commandline import Project

from sweeptui.cli import COMMANDS, main

ROOT = Path(__file__).parent.parent


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def imports_none_of(heavy: set[str], code: str, folder: Path | None = None) -> str:
    """What a process prints that does `code`, which sets `code`, without importing any of these modules."""
    whole = (
        f"import sys\n{code}\nfound = {heavy!r} & set(sys.modules)\nsys.exit(f'imported {{found}}' if found else code)"
    )
    done = subprocess.run([sys.executable, "-c", whole], capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_help_imports_nothing_heavy() -> None:
    heavy = {"pydantic", "textual", "numpy", "torch", "psutil", "yaml", "rich"}
    shown = imports_none_of(heavy, "from sweeptui.cli import main; code = main(['--help'])")
    for command in COMMANDS:
        assert re.search(rf"^  {command} ", shown, re.MULTILINE)


def test_headless_reading_imports_no_torch_textual_or_numpy(project: Project) -> None:
    project.run("recipe.yaml", "--sweep-name", "s")
    heavy = {"textual", "numpy", "torch", "scipy", "gpytorch", "wandb"}
    imports_none_of(heavy, "from sweeptui.cli import main; code = main(['show', 's'])", project.folder)


def test_the_cockpit_imports_nothing_that_its_first_frame_can_do_without() -> None:
    heavy = {"pydantic", "yaml", "numpy", "scipy", "torch", "wandb", "hashlib"}
    imports_none_of(heavy, "import sweeptui.cli, sweeptui.app.run; code = 0")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_is_documented(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"Usage: sweeptui {command}")
    document = (ROOT / "docs" / "cli.md").read_text()
    assert f"| `{command}" in document
    for option in re.findall(r"^  .*?(--[a-z-]+)", shown, re.MULTILINE):
        if command in ("logs", "requeue", "stop", "set", "doctor") and option not in (
            "--help",
            "--root",
            "--json",
            "--no-wait",
        ):
            assert option in document


def test_a_recipe_may_be_named_without_run(project: Project) -> None:
    short = project.run("recipe.yaml", "--dry-run", "--seed", "7").stdout
    long = project.run("run", "recipe.yaml", "--dry-run", "--seed", "7").stdout
    assert short == long
    assert not project.written()


def test_dry_run_prints_exact_commands_quoted_for_a_shell(project: Project) -> None:
    project.recipe(train_command=["sh", "-c", "true # $1", "{p:model.lr}"])
    [shape] = json.loads(project.run("recipe.yaml", "--dry-run", "--json").stdout)
    assert shape["stage"] == "train"
    assert shape["argv"][:3] == ["sh", "-c", "true # $1"]
    assert f"train: sh -c 'true # $1' {shape['argv'][3]}\n" == project.run("recipe.yaml", "--dry-run").stdout


def test_unknown_first_word_names_the_nearest_recipe_and_command(project: Project) -> None:
    assert "quick_test" in project.error("quick_tset")
    assert "list" in project.error("lits")
    assert not project.written()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--max-trials", "0"], "max-trials"),
        (["--max-trials", "-3"], "max-trials"),
        (["--max-trials", "many"], "many"),
        (["--sweep-name", "a/b"], "sweep_name"),
        (["--sweep-name", "a..b"], "sweep_name"),
        (["--method", "psychic"], "psychic"),
        (["--dispatcher", "pigeon"], "pigeon"),
        (["--scheduler", "pigeon"], "pigeon"),
        (["--set", "max_trails=3"], "max_trails"),
        (["--set", "max_trials"], "max_trials"),
        (["--set", "protein_config.parameters.model.lr.min=1"], "min"),
        (["--set", "protein_config.parameters.model.lr.distribution=zipf"], "zipf"),
        (["--set", "metric_source=tea_leaves"], "tea_leaves"),
        (["--set", 'train_command=["no-such-program"]'], "no-such-program"),
        (["--bogus"], "--bogus"),
        (["--accept-changes", "maybe"], "maybe"),
        (["surplus"], "surplus"),
    ],
)
def test_bad_values_get_one_sentence_and_write_nothing(
    project: Project,
    words: list[str],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(project.folder)
    assert expected in refused(["recipe.yaml", *words], capsys)
    assert not project.written()


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence with which a command line is refused, in this process."""
    assert main(words) == 2
    told = capsys.readouterr()
    assert told.out == ""
    [line] = told.err.splitlines()
    assert line.startswith("error: ")
    return line


def test_broken_recipes_are_told_by_their_own_line(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project.folder)
    Path("broken.py").write_text("x = 1\n\ndef broken(:\n    pass\n")
    assert "broken.py, line 3" in refused(["broken.py:broken"], capsys)
    Path("raises.py").write_text("def raises():\n    raise KeyError('lr')\n")
    assert "raises.py, line 2" in refused(["raises.py:raises"], capsys)
    Path("broken.yaml").write_text("max_trials: 3\n  seed: 4\n")
    assert "line 2" in refused(["broken.yaml"], capsys)
    assert "missing.yaml" in refused(["missing.yaml"], capsys)
    assert not project.written()


def test_a_root_or_database_that_cannot_be_used_is_told(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project.folder)
    Path("blocked").mkdir()
    Path("blocked/train_dir").touch()
    assert "root" in refused(["recipe.yaml", "--root", "blocked"], capsys)
    project.run("recipe.yaml", "--sweep-name", "s", "--quiet")
    with contextlib.closing(sqlite3.connect("train_dir/sweeps/s/sweep.db")) as db:
        db.execute("PRAGMA user_version = 9999")
    for words in (["recipe.yaml", "--sweep-name", "s"], ["show", "s"], ["best", "s"], ["pause", "s"]):
        assert "newer" in refused(words, capsys)


def test_seed_form_sets_arguments_and_fields(project: Project) -> None:
    words = ["--args", "sweep_name=x", "max_trials=1", "--overrides", "seed=5", "protein_config.method=random"]
    project.run("recipe.yaml", *words, "--headless", "--quiet")
    shown = project.json("show", "x")
    assert (shown["config"]["max_trials"], shown["config"]["seed"]) == (1, 5)
    assert [trial["number"] for trial in shown["trials"]] == [1]


def test_options_reach_the_configuration(project: Project) -> None:
    project.recipe(train_command=[*["sh", "-c", "true", "x"], "{overrides}"], metric_source="report")
    words = ["--train-override", "a.b=3", "c=text", "--set", "retries.crashed=2", "--set", "env.A=1 2"]
    [shape] = json.loads(project.run("recipe.yaml", *words, "--dry-run", "--json").stdout)
    assert {"a.b=3", "c=text"} < set(shape["argv"])


def test_python_recipe_gets_named_options_as_arguments(project: Project) -> None:
    (project.folder / "mine.py").write_text(
        "from sweeptui import ParameterConfig, ProteinConfig, SweepTool\n"
        "def mine(sweep_name=None, num_trials=4, width='narrow'):\n"
        "    return SweepTool(sweep_name=sweep_name, max_trials=num_trials * 2, train_command=['sh', '-c', width],\n"
        "        protein_config=ProteinConfig(metric='score', method='random', parameters={\n"
        "            'lr': ParameterConfig(distribution='uniform', min=0.0, max=1.0)}))\n"
    )
    words = ["mine.py:mine", "--max-trials", "3", "--args", "width=true # wide", "--dry-run", "--json"]
    [shape] = json.loads(project.run(*words).stdout)
    assert shape["argv"] == ["sh", "-c", "true # wide"]


def test_bare_headless_without_a_default_says_what_to_write(project: Project) -> None:
    done = project.run("--headless", code=2)
    assert "sweeptui.toml" in done.stderr
    assert "quick_test" in done.stderr
    assert not project.written()


@pytest.mark.parametrize("file", ["sweeptui.toml", "pyproject.toml"])
def test_bare_run_takes_the_projects_default(project: Project, file: str) -> None:
    head = "[tool.sweeptui]\n" if file == "pyproject.toml" else ""
    (project.folder / file).write_text(
        f'{head}recipe = "recipe.yaml"\nmax-trials = 1\nsweep_name = "standing"\nquiet = true\nset = {{ seed = 3 }}\n'
    )
    project.run("--headless")
    project.run("--headless", "--sweep-name", "other", "--max-trials", "2")
    assert project.json("show", "standing")["config"]["seed"] == 3
    assert {sweep["name"]: sweep["trial_count"] for sweep in project.json("list")} == {"standing": 1, "other": 2}


def test_default_with_an_unknown_option_is_refused(project: Project) -> None:
    (project.folder / "sweeptui.toml").write_text('recipe = "recipe.yaml"\nmax_trails = 1\n')
    assert "did you mean max_trials" in project.error("--headless")
    (project.folder / "sweeptui.toml").write_text("max_trials = 1\n")
    assert "recipe" in project.error("--headless")
    assert not project.written()


def test_list_and_show_have_the_documented_shapes(project: Project) -> None:
    assert project.json("list") == []
    project.run("recipe.yaml", "--sweep-name", "s")
    [sweep] = project.json("list")
    shown = project.json("show", "s")
    document = (ROOT / "docs" / "cli.md").read_text()
    for key in {*sweep, *shown, *shown["trials"][0], *shown["trials"][0]["jobs"][0]}:
        assert f'"{key}"' in document or f"`{key}`" in document
    assert (sweep["name"], sweep["state"], sweep["counts"]["completed"]) == ("s", "finished", 2)
    scores = {trial["id"]: trial["score"] for trial in shown["trials"]}
    assert sweep["best"]["score"] == max(scores.values()) == scores[sweep["best"]["id"]]
    first = shown["trials"][0]
    assert (first["id"], first["number"], first["status"], first["attempts"]) == ("trial_0001", 1, "completed", 1)
    assert first["score"] == -first["params"]["model.lr"]
    assert first["cost"] == 2.5
    assert first["provenance"]["method"] == "random"
    assert first["created_at"] <= first["started_at"] <= first["ended_at"]
    assert "s" in project.run("list").stdout
    assert repr(first["score"]) in project.run("show", "s").stdout


def test_state_tells_the_truth_of_a_sweep_whose_runner_is_gone(project: Project) -> None:
    project.recipe("wait")
    running = project.start("recipe.yaml", "--sweep-name", "s")
    project.waiting("s")
    [sweep] = project.json("list")
    assert sweep["state"] == "running"
    assert str(running.pid) in sweep["holder"]
    running.kill()
    running.communicate()
    assert project.json("list")[0]["state"] == "detached"
    project.go()
    assert project.run("continue", "s", "--quiet").returncode == 0
    shown = project.json("show", "s")
    assert shown["state"] == "finished"
    assert [trial["attempts"] for trial in shown["trials"]] == [1, 1]


def test_unreadable_database_is_listed_with_its_reason(project: Project) -> None:
    project.run("recipe.yaml", "--sweep-name", "s", "--quiet")
    for file in (project.folder / "train_dir/sweeps/s").glob("sweep.db*"):
        file.unlink()
    (project.folder / "train_dir/sweeps/s/sweep.db").write_bytes(b"no database " * 1000)
    [sweep] = project.json("list")
    assert sweep["state"] == "unreadable"
    assert "doctor --recover s" in sweep["reason"]
    assert "doctor --recover s" in project.error("recipe.yaml", "--sweep-name", "s")


def test_unknown_sweep_and_trial_get_a_sentence(project: Project) -> None:
    project.run("recipe.yaml", "--sweep-name", "mellow", "--quiet")
    assert "mellow" in project.error("show", "melow")
    assert "no trial 9" in project.error("kill", "mellow", "9")
    assert "seven" in project.error("logs", "mellow", "seven")
    assert "no trial 9" in project.error("logs", "mellow", "9")
    assert "eval" in project.error("logs", "mellow", "1", "--stage", "eval")


def test_logs_are_printed_with_nothing_a_terminal_acts_on(project: Project) -> None:
    project.recipe("escape")
    project.run("recipe.yaml", "--sweep-name", "s", "--quiet")
    for trial in ("1", "0001", "trial_0001"):
        lines = project.run("logs", "s", trial, "--attempt", "1").stdout.splitlines()
        assert lines[0].startswith("training with")
        assert lines[1] == "red plain"


def test_logs_follow_until_the_trial_ends(project: Project) -> None:
    project.recipe("wait", max_trials=1)
    running = project.start("recipe.yaml", "--sweep-name", "s")
    project.waiting("s")
    following = project.start("logs", "s", "1", "-f")
    assert following.stdout is not None
    assert following.stdout.readline().startswith("training with")
    assert following.poll() is None
    project.go()
    assert following.wait(60) == 0
    running.communicate(timeout=120)


def test_acting_on_a_running_sweep(project: Project) -> None:
    project.recipe("wait", max_parallel_jobs=2)
    running = project.start("recipe.yaml", "--sweep-name", "s")
    project.waiting("s", 1)
    project.waiting("s", 2)
    paused = project.json("pause", "s", "1")
    assert (paused["state"], paused["args"]) == ("done", {"trials": [1]})
    assert "(cli)" in paused["actor"]
    assert project.json("show", "s")["trials"][0]["status"] == "paused"
    assert "not paused" in project.error("resume", "s", "trial_0002")
    project.run("resume", "s", "1")
    project.run("kill", "s", "0002")
    assert project.json("set", "s", "--max-trials", "3")["state"] == "done"
    project.go()
    out, _ = running.communicate(timeout=120)
    assert running.returncode == 0
    assert "kill trial_0002" in out
    shown = project.json("show", "s")
    assert [trial["status"] for trial in shown["trials"]] == ["completed", "killed", "completed"]
    assert "(cli)" in shown["trials"][1]["reason"]


def test_acting_on_a_sweep_that_nobody_runs(project: Project) -> None:
    project.recipe("crash")
    project.run("recipe.yaml", "--sweep-name", "s", "--quiet", code=3)
    assert project.json("requeue", "s", "1", "2")["state"] == "done"
    assert {trial["status"] for trial in project.json("show", "s")["trials"]} == {"pending"}
    assert "pending" in project.error("requeue", "s", "1")
    project.run("set", "s", "--max-parallel-jobs", "2")
    assert project.json("show", "s")["config"]["max_parallel_jobs"] == 2


def test_detached_trials_are_killed_by_a_command(project: Project) -> None:
    project.recipe("wait", max_trials=1)
    running = project.start("recipe.yaml", "--sweep-name", "s")
    project.waiting("s")
    running.kill()
    running.communicate()
    assert project.json("kill", "s", "1")["state"] == "done"
    assert project.json("show", "s")["trials"][0]["status"] == "killed"
    assert project.json("list")[0]["state"] == "interrupted"


def test_only_the_evaluation_is_repeated(project: Project) -> None:
    project.recipe(eval_command=["{python}", "-S", "train.py", "0.5", "ok"], max_trials=1)
    project.run("recipe.yaml", "--sweep-name", "s", "--quiet")
    project.run("requeue", "s", "1", "--eval")
    project.run("continue", "s", "--quiet")
    [trial] = project.json("show", "s")["trials"]
    assert (trial["status"], trial["attempts"], trial["eval_attempts"]) == ("completed", 1, 2)


def test_stop_ends_a_sweep(project: Project) -> None:
    project.recipe("wait", max_trials=5)
    running = project.start("recipe.yaml", "--sweep-name", "s")
    project.waiting("s")
    project.run("stop", "s", "--kill")
    running.communicate(timeout=120)
    shown = project.json("show", "s")
    assert shown["state"] == "stopped"
    assert [trial["status"] for trial in shown["trials"]] == ["killed"]


def test_set_without_a_limit_is_refused(project: Project) -> None:
    project.run("recipe.yaml", "--sweep-name", "s", "--quiet")
    assert "--max-trials" in project.error("set", "s")
    assert "max-trials" in project.error("set", "s", "--max-trials", "0")


def test_changed_search_is_refused_unless_accepted(project: Project) -> None:
    project.run("recipe.yaml", "--sweep-name", "s", "--quiet")
    changed = ["recipe.yaml", "--sweep-name", "s", "--quiet", "--set", "protein_config.goal=minimize"]
    assert "goal" in project.error(*changed)
    assert project.json("show", "s")["config"]["protein_config"]["goal"] == "maximize"
    project.run(*changed, "--accept-changes", "keep")
    assert project.json("show", "s")["config"]["protein_config"]["goal"] == "minimize"


def test_recipes_and_schema() -> None:
    def told(*words: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "sweeptui", *words], capture_output=True, text=True, check=True
        ).stdout

    names = {recipe["name"]: recipe["line"] for recipe in json.loads(told("recipes", "--json"))}
    assert {"ppo", "quick_test"} <= set(names)
    assert names["ppo"] in told("recipes")
    assert "protein_config" in json.loads(told("schema"))["properties"]


def test_completion_offers_what_there_is(project: Project) -> None:
    project.run("recipe.yaml", "--sweep-name", "mellow", "--quiet")
    for words, expected in (
        ("sweeptui qui", "quick_test"),
        ("sweeptui lis", "list"),
        ("sweeptui show mel", "mellow"),
        ("sweeptui kill mellow tri", "trial_0002"),
        ("sweeptui quick_test --max-tr", "--max-trials"),
    ):
        asked = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
        out = project.run(code=None, _SWEEPTUI_COMPLETE="bash_complete", **asked).stdout
        assert f"plain,{expected}" in out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_names_the_program(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert "_SWEEPTUI_COMPLETE" in capsys.readouterr().out


def test_windows_is_told_about_wsl(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert main(["list"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "WSL" in line
