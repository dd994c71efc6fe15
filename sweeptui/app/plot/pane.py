"""The plot pane: five charts of the sweep, of which one is shown.

A chart is drawn when what it shows has changed, at most twice a second, and by a thread where it has many points; a
paint only copies the lines.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from rich.style import Style
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from sweeptui.app.actions import ACTIONS
from sweeptui.app.messages import ThreadFailed
from sweeptui.app.moves import Move
from sweeptui.app.outlook import UNKNOWN, Known
from sweeptui.app.plot.order import Across, Order, Tab, same, wanted
from sweeptui.app.plot.picture import Picture, Window

if TYPE_CHECKING:
    from textual.events import Click, MouseScrollDown, MouseScrollUp
    from textual.geometry import Region
    from textual.timer import Timer

    from sweeptui.app.plot.drawing import Draughtsman, Drawn
    from sweeptui.app.snapshot import Snapshot

DATA_S = 0.5
"""Seconds between two pictures when the sweep goes on."""
LOOK_S = 0.1
"""Seconds between two pictures when the user goes from trial to trial."""
FEW = 2000
"""Up to so many points are drawn at once, in a few milliseconds."""
REST = 10
"""Drawing takes no more than one part of time in so many,"""
MOST_REST_S = 2.0
"""but where a machine is that busy, a picture is not kept waiting for longer."""
ZOOM = 1.6
PAN = 0.25
"""Of what is seen."""


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

    class Finished(Message):
        """The thread has drawn what it was asked for."""

        def __init__(self, drawn: Drawn) -> None:
            super().__init__()
            self.drawn = drawn

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, PlotPane.Finished)

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._clock = clock
        self._snapshot: Snapshot | None = None
        self._selected: int | None = None
        self._marked: frozenset[int] = frozenset()
        self._views = {tab: _View() for tab in Tab}
        self._across = Across.STEP
        self._parameter = 0
        self._outlook = UNKNOWN
        self._drawn: tuple[object, ...] = ()
        """What the picture shows, or will once the thread has drawn it; held, so that identity means equality."""
        self._drawn_at = float("-inf")
        self._took = 0.0
        self._asked_at: float | None = None
        """Since when the thread is at work."""
        self._picture = Picture(())
        self._base = Style.null()
        self._above_zero = True
        self._timer: Timer | None = None
        self._due = 0.0
        """When the timer goes off."""
        self.tab = Tab.CURVES

    # -- what is shown

    def wanted(self, snapshot: Snapshot, selected: int | None, marked: Collection[int]) -> frozenset[int]:
        """The trials whose learning curves the chart needs."""
        return wanted(snapshot, selected, marked) if self.tab is Tab.CURVES else frozenset()

    def show(self, snapshot: Snapshot, selected: int | None, marked: frozenset[int], outlook: Known = UNKNOWN) -> None:
        self._outlook = outlook
        moved = (selected, marked) != (self._selected, self._marked)
        self._snapshot, self._selected, self._marked = snapshot, selected, marked
        self._draw_after(LOOK_S if moved else DATA_S)

    def show_tab(self, tab: Tab) -> None:
        self.tab = tab
        self._title()
        self._draw()

    @property
    def pending(self) -> bool:
        """A newer picture is due."""
        return self._timer is not None or self._asked_at is not None

    @property
    def _seen(self) -> bool:
        return self.display and self.size.width > 0

    def _draw_after(self, interval: float) -> None:
        """Draw, but not before `interval` seconds have passed since the last picture; more where that took long."""
        due = self._drawn_at + max(interval, min(REST * self._took, MOST_REST_S))
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
        order = self._order(self._snapshot)
        if same(order.shown, self._drawn):
            return
        began = self._clock()
        drawn = self._draughtsman.draw(order) if order.points <= FEW else None
        self._drawn = order.shown
        if drawn is not None:
            self._asked_at = None  # what the thread may still draw is older
            self._show(drawn, began)
        else:
            self._asked_at = self._drawn_at = began
            self._draughtsman.ask(order)

    def _order(self, snapshot: Snapshot) -> Order:
        view = self._views[self.tab]
        return Order(
            self.tab, snapshot, self._selected, self._marked, self._across, self._parameter, *self.size, view.window,
            view.log, self._outlook,
        )  # fmt: skip

    def _show(self, drawn: Drawn, began: float) -> None:
        self._picture, self._above_zero = drawn.picture, drawn.above_zero
        self._drawn_at = self._clock()
        self._took = self._drawn_at - began
        self.refresh()

    def on_plot_pane_finished(self, message: PlotPane.Finished) -> None:
        if self._asked_at is not None and message.drawn.order.tab is self.tab:
            began, self._asked_at = self._asked_at, None
            self._show(message.drawn, began)
            if not same(message.drawn.order.shown, self._drawn):  # a newer one is being drawn
                self._asked_at = self._drawn_at

    def on_thread_failed(self, message: ThreadFailed) -> None:
        raise message.error

    @cached_property
    def _draughtsman(self) -> Draughtsman:
        from sweeptui.app.plot.drawing import Draughtsman  # noqa: PLC0415 - not for the first frame

        post = self.post_message
        return Draughtsman(lambda drawn: post(self.Finished(drawn)), lambda error: post(ThreadFailed(error)))

    def render_lines(self, crop: Region) -> list[Strip]:
        self._base = self.rich_style  # of all lines, and found out with some effort
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        lines = self._picture.lines
        strip = lines[y] if y < len(lines) else Strip([])
        return strip.adjust_cell_length(self.size.width).apply_style(self._base)

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
        if (full := self._picture.full) is not None:  # what is done next starts from here, drawn or not
            seen = full if window is None else type(full).fit(window, log=full.log)
            self._picture = replace(self._picture, x=seen)
        self._draw()

    def reset(self) -> None:
        self._views[self.tab] = _View()
        self._draw()

    def toggle_log(self) -> str:
        """Switch the y axis between linear and logarithmic. Why not, where it cannot be done."""
        view = self._views[self.tab]
        if not view.log and not self._above_zero:
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
        self.call_after_refresh(self._draw)

    def on_resize(self) -> None:
        self._title()
        if self._drawn:
            self._draw()
        else:
            self.call_after_refresh(self._draw)  # the table comes first

    def on_unmount(self) -> None:
        if "_draughtsman" in self.__dict__:
            self._draughtsman.close()

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
        # Where there is little room, the names are shorter and nearer to each other.
        roomy = sum(len(tab.value) + 4 for tab in Tab) <= self.outer_size.width - 4
        pad, gap = (" ", "") if roomy else ("", " ")
        tabs = []
        for index, tab in enumerate(Tab, start=1):
            name = f"{pad}{index} {tab.value if roomy else tab.short}{pad}"
            look = "bold reverse" if tab is self.tab else "not bold"
            tabs.append(f"[{look} @click=app.act('plot_{index}')]{name}[/]")
        self.border_title = gap.join(tabs)
