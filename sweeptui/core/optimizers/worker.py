"""The optimizer process: `python -m sweeptui.core.optimizers.worker`, started by `OptimizerService`.

First line on stdin: `{"method", "space", "goals", "settings", "seed"}`. Then one request a line:
`{"id", "first_number", "n", "history"}`. One answer a line on stdout: `{"id", "suggestions"}`, or `{"id", "error"}`
with `"kind"` "exhausted", "user" or "failed". It ends when stdin does, also in the middle of a suggestion, so that it
never outlives its sweep.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any, TextIO

from sweeptui.core.errors import UserError
from sweeptui.core.optimizers.base import SpaceExhaustedError
from sweeptui.core.optimizers.messages import history_from_json, suggestions_to_json
from sweeptui.core.optimizers.registry import made, resolve
from sweeptui.core.priority import step_back
from sweeptui.core.space import Space

if TYPE_CHECKING:
    from sweeptui.core.optimizers.base import Optimizer


def main() -> None:
    step_back()  # a suggestion is prepared ahead and can wait
    replies = _claim_stdout()
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read_until_the_sweep_is_gone, args=(lines,), daemon=True).start()
    optimizer: Optimizer | str = _build(json.loads(lines.get()))
    while True:
        reply = _answer(optimizer, json.loads(lines.get()))
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def _claim_stdout() -> TextIO:
    """The pipe for answers; whatever a library prints goes to the log (stderr) instead."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return replies


def _read_until_the_sweep_is_gone(lines: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)


def _build(hello: dict[str, Any]) -> Optimizer | str:
    """The optimizer, or the user's mistake that stands in its way."""
    try:
        space = Space.from_json(hello["space"])
        return made(resolve(hello["method"]), space, hello["goals"], hello["settings"], hello["seed"])
    except UserError as error:
        return str(error)


def _answer(optimizer: Optimizer | str, request: dict[str, Any]) -> dict[str, Any]:
    if isinstance(optimizer, str):
        return {"id": request["id"], "error": optimizer, "kind": "user"}
    try:
        suggestions = optimizer.suggest(history_from_json(request["history"]), request["first_number"], request["n"])
        reply = {"id": request["id"], "suggestions": suggestions_to_json(suggestions)}
        json.dumps(reply)
    except SpaceExhaustedError as error:
        return {"id": request["id"], "error": str(error), "kind": "exhausted"}
    except Exception as error:  # noqa: BLE001 - a plug-in may raise anything; the sweep decides what follows
        traceback.print_exc()
        return {"id": request["id"], "error": f"{type(error).__name__}: {error}", "kind": "failed"}
    return reply


if __name__ == "__main__":
    main()
