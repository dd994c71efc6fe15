"""Takes the pictures of trials that run elsewhere: a short PPO sweep on the real SkyPilot and a real Slurm.

`make skypilot-screenshots`. It needs what `make skypilot-test` needs, and starts and ends the same servers. Training
runs on the cluster as its own user, evaluation runs here.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import take

import sweeptui
from sweeptui.launch import sweeps_dir

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests" / "slurm"))

from sky_server import INFRA, NODE_PYTHON, slurm_and_sky  # noqa: E402

if TYPE_CHECKING:
    from sky_server import SkyServer

TRIALS, DONE = 3, 1
PICTURES = {"main": ("120x40",), "trial": ("120x40",)}
PACKAGES = Path(sysconfig.get_paths()["purelib"])


def lend_packages(folder: Path) -> Path:
    """A Python for the cluster's user with the packages of this environment, torch among them."""
    words = [NODE_PYTHON, "-c", "import sys; print(*sys.version_info[:2], sep='.')"]
    version = subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
    if version != "{}.{}".format(*sys.version_info[:2]):
        sys.exit(f"{NODE_PYTHON} is Python {version} and cannot use packages for {sys.version.split()[0]}")
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH=$PWD:{PACKAGES} exec {NODE_PYTHON} "$@"\n')
    python.chmod(0o755)
    return python


def settings(server: SkyServer) -> str:
    """The section `skypilot` of the sweep."""
    code = server.shared / "code"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(sweeptui.__file__).parent, code / "sweeptui", ignore=ignored)
    return "skypilot=" + json.dumps(
        {
            "infra": INFRA,
            "gpus": "H100:1",
            "cpus": 2,
            "python": str(lend_packages(server.shared)),
            "workdir": str(code),
            "checkpoints": str(server.shared),
        }
    )


def main() -> None:
    with slurm_and_sky() as server, tempfile.TemporaryDirectory(prefix="sweeptui-") as folder:
        home = Path(folder)
        running, frozen = home / "running", home / "cartpole"
        running.mkdir()
        frozen.mkdir()
        (frozen / ".venv").symlink_to(sys.prefix)
        words = ("--max-trials", str(TRIALS), "--max-parallel-jobs", "2", "--dispatcher", "hybrid_remote_train")
        words += ("--set", settings(server))
        process = take.run_until_midway(running, *words, done=DONE, env=server.environment)
        try:
            now = take.freeze(sweeps_dir(running) / take.SWEEP, frozen)
            take.take(frozen, take.SWEEP, now, home, PICTURES, "remote-")
        except BaseException:
            process.send_signal(signal.SIGINT)
            raise
        finally:
            status = process.wait()
        if status:
            sys.exit(f"the pictures are there, but the sweep ended with exit code {status}")


if __name__ == "__main__":
    main()
