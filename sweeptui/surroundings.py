"""What a sweep was started in: versions, machine and commit, kept with it so that a report can say so later."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from typing import TYPE_CHECKING, Any

from sweeptui import __version__

if TYPE_CHECKING:
    from pathlib import Path

PACKAGES = (
    *("torch", "jax", "tensorflow", "lightning", "transformers", "stable-baselines3", "gymnasium"),
    *("scikit-learn", "optuna", "ax-platform", "nevergrad", "numpy", "scipy", "wandb"),
)
"""Those whose version can change what a training gives or what an optimizer suggests."""
GIT_S = 2.0
"""A repository that takes longer is left out: a sweep does not wait for it."""


def surroundings(project: Path) -> dict[str, Any]:
    """Versions of sweeptui, Python and what is installed beside them, the machine, and the commit of `project`.

    Nothing that tells who or where: no user, no host, no path.
    """
    packages = {name: found for name in PACKAGES if (found := _version(name)) is not None}
    return {
        "sweeptui": __version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "packages": packages,
        **_commit(project),
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit(project: Path) -> dict[str, Any]:
    """`commit`, and whether the files differed from it; nothing where the project is in no repository."""
    commit = _git(project, "rev-parse", "HEAD")
    if not commit:
        return {}
    changed = _git(project, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, **({} if changed is None else {"changed": bool(changed)})}


def _git(project: Path, *words: str) -> str | None:
    """What git says; None where it fails, is not there, or takes too long."""
    try:
        told = subprocess.run(
            ["git", "-C", os.fspath(project), *words],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=GIT_S,
            check=True,
            # A repository is only looked at: no lock is taken, and no monitor of its choice is started.
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_CONFIG_COUNT": "1"}
            | {"GIT_CONFIG_KEY_0": "core.fsmonitor", "GIT_CONFIG_VALUE_0": "false"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return told.stdout.strip()
