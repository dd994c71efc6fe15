"""What is to be drawn: which chart, of what, how large."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from sweeptui.app.outlook import UNKNOWN, Known
from sweeptui.core.trial import RUNNING, TrialStatus

if TYPE_CHECKING:
    from sweeptui.app.plot.picture import Window
    from sweeptui.app.snapshot import Snapshot

MAX_MARKED = 40
"""More curves than this are a carpet."""


class Tab(Enum):
    CURVES = "Curves"
    HISTORY = "History"
    COST = "Cost"
    PARAMETERS = "Params"
    IMPORTANCE = "Importance"

    @property
    def short(self) -> str:
        """Where there is little room for names."""
        return "Imp." if self is Tab.IMPORTANCE else self.value


class Across(Enum):
    STEP = "step"
    TIME = "time"


def wanted(snapshot: Snapshot, selected: int | None, marked: Collection[int]) -> frozenset[int]:
    """The trials whose curves are shown: of many marked ones the newest."""
    numbers = set(sorted(marked)[-MAX_MARKED:])
    numbers |= {selected} if selected is not None else set()
    return frozenset(numbers | ({snapshot.best.number} if snapshot.best is not None else set()))


def hidden(marked: Collection[int]) -> int:
    """How many of the marked trials are not shown."""
    return max(0, len(marked) - MAX_MARKED)


@dataclass(frozen=True, slots=True)
class Order:
    tab: Tab
    snapshot: Snapshot
    selected: int | None
    marked: frozenset[int]
    across: Across
    parameter: int
    """Which of the swept ones, counted on and on."""
    columns: int
    rows: int
    window: Window | None
    log: bool
    outlook: Known = UNKNOWN
    """What is known of the parameters' importance."""

    @property
    def best(self) -> int | None:
        return None if self.snapshot.best is None else self.snapshot.best.number

    @property
    def path(self) -> str | None:
        """The parameter's."""
        params = self.snapshot.params
        return params[self.parameter % len(params)] if params and self.tab is Tab.PARAMETERS else None

    @property
    def shown(self) -> tuple[object, ...]:
        """Two pictures look the same where this is."""
        return (*self.contents, self.selected, self.columns, self.rows, self.window, self.log)

    @property
    def contents(self) -> tuple[object, ...]:
        """All that the chart depends on, but for the selected trial where that is only marked."""
        snapshot = self.snapshot
        if self.tab is Tab.CURVES:
            numbers = wanted(snapshot, self.selected, self.marked)
            series = [snapshot.series.get(number, ()) for number in sorted(numbers)]
            selected = snapshot.trial(self.selected)
            status = selected and selected.status
            return (self.tab, self.across, self.best, numbers, hidden(self.marked), status, *series)
        if self.tab is Tab.IMPORTANCE:
            return (self.tab, self.best, self.parameter, self.outlook, *self.ended)
        live = self.live if self.tab is Tab.HISTORY else ()
        return (self.tab, self.best, self.path, *self.ended, *live)

    @property
    def ended(self) -> tuple[object, ...]:
        """What the trials that have ended depend on: another where one more has, or is not over any more."""
        snapshot = self.snapshot
        counts = (snapshot.counts.get(status, 0) for status in TrialStatus)
        return (*counts, snapshot.spent, snapshot.best, len(snapshot.trials))

    @property
    def live(self) -> tuple[object, ...]:
        trials = (self.snapshot.trial(number) for number in sorted(self.snapshot.running))
        return tuple(trial for trial in trials if trial is not None and trial.status in RUNNING)

    @property
    def points(self) -> int:
        """About how many are to be drawn."""
        if self.tab is Tab.CURVES:
            numbers = wanted(self.snapshot, self.selected, self.marked)
            return sum(len(self.snapshot.series.get(number, ())) for number in numbers)
        return len(self.snapshot.trials)


def same(these: tuple[object, ...], those: object) -> bool:
    """Equal, with large values compared by identity alone: they are never changed, only replaced."""
    return (
        isinstance(those, tuple)
        and len(these) == len(those)
        and all(a is b or (not isinstance(a, tuple) and a == b) for a, b in zip(these, those, strict=True))
    )
