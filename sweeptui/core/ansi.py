"""Text from a training process, made safe to show: of everything a terminal acts on, only colours are let through.

A process may print anything, and terminals act on escape sequences: they set titles and clipboards, move the cursor,
answer queries by typing. So the text is parsed as ECMA-48 has it, and what is no SGR sequence (`ESC [ ... m`) is
dropped.
"""

from __future__ import annotations

import re

REPLACEMENT = "\ufffd"
CUT_MARK = "…"
MAX_SGR_CHARS = 64
"""A longer SGR sequence sets nothing that anybody meant."""

DECEPTIVE = (
    r"\x80-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\ud800-\udfff\U000e0000-\U000e0fff"
)
"""C1 controls, what reorders or hides text, and what no terminal can be sent (half a surrogate pair)."""

_RESET = "\x1b[0m"
_SGR = rf"\x1b\[[0-9;:]{{0,{MAX_SGR_CHARS}}}m"
_TOKENS = re.compile(
    rf"(?P<sgr>{_SGR})"
    # OSC, DCS, SOS, PM and APC strings: up to their terminator, another escape, or the end of the line.
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x18\x1a\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"
    r"|(?:\x1b\[|\x9b)[\x30-\x3f]*[\x20-\x2f]*[\x40-\x7e]?"
    r"|\x1b[\x20-\x2f]*[\x30-\x7e]?"
    r"|(?P<control>[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f]+)"
    rf"|(?P<deceptive>[{DECEPTIVE}])"
)
_PLAIN = re.compile(r"[^\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad-\U0010ffff]*")


def sanitize(text: str, colour: bool = True) -> str:
    """Return `text` with nothing in it that a terminal acts on but newline, tab and, if `colour`, SGR.

    A carriage return starts its line over, as progress bars mean it to. Characters that reorder or hide text become
    U+FFFD. Text that sets colours ends with a reset. Takes time linear in the length of `text`.
    """
    if _PLAIN.fullmatch(text):
        return text
    if "\r" in text:
        text = "\n".join(last_segment(line) for line in text.split("\n"))
    coloured = False

    def keep(match: re.Match[str]) -> str:
        nonlocal coloured
        if match["sgr"] is not None:
            coloured = colour
            return match["sgr"] if colour else ""
        return REPLACEMENT if match["deceptive"] is not None else ""

    text = _TOKENS.sub(keep, text)
    return text + _RESET if coloured else text


def last_segment(line: str) -> str:
    """Return what a terminal would still show of a line that carriage returns started over."""
    return line.rstrip("\r").rpartition("\r")[2]
