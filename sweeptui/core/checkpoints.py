"""Checkpoints that one training hands over to another, and which of them may go.

A checkpoint is what a training reported as one, written before it was reported. A child gets one of its own, by hard
links where the file system has them: what becomes of its parent's files is then no matter to it, and the disk holds the
data once for as long as anybody has it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sweeptui.core.files import Files
    from sweeptui.core.trial import Trial

INHERITED = "checkpoint"
"""Where a child's provenance names the checkpoint that it began from."""


class Checkpoints:
    """The checkpoints of one sweep, on disk."""

    def __init__(self, files: Files, project: Path) -> None:
        self._files = files
        self._project = project

    def committed(self, trial: Trial) -> bool:
        """Whether a trial has reported a checkpoint of its own, and it is there."""
        path = self._path(trial)
        return path is not None and str(trial.checkpoint) != trial.provenance.get(INHERITED) and path.exists()

    def hand_over(self, parent: Trial, child: int) -> Path:
        """Give a trial that is to be created its parent's checkpoint. Whole under its name, or not there.

        Raises `OSError` where there is none or no room; then nothing of it is left under its name.
        """
        source = self._path(parent)
        if source is None or not source.exists():
            raise FileNotFoundError(f"{parent.id} has no checkpoint")
        folder = self._files.checkpoints(child)
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"from_{parent.id}_{source.name}"
        partial = folder / f"{target.name}.part"
        _remove(partial)
        if source.is_dir():
            shutil.copytree(source, partial, copy_function=_link)
        else:
            _link(source, partial)
        if target.is_dir():
            _remove(target)
        partial.replace(target)
        _sync(folder)
        return target.absolute()

    def prune(self, trial: Trial, keep: int) -> list[str]:
        """Delete all but the newest `keep` checkpoints in a trial's own folder; their names.

        The one that it reported last always stays, unless `keep` is 0.
        """
        folder = self._files.checkpoints(trial.number)
        try:
            found = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        except OSError:
            return []
        last = self._path(trial)
        found.sort(key=lambda path: path != last)
        gone = found[keep:]
        for path in gone:
            _remove(path)
        return [path.name for path in gone]

    def size(self, trials: Iterable[int]) -> dict[int, int]:
        """Bytes of the checkpoints of each trial; data that two of them share counts for the first."""
        seen: set[tuple[int, int]] = set()
        sizes: dict[int, int] = {}
        for number in trials:
            sizes[number] = 0
            for folder, _, names in os.walk(self._files.checkpoints(number)):
                for name in names:
                    with contextlib.suppress(OSError):
                        info = Path(folder, name).stat()
                        if (info.st_dev, info.st_ino) not in seen:
                            seen.add((info.st_dev, info.st_ino))
                            sizes[number] += info.st_size
        return sizes

    def _path(self, trial: Trial) -> Path | None:
        return self._project / trial.checkpoint if trial.checkpoint else None


def _link(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
