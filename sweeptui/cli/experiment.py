"""`run` with a recipe that returns an experiment: a pipeline of sweeps instead of one sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from sweeptui.cli.attach import headless_wanted
from sweeptui.core.analysis.summary import json_line
from sweeptui.core.errors import UserError
from sweeptui.core.experiments import StageError
from sweeptui.experiments import Experiment
from sweeptui.recipes.settings import split_settings

if TYPE_CHECKING:
    from pathlib import Path

    from sweeptui.recipes.find import RecipeRef

TAKEN = frozenset({"recipe", "root", "sweep_name", "max_trials", "arguments", "headless", "quiet", "as_json"})
"""What `run` offers and an experiment takes; others only where the recipe's function has an argument of that name."""
EXIT_FAILED = 4


def run_experiment(ctx: click.Context, recipe: RecipeRef, root: Path, **given: Any) -> int:
    """Run it to its end, in the cockpit where there is a terminal for one. Raises `UserError`."""
    args: dict[str, Any] = dict(split_settings(given["arguments"]))
    for param in ctx.command.params:
        name = param.name or ""
        if ctx.get_parameter_source(name) is not ParameterSource.COMMANDLINE or name in TAKEN:
            continue
        if name not in recipe.parameters:
            raise UserError(
                f"{param.opts[0]} is for sweeps, and {recipe.name} is an experiment of several; it takes --sweep-name, "
                f"--max-trials (of all its sweeps together) and --args {', '.join(recipe.parameters)}"
            )
        args[name] = given[name]
    for name in args:
        if name not in recipe.parameters:
            raise UserError(f"--args: {recipe.name} takes no {name!r}; it takes {', '.join(recipe.parameters)}")
    experiment = recipe.experiment(args)
    if not isinstance(experiment, Experiment):
        raise UserError(f"recipe {recipe.name} returned a {type(experiment).__name__}; it must return an Experiment")
    experiment.name = given["sweep_name"] or args.get("name") or recipe.name.rpartition(":")[2]
    plain = headless_wanted(given["headless"], given["as_json"])
    silent = not plain or given["quiet"] or given["as_json"]
    try:
        result: Any = experiment.run(given["max_trials"], root=root, watch=not plain, say=None if silent else _say)
    except StageError as error:
        click.echo(f"error: {error}", err=True)
        return EXIT_FAILED
    if given["as_json"]:
        click.echo(json_line({"name": experiment.name, "result": dict(result)}))
    else:
        click.echo("\n".join(experiment.summary(result)))
    return 0


def _say(line: str) -> None:
    click.echo(line)
