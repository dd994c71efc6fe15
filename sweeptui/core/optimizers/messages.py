"""What goes over the pipe between a sweep and its optimizer process: one JSON object a line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sweeptui.core.optimizers.base import FailedTrial, History, PendingTrial, Suggestion
from sweeptui.core.trial import Observation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def request_line(request_id: int, history: History, first_number: int, n: int) -> bytes:
    """The request as it is sent.

    Put together trial by trial: one call of the JSON encoder on 10,000 trials would hold the interpreter's lock, and
    so the sweep's loop, for tens of milliseconds.
    """
    observations, curves, prior, running = (
        ",".join(json.dumps([o.number, dict(o.params), o.score, o.cost, o.fidelity, o.scores]) for o in part)
        for part in (history.observations, history.curves, history.prior, history.running)
    )
    failures = ",".join(json.dumps([f.number, dict(f.params), f.kind]) for f in history.failures)
    pending = ",".join(json.dumps([p.number, dict(p.params)]) for p in history.pending)
    return (
        f'{{"id": {request_id}, "first_number": {first_number}, "n": {n}, "history": '
        f'{{"observations": [{observations}], "failures": [{failures}], "pending": [{pending}], '
        f'"curves": [{curves}], "prior": [{prior}], "running": [{running}]}}}}\n'
    ).encode()


def history_from_json(data: Mapping[str, Any]) -> History:
    return History(
        observations=tuple(_observation(item) for item in data["observations"]),
        failures=tuple(FailedTrial(*item) for item in data["failures"]),
        pending=tuple(PendingTrial(*item) for item in data["pending"]),
        curves=tuple(_observation(item) for item in data["curves"]),
        prior=tuple(_observation(item) for item in data["prior"]),
        running=tuple(_observation(item) for item in data["running"]),
    )


def _observation(item: Sequence[Any]) -> Observation:
    number, params, score, cost, fidelity, scores = item
    return Observation(number, params, score, cost, fidelity, tuple(scores))


def suggestions_to_json(suggestions: Iterable[Suggestion]) -> list[dict[str, Any]]:
    return [{"params": dict(item.params), "provenance": dict(item.provenance)} for item in suggestions]


def suggestions_from_json(data: Iterable[Mapping[str, Any]]) -> tuple[Suggestion, ...]:
    return tuple(Suggestion(params=item["params"], provenance=item["provenance"]) for item in data)
