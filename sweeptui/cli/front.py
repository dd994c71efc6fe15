"""What `sweeptui best` prints where there are several metrics: the trials that no other beats in all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import yaml

from sweeptui.core.analysis.best import nested
from sweeptui.core.analysis.summary import best_json, front_json, json_line, metrics_json
from sweeptui.core.objectives import front, results, value_of

if TYPE_CHECKING:
    from sweeptui.core.objectives import Member, Objectives
    from sweeptui.core.state import SweepState
    from sweeptui.core.trial import Trial

EXIT_NO_SUCCESS = 3


def print_front(state: SweepState, objectives: Objectives, *, show_scores: bool, as_json: bool) -> int:
    """Print the front as a table and as YAML, or as JSON. Returns the exit code."""
    members = front(state.trials.values(), objectives)
    if not members:
        click.echo(f"error: no trial of sweep {state.name} has given all scores yet, so there is no front", err=True)
        return EXIT_NO_SUCCESS
    everything = results(state.trials.values(), objectives)
    if as_json:
        shape = {"sweep": state.name, **metrics_json(objectives), **front_json(state)}
        if show_scores:
            shape["scores"] = [best_json(each.trial, objectives) for each in everything]
        click.echo(json_line(shape))
        return 0
    said = " and ".join(map(str, objectives))
    click.echo(f"Front of {state.name}: {len(members)} of {len(everything)} runs are beaten by no other in {said}\n")
    _print_table(members, objectives)
    if show_scores:
        click.echo(f"\nAll scores ({len(everything)} runs):")
        _print_table(everything, objectives)
    click.echo("\nAs YAML:\n")
    documents = [
        {"trial": each.trial.id, "scores": _by_name(each, objectives), "params": nested(each.trial.params)}
        for each in members
    ]
    click.echo(yaml.safe_dump(documents, sort_keys=False, allow_unicode=True, width=1000), nl=False)
    names = " or ".join(f"--by {each.name}" for each in objectives)
    click.echo(f"\nFor a config patch, overrides and the training command, pick one: {names}")
    return 0


def said_of(trial: Trial, objectives: Objectives) -> str:
    """All scores of a trial in a few words."""
    return ", ".join(f"{each.name} {value_of(trial, objectives, which)!r}" for which, each in enumerate(objectives))


def _by_name(member: Member, objectives: Objectives) -> dict[str, float]:
    return {each.name: value for each, value in zip(objectives, member.values, strict=True)}


def _print_table(members: list[Member], objectives: Objectives) -> None:
    rows = [["trial", *(each.name for each in objectives), "cost"]]
    for member in members:
        cost = "-" if member.trial.cost is None else repr(member.trial.cost)
        rows.append([member.trial.id, *map(repr, member.values), cost])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
