"""The charts of what was searched: parallel coordinates, and the score along each parameter."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweeptui.core.wording import number
from sweeptui.writeup.charts import cloud, dots
from sweeptui.writeup.figure import BEST, INK, QUIET, SHADES, Figure, all_drawn, axis, drawn, label, layout, shade, view
from sweeptui.writeup.learnt import band
from sweeptui.writeup.thinning import by_rank

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweeptui.core.analysis.belief import Slice
    from sweeptui.core.analysis.ranking import Ranked
    from sweeptui.writeup.content import Content

MAX_LINES = 200
MAX_AXES = 12
MAX_SLICES = 12
MAX_SLICE_POINTS = 500
SLICE_HEIGHT = 240
MARGIN = 0.12
"""Above and below the scores; what is believed beyond is cut."""
MANY_DECADES = 2 * math.log(10)


@dataclass(frozen=True, slots=True)
class Scale:
    """One axis of the parallel coordinates: what stands at its foot and at its head, and what lies between."""

    name: str
    low: str
    high: str
    logarithmic: bool
    choices: tuple[str, ...] = ()
    """Of a parameter that is no number."""
    least: float = 0.0
    most: float = 0.0

    def place(self, value: Any) -> float | None:
        """Where a value stands, from 0 to 1; None of one that is not there."""
        if self.choices:
            text = str(value)
            return self.choices.index(text) / max(1, len(self.choices) - 1) if text in self.choices else None
        if not is_number(value) or (self.logarithmic and value <= 0):
            return None
        at = math.log(value) if self.logarithmic else float(value)
        return (at - self.least) / (self.most - self.least) if self.most > self.least else 0.5


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def scale(name: str, values: Sequence[Any], *, logarithmic: bool) -> Scale | None:
    """The axis on which all of the values have a place; None where there are none."""
    there = [value for value in values if value is not None]
    if not there:
        return None
    if not all(is_number(value) for value in there):
        choices = tuple(sorted({str(value) for value in there}))
        return Scale(name, label(choices[0]), label(choices[-1]), logarithmic=False, choices=choices)
    logarithmic = logarithmic and min(there) > 0
    ends = [math.log(end) if logarithmic else float(end) for end in (min(there), max(there))]
    return Scale(name, number(min(there), 3), number(max(there), 3), logarithmic, least=ends[0], most=ends[1])


def parallel(content: Content, params: Sequence[str]) -> Figure | None:
    """Each trial as a line through its parameters and its score. `params`: what is shown, in this order."""
    order = content.order
    shown = params[:MAX_AXES]
    if len(order) < 2 or not shown:
        return None
    scales = [
        scale(
            content.names[name], [each.trial.params.get(name) for each in order], logarithmic=content.logarithmic(name)
        )
        for name in shown
    ]
    scores = [each.score for each in order]
    seen = view(scores)
    ends = seen or (min(scores), max(scores))
    last = Scale(content.metric, number(ends[0]), number(ends[1]), logarithmic=False, least=ends[0], most=ends[1])
    pairs = [(name, each) for name, each in zip(shown, scales, strict=True) if each is not None]
    lines = [order[place] for place in by_rank(len(order), MAX_LINES)]

    def heights(each: Ranked) -> list[float | None]:
        score = last.place(each.score)
        places = [how.place(each.trial.params.get(name)) for name, how in pairs]
        return all_drawn([*places, None if score is None else min(1.0, max(0.0, score))])

    data = []
    for step in range(SHADES - 1, -1, -1):
        # The worst are drawn first, so that the best lie on top; lines of one colour are one trace, parted by gaps.
        some = lines[step * len(lines) // SHADES : (step + 1) * len(lines) // SHADES]
        if some:
            data.append(
                _bundle([heights(each) for each in some], [each.trial.id for each in some], len(pairs) + 1, step)
            )
    best = _bundle([heights(order[0])], [order[0].trial.id], len(pairs) + 1, 0)
    data.append({**best, "line": {"color": BEST, "width": 4}, "opacity": 1.0, "name": "the best"})
    more = len(params) - len(shown)
    said = (
        f"Each line is one of {len(lines)} trials, through its values of {len(pairs)} parameters to its score. The "
        "stronger its colour the better; the thick one is the best."
        + (f" {more} more parameters are left out." if more else "")
    )
    ends_said = [(how.low, how.high) for _, how in pairs] + [(last.low, last.high)]
    names = [label(how.name) + (" (log)" if how.logarithmic else "") for _, how in pairs] + [label(last.name)]
    return Figure("parallel", "Parallel coordinates", said, data, _upright(names, ends_said), 440, wide=True)


def _bundle(heights: Sequence[Sequence[float | None]], ids: Sequence[str], width: int, step: int) -> dict[str, Any]:
    xs: list[float | None] = []
    ys: list[float | None] = []
    text: list[str] = []
    for each, id_ in zip(heights, ids, strict=True):
        xs += [*range(width), None]
        ys += [*each, None]
        text += [id_] * (width + 1)
    return {
        "type": "scatter",
        "mode": "lines",
        "x": xs,
        "y": ys,
        "text": text,
        "line": {"color": shade(step), "width": 1.6},
        "opacity": 0.7,
        "hovertemplate": "%{text}<extra></extra>",
    }


def _upright(names: Sequence[str], ends: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """One upright axis for each name, with its ends above and below."""
    said = [
        {"x": at, "y": y, "text": text, "showarrow": False, "yanchor": anchor, "font": {"size": 11, "color": QUIET}}
        for at, (low, high) in enumerate(ends)
        for y, text, anchor in ((-0.02, low, "top"), (1.02, high, "bottom"))
    ]
    rules = [
        {"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "line": {"color": INK, "width": 1}, "layer": "below"}
        for at in range(len(names))
    ]
    x = axis(
        "",
        tickvals=list(range(len(names))),
        ticktext=list(names),
        tickangle=-25,
        ticklabeloverflow="allow",
        showgrid=False,
        range=[-0.4, len(names) - 0.6],
        fixedrange=True,
    )
    y = axis("", visible=False, range=[-0.1, 1.1], fixedrange=True)
    return {**layout(x, y), "annotations": said, "shapes": rules, "margin": {"l": 70, "r": 24, "t": 16, "b": 80}}


def slices(content: Content, params: Sequence[str], believed: Mapping[str, Slice]) -> list[Figure]:
    """The score of each trial along one parameter, for each of the first of them, and what is `believed` of it."""
    if len(content.order) < 2:
        return []
    some = [content.order[place] for place in by_rank(len(content.order), MAX_SLICE_POINTS)]
    scores = [each.score for each in content.order]
    low, high = view(scores) or (min(scores), max(scores))
    seen = low - MARGIN * (high - low or 1.0), high + MARGIN * (high - low or 1.0)
    found = [
        _slice(content, name, some, seen, believed.get(name), which) for which, name in enumerate(params[:MAX_SLICES])
    ]
    return [figure for figure in found if figure is not None]


def _slice(
    content: Content,
    name: str,
    some: Sequence[Ranked],
    seen: tuple[float, float],
    believed: Slice | None,
    which: int,
) -> Figure | None:
    there = [each for each in some if each.trial.params.get(name) is not None]
    how = scale(name, [each.trial.params[name] for each in there], logarithmic=content.logarithmic(name))
    if how is None:
        return None

    def at(value: Any) -> Any:
        return label(str(value)) if how.choices else drawn(value)

    def x(each: Ranked) -> Any:
        return at(each.trial.params[name])

    points = cloud(
        [each.trial for each in there],
        [x(each) for each in there],
        all_drawn([each.score for each in there]),
        marker={
            "size": 7,
            "opacity": 0.85,
            "color": [each.trial.number for each in there],
            "colorscale": [[0, shade(SHADES - 2)], [1, shade(0)]],
            "line": {"width": 0.5, "color": QUIET},
        },
    )
    data = [points]
    if believed is not None:
        data = [*band([at(value) for value in believed.values], believed), points]
    best = content.order[0]
    if best.trial.params.get(name) is not None:
        data.append(cloud([best.trial], [x(best)], [drawn(best.score)], marker=dots(BEST, "star", 15)))
    kind: dict[str, Any] = {"type": "category"} if how.choices else {}
    if how.logarithmic:
        # A tick at each power of ten, where there are enough of them.
        kind = {
            "type": "log",
            "exponentformat": "power",
            **({"dtick": 1} if how.most - how.least > MANY_DECADES else {}),
        }
    y = axis("", range=list(seen))
    ranges = f"from {how.low} to {how.high}" if not how.choices else f"over {len(how.choices)} choices"
    figure = layout(axis("", nticks=5, **kind), y)
    return Figure(
        f"slice-{which}",
        content.names[name],
        f"The score by {name}, {ranges}. The star is the best trial.",
        data,
        {**figure, "margin": {"l": 44, "r": 12, "t": 10, "b": 30}},
        SLICE_HEIGHT,
    )
