"""Numbers as users type them where a field is compared with one."""

from __future__ import annotations

import math
import re

from sweeptui.app.fields import Kind
from sweeptui.core.errors import UserError

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
_DURATION = re.compile(
    r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?", re.ASCII
)
_SUFFIXES = {"k": 1e3, "M": 1e6, "G": 1e9}


def parse_number(text: str, kind: Kind) -> tuple[float, float]:
    """The number that `text` is, and how far a value may be from it and still be said to be equal.

    `0.0064` has the digits of 0.006412; whole numbers are meant exactly. Raises `UserError`.
    """
    body = text.removeprefix("$")
    if kind is Kind.PERCENT:
        body = body.removesuffix("%")
    if kind is Kind.SECONDS and (parts := _DURATION.fullmatch(body)) and any(parts.groups()):
        units = zip(parts.groups("0"), (86400, 3600, 60, 1), strict=True)
        return math.fsum(float(part) * unit for part, unit in units), 0.5
    factor = 1.0
    if kind is Kind.NUMBER and body[-1:] in _SUFFIXES:
        factor, body = _SUFFIXES[body[-1]], body[:-1]
    if body.lower() in ("inf", "+inf", "-inf"):
        return float(body), 0.0
    if not _NUMBER.fullmatch(body):
        example = {Kind.SECONDS: "90, 45s or 1h30m", Kind.PERCENT: "50 or 50%"}.get(kind, "0.8, 1e-3 or 10k")
        raise UserError(f"{text} is not a number such as {example}")
    number = float(body) * factor
    return number, _half_a_digit(body) * factor


def _half_a_digit(text: str) -> float:
    mantissa, _, exponent = text.lower().partition("e")
    whole = "." not in mantissa and not exponent
    digits = len(mantissa.partition(".")[2])
    # A hair more than half, for what was rounded to these digits from exactly half. Read from text, as that cannot
    # overflow; an exponent of more than a few digits is beyond all numbers anyway.
    half = 0.0 if whole else float(f"0.5000001e{int(exponent[:8] or 0) - digits}")
    return half if math.isfinite(half) else 0.0
