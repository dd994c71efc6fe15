"""What `sweeptui validate` has shown, as a report says it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sweeptui.core.analysis.validation import concluded, repeated
from sweeptui.core.objectives import value_of
from sweeptui.core.wording import number
from sweeptui.writeup.figure import Table

if TYPE_CHECKING:
    from sweeptui.writeup.content import Content

HEAD = ("configuration", "found with", "seeds", "mean (95%)", "flattered by", "gain over the default (95%)", "")


def validations(content: Content) -> list[tuple[str, list[dict[str, Any]]]]:
    """Of each metric its name and what is concluded; nothing where the sweep was not validated."""
    groups = repeated(content.state)
    if not groups:
        return []
    ids = {trial.id: trial for trial in content.trials}
    found = []
    for which, each in enumerate(content.objectives):
        scores = {name: value_of(ids[name], content.objectives, which) if name in ids else None for name in groups}
        found.append((each.name, concluded(groups, scores, content.objectives, which)))
    return found


def rows_of(shapes: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for each in shapes:
        versus = each.get("gain")
        lost = [f"{each[what]} {word}" for what, word in (("failed", "failed"), ("waiting", "to come")) if each[what]]
        rows.append(
            (
                each["of"],
                number(each["found_with"], 6),
                ", ".join([str(each["seeds"]), *lost]),
                _within(each["mean"], each["low"], each["high"]),
                number(each["flattered_by"], 3),
                "" if versus is None else _within(versus["mean"], versus["low"], versus["high"]),
                "" if versus is None else versus["sentence"],
            )
        )
    return rows


def _within(mean: float | None, low: float | None, high: float | None) -> str:
    if mean is None or low is None or high is None:
        return number(mean, 6)
    return f"{number(mean, 6)} ({number(low, 6)} to {number(high, 6)})"


def tables(content: Content) -> list[Table]:
    several = len(content.objectives) > 1
    return [
        Table(HEAD, rows_of(shapes), name if several else "", frozenset({1, 3, 4, 5}))
        for name, shapes in validations(content)
    ]


def said(content: Content) -> str:
    """How to read it; empty where there is nothing."""
    if not content.state.replicates:
        return ""
    return (
        "Each configuration was trained again with the same new seeds. A gain is real where its interval lies above 0, "
        "by a paired t-test for all comparisons together; the scores that they were chosen by do not count."
    )
