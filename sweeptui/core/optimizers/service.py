"""Suggestions without waiting: the sweep's end of the optimizer process."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import selectors
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeptui.core.optimizers import registry
from sweeptui.core.optimizers.base import History, SpaceExhaustedError, Suggestion
from sweeptui.core.optimizers.messages import request_line, suggestions_from_json
from sweeptui.core.optimizers.random import RandomOptimizer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweeptui.core.optimizers.base import Optimizer
    from sweeptui.core.space import Space

WORKER_COMMAND = (sys.executable, "-P", "-m", "sweeptui.core.optimizers.worker")
TRIES = 3
ANSWER_TIMEOUT_S = 300.0
"""After this long a worker is taken for hung. Far above any honest suggestion, start of the process included."""
GRACE_S = 1.0


@dataclass(frozen=True, slots=True)
class SuggestResult:
    """The answer to one request: suggestions for `first_number`, `first_number + 1`, ..., or why there are none.

    In a finite space there may be fewer than were asked for, and none with `exhausted` once all were used.
    `error` is one sentence about a mistake in the settings that no retry would mend.
    """

    first_number: int
    suggestions: tuple[Suggestion, ...] = ()
    exhausted: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class _Request:
    id: int
    history: History
    first_number: int
    n: int


class _WorkerFailedError(Exception):
    """The worker died, hung or raised; the message is one clause saying which."""


class OptimizerService:
    """Asks an optimizer for suggestions, one request at a time, and never makes its caller wait.

    A method that needs a process gets one, in a session of its own so that Ctrl-C in the terminal does not reach it.
    A worker that dies is started and asked again, which gives the same suggestions, since they depend on nothing but
    the request. After `TRIES` failures the suggestions are random ones that say so in their provenance.

    `fileno()` is readable while a result waits, for the caller's selector. Raises `UserError` at construction for an
    unknown method or settings that make no sense. `goals`: one for each objective.
    """

    def __init__(
        self,
        method: str,
        space: Space,
        goals: Sequence[str],
        settings: Mapping[str, Any],
        seed: int,
        *,
        log_path: Path | None = None,
        worker_command: Sequence[str] = WORKER_COMMAND,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> None:
        registry.check(method, settings)
        self._in_process = not registry.needs_process(method)
        hello = {
            "method": method,
            "space": space.to_json(),
            "goals": list(goals),
            "settings": dict(settings),
            "seed": seed,
        }
        self._worker = _Worker(worker_command, json.dumps(hello).encode() + b"\n", log_path, answer_timeout_s)
        self._fallback = RandomOptimizer(space, goal=goals[0], settings=settings, seed=seed)
        self._local = (
            registry.made(registry.resolve(method), space, goals, settings, seed)
            if self._in_process
            else self._fallback
        )
        self._results: queue.SimpleQueue[SuggestResult] = queue.SimpleQueue()
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._asked = 0
        self._busy = False
        self._closed = False
        self._thread: threading.Thread | None = None
        self._wake_read, self._wake_write = os.pipe()

    @property
    def busy(self) -> bool:
        """A request was made and its result has not been polled."""
        return self._busy

    @property
    def worker_pid(self) -> int | None:
        return self._worker.pid

    def start(self) -> None:
        """Start the worker ahead of the first request: importing its libraries takes seconds."""
        if not self._in_process and self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="optimizer-service", daemon=True)
            self._thread.start()

    def request(self, history: History, first_number: int, n: int = 1) -> None:
        """Ask for `n` suggestions. Raises `RuntimeError` while an earlier request is open, or after `close`."""
        if self._closed or self._busy:
            raise RuntimeError("the optimizer service is closed" if self._closed else "a request is already open")
        self._asked += 1
        self._busy = True
        request = _Request(self._asked, history, first_number, n)
        if self._in_process:
            self._deliver(self._draw(self._local, request))
        else:
            self.start()
            # Listed now, by the caller's thread: what a lazy sequence looks at may change under the service's.
            listed = History(
                tuple(history.observations),
                tuple(history.failures),
                tuple(history.pending),
                tuple(history.curves),
                tuple(history.prior),
                tuple(history.running),
            )
            self._requests.put(replace(request, history=listed))

    def poll(self) -> SuggestResult | None:
        """The result of the open request, or None while there is none yet."""
        try:
            result = self._results.get_nowait()
        except queue.Empty:
            return None
        os.read(self._wake_read, 1)
        self._busy = False
        return result

    def fileno(self) -> int:
        return self._wake_read

    def close(self) -> None:
        """End the worker. An open request is dropped. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        self._worker.close()
        if self._thread is not None:
            self._requests.put(None)
            self._thread.join()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _deliver(self, result: SuggestResult) -> None:
        self._results.put(result)
        os.write(self._wake_write, b"!")

    def _serve(self) -> None:
        with contextlib.suppress(_WorkerFailedError):
            self._worker.ensure_started()
        while (request := self._requests.get()) is not None:
            try:
                result = self._ask(request)
            except Exception as error:  # noqa: BLE001 - a caller that waits for ever would be worse than any error
                result = SuggestResult(request.first_number, error=f"no suggestion: {type(error).__name__}: {error}")
            if not self._closed:
                self._deliver(result)
        self._worker.kill()

    def _ask(self, request: _Request) -> SuggestResult:
        reason = ""
        for _ in range(TRIES):
            try:
                reply = self._worker.ask(request)
            except _WorkerFailedError as error:
                reason = str(error)
                if self._closed:
                    break
                continue
            if "suggestions" in reply:
                return SuggestResult(request.first_number, suggestions_from_json(reply["suggestions"]))
            if reply["kind"] == "exhausted":
                return SuggestResult(request.first_number, exhausted=True)
            if reply["kind"] == "user":
                return SuggestResult(request.first_number, error=reply["error"])
            reason = f"the optimizer raised {reply['error']}"
        return self._draw(self._fallback, request, fallback=f"drawn at random because {reason} ({TRIES} tries)")

    def _draw(self, optimizer: Optimizer, request: _Request, fallback: str = "") -> SuggestResult:
        try:
            drawn = optimizer.suggest(request.history, request.first_number, request.n)
        except SpaceExhaustedError:
            return SuggestResult(request.first_number, exhausted=True)
        if fallback:
            drawn = [replace(item, provenance={**item.provenance, "fallback": fallback}) for item in drawn]
        return SuggestResult(request.first_number, tuple(drawn))


