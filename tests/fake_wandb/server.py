"""The server on the loopback, with the faults that a test asks for."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from fake_wandb.graphql import Field, GraphQLError, Spread, parse, project
from fake_wandb.runs import AbsentError, DeletedError, Runs
from fake_wandb.schema import ENTITY, root

KEY = "0123456789" * 4
"""The one that is let in."""


@dataclass(frozen=True)
class Request:
    """One that came in."""

    operation: str
    """What GraphQL calls it, and where it has no name, the first field; file_stream, upload, or telemetry."""
    variables: Mapping[str, Any]
    run: str = ""
    """The id of the run that it is about, where it names one."""


@dataclass
class Fault:
    """What is done to requests instead of, or after, answering them."""

    match: str = ""
    """A regular expression for the operation; empty for all."""
    times: int = 1
    """How many requests; -1 for all until it is taken back."""
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    errors: list[str] | None = None
    """An answer 200 with these GraphQL errors and no data."""
    delay_s: float = 0.0
    drop: bool = False
    """Close the connection without an answer."""
    commit: bool = False
    """First do what was asked."""
    where: Callable[[Request], bool] = lambda request: True
    fired: int = 0

    def takes(self, request: Request) -> bool:
        return self.times != 0 and re.search(self.match, request.operation) is not None and self.where(request)


class FakeWandb:
    """A W&B server for one test: `with FakeWandb() as server: ... server.url, server.environment(...)`.

    On leaving, AssertionError where anybody asked for an operation that is not known.
    """

    def __init__(self, *, key: str = KEY, port: int = 0) -> None:
        self.runs = Runs()
        self.key = key
        self.requests: list[Request] = []
        self.unknown: list[str] = []
        self.faults: list[Fault] = []
        self._lock = threading.Lock()
        self._server: _Server | None = None
        self._port = port
        self.start()

    # -- what a test does

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def environment(self, folder: str, **more: str) -> dict[str, str]:
        """What a process needs to speak to this server, and to keep all its files in `folder`."""
        return {
            "WANDB_BASE_URL": self.url,
            "WANDB_API_KEY": self.key,
            "WANDB_ENTITY": ENTITY,
            "WANDB_DIR": folder,
            "WANDB_CACHE_DIR": folder,
            "WANDB_CONFIG_DIR": folder,
            "WANDB_DATA_DIR": folder,
            "WANDB_ERROR_REPORTING": "false",
            "WANDB_SILENT": "true",
            "NO_PROXY": "*",
            **more,
        }

    def fault(self, match: str = "", **how: Any) -> Fault:
        """Add a fault; its `fired` says how often it has struck."""
        added = Fault(match, **how)
        with self._lock:
            self.faults.append(added)
        return added

    def mend(self) -> None:
        """Take all faults back."""
        with self._lock:
            self.faults.clear()

    def counts(self) -> Counter[str]:
        """How many requests there were of each operation."""
        with self._lock:
            return Counter(request.operation for request in self.requests)

    def start(self) -> None:
        """Listen, on the same port as before."""
        if self._server is None:
            self._server = _Server(("127.0.0.1", self._port), self)
            self._port = self._server.server_address[1]
            threading.Thread(target=self._server.serve_forever, args=[0.05], name="fake W&B", daemon=True).start()

    def stop(self) -> None:
        """Be away: connections are refused, those that are open are cut. What was written stays."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.cut()
            self._server = None

    def __enter__(self) -> FakeWandb:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.stop()
        if kind is None:
            assert not self.unknown, f"operations that the server does not know: {self.unknown}"

    # -- what the handler does

    def strike(self, request: Request) -> Fault | None:
        """Write the request down; the fault that strikes it."""
        with self._lock:
            self.requests.append(request)
            for fault in self.faults:
                if fault.takes(request):
                    fault.times -= fault.times > 0
                    fault.fired += 1
                    return fault
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], fake: FakeWandb) -> None:
        self.fake = fake
        self.connections: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def cut(self) -> None:
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


