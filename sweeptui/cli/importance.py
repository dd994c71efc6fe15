"""`sweeptui importance`: which parameters matter, by several methods side by side, and whether the trials can tell."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import click

from sweeptui.cli.options import WholeNumber, json_option, root_option, sweep_argument, sweep_to_read
from sweeptui.core.analysis.evidence import TooFewTrialsError, evidence_of
from sweeptui.core.analysis.importance import EVALUATORS, MissingError, importance
from sweeptui.core.analysis.summary import json_line, tool_of
from sweeptui.core.errors import UserError, hint
from sweeptui.core.objectives import objectives_of
from sweeptui.core.values import format_value
from sweeptui.survey import open_sweep

if TYPE_CHECKING:
    from pathlib import Path

    from sweeptui.core.analysis.belief import Interaction, Slice
    from sweeptui.core.analysis.evidence import Evidence
    from sweeptui.core.analysis.importance import Importance, Row
    from sweeptui.core.space import Space

EXIT_NO_SUCCESS = 3
BAR = 16
POINTS = 7
"""Of a slice that are printed; `--json` has all."""


@dataclass
class Findings:
    """All that is said of one metric."""

    evidence: Evidence
    by: list[Importance] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    """Evaluators that are not there, and why."""
    lengthscales: dict[str, float] = field(default_factory=dict)
    interactions: list[Interaction] = field(default_factory=list)
    slices: list[Slice] = field(default_factory=list)


@click.command("importance")
@sweep_argument
@click.option(
    "--evaluator",
    "evaluators",
    multiple=True,
    metavar="NAME",
    help=f"One of {', '.join(EVALUATORS)}; repeatable. All where not given.",
)
@click.option("--by", metavar="METRIC", help="One of several metrics; each where not given.")
@click.option("--slices", is_flag=True, help="Print the partial dependence on each parameter, too.")
@click.option("--seed", type=WholeNumber(0), default=0, help="Of the forests and the resampling; 0 where not given.")
@json_option
@root_option
def importance_(
    *, sweep: str, evaluators: tuple[str, ...], by: str | None, slices: bool, seed: int, as_json: bool, root: Path
) -> int:
    """Print which parameters matter for the score, and whether the trials can tell.

    fanova, ped-anova and mdi are Optuna's (extra: analysis), protein goes by the lengthscales of its own models.
    """
    for name in evaluators:
        if name not in EVALUATORS:
            raise UserError(f"--evaluator {name!r} is not known; {hint(name, EVALUATORS)}")
    with open_sweep(sweep_to_read(root, sweep)) as store:
        state = store.state
    space = tool_of(state).space
    names = [each.name for each in objectives_of(state.config)]
    if by is not None and by not in names:
        raise UserError(f"--by {by!r} is no metric of this sweep; {hint(by, names)}")
    wanted = range(len(names)) if by is None else [names.index(by)]
    found = []
    for which in wanted:
        evidence = evidence_of(state, space, which)
        try:
            found.append(_look(space, evidence, evaluators or EVALUATORS, seed, asked=bool(evaluators)))
        except TooFewTrialsError as error:
            click.echo(f"error: importance for {evidence.metric} cannot be told: {error}", err=True)
            return EXIT_NO_SUCCESS
    if as_json:
        click.echo(json_line({"sweep": state.name, "metrics": [_shape(each) for each in found]}))
        return 0
    for index, each in enumerate(found):
        metric = f"{each.evidence.metric} ({each.evidence.goal})"
        click.echo(("\n" if index else "") + f"Importance for {metric} of {state.name}\n")
        _print(each, slices=slices)
    return 0


def _look(space: Space, evidence: Evidence, evaluators: tuple[str, ...], seed: int, *, asked: bool) -> Findings:
    """Raises `TooFewTrialsError`, and `UserError` where nothing can be said by any evaluator."""
    from sweeptui.core.analysis.belief import Belief  # noqa: PLC0415 - the models' libraries are not for every command
    from sweeptui.core.analysis.interactions import interactions  # noqa: PLC0415

    found = Findings(evidence)
    for name in evaluators:
        try:
            found.by.append(importance(space, evidence, name, seed=seed))
        except MissingError as error:
            if asked:
                raise
            found.refused.append((name, str(error)))
    belief = Belief(space, evidence, seed=seed)
    found.lengthscales = belief.lengthscales
    found.interactions = interactions(space, evidence, belief, seed=seed)
    found.slices = belief.slices()
    return found


def _shape(found: Findings) -> dict[str, Any]:
    return {
        "metric": found.evidence.metric,
        "goal": found.evidence.goal,
        "evaluators": [
            {**asdict(each), "tells": each.tells, "verdict": each.verdict, "warnings": list(each.warnings)}
            for each in found.by
        ],
        "refused": [{"evaluator": name, "reason": reason} for name, reason in found.refused],
        "lengthscales": found.lengthscales,
        "interactions": [asdict(each) for each in found.interactions],
        "slices": [asdict(each) for each in found.slices],
    }


def _print(found: Findings, *, slices: bool) -> None:
    order = _order(found)
    short = short_names(order)
    width = max(map(len, ["parameter", *short.values()]))
    cells = {each.evaluator: {row.parameter: _cell(row) for row in each.rows} for each in found.by}
    heads = [each.evaluator for each in found.by]
    widths = [max(len(head), *map(len, cells[head].values())) for head in heads]
    head = "  ".join(name.ljust(size) for name, size in zip(heads, widths, strict=True))
    click.echo(f"  {'parameter'.ljust(width)}  {head}  lengthscale")
    for name in order:
        said = "  ".join(cells[head].get(name, "").ljust(size) for head, size in zip(heads, widths, strict=True))
        click.echo(f"  {short[name].ljust(width)}  {said}  {found.lengthscales[name]:.2g}")
    click.echo("\n  Shares with their middle 90%; * stands out from what is found with the scores shuffled.\n")
    for each in found.by:
        click.echo(f"  {each.evaluator} ({each.trials} trials): {each.verdict}")
    for note in dict.fromkeys(note for each in found.by for note in each.warnings if note != each.verdict):
        click.echo(f"  note: {note}")
    for name, reason in found.refused:
        click.echo(f"  {name}: {reason}")
    if told := [each for each in found.interactions if each.told]:
        click.echo("\n  Together beyond each by itself, as a share of the predicted score's variance:")
        for pair in told:
            click.echo(f"    {' x '.join(pair.parameters)}  {pair.share:.2f} ({pair.low:.2f} to {pair.high:.2f})")
    elif found.interactions:
        click.echo("\n  No two parameters are seen to do more together than each by itself.")
    if slices:
        _print_slices(found, order)


def _order(found: Findings) -> list[str]:
    """The parameters by their mean share over the evaluators."""
    shares: dict[str, float] = dict.fromkeys(found.lengthscales, 0.0)
    for each in found.by:
        for row in each.rows:
            shares[row.parameter] += row.mean
    return sorted(shares, key=lambda name: -shares[name])


def short_names(names: list[str]) -> dict[str, str]:
    """By the end of its path, where no other ends so."""
    ends = [name.rpartition(".")[2] for name in names]
    return {name: end if ends.count(end) == 1 else name for name, end in zip(names, ends, strict=True)}


def _cell(row: Row) -> str:
    return f"{row.mean:.2f}{'*' if row.told else ' '} ({row.low:.2f}-{row.high:.2f})"


def _print_slices(found: Findings, order: list[str]) -> None:
    click.echo(f"\n  Partial dependence of {found.evidence.metric}, with the middle 68% of what it may be:")
    by_name = {each.parameter: each for each in found.slices}
    for name in order:
        if name not in by_name:
            click.echo(f"\n    {name}: exists in no trial")
            continue
        each = by_name[name]
        last = len(each.values) - 1
        kept = sorted({round(index * last / (POINTS - 1)) for index in range(POINTS)})
        words = [format_value(_short(each.values[index])) for index in kept]
        least, most = min(each.mean), max(each.mean)
        click.echo(f"\n    {name}")
        for index, word in zip(kept, words, strict=True):
            filled = round((each.mean[index] - least) / (most - least) * BAR) if most > least else 0
            said = f"{each.mean[index]:.6g} ± {each.spread[index]:.2g}"
            click.echo(f"      {word.rjust(max(map(len, words)))}  {('█' * filled).ljust(BAR)}  {said}")


def _short(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value
