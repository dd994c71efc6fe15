"""Where deleted sweeps go: a folder beside the sweeps, from which they can be brought back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sweeptui.core.errors import UserError
from sweeptui.core.stores.base import StoreBusyError
from sweeptui.survey import open_sweep, sight

if TYPE_CHECKING:
    from pathlib import Path

TRASH = ".trash"


def throw_away(folder: Path) -> Path:
    """Move the sweep in `folder` to the trash; where it is now.

    Raises `UserError`, with nothing moved, where somebody runs it or its trials run.
    """
    _refuse_if_used(folder)
    trash = folder.parent / TRASH
    stamp = time.strftime("%Y%m%d-%H%M%S")
    target = next(path for path in _names(trash / f"{folder.name}.{stamp}") if not path.exists())
    try:
        trash.mkdir(exist_ok=True)
        folder.rename(target)
    except OSError as error:
        raise UserError(f"{folder} cannot be moved to {trash}: {error.strerror}") from None
    try:
        _refuse_if_used(target)
    except UserError:
        target.rename(folder)  # somebody began to run it just now
        raise
    return target


def _names(path: Path) -> list[Path]:
    return [path, *(path.with_name(f"{path.name}.{count}") for count in range(2, 100))]


def _refuse_if_used(folder: Path) -> None:
    try:
        with open_sweep(folder) as store:
            seen = sight(folder, store)
    except StoreBusyError:
        raise
    except UserError:
        return  # damaged, or of another version: nobody can run it from here
    if seen.holder is not None:
        raise UserError(f"{seen.name} is being run by {seen.holder}: stop it first")
    if seen.label == "detached":
        raise UserError(f"trials of {seen.name} are running although nobody runs the sweep: kill them first")
