"""Runs the real command line in a process of its own, on a small project in a temporary folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TIMEOUT_S = 120

TRAIN = """\
import json, os, sys, time
lr, mode = float(sys.argv[1]), sys.argv[2]
print(f"training with {lr!r}", flush=True)
if mode == "crash":
    print("about to break", flush=True)
    sys.exit("broken on purpose")
if mode == "silent":
    sys.exit(0)
if mode == "escape":
    print("\\x1b[31mred\\x1b[0m \\x1b]0;title\\x07plain", flush=True)
if mode == "wait":
    open(os.environ["SWEEPTUI_TRIAL_DIR"] + "/waiting", "w").close()
    while not os.path.exists("go"):
        time.sleep(0.02)
with open(os.environ["SWEEPTUI_REPORT"], "a") as file:
    file.write(json.dumps({"step": 1, "score": -lr, "cost": 2.5}) + "\\n")
"""

RECIPE: dict[str, Any] = {
    "protein_config": {
        "metric": "score",
        "goal": "maximize",
        "method": "random",
        "parameters": {"model.lr": {"distribution": "log_normal", "min": 1e-5, "max": 1e-2}},
    },
    "max_trials": 2,
    "min_free_disk_mb": 0,
    "kill_grace_s": 2.0,
    "train_command": ["{python}", "-S", "train.py", "{p:model.lr}", "ok"],
}


class Project:
    """A folder with a recipe file, in which commands are run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "train.py").write_text(TRAIN)
        self.recipe()

    def recipe(self, mode: str = "ok", name: str = "recipe.yaml", **fields: Any) -> str:
        """Write a recipe file; JSON is YAML."""
        command = [*RECIPE["train_command"][:-1], mode]
        (self.folder / name).write_text(json.dumps({**RECIPE, "train_command": command, **fields}))
        return name

    def argv(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "sweeptui", *words]

    def env(self, **more: str) -> dict[str, str]:
        # Where a test speaks to W&B in this process, a client started from here would log through that one.
        inherited = {name: value for name, value in os.environ.items() if name != "WANDB_SERVICE"}
        return {**inherited, "NO_COLOR": "", "TERM": "xterm-256color", **more}

    def run(self, *words: str, code: int | None = 0, **env: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.argv(*words),
            cwd=self.folder,
            env=self.env(**env),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert code is None or done.returncode == code, (done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def start(self, *words: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.argv(*words),
            cwd=self.folder,
            env=self.env(**env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self.run(*words, "--json", code=code).stdout)

    def error(self, *words: str, code: int = 2) -> str:
        """The one sentence on stderr of a command that fails."""
        done = self.run(*words, code=code)
        assert done.stdout == ""
        [line] = done.stderr.splitlines()
        assert line.startswith("error: ")
        return line

    def written(self) -> bool:
        return (self.folder / "train_dir").exists()

    def waiting(self, sweep: str, trial: int = 1) -> None:
        """Wait until a trial with mode "wait" is under way."""
        until((self.folder / f"train_dir/sweeps/{sweep}/trials/trial_{trial:04d}/waiting").exists)

    def go(self) -> None:
        """Let the trials with mode "wait" finish."""
        (self.folder / "go").touch()


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)
