"""Where the sweeps under a root lie, and how they are found by name."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from sweeptui.core.errors import UserError

DATABASE = "sweep.db"
SINGLE = ".sweep"
"""How a sweep in one file is called."""
EXPERIMENT_DATABASE = "experiment.db"
"""Of a folder that is an experiment's: what its stages gave."""


def config_path() -> Path:
    """The user's configuration file, there or not."""
    import platformdirs  # noqa: PLC0415 - few ask

    return Path(platformdirs.user_config_dir("sweeptui")) / "config.toml"


def sweeps_dir(root: Path) -> Path:
    return root / "train_dir" / "sweeps"


def sweep_names(root: Path) -> list[str]:
    """The sweeps under `root`, newest first."""
    databases = [path for path in sweeps_dir(root).glob(f"*/{DATABASE}") if path.is_file()]
    return [path.parent.name for path in sorted(databases, key=lambda path: path.stat().st_mtime, reverse=True)]


def experiment_names(root: Path) -> list[str]:
    """The experiments under `root`, newest first."""
    databases = [path for path in sweeps_dir(root).glob(f"*/{EXPERIMENT_DATABASE}") if path.is_file()]
    return [path.parent.name for path in sorted(databases, key=lambda path: path.stat().st_mtime, reverse=True)]


def is_experiment(root: Path, name: str) -> bool:
    """Whether an experiment is called so. Raises `UserError` for a name that could leave the root."""
    return (sweep_path(root, name) / EXPERIMENT_DATABASE).is_file()


def sweep_path(root: Path, name: str) -> Path:
    """The folder of the sweep called `name`, there or not. Raises `UserError` for a name that could leave the root."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name) or ".." in name:
        raise UserError(
            f"sweep_name is {name!r}; use up to 100 letters, digits, dots, dashes and underscores, starting with a "
            f"letter or digit and without '..'"
        )
    return sweeps_dir(root) / name


def by_path(place: str) -> bool:
    """Whether `place` is the path of a sweep's folder or of a file, not the name of a sweep."""
    path = Path(place)
    return ("/" in place or place.endswith(SINGLE)) and ((path / DATABASE).is_file() or path.is_file())


def existing_sweep(root: Path, name: str) -> Path:
    """The folder of a sweep that is there. Raises `UserError` naming the nearest one where it is not."""
    path = sweep_path(root, name)
    if (path / DATABASE).is_file():
        return path
    if (path / EXPERIMENT_DATABASE).is_file():
        raise UserError(f"{name} is an experiment, and this is for one of its sweeps; `sweeptui list` shows them")
    names = sweep_names(root)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "`sweeptui list` shows those there are"
    raise UserError(f"there is no sweep {name!r} under {sweeps_dir(root)}; {hint}")
