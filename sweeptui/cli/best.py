"""`sweeptui best`: the best configurations, in every form in which they are used again."""

from __future__ import annotations

import math
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sweeptui.cli.front import EXIT_NO_SUCCESS, print_front, print_pareto, said_of
from sweeptui.cli.options import WholeNumber, json_option, root_option, sweep_argument, sweep_to_read
from sweeptui.core.analysis.best import (
    PATCH_DIR,
    as_overrides,
    as_patch,
    as_yaml,
    differing,
    training_command,
)
from sweeptui.core.analysis.forms import FORMS, as_form
from sweeptui.core.analysis.ranking import ranked
from sweeptui.core.analysis.replicates import estimate
from sweeptui.core.analysis.summary import best_json, json_line, metrics_json, tool_of
from sweeptui.core.errors import UserError, hint
from sweeptui.core.objectives import objectives_of, value_of
from sweeptui.core.values import format_value
from sweeptui.survey import open_sweep

if TYPE_CHECKING:
    from sweeptui.core.analysis.ranking import Ranked
    from sweeptui.core.analysis.replicates import Estimate
    from sweeptui.core.objectives import Objectives
    from sweeptui.core.state import SweepState
    from sweeptui.core.trial import Trial

RULE = "=" * 60
THIN_RULE = "-" * 40


@click.command()
@sweep_argument
@click.option("--top-n", type=WholeNumber(1), help="How many to print; 1 where not given.")
@click.option("--by", metavar="METRIC", help="The best by one of several metrics, instead of the whole front.")
@click.option("--budget", type=float, metavar="COST", help="Of the trials that cost no more than that.")
@click.option("--pareto", is_flag=True, help="The trials that no other beats in score without costing more.")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMS),
    help="Print the parameters alone, in this form, and write no file.",
)
@click.option("--show-scores", is_flag=True, help="Print the score of every trial that has one.")
@click.option("--no-patch", is_flag=True, help="Write no config patch file.")
@click.option(
    "--output-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help=f"Where the patch file goes; ROOT/{PATCH_DIR} where not given.",
)
@json_option
@root_option
def best(
    *,
    sweep: str,
    top_n: int | None,
    by: str | None,
    budget: float | None,
    pareto: bool,
    form: str | None,
    show_scores: bool,
    no_patch: bool,
    output_dir: Path | None,
    as_json: bool,
    root: Path,
) -> int:
    """Print the best configurations: as YAML, config patch, overrides and complete training command.

    Of a sweep with several metrics, print the front: the trials that no other beats in all. --by METRIC picks one.
    """

    folder = sweep_to_read(root, sweep)
    with open_sweep(folder) as store:
        state = store.state
    objectives = objectives_of(state.config)
    trials = _within(state, budget)
    if pareto:
        which = _chosen(objectives, by)
        if form is not None or top_n is not None:
            raise UserError(
                "--pareto prints several trials; with --format or --top-n, choose one by its cost: --budget"
            )
        if len(objectives) > 1 and by is None:
            return print_front(state, objectives, trials, show_scores=show_scores, as_json=as_json)
        return print_pareto(state, objectives[which], which, trials, as_json=as_json)
    if len(objectives) > 1 and by is None:
        if top_n is not None or output_dir is not None:
            raise UserError(
                f"{'--top-n' if top_n is not None else '--output-dir'}: sweep {sweep} has several metrics; "
                f"say by which of them, as in --by {objectives[0].name}"
            )
        if form is not None:
            raise UserError(f"--format prints one trial; say by which metric, as in --by {objectives[0].name}")
        return print_front(state, objectives, trials, show_scores=show_scores, as_json=as_json)
    which = _chosen(objectives, by)
    order = ranked(trials, objectives[which].goal, lambda trial: value_of(trial, objectives, which))
    top_n = top_n or 1
    if not order:
        cheap = "" if budget is None else f" that costs at most {budget!r} {tool_of(state).cost_unit}"
        click.echo(f"error: no trial of sweep {sweep}{cheap} has given a score yet, so none is the best", err=True)
        return EXIT_NO_SUCCESS
    first = order[0]
    if form is not None:
        said = "" if len(objectives) == 1 else said_of(first.trial, objectives)
        click.echo(as_form(form, state.name, first.trial, said), nl=False)
        return 0
    noise = _noise(state, objectives, which, first.trial)
    patch = None if no_patch else _write_patch(state, objectives, first, output_dir or root / PATCH_DIR)
    tool = tool_of(state)
    command = training_command(tool, state.name, folder, first.trial)
    if as_json:
        shape: dict[str, Any] = {
            "sweep": state.name,
            **metrics_json(objectives),
            **({} if by is None else {"by": objectives[which].name}),
            "best": _ranked_json(state, objectives, first),
            "budget": budget,
            "trained": asdict(noise),
            "tied": [other.trial.id for other in order[1:] if other.rank == 1],
            "top": [_ranked_json(state, objectives, item) for item in order[:top_n]],
            "yaml": as_yaml(first.trial.params),
            "patch": None if patch is None else str(patch),
            "overrides": as_overrides(first.trial.params),
            "command": command,
            "cwd": tool.working_dir,
        }
        if show_scores:
            shape["scores"] = [{"rank": item.rank, **best_json(item.trial, objectives)} for item in order]
        click.echo(json_line(shape))
        return 0
    _print_heading(state, order, show_scores, "score" if by is None else objectives[which].name, noise)
    if top_n > 1:
        _print_top(order[:top_n], "score" if by is None else objectives[which].name)
    _print_forms(first, patch, command, tool.working_dir)
    return 0


