"""The process behind one tab: a `sweeptui attach` of its own, which ends with the tab."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from typing import TYPE_CHECKING

from textual_serve.app_service import AppService

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import web
    from textual_serve.download_manager import DownloadManager

GRACE_S = 2.0
"""How long a cockpit whose tab is closed has to end by itself."""
MAX_COLUMNS, MAX_ROWS = 1000, 500


class Tab(AppService):
    """Speaks textual-serve's protocol with the process, and sees to the process's end."""

    def __init__(self, argv: Sequence[str], socket: web.WebSocketResponse, downloads: DownloadManager) -> None:
        super().__init__(
            shlex.join(argv),
            write_bytes=socket.send_bytes,
            write_str=socket.send_str,
            close=self._close_socket,
            download_manager=downloads,
        )
        self._argv = argv
        self._socket = socket
        self._ending: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[bool] | None = None

    async def start(self, width: int, height: int) -> None:
        await super().start(*_bounded(width, height))

    async def set_terminal_size(self, width: int, height: int) -> None:
        await super().set_terminal_size(*_bounded(width, height))

    async def run(self) -> None:
        try:
            await super().run()
        finally:  # whether it was quit or has crashed, the page says that it is over
            await self._close_socket()

    async def stop(self) -> None:
        """End the process, whatever it is doing. May be called more than once."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._end())
        await asyncio.shield(self._ending)

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        # Without the shell that textual-serve would start it through: nothing is quoted, and its pid is the cockpit's.
        process = await asyncio.create_subprocess_exec(
            *self._argv,
            stdin=PIPE,
            stdout=PIPE,
            env=self._build_environment(width, height),
            start_new_session=True,  # Ctrl-C is for the server, which then ends the tabs
        )
        # What it says about a fault stands where the server speaks to people. textual-serve would collect it, lose the
        # end of it where that comes with the end of the process, and print it where the server's address stands.
        process.stderr = asyncio.StreamReader()
        process.stderr.feed_eof()
        self._process, self._stdin = process, process.stdin
        return process

    async def _end(self) -> None:
        process = self._process
        if process is None:
            return
        await self._download_manager.cancel_app_downloads(app_service_id=self.app_service_id)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        try:
            async with asyncio.timeout(GRACE_S):
                await self.send_meta({"type": "quit"})
                # Its output is read to the end, or it could wait for ever for somebody to take it.
                if process.stdout is not None:
                    await process.stdout.read()
                await process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    async def _close_socket(self) -> None:
        # Not waited for: a page that has stalled does not hold up the end of its process.
        if self._closing is None:
            self._closing = asyncio.create_task(self._socket.close())


def _bounded(width: int, height: int) -> tuple[int, int]:
    return min(max(width, 1), MAX_COLUMNS), min(max(height, 1), MAX_ROWS)
