"""The panels that only show: the header, the selected trial, the best configuration, the keys."""

from __future__ import annotations

import os
import textwrap
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from sweeptui.app import theme, wording
from sweeptui.app.actions import ACTIONS, BY_ID, TIME, Action
from sweeptui.app.columns import BEST, BOLD, MARK, OFF, PLAIN, QUIET, Piece, fit, progress_bar
from sweeptui.app.keymap import keymap_of
from sweeptui.app.standing import NOTHING, Notice
from sweeptui.app.wording import State
from sweeptui.core.trial import TrialStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweeptui.app.gauges import Machine
    from sweeptui.app.snapshot import Snapshot
    from sweeptui.core.trial import Trial

Part = tuple[int, list[Piece]]
"""Pieces, and how dispensable they are: where there is no room, the highest number goes first."""
GAP = 3


def arrange(parts: Sequence[Part], width: int, gap: int = GAP) -> list[Piece]:
    """Those of the parts that fit into `width`, in order; the least dispensable one in any case."""
    given = [part for part in parts if part[1]]
    chosen: set[int] = set()
    room = width
    for index in sorted(range(len(given)), key=lambda index: given[index][0]):
        needed = sum(cell_len(text) for text, _ in given[index][1]) + gap * bool(chosen)
        if needed <= room or not chosen:
            chosen.add(index)
            room -= needed
    pieces: list[Piece] = []
    for index in sorted(chosen):
        pieces += [(" " * gap, PLAIN)] * bool(pieces) + given[index][1]
    return pieces


