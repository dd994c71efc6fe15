"""The optimizer: what it holds for important, what it believes along each parameter, how right it was, what is next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from sweeptui.app import theme, wording
from sweeptui.app.columns import BOLD, HEADER, PLAIN, QUIET, RULE, Piece
from sweeptui.app.outlook import Outlooks, ends_of
from sweeptui.app.screens.lines import Line, Section, columns, fields, inner, line, rows_of, stacked, table, wrapped
from sweeptui.app.screens.page import Page, actions_of, bindings_of

if TYPE_CHECKING:
    from textual.binding import BindingType

    from sweeptui.app.panels import Part
    from sweeptui.app.snapshot import Snapshot

POINTS = 11
"""Of a slice that are shown."""
NEWEST = 12
"""Predictions that are shown, of the newest trials."""
BAR = 16
BLOCKS = "▁▂▃▄▅▆▇"
"""None is as high as its line: the profiles of two lines do not touch."""


class OptimizerPage(Page):
    """The parameters by importance; below, more of the one that the cursor is on."""

    NAME = "optimizer"
    KEYS = actions_of("optimizer")
    BINDINGS: ClassVar[list[BindingType]] = bindings_of(KEYS)

    def __init__(self, outlooks: Outlooks) -> None:
        super().__init__()
        self._outlooks = outlooks

    # -- what it says

    def heading(self, snapshot: Snapshot) -> list[Piece]:  # noqa: ARG002
        found = self._outlooks.known.found
        said = "" if found is None else f" {found['trials']} trials of {wording.line(found['metric'])}"
        return [("optimizer", BOLD), (said, QUIET)]

    def second_line(self, snapshot: Snapshot) -> list[Part]:
        known = self._outlooks.known
        if known.found is not None and known.ends != ends_of(snapshot):
            return [(0, [("newer results are being looked at ...", QUIET)])]
        others: list[Part] = []
        if count := len(snapshot.objectives):
            others = [(1, [(f"metric {self._outlooks.which + 1} of {count}: M shows the next", PLAIN)])]
        said = "by Protein's models, whatever the sweep is searched with; ± is the middle 68%"
        return [*others, (0, [(said, QUIET)])]

    def empty(self, snapshot: Snapshot) -> str:  # noqa: ARG002
        return wording.line(self._outlooks.known.empty)

    def lines(self, snapshot: Snapshot, width: int) -> list[Line]:
        self._outlooks.look(snapshot, always=True)
        known = self._outlooks.known
        if known.found is None or known.empty:
            return []
        found = known.found
        if not self.wide:
            room = inner(width, ruled=self.ruled)
            return stacked([*self._left(found, room), *self._right(found, room)], width, ruled=self.ruled)
        left = width // 2
        right = width - left - 1
        sides = self._left(found, left - 4), self._right(found, right - 4)
        return columns(*sides, (left, right), self.sheet.size.height)

    def _left(self, found: Mapping[str, Any], room: int) -> list[Section]:
        importance = self._importance(found, room)
        height = self.sheet.size.height - rows_of([importance]) if self.wide else 0
        return [importance, *self._slices(found, room, height)]

    def _right(self, found: Mapping[str, Any], room: int) -> list[Section]:
        return [self._next(found, room), self._predictions(found)]

    def _order(self, found: Mapping[str, Any]) -> list[str]:
        rows = found["importance"]["rows"]
        return [row["parameter"] for row in rows] or [each["parameter"] for each in found["slices"]]

    def _names(self, found: Mapping[str, Any]) -> dict[str, str]:
        return dict(wording.short_names(tuple(found["lengthscales"])))

    def _importance(self, found: Mapping[str, Any], room: int) -> Section:
        names = self._names(found)
        rows: list[list[Piece]] = [[("", HEADER), ("share", HEADER), ("middle 90%", HEADER), ("", HEADER)]]
        keys: list[int | None] = [None]
        for index, row in enumerate(found["importance"]["rows"]):
            filled = round(row["mean"] * BAR)
            colour = theme.GREEN if row["told"] else theme.SKY
            rows.append(
                [
                    (wording.line(names[row["parameter"]]), BOLD),
                    (f"{row['mean']:.2f}", PLAIN),
                    (f"{row['low']:.2f} - {row['high']:.2f}", QUIET),
                    (f"{'━' * filled:{BAR}}{' ✔' if row['told'] else '  '}", theme.style(colour)),
                ]
            )
            keys.append(index)
        if not found["importance"]["rows"]:
            rows = [[(wording.line(names[name]), BOLD)] for name in self._order(found)]
            keys = list(range(len(rows)))
        said = wrapped(_sentence(found["importance"]["verdict"]), room, QUIET)
        told = any(row["told"] for row in found["importance"]["rows"])
        legend = "✔ more than chance" if told else ""
        return Section("Importance by lengthscale", (*table(rows, keys=keys), *said), legend)

    def _slices(self, found: Mapping[str, Any], room: int, height: int) -> list[Section]:
        """Along the parameter that the cursor is on, and where there is room along those after it."""
        order = self._order(found)
        at = self.sheet.cursor if self.sheet.cursor is not None and self.sheet.cursor < len(order) else 0
        sections: list[Section] = []
        for name in [*order[at:], *order[:at]]:
            section = self._slice(found, name, room)
            if sections and rows_of([*sections, section]) > height:
                break
            sections.append(section)
        return sections

    def _slice(self, found: Mapping[str, Any], parameter: str, room: int) -> Section:
        each = next((item for item in found["slices"] if item["parameter"] == parameter), None)
        name = wording.line(self._names(found)[parameter])
        if each is None:
            return Section(f"Along {name}", (line(("the best trial has no such parameter", QUIET)),))
        last = len(each["values"]) - 1
        kept = sorted({round(index * last / (POINTS - 1)) for index in range(POINTS)})
        low = min(each["mean"][index] - each["spread"][index] for index in kept)
        high = max(each["mean"][index] + each["spread"][index] for index in kept)
        values = [wording.param(each["values"][index]) for index in kept]
        told = [f"{wording.number(each['mean'][k])} ± {wording.number(each['spread'][k], 2)}" for k in kept]
        told = [words.rjust(max(map(len, told))) for words in told]
        strip = max(8, room - max(map(len, values)) - max(map(len, told)) - 4)
        rows = []
        for index, value, words in zip(kept, values, told, strict=True):
            mean, spread = each["mean"][index], each["spread"][index]
            rows.append([(value, BOLD), *_interval(mean, spread, low, high, strip, words)])
        lines = [line((value[0].rjust(max(map(len, values))), value[1]), ("  ", PLAIN), *rest) for value, *rest in rows]
        through = f"through {found['through']}" if found["through"] else "on average"
        return Section(f"Along {name}", tuple(lines), through)

    def _next(self, found: Mapping[str, Any], room: int) -> Section:
        following = found["next"]
        if following["problem"]:
            return Section("Where it would look next", tuple(wrapped(wording.line(following["problem"]), room, QUIET)))
        names = self._names(found)
        how = following["provenance"]
        lines: list[Line] = []
        facts: list[tuple[str, list[Piece]]] = [("chosen by", [(wording.param(how.get("method", "unknown")), BOLD)])]
        if how.get("score_mean") is not None:
            spread = how.get("score_std")
            width = f" ± {wording.number(spread, 2)}" if spread is not None else ""
            facts.append(("expects", [(wording.number(how["score_mean"]) + width, PLAIN)]))
        if following["pending"]:
            shown = " ".join(f"#{number}" for number in following["pending"][:8])
            facts.append(("pending", [(f"{shown}, believed as predicted", QUIET)]))
        lines += fields(facts)
        rows: list[list[Piece]] = []
        profiles = following.get("improvement", {})
        for name in self._order(found):
            if name not in following["params"]:
                continue
            row: list[Piece] = [(wording.line(names[name]), BOLD), (wording.param(following["params"][name]), PLAIN)]
            if name in profiles:
                row.append((_spark(profiles[name]), theme.style(theme.SKY)))
            rows.append(row)
        lines += table(rows)
        if profiles:
            lines.append(line(("blocks: the expected improvement along each axis", QUIET)))
        return Section("Where it would look next", tuple(lines))

    def _predictions(self, found: Mapping[str, Any]) -> Section:
        lines: list[Line] = []
        for title, key in (("before the trial was run", "stored"), ("with the trial left out", "left_out")):
            told = found[key]
            count = len(told["rows"])
            said = f"{told['in_68']} of {count} in 68%, {told['in_90']} in 90%" if count else "none yet"
            lines.append(line((f"{title}: ", QUIET), (said, BOLD if count else QUIET)))
        stored = found["stored"]["rows"]
        shown = (stored or found["left_out"]["rows"])[-NEWEST:]
        rows: list[list[Piece]] = [[("trial", HEADER), ("predicted", HEADER), ("came", HEADER), ("off", HEADER)]]
        for row in reversed(shown):
            off = row["off"]
            colour = theme.GREEN if abs(off) <= 2 else theme.ORANGE
            rows.append(
                [
                    (f"#{row['number']}", BOLD),
                    (f"{wording.number(row['mean'])} ± {wording.number(row['spread'], 2)}", PLAIN),
                    (wording.number(row["observed"]), PLAIN),
                    (f"{off:+.1f}\N{GREEK SMALL LETTER SIGMA}", theme.style(colour, bold=True)),
                ]
            )
        lines += table(rows)
        return Section("Predicted and observed", tuple(lines), "before the run" if stored else "left out")


def _sentence(text: str) -> str:
    return wording.line(text[:1].upper() + text[1:] + ".")


def _spark(values: list[float]) -> str:
    return "".join(BLOCKS[round(max(0.0, min(1.0, value)) * (len(BLOCKS) - 1))] for value in values)


def _interval(mean: float, spread: float, low: float, high: float, width: int, words: str) -> list[Piece]:
    """A row of a slice: the middle 68% as a bar, with the mean on it."""

    def cell(value: float) -> int:
        return round((value - low) / (high - low) * (width - 1)) if high > low else width // 2

    start, middle, end = cell(mean - spread), cell(mean), cell(mean + spread)
    return [
        (" " * start, PLAIN),
        ("─" * (middle - start), RULE),
        ("●", theme.style(theme.SKY, bold=True)),
        ("─" * (end - middle), RULE),
        (" " * (width - 1 - end), PLAIN),
        (f"  {words}", PLAIN),
    ]
