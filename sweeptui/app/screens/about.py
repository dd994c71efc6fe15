"""Sections about one trial: what it was tried with, why, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sweeptui.app import theme, wording
from sweeptui.app.columns import BOLD, PLAIN, QUIET, RULE, Piece
from sweeptui.app.parameters import configuration, difference, value_text
from sweeptui.app.plot import curves, order
from sweeptui.app.plot.chart import picture
from sweeptui.app.screens.lines import Line, Section, beside, chart, fields, line, said, width_of, wrapped
from sweeptui.core.underway import KNOWN_REPORTS

if TYPE_CHECKING:
    from sweeptui.app.snapshot import Snapshot
    from sweeptui.core.trial import Trial

LINEAGE = ("parent", "generation", "mutation", "checkpoint", "cost", KNOWN_REPORTS)
"""Of a provenance: what the lineage shows, and what only the engine needs."""
SPREAD = 3.0
"""The strip of a prediction reaches so many standard deviations to either side."""


def settings(snapshot: Snapshot, trial: Trial, width: int) -> Section:
    """Its parameters against the best trial's and the centre of the search."""
    others = []
    if snapshot.best is not None and snapshot.best.number != trial.number:
        others.append((f"best #{snapshot.best.number}", snapshot.best.params))
    elif snapshot.runner_up is not None:
        others.append((f"next #{snapshot.runner_up.number}", snapshot.runner_up.params))
    if snapshot.center:
        others.append(("center", snapshot.center))
    rows = [Line(tuple(row)) for row in configuration(trial.params, others, width)]
    return Section("Configuration", tuple(rows), f"seed {trial.seed}")


def curve(snapshot: Snapshot, trial: Trial, width: int, rows: int) -> Section | None:
    """Its learning curve, `rows` high, where it has reported."""
    if not snapshot.series.get(trial.number):
        return None
    drawn = picture(curves.chart(snapshot, trial.number, (), order.Across.STEP), width, rows)
    return Section("Learning curve", tuple(chart(drawn)))


def metrics(trial: Trial, width: int) -> Section:
    if not trial.metrics:
        return Section("Metrics", (said("nothing beside the score was reported", QUIET),))
    rows = [(wording.line(name), [(value_text(value), PLAIN)]) for name, value in sorted(trial.metrics.items())]
    half = (len(rows) + 1) // 2
    sides = [fields(rows[:half]), fields(rows[half:])]
    cut = width // 2
    if len(rows) > 1 and all(width_of(each) < cut for side in sides for each in side):
        padded = [line(*each.pieces, (" " * (cut - width_of(each)), PLAIN)) for each in sides[0]]
        return Section("Metrics", tuple(beside(padded, sides[1], cut, gap=0)), str(len(rows)))
    return Section("Metrics", tuple(fields(rows)), str(len(rows)))


def why(snapshot: Snapshot, trial: Trial, width: int) -> Section:
    """What chose it, and what was expected of it."""
    how = trial.provenance
    rows: list[tuple[str, list[Piece]]] = [("chosen by", [(wording.param(how.get("method", "unknown")), BOLD)])]
    if (mean := _number(how.get("score_mean"))) is not None:
        rows.append(("score", _against(mean, _number(how.get("score_std")), trial, width - 11)))
    if (expected := _number(how.get("cost_mean"))) is not None:
        came: list[Piece] = [(f"predicted {wording.cost(expected, snapshot.cost_unit)}", PLAIN)]
        if trial.cost is not None:
            came += [(", came ", QUIET), (wording.cost(trial.cost, snapshot.cost_unit), BOLD)]
            came += [(f"  {difference(trial.cost, expected)}", QUIET)]
        rows.append(("cost", came))
    known = {"method", "score_mean", "score_std", "cost_mean", "fallback", *LINEAGE}
    rows += [
        (wording.line(str(name)).replace("_", " "), [(wording.param(value), PLAIN)])
        for name, value in how.items()
        if name not in known and value is not None
    ]
    lines = fields(rows)
    if reason := how.get("fallback"):
        lines += wrapped(f"! not by the model: {wording.param(reason)}", width, theme.style(theme.YELLOW, bold=True))
    return Section("Why this trial", tuple(lines), f"{trial.known_ends} results were known")


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _against(mean: float, std: float | None, trial: Trial, room: int) -> list[Piece]:
    """What was predicted, what came, and on a strip of the prediction where that lies.

    The prediction is of the end: what a trial has until then is not held against it.
    """
    came = trial.score
    pieces: list[Piece] = [(f"predicted {wording.number(mean)}", PLAIN)]
    if std is not None:
        pieces.append((f" ± {wording.number(std, 2)}", PLAIN))
    if came is None:
        return pieces
    pieces += [(", came " if trial.status.terminal else ", so far ", QUIET), (wording.number(came), BOLD)]
    if not std or not trial.status.terminal:
        return pieces
    off = (came - mean) / std
    # Within two standard deviations nothing is surprising, if the model is right about how sure it is.
    colour = theme.GREEN if abs(off) <= 2 else theme.YELLOW if abs(off) <= SPREAD else theme.ORANGE
    pieces.append((f"  {off:+.1f}\N{GREEK SMALL LETTER SIGMA}", theme.style(colour, bold=True)))
    width = min(25, room - sum(len(text) for text, _ in pieces) - 2)
    if width >= 9:
        at = round((max(-SPREAD, min(SPREAD, off)) + SPREAD) / (2 * SPREAD) * (width - 1))
        strip = "".join("┬" if cell == width // 2 else "─" for cell in range(width))
        pieces += [("  ", PLAIN), (strip[:at], RULE), ("●", theme.style(colour, bold=True)), (strip[at + 1 :], RULE)]
    return pieces
