"""Which trials the table shows, and in which order: kept up to date at the cost of what has changed."""

from __future__ import annotations

import operator
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import compress
from typing import TYPE_CHECKING, Any

from sweeptui.app.fields import Field, Look, Values, known

if TYPE_CHECKING:
    from sweeptui.app.query import Term
    from sweeptui.app.snapshot import Snapshot
    from sweeptui.core.trial import Trial

MANY = 1000
"""When more trials than this have changed, all are arranged anew."""


class _Order:
    """Places in the snapshot, in order: those with a value by their value, then the others; equals as they came."""

    def __init__(self, ranked: list[int], others: list[int], values: list[Any], *, descending: bool) -> None:
        self._ranked = ranked
        """From the least to the greatest; where the order is descending, it is read backwards."""
        self._others = others
        self._values = values
        self._descending = descending

    @classmethod
    def of(cls, values: list[Any], *, descending: bool) -> _Order:
        places = range(len(values))
        ranked = [place for place in places if known(values[place])]
        others = [place for place in places if not known(values[place])] if len(ranked) < len(values) else []
        # What is read backwards goes in backwards, so that equals come out as they came.
        ranked.sort(reverse=descending)
        ranked.sort(key=values.__getitem__)
        # New numbers, that lie in memory as they are read: with very many that is three times as fast.
        return cls(array("q", ranked).tolist(), others, values, descending=descending)

    def only(self, mask: bytearray) -> _Order:
        """The places that the mask has, in the same order."""
        ranked, others = (
            list(compress(places, map(mask.__getitem__, places))) for places in (self._ranked, self._others)
        )
        return _Order(ranked, others, self._values, descending=self._descending)

    def __len__(self) -> int:
        return len(self._ranked) + len(self._others)

    def __getitem__(self, row: int) -> int:
        count = len(self._ranked)
        if row >= count:
            return self._others[row - count]
        return self._ranked[count - 1 - row if self._descending else row]

    def row(self, place: int) -> int:
        """The row that it is in; of a place that is not there, the one that it would be in."""
        places, index = self._find(place)
        if places is self._others:
            return len(self._ranked) + index
        if not self._descending:
            return index
        there = index < len(places) and places[index] == place
        return len(places) - index - there

    def add(self, place: int) -> None:
        places, index = self._find(place)
        places.insert(index, place)

    def remove(self, place: int) -> None:
        """Take a place out, if it is there. Its value is still the one with which it was added."""
        places, index = self._find(place)
        if index < len(places) and places[index] == place:
            del places[index]

    def _find(self, place: int) -> tuple[list[int], int]:
        if not known(self._values[place]):
            return self._others, bisect_left(self._others, place)
        return self._ranked, bisect_left(self._ranked, self._key(place), key=self._key)

    def _key(self, place: int) -> tuple[Any, int]:
        return self._values[place], -place if self._descending else place


