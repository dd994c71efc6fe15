"""The real gateway, as the dispatcher has it: a `worker` process, started when it is first needed."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import Future
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeptui.dispatchers.skypilot.gateway import GatewayError, Place, Sighting, Submission

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LIMIT_S = 1800.0
"""A call that takes longer is given up: a launch may wait long for a machine, everything else takes minutes at most."""
CLOSE_S = 5.0


class WorkerGateway:
    """Implements `gateway.Gateway`, and asks what there is to know before a sweep."""

    def __init__(self, place: Place, log: Path | None = None, lock: Path | None = None) -> None:
        """`log`: where SkyPilot's own output goes. `lock`: held by the worker, so that a sweep has one at a time."""
        self._place, self._log, self._lock_path = place, log, lock
        self._guard = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._waiting: dict[int, Future[Any]] = {}
        self._takers: dict[int, Callable[[Sequence[str]], None]] = {}
        """Of what is followed: who gets the lines."""
        self._last = 0
        self._closed = False

    def submit(self, submission: Submission) -> str:
        return str(self._call("submit", submission.to_json()))

    def poll_many(self, names: Sequence[str]) -> dict[str, list[Sighting]]:
        return _sightings(self._call("poll_many", list(names)))

    def find_by_name(self, names: Sequence[str]) -> dict[str, list[Sighting]]:
        return _sightings(self._call("find_by_name", list(names)))

    def logs(self, name: str, remote_id: str, tail: int | None) -> list[str]:
        return list(self._call("logs", name, remote_id, tail))

    def follow(self, name: str, remote_id: str, tail: int | None, take: Callable[[Sequence[str]], None]) -> None:
        self._call("follow", name, remote_id, tail, take=take)

    def unfollow(self, name: str) -> None:
        self._call("unfollow", name)

    def cancel(self, name: str, remote_id: str) -> None:
        self._call("cancel", name, remote_id)

    def down(self, name: str) -> None:
        self._call("down", name)

    def standing(self, suffix: str) -> list[str]:
        return list(self._call("standing", suffix))

    def ours(self) -> list[tuple[str, str]]:
        """Names of jobs of sweeps that are not over, each with what it is: "cluster" or "managed job"."""
        return [(name, kind) for name, kind in self._call("ours")]

    def clouds(self) -> list[str]:
        """The clouds that SkyPilot may use."""
        return list(self._call("clouds"))

    def estimate(self, task: Mapping[str, Any]) -> dict[str, Any]:
        """`resources` that SkyPilot's optimizer chooses for a task, and their `price_usd_h` (None: unknown)."""
        return dict(self._call("estimate", dict(task)))

    def close(self) -> None:
        with self._guard:
            self._closed = True
            process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None
            with contextlib.suppress(OSError):
                process.stdin.close()
            try:
                process.wait(CLOSE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._fail("SkyPilot is not asked any more")

    def _call(self, operation: str, *args: Any, take: Callable[[Sequence[str]], None] | None = None) -> Any:
        with self._guard:
            if self._closed:
                raise GatewayError("SkyPilot is not asked any more", again=True)
            process = self._process if self._process is not None else self._start()
            self._last += 1
            number, future = self._last, Future[Any]()
            self._waiting[number] = future
            if take is not None:
                self._takers[number] = take
            try:
                assert process.stdin is not None
                process.stdin.write(json.dumps({"id": number, "op": operation, "args": args}) + "\n")
                process.stdin.flush()
            except OSError:
                self._waiting.pop(number, None)
                self._takers.pop(number, None)
                raise GatewayError("the process that talks to SkyPilot has ended", again=True) from None
        try:
            return future.result(None if take is not None else LIMIT_S)
        except TimeoutError:
            raise GatewayError(f"SkyPilot did not answer {operation} within {LIMIT_S:g} s", again=True) from None

    def _start(self) -> subprocess.Popen[str]:
        words = [sys.executable, "-m", "sweeptui.dispatchers.skypilot.worker", json.dumps(asdict(self._place))]
        if self._lock_path is not None:
            words.append(str(self._lock_path))
        log = subprocess.DEVNULL if self._log is None else os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
                # Ctrl-C in the terminal is for the sweep; the worker ends when its stdin does.
                start_new_session=True,
            )
        except OSError as error:
            raise GatewayError(f"the process that talks to SkyPilot cannot be started: {error.strerror}") from None
        finally:
            if log >= 0:
                os.close(log)
        threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()
        return self._process

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            answer = json.loads(line)
            with self._guard:
                taker = self._takers.get(answer["id"])
                if "lines" not in answer:
                    self._takers.pop(answer["id"], None)
                    future = self._waiting.pop(answer["id"], None)
            if "lines" in answer:
                if taker is not None:
                    taker(answer["lines"])
                continue
            if future is None:
                continue
            if "error" in answer:
                future.set_exception(GatewayError(answer["error"], again=answer["again"]))
            else:
                future.set_result(answer["ok"])
        with self._guard:
            if self._process is process:
                self._process = None
        process.wait()
        self._fail(f"the process that talks to SkyPilot has ended{self._last_words()}")

    def _fail(self, message: str) -> None:
        with self._guard:
            waiting, self._waiting = self._waiting, {}
            self._takers = {}
        for future in waiting.values():
            future.set_exception(GatewayError(message, again=True))

    def _last_words(self) -> str:
        if self._log is None:
            return ""
        with contextlib.suppress(OSError):
            lines = self._log.read_text(errors="replace").strip().splitlines()
            return f": {lines[-1][:300]}" if lines else ""
        return ""


def _sightings(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, list[Sighting]]:
    return {name: [Sighting.from_json(each) for each in seen] for name, seen in found.items()}