def _chosen(objectives: Objectives, by: str | None) -> int:
    """Which objective it is by. Raises `UserError` for none."""
    names = [each.name for each in objectives]
    if by is None:
        return 0
    if by not in names:
        raise UserError(f"--by {by!r} is no metric of this sweep; {hint(by, names)}")
    return names.index(by)


def _within(state: SweepState, budget: float | None) -> list[Trial]:
    """The trials that cost no more than that; one whose cost is not known may cost anything."""
    trials = list(state.trials.values())
    if budget is None:
        return trials
    if not (math.isfinite(budget) and budget > 0):
        raise UserError(f"--budget is {budget!r}; it must be a number above 0, in {tool_of(state).cost_unit}")
    return [trial for trial in trials if trial.cost is not None and trial.cost <= budget]


def _noise(state: SweepState, objectives: Objectives, which: int, best: Trial) -> Estimate:
    """Over the trials with the same parameters: where it was validated the replicates, which it was not chosen by."""
    same = [trial for trial in state.trials.values() if trial.params == best.params and trial.has_result]
    fresh = [trial for trial in same if trial.is_replicate]
    same = fresh if len(fresh) > 1 else same
    values = (value_of(trial, objectives, which) for trial in same)
    return estimate([value for value in values if value is not None and math.isfinite(value)])


def _ranked_json(state: SweepState, objectives: Objectives, item: Ranked) -> dict[str, Any]:

    return {"rank": item.rank, "run": f"{state.name}_{item.trial.id}", **best_json(item.trial, objectives)}


def _write_patch(state: SweepState, objectives: Objectives, first: Ranked, folder: Path) -> Path:

    path = folder / f"{state.name}_best.yaml"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        said = "" if len(objectives) == 1 else said_of(first.trial, objectives)
        path.write_text(as_patch(state.name, first.trial, said=said), encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"{path} cannot be written ({error.strerror}); choose another --output-dir, or --no-patch"
        ) from None
    return path


def _print_heading(state: SweepState, order: list[Ranked], show_scores: bool, metric: str, noise: Estimate) -> None:
    first = order[0]
    click.echo(f"Best run: {state.name}_{first.trial.id} ({metric}: {first.score!r})")
    if noise.low is not None and noise.high is not None:
        click.echo(
            f"Trained {noise.count} times: {noise.mean!r} on average, 95% interval {noise.low:.6g} to {noise.high:.6g}"
        )
    elif not state.config.get("train_command") and not state.config.get("recipe_module"):
        click.echo("Trained once, elsewhere: how much of that was luck cannot be told here")
    else:
        click.echo(f"Trained once: how much of that was luck, `sweeptui validate {state.name}` tells")
    tied = [other.trial.id for other in order[1:] if other.rank == 1]
    if tied:
        click.echo(f"Tied with: {', '.join(tied)} (the one of lower cost comes first, then the earlier one)")
    if show_scores:
        click.echo(f"\nAll scores ({len(order)} runs):")
        for item in order:
            click.echo(f"  {item.rank}. {item.trial.id}: {item.score!r}{_cost(item)}")


def _print_top(top: list[Ranked], metric: str) -> None:

    click.echo(f"\nTop {len(top)} configurations (only what differs between them):")
    names = differing(top)
    for item in top:
        click.echo(f"  {item.rank}. {item.trial.id} ({metric}: {item.score!r}{_cost(item)})")
        for name in names:
            if name in item.trial.params:
                click.echo(f"       {name}: {format_value(item.trial.params[name])}")


def _print_forms(first: Ranked, patch: Path | None, command: list[str], cwd: str | None) -> None:

    click.echo(f"\n{RULE}\nBEST HYPERPARAMETERS:\n{RULE}")
    click.echo(f"\n1. As YAML config:\n{THIN_RULE}")
    click.echo(as_yaml(first.trial.params), nl=False)
    if patch is None:
        click.echo("\n2. Config patch: not written (--no-patch)")
    else:
        click.echo(f"\n2. Config patch saved to: {patch}\n   Use with: +trainer/patch={patch.stem}")
    click.echo(f"\n3. As command-line overrides:\n{THIN_RULE}")
    click.echo(shlex.join(as_overrides(first.trial.params)))
    if not command:
        click.echo("\n4. Complete training command: none, the sweep was imported")
        return
    click.echo(f"\n4. Complete training command:\n{THIN_RULE}")
    elsewhere = f"cd {shlex.quote(cwd)} && " if cwd and Path(cwd) != Path.cwd() else ""
    click.echo(elsewhere + shlex.join(command))


def _cost(item: Ranked) -> str:
    return "" if item.trial.cost is None else f", cost: {item.trial.cost!r}"
