"""Drawing the charts: at once where that is quick, else on a thread, which leaves the keys to the screen."""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

from sweeptui.app.plot import curves, history, importance, pareto, scatter
from sweeptui.app.plot.chart import Chart, logarithmic, picture
from sweeptui.app.plot.order import Order, Tab, same
from sweeptui.app.plot.picture import Picture
from sweeptui.app.plot.results import Results, ended, highlighted, running


@dataclass(frozen=True, slots=True)
class Drawn:
    order: Order
    picture: Picture
    above_zero: bool
    """Whether a logarithmic y axis has anything to show."""


class Draughtsman:
    """Draws one picture at a time. Of orders that wait only the newest is carried out."""

    def __init__(self, deliver: Callable[[Drawn], object], fail: Callable[[Exception], object]) -> None:
        """`deliver` is called on the thread with what `ask` asked for, `fail` with what ended the thread."""
        self._deliver, self._fail = deliver, fail
        self._busy = threading.Lock()
        self._orders: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._ended: tuple[tuple[object, ...], Results] | None = None
        self._base: tuple[tuple[object, ...], Chart] | None = None

    def draw(self, order: Order) -> Drawn | None:
        """Draw here and now; None where the thread is drawing something else."""
        if not self._busy.acquire(blocking=False):
            return None
        try:
            return self._draw(order)
        finally:
            self._busy.release()

    def ask(self, order: Order) -> None:
        """Have it drawn by the thread."""
        self._orders.put(order)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="plot", daemon=True)
            self._thread.start()

    def close(self) -> None:
        self._orders.put(None)

    def _run(self) -> None:
        while (order := self._newest()) is not None:
            with self._busy:
                try:
                    drawn = self._draw(order)
                except Exception as error:  # noqa: BLE001 - else the chart would stand still, and nobody knew why
                    self._fail(error)
                    return
            self._deliver(drawn)

    def _newest(self) -> Order | None:
        order = self._orders.get()
        while order is not None and not self._orders.empty():
            order = self._orders.get()
        return order

    def _draw(self, order: Order) -> Drawn:
        if order.tab is Tab.IMPORTANCE:
            drawn = importance.picture(order, self._results(order))
            return Drawn(order, drawn, above_zero=True)
        chart = self._chart(order)
        above_zero = any(
            y > 0 and math.isfinite(y) and math.isfinite(x) and (x > 0 or not chart.x.log)
            for trace in chart.traces
            if trace.has_height
            for x, y in zip(trace.xs, trace.ys, strict=True)
        )
        drawn = picture(logarithmic(chart) if order.log else chart, order.columns, order.rows, order.window)
        return Drawn(order, drawn, above_zero)

    def _chart(self, order: Order) -> Chart:
        contents = order.contents
        if self._base is None or not same(contents, self._base[0]):
            self._base = contents, self._new_chart(order)
        chart = self._base[1]
        return chart if order.tab is Tab.CURVES else highlighted(chart, order.best, order.selected)

    def _new_chart(self, order: Order) -> Chart:
        match order.tab:
            case Tab.CURVES:
                return curves.chart(order.snapshot, order.selected, order.marked, order.across)
            case Tab.HISTORY:
                return history.chart(order.snapshot, self._results(order))
            case Tab.COST:
                return pareto.chart(order.snapshot, self._results(order))
            case _:
                return scatter.chart(order.snapshot, self._results(order), order.path)

    def _results(self, order: Order) -> Results:
        """Trials that have ended are looked through again only when one more has, or is not over any more."""
        key = order.ended
        if self._ended is None or not same(key, self._ended[0]):
            self._ended = key, ended(order.snapshot.trials)
        return running(order.snapshot, self._ended[1])
