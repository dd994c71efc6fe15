"""`run` and `continue`: a sweep in the cockpit or headless."""

from __future__ import annotations

import shlex
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from sweeptui import headless as plain
from sweeptui import launch, preview
from sweeptui.cli.attach import headless_wanted
from sweeptui.cli.complete import RecipeName
from sweeptui.cli.compose import compose, resolve
from sweeptui.cli.options import PairsCommand, WholeNumber, root_option, sweep_argument
from sweeptui.cli.outcome import Outcome, outcome_options
from sweeptui.cli.project import ADVICE, default_words
from sweeptui.core.analysis.summary import json_line
from sweeptui.core.errors import UserError
from sweeptui.recipes.find import find_recipe, list_recipes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sweeptui.core.config import SweepTool
    from sweeptui.launch import Session

FIELDS = {
    "sweep_name": "sweep_name",
    "max_trials": "max_trials",
    "max_parallel_jobs": "max_parallel_jobs",
    "method": "protein_config.method",
    "seed": "seed",
    "warm_start": "warm_start",
    "dispatcher": "dispatcher_type",
    "scheduler": "scheduler",
    "recipe_module": "recipe_module",
    "train_entrypoint": "train_entrypoint",
    "eval_entrypoint": "eval_entrypoint",
    "store": "store",
    "wandb_project": "wandb.project",
    "wandb_entity": "wandb.entity",
}
"""Option -> the field of the configuration that it sets."""
EXIT_USAGE = 2


