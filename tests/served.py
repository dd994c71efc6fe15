"""`sweeptui serve` as a process of its own, and a browser that is only an HTTP client."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import psutil

WAIT_S = 120.0
ESCAPES = re.compile(r"\x1b\[[0-9;?<>=$]*[a-zA-Z]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)")


class Served:
    """A server on the sweep in `folder`."""

    def __init__(self, folder: Path, *options: str, **env: str) -> None:
        self.root = folder.parents[2]
        argv = [sys.executable, "-m", "sweeptui", "serve", folder.name, "--root", str(self.root), *options]
        if "--port" not in options:
            argv += ["--port", "0"]
        # A terminal's variables and locale say nothing about a browser.
        self.process = subprocess.Popen(
            argv,
            env={**os.environ, "TERM": "dumb", "LC_ALL": "C", "PYTHONUTF8": "0", **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            raise AssertionError(f"no URL: {self.process.stderr.read()}")  # type: ignore[union-attr]
        parts = urlsplit(self.url)
        self.host = parts.netloc
        self.base = f"http://{self.host}"
        self.token = parts.query.removeprefix("token=")

    def tabs(self) -> list[psutil.Process]:
        """The cockpits behind this server's tabs, and behind those of one that is gone."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                argv = process.cmdline()
                if "--browser-tab" in argv and str(self.root) in argv and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def close(self, signum: int = signal.SIGINT) -> tuple[int, str, str]:
        """End it; its exit code and what it printed after the URL."""
        if self.process.poll() is None:
            self.process.send_signal(signum)
        try:
            out, err = self.process.communicate(timeout=WAIT_S)
        finally:
            self.process.kill()
        return self.process.returncode, out, err


class Tab:
    """A tab, without a browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.drawn = ""

    async def press(self, keys: str) -> None:
        await self.socket.send_str(json.dumps(["stdin", keys]))

    async def shows(self, text: str) -> None:
        """Wait until `text` has been drawn since the last time that something was waited for."""

        async def read() -> None:
            while text not in ESCAPES.sub("", self.drawn):
                message = await self.socket.receive()
                assert message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT), message
                if message.type is aiohttp.WSMsgType.BINARY:
                    self.drawn += message.data.decode()

        try:
            await asyncio.wait_for(read(), WAIT_S)
        except TimeoutError:
            raise AssertionError(f"{text!r} was not drawn:\n{ESCAPES.sub('', self.drawn)[-3000:]}") from None
        self.drawn = ""

    async def ends(self) -> int | None:
        """Wait until the other side closes; with which code."""

        async def read() -> None:
            while (await self.socket.receive()).type not in (
                aiohttp.WSMsgType.CLOSE,
                aiohttp.WSMsgType.CLOSED,
                aiohttp.WSMsgType.CLOSING,
            ):
                pass

        await asyncio.wait_for(read(), WAIT_S)
        return self.socket.close_code


class Visitor:
    """An HTTP client with a browser's memory for cookies."""

    def __init__(self, served: Served) -> None:
        self.served = served

    async def __aenter__(self) -> Visitor:
        self.session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    async def come_in(self) -> Visitor:
        async with self.session.get(self.served.url) as answer:
            assert answer.status == 200, await answer.text()
        return self

    async def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], str]:
        address = self.served.base + path
        async with self.session.get(address, headers=headers, allow_redirects=False) as answer:
            return answer.status, dict(answer.headers), await answer.text(errors="replace")

    async def tab(self, size: str = "width=120&height=40", **headers: str) -> Tab:
        headers = {"Origin": self.served.base, **headers}
        address = f"ws://{self.served.host}/ws?{size}"
        return Tab(await self.session.ws_connect(address, headers=headers, max_msg_size=0))


async def eventually(happened: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not happened():
        assert time.monotonic() < deadline, f"{what} did not happen"
        await asyncio.sleep(0.05)
