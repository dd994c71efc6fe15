"""The formats by name: how each is written and read, and what it cannot hold."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from sweeptui.core.errors import UserError
from sweeptui.exchange import csvfile, jsonl, optuna_study, parquet, single
from sweeptui.exchange.records import standing_still
from sweeptui.folders import SINGLE

if TYPE_CHECKING:
    from sweeptui.core.stores.sqlite import SqliteStore
    from sweeptui.exchange.records import Source


@dataclass(frozen=True, slots=True)
class Format:
    suffix: str
    lacks: str
    """What of a sweep it cannot hold."""
    text: Callable[[SqliteStore, IO[str]], int] | None = None
    file: Callable[[SqliteStore, Path], int] | None = None


FORMATS = {
    "csv": Format(".csv", csvfile.LACKS, text=csvfile.write),
    "jsonl": Format(".jsonl", jsonl.LACKS, text=jsonl.write),
    "parquet": Format(".parquet", parquet.LACKS, file=parquet.write),
    "optuna": Format(".db", optuna_study.LACKS, file=optuna_study.write),
    "sweep": Format(SINGLE, "the checkpoints and whatever else the trials left in their folders"),
}


@dataclass(frozen=True, slots=True)
class Written:
    path: Path
    trials: int
    lacks: str


def export(folder: Path, kind: str, target: Path | None, *, force: bool, logs: bool = True) -> Written:
    """Write the sweep in `folder` to `target`, or beside the current folder's files under its own name.

    The file is at its place once it is whole. Raises `UserError`, and then nothing was changed.
    """
    form = FORMATS[kind]
    target = target or Path(folder.name + form.suffix)
    if target.exists() and not force:
        raise UserError(f"{target} is there already; choose another --output, or overwrite it with --force")
    if target.is_dir():
        raise UserError(f"{target} is a folder; give the name of a file with --output")
    # The suffix stays the last: it says which of Optuna's storages it is.
    partial = target.with_name(f".{secrets.token_hex(4)}-{target.name}")
    try:
        trials = _written(folder, form, partial, logs=logs)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        if force:
            partial.replace(target)
        else:
            os.link(partial, target)
    except FileExistsError:
        raise UserError(f"{target} is there already; choose another --output, or overwrite it with --force") from None
    except OSError as error:
        raise UserError(f"{target} cannot be written: {error.strerror or error}") from None
    finally:
        partial.unlink(missing_ok=True)
    lacks = form.lacks + ("" if logs or kind != "sweep" else ", the logs")
    return Written(target, trials, lacks)


def _written(folder: Path, form: Format, path: Path, *, logs: bool) -> int:
    if form.text is None and form.file is None:
        single.write(folder, path, logs=logs)
        with standing_still(folder) as store:
            return len(store.state.trials)
    with standing_still(folder) as store:
        if form.file is not None:
            return form.file(store, path)
        assert form.text is not None
        with path.open("w", encoding="utf-8", newline="", errors="surrogatepass") as file:
            return form.text(store, file)


def to_stdout(folder: Path, kind: str) -> None:
    """Print a sweep. Raises `UserError` for a format that is no text."""
    text = FORMATS[kind].text
    if text is None:
        raise UserError(f"--output is '-', and {kind} is no text; give the name of a file")
    with standing_still(folder) as store:
        text(store, sys.stdout)


READERS: dict[str, Callable[[Path], Source]] = {"csv": csvfile.source, "jsonl": jsonl.source, "parquet": parquet.source}


def read(kind: str, where: str, study: str | None = None) -> Source:
    """The trials of a file or a storage. Raises `UserError`."""
    if kind == "optuna":
        return optuna_study.source(where, study)
    path = Path(where)
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    try:
        return READERS[kind](path)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} cannot be read as UTF-8: {error}") from None
