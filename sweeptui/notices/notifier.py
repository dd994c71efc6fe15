"""From a sweep's changes to notifications, on a thread of its own: the engine never waits for a slow hook or server.

What waits is one event of each kind, the newest. An end is marked in the sweep's folder once every channel has taken
it or has given up, by how many trials had ended: where a crash came between, the next run, which ends at once, tells of
it; a sweep that is run again and finds nothing to do does not.
"""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

from sweeptui.core.analysis.summary import best_json, goal
from sweeptui.core.objectives import objectives_of
from sweeptui.core.state import ChangeKind, SweepStatus
from sweeptui.notices.channels import Undelivered, channels, plain, stop_programs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sweeptui.core.notifying import NotifyConfig
    from sweeptui.core.state import Change, SweepState
    from sweeptui.notices.channels import Send

RETRIES_S = (1.0, 4.0, 15.0)
"""Before each further try."""
CLOSE_S = 20.0
"""How long the end of a run waits for what is still to be told."""
OVER = frozenset({SweepStatus.FINISHED, SweepStatus.STOPPED, SweepStatus.BROKEN})
MARK = "notified.json"
LOG = "notify.log"
Event = dict[str, Any]


def event_of(kind: str, state: SweepState, message: str) -> Event:
    """What a channel is given. Scores that are no number of JSON's do not occur: a best score is finite."""
    best = state.best(goal(state))
    found = None if best is None else {**best_json(best, objectives_of(state.config)), "scores": None}
    return {
        "event": kind,
        "sweep": state.name,
        "message": plain(message),
        "at": time.time(),
        "status": state.status.value,
        "trials": len(state.trials),
        "best": None if found is None else {key: found[key] for key in ("id", "number", "score", "cost")},
    }


class Notifier:
    """Tells of one sweep while it is run. `changed` returns at once."""

    def __init__(self, config: NotifyConfig, folder: Path) -> None:
        self._config = config
        self._folder = folder
        self._channels: dict[str, Send] = channels(config)
        self._waiting: dict[str, tuple[Event, float]] = {}
        """Of each kind the newest, and before when (monotonic) it is not to be told."""
        self._told_best = float("-inf")
        self._best: int | None = None
        self._left = False
        """The run has ended and waits no longer."""
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._deliver, name="notifier", daemon=True)

    def begin(self, state: SweepState) -> None:
        """Look at the sweep as it is before it is run: its best is known already."""
        best = state.best(goal(state))
        self._best = None if best is None else best.number

    def changed(self, changes: list[Change], state: SweepState) -> None:
        for change in changes:
            if change.kind == ChangeKind.SWEEP_CHANGED and change.data.get("status") in OVER:
                self._end(state, SweepStatus(change.data["status"]), str(change.data.get("reason", state.reason)))
            elif change.kind == "disk":
                self._put("disk", event_of("disk", state, f"{state.name}: {change.data.get('message', '')}"))
        best = state.best(goal(state))
        if best is not None and best.number != self._best:
            self._best = best.number
            said = f"{state.name}: a new best, {best.score!r} by {best.id}"
            self._put("best", event_of("best", state, said), self._told_best + self._config.pause_s)

    def _end(self, state: SweepState, status: SweepStatus, reason: str) -> None:
        mark = [status.value, state.ended]
        if mark == self._marked():
            return
        best = state.best(goal(state))
        found = "no trial has a score" if best is None else f"the best is {best.score!r} by {best.id}"
        kind = "breaker" if status is SweepStatus.BROKEN else "ended"
        event = event_of(kind, state, f"{state.name} is {status.value}: {reason}; {found}")
        self._put(kind, {**event, "status": status.value, "mark": mark})

    def _put(self, kind: str, event: Event, not_before: float = 0.0) -> None:
        if kind not in self._config.on or not self._channels:
            return
        with self._changed:
            if kind in ("ended", "breaker"):
                self._waiting.pop("best", None)  # it is told with the end
            if self._thread.ident is None:
                self._thread.start()
            self._waiting[kind] = event, not_before
            self._changed.notify()

    def close(self) -> None:
        """Tell what is left, for a while; then leave it."""
        if self._thread.ident is None:
            return
        with self._changed:
            self._waiting = {kind: (event, 0.0) for kind, (event, _) in self._waiting.items()}
            self._closing.set()
            self._changed.notify()
        self._thread.join(CLOSE_S)
        if self._thread.is_alive():
            self._left = True
            stop_programs()

    # -- on the thread --------------------------------------------------------------------------------------------

    def _deliver(self) -> None:
        while True:
            event = self._next()
            if event is None:
                return
            mark = event.pop("mark", None)
            for name, send in self._channels.items():
                self._insist(name, send, event)
            if event["event"] == "best":
                self._told_best = time.monotonic()
            elif mark is not None and not self._left:
                self._mark(mark)

    def _next(self) -> Event | None:
        with self._changed:
            while True:
                now = time.monotonic()
                for kind, (event, not_before) in self._waiting.items():
                    if not_before <= now:
                        del self._waiting[kind]
                        return event
                if self._closing.is_set() and not self._waiting:
                    return None
                due = min((at for _, at in self._waiting.values()), default=None)
                self._changed.wait(None if due is None else due - now)

    def _insist(self, name: str, send: Send, event: Mapping[str, Any]) -> None:
        why = ""
        for pause_s in (*RETRIES_S, None):
            if self._left:
                return
            try:
                send(event)
                return
            except Undelivered as error:
                why = str(error)
                if error.lasting or pause_s is None:
                    break
            except Exception as error:  # noqa: BLE001 - a fault here must not end the thread, nor tell a secret
                why = f"{type(error).__name__}"
                break
            time.sleep(pause_s)
        self._log(f"{name}: {event['event']} was not delivered: {why}")

    def _log(self, line: str) -> None:
        try:
            with (self._folder / LOG).open("a", encoding="utf-8") as file:
                file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {plain(line)}\n")
        except OSError:
            pass  # a full disk: the sweep goes on

    def _marked(self) -> Any:
        """Which end was told last; None where none was."""
        try:
            return json.loads((self._folder / MARK).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def _mark(self, end: Any) -> None:
        beside = self._folder / f"{MARK}.partial"
        try:
            beside.write_text(json.dumps(end), encoding="utf-8")
            beside.replace(self._folder / MARK)
        except OSError:
            pass  # told again by the next run
