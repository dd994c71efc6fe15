"""`recipes`, `schema`, `keys` and `doctor`: about this installation and this machine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from sweeptui.cli.complete import SweepName
from sweeptui.cli.options import json_option, root_option
from sweeptui.core.config import SweepTool
from sweeptui.doctor import Check, examine, recover_sweep
from sweeptui.folders import config_path
from sweeptui.recipes.find import list_recipes

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@json_option
def recipes(*, as_json: bool) -> int:
    """List the recipes that can be run by name."""
    found = list_recipes()
    if as_json:
        click.echo(json.dumps([recipe._asdict() for recipe in found]))
        return 0
    width = max((len(recipe.name) for recipe in found), default=0)
    for recipe in found:
        click.echo(f"{recipe.name:<{width}}  {recipe.line}")
    click.echo("\nA recipe of your own: module:function, file.py:function, or a YAML file (sweeptui schema).")
    return 0


@click.command()
def schema() -> int:
    """Print the JSON Schema of a recipe file."""
    click.echo(json.dumps(SweepTool.model_json_schema(), indent=2))
    return 0


@click.command()
@click.option("--markdown", is_flag=True, help="Print the page about the default keys instead.")
@json_option
def keys(*, markdown: bool, as_json: bool) -> int:
    """Print the cockpit's keys, with those that you gave other ones."""
    from sweeptui.app import keymap  # noqa: PLC0415 - only this command and doctor need the app

    if markdown:
        click.echo(keymap.markdown(), nl=False)
        return 0
    own = keymap.load()
    rows = keymap.table(own)
    if as_json:
        names = ("group", "keys", "id", "help")
        click.echo(json.dumps([dict(zip(names, row, strict=True)) for row in rows]))
        return 0
    widths = [max(len(row[column]) for row in rows) for column in (1, 2)]
    for group in dict.fromkeys(row[0] for row in rows):
        click.echo(group)
        for _, names_, id_, what in (row for row in rows if row[0] == group):
            click.echo(f"  {names_:<{widths[0]}}  {id_:<{widths[1]}}  {what}")
    click.echo(f'\nTo give an action another key, write it in {config_path()}:\n\n    [keys]\n    kill = "K"')
    for problem in own.problems:
        click.echo(f"warning: {problem}", err=True)
    return 0


@click.command()
@click.option("--recover", type=SweepName(), metavar="SWEEP", help="Save what can be read of a damaged database.")
@json_option
@root_option
def doctor(*, recover: str | None, as_json: bool, root: Path) -> int:
    """Check this machine and the sweeps on it."""
    if recover is not None:
        report = recover_sweep(root, recover)
        click.echo(json.dumps(report) if as_json else report["message"])
        return 0
    checks = [*examine(root), _keys()]
    if as_json:
        click.echo(json.dumps([check._asdict() for check in checks]))
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            click.echo(f"{check.status:<4}  {check.name:<{width}}  {check.message}")
            if check.fix:
                click.echo(f"{'':<4}  {'':<{width}}  -> {check.fix}")
    return int(any(check.status == "fail" for check in checks))


def _keys() -> Check:
    from sweeptui.app import keymap  # noqa: PLC0415 - only this command and keys need the app

    problems = keymap.load().problems
    if problems:
        return Check("keys", "warn", "; ".join(problems), "sweeptui keys lists the actions")
    return Check("keys", "ok", f"{config_path()} " + ("is in order" if config_path().exists() else "is not there"))
