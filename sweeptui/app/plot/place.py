"""Where the plot pane stands: beside the table on a wide screen, in place of the log on a narrow one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweeptui.app.plot.order import Tab
from sweeptui.app.plot.pane import PlotPane

if TYPE_CHECKING:
    from sweeptui.app.cockpit import Cockpit
    from sweeptui.app.snapshot import Snapshot

WIDE = 120
"""From so many columns on there is room beside the table."""
TABLE_SHARE = 0.55
"""Of the height, at most, so that what is below has room."""
TABLE_SHARE_ABOVE = 0.4
"""The same where a plot is below."""
LEAST_SHARE_BESIDE = 0.42
"""However few trials there are: a plot needs some height."""
LEAST_ROWS = 5
TINY = 16
"""With fewer lines than this there is no room for a log below the table."""


class Plotting:
    """The plot pane of the cockpit: on a wide screen there until it is sent away, on others when it is asked for."""

    def __init__(self, app: Cockpit) -> None:
        self._app = app
        self._sent_away = False
        self._asked_for = False
        self.pane: PlotPane = PlotPane(id="plots")

    @property
    def beside(self) -> bool:
        return self._app.size.width >= WIDE and not self._sent_away

    @property
    def instead(self) -> bool:
        """It stands where the log was."""
        return self._app.size.width < WIDE and self._asked_for

    @property
    def visible(self) -> bool:
        return self.beside or self.instead

    def show_tab(self, name: str) -> None:
        """Show a chart; the pane goes away where it is the one that is shown already."""
        tab = Tab[name]
        if self.visible and tab is self.pane.tab:
            self.hide()
        else:
            self.pane.show_tab(tab)
            self._appear(True)

    def hide(self) -> bool:
        """Make room for the log, or for the table; False where there is nothing to hide."""
        if not self.visible:
            return False
        self._appear(False)
        return True

    def leave(self) -> None:
        """Go back to the table, and the log."""
        self.give_way()
        self._app.table.focus()

    def toggle_log(self) -> None:
        if why := self.pane.toggle_log():
            self._app.notify(why, severity="warning")

    def give_way(self) -> bool:
        """Show the log again where the plots took its place."""
        return self.instead and self.hide()

    def _appear(self, shown: bool) -> None:
        if self._app.size.width >= WIDE:
            self._sent_away = not shown
        else:
            self._asked_for = shown
        self._app.lay_out()

    def fit(self, rows: int, height: int) -> None:
        """Give the table as many of the `height` rows as it has use for, and the pane its place."""
        app = self._app
        screen = self.pane.screen
        screen.set_class(self.beside, "-plots-beside")
        screen.set_class(self.instead, "-plots-instead")
        most = int(height * (TABLE_SHARE_ABOVE if self.instead else TABLE_SHARE))
        least = int(height * LEAST_SHARE_BESIDE) if self.beside else LEAST_ROWS
        high = max(LEAST_ROWS, min(max(rows, least), most))
        app.table.styles.height = high
        self.pane.styles.height = high if self.beside else "1fr"
        tiny = height < TINY and not self.visible
        screen.set_class(tiny, "-tiny")
        if tiny:
            app.table.styles.height = "1fr"
        focused = app.screen.focused
        if ((self.instead or tiny) and focused is app.log_view) or (not self.visible and focused is self.pane):
            app.table.focus()

    def show(self, snapshot: Snapshot) -> frozenset[int]:
        """Bring the pane up to date; the trials whose curves it needs."""
        if not self.visible:
            return frozenset()
        table, outlook = self._app.table, self._app.pages.outlook
        if self.pane.tab is Tab.IMPORTANCE:
            outlook.look(snapshot, always=False)
        self.pane.show(snapshot, table.cursor, table.marked, outlook.known)
        return self.pane.wanted(snapshot, table.cursor, table.marked)