class Arrangement:
    """The trials of a snapshot, filtered and sorted: a sequence of those that are shown."""

    def __init__(self, field: Field) -> None:
        self.field = field
        """What they are sorted by."""
        self.descending = False
        self.query: Term | None = None
        """What they have to meet to be shown."""
        self._trials: tuple[Trial, ...] = ()
        self._look = Look()
        self._values = Values((), self._look)
        self._kept: bytearray | None = None
        """1 for each place that meets the query."""
        self._arrange()

    # -- what is shown

    def __len__(self) -> int:
        return len(self._shown)

    def __getitem__(self, row: int) -> Trial:
        return self._trials[self._shown[row]]

    def row(self, number: int) -> int | None:
        """The row of a trial; None where it is not shown."""
        row = self.near(number)
        return row if row < len(self) and self[row].number == number else None

    def near(self, number: int) -> int:
        """The row of a trial; of one that is not shown, the row where it would be."""
        place = bisect_left(self._trials, number, key=_number)
        return self._shown.row(place) if place < len(self._trials) else len(self)

    def newest(self) -> Trial | None:
        """The newest trial that is shown."""
        if self._kept is None:
            return self._trials[-1] if self._trials else None
        place = self._kept.rfind(1)
        return self._trials[place] if place >= 0 else None

    def numbers(self) -> frozenset[int]:
        """The trials that are shown."""
        shown = self._trials if self._kept is None else compress(self._trials, self._kept)
        return frozenset(trial.number for trial in shown)

    # -- what the user asks for

    def sort(self, field: Field, *, descending: bool) -> None:
        self.field, self.descending = field, descending
        self._arrange()

    def filter(self, query: Term | None) -> None:
        self.query = query
        self._sift()

    def warm(self, field: Field) -> None:
        """Read a field of all trials, so that filtering by it does not have to."""
        self._values.of(field.value)

    # -- what the sweep does

    def take(self, snapshot: Snapshot) -> Sequence[Trial]:
        """Bring it up to date. The trials that are new, or not as they were."""
        old, new = self._trials, snapshot.trials
        shared = min(len(old), len(new))
        changed = list(compress(range(shared), map(operator.is_not, old, new)))
        came = range(shared, len(new))
        look = Look(snapshot.running, snapshot.at, snapshot.stages)
        others = len(old) > len(new) or any(old[place].number != new[place].number for place in changed)
        if others or len(changed) + len(came) > MANY:
            self._trials, self._look = new, look
            self._values = Values(new, look)
            self._arrange()
            return new
        aged = self._running(snapshot, set(changed) | set(came))
        moved = changed + aged if self._live else changed
        for order in (self._order, self._shown) if self._kept is not None else (self._order,):
            for place in moved:
                order.remove(place)
        self._trials, self._look = new, look
        self._values.update(new, look, changed + aged)
        moved = [*moved, *came]
        for place in moved:
            self._order.add(place)
        if self.query is not None and self._kept is not None:
            self._kept.extend(bytes(len(came)))
            for place, kept in zip(moved, self.query.mask(self._values.part(moved)), strict=True):
                self._kept[place] = kept
                if kept:
                    self._shown.add(place)
        return [new[place] for place in (*changed, *came)]

    def _running(self, snapshot: Snapshot, besides: set[int]) -> list[int]:
        """The places of the trials that run, or did until now: they may say something else though they are the same."""
        numbers = self._look.running.keys() | snapshot.running.keys()
        places = {snapshot.index(number) for number in numbers if snapshot.trial(number) is not None}
        return sorted(places - besides)

    @property
    def _live(self) -> bool:
        return self.field.live or (self.query is not None and any(field.live for field in self.query.fields()))

    def _arrange(self) -> None:
        values = self._values.of(self.field.rank or self.field.value)
        self._order = _Order.of(values, descending=self.descending)
        self._sift()

    def _sift(self) -> None:
        self._kept = None if self.query is None else bytearray(self._values.mask(self.query))
        self._shown = self._order if self._kept is None else self._order.only(self._kept)


def _number(trial: Trial) -> int:
    return trial.number


class Marks:
    """The trials that the user chose to act on together."""

    def __init__(self) -> None:
        self.numbers: frozenset[int] = frozenset()
        self._last: int | None = None
        """From here a range is marked."""

    def toggle(self, number: int) -> None:
        self.numbers ^= {number}
        self._last = number if number in self.numbers else None

    def add(self, numbers: Iterable[int], last: int | None = None) -> None:
        self.numbers |= frozenset(numbers)
        self._last = last

    def clear(self) -> None:
        self.numbers, self._last = frozenset(), None

    def extend(self, shown: Arrangement, number: int) -> None:
        """Mark what is shown from the last mark to this trial; this one alone where there is none to be seen."""
        row, last = shown.row(number), None if self._last is None else shown.row(self._last)
        if row is not None:
            first, end = sorted((row, row if last is None else last))
            self.add((shown[index].number for index in range(first, end + 1)), number)