Answer = tuple[int, Any]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        super().finish()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_PUT(self) -> None:
        self._serve("PUT")

    def _serve(self, method: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = [unquote(part) for part in self.path.split("?")[0].strip("/").split("/")]
        request, act = self._understood(method, path, body)
        fault = self.server.fake.strike(request)
        if fault is None:
            return self._answer(*act())
        if fault.delay_s:
            # Not time.sleep: a server that is stopped must not be waited for.
            threading.Event().wait(fault.delay_s)
        answer = act() if fault.commit or (fault.delay_s and not fault.drop) else None
        if fault.drop:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return None
        if fault.status is not None:
            return self._answer(fault.status, {"error": f"fault {fault.status}"}, fault.headers)
        if fault.errors is not None:
            return self._answer(200, {"data": None, "errors": [{"message": text} for text in fault.errors]})
        return self._answer(*(answer or act()))

    def _understood(self, method: str, path: list[str], body: bytes) -> tuple[Request, Callable[[], Answer]]:
        fake = self.server.fake
        match path:
            case ["graphql"]:
                return self._graphql(json.loads(body))
            case ["files", entity, name, run, "file_stream"] if method == "POST":
                sent = json.loads(body or b"{}")
                return Request("file_stream", sent, run), lambda: self._stream((entity, name, run), sent)
            case ["upload", entity, name, run, *file] if method == "PUT":
                return Request("upload", {"file": "/".join(file)}, run), lambda: self._upload(
                    (entity, name, run), "/".join(file), body
                )
            case ["sdk", "otel", *_]:
                return Request("telemetry", {}), lambda: (200, {})
        fake.unknown.append(f"{method} {self.path}")
        return Request(self.path, {}), lambda: (404, {"error": "unknown path"})

    def _graphql(self, sent: dict[str, Any]) -> tuple[Request, Callable[[], Answer]]:
        variables = sent.get("variables") or {}
        try:
            document = parse(sent["query"], variables)
        except GraphQLError as error:
            self.server.fake.unknown.append(f"{error} in {sent['query']}")
            return Request("unreadable", variables), lambda: (400, {"errors": [{"message": "unreadable"}]})
        first = next((part for part in document.selection if isinstance(part, Field)), None)
        name = document.name or (first.name if first else "")
        about = str(variables.get("name") or variables.get("run") or variables.get("runName") or "")

        def act() -> Answer:
            if not self._let_in():
                return 401, {"errors": [{"message": "user is not logged in"}]}
            fake = self.server.fake
            fields = root(fake.runs, fake.url)
            unknown = [part.name for part in document.selection if isinstance(part, Field) and part.name not in fields]
            if unknown or any(isinstance(part, Spread) for part in document.selection):
                fake.unknown.append(sent["query"])
                return 400, {"errors": [{"message": f'Cannot query field "{unknown}"'}]}
            try:
                return 200, {"data": project(document, document.selection, fields)}
            except GraphQLError as error:
                fake.unknown.append(f"{error} in {sent['query']}")
                return 400, {"errors": [{"message": str(error)}]}
            except DeletedError as error:
                text = f"Error 1062: run {error} was previously created and deleted; try a new run name"
                return 409, {"errors": [{"message": text}]}
            except AbsentError as error:
                return 404, {"errors": [{"message": f"{error} not found"}]}
            except ValueError as error:
                fake.unknown.append(f"{error} in the variables {variables}")
                return 400, {"errors": [{"message": str(error)}]}

        return Request(name, variables, about), act

    def _let_in(self) -> bool:
        wanted = base64.b64encode(f"api:{self.server.fake.key}".encode()).decode()
        return self.headers.get("Authorization") == f"Basic {wanted}"

    def _stream(self, key: tuple[str, str, str], sent: dict[str, Any]) -> Answer:
        try:
            return 200, {"stopped": self.server.fake.runs.stream(key, sent).stop_asked}
        except AbsentError:
            return 404, {"error": "no such run"}

    def _upload(self, key: tuple[str, str, str], file: str, body: bytes) -> Answer:
        try:
            self.server.fake.runs.change(key, lambda run: run.uploaded.update({file: body}))
        except AbsentError:
            return 404, {"error": "no such run"}
        return 200, {}

    def _answer(self, status: int, content: Any, headers: Mapping[str, str] | None = None) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
