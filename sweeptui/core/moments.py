"""Which moment of a sweep a user means: a time, or the end of a trial."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sweeptui.core.errors import UserError

if TYPE_CHECKING:
    from sweeptui.core.stores.past import Past

_TRIAL = re.compile(r"#?(?:trial_)?0*([1-9][0-9]*)")
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?")
_BACK = re.compile(r"-(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
EXAMPLES = "2026-05-01T14:30, 14:30, -10m, or the trial whose end it is, such as 12"


def moment_of(past: Past, text: str) -> int:
    """The row of the journal that `text` means. Raises `UserError` for what means none.

    A trial (12, #12, trial_0012) is the moment when it ended. A time is ISO, of this machine's time zone where it names
    none; or HH:MM[:SS], on the last day on which that time had come before the sweep's last change; or -1h30m, so long
    before that last change.
    """
    text = text.strip()
    first, last = past.span
    if trial := _TRIAL.fullmatch(text):
        number = int(trial[1])
        if number > past.newest_trial:
            raise UserError(f"--at is {text!r}, and the sweep has {past.newest_trial} trials")
        return past.end_of(number)
    back = _BACK.fullmatch(text)
    if back is not None and any(back.groups()):
        days, hours, minutes, seconds = (int(part or 0) for part in back.groups())
        return past.at_time(last - timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds())
    at = _of_clock(text, last) if _CLOCK.fullmatch(text) else _iso(text)
    if at is None:
        raise UserError(f"--at is {text!r}, which is neither a time nor a trial; write {EXAMPLES}")
    if at < first:
        raise UserError(f"--at is {text!r}, and the sweep began at {said(first)}; give a later time")
    return past.at_time(at)


def _of_clock(text: str, last: float) -> float:
    match = _CLOCK.fullmatch(text)
    assert match is not None
    end = datetime.fromtimestamp(last).astimezone()
    whole = match[3] is None  # 14:30 is all of that minute
    at = end.replace(hour=int(match[1]), minute=int(match[2]), second=int(match[3] or 0), microsecond=0)
    if at > end:
        at -= timedelta(days=1)
    return at.timestamp() + (59.999 if whole else 0.999)


def _iso(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text).astimezone().timestamp()
    except (ValueError, OverflowError):
        return None


def said(at: float) -> str:
    """A moment as people write it, in this machine's time zone."""
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
