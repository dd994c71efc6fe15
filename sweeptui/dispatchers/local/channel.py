"""The orchestrator's end of the launcher: starts it, and asks it to launch jobs."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sweeptui
from sweeptui.core.dispatch import DispatchError
from sweeptui.dispatchers.local.files import read_json
from sweeptui.dispatchers.local.processes import boot_id, send

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# The package's folder comes last, so that nothing beside it can shadow the standard library.
RUN = "import sys; sys.path.append(sys.argv[1]); import sweeptui.dispatchers.local.launcher as it; it.main(sys.argv[2])"
PACKAGE_FOLDER = Path(sweeptui.__file__).resolve().parents[1]
LOCK_S = 30.0
LEAVE_S = 1.0


def interpreter() -> list[str]:
    """A Python that starts fast: isolated and without site-packages, with the text encoding of this one."""
    return [sys.executable, "-I", "-S", "-X", f"utf8={sys.flags.utf8_mode}"]


class LauncherGoneError(Exception):
    """The launcher ended before it answered. Whether it launched is seen on disk, once another one has the lock."""


class LauncherChannel:
    """A launcher process and the socket to it."""

    def __init__(self, lock_path: Path, environ: Mapping[str, str]) -> None:
        self._lock_path, self._environ = lock_path, environ
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    @property
    def pid(self) -> int | None:
        """The launcher's pid while there is one."""
        return self._process.pid if self._process else None

    def start(self, take_over: bool = False) -> None:
        """Start a launcher. When this returns no earlier launch is in flight. Raises DispatchError.

        `take_over`: end a launcher that still holds the lock. It serves an orchestrator that has lost the sweep, and
        does not even know it: it was stopped, or it hangs.
        """
        self.close()
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [*interpreter(), "-c", RUN, str(PACKAGE_FOLDER), str(self._lock_path)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=dict(self._environ),
                start_new_session=True,
            )
        try:
            self._await_lock(take_over)
        except TimeoutError:
            self._process.kill()
            self.close()
            raise DispatchError(
                f"{self._lock_path} is held: another process still launches jobs of this sweep; end it and try again"
            ) from None
        except LauncherGoneError:
            raise DispatchError(f"the process that launches jobs did not start: {self._last_words()}") from None
        self._socket.settimeout(None)

    def _await_lock(self, take_over: bool) -> None:
        assert self._socket is not None
        if take_over:
            # One whose orchestrator has ended leaves by itself, in some milliseconds.
            self._socket.settimeout(LEAVE_S)
            with contextlib.suppress(TimeoutError):
                self._receive()
                return
            holder = read_json(self._lock_path) or {}
            if holder.get("boot") == boot_id():
                # Keepers that it has forked and that have not started their jobs yet share the lock: they finish.
                send(holder["pid"], holder["start"], signal.SIGKILL)
        self._socket.settimeout(LOCK_S)
        self._receive()

    def ask(self, requests: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Have jobs launched; the launcher's answers in their order. Raises LauncherGoneError."""
        if self._socket is None:
            raise LauncherGoneError
        try:
            self._socket.sendall(json.dumps(requests).encode() + b"\n")
            return self._receive()
        except OSError:
            raise LauncherGoneError from None
        except BaseException:
            # Interrupted half-way: the answer would be taken for that of the next request.
            self.close()
            raise

    def close(self) -> None:
        """Let the launcher go. It ends by itself; what it launched stays."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            try:
                self._process.wait(timeout=5.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            if self._process.stderr is not None:
                self._process.stderr.close()
            self._process = None

    def _receive(self) -> list[dict[str, Any]]:
        assert self._socket is not None
        answer = b""
        while not answer.endswith(b"\n"):
            try:
                part = self._socket.recv(65536)
            except ConnectionError:
                part = b""
            if not part:
                raise LauncherGoneError
            answer += part
        answers: list[dict[str, Any]] = json.loads(answer)
        return answers

    def _last_words(self) -> str:
        words = b""
        if self._process is not None and self._process.stderr is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                words = self._process.communicate(timeout=5.0)[1]
        lines = words.decode(errors="replace").strip().splitlines()
        self.close()
        return lines[-1] if lines else "it ended without a word"
