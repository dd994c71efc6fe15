"""A terminal that takes nothing for a while: nothing piles up, and then the newest state is shown."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

from app_sweep import Sweep

DRIVER = Path(__file__).with_name("slow_terminal_driver.py")
PATIENCE_S = 60.0
BLOCKED_TURNS = 150
"""So often the sweep is looked at, and found changed, while the screen cannot go on."""
FEW = 8
"""Snapshots that are held at once at most: on screen, being compared, being made, in one message."""


def until(happened, what):
    deadline = time.monotonic() + PATIENCE_S
    while not (found := happened()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return found


def read(master: int) -> bytes:
    """What there is to read now."""
    data = b""
    while select.select([master], [], [], 0.05)[0]:
        data += os.read(master, 1 << 16)
    return data


def test_a_terminal_that_takes_nothing_holds_nothing_up(tmp_path):
    sweep = Sweep(tmp_path)
    number = sweep.trial()
    sweep.start(number)
    sweep.report(number, [1.0])
    told = tmp_path / "told.jsonl"
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    process = subprocess.Popen(
        [sys.executable, str(DRIVER), str(sweep.folder), str(told)],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=os.environ | {"TERM": "xterm-256color", "TEXTUAL_ANIMATIONS": "none"},
        start_new_session=True,
    )
    os.close(slave)

    def state():
        lines = told.read_text().splitlines() if told.exists() else []
        return json.loads(lines[-1]) if lines and lines[-1].endswith("}") else {}

    def change():
        nonlocal score
        score += 1.0
        sweep.report(number, [score])
        return state()

    try:
        score = 1000.0
        shown = b""

        def on_screen():
            nonlocal shown
            shown += read(master)
            return b"training" in shown

        until(on_screen, "the first trial was not shown")
        # From here on nobody reads. The screen goes on until all between it and the terminal is full.
        handled = [(time.monotonic(), -1)]

        def stuck():
            now = change().get("handled", 0)
            if now != handled[-1][1]:
                handled.append((time.monotonic(), now))
            return time.monotonic() - handled[-1][0] > 1.0

        until(stuck, "the screen was never held up")
        before = state()

        until(lambda: change()["turns"] > before["turns"] + BLOCKED_TURNS, "the sweep was not looked at any more")
        after = state()
        assert after["handled"] == before["handled"]
        assert after["score"] > before["score"]
        assert after["held"] <= FEW
        # Somebody reads again.
        newest = f"{score:#.4g}".removesuffix(".").encode()
        shown = b""

        def caught_up():
            nonlocal shown
            shown = (shown + read(master))[-(1 << 18) :]
            return re.search(rb"[^\d]" + re.escape(newest), shown)

        until(caught_up, f"{newest!r} was not shown")
        assert state()["held"] <= FEW
    finally:
        process.kill()
        process.wait()
        os.close(master)
