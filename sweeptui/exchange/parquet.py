"""Parquet: a row for each trial in typed columns, its curves and attempts nested, the configuration in the metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from sweeptui.core.errors import UserError
from sweeptui.exchange.jsonl import check_version
from sweeptui.exchange.records import VERSION, Source, header_of, nested_of, plain, records_of, unplain
from sweeptui.exchange.tables import columns, row_of, trial_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from sweeptui.core.stores.sqlite import SqliteStore
    from sweeptui.core.trial import Trial
    from sweeptui.exchange.records import Record

LACKS = "the journal and the logs"
GROUP = 500
"""Trials that are held in memory at once."""
HEADER, ENCODING = b"sweeptui", b"sweeptui.encoding"
JSON, FLAT = b"json", b"flat"
NESTED = ("reports", "jobs")


def _arrow() -> Any:
    try:
        import pyarrow  # type: ignore[import-untyped,unused-ignore]  # noqa: PLC0415 - heavy, and an extra
        import pyarrow.parquet  # type: ignore[import-untyped,unused-ignore]  # noqa: PLC0415
    except ImportError:
        raise UserError(
            "the package pyarrow is not installed; install it with: pip install 'sweeptui[parquet]'"
        ) from None
    return pyarrow


def write(store: SqliteStore, path: Path) -> int:
    """Write a sweep; how many trials it has. Raises `UserError` without pyarrow."""
    arrow = _arrow()
    trials = store.state.trials
    header = {"sweeptui": VERSION, "sweep": plain(header_of(store.state))}
    schema = arrow.schema(_fields(arrow, trials.values()), metadata={HEADER: json.dumps(header).encode()})
    json_columns = {each.name for each in schema if (each.metadata or {}).get(ENCODING) == JSON}
    with arrow.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        records = records_of(store)
        while group := list(islice(records, GROUP)):
            rows = [_row(record, json_columns) for record in group]
            writer.write_table(arrow.Table.from_pylist(rows, schema=schema))
    return len(trials)


def _row(record: Record, json_columns: set[str]) -> dict[str, Any]:
    shape = {**row_of(record.trial), **nested_of(record)}
    return {name: _text(value) if name in json_columns else value for name, value in shape.items()}


def _text(value: Any) -> str:
    return json.dumps(plain(value), separators=(",", ":"))


def _fields(arrow: Any, trials: Iterable[Trial]) -> list[Any]:
    """A type for each column that holds all its values as they are; JSON where none does."""
    kept = list(trials)
    kinds: dict[str, set[Any]] = {name: set() for name in columns(kept)}
    for trial in kept:
        for name, value in row_of(trial).items():
            kinds[name].add(_kind(name, value))
    types = {"int": arrow.int64(), "float": arrow.float64(), "text": arrow.string(), "bool": arrow.bool_()}
    found = []
    for name, those in kinds.items():
        some = those - {"none"}
        if len(some) <= 1 and some <= types.keys():
            found.append(arrow.field(name, types[next(iter(some), "text")], metadata={ENCODING: FLAT}))
        else:
            found.append(arrow.field(name, arrow.string(), metadata={ENCODING: JSON}))
    return found + [arrow.field(name, arrow.string(), metadata={ENCODING: JSON}) for name in NESTED]


def _kind(name: str, value: Any) -> str:
    if value is None:
        return "none" if "." not in name else "null"  # a parameter that is null is not one that is not there
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if -(1 << 63) <= value < 1 << 63 else "other"
    if isinstance(value, float):
        return "float"
    return "text" if isinstance(value, str) and _is_unicode(value) else "other"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def source(path: Path) -> Source:
    """What `path` holds: one of our tables, or another one with a column for each parameter and metric."""
    arrow = _arrow()
    try:
        with arrow.parquet.ParquetFile(path) as file:
            metadata = file.schema_arrow.metadata or {}
    except (arrow.ArrowInvalid, OSError) as error:
        raise UserError(f"{path} cannot be read as Parquet: {error}") from None
    if HEADER not in metadata:
        return Source(str(path), lambda: _rows(arrow, path))
    header: Mapping[str, Any] = json.loads(metadata[HEADER])
    check_version(path, header["sweeptui"])
    return Source(str(path), lambda: _records(arrow, path), unplain(header["sweep"]))


def _rows(arrow: Any, path: Path) -> Iterator[dict[str, Any]]:
    with arrow.parquet.ParquetFile(path) as file:
        as_json = {each.name for each in file.schema_arrow if (each.metadata or {}).get(ENCODING) == JSON}
        for batch in file.iter_batches(batch_size=GROUP):
            for row in batch.to_pylist():
                yield {
                    name: unplain(json.loads(value)) if name in as_json else value
                    for name, value in row.items()
                    if value is not None
                }


def _records(arrow: Any, path: Path) -> Iterator[Record]:
    for number, row in enumerate(_rows(arrow, path), 1):
        try:
            yield trial_of(row)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UserError(f"{path}, row {number} is no trial of a sweep: {error}") from None
