"""The cockpit in a browser's tab: drawn here, shown there, with `sweeptui.web` between the two."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from typing import TYPE_CHECKING, Any

from textual.drivers.web_driver import WebDriver
from textual.events import Resize
from textual.geometry import Size

from sweeptui.app.cockpit import Cockpit
from sweeptui.app.faults import complain

if TYPE_CHECKING:
    from pathlib import Path

    from textual.app import App

READ_ONLY = "this page is read-only: `sweeptui serve --allow-actions` makes one that can act"


class TabDriver(WebDriver):
    """Textual's driver for browsers; theirs would live on when the server that reads it is gone."""

    def __init__(self, app: App[Any], **how: Any) -> None:
        super().__init__(app, **how)
        self._loop = asyncio.get_running_loop()
        self._write = partial(self._send)

    def _send(self, data: bytes) -> int:
        try:
            return os.write(self.fileno, data)
        except BrokenPipeError:  # nobody reads any more: the cockpit ends in order, not in the middle of a paint
            return len(data)

    def on_meta(self, packet_type: str, payload: dict[str, object]) -> None:
        match payload:
            case {"type": "resize", "width": int(width), "height": int(height)}:
                # On the way that the first size and the keys take. On theirs it would overtake a first size that the
                # app has not come to yet, which then stayed: a page is resized while its cockpit still starts.
                self._size = width, height
                self.send_message(Resize(Size(width, height), Size(width, height)))
            case _:
                super().on_meta(packet_type, payload)

    def run_input_thread(self) -> None:
        super().run_input_thread()  # returns when the server closes its end, or the app has ended
        if not self.exit_event.is_set():
            self._loop.call_soon_threadsafe(self._app.exit)


def show_in_tab(path: Path, *, read_only: bool) -> int:
    """Show the sweep in the folder `path` to whoever reads this process's output, until the tab is closed."""
    app = Cockpit(path, utf8=True, read_only=READ_ONLY if read_only else "", driver_class=TabDriver, gauges=True)
    app.run()
    if app.fault is not None:
        complain(app.fault, None if read_only else path)
    return app.return_code or 0
