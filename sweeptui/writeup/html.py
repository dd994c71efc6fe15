"""The page: one file that asks nobody for anything, whatever a trial has put into it."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from sweeptui import __version__
from sweeptui.core.analysis.validation import repeated
from sweeptui.core.errors import UserError
from sweeptui.core.trial import TrialStatus
from sweeptui.core.wording import number
from sweeptui.surroundings import surroundings
from sweeptui.writeup import charts, facts, spaces, validated
from sweeptui.writeup.content import MAX_CURVE_POINTS
from sweeptui.writeup.figure import Table
from sweeptui.writeup.learnt import Learnt, bars, learn, verdicts

if TYPE_CHECKING:
    from sweeptui.writeup.content import Content, Failure
    from sweeptui.writeup.facts import Form
    from sweeptui.writeup.figure import Figure

GENERATOR = f"sweeptui {__version__}"
EXTRA = frozenset({"jinja2", "plotly"})
NO_VERSIONS = "The sweep has kept no versions; these are of where this report was made."
RULE = (
    f"A chart shows at most {charts.MAX_POINTS:,} trials. Of more, the history shows all that were the best so far and,"
    " of each of equal stretches of trials, the best and the worst, and as many at even steps; other charts show "
    f"trials at even steps through the ranking ({spaces.MAX_LINES} as parallel coordinates, {spaces.MAX_SLICE_POINTS} "
    f"along a parameter). Of curves with more than {MAX_CURVE_POINTS} reports the first, the last, and each stretch's "
    "highest and lowest are drawn. The best configuration is given in full; a table that is cut says so."
)


@dataclass(frozen=True, slots=True)
class Section:
    id: str
    title: str
    said: str = ""
    facts: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    charts: list[Figure] = field(default_factory=list)
    small: bool = False
    """The charts stand side by side."""
    points: list[str] = field(default_factory=list)
    """Sentences below the charts."""
    tables: list[Table] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)
    forms: list[Form] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        return not any(
            (self.facts, self.notes, self.charts, self.points, self.tables, self.failures, self.forms, self.said)
        )


def html(content: Content) -> str:
    """The whole page. Raises `UserError` where what draws it is not installed."""
    try:
        import jinja2  # noqa: PLC0415 - an extra
        from jinja2.utils import htmlsafe_json_dumps  # noqa: PLC0415
        from markupsafe import Markup  # noqa: PLC0415
        from plotly.offline import get_plotlyjs  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in EXTRA:
            raise
        raise UserError("report needs plotly and jinja2: pip install 'sweeptui[analysis]'") from error
    sections = [section for section in _sections(content) if not section.empty]
    figures = [
        {"id": each.id, "data": each.data, "layout": each.layout, "small": section.small}
        for section in sections
        for each in section.charts
    ]
    page = files("sweeptui.writeup") / "page"
    style, script = ((page / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    library = f"\n{get_plotlyjs()}\n" if figures else ""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string((page / "report.html.jinja").read_text(encoding="utf-8"))
    # What is marked as safe below is ours, or plotly's; all else is escaped.
    page_text: str = template.render(
        name=content.state.name,
        state=content.label,
        headline=facts.headline(content),
        tiles=facts.tiles(content),
        sections=sections,
        generator=GENERATOR,
        policy=_policy(library, script),
        style=Markup(style),  # noqa: S704
        plots=htmlsafe_json_dumps(figures, allow_nan=False, separators=(",", ":")),
        library=Markup(library),  # noqa: S704
        script=Markup(script),  # noqa: S704
        footer=f"Made by {GENERATOR} on {facts.when(content.at)}.",
        rule=RULE,
    )
    return page_text


def _policy(*scripts: str) -> str:
    """Nothing is loaded, sent or framed, and no script runs but these."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    return "; ".join(
        (
            "default-src 'none'",
            "script-src " + " ".join(f"'sha256-{each}'" for each in hashes),
            # plotly.js sets styles as it draws, and makes a picture of a chart when it is asked to.
            "style-src 'unsafe-inline'",
            "img-src data: blob:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _sections(content: Content) -> list[Section]:
    learnt = learn(content)
    order = learnt.order(content.params)
    best = content.best
    return [
        Section("summary", "Summary", facts=facts.summary(content), notes=_notes(content)),
        Section(
            "best",
            "Best configuration",
            said=_best_said(content),
            tables=[table for table in [facts.best_table(content)] if table is not None],
            forms=[] if best is None else facts.forms(content, best.trial),
        ),
        Section("validation", "Validation", said=validated.said(content), tables=validated.tables(content)),
        Section("history", "History", charts=_there(charts.history(content), charts.growth(content))),
        Section("curves", "Learning curves", charts=_there(charts.curves(content))),
        Section("front", "Pareto front", charts=charts.by_metrics(content), tables=_front_table(content)),
        Section("cost", "Score against cost", charts=_there(charts.by_cost(content))),
        Section(
            "importance",
            "Importance",
            charts=_there(bars(content, learnt)),
            points=[*map(facts.plain, verdicts(learnt))],
        ),
        Section("parallel", "Parallel coordinates", charts=_there(spaces.parallel(content, order))),
        Section(
            "slices",
            "Score along each parameter",
            said=_slices_said(content, learnt),
            charts=spaces.slices(content, order, learnt.slices),
            small=True,
        ),
        Section(
            "failures", "Failures", said=_failures_said(content), failures=[_failure(each) for each in content.failures]
        ),
        Section("trials", "Trials", said=_trials_said(content), tables=_trials(content)),
        Section(
            "environment",
            "Environment and versions",
            notes=[] if content.surroundings else [NO_VERSIONS],
            facts=facts.versions(content, surroundings(content.folder)),
        ),
        Section(
            "again",
            "How to reproduce",
            said="Save the recipe under its name and run the command beside it; with the same versions, seed and "
            "machine, the search makes the same suggestions for the same scores.",
            forms=facts.again(content),
        ),
    ]


def _there(*found: Figure | None) -> list[Figure]:
    return [figure for figure in found if figure is not None]


def _notes(content: Content) -> list[str]:
    """What a reader must not overlook."""
    notes = []
    if content.label not in ("finished", "stopped", "broken"):
        notes.append(f"The sweep is {content.label}: this is how it stood on {facts.when(content.at)}.")
    if not content.trials:
        notes.append("No trial was made yet.")
    elif not content.order:
        notes.append("No trial has given a score, so there is no best configuration and nothing to compare.")
    elif len(content.order) == 1:
        notes.append("Only one trial has a score: there is nothing to compare it with.")
    fallbacks = sum(1 for trial in content.trials if trial.provenance.get("fallback"))
    if fallbacks:
        notes.append(f"{fallbacks} trials were not chosen by the method, but at random instead of it.")
    return notes


def _best_said(content: Content) -> str:
    best = content.best
    if best is None:
        return ""
    tied = sum(1 for each in content.order if each.rank == 1)
    by = f" by {facts.plain(content.metric)}" if len(content.objectives) > 1 else ""
    said = f"{best.trial.id} is the best{by}: {best.score!r}."
    if tied > 1:
        said += f" {tied - 1} more reached the same score; of those this is the one with the lowest cost."
    if len(content.order) > 1:
        luck = f" It is the best of {len(content.order)} noisy trials, so expect somewhat less when it is run again"
        said += luck + (": see Validation." if best.trial.id in repeated(content.state) else ".")
    return said


def _slices_said(content: Content, learnt: Learnt) -> str:
    if len(content.order) < 2 or not content.params:
        return ""
    more = len(content.params) - spaces.MAX_SLICES
    left_out = f" {more} more parameters are left out." if more > 0 else ""
    name = facts.plain(content.metric)
    said = f"Upwards is {name}; the stronger the colour, the later the trial; the star is the best.{left_out}"
    if learnt.slices:
        said += (
            " The line is what Protein's models believe, averaged over the other parameters, with the middle 68% of "
            "what it may be."
        )
    return said


def _front_table(content: Content) -> list[Table]:
    if not content.front:
        return []
    rows = [(each.trial.id, *map(repr, each.values), number(each.trial.cost)) for each in content.front]
    names = [facts.plain(each.name) for each in content.objectives]
    head = ("trial", *names, f"cost ({facts.plain(content.tool.cost_unit)})")
    caption = "The Pareto front" + (f", its first {charts.MAX_ROWS}" if len(rows) > charts.MAX_ROWS else "")
    return [Table(head, rows[: charts.MAX_ROWS], caption, frozenset(range(1, len(head))))]


def _failures_said(content: Content) -> str:
    failed = content.counted(TrialStatus.FAILED)
    if not failed:
        return ""
    shown = sum(len(each.group.trials) for each in content.failures)
    cut = f"; {failed - shown} with rarer ones are left out" if shown < failed else ""
    return f"{failed} of {len(content.trials)} trials failed, with {len(content.failures)} different errors{cut}."


def _failure(failure: Failure) -> dict[str, Any]:
    group = failure.group
    return {
        "count": len(group.trials),
        "error": facts.plain(group.error) or "no message",
        "kind": (group.failure.value if group.failure else "failed").replace("_", " "),
        "trials": facts.failed_ids(group.trials),
        "newest": group.trials[-1].id,
        "telling": [
            f"All of them have {facts.plain(each.name)} from {number(each.low)} to {number(each.high)}; trials with a "
            f"score lie beyond {number(each.bound)}."
            for each in failure.telling
        ],
        "log": "\n".join(failure.log),
    }


def _trials_said(content: Content) -> str:
    if not content.order:
        return ""
    shown = min(len(content.order), facts.MAX_TRIALS)
    whole = f"the {shown} best of {len(content.order)}" if shown < len(content.order) else "all"
    return f"Trials with a score, best first: {whole}."


def _trials(content: Content) -> list[Table]:
    return [facts.trial_table(content)] if content.order else []
