"""A headless Chromium, driven over its DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp

BINARY = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1200,800",
)
WAIT_S = 120.0


class Chromium:
    """One browser with a profile of its own."""

    def __init__(self, profile: Path, *flags: str) -> None:
        assert BINARY is not None
        argv = [BINARY, *FLAGS, *flags, "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"]
        self._log = (profile.parent / "chromium.log").open("wb")
        self.process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, start_new_session=True
        )
        port_file = profile / "DevToolsActivePort"
        deadline = time.monotonic() + WAIT_S
        while not (port_file.exists() and port_file.read_text().count("\n")):
            assert self.process.poll() is None, (profile.parent / "chromium.log").read_text()
            assert time.monotonic() < deadline, "Chromium did not start"
            time.sleep(0.05)
        self.port = int(port_file.read_text().splitlines()[0])

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        self.process.kill()
        self.process.wait()
        self._log.close()


class Page:
    """A tab, and everything that it asked for and was told since it was opened."""

    def __init__(self, browser: Chromium) -> None:
        self._base = f"http://127.0.0.1:{browser.port}"
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._sent = 0
        self.requests: list[str] = []
        self.responses: dict[str, dict[str, Any]] = {}
        """Of each URL, the last answer's status and headers."""
        self.complaints: list[str] = []
        """Of the console: errors, and what the page's policy has kept out."""
        self.drawn = ""
        """What came over the page's websockets."""

    async def __aenter__(self) -> Page:
        self._session = aiohttp.ClientSession()
        async with self._session.put(f"{self._base}/json/new?about:blank") as answer:
            target = await answer.json()
        self._id = target["id"]
        self._socket = await self._session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0)
        self._reader = asyncio.create_task(self._read())
        for domain in ("Page", "Network", "Runtime", "Log"):
            await self.call(f"{domain}.enable")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
        self._reader.cancel()
        await self._socket.close()
        await self._session.close()

    async def close(self) -> None:
        """Close the tab."""
        with suppress(aiohttp.ClientError):
            async with self._session.get(f"{self._base}/json/close/{self._id}"):
                pass

    async def call(self, method: str, **params: Any) -> Any:
        self._sent += 1
        answer = self._answers[self._sent] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": self._sent, "method": method, "params": params})
        return await asyncio.wait_for(answer, WAIT_S)

    async def go(self, url: str) -> None:
        await self.call("Page.navigate", url=url)

    async def evaluate(self, expression: str) -> Any:
        found = await self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def press(self, key: str, text: str = "") -> None:
        code = {"ArrowDown": 40, "ArrowUp": 38, "Escape": 27, "Enter": 13}.get(
            key, ord(key.upper()) if len(key) == 1 else 0
        )
        params = {"key": key, "windowsVirtualKeyCode": code, **({"text": text or key} if len(key) == 1 else {})}
        await self.call("Input.dispatchKeyEvent", type="keyDown", **params)
        await self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    async def picture(self) -> bytes:
        return base64.b64decode((await self.call("Page.captureScreenshot"))["data"])

    async def until(self, happened: Any, what: str = "") -> None:
        """Wait until `happened`, a function or the text of a JavaScript expression, is true."""
        deadline = time.monotonic() + WAIT_S
        while not (await self.evaluate(happened) if isinstance(happened, str) else happened()):
            assert time.monotonic() < deadline, f"{what or happened} did not happen; drawn: {self.drawn[-2000:]!r}"
            await asyncio.sleep(0.05)

    async def _read(self) -> None:
        async for message in self._socket:
            said = json.loads(message.data)
            if "id" in said:
                answer = self._answers.pop(said["id"])
                if not answer.done():
                    answer.set_result(said.get("result", said))
                continue
            self._note(said["method"], said["params"])

    def _note(self, event: str, told: dict[str, Any]) -> None:
        if event in ("Network.requestWillBeSent", "Network.webSocketCreated"):
            self.requests.append(told["request"]["url"] if "request" in told else told["url"])
        elif event == "Network.responseReceived":
            self.responses[told["response"]["url"]] = told["response"]
        elif event == "Network.webSocketFrameReceived":
            payload = told["response"]["payloadData"]
            if told["response"]["opcode"] == 2:
                self.drawn += base64.b64decode(payload).decode("utf-8", "replace")
        elif event == "Log.entryAdded":
            self.complaints.append(f"{told['entry']['level']}: {told['entry']['text']} {told['entry'].get('url', '')}")
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(str(told["exceptionDetails"]))
