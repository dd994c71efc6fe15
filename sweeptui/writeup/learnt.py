"""What the trials tell of the search space: which parameters matter, as far as they can tell, and what is believed of
the score along each."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sweeptui.core.errors import UserError
from sweeptui.core.wording import number
from sweeptui.writeup.figure import INK, OTHER, POINT, Figure, Table, all_drawn, axis, label, layout

if TYPE_CHECKING:
    from sweeptui.core.analysis.belief import Interaction, Slice
    from sweeptui.core.analysis.importance import Importance
    from sweeptui.writeup.content import Content

EVALUATORS = {"mdi": "random forest (MDI)", "protein": "Protein's lengthscales"}
"""Both are quick; `sweeptui importance` has more."""
COLOURS = {"mdi": POINT, "protein": OTHER}
MAX_BARS = 12
MOST_TRIALS = 400
"""More take longer than a report may."""
MAX_INTERACTIONS = 5


@dataclass(frozen=True, slots=True)
class Learnt:
    found: list[Importance] = field(default_factory=list)
    slices: dict[str, Slice] = field(default_factory=dict)
    interactions: list[Interaction] = field(default_factory=list)
    """Those that stand out."""
    missed: list[str] = field(default_factory=list)
    """Why something could not be learnt, a sentence each."""

    def order(self, params: tuple[str, ...]) -> list[str]:
        """The parameters, those that matter most first."""
        known = [row.parameter for row in self.found[0].rows if row.parameter in params] if self.found else []
        return [*known, *(name for name in params if name not in known)]


def learn(content: Content) -> Learnt:
    """Ask the evaluators. Takes seconds; nothing where there are too few trials to learn from."""
    from sweeptui.core.analysis.evidence import TooFewTrialsError, evidence_of  # noqa: PLC0415 - with numpy
    from sweeptui.core.analysis.importance import importance  # noqa: PLC0415

    space = content.tool.space
    learnt = Learnt()
    evidence = evidence_of(content.state, space)
    if (known := len(evidence.observations)) > MOST_TRIALS:
        drawn = random.Random(0).sample(range(known), MOST_TRIALS)  # noqa: S311 - not cryptography
        said = f"{MOST_TRIALS} of {known} trials, drawn evenly, were looked at; `sweeptui importance` looks at more"
        some = [evidence.observations[place] for place in sorted(drawn)]
        evidence = replace(evidence, observations=some, notes=[*evidence.notes, said])
    for evaluator in EVALUATORS:
        try:
            learnt.found.append(importance(space, evidence, evaluator))
        except TooFewTrialsError as error:
            return Learnt(missed=[f"Which parameters matter cannot be said: {error}."] if content.order else [])
        except UserError as error:
            if f"{error}." not in learnt.missed:
                learnt.missed.append(f"{error}.")
    from sweeptui.core.analysis.belief import Belief  # noqa: PLC0415
    from sweeptui.core.analysis.interactions import interactions  # noqa: PLC0415

    try:
        belief = Belief(space, evidence)
        learnt.slices.update({each.parameter: each for each in belief.slices()})
        learnt.interactions.extend(each for each in interactions(space, evidence, belief) if each.told)
    except UserError as error:
        learnt.missed.append(f"{error}.")
    return learnt


def bars(content: Content, learnt: Learnt) -> Figure | None:
    """The share of each parameter, by each evaluator, with its interval."""
    if not learnt.found:
        return None
    names = learnt.order(tuple(row.parameter for row in learnt.found[0].rows))[:MAX_BARS]
    data = []
    for each in learnt.found:
        rows = {row.parameter: row for row in each.rows}
        shown = [rows[name] for name in names if name in rows]
        data.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": EVALUATORS[each.evaluator],
                "y": [_name(content, row.parameter) for row in shown],
                "x": all_drawn([row.mean for row in shown]),
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": all_drawn([max(0.0, row.high - row.mean) for row in shown]),
                    "arrayminus": all_drawn([max(0.0, row.mean - row.low) for row in shown]),
                    "color": INK,
                    "thickness": 1.2,
                    "width": 3,
                },
                "marker": {"color": COLOURS[each.evaluator], "opacity": 0.8},
                "hovertemplate": "%{y}: %{x}<extra></extra>",
            }
        )
    y = axis("", autorange="reversed", ticks="", showgrid=False)
    x = axis(f"share of what makes {label(content.metric)} differ", rangemode="tozero")
    table_rows: list[tuple[str, ...]] = [
        (
            row.parameter,
            EVALUATORS[each.evaluator],
            number(row.mean, 3),
            f"{number(row.low, 3)} to {number(row.high, 3)}",
            "yes" if row.told else "no",
        )
        for each in learnt.found
        for row in each.rows
    ]
    head = ("parameter", "evaluator", "share", "90% interval", "more than chance")
    return Figure(
        "importance",
        "Importance",
        "How large a part each parameter has in what makes scores differ; shares of one evaluator add up to 1. The "
        "lines are 90% intervals: where they overlap, the order is not certain.",
        data,
        {**layout(x, y, legend=True), "barmode": "group", "bargap": 0.3},
        110 + 48 * len(names),
        table=Table(head, table_rows, numeric=frozenset({2})),
    )


def verdicts(learnt: Learnt) -> list[str]:
    """What of it can be relied on, and what was left out, each in a sentence."""
    said = [f"By {EVALUATORS[each.evaluator]}: {each.verdict}." for each in learnt.found]
    verdict = {each.verdict for each in learnt.found}
    for each in learnt.found:
        notes = (f"{note[:1].upper()}{note[1:]}." for note in each.warnings if note not in verdict)
        said += [note for note in notes if note not in said]
    for pair in learnt.interactions[:MAX_INTERACTIONS]:
        first, second = pair.parameters
        said.append(
            f"{first} and {second} act together: {100 * pair.share:.0f} % of the score's variance is beyond what each "
            f"does by itself ({100 * pair.low:.0f} to {100 * pair.high:.0f} %)."
        )
    return said + learnt.missed


def _name(content: Content, parameter: str) -> str:
    return label(content.names.get(parameter, parameter))


def band(xs: list[Any], found: Slice) -> list[dict[str, Any]]:
    """What is believed of the score along a parameter, and how far it may be off. `xs`: where its values are drawn."""
    low = [mean - spread for mean, spread in zip(found.mean, found.spread, strict=True)]
    high = [mean + spread for mean, spread in zip(found.mean, found.spread, strict=True)]
    quiet = {"type": "scatter", "hoverinfo": "skip", "showlegend": False}
    return [
        {**quiet, "mode": "lines", "x": xs, "y": all_drawn(low), "line": {"width": 0, "color": OTHER}},
        {
            **quiet,
            "mode": "lines",
            "x": xs,
            "y": all_drawn(high),
            "line": {"width": 0, "color": OTHER},
            "fill": "tonexty",
            "fillcolor": "var(--band)",
        },
        {**quiet, "mode": "lines", "x": xs, "y": all_drawn(found.mean), "line": {"width": 2, "color": OTHER}},
    ]