class RunCommand(PairsCommand):
    """Without a recipe, takes the words of the project's default sweep first, so that options given here win."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing:
            given, _, _ = self.make_parser(ctx).parse_args(args=self.spread(args))
            if not isinstance(given.get("recipe"), str) and not given.get("help"):
                args = [*(default_words(self.params, Path.cwd()) or ()), *args]
        return super().parse_args(ctx, args)


def _how_to_run(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--headless", is_flag=True, help="Plain lines instead of the cockpit; so too without a terminal."),
        click.option("--quiet", is_flag=True, help="Headless: only results, failures and the summary."),
        click.option(
            "--detach", is_flag=True, help="Headless: an interrupt leaves trials running, to be adopted later."
        ),
        click.option("--json", "as_json", is_flag=True, help="Headless, one JSON object per line; see docs/cli.md."),
        outcome_options,
        root_option,
    ):
        command = option(command)
    return command


@click.command(cls=RunCommand)
@click.argument("recipe", required=False, type=RecipeName())
@click.option("--sweep-name", help="Made up where not given; the same name goes on with the same sweep.")
@click.option("--max-trials", "--num-trials", type=WholeNumber(1), help="How many trials in all.")
@click.option("--max-parallel-jobs", type=WholeNumber(1), help="How many run at once.")
@click.option("--method", help="bayes, random, or an installed optimizer's name.")
@click.option("--seed", type=WholeNumber(), help="Of the suggestions and the trials.")
@click.option("--warm-start", metavar="SWEEP", help="A sweep whose trials inform this one; the spaces may differ.")
@click.option("--dispatcher", help="Where jobs run: local, skypilot, hybrid_remote_train, or a plug-in's name.")
@click.option("--scheduler", help="optimizing, sequential, batch, asha, hyperband, pbt, ... (docs/schedulers.md).")
@click.option("--scheduler-option", multiple=True, metavar="NAME=VALUE", help="One of its options; repeatable.")
@click.option("--set", "--overrides", "settings", multiple=True, metavar="FIELD=VALUE", help="Any field; repeatable.")
@click.option("--args", "arguments", multiple=True, metavar="NAME=VALUE", help="The recipe's arguments; repeatable.")
@click.option("--train-override", multiple=True, metavar="PATH=VALUE", help="Passed to each training; repeatable.")
@click.option("--eval-override", multiple=True, metavar="PATH=VALUE", help="Passed to each evaluation; repeatable.")
@click.option("--recipe-module", metavar="MODULE", help="The module with the training and evaluation functions.")
@click.option("--train-entrypoint", metavar="NAME", help="Its training function.")
@click.option("--eval-entrypoint", metavar="NAME", help="Its evaluation function.")
@click.option("--store", type=click.Choice(["sqlite", "wandb"]), help="wandb: mirrored to W&B, too; see docs/wandb.md.")
@click.option("--wandb-project", help="WANDB_PROJECT where not given.")
@click.option("--wandb-entity", help="W&B user or team: WANDB_ENTITY, or the key's own, where not given.")
@click.option("--new", is_flag=True, help="Start a new sweep even where an unfinished one of this recipe could go on.")
@click.option(
    "--accept-changes",
    type=click.Choice(["keep", "forget"]),
    help="Go on although the search space, metric or goal changed: old trials inform the optimizer, or do not.",
)
@click.option("--dry-run", is_flag=True, help="Print the first trial's exact commands and run nothing.")
@_how_to_run
@click.pass_context
def run(ctx: click.Context, /, *, recipe: str | None, root: Path, dry_run: bool, **given: Any) -> int:
    """Run a recipe's sweep, or go on with it.

    RECIPE is a name (see: sweeptui recipes), module:function, file.py:function or a YAML file. Without it, the
    project's default sweep is run: [tool.sweeptui] in pyproject.toml, or sweeptui.toml.
    """
    if recipe is None:
        return _no_recipe(ctx, root, is_headless=headless_wanted(given["headless"], given["as_json"]))
    if (found := resolve(recipe)).is_experiment:
        from sweeptui.cli.experiment import run_experiment  # noqa: PLC0415 - few need it

        return run_experiment(ctx, found, root, dry_run=dry_run, **given)
    tool = _tool(recipe, given)
    for note in find_recipe(recipe, Path.cwd()).notes(limited=given["max_trials"] is not None):
        click.echo(f"note: {note}", err=True)
    if dry_run:
        return _dry_run(recipe, tool, root, as_json=given["as_json"])
    is_headless = headless_wanted(given["headless"], given["as_json"])
    outcome = Outcome(**{field.name: given[field.name] for field in fields(Outcome)})
    outcome.check(tool, is_headless=is_headless)
    session = launch.prepare(
        recipe,
        tool,
        root,
        label="headless" if is_headless else "cockpit",
        accept_changes=given["accept_changes"],
        new=given["new"],
    )
    how = {name: given[name] for name in ("as_json", "quiet", "detach")}
    return _run(session, is_headless, outcome, **how)


def _tool(recipe: str, given: Mapping[str, Any]) -> SweepTool:
    fields = {field: given[option] for option, field in FIELDS.items() if given[option] is not None}
    return compose(
        recipe,
        given["arguments"],
        fields,
        given["settings"],
        {
            "train_overrides": given["train_override"],
            "eval_overrides": given["eval_override"],
            "scheduler_options": given["scheduler_option"],
        },
    )


def read_words(words: Sequence[str]) -> tuple[str, SweepTool]:
    """The recipe and the configuration that the words of a `run` command line ask for. Raises `UserError`."""
    if words[0].startswith("-"):
        raise UserError(f"{words[0]!r} is no recipe; `sweeptui recipes` lists those there are")
    try:
        given = run.make_context("run", list(words)).params
    except click.ClickException as error:
        raise UserError(error.format_message()) from None
    return words[0], _tool(words[0], given)


@click.command("continue")
@sweep_argument
@_how_to_run
def continue_(
    *, sweep: str, root: Path, headless: bool, as_json: bool, quiet: bool, detach: bool, **wanted: Any
) -> int:
    """Go on with a sweep as it was configured."""
    is_headless = headless_wanted(headless, as_json)
    session = launch.reopen(root, sweep, label="headless" if is_headless else "cockpit")
    outcome = Outcome(**wanted)
    outcome.check(session.tool, is_headless=is_headless)
    return _run(session, is_headless, outcome, as_json=as_json, quiet=quiet, detach=detach)


def _run(session: Session, is_headless: bool, outcome: Outcome, *, as_json: bool, quiet: bool, detach: bool) -> int:
    if is_headless:
        return plain.run(session, as_json=as_json, quiet=quiet, detach=detach, at_end=outcome.conclude)
    from sweeptui.app import run_cockpit  # noqa: PLC0415 - Textual is not for those who run headless

    return run_cockpit(session, session.path)


def _dry_run(recipe: str, tool: Any, root: Path, *, as_json: bool) -> int:
    commands = preview.dry_run(recipe, tool, root)
    costs = preview.estimated_costs(tool, root)
    if as_json:
        known = {cost.stage: {"resources": cost.resources, "price_usd_h": cost.price_usd_h} for cost in costs}
        click.echo(json_line([{"stage": stage, "argv": argv, **known.get(stage, {})} for stage, argv in commands]))
        return 0
    for stage, argv in commands:
        click.echo(f"{stage}: {shlex.join(argv)}")
    for cost in costs:
        click.echo(f"{cost.stage} on SkyPilot: {cost.sentence}")
    return 0


def _no_recipe(ctx: click.Context, root: Path, *, is_headless: bool) -> int:
    given = [name for name in ctx.params if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if is_headless or set(given) - {"root"}:
        recipes = "\n".join(f"  {recipe.name:<14} {recipe.line}" for recipe in list_recipes())
        click.echo(f"error: {ADVICE}\n\nrecipes:\n{recipes}", err=True)
        return EXIT_USAGE
    from sweeptui.app.home import run_home  # noqa: PLC0415 - as above

    return run_home(root, read_words)
