"""W&B's run filters (a subset of MongoDB's) and orders."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fake_wandb.runs import Run

_MISSING = object()
_COLUMNS = {
    "name": "name",
    "displayName": "display_name",
    "display_name": "display_name",
    "group": "group",
    "jobType": "job_type",
    "job_type": "job_type",
    "state": "state",
    "tags": "tags",
    "sweep": "sweep",
    "createdAt": "created_at",
    "created_at": "created_at",
}


def matches(run: Run, wanted: Mapping[str, Any]) -> bool:
    """Whether a run is one that a filter asks for. ValueError for an operator that is not known."""
    for key, condition in wanted.items():
        if key == "$and":
            if not all(matches(run, part) for part in condition):
                return False
        elif key == "$or":
            if not any(matches(run, part) for part in condition):
                return False
        elif not _holds(_value(run, key), condition):
            return False
    return True


def sort_key(order: str) -> tuple[str, bool]:
    """The column that an order names, and whether it is descending."""
    return _COLUMNS.get(order.lstrip("+-"), "created_at"), order.startswith("-")


def _value(run: Run, key: str) -> Any:
    if key in _COLUMNS:
        return getattr(run, _COLUMNS[key])
    where, _, path = key.partition(".")
    held: Any = {"config": run.config, "summary_metrics": run.summary, "summary": run.summary}.get(where)
    if held is None:
        raise ValueError(f"no column {key!r}")
    path = path.removesuffix(".value") if where == "config" else path
    value = held.get(path, _MISSING)
    return value.get("value", _MISSING) if where == "config" and isinstance(value, Mapping) else value


def _holds(value: Any, condition: Any) -> bool:
    if not (isinstance(condition, Mapping) and any(str(key).startswith("$") for key in condition)):
        return bool(condition in value) if isinstance(value, list) else bool(value == condition)
    for operator, operand in condition.items():
        match operator:
            case "$eq":
                fine = value == operand
            case "$ne":
                fine = value != operand
            case "$in":
                fine = bool(set(value) & set(operand)) if isinstance(value, list) else value in operand
            case "$nin":
                fine = not (set(value) & set(operand)) if isinstance(value, list) else value not in operand
            case "$exists":
                fine = (value is not _MISSING and value is not None) == operand
            case "$regex":
                fine = isinstance(value, str) and re.search(operand, value) is not None
            case "$gt" | "$gte" | "$lt" | "$lte":
                fine = (
                    isinstance(value, int | float | str)
                    and {
                        "$gt": value > operand,
                        "$gte": value >= operand,
                        "$lt": value < operand,
                        "$lte": value <= operand,
                    }[operator]
                )
            case _:
                raise ValueError(f"no operator {operator!r}")
        if not fine:
            return False
    return True
