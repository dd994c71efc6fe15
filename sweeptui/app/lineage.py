"""The family of a trial, drawn as a tree: what it goes on from, and what went on from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweeptui.app import theme, wording
from sweeptui.app.columns import BOLD, PLAIN, QUIET, Piece
from sweeptui.app.screens.lines import Line, Section

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sweeptui.app.snapshot import Snapshot
    from sweeptui.core.trial import Trial

MOST = 40
"""Lines; of a longer tree the rest is counted."""


def lineage(snapshot: Snapshot, trial: Trial) -> Section | None:
    """Its forebears, one under the other, itself, and its descendants; None for a trial that has neither."""
    children: dict[int, list[Trial]] = {}
    for each in snapshot.trials:
        if (parent := parent_of(each)) is not None:
            children.setdefault(parent, []).append(each)
    line = [trial]
    while (parent := parent_of(line[0])) is not None and (before := snapshot.trial(parent)) is not None:
        line.insert(0, before)
    if len(line) == 1 and trial.number not in children:
        return None
    lines: list[Line] = []
    for depth, each in enumerate(line[:-1]):
        others = len(children.get(each.number, ())) - 1
        beside = f"  and {others} more from here" if others else ""
        lines.append(_row(snapshot, each, _stem(depth), quiet=beside))
    _descend(snapshot, trial, children, [], len(line) - 1, lines)
    more = len(lines) - MOST
    if more > 0:
        lines = [*lines[:MOST], Line(((f"... and {more} more", QUIET),))]
    generation = trial.provenance.get("generation", 1)
    return Section("Lineage", tuple(lines), f"generation {wording.param(generation)}")


def parent_of(trial: Trial) -> int | None:
    """The number of the trial whose checkpoint it began from."""
    parent = trial.provenance.get("parent")
    return parent if isinstance(parent, int) and not isinstance(parent, bool) and parent < trial.number else None


def _stem(depth: int) -> str:
    return "" if depth == 0 else "  " * (depth - 1) + "└ "


def _descend(
    snapshot: Snapshot,
    trial: Trial,
    children: Mapping[int, list[Trial]],
    rails: list[bool],
    depth: int,
    lines: list[Line],
) -> None:
    """`rails`: for each level below the page's trial, whether another child of it is still to come."""
    if rails:
        drawn = "".join("│ " if more else "  " for more in rails[:-1]) + ("├ " if rails[-1] else "└ ")
        prefix = "  " * depth + drawn
    else:
        prefix = _stem(depth)
    lines.append(_row(snapshot, trial, prefix, here=not rails))
    mine = children.get(trial.number, [])
    for index, child in enumerate(mine):
        _descend(snapshot, child, children, [*rails, index < len(mine) - 1], depth, lines)


def _row(snapshot: Snapshot, trial: Trial, prefix: str, *, here: bool = False, quiet: str = "") -> Line:
    state = wording.trial_state(trial, snapshot.running.get(trial.number), snapshot.stages)
    score = "" if trial.score is None else f"  {wording.number(trial.score)}"
    pieces: list[Piece] = [
        (prefix, QUIET),
        (f"{state.glyph} ", theme.style(state.colour)),
        (f"#{trial.number}", BOLD if here else PLAIN),
        (score, BOLD if here else PLAIN),
    ]
    mutation = trial.provenance.get("mutation")
    if isinstance(mutation, dict) and mutation:
        changes = ", ".join(f"{name.rpartition('.')[2]} {wording.param(value)}" for name, value in mutation.items())
        pieces.append((f"  {wording.line(changes)}", QUIET))
    return Line((*pieces, (quiet, QUIET)))
