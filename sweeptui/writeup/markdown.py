"""The same in Markdown, for a pull request or a CI step: short, and nothing in it is markup but ours."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sweeptui.core.trial import TrialStatus
from sweeptui.core.wording import cost, duration
from sweeptui.writeup import facts
from sweeptui.writeup.validated import HEAD, rows_of, validations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweeptui.writeup.content import Content

TOP = 5
MAX_GROUPS = 5


def markdown(content: Content) -> str:
    """What came of the sweep, in a screenful."""
    state, best = content.state, content.best
    name = state.name
    lines = [
        f"<!-- sweeptui report: {name} -->",
        f"### Sweep {code(name)}: {content.label}",
        "",
        _headline(content),
        "",
    ]
    failed = content.counted(TrialStatus.FAILED)
    rows = [
        ("Searched for", ", ".join(code(str(each)) for each in content.objectives)),
        ("Trials", f"{len(content.trials)} of {content.tool.max_trials}, {failed} failed"),
        ("Method", code(content.tool.protein_config.method)),
        ("Cost", f"{cost(content.spent, content.tool.cost_unit)} in {duration(state.run_s)}"),
    ]
    if state.reason:
        rows.append(("Because", code(facts.plain(state.reason))))
    lines += [*table(("", ""), rows), ""]
    if best is not None:
        top = facts.trial_table(content, TOP)
        width = 3 + len(content.objectives)
        lines += [f"**The best {min(TOP, len(content.order))}**" if len(content.order) > 1 else "**The only one**", ""]
        lines += table(top.head[:width], [[*row[: width - 1], code(row[width - 1])] for row in top.rows])
        lines += ["", f"<details><summary>Best configuration ({best.trial.id})</summary>", ""]
        for form in facts.forms(content, best.trial):
            if form.title in ("YAML", "Command"):
                lines += [*fenced(form.text, "sh" if form.title == "Command" else "yaml"), ""]
        lines += ["</details>", ""]
    for metric, shapes in validations(content):
        lines += [f"**Validation{f', {code(metric)}' if len(content.objectives) > 1 else ''}**", ""]
        lines += [*table((*HEAD[:-1], "so"), rows_of(shapes)), ""]
    if content.failures:
        groups = [(str(len(each.group.trials)), code(facts.plain(each.group.error))) for each in content.failures]
        lines += ["**Failures**", "", *table(("Trials", "Error"), groups[:MAX_GROUPS])]
        if len(groups) > MAX_GROUPS:
            lines += ["", f"and {len(groups) - MAX_GROUPS} more kinds of error"]
        lines.append("")
    return "\n".join(lines)


def _headline(content: Content) -> str:
    best = content.best
    if content.front or best is None:
        # Names of metrics are the user's own, and may hold what Markdown acts on.
        return re.sub(r"([\\`*_{}\[\]()#+!|<>@~-])", r"\\\1", facts.headline(content))
    return f"**{code(content.metric)} {best.score!r}** by {best.trial.id}, the best of {len(content.order)}."


def code(text: str) -> str:
    """Foreign text as code, in which nothing is markup, a mention or a link; a bar would end a table's cell."""
    line = facts.plain(text).replace("|", "\\|")
    ticks = "`" * (1 + max((len(run) for run in re.findall(r"`+", line)), default=0))
    pad = " " if line.startswith("`") or line.endswith("`") or not line else ""
    return f"{ticks}{pad}{line}{pad}{ticks}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table of cells that are safe already; of the head's, the foreign ones are made so."""
    titles = [code(cell) if re.search(r"[^\w ]", cell) else cell for cell in head]
    return [f"| {' | '.join(row)} |" for row in (titles, ["---"] * len(titles), *rows)]


def fenced(text: str, language: str) -> list[str]:
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    return [f"{fence}{language}", text, fence]
