"""How a sweep stands, in a sentence: what is going on, and what can be done about it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeptui.app import theme, wording
from sweeptui.core.state import SweepStatus
from sweeptui.core.trial import trial_id

if TYPE_CHECKING:
    from sweeptui.app.snapshot import Snapshot
    from sweeptui.app.travel import Moment


@dataclass(frozen=True, slots=True)
class Notice:
    """What stands below the header for as long as it holds; empty where there is nothing to say."""

    text: str = ""
    glyph: str = "!"
    colour: str = theme.YELLOW

    def __bool__(self) -> bool:
        return bool(self.text)


NOTHING = Notice()


def notice(snapshot: Snapshot, *, runs_here: bool, may_act: bool) -> Notice:
    """What the user of a window on the sweep has to know; `may_act` where the window may change anything."""
    if snapshot.past is not None:
        return _past(snapshot.past)
    state = wording.sweep_state(snapshot.label)
    reason = wording.line(snapshot.reason)
    if snapshot.over:
        return Notice(reason, state.glyph, state.colour)
    if snapshot.disk:
        return Notice(f"{snapshot.disk}; free some, or lower min_free_disk_mb")
    if (told := _mirror(snapshot)) is not None:
        return told
    if snapshot.holder is None and not runs_here:
        return Notice(_nobody(snapshot))
    if snapshot.label == SweepStatus.PAUSED:
        return Notice(f"{reason or 'paused'}: nothing new is launched{'; P goes on' * may_act}", state.glyph)
    return Notice(reason, state.glyph) if snapshot.label == SweepStatus.STOPPING else NOTHING


def _past(past: Moment) -> Notice:
    """Which moment of the past is shown, and the keys that lead on: the moment first, where there is little room."""
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(past.at))
    before = f", {wording.duration(past.before_end_s)} before the end" if past.seq < past.last else ", the end"
    how = f"playing, {past.speed:.3g} times as fast" if past.speed else "the past"
    ended = "" if past.ended is None else f", {trial_id(past.ended.trial)} {past.ended.status}"
    # Each key stays in one line with what it does.
    keys = "  ".join(
        each.replace(" ", "\N{NO-BREAK SPACE}") for each in ("[ ] trials", "{ } changes", "< start", "> now", "T plays")
    )
    text = f"{how}: {when}{before}{ended} · change {past.seq:,} of {past.last:,} · {keys}"
    return Notice(text, "«" if not past.speed else "»", theme.PURPLE)


def _mirror(snapshot: Snapshot) -> Notice | None:
    """What is wrong with the mirror in W&B, or who runs the sweep through it."""
    mirror = snapshot.mirror
    if mirror is None or mirror.state not in ("away", "refused", "following", "superseded"):
        return None
    colour = theme.VERMILLION if mirror.state in ("refused", "superseded") else theme.YELLOW
    return Notice(wording.line(mirror.sentence(snapshot.at)), colour=colour)


def _nobody(snapshot: Snapshot) -> str:
    command = f"`sweeptui continue {snapshot.name}`"
    if snapshot.label == "detached":
        return f"nobody runs this sweep, but {snapshot.active} of its trials run on: it goes on with {command}"
    begins = "begins" if snapshot.label == SweepStatus.CREATED else "goes on"
    return f"nobody runs this sweep: it {begins} with {command}"


def no_trial(snapshot: Snapshot | None, problem: str) -> list[str]:
    """What a table without trials says, line by line."""
    if problem:
        return ["this sweep cannot be shown", "q leaves"]
    if snapshot is None:
        return ["reading the sweep …"]
    if snapshot.over:
        return ["this sweep ended before its first trial"]
    if snapshot.holder is None:
        return ["no trial yet: nobody runs this sweep", f"sweeptui continue {snapshot.name}"]
    if snapshot.label == SweepStatus.PAUSED:
        return ["no trial yet: the sweep is paused", "P goes on"]
    return ["no trial yet: the first one is being chosen"]
