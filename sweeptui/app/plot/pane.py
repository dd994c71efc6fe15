"""The plot pane: four charts of the sweep, of which one is shown.

A chart is drawn when what it shows has changed, at most twice a second; a paint only copies the lines.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from sweeptui.app.actions import ACTIONS
from sweeptui.app.moves import Move
from sweeptui.app.plot import curves, history, pareto, scatter
from sweeptui.app.plot.chart import Chart, Picture, Window, logarithmic, picture
from sweeptui.app.plot.curves import Across
from sweeptui.app.plot.results import Results, ended, highlighted, running
from sweeptui.core.trial import TrialStatus

if TYPE_CHECKING:
    from textual.events import Click, MouseScrollDown, MouseScrollUp
    from textual.timer import Timer

    from sweeptui.app.snapshot import Snapshot

DATA_S = 0.5
"""Seconds between two pictures when the sweep goes on."""
LOOK_S = 0.1
"""Seconds between two pictures when the user goes from trial to trial."""
REST = 10
"""Drawing takes no more than one part of time in so many."""
ZOOM = 1.6
PAN = 0.25
"""Of what is seen."""


class Tab(Enum):
    CURVES = "Curves"
    HISTORY = "History"
    COST = "Cost"
    PARAMETERS = "Params"


@dataclass(slots=True)
class _View:
    """How the user looks at one of the charts."""

    window: Window | None = None
    log: bool = False


class PlotPane(Widget, can_focus=True, inherit_bindings=False):
    """Shows `Snapshot.trials` and `Snapshot.series`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(",".join(action.keys), f"app.act('{action.id}')", action.help, id=action.id, show=False)
        for action in ACTIONS
        if action.pane == "plots"
    ]

    class Picked(Message):
        """A point was clicked."""

        def __init__(self, trial: int) -> None:
            super().__init__()
            self.trial = trial

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._clock = clock
        self._snapshot: Snapshot | None = None
        self._selected: int | None = None
        self._marked: frozenset[int] = frozenset()
        self._views = {tab: _View() for tab in Tab}
        self._across = Across.STEP
        self._parameter = 0
        self._ended: tuple[tuple[object, ...], Results] | None = None
        self._drawn: tuple[object, ...] = ()
        """What the picture shows; held, so that identity means equality."""
        self._drawn_at = float("-inf")
        self._took = 0.0
        self._base: tuple[tuple[object, ...], Chart] | None = None
        self._picture = Picture(())
        self._timer: Timer | None = None
        self._due = 0.0
        """When the timer goes off."""
        self.tab = Tab.CURVES

    # -- what is shown

    def wanted(self, snapshot: Snapshot, selected: int | None, marked: Collection[int]) -> frozenset[int]:
        """The trials whose learning curves the chart needs."""
        return curves.wanted(snapshot, selected, marked) if self.tab is Tab.CURVES else frozenset()

    def show(self, snapshot: Snapshot, selected: int | None, marked: frozenset[int]) -> None:
        moved = (selected, marked) != (self._selected, self._marked)
        self._snapshot, self._selected, self._marked = snapshot, selected, marked
        self._draw_after(LOOK_S if moved else DATA_S)

    def show_tab(self, tab: Tab) -> None:
        self.tab = tab
        self._title()
        self._draw()

    @property
    def _seen(self) -> bool:
        return self.display and self.size.width > 0

    def _draw_after(self, interval: float) -> None:
        """Draw, but not before `interval` seconds have passed since the last picture; more where that took long."""
        due = self._drawn_at + max(interval, REST * self._took)
        if self._timer is not None and due >= self._due:
            return
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        wait = due - self._clock()
        if wait <= 0:
            self._draw()
        else:
            self._due, self._timer = due, self.set_timer(wait, self._draw)

    def _draw(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        if self._snapshot is None or not self._seen:
            return
        view = self._views[self.tab]
        shown = (*self._contents(self._snapshot), self._selected, *self.size, view.window, view.log)
        if _same(shown, self._drawn):
            return
        began = self._clock()
        chart = self._chart(self._snapshot)
        self._picture = picture(logarithmic(chart) if view.log else chart, *self.size, view.window)
        self._drawn, self._drawn_at = shown, self._clock()
        self._took = self._drawn_at - began
        self.refresh()

    def _contents(self, snapshot: Snapshot) -> tuple[object, ...]:
        """All that the chart depends on, but for the selected trial where that is only marked."""
        best = snapshot.best.number if snapshot.best is not None else None
        if self.tab is Tab.CURVES:
            numbers = curves.wanted(snapshot, self._selected, self._marked)
            series = [snapshot.series.get(number, ()) for number in sorted(numbers)]
            selected = snapshot.trial(self._selected)
            return (
                self.tab,
                self._across,
                best,
                numbers,
                curves.hidden(self._marked),
                selected and selected.status,
                *series,
            )
        found = self._results(snapshot)
        live = found.live if self.tab is Tab.HISTORY else ()
        path = self._path(snapshot) if self.tab is Tab.PARAMETERS else None
        return self.tab, best, path, found.scored, found.failed, *live

    def _chart(self, snapshot: Snapshot) -> Chart:
        contents = self._contents(snapshot)
        if self._base is None or not _same(contents, self._base[0]):
            self._base = contents, self._new_chart(snapshot)
        chart = self._base[1]
        if self.tab is Tab.CURVES:
            return chart
        return highlighted(chart, snapshot.best.number if snapshot.best is not None else None, self._selected)

    def _new_chart(self, snapshot: Snapshot) -> Chart:
        match self.tab:
            case Tab.CURVES:
                return curves.chart(snapshot, self._selected, self._marked, self._across)
            case Tab.HISTORY:
                return history.chart(snapshot, self._results(snapshot))
            case Tab.COST:
                return pareto.chart(snapshot, self._results(snapshot))
            case Tab.PARAMETERS:
                return scatter.chart(snapshot, self._results(snapshot), self._path(snapshot))

    def _results(self, snapshot: Snapshot) -> Results:
        """Trials that have ended are looked through again only when one more has, or is not over any more."""
        key = (*(snapshot.counts.get(status, 0) for status in TrialStatus), snapshot.spent, snapshot.best)
        if self._ended is None or not _same(key, self._ended[0]):
            self._ended = key, ended(snapshot.trials)
        return running(snapshot, self._ended[1])

    def _path(self, snapshot: Snapshot) -> str | None:
        return snapshot.params[self._parameter % len(snapshot.params)] if snapshot.params else None

    def render_line(self, y: int) -> Strip:
        lines = self._picture.lines
        strip = lines[y] if y < len(lines) else Strip([])
        return strip.adjust_cell_length(self.size.width).apply_style(self.rich_style)

    # -- how it is looked at

    def zoom(self, factor: float, about: float = 0.5) -> None:
        """Show so much less of the x axis; `about` (0 to 1) stays where it is."""
        seen, full = self._picture.x, self._picture.full
        if seen is None or full is None:
            return
        start = about - about / factor
        part = seen.part(start, start + 1 / factor)
        low, high = max(part.low, full.low), min(part.high, full.high)
        self._look(
            (low, high) if full.low <= low < high <= full.high and (low, high) != (full.low, full.high) else None
        )

    def zoom_in(self) -> None:
        self.zoom(ZOOM)

    def zoom_out(self) -> None:
        self.zoom(1 / ZOOM)

    def pan(self, direction: int) -> None:
        """Go along the x axis, as far as there is something to see."""
        seen, full = self._picture.x, self._picture.full
        if seen is None or full is None or self._views[self.tab].window is None:
            return
        start, stop = (seen.share(full.low), 0.0) if direction < 0 else (0.0, seen.share(full.high) - 1)
        by = max(-PAN, start) if direction < 0 else min(PAN, stop)
        part = seen.part(by, 1 + by)
        self._look((part.low, part.high))

    def move(self, move: Move) -> bool:
        """Go sideways; False for what is not for a plot."""
        if move in (Move.LEFT, Move.RIGHT):
            self.pan(-1 if move is Move.LEFT else 1)
            return True
        return False

    def _look(self, window: Window | None) -> None:
        self._views[self.tab].window = window
        self._draw()

    def reset(self) -> None:
        self._views[self.tab] = _View()
        self._draw()

    def toggle_log(self) -> str:
        """Switch the y axis between linear and logarithmic. Why not, where it cannot be done."""
        view = self._views[self.tab]
        if not view.log and self._snapshot is not None:
            chart = logarithmic(self._chart(self._snapshot))
            if not any(chart.placed(trace) for trace in chart.traces if trace.has_height):
                return "a logarithmic axis needs a score above 0"
        view.log = not view.log
        self._draw()
        return ""

    def other_x(self) -> None:
        """Show the curves over time instead of steps, or back; the scores over the next parameter."""
        if self.tab is Tab.CURVES:
            self._across = Across.TIME if self._across is Across.STEP else Across.STEP
        else:
            self._parameter += 1
        self._look(None)

    # -- the mouse, the focus, the frame

    def on_mount(self) -> None:
        self._title()

    def on_show(self) -> None:
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def on_click(self, event: Click) -> None:
        at = event.get_content_offset(self)
        trial = None if at is None else self._picture.trial_at(at.x, at.y)
        if trial is not None:
            self.post_message(self.Picked(trial))

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        event.stop()
        self.zoom(ZOOM, self._picture.share_at(event.x - self.gutter.left))

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        event.stop()
        self.zoom(1 / ZOOM, self._picture.share_at(event.x - self.gutter.left))

    def on_focus(self) -> None:
        self.border_subtitle = "+ - zoom  ← → pan  y log  X next  0 all"

    def on_blur(self) -> None:
        self.border_subtitle = ""

    def _title(self) -> None:
        tabs = []
        for index, tab in enumerate(Tab, start=1):
            name = f"{index} {tab.value}"
            look = "bold reverse" if tab is self.tab else "not bold"
            tabs.append(f"[{look} @click=app.act('plot_{index}')] {name} [/]")
        self.border_title = "".join(tabs)


def _same(these: tuple[object, ...], those: object) -> bool:
    """Equal, with large values compared by identity alone: they are never changed, only replaced."""
    return (
        isinstance(those, tuple)
        and len(these) == len(those)
        and all(a is b or (not isinstance(a, tuple) and a == b) for a, b in zip(these, those, strict=True))
    )
