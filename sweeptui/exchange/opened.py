"""Sweeps that are only read: by name under a root, or by the path of a folder or of a single file from anywhere."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sweeptui.core.errors import UserError
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.exchange import single
from sweeptui.folders import DATABASE, by_path, existing_sweep, sweep_path, sweeps_dir

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def to_read(root: Path, place: str) -> Iterator[Path]:
    """The folder of the sweep called `place` or lying at that path, for as long as it is read. Raises `UserError`.

    One that is given by its path is laid out in a scratch folder by links, and changed in nothing: what it lies on may
    be read-only. The logs of a single file are unpacked there.
    """
    if not by_path(place):
        yield existing_sweep(root, place)
        return
    path = Path(place).resolve()
    with tempfile.TemporaryDirectory(prefix="sweeptui-") as scratch:
        yield _laid_out(path, Path(scratch))


def _laid_out(path: Path, scratch: Path) -> Path:
    if path.is_file() and not single.is_one(path):
        raise UserError(f"{path} is no sweep; `sweeptui export SWEEP --format sweep` writes a file that is one")
    database = path / DATABASE if path.is_dir() else path
    store = SqliteStore.open(database, readonly=True)
    name = store.state.name
    store.close()
    if path.is_dir():
        sweeps_dir(scratch).mkdir(parents=True)
        folder = sweep_path(scratch, name)
        folder.symlink_to(path)
        return folder
    folder = sweep_path(scratch, name)
    folder.mkdir(parents=True)
    (folder / DATABASE).symlink_to(path)
    single.unpack_logs(path, folder)
    return folder
