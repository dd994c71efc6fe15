"""The charts of how a sweep went: history, learning curves, score against cost, one metric against another."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

from sweeptui.core.analysis import hypervolume
from sweeptui.core.objectives import gains, results
from sweeptui.core.trial import TrialStatus
from sweeptui.core.wording import cost, number
from sweeptui.writeup.figure import BAD, BEST, OTHER, POINT, Figure, Table, all_drawn, axis, label, layout, view
from sweeptui.writeup.thinning import by_rank, by_stretches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweeptui.core.objectives import Member
    from sweeptui.core.trial import Trial
    from sweeptui.writeup.content import Content

MAX_POINTS = 2000
MAX_ROWS = 100
"""Of a table behind a chart."""


def score_axis(content: Content, which: int = 0, seen: Sequence[float] | None = None) -> dict[str, Any]:
    """`seen`: what of it is shown first; all where not given."""
    objective = content.objectives[which]
    better = "higher" if objective.goal == "maximize" else "lower"
    return axis(f"{label(objective.name)} ({better} is better)", **({} if seen is None else {"range": list(seen)}))


def cloud(trials: Sequence[Trial], xs: Sequence[Any], ys: Sequence[Any], **more: Any) -> dict[str, Any]:
    """Points, one for each trial."""
    return {
        "type": "scatter",
        "mode": "markers",
        "x": list(xs),
        "y": list(ys),
        "text": [trial.id for trial in trials],
        "hovertemplate": "%{text}<br>%{x}<br>%{y}<extra></extra>",
        **more,
    }


def dots(colour: str = POINT, symbol: str = "circle", size: int = 7, **more: Any) -> dict[str, Any]:
    return {"color": colour, "symbol": symbol, "size": size, **more}


def history(content: Content) -> Figure | None:
    """The score of each trial by its number, and the best so far."""
    found = sorted(content.order, key=lambda each: each.trial.number)
    failed = [trial for trial in content.trials if trial.status is TrialStatus.FAILED]
    if not found and not failed:
        return None
    scores = [each.score for each in found]
    records = _records(scores, maximize=content.maximize)
    kept = sorted({*by_stretches(scores, MAX_POINTS // 2), *by_rank(len(scores), MAX_POINTS // 2), *records})
    data = []
    for status, symbol, name in (
        (TrialStatus.COMPLETED, "circle", "completed"),
        (TrialStatus.STOPPED, "diamond-open", "stopped early"),
    ):
        if some := [found[place] for place in kept if found[place].trial.status is status]:
            numbers = [each.trial.number for each in some]
            data.append(
                cloud(
                    [each.trial for each in some],
                    numbers,
                    all_drawn([each.score for each in some]),
                    name=name,
                    marker=dots(symbol=symbol, opacity=0.75),
                    hovertemplate="%{text}<br>score %{y}<extra></extra>",
                )
            )
    if failed:
        some_failed = [failed[place] for place in by_rank(len(failed), MAX_POINTS)]
        data.append(
            cloud(
                some_failed,
                [trial.number for trial in some_failed],
                [0.0] * len(some_failed),
                name="failed",
                yaxis="y2",
                cliponaxis=False,
                marker=dots(BAD, "x-thin", 9, line={"width": 2, "color": BAD}),
                hovertemplate="%{text} failed<extra></extra>",
            )
        )
    if len(content.objectives) == 1 and found:
        steps = [found[place] for place in records]
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": "best so far",
                "x": [*(each.trial.number for each in steps), max(trial.number for trial in content.trials)],
                "y": all_drawn([*(each.score for each in steps), steps[-1].score]),
                "line": {"shape": "hv", "color": BEST, "width": 3},
                "hoverinfo": "skip",
            }
        )
    seen = view(scores)
    rows: list[tuple[str, ...]] = [(found[place].trial.id, repr(found[place].score)) for place in records]
    return Figure(
        "history",
        "History",
        _history_said(content, len(found), len(failed), rows, outside=seen is not None),
        data,
        layout(
            axis("trial"),
            score_axis(content, seen=seen),
            legend=True,
            yaxis2={"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True},
        ),
        table=Table(("trial", "score"), rows[-MAX_ROWS:], "Every trial that was the best so far", frozenset({1})),
    )


def _history_said(
    content: Content, scored: int, failed: int, records: Sequence[tuple[str, ...]], *, outside: bool
) -> str:
    said = f"The score of each of {scored} trials by its number"
    if failed:
        said += f"; the crosses at the foot are {failed} that failed"
    if len(content.objectives) == 1 and records:
        said += f". The line is the best so far: {len(records)} in turn, the last with {records[-1][1]}"
    return said + (". A few scores lie far outside of the view; double-click for all of them." if outside else ".")


def _records(scores: Sequence[float], *, maximize: bool) -> list[int]:
    """The places of the scores that were better than all before them."""
    places: list[int] = []
    for place, score in enumerate(scores):
        if not places or (score > scores[places[-1]] if maximize else score < scores[places[-1]]):
            places.append(place)
    return places


def growth(content: Content) -> Figure | None:
    """Of several metrics: how much the front beats after each trial."""
    members = results(content.trials, content.objectives)
    if len(content.objectives) == 1 or len(members) < 2:
        return None
    points = [gains(member.values, content.objectives) for member in members]
    volumes = hypervolume.history(points, hypervolume.reference_below(points))
    grown = [k for k, volume in enumerate(volumes) if k == 0 or volume > volumes[k - 1]]
    last = members[-1].trial.number
    line = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": [*(members[k].trial.number for k in grown), last],
        "y": all_drawn([*(volumes[k] for k in grown), volumes[-1]]),
        "line": {"shape": "hv", "color": BEST, "width": 3},
        "marker": dots(BEST, size=6),
        "hovertemplate": "trial %{x}<br>%{y}<extra></extra>",
    }
    said = (
        f"The hypervolume that the front dominates, after each trial: it grew with {len(grown)} of {len(members)} "
        "trials. A line that has been flat for long says that more of the same search finds little."
    )
    return Figure("growth", "Growth of the front", said, [line], layout(axis("trial"), axis("hypervolume")), 300)


def curves(content: Content) -> Figure | None:
    """What the best and some other trainings reported on their way."""
    if not content.curves:
        return None
    data = []
    for rank, each in reversed(list(enumerate(content.curves))):
        first, leading = rank == 0, rank < 5
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": f"{each.trial.id}{', the best' if first else ''}",
                "x": all_drawn(each.steps),
                "y": all_drawn(each.scores),
                "line": {"color": BEST if first else POINT if leading else OTHER, "width": 3.5 if first else 1.6},
                "opacity": 1.0 if first else 0.85 if leading else 0.55,
                "hovertemplate": f"{each.trial.id}<br>step %{{x}}<br>%{{y}}<extra></extra>",
            }
        )
    seen = view([score for each in content.curves for score in each.scores])
    said = (
        f"What {len(content.curves)} trainings reported on their way: the best (thick), the four next to it, and "
        "others from all over the ranking, paler."
    )
    rows: list[tuple[str, ...]] = [
        (each.trial.id, *map(number, (len(each.scores), max(each.scores), min(each.scores), each.scores[-1])))
        for each in content.curves
    ]
    return Figure(
        "curves",
        "Learning curves",
        said,
        data,
        layout(axis("step"), score_axis(content, seen=seen)),
        table=Table(("trial", "points drawn", "highest", "lowest", "last"), rows, numeric=frozenset({1, 2, 3, 4})),
    )


def by_cost(content: Content) -> Figure | None:
    """The score of each trial by its cost, with those that no cheaper one reaches."""
    found = [
        (each.trial, each.trial.cost, each.score)
        for each in content.order
        if each.trial.cost is not None and math.isfinite(each.trial.cost)
    ]
    if len(found) < 2 or len({spent for _, spent, _ in found}) < 2:
        return None
    sign = 1.0 if content.maximize else -1.0
    front: list[tuple[Trial, float, float]] = []
    for trial, spent, score in sorted(found, key=lambda each: (each[1], -sign * each[2], each[0].number)):
        if not front or sign * score > sign * front[-1][2]:
            front.append((trial, spent, score))
    places = by_rank(len(found), MAX_POINTS)
    seen = view([score for _, _, score in found])
    unit = content.tool.cost_unit
    data = [
        cloud(
            [found[k][0] for k in places],
            all_drawn([found[k][1] for k in places]),
            all_drawn([found[k][2] for k in places]),
            name="trials",
            marker=dots(opacity=0.6),
            hovertemplate=f"%{{text}}<br>cost %{{x}} {label(unit)}<br>score %{{y}}<extra></extra>",
        ),
        _front_line([trial for trial, _, _ in front], [at for _, at, _ in front], [score for _, _, score in front]),
    ]
    said = (
        f"The score of each trial by its cost. The {len(front)} on the line are the Pareto front: no other trial is as "
        "good at a lower cost."
    )
    rows: list[tuple[str, ...]] = [(trial.id, cost(spent, unit), repr(score)) for trial, spent, score in front]
    return Figure(
        "cost",
        "Score against cost",
        said,
        data,
        layout(
            axis(f"cost ({label(unit)})"),
            score_axis(content, seen=seen),
            legend=True,
        ),
        table=Table(("trial", "cost", "score"), rows[:MAX_ROWS], "The front", frozenset({1, 2})),
    )


def _front_line(trials: Sequence[Trial], xs: Sequence[float], ys: Sequence[float]) -> dict[str, Any]:
    return cloud(
        trials,
        all_drawn(xs),
        all_drawn(ys),
        mode="lines+markers",
        name="Pareto front",
        line={"shape": "hv", "color": BEST, "width": 2},
        marker=dots(BEST, "star", 12),
    )


def by_metrics(content: Content) -> list[Figure]:
    """Of several metrics, each against each other, with the trials that no other beats in all."""
    if not content.front:
        return []
    everything: list[Member] = results(content.trials, content.objectives)
    places = by_rank(len(everything), MAX_POINTS)
    figures = []
    for first, second in itertools.combinations(range(len(content.objectives)), 2):
        one, other = content.objectives[first], content.objectives[second]
        members = sorted(content.front, key=lambda member: member.values[first])
        data = [
            cloud(
                [everything[k].trial for k in places],
                all_drawn([everything[k].values[first] for k in places]),
                all_drawn([everything[k].values[second] for k in places]),
                name="trials",
                marker=dots(opacity=0.6),
            ),
            {
                **_front_line(
                    [member.trial for member in members],
                    [member.values[first] for member in members],
                    [member.values[second] for member in members],
                ),
                # Of more than two metrics the front is no line in the plane of two of them.
                "mode": "lines+markers" if len(content.objectives) == 2 else "markers",
                "line": {"shape": "linear", "color": BEST, "width": 1.5, "dash": "dot"},
            },
        ]
        figures.append(
            Figure(
                f"front-{first}-{second}",
                f"{one.name} against {other.name}",
                f"{one} by {other}. The {len(members)} stars are the Pareto front: no other trial beats one of them in "
                "all metrics.",
                data,
                layout(score_axis(content, first), score_axis(content, second), legend=True),
            )
        )
    return figures
