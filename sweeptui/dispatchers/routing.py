"""Sends each job where it is to run: the training to the cloud and the evaluation here, say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweeptui.core.dispatch import Capacity, DispatchError, JobUpdate, Started

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from sweeptui.core.dispatch import Dispatcher, JobSpec


class RoutingDispatcher:
    """Implements `sweeptui.core.dispatch.Dispatcher` by others, each for the jobs of one route."""

    def __init__(self, places: Mapping[str, Dispatcher]) -> None:
        """`places`: by `JobSpec.route`."""
        self._places = dict(places)
        self.name = " and ".join(place.name for place in self._places.values())
        self._of: dict[str, Dispatcher] = {}
        """By token."""

    def open(self) -> None:
        """Open all of them. Raises DispatchError."""
        for place in self._places.values():
            place.open()

    def cannot_pause(self, token: str) -> str:
        """Why this job cannot be paused, as its own dispatcher says."""
        return self._of[token].cannot_pause(token) if token in self._of else ""

    def pause_ends(self, token: str) -> bool:
        """Whether this job's own dispatcher ends it in a pause."""
        return token in self._of and self._of[token].pause_ends(token)

    def capacity(self, cpus: int, gpus: int) -> Capacity:
        """Room is where all of them have room: who asks does not know yet which job it is for."""
        for place in self._places.values():
            if not (capacity := place.capacity(cpus, gpus)).free:
                return capacity
        return Capacity(free=True)

    def dispatch(self, specs: Sequence[JobSpec]) -> list[Started | DispatchError]:
        """Start each job at its place; in their order, how it was started, or why it was not."""
        answers: dict[str, Started | DispatchError] = {}
        for route in dict.fromkeys(spec.route for spec in specs):
            mine = [spec for spec in specs if spec.route == route]
            place = self._places.get(route)
            if place is None:
                answers |= {spec.token: DispatchError(f"there is no dispatcher {route!r}") for spec in mine}
                continue
            for spec, answer in zip(mine, place.dispatch(mine), strict=True):
                answers[spec.token] = answer
                if isinstance(answer, Started):
                    self._of[spec.token] = place
        return [answers[spec.token] for spec in specs]

    def adopt(self, token: str, trial_dir: Path, handle: Mapping[str, Any]) -> JobUpdate | None:
        """Each place knows its own jobs by what it has left on disk."""
        for place in self._places.values():
            if (update := place.adopt(token, trial_dir, handle)) is not None:
                self._of[token] = place
                return update
        return None

    def poll(self) -> list[JobUpdate]:
        """What changed anywhere since the last call."""
        updates = [update for place in self._places.values() for update in place.poll()]
        for update in updates:
            if update.exit is not None:
                self._of.pop(update.token, None)
        return updates

    def pause(self, token: str) -> None:
        if token in self._of:
            self._of[token].pause(token)

    def resume(self, token: str) -> None:
        if token in self._of:
            self._of[token].resume(token)

    def cancel(self, token: str) -> None:
        if token in self._of:
            self._of[token].cancel(token)

    def fileno_set(self) -> list[int]:
        return [number for place in self._places.values() for number in place.fileno_set()]

    def close(self) -> None:
        for place in self._places.values():
            place.close()
        self._of.clear()
