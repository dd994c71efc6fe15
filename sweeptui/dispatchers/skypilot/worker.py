"""The process that talks to SkyPilot: requests come as JSON lines on stdin, answers go as JSON lines to stdout.

    {"id": 1, "op": "logs", "args": ["st-lr-0001-t1-0a1b2c", "7", 400]}
    {"id": 1, "ok": [...]}  or  {"id": 1, "error": "one sentence", "again": false}

A log that is followed comes as `{"id": 2, "lines": [...]}`, again and again before the answer.

It ends when its stdin does, and so with whoever started it, whatever happened to that one.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from sweeptui.dispatchers.skypilot.gateway import GatewayError, Place, Submission

if TYPE_CHECKING:
    from sweeptui.dispatchers.skypilot.sdk import SkyGateway

THREADS = 24
OPERATIONS = frozenset(
    {
        *("submit", "poll_many", "find_by_name", "logs", "follow", "unfollow", "cancel", "down", "standing"),
        *("ours", "clouds", "estimate"),
    }
)


def main() -> None:
    """`worker.py PLACE [LOCK]`: a `Place` as JSON, and a file that only one worker of a sweep holds at a time."""
    place = Place(**json.loads(sys.argv[1]))
    # Whatever SkyPilot prints goes to the log: stdout is for answers only.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    if len(sys.argv) > 2:
        # A worker that is about to end may still be launching something.
        fcntl.flock(os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644), fcntl.LOCK_EX)
    # These imports take seconds.
    from sweeptui.dispatchers.skypilot.sdk import SkyGateway, translated  # noqa: PLC0415
    from sweeptui.dispatchers.skypilot.warm import WarmGateway  # noqa: PLC0415

    gateway, writing = (WarmGateway if place.clusters else SkyGateway)(place), threading.Lock()

    def say(answer: dict[str, Any]) -> None:
        with writing:
            answers.write(json.dumps(answer) + "\n")
            answers.flush()

    def serve(request: dict[str, Any]) -> None:
        answer: dict[str, Any] = {"id": request["id"]}
        take = [lambda lines: say({"id": request["id"], "lines": lines})] if request["op"] == "follow" else []
        try:
            answer["ok"] = translated(lambda: _do(gateway, request["op"], [*request["args"], *take]))
        except GatewayError as error:
            answer |= {"error": str(error), "again": error.again}
        say(answer)

    pool = ThreadPoolExecutor(THREADS)
    for line in sys.stdin:
        pool.submit(serve, json.loads(line))
    # Threads that wait for SkyPilot cannot be ended otherwise.
    os._exit(0)


def _do(gateway: SkyGateway, operation: str, args: list[Any]) -> Any:
    if operation not in OPERATIONS:
        raise GatewayError(f"there is no operation {operation!r}")
    if operation == "submit":
        return gateway.submit(Submission.from_json(args[0]))
    result = getattr(gateway, operation)(*args)
    if operation in ("poll_many", "find_by_name"):
        return {name: [sighting.to_json() for sighting in seen] for name, seen in result.items()}
    return result


if __name__ == "__main__":
    main()
