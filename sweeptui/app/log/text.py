"""What a terminal would show of many lines of a log at once, without colours."""

from __future__ import annotations

import re

from sweeptui.core.ansi import DECEPTIVE, sanitize

_CSI = re.compile(rb"\x1b\[[\x30-\x3f]*[\x20-\x2f]*[\x40-\x7e]")
_DECEPTIVE = re.compile(f"[{DECEPTIVE}]")
_CONTROLS = bytes([*range(9), *range(11, 32), 127])
"""All but tab and newline."""


def shown(data: bytes) -> str:
    """Whole lines as `sanitize` leaves them without colours, each in its place.

    Almost every log has no escape sequences but those of colours and progress bars, and no character that deceives:
    then nothing has to be parsed.
    """
    seen = data
    if b"\r" in seen:
        seen = b"\n".join(map(_last_segment, seen.split(b"\n")))
    if b"\x1b" in seen:
        seen = _CSI.sub(b"", seen)
    if len(seen.translate(None, _CONTROLS)) == len(seen):
        text = seen.decode("utf-8", "replace")
        if text.isascii() or _DECEPTIVE.search(text) is None:
            return text
    return sanitize(data.decode("utf-8", "replace"), colour=False)


def _last_segment(line: bytes) -> bytes:
    return line.rstrip(b"\r").rpartition(b"\r")[2] if b"\r" in line else line
