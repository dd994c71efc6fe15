"""What the table's columns depend on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeptui.app.fields import Fields, slot_name

if TYPE_CHECKING:
    from sweeptui.app.arrange import Arrangement
    from sweeptui.app.snapshot import Snapshot
    from sweeptui.core.objectives import Objectives
    from sweeptui.core.trial import Trial

NARROW = 100
"""With less room than this, columns are shorter."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Other columns are needed where this differs."""

    narrow: bool
    params: tuple[tuple[str, str], ...]
    """Full paths in the order of their columns, each with the name of its field."""
    retried: bool
    """Whether any trial was tried more than once."""
    slotted: bool
    """Whether it is worth saying where a trial runs."""
    sorted_by: str
    descending: bool
    metrics: tuple[tuple[str, str], ...] = ()
    """The other metrics of several, each with the name of its field."""
    told: frozenset[str] = frozenset()
    """The parameters that the trials tell of, by their full paths."""

    @property
    def usual(self) -> bool:
        """In the order in which they came."""
        return self.sorted_by == "#" and not self.descending


class Seen:
    """What the trials until now give columns for."""

    def __init__(self) -> None:
        self._params: tuple[str, ...] = ()
        self._objectives: Objectives = ()
        self._varied: set[str] = set()
        """The parameters that are not the same in all trials: their columns come first."""
        self._leading: tuple[str, ...] = ()
        self.first: tuple[str, ...] | None = None
        """The parameters whose columns the user wants first; None where the important ones are to be."""
        self._retried = False
        self._slotted = False

    def look(self, snapshot: Snapshot, news: Iterable[Trial], *, still: bool = False) -> None:
        """Take in the trials that are new or changed; `still` while no column may change its place."""
        if not still:
            self._leading = snapshot.leading
        self._params = snapshot.params
        self._objectives = snapshot.objectives
        first = snapshot.trials[0].params if snapshot.trials else {}
        same = [path for path in snapshot.params if path not in self._varied]
        self._varied.update(path for path in same if any(trial.params.get(path) != first.get(path) for trial in news))
        self._retried = self._retried or any(trial.attempt > 1 for trial in news)
        if not self._slotted:
            slots = [job.slot for job in snapshot.running.values() if slot_name(job)]
            self._slotted = any(snapshot.slots > 1 or slot.get("gpus") or "on" in slot for slot in slots)

    def layout(self, room: int, fields: Fields, shown: Arrangement) -> Layout:
        first = self._leading if self.first is None else self.first
        place = {path: index for index, path in enumerate(first)}
        params = sorted(self._params, key=lambda path: (place.get(path, len(place)), path not in self._varied))
        names = [(path, fields.by_param[path].name) for path in params if path in fields.by_param]
        narrow = room < NARROW
        metrics = tuple(zip((each.name for each in self._objectives[1:]), fields.metrics, strict=False))
        return Layout(
            narrow,
            tuple(names),
            self._retried,
            self._slotted,
            shown.field.name,
            shown.descending,
            metrics,
            frozenset(self._leading),
        )
