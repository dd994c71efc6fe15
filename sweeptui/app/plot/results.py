"""What the trials of a sweep came to, as the charts of whole sweeps need it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sweeptui.app import theme
from sweeptui.app.plot.chart import Chart, Shape, Trace
from sweeptui.core.trial import RUNNING, SCORED, TrialStatus

if TYPE_CHECKING:
    from sweeptui.app.snapshot import Snapshot
    from sweeptui.core.trial import Trial

FAILED = "✗"
LIVE = "▶"
BEST = "★"
SELECTED = "◆"
DONE = "•"


@dataclass(frozen=True, slots=True)
class Results:
    """Each group by trial number. `numbers` and `scores` are of the scored ones."""

    scored: tuple[Trial, ...] = ()
    """Ended with a finite score."""
    failed: tuple[Trial, ...] = ()
    live: tuple[Trial, ...] = ()
    """Running, with a score so far."""
    numbers: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)


def ended(trials: Iterable[Trial]) -> Results:
    """What the trials came to that have ended."""
    scored, failed, scores = [], [], []
    for trial in trials:
        if trial.status is TrialStatus.FAILED:
            failed.append(trial)
        elif trial.status in SCORED and trial.score is not None and math.isfinite(trial.score):
            scored.append(trial)
            scores.append(trial.score)
    return Results(tuple(scored), tuple(failed), numbers=[trial.number for trial in scored], scores=scores)


def running(snapshot: Snapshot, found: Results) -> Results:
    """`found`, and what the running trials have shown so far."""
    trials = (snapshot.trial(number) for number in sorted(snapshot.running))
    live = (trial for trial in trials if trial is not None and trial.status in RUNNING and trial.score is not None)
    return replace(found, live=tuple(live))


def dots(xs: Sequence[float], ys: Sequence[float], trials: Sequence[int]) -> Trace:
    """A dot for each trial that has a score."""
    return Trace(xs, ys, theme.GREEN, Shape.DOTS, trials, "done" if trials else "", DONE)


def floor(xs: Sequence[float], trials: Sequence[int]) -> Trace:
    """A mark at the foot of the chart for each trial that failed."""
    return Trace(xs, xs, theme.VERMILLION, Shape.FLOOR, trials, "failed" if trials else "", FAILED)


def highlighted(chart: Chart, best: int | None, selected: int | None) -> Chart:
    """The chart with the best trial and the selected one marked, over all others."""
    marks = []
    for number, glyph, colour in ((best, BEST, theme.YELLOW), (selected, SELECTED, theme.SKY)):
        if number is None or (number == best and glyph == SELECTED):
            continue
        for trace in chart.traces:
            if trace.has_height and number in trace.trials:
                at = trace.trials.index(number)
                marks.append(Trace([trace.xs[at]], [trace.ys[at]], colour, Shape.MARK, (number,), f"#{number}", glyph))
    return replace(chart, traces=(*chart.traces, *marks))