class Header(Widget):
    """What the sweep is, how far it is, and what is wrong with it."""

    MOST_NOTICE, ROOMY = 3, 20
    """Lines of what is wrong, at most, on a screen of so many lines; on a smaller one there is one."""

    def __init__(self, name: str, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._sweep = name
        self._snapshot: Snapshot | None = None
        self._notice = NOTHING
        self._told: list[str] = []
        """The notice, line by line."""
        self._machine: Machine | None = None
        self.read_only = False

    def gauge(self, machine: Machine) -> None:
        self._machine = machine
        self.refresh()

    def show(self, snapshot: Snapshot | None, notice: Notice) -> None:
        if self._snapshot is snapshot and self._notice == notice:
            return
        self._snapshot, self._notice = snapshot, notice
        self._wrap()
        self.refresh()

    def on_resize(self) -> None:
        self._wrap()

    def _wrap(self) -> None:
        lines = textwrap.wrap(self._notice.text, max(20, self.app.size.width - 4), break_on_hyphens=False)
        most = self.MOST_NOTICE if self.app.size.height >= self.ROOMY else 1
        lines = [*lines[: most - 1], " ".join(lines[most - 1 :])] if len(lines) > most else lines
        self._told = [f"{' ' if at else self._notice.glyph} {line}" for at, line in enumerate(lines)]
        self.set_class(bool(lines), "-notice")
        self.styles.height = 2 + len(lines)

    def render_line(self, y: int) -> Strip:
        width = self.size.width - 2
        pieces = self._first(width) if y == 0 else self._second(width) if y == 1 else self._told_line(y - 2)
        segments = [Segment(" "), *fit(pieces, width), Segment(" ")]
        return Strip(segments).apply_style(self.rich_style)

    def _first(self, width: int) -> list[Piece]:
        snapshot = self._snapshot
        label = State("◌", "reading", theme.QUIET) if snapshot is None else wording.sweep_state(snapshot.label)
        if snapshot is None and self._notice:
            label = State("✗", "cannot be read", theme.VERMILLION)
        badge: Part = (0, [(str(label), theme.style(label.colour, bold=True))])
        view: Part = (1, [("read-only", theme.style(theme.YELLOW))] if self.read_only else [])
        if snapshot is not None and snapshot.past is not None:
            view = (0, [("PAST", theme.style(theme.PURPLE, bold=True))])
        # The name gives way to the state, and its end to its beginning.
        room = max(8, width - cell_len(str(label)) - GAP - (GAP + 9 if self.read_only else 0))
        program = "sweeptui " if room >= 9 + cell_len(self._sweep) else ""
        name: Part = (0, [(program, QUIET), (cut(self._sweep, room - len(program)), BOLD)])
        if snapshot is None:
            return arrange([name, badge], width)
        holder = snapshot.holder
        who = "" if holder is None or holder.pid == os.getpid() else f"run by {wording.line(str(holder))}"
        goal = [(f"{snapshot.goal} ", QUIET), (wording.line(snapshot.metric), PLAIN)]
        for other in snapshot.objectives[1:]:
            goal += [(f", {other.goal} ", QUIET), (wording.line(other.name), PLAIN)]
        gauges: Part = (4, [] if self._machine is None else self._machine.pieces())
        return arrange([name, badge, view, (3, goal), (2, [(who, QUIET)] if who else []), gauges], width)

    def _second(self, width: int) -> list[Piece]:
        snapshot = self._snapshot
        if snapshot is None:
            return []
        total = snapshot.total
        share = snapshot.done / total if total else 0.0
        bar = progress_bar(share, 12 if width < 100 else 24, wording.sweep_state(snapshot.label).colour)
        done: Part = (0, [*bar, (f" {snapshot.done:,}/{total:,}", BOLD)])
        active = (
            [] if snapshot.over else [(f"▶ {snapshot.active:,}/{snapshot.slots:,} running", theme.style(theme.SKY))]
        )
        best: list[Piece] = []
        if snapshot.best is not None:
            best = [
                (f"{MARK} ", BEST),
                (wording.number(snapshot.best.score), BEST),
                (f" #{snapshot.best.number}", QUIET),
            ]
        left = [(f"~{wording.duration(snapshot.eta_s)}", PLAIN), (" left", QUIET)] if snapshot.eta_s is not None else []
        spent = [("cost ", QUIET), (wording.cost(snapshot.spent, snapshot.cost_unit), PLAIN)] if snapshot.spent else []
        counts = _counts(snapshot, (TrialStatus.PAUSED, TrialStatus.FAILED, TrialStatus.STOPPED, TrialStatus.KILLED))
        failed = _counts(snapshot, (TrialStatus.FAILED,))
        mirror = _mirror(snapshot)
        pieces = arrange([done, (1, active), (3, counts), (2, best), (6, spent), (5, left), (4, mirror)], width)
        if failed and failed[0] not in pieces:  # no room for all; for those that matter most there may be
            pieces = arrange([done, (1, active), (3, failed), (2, best), (6, spent), (5, left), (4, mirror)], width)
        return pieces

    def _told_line(self, at: int) -> list[Piece]:
        return [(self._told[at], theme.style(self._notice.colour, bold=True))] if at < len(self._told) else []


def _mirror(snapshot: Snapshot) -> list[Piece]:
    """How far W&B is behind."""
    mirror = snapshot.mirror
    if mirror is None:
        return []
    match mirror.state:
        case "synced" | "following":
            return [("W&B ✓", QUIET)]
        case "connecting":
            return [("W&B …", QUIET)]
        case "behind":
            return [(f"W&B {mirror.behind:,} behind", PLAIN)]
        case "stopped":
            return [(f"W&B {mirror.behind:,} behind", theme.style(theme.YELLOW))]
        case "away":
            return [(f"W&B away, {mirror.behind:,} behind", theme.style(theme.YELLOW))]
    return [(f"W&B refuses, {mirror.behind:,} behind", theme.style(theme.VERMILLION))]


def _counts(snapshot: Snapshot, statuses: Sequence[TrialStatus]) -> list[Piece]:
    pieces: list[Piece] = []
    for status in statuses:
        if count := snapshot.counts[status]:
            state = wording.status_state(status)
            pieces += [("  ", PLAIN)] * bool(pieces)
            pieces.append((f"{state.glyph} {count:,} {state.word}", theme.style(state.colour)))
    return pieces


def cut(text: str, width: int) -> str:
    """The text in at most `width` cells, with a mark where it goes on."""
    return text if cell_len(text) <= width else set_cell_size(text, max(0, width - 1)) + "…"


class TrialLine(Static):
    """Of the selected trial: why it is what it is, and where its parameters come from."""

    _said = Text()

    def show(self, snapshot: Snapshot, trial: Trial | None) -> None:
        text = Text(no_wrap=False, overflow="ellipsis")
        if trial is None:
            self._say(text)
            return
        if trial.reason:
            colour = theme.VERMILLION if trial.status is TrialStatus.FAILED else theme.YELLOW
            state = wording.trial_state(trial)
            text.append(f"{state}: {wording.line(trial.reason)}\n", style=f"bold {colour}")
        text.append("chosen by ", style=theme.QUIET)
        fallback = bool(trial.provenance.get("fallback"))
        text.append(wording.provenance(trial, snapshot.cost_unit), style=theme.YELLOW if fallback else theme.TEXT)
        self._say(text)

    def _say(self, text: Text) -> None:
        if text == self._said:
            return
        height = self._height(text)
        self.update(text, layout=height != self._height(self._said))  # to lay out the screen takes longer than a paint
        self._said = text

    def _height(self, text: Text) -> int:
        return len(text.wrap(self.app.console, max(1, self.size.width))) if text else 0


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
        self._pane = ""
        self._refusals: list[bool] = []
        """For each action, whether its key is painted in grey."""
        self.read_only = False

    def focus_moved(self, pane: str) -> None:
        """The keys of the pane that has the focus come first, and the others that mean something else there go."""
        if pane != self._pane:
            self._pane = pane
            self.refresh()

    def show(self, snapshot: Snapshot | None, trial: Trial | None) -> None:
        if self._snapshot is not snapshot or self._trial is not trial:
            self._snapshot, self._trial = snapshot, trial
            refused = [self._refused(action) for action in ACTIONS]
            if refused != self._refusals:
                self._refusals = refused
                self.refresh()

    def render_line(self, y: int) -> Strip:  # noqa: ARG002
        width = self.size.width
        last = [segment for id_ in self._last for segment in self._key(BY_ID[id_])]
        room = width - Segment.get_line_length(last)
        first: list[Segment] = []
        actions = [action for action in self._offered() if action.label and action.id not in self._last]
        if sum(Segment.get_line_length(self._key(action)) for action in actions) > room:  # no room for idle ones
            actions = [action for action in actions if not self._refused(action)]
        for action in actions:
            key = self._key(action)
            if Segment.get_line_length(key) > room:
                break
            first += key
            room -= Segment.get_line_length(key)
        return Strip([*first, Segment(" " * max(0, room)), *last]).crop(0, width).apply_style(self.rich_style)

    def _offered(self) -> Sequence[Action]:
        keymap = keymap_of(self.app)
        own = [action for action in ACTIONS if self._pane and action.pane == self._pane]
        taken = {key for action in own for key in keymap.keys(action)}
        others = [action for action in self._actions if taken.isdisjoint(keymap.keys(action))]
        # In the past, what leads through it; now, that is in the help.
        through = [action for action in others if action.group == TIME] if self._past else []
        return [*own, *through, *(action for action in others if action.group != TIME)]

    @property
    def _past(self) -> bool:
        return self._snapshot is not None and self._snapshot.past is not None

    def _refused(self, action: Action) -> bool:
        return ((self.read_only or self._past) and action.changes) or bool(action.refusal(self._snapshot, self._trial))

    def _key(self, action: Action) -> list[Segment]:
        refused = self._refused(action)
        click = Style.from_meta({"@click": f"app.act('{action.id}')"})
        key = OFF if refused else theme.style(theme.ORANGE, bold=True)
        label = OFF if refused else PLAIN
        name = keymap_of(self.app).first(action)
        return [Segment(f" {name} ", key + click), Segment(f"{action.label} ", label + click)]
