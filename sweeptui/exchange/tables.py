"""A trial as one row of a table: its fields, each parameter and each metric in a column of its own."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from sweeptui.core.trial import Trial
from sweeptui.exchange.records import Record, plain, record_from, unplain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PARAMS, METRICS = "params.", "metrics."
FIRST = ("number", "status", "failure", "score", "cost", "spent")
"""Before the parameters; the other fields come last."""
_GROUPS = {"params", "metrics"}
REST = tuple(each.name for each in fields(Trial) if each.name not in _GROUPS and each.name not in FIRST)
OWN = frozenset({"number", "status", "seed", "created_at"})
"""Columns that tell a table of ours from others."""
_PLAIN_TEXT = re.compile(r"[^\W\d_][^\x00-\x1f\x7f\ud800-\udfff]*|/[^\x00-\x1f\x7f\ud800-\udfff]+")
_WORDS = frozenset({"true", "false", "null", "nan", "inf", "infinity"})


def columns(trials: Iterable[Trial]) -> list[str]:
    """All columns that the trials need."""
    params: dict[str, None] = {}
    metrics: dict[str, None] = {}
    for trial in trials:
        params.update(dict.fromkeys(trial.params))
        metrics.update(dict.fromkeys(trial.metrics))
    return [*FIRST, *(PARAMS + name for name in params), *(METRICS + name for name in sorted(metrics)), *REST]


def row_of(trial: Trial) -> dict[str, Any]:
    """The values by column; a parameter that the trial does not have has none."""
    row = {name: getattr(trial, name) for name in (*FIRST, *REST)}
    row |= {PARAMS + name: value for name, value in trial.params.items()}
    return row | {METRICS + name: value for name, value in trial.metrics.items()}


def trial_of(row: Mapping[str, Any]) -> Record:
    """The reverse, from the columns that have a value. Raises as `record_from` does."""
    shape: dict[str, Any] = {"params": {}, "metrics": {}}
    for column, value in row.items():
        if column.startswith(PARAMS):
            shape["params"][column.removeprefix(PARAMS)] = value
        elif column.startswith(METRICS):
            shape["metrics"][column.removeprefix(METRICS)] = value
        else:
            shape[column] = value
    return record_from({name: plain(value) for name, value in shape.items()})


# -- cells of text


def cell(value: Any) -> str:
    """A value as the text of a cell, from which `value_of` reads the same value again.

    Text stands as it is where it begins with a letter or a slash and could be nothing else. All other text is JSON in
    quotes: so no cell made of text begins with = + - or @, which a spreadsheet would take for a formula.
    """
    if isinstance(value, str):
        bare = _PLAIN_TEXT.fullmatch(value) and value.lower() not in _WORDS and value == value.strip()
        return str(value) if bare else json.dumps(str(value))
    if isinstance(value, float):
        return repr(value)
    return json.dumps(plain(value), separators=(",", ":"))


def value_of(text: str) -> Any:
    """The value of a cell that is not empty."""
    if text.lower() in ("nan", "inf", "-inf", "+inf", "infinity", "-infinity"):
        return float(text)
    try:
        return unplain(json.loads(text))
    except (ValueError, RecursionError):
        return text
