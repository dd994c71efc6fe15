"""The best configuration, with what sets it apart; on one line where there is no room for more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.strip import Strip
from textual.widget import Widget

from sweeptui.app import theme, wording
from sweeptui.app.columns import BEST, BOLD, MARK, PLAIN, QUIET, Piece, fit
from sweeptui.app.fields import run_time
from sweeptui.app.parameters import configuration
from sweeptui.core.objectives import front

if TYPE_CHECKING:
    from sweeptui.app.snapshot import Snapshot


class BestPanel(Widget):
    """Its values, and how far they are from the centre of the search and from those of the runner-up."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._snapshot: Snapshot | None = None

    def show(self, snapshot: Snapshot) -> None:
        old, self._snapshot = self._snapshot, snapshot
        # A trial with a result stays the same, its time too.
        if old is None or any(a is not b for a, b in zip(_shown(old), _shown(snapshot), strict=True)):
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width, height = self.size.width, self.size.height
        lines = [self._line()] if height == 1 else self._lines(width)
        pieces = lines[y] if y < len(lines) else []
        if y == height - 1 and len(lines) > height:
            pieces = [(f"… {len(lines) - height + 1} more", QUIET)]
        return Strip(fit(pieces, width)).apply_style(self.rich_style)

    def _line(self) -> list[Piece]:
        snapshot = self._snapshot
        if snapshot is None or snapshot.best is None:
            return [(" ☆ no best configuration yet", QUIET)]
        names = wording.short_names(tuple(snapshot.best.params))
        pieces: list[Piece] = [(" ", PLAIN), (f"{MARK} #{snapshot.best.number} ", BEST)]
        for path, value in snapshot.best.params.items():
            pieces += [(f" {names[path]} ", QUIET), (wording.param(value), PLAIN)]
        return pieces

    def _lines(self, width: int) -> list[list[Piece]]:
        snapshot = self._snapshot
        if snapshot is None or snapshot.best is None:
            return [[], [("none yet: no trial has a score", QUIET)]]
        if snapshot.objectives:
            return _lines_of_front(snapshot, width)
        best, second = snapshot.best, snapshot.runner_up
        others = [("center", snapshot.center)] if snapshot.center else []
        lead: list[Piece] = []
        if second is not None and second.score is not None and best.score is not None:
            others.append((f"#{second.number}", second.params))
            ahead = wording.number(abs(best.score - second.score), 3)
            lead = [
                ("  ", PLAIN),
                (f"{ahead} ahead of #{second.number}" if ahead != "0" else f"as #{second.number}", QUIET),
            ]
        return [
            [(f"{MARK} {wording.param(best.score, full=True)}", BEST), ("  ", PLAIN), (best.id, BOLD), *lead],
            [],
            *configuration(best.params, others, width),
            [],
            [
                ("cost  ", QUIET),
                (wording.cost(best.cost, snapshot.cost_unit), PLAIN),
                ("   time  ", QUIET),
                (wording.duration(run_time(best, snapshot.at)), PLAIN),
            ],
            [
                ("by    ", QUIET),
                (wording.param(best.provenance.get("method", "unknown")), PLAIN),
                ("   predicted  ", QUIET),
                (wording.predicted(best) or wording.UNKNOWN, PLAIN),
            ],
            [],
            [
                ("y", theme.style(theme.ORANGE, bold=True)),
                (" copies it; or ", QUIET),
                (f"sweeptui best {snapshot.name}", theme.style(theme.SKY)),
            ],
        ]


def _lines_of_front(snapshot: Snapshot, width: int) -> list[list[Piece]]:
    """With several metrics: how large the front is, and the best of it in each."""
    objectives = snapshot.objectives
    members = front(snapshot.trials, objectives)
    if not members:
        return [[], [("no front yet: no trial has all scores", QUIET)]]
    lines: list[list[Piece]] = [
        [(f"{MARK} {len(members)} on the front", BEST), (f"  of {len(snapshot.trials):,} trials", QUIET)]
    ]
    for which, objective in enumerate(objectives):
        end = max(members, key=lambda each: objective.sign * each.values[which])
        others: list[Piece] = [
            piece
            for other, value in zip(objectives, end.values, strict=True)
            if other is not objective
            for piece in ((f" {wording.line(other.name)} ", QUIET), (wording.number(value), PLAIN))
        ]
        lines += [
            [],
            [
                ("best ", QUIET),
                (f"{wording.line(objective.name)} ", BOLD),
                (wording.number(end.values[which]), BEST),
                (f"  {end.trial.id}", BOLD),
            ],
            [("with", QUIET), *others],
            *configuration(end.trial.params, [], width),
        ]
    return [
        *lines,
        [],
        [(f"sweeptui best {snapshot.name}", theme.style(theme.SKY)), (" prints the whole front", QUIET)],
    ]


def _shown(snapshot: Snapshot) -> tuple[object, ...]:
    # Of several metrics, any trial that ends may be on the front.
    ended = snapshot.done if snapshot.objectives else None
    return snapshot.best, snapshot.runner_up, snapshot.center, ended
