"""What each slot has done so far, what ended last, and how many slots were taken when."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import TYPE_CHECKING

from sweeptui.app import theme, wording
from sweeptui.app.columns import BOLD, HEADER, PLAIN, QUIET, RULE, Piece
from sweeptui.app.screens.lines import Section, line, table
from sweeptui.core.errors import UserError
from sweeptui.core.stores.stints import Stint, stints
from sweeptui.core.trial import JobOutcome
from sweeptui.core.wording import number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from rich.style import Style

    from sweeptui.core.trial import Trial

ENDS = {
    JobOutcome.COMPLETED: ("╸", theme.GREEN),
    JobOutcome.STOPPED: ("✂", theme.PURPLE),
    JobOutcome.KILLED: ("☠", theme.ORANGE),
    JobOutcome.INTERRUPTED: ("╸", theme.QUIET),
}
FAILED = ("✗", theme.VERMILLION)
"""Any other end."""
RUNS = ("╸", theme.SKY)
LEAST_BAR = 20
"""Cells: below these a bar tells nothing."""
EIGHTHS = " ▁▂▃▄▅▆▇█"


class Stints:
    """Reads the stints of a sweep, those that are over only once. For one thread at a time."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._over: list[Stint] = []
        self._last = 0

    def read(self) -> Sequence[Stint]:
        """All of them; where they cannot be read now, what is known of before."""
        try:
            new = stints(self._database, self._last)
        except UserError:
            return tuple(self._over)
        first = next((at for at, each in enumerate(new) if each.ended is None), len(new))
        self._over += new[:first]
        self._last = self._over[-1].job if self._over else 0
        return (*self._over, *new[first:])


@dataclass(frozen=True, slots=True)
class Occupancy:
    """The stints as they were at a moment, each in the lane of its slot."""

    lanes: tuple[tuple[Stint, ...], ...]
    began: float
    until: float

    @property
    def length(self) -> float:
        return self.until - self.began

    def taken(self, lane: Sequence[Stint]) -> float:
        """Seconds for which a lane was taken."""
        return sum((self.until if each.ended is None else each.ended) - each.began for each in lane)


def occupancy(found: Iterable[Stint], now: float, *, over: bool) -> Occupancy | None:
    """How it stood at a moment; None where nothing had begun. Of a sweep that is over, up to its last end."""
    known = sorted(
        (
            replace(each, ended=None, outcome=None, cpu_s=None) if each.ended is not None and each.ended > now else each
            for each in found
            if each.began <= now
        ),
        key=lambda each: (each.began, each.job),
    )
    if not known:
        return None
    lanes: list[list[Stint]] = []
    for each in known:
        lane = each.slot if each.slot is not None else _free(lanes, each)
        lanes += [[] for _ in range(lane + 1 - len(lanes))]
        lanes[lane].append(each)
    runs = any(each.ended is None for each in known)
    until = now if runs or not over else max(each.ended or now for each in known)
    return Occupancy(tuple(map(tuple, lanes)), known[0].began, max(until, known[0].began + 1.0))


def _free(lanes: Sequence[Sequence[Stint]], stint: Stint) -> int:
    """The first lane that nobody is in any more."""
    for at, lane in enumerate(lanes):
        ended = lane[-1].ended if lane else 0.0
        if ended is not None and ended <= stint.began:
            return at
    return len(lanes)


def done(held: Occupancy, room: int) -> Section:
    """A line for each slot: how many trials it had, how many of them failed, how much of the time it was taken, how
    many cores they kept busy, and when which was.
    """
    rows: list[list[Piece]] = [[(title, HEADER) for title in ("slot", "trials", "failed", "taken", "CPU")]]
    for index, lane in enumerate(held.lanes):
        failed = sum(each.outcome is not None and each.outcome not in ENDS for each in lane)
        counted = [each for each in lane if each.cpu_s is not None and each.ended is not None]
        ran = sum((each.ended or 0.0) - each.began for each in counted)
        cores = sum(each.cpu_s or 0.0 for each in counted) / ran if ran > 0 else None
        rows.append(
            [
                (str(index), BOLD),
                (str(len({each.trial for each in lane})), PLAIN),
                (str(failed), theme.style(theme.VERMILLION) if failed else QUIET),
                (f"{held.taken(lane) / held.length:.0%}", PLAIN),
                (wording.UNKNOWN if cores is None else f"{cores:.0%}", PLAIN),
            ]
        )
    lines = table(rows)
    width = room - sum(len(text) for text, _ in lines[0].pieces) - 3
    if width >= LEAST_BAR:
        gap: Piece = ("   ", PLAIN)
        bars = [_bar(held, lane, width) for lane in held.lanes]
        lines = [line(*row.pieces, gap, *bar) for row, bar in zip(lines, [_times(held, width), *bars], strict=True)]
    return Section("What each has done", tuple(lines), f"in {wording.duration(held.length)}")


