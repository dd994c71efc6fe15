"""The terminal from outside of the screen: left as it was found, and known to be gone."""

from __future__ import annotations

import os
import termios
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOUSE = "\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l"
_PIXELS = "\x1b[?1016l"
"""Textual sets this way of reporting the mouse where a terminal has it, and leaves it set."""
_EVERYTHING = f"{_MOUSE}{_PIXELS}\x1b[?2004l\x1b[?2048l\x1b[?1004l\x1b[?2026l\x1b[?7h\x1b[<u\x1b[?1049l\x1b[?25h\x1b[m"


@contextmanager
def as_it_was() -> Iterator[None]:
    """Leave the terminal as it was found, even where the screen in between could not clean up."""
    try:
        before = termios.tcgetattr(0)
    except termios.error:  # it is none
        yield
        return
    off = _EVERYTHING
    try:
        yield
        off = _PIXELS
    finally:
        with suppress(OSError, termios.error):
            if termios.tcgetattr(0) != before:
                termios.tcsetattr(0, termios.TCSANOW, before)
            os.write(2, off.encode())  # where the screen was drawn


def gone() -> bool:
    """The terminal has hung up: what is written to it is lost, or waits for ever."""
    try:
        termios.tcgetattr(0)
    except termios.error:
        return True
    return False


def let_go() -> None:
    """Read and write nowhere from now on: nothing waits for a terminal that is gone."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)