class _Worker:
    """The child process. Used by the service's thread, except `close`."""

    def __init__(self, command: Sequence[str], hello: bytes, log_path: Path | None, answer_timeout_s: float) -> None:
        self._command = tuple(command)
        self._hello = hello
        self._log_path = log_path
        self._timeout_s = answer_timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def ensure_started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.kill()
        with self._lock:
            if self._closed:
                raise _WorkerFailedError("the sweep is ending")
            try:
                with Path(self._log_path or os.devnull).open("ab") as log:
                    process = subprocess.Popen(
                        self._command,
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        stderr=log,
                        start_new_session=True,
                        env=os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONUTF8": "1"},
                    )
            except OSError as error:
                raise _WorkerFailedError(f"the optimizer process could not be started: {error}") from error
            self._process = process
        self._send(self._hello)
        return process

    def ask(self, request: _Request) -> dict[str, Any]:
        """One request and its answer; raises `_WorkerFailedError`, after which the next call starts a new process."""
        self.ensure_started()
        self._send(request_line(request.id, request.history, request.first_number, request.n))
        try:
            reply: dict[str, Any] = json.loads(self._receive())
        except ValueError as error:
            self.kill()
            raise _WorkerFailedError("the optimizer process answered with something that is not JSON") from error
        return reply

    def _send(self, line: bytes) -> None:
        # A blocking write cannot deadlock: the worker has a thread that does nothing but read.
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
        except (OSError, ValueError):
            raise _WorkerFailedError(self._how_it_ended()) from None

    def _receive(self) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        answer = bytearray()
        deadline = time.monotonic() + self._timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while not answer.endswith(b"\n"):
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    self.kill()
                    raise _WorkerFailedError(f"the optimizer process gave no answer in {self._timeout_s:g} s")
                block = os.read(pipe, 1 << 16)
                if not block:
                    raise _WorkerFailedError(self._how_it_ended())
                answer += block
        return bytes(answer)

    def _how_it_ended(self) -> str:
        process = self._process
        self.kill()
        code = None if process is None else process.returncode
        if code is not None and code < 0:
            return f"the optimizer process was killed by signal {-code}"
        return f"the optimizer process ended with exit code {code}"

    def kill(self) -> None:
        """End the process, whatever it is doing, and wait for it."""
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    def close(self) -> None:
        """From any thread: no process is started any more, and one that is busy is ended."""
        with self._lock:
            self._closed = True
            process = self._process
        if process is not None:
            process.kill()