def ended(held: Occupancy, trials: Callable[[int], Trial | None], now: float, most: int) -> Section | None:
    """The jobs that ended last, the newest first, with the score of each one's trial; None where none has ended.

    The cursor is on all lines of a trial at once.
    """
    over = [
        (each.ended, each.job, lane, each)
        for lane, stints in enumerate(held.lanes)
        for each in stints
        if each.ended is not None
    ]
    if not over:
        return None
    titles = "slot", "trial", "stage", "ended", "took", "CPU", "score"
    rows: list[list[Piece]] = [[(title, HEADER) for title in titles]]
    keys: list[int | None] = [None]
    for at, _, lane, each in heapq.nlargest(most, over, key=itemgetter(0, 1)):
        took, trial = at - each.began, trials(each.trial)
        rows.append(
            [
                (str(lane), BOLD),
                (str(each.trial) if trial is None else trial.id, BOLD),
                (wording.line(each.stage), PLAIN),
                _end(each),
                (wording.duration(took), PLAIN),
                (wording.UNKNOWN if each.cpu_s is None or took <= 0 else f"{each.cpu_s / took:.0%}", PLAIN),
                (number(None if trial is None else trial.score), PLAIN),
                (f"{wording.duration(now - at)} ago", QUIET),
            ]
        )
        keys.append(each.trial)
    return Section("Ended last", tuple(table(rows, left=4, keys=keys)), f"{len(rows) - 1} of {len(over)}")


def _end(stint: Stint) -> Piece:
    if stint.outcome is None:
        return wording.UNKNOWN, QUIET
    state = wording.job_end(stint.outcome)
    return str(state), theme.style(state.colour)


def _times(held: Occupancy, width: int) -> list[Piece]:
    """The ends of the bars."""
    left = f"{wording.duration(held.length)} before"
    right = "now" if any(lane and lane[-1].ended is None for lane in held.lanes) else "the end"
    return [(left, QUIET), (" " * (width - len(left) - len(right)), PLAIN), (right, QUIET)]


def _bar(held: Occupancy, lane: Sequence[Stint], width: int) -> list[Piece]:
    """One cell for each part of the time: whose it was at its end, if anybody's."""
    cells: list[Piece] = [("─", RULE)] * width
    scale = width / held.length
    for each in lane:
        end, colour = RUNS if each.outcome is None else ENDS.get(each.outcome, FAILED)
        style = theme.style(colour)
        ended = held.until if each.ended is None else each.ended
        first = min(width - 1, int((each.began - held.began) * scale))
        last = min(width - 1, max(first, int((ended - held.began) * scale) - 1))
        cells[first : last + 1] = [*[("━", style)] * (last - first), (end if each.outcome is not None else "━", style)]
    return _joined(cells)


def _joined(cells: Iterable[Piece]) -> list[Piece]:
    pieces: list[tuple[str, Style]] = []
    for text, style in cells:
        if pieces and pieces[-1][1] == style:
            pieces[-1] = (pieces[-1][0] + text, style)
        else:
            pieces.append((text, style))
    return list(pieces)


def used(held: Occupancy, slots: int, room: int, rows: int) -> Section:
    """How many slots were taken when: each cell says how many at once on average, `rows` cells are all of them."""
    most = max(slots, len(held.lanes))
    label = len(str(most))
    width = max(1, room - label - 2)
    shares = _shares(held, width)
    lines = []
    for row in range(rows, 0, -1):
        cells = [max(0, min(8, round((share / most * rows - row + 1) * 8))) for share in shares]
        said = str(most) if row == rows else "0" if row == 1 else ""
        bar = "".join(EIGHTHS[cell] for cell in cells)
        lines.append(line((said.rjust(label), QUIET), (" │", RULE), (bar, theme.style(theme.SKY))))
    lines.append(line((" " * (label + 2), PLAIN), *_times(held, width)))
    mean = sum(held.taken(lane) for lane in held.lanes) / held.length
    return Section("Slots taken", tuple(lines), f"{mean:.2g} at once on average")


def _shares(held: Occupancy, width: int) -> list[float]:
    """How many stints there were at once in each of `width` parts of the time, on average."""
    shares, scale = [0.0] * width, width / held.length
    for lane in held.lanes:
        for each in lane:
            begin = (each.began - held.began) * scale
            end = ((held.until if each.ended is None else each.ended) - held.began) * scale
            for cell in range(int(begin), min(width, int(end) + 1)):
                shares[cell] += max(0.0, min(end, cell + 1) - max(begin, cell))
    return shares
