"""What a file that is not ours says of a trial, and the search space that its trials span."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sweeptui.core.config import SweepTool
from sweeptui.core.errors import UserError
from sweeptui.exchange.fitting import is_number
from sweeptui.exchange.records import Record, plain

if TYPE_CHECKING:
    from sweeptui.exchange.records import Source

STATES = {
    "completed": ("completed", "complete", "finished", "success", "succeeded", "done", "ok", "terminated"),
    "failed": ("failed", "fail", "failure", "crashed", "killed", "error"),
    "stopped": ("stopped", "pruned"),
}
_STATE_OF = {word: status for status, words in STATES.items() for word in words}
FIELDS = ("number", "status", "state", "cost", "reason", "started_at", "ended_at", "step")
"""Columns that are no parameters, besides the metrics."""
SCORES = ("score", "value")
"""What the metric of a sweep with one may also be called."""
PREFIXES = ("", "params.", "params_", "config.", "config/", "user_params.")
LOG_SPAN = 100.0
"""Floats that differ by such a factor are taken to have been searched on a logarithmic axis."""
MAX_VALUES = 1000


def structured(row: Mapping[str, Any], names: Iterable[str] | None, metrics: Sequence[str]) -> dict[str, Any]:
    """A row as `params`, `metrics`, `status` (None where it has not ended) and the rest of `FIELDS`.

    `names`: the parameters; where they are not known, all columns that are nothing else.
    """
    if isinstance(row.get("params"), Mapping):
        found = {**row, "metrics": dict(row.get("metrics") or {})}
        for metric in metrics:
            if metric not in found["metrics"] and metric in row:
                found["metrics"][metric] = row[metric]
    else:
        found = {name: row[name] for name in FIELDS if name in row}
        found["metrics"] = {
            name.removeprefix("metrics."): value
            for name, value in row.items()
            if name in metrics or name.startswith("metrics.")
        }
        found["params"] = _params(row, names, metrics)
    score = next((name for name in SCORES if name in row), None)
    if len(metrics) == 1 and metrics[0] not in found["metrics"] and score is not None:
        found["metrics"][metrics[0]] = row[score]
    if "status" not in found or found["status"] not in (*STATES, None):
        found["status"] = _status(found)
    return found


def _params(row: Mapping[str, Any], names: Iterable[str] | None, metrics: Sequence[str]) -> dict[str, Any]:
    if names is not None:
        here = {name: next((each + name for each in PREFIXES if each + name in row), None) for name in names}
        return {name: row[column] for name, column in here.items() if column is not None}
    prefix = next((each for each in PREFIXES[1:] if any(name.startswith(each) for name in row)), "")
    other = {*FIELDS, *SCORES, *metrics}
    return {
        name.removeprefix(prefix): value
        for name, value in row.items()
        if name.startswith(prefix) and not name.startswith("metrics.") and (prefix or name not in other)
    }


def _status(found: Mapping[str, Any]) -> str | None:
    word = found.get("state", found.get("status"))
    if word is None:
        return "completed"  # without a score it has failed, which is found out later
    return _STATE_OF.get(str(word).lower().rpartition(".")[2])


# -- a search space of what there is


def tool_of(source: Source, metric: str | None, goal: str | None) -> SweepTool:
    """A sweep of the space that the source's trials span, which can be looked at and learnt from.

    Raises `UserError` where the source does not say what was searched for, and `metric` and `goal` do not either.
    """
    goals = list(source.goals)
    if goal is not None or (metric is not None and not goals):
        if len(goals) > 1:
            raise UserError(f"{source.said} has {len(goals)} metrics; leave out --metric and --goal, or give --recipe")
        goals = [(metric or (goals[0][0] if goals else "score"), goal or (goals[0][1] if goals else ""))]
    if not goals or not all(goal for _, goal in goals):
        raise UserError(f"{source.said} does not say which way is better; add --goal maximize or minimize, or --recipe")
    metrics = [name for name, _ in goals]
    spans = _Spans()
    for row in source.rows():
        spans.add(row.trial.params if isinstance(row, Record) else structured(row, None, metrics)["params"])
    parameters = spans.parameters(source.parameters)
    if not parameters:
        raise UserError(f"{source.said} has no trial with a parameter")
    sought = {"metric": metrics[0], "goal": goals[0][1]}
    if len(goals) > 1:
        sought = {"metrics": [{"name": name, "goal": goal} for name, goal in goals]}  # type: ignore[dict-item]
    return SweepTool.from_json({"protein_config": {**sought, "method": "bayes", "parameters": parameters}})


class _Spans:
    """What values each parameter has, and which trials lack it."""

    def __init__(self) -> None:
        self._values: dict[str, dict[str, Any]] = {}
        self._ranges: dict[str, list[float]] = {}
        self._floats: set[str] = set()
        self._others: set[str] = set()
        self._count: dict[str, int] = {}
        self._having: Counter[tuple[str, str]] = Counter()
        """How many trials have that parameter with that value, of text and true and false."""
        self._both: Counter[tuple[str, tuple[str, str]]] = Counter()
        """And of these, how many have another parameter besides."""
        self._trials = 0

    def add(self, params: Mapping[str, Any]) -> None:
        self._trials += 1
        for name, value in params.items():
            self._count[name] = self._count.get(name, 0) + 1
            if is_number(value):
                span = self._ranges.setdefault(name, [value, value])
                span[:] = min(span[0], value), max(span[1], value)
                self._floats |= {name} if isinstance(value, float) else set()
            else:
                self._others.add(name)
            values = self._values.setdefault(name, {})
            if len(values) <= MAX_VALUES:
                values[json.dumps(plain(value), sort_keys=True)] = value
        for other, value in params.items():
            if isinstance(value, str | bool):
                here = (other, json.dumps(value))
                self._having[here] += 1
                self._both.update((name, here) for name in params)

    def parameters(self, known: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """The parameters as a configuration has them, `known` ones as they are said to be."""
        found = {}
        for name in self._count:
            fields = dict(known.get(name) or self._fields(name))
            if self._count[name] < self._trials and (when := self._when(name)):
                fields["when"] = when
            found[name] = fields
        return found

    def _fields(self, name: str) -> dict[str, Any]:
        values = [each for each in self._values[name].values() if not isinstance(each, float) or is_number(each)]
        if not values or len(values) == 1:
            return {"value": values[0] if values else None}
        if name in self._others and any(not is_number(each) for each in values):
            return {"distribution": "categorical", "values": values}
        low, high = self._ranges[name]
        if name not in self._floats:
            return {"distribution": "int_uniform", "min": low, "max": high}
        return {
            "distribution": "log_normal" if low > 0 and high / low >= LOG_SPAN else "uniform",
            "min": low,
            "max": high,
        }

    def _when(self, name: str) -> str:
        """A condition on a parameter that all trials have, by whose value this one is there or not; empty for none."""
        for other, count in self._count.items():
            if other == name or count < self._trials:
                continue
            shares = {
                value: self._both[name, (who, value)] / n for (who, value), n in self._having.items() if who == other
            }
            if shares and all(share in (0, 1) for share in shares.values()):
                having = [json.loads(value) for value, share in shares.items() if share]
                return " or ".join(f"{other} == {value!r}" for value in having)
        return ""
