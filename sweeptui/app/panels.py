"""The panels that only show: the header, the selected trial, the best configuration, the keys."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from sweeptui.app import theme, wording
from sweeptui.app.actions import ACTIONS, BY_ID, Action
from sweeptui.app.columns import BEST, BOLD, FAINT, MARK, PLAIN, QUIET, Piece, fit, progress_bar
from sweeptui.app.keymap import keymap_of
from sweeptui.core.trial import TrialStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweeptui.app.snapshot import Snapshot
    from sweeptui.core.trial import Trial

Part = tuple[int, list[Piece]]
"""Pieces, and how dispensable they are: where there is no room, the highest number goes first."""


def arrange(parts: Sequence[Part], width: int, gap: int = 3) -> list[Piece]:
    """Those of the parts that fit into `width`, in order."""

    def needed(chosen: Sequence[Part]) -> int:
        return sum(cell_len(text) for _, pieces in chosen for text, _ in pieces) + gap * max(0, len(chosen) - 1)

    chosen = [part for part in parts if part[1]]
    while len(chosen) > 1 and needed(chosen) > width:
        chosen.remove(max(reversed(chosen), key=lambda part: part[0]))
    pieces: list[Piece] = []
    for index, (_, part) in enumerate(chosen):
        pieces += [(" " * gap, PLAIN)] * (index > 0) + part
    return pieces


class Header(Widget):
    """What the sweep is, how far it is, and what is wrong with it."""

    def __init__(self, name: str, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._sweep = name
        self._snapshot: Snapshot | None = None
        self._notice = ""
        self.read_only = False

    def show(self, snapshot: Snapshot | None, notice: str) -> None:
        self._snapshot, self._notice = snapshot, notice
        self.set_class(bool(notice), "-notice")
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width - 2
        pieces = [self._first, self._second, self._third][min(y, 2)](width)
        segments = [Segment(" "), *fit(pieces, width), Segment(" ")]
        return Strip(segments).apply_style(self.rich_style)

    def _first(self, width: int) -> list[Piece]:
        name: Part = (0, [("sweeptui ", QUIET), (self._sweep, BOLD)])
        snapshot = self._snapshot
        if snapshot is None:
            return arrange([name, (1, [("◌ starting", QUIET)])], width)
        state = wording.sweep_state(snapshot.label)
        reason = wording.line(snapshot.reason)
        said = [(f": {reason}", theme.style(state.colour))] if reason and snapshot.status != "running" else []
        holder = snapshot.holder
        who = "" if holder is None or holder.pid == os.getpid() else f"run by {wording.line(str(holder))}"
        goal = [(f"{snapshot.goal} ", QUIET), (wording.line(snapshot.metric), PLAIN)]
        badge = [(str(state), theme.style(state.colour, bold=True)), *said]
        view = [("read-only", theme.style(theme.YELLOW))] if self.read_only else []
        return arrange([name, (1, badge), (1, view), (3, goal), (2, [(who, QUIET)] if who else [])], width)

    def _second(self, width: int) -> list[Piece]:
        snapshot = self._snapshot
        if snapshot is None:
            return []
        total = max(snapshot.max_trials, len(snapshot.trials))
        share = snapshot.done / total if total else 0.0
        bar = progress_bar(share, 12 if width < 100 else 24, theme.GREEN if snapshot.over else theme.SKY)
        done: Part = (0, [*bar, (f" {snapshot.done}/{total}", BOLD)])
        counts: list[Piece] = []
        for status in (TrialStatus.PAUSED, TrialStatus.FAILED, TrialStatus.STOPPED, TrialStatus.KILLED):
            if count := snapshot.counts[status]:
                counts += [*([("  ", PLAIN)] if counts else []), *_count(count, status)]
        active = [(f"▶ {snapshot.active}/{snapshot.slots} running", theme.style(theme.SKY))]
        best: list[Piece] = []
        if snapshot.best is not None:
            best = [
                (f"{MARK} ", BEST),
                (wording.number(snapshot.best.score), BEST),
                (f" #{snapshot.best.number}", QUIET),
            ]
        spent = [("cost ", QUIET), (wording.cost(snapshot.spent, snapshot.cost_unit), PLAIN)]
        eta = [("left ", QUIET), (f"~{wording.duration(snapshot.eta_s)}", PLAIN)] if snapshot.eta_s is not None else []
        ordered = [done, (1, active), (3, counts), (2, best), (5, spent), (4, eta)]
        return arrange(ordered, width)

    def _third(self, width: int) -> list[Piece]:
        return arrange([(0, [(f"! {self._notice}", theme.style(theme.YELLOW, bold=True))])], width)


def _count(count: int, status: TrialStatus) -> list[Piece]:
    state = wording.status_state(status)
    return [(f"{state.glyph} {count} {state.word}", theme.style(state.colour))]


class TrialLine(Static):
    """Of the selected trial: why it is what it is, and where its parameters come from."""

    def show(self, snapshot: Snapshot, trial: Trial | None) -> None:
        if trial is None:
            self.update("")
            return
        text = Text(no_wrap=False, overflow="ellipsis")
        if trial.reason:
            colour = theme.VERMILLION if trial.status is TrialStatus.FAILED else theme.YELLOW
            state = wording.trial_state(trial)
            text.append(f"{state}: {wording.line(trial.reason)}\n", style=f"bold {colour}")
        text.append("chosen by ", style=theme.QUIET)
        fallback = bool(trial.provenance.get("fallback"))
        text.append(wording.provenance(trial, snapshot.cost_unit), style=theme.YELLOW if fallback else theme.TEXT)
        self.update(text)


class KeyBar(Widget):
    """The keys, those that do not apply now in grey. A click does what its key does."""

    MAIN = tuple(action for action in ACTIONS if not action.pane)

    def __init__(
        self,
        actions: Sequence[Action] = MAIN,
        last: Sequence[str] = ("help", "quit"),
        *,
        id: str | None = None,  # noqa: A002
    ) -> None:
        """`last`: the ids of those that are always there, at the right end."""
        super().__init__(id=id)
        self._actions, self._last = actions, last
        self._snapshot: Snapshot | None = None
        self._trial: Trial | None = None
        self.read_only = False

    def show(self, snapshot: Snapshot | None, trial: Trial | None) -> None:
        self._snapshot, self._trial = snapshot, trial
        self.refresh()

    def render_line(self, y: int) -> Strip:  # noqa: ARG002
        width = self.size.width
        last = [segment for id_ in self._last for segment in self._key(BY_ID[id_])]
        room = width - Segment.get_line_length(last)
        first: list[Segment] = []
        for action in self._actions:
            if action.label and action.id not in self._last:
                key = self._key(action)
                if Segment.get_line_length(key) > room:
                    break
                first += key
                room -= Segment.get_line_length(key)
        return Strip([*first, Segment(" " * max(0, room)), *last]).crop(0, width).apply_style(self.rich_style)

    def _key(self, action: Action) -> list[Segment]:
        refused = (self.read_only and action.changes) or bool(action.refusal(self._snapshot, self._trial))
        click = Style.from_meta({"@click": f"app.act('{action.id}')"})
        key = FAINT if refused else theme.style(theme.ORANGE, bold=True)
        label = FAINT if refused else PLAIN
        name = keymap_of(self.app).first(action)
        return [Segment(f" {name} ", key + click), Segment(f"{action.label} ", label + click)]
