"""The server behind `sweeptui serve`: a page, its files, and a websocket for each tab."""

from __future__ import annotations

import asyncio
import errno
import html
import json
import secrets
import signal
import socket as sockets
import sys
import webbrowser
from dataclasses import dataclass
from importlib.resources import as_file, files
from string import Template
from typing import TYPE_CHECKING, Any

import click
from aiohttp import WSCloseCode, WSMsgType, hdrs, web
from aiohttp.helpers import content_disposition_header
from textual_serve.download_manager import DownloadManager

from sweeptui.core.errors import UserError
from sweeptui.web.security import HEADERS, WILDCARDS, Gate, Hosts, is_loopback, page_policy
from sweeptui.web.tab import GRACE_S, Tab

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.resources.abc import Traversable
    from pathlib import Path

MAX_TABS = 16
"""Each is a process of some 70 MB."""
MAX_MESSAGE = 1 << 20
HEARTBEAT_S = 15.0
"""A tab that does not answer that often is gone, whatever the network says."""

_OURS = files("sweeptui.web") / "static"
_THEIRS = files("textual_serve") / "static"
ASSETS: dict[str, tuple[Traversable, str]] = {
    "page.js": (_OURS / "page.js", "text/javascript"),
    "page.css": (_OURS / "page.css", "text/css"),
    "icon.svg": (_OURS / "icon.svg", "image/svg+xml"),
    "textual.js": (_THEIRS / "js" / "textual.js", "text/javascript"),
    "xterm.css": (_THEIRS / "css" / "xterm.css", "text/css"),
    "roboto-mono.ttf": (_THEIRS / "fonts" / "RobotoMono-VariableFont_wght.ttf", "font/ttf"),
}
"""Every file that can be had: there is no folder to look around in."""


@dataclass(frozen=True, slots=True)
class Settings:
    host: str = "127.0.0.1"
    port: int = 0
    """0 for any that is free."""
    allow_hosts: tuple[str, ...] = ()
    allow_actions: bool = False
    open_browser: bool = False


class CockpitServer:
    """Shows what `argv` draws, in as many tabs as are opened."""

    def __init__(self, argv: Sequence[str], title: str, gate: Gate) -> None:
        self._argv = argv
        self._title = title
        self._gate = gate
        self._tabs: set[Tab] = set()
        self._downloads = DownloadManager()
        self._page = Template((_OURS / "page.html").read_text(encoding="utf-8"))

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._gate.guard])
        app.add_routes(
            [
                web.get("/", self._index),
                web.get("/static/{name}", self._asset),
                web.get("/ws", self._websocket),
                web.get("/download/{key}", self._download),
            ]
        )
        app.on_response_prepare.append(_add_headers)
        app.on_shutdown.append(self._end_tabs)
        return app

    async def _index(self, request: web.Request) -> web.Response:
        if request.query_string:  # textual.js takes orders from there
            return web.Response(status=303, headers={hdrs.LOCATION: "/"})
        nonce = secrets.token_urlsafe(16)
        text = self._page.substitute(title=html.escape(self._title), nonce=nonce)
        policy = {"Content-Security-Policy": page_policy(request.host, nonce)}
        return web.Response(text=text, content_type="text/html", headers=policy)

    @staticmethod
    async def _asset(request: web.Request) -> web.StreamResponse:
        if request.match_info["name"] not in ASSETS:
            raise web.HTTPNotFound(text="There is no such file.\n")
        asset, kind = ASSETS[request.match_info["name"]]
        with as_file(asset) as path:
            return web.FileResponse(path, headers={hdrs.CONTENT_TYPE: kind})

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        if len(self._tabs) >= MAX_TABS:
            raise web.HTTPServiceUnavailable(text=f"{MAX_TABS} tabs show this sweep already: close one.\n")
        # Not compressed: aiohttp does that on tasks of its own, which outlive the connection; and it is one machine's.
        socket = web.WebSocketResponse(heartbeat=HEARTBEAT_S, timeout=GRACE_S, compress=False, max_msg_size=MAX_MESSAGE)
        tab = Tab(self._argv, socket, self._downloads)
        self._tabs.add(tab)
        try:
            await socket.prepare(request)
            await tab.start(_cells(request, "width", 80), _cells(request, "height", 24))
            async for message in socket:
                if message.type is not WSMsgType.TEXT or not await _pass_on(message.data, tab, socket):
                    await socket.close(code=WSCloseCode.UNSUPPORTED_DATA)
        finally:
            await tab.stop()
            self._tabs.discard(tab)
        return socket

    async def _download(self, request: web.Request) -> web.StreamResponse:
        """A file that the cockpit hands over, say the best configuration."""
        key = request.match_info["key"]
        try:
            found = await self._downloads.get_download_metadata(key)
        except KeyError:
            raise web.HTTPNotFound(text="There is no such file.\n") from None
        response = web.StreamResponse()
        response.content_type = "application/octet-stream"
        response.headers[hdrs.CONTENT_DISPOSITION] = content_disposition_header("attachment", filename=found.file_name)
        await response.prepare(request)
        async for chunk in self._downloads.download(key):
            await response.write(chunk)
        await response.write_eof()
        return response

    async def _end_tabs(self, _app: web.Application) -> None:
        await asyncio.gather(*(tab.stop() for tab in list(self._tabs)))


