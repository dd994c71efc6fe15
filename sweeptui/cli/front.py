"""What `sweeptui best` prints where there are several metrics: the trials that no other beats in all of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click
import yaml

from sweeptui.core.analysis.best import nested
from sweeptui.core.analysis.ranking import ranked
from sweeptui.core.analysis.summary import best_json, json_line, metrics_json
from sweeptui.core.objectives import front, objectives_of, results, value_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweeptui.core.analysis.ranking import Ranked
    from sweeptui.core.objectives import Member, Objective, Objectives
    from sweeptui.core.state import SweepState
    from sweeptui.core.trial import Trial

EXIT_NO_SUCCESS = 3


def print_pareto(state: SweepState, objective: Objective, which: int, trials: Sequence[Trial], *, as_json: bool) -> int:
    """Print the trials that no other beats in score without costing more, the cheapest first. Returns the exit code."""
    unit = str(state.config.get("cost_unit", "seconds"))
    objectives = objectives_of(state.config)
    order = ranked(trials, objective.goal, lambda trial: value_of(trial, objectives, which))
    known = [each for each in order if each.trial.cost is not None]
    if not known:
        click.echo(f"error: no trial of sweep {state.name} has given a score and a cost yet", err=True)
        return EXIT_NO_SUCCESS
    members: list[Ranked] = []
    for each in known:  # best first: who follows is on the front where it is cheaper than all before
        if not members or _cost(each) < _cost(members[-1]):
            members.append(each)
    members.reverse()
    if as_json:
        shape = [
            {"id": each.trial.id, "score": each.score, "cost": each.trial.cost, "params": dict(each.trial.params)}
            for each in members
        ]
        click.echo(json_line({"sweep": state.name, "metric": objective.name, "goal": objective.goal, "pareto": shape}))
        return 0
    click.echo(
        f"Front of {state.name}: {len(members)} of {len(known)} runs are beaten by no other in "
        f"{objective} and cost ({unit})\n"
    )
    rows = [["trial", objective.name, f"cost ({unit})"]]
    rows += [[each.trial.id, repr(each.score), repr(each.trial.cost)] for each in members]
    _print_rows(rows)
    click.echo(f"\nFor one of them: sweeptui best {state.name} --budget COST")
    return 0


def _cost(item: Ranked) -> float:
    return math.inf if item.trial.cost is None else item.trial.cost


def print_front(
    state: SweepState, objectives: Objectives, trials: Sequence[Trial], *, show_scores: bool, as_json: bool
) -> int:
    """Print the front of these trials as a table and as YAML, or as JSON. Returns the exit code."""
    members = front(trials, objectives)
    if not members:
        click.echo(f"error: no trial of sweep {state.name} has given all scores yet, so there is no front", err=True)
        return EXIT_NO_SUCCESS
    everything = results(trials, objectives)
    if as_json:
        shape: dict[str, Any] = {
            "sweep": state.name,
            **metrics_json(objectives),
            "front": [best_json(each.trial, objectives) for each in members],
        }
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
    _print_rows(rows)


def _print_rows(rows: list[list[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
