"""Which trials are looked at, and which are acted on: the filter, the order, the marks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from sweeptui.app import theme, wording
from sweeptui.app.filterbar import FilterBar
from sweeptui.app.table import Follow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweeptui.app.cockpit import Cockpit
    from sweeptui.core.trial import Trial


class Choosing:
    """One for each cockpit."""

    def __init__(self, app: Cockpit) -> None:
        self._app = app
        self._marked: tuple[tuple[object, object], tuple[Trial, ...]] | None = None
        """The marked trials, and of which snapshot and marks."""
        self._shown = Text()
        self.bar: FilterBar = FilterBar(app.table, id="filter")

    def targets(self) -> Sequence[Trial]:
        """The trials that a key acts on: that of the page on screen, else the marked ones, else the selected one."""
        app = self._app
        if app.snapshot is None:
            return ()
        if app.pages.trial is not None:
            return (app.pages.trial,)
        if not app.table.marked:
            return () if app.selected is None else (app.selected,)
        key = app.snapshot, app.table.marked
        if self._marked is None or any(a is not b for a, b in zip(key, self._marked[0], strict=True)):
            trials = app.snapshot.trials
            places = (app.snapshot.index(number) for number in sorted(app.table.marked))
            self._marked = key, tuple(trials[place] for place in places if place < len(trials))
        return self._marked[1]

    def show(self) -> None:
        """Other trials are shown, or others are marked."""
        title = self._title()
        if title != self._shown:  # to set it paints the whole table
            self._app.table.border_title = self._shown = title
        self.bar.show()

    def _title(self) -> Text:
        """How many trials there are, and what was made of them."""
        table = self._app.table
        shown = f"{len(table.shown):,} of {table.total:,}" if table.query_text else f"{table.total:,}"
        parts = [f"Trials {shown}"]
        if table.marked:
            hidden = table.hidden_marks()
            parts.append(f"● {len(table.marked):,} marked" + (f" ({hidden:,} hidden)" if hidden else ""))
        if table.total and table.following is not Follow.OFF:
            parts.append(f"follows the {table.following.value}")
        text = Text(" · ".join(parts))
        if table.query_text:
            text.append(" · ").append(f"/ {wording.line(table.query_text)}", style=theme.SKY)
        return text

    def ask_order(self) -> None:
        from sweeptui.app.screens.sort import SortMenu, choices  # noqa: PLC0415 - when it is opened

        table = self._app.table

        def answered(name: str | None) -> None:
            if name is not None:
                table.sort_by(name)

        self._app.push_screen(
            SortMenu(choices(table.titles(), table.shown.field, descending=table.shown.descending)), answered
        )

    def follow_next(self) -> None:
        """The newest trial, then the best one, then none."""
        hows = list(Follow)
        table = self._app.table
        table.follow(hows[(hows.index(table.following) + 1) % len(hows)])
        said = f"the cursor follows the {table.following.value} trial"
        self._app.notify(said if table.following.value else "the cursor stays where it is", markup=False, timeout=2)