def serve(folder: Path, settings: Settings) -> int:
    """Serve the sweep in `folder` until Ctrl-C or a signal. Raises `UserError` where it cannot listen."""
    with _listen(settings.host, settings.port) as listener:
        asyncio.run(_serve(folder, settings, listener))
    return 0


def attach_argv(folder: Path, *, allow_actions: bool) -> list[str]:
    """The command that draws one tab."""
    root = str(folder.parents[2])
    argv = [sys.executable, "-m", "sweeptui", "attach", "--browser-tab", "--root", root]
    return [*argv, *([] if allow_actions else ["--read-only"]), "--", folder.name]


def _listen(host: str, port: int) -> sockets.socket:
    family = sockets.AF_INET6 if ":" in host else sockets.AF_INET
    try:
        return sockets.create_server((host, port), family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UserError(
                f"port {port} of {host} is taken: choose another with --port, or --port 0 for any that is free"
            ) from error
        raise UserError(f"cannot listen on port {port} of {host}: {error.strerror or error}") from error


async def _serve(folder: Path, settings: Settings, listener: sockets.socket) -> None:
    port = listener.getsockname()[1]
    gate = Gate(Hosts(settings.host, port, settings.allow_hosts), port)
    server = CockpitServer(attach_argv(folder, allow_actions=settings.allow_actions), folder.name, gate)
    # The access log would have the token in it.
    runner = web.AppRunner(server.application(), access_log=None, shutdown_timeout=2 * GRACE_S)
    await runner.setup()
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(signum) is not signal.SIG_IGN:  # nohup stays what it is
            loop.add_signal_handler(signum, over.set)
    try:
        await web.SockSite(runner, listener).start()
        base = f"http://{_shown(settings.host)}:{port}/"
        _announce(folder.name, settings, f"{base}?token={gate.token}")
        if settings.open_browser:
            await asyncio.to_thread(webbrowser.open, f"{base}?token={gate.ticket()}")
        await over.wait()
    finally:
        await runner.cleanup()


def _shown(host: str) -> str:
    if host in WILDCARDS:
        return sockets.gethostname()
    return f"[{host}]" if ":" in host else host


def _announce(name: str, settings: Settings, url: str) -> None:
    what = "watch it and act on it" if settings.allow_actions else "watch it (--allow-actions: act on it, too)"
    if not is_loopback(settings.host):
        click.echo(
            f"warning: {settings.host} can be reached from other machines: whoever has this URL, or reads along on the "
            f"network, can {'watch the sweep and act on it' if settings.allow_actions else 'watch the sweep'}",
            err=True,
        )
    click.echo(url)
    click.echo(f"{name} in the browser: who opens this URL can {what}. Ctrl-C ends the page, not the sweep.", err=True)


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)


async def _pass_on(text: str, tab: Tab, socket: web.WebSocketResponse) -> bool:
    """Do what the page asks for; whether it was anything that the page says."""
    match _parsed(text):
        case ["stdin", str(keys)]:
            await tab.send_bytes(keys.encode("utf-8", "replace"))
        case ["resize", {"width": int(width), "height": int(height)}]:
            await tab.set_terminal_size(width, height)
        case ["ping", str(sent)]:
            await socket.send_json(["pong", sent])
        case ["focus"]:
            await tab.focus()
        case ["blur"]:
            await tab.blur()
        case _:
            return False
    return True


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _cells(request: web.Request, name: str, default: int) -> int:
    given = request.query.get(name, "")
    return int(given) if given.isdecimal() and len(given) < 6 else default
