"""`export` and `import`: sweeps in and out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from sweeptui.cli.complete import RecipeName
from sweeptui.cli.compose import compose
from sweeptui.cli.options import json_option, root_option, sweep_argument
from sweeptui.core.analysis.summary import json_line
from sweeptui.core.errors import UserError
from sweeptui.folders import DATABASE, sweep_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sweeptui.core.config import SweepTool
    from sweeptui.exchange.fitting import Policy, Report
    from sweeptui.exchange.records import Source

FORMATS = ("csv", "jsonl", "parquet", "optuna", "sweep")
SOURCES = (*FORMATS, "wandb", "hydra")


@click.command()
@sweep_argument
@click.option("--format", "kind", type=click.Choice(FORMATS), required=True, help="See docs/in-and-out.md.")
@click.option(
    "-o", "--output", help="The file, - for stdout (csv, jsonl); SWEEP and the format's ending where not given."
)
@click.option("--force", is_flag=True, help="Overwrite the file where it is there.")
@click.option("--no-logs", is_flag=True, help="Format sweep: without what the trials printed.")
@json_option
@root_option
def export(*, sweep: str, kind: str, output: str | None, force: bool, no_logs: bool, as_json: bool, root: Path) -> int:
    """Write a sweep to one file, and say what the format cannot hold.

    A sweep that runs is written as it is at this moment. Format sweep is the sweep itself, which opens by its path:
    `sweeptui attach FILE`.
    """
    from sweeptui.exchange.formats import export as write  # noqa: PLC0415 - only who exports needs it
    from sweeptui.exchange.formats import to_stdout  # noqa: PLC0415
    from sweeptui.exchange.opened import to_read  # noqa: PLC0415

    if no_logs and kind != "sweep":
        raise UserError(f"--no-logs is for --format sweep; {kind} holds no logs")
    with to_read(root, sweep) as folder:
        if output == "-":
            to_stdout(folder, kind)
            return 0
        done = write(folder, kind, None if output is None else Path(output), force=force, logs=not no_logs)
    if as_json:
        shape = {"sweep": folder.name, "format": kind, "file": str(done.path), "trials": done.trials}
        click.echo(json_line({**shape, "without": done.lacks}))
        return 0
    click.echo(f"{done.path}: {done.trials} {'trial' if done.trials == 1 else 'trials'}, without {done.lacks}")
    return 0


@click.command("import")
@click.argument("source", type=click.Choice(SOURCES))
@click.argument("place", metavar="FILE|STORAGE|ENTITY/PROJECT/GROUP|ENTITY/PROJECT/sweeps/ID")
@click.option("--recipe", type=RecipeName(), help="Whose search space and metric count, instead of the source's own.")
@click.option("--sweep-name", help="Of the new sweep; made of the source's name where not given.")
@click.option(
    "--outside",
    type=click.Choice(["refuse", "drop", "clip", "widen", "keep"]),
    default="refuse",
    show_default=True,
    help="Trials outside of the search space: take none at all, leave them out, move them to its nearest values,"
    " widen the space, or only show them.",
)
@click.option("--metric", help="Of a source that does not say it, without --recipe.")
@click.option("--goal", type=click.Choice(["maximize", "minimize"]), help="Likewise.")
@click.option("--study", help="Which study of an Optuna storage; not needed where there is one.")
@click.option("--patch", "patches", multiple=True, help="hydra: a +trainer/patch file, whose values are fixed.")
@click.option("--train-command", help="hydra: what trains, with its placeholders, as in 'python train.py {overrides}'.")
@click.option(
    "-o", "--output", help="hydra: the recipe file; named like the source, with .recipe.yaml, where not given."
)
@click.option("--force", is_flag=True, help="hydra: overwrite the recipe file where it is there.")
@json_option
@root_option
def import_(
    *,
    source: str,
    place: str,
    recipe: str | None,
    sweep_name: str | None,
    outside: Policy,
    metric: str | None,
    goal: Literal["maximize", "minimize"] | None,
    study: str | None,
    patches: tuple[str, ...],
    train_command: str | None,
    output: str | None,
    force: bool,
    as_json: bool,
    root: Path,
) -> int:
    """Make a sweep of the trials of a file, an Optuna study, a W&B group or sweep, or another sweep.

    The new sweep is over; it goes on with `run RECIPE --sweep-name NAME --max-trials N`, and another one learns from it
    with `run RECIPE --warm-start NAME`. `import hydra` makes a recipe of a Hydra-style sweep configuration instead.
    """
    given = {"--recipe": recipe, "--sweep-name": sweep_name, "--metric": metric, "--goal": goal, "--study": study}
    hydra = {"--patch": patches, "--train-command": train_command, "--output": output, "--force": force}
    _refuse(given, source) if source == "hydra" else _refuse(hydra, source)
    if source == "hydra":
        return _convert(Path(place), patches, train_command, output, force=force, as_json=as_json)
    if study is not None and source != "optuna":
        raise UserError(f"--study is {study!r}, and only optuna has studies; leave it out")
    if recipe is not None and (metric or goal):
        raise UserError("--metric and --goal are the recipe's, with --recipe; leave them out")
    name = sweep_name or _name(place, study)
    sweep_path(root, name)
    if source == "sweep":
        return _import_sweep(root, place, name, recipe, outside, as_json=as_json)
    report = _taken(root, name, _source(source, place, study, recipe, root), recipe, outside, metric, goal)
    return _tell(report, recipe, place, as_json=as_json)


def _refuse(options: Mapping[str, object], source: str) -> None:
    for option, value in options.items():
        if value:
            raise UserError(f"{option} is not for `import {source}`; leave it out")


def _name(place: str, study: str | None) -> str:
    """A sweep's name made of where it comes from."""
    file = place.rstrip("/").rpartition("/")[2]
    last = study or re.sub(r"\.(csv|jsonl|parquet|db|sqlite3?|journal|log|sweep)$", "", file)
    return re.sub(r"[^A-Za-z0-9._-]+|\.{2,}", "-", last).strip("-._")[:100] or "imported"


def _source(kind: str, place: str, study: str | None, recipe: str | None, root: Path) -> Source:
    if kind == "wandb":
        from sweeptui.integrations.wandb_history import fetch, source  # noqa: PLC0415

        if recipe is None:
            raise UserError("--recipe is missing: a W&B run does not say which of its values were searched")
        return source(place, fetch(place), _tool(recipe, root))
    from sweeptui.exchange.formats import read  # noqa: PLC0415

    return read(kind, place, study)


def _tool(recipe: str, root: Path) -> SweepTool:
    from sweeptui.readiness import checked  # noqa: PLC0415

    return checked(compose(recipe, (), {}, (), {}), root)


def _taken(
    root: Path,
    name: str,
    source: Source,
    recipe: str | None,
    outside: Policy,
    metric: str | None = None,
    goal: str | None = None,
) -> Report:
    from sweeptui.core.config import SweepTool  # noqa: PLC0415
    from sweeptui.exchange.foreign import tool_of  # noqa: PLC0415
    from sweeptui.exchange.taking import take  # noqa: PLC0415

    if recipe is not None:
        return take(root.resolve(), name, source, _tool(recipe, root), outside)
    if source.header is not None:
        if metric or goal:
            raise UserError(f"--{'metric' if metric else 'goal'} is what {source.said} says itself; leave it out")
        config = {key: value for key, value in source.header["config"].items() if key != "launch"}
        return take(root.resolve(), name, source, SweepTool.from_json(config), outside, exact=True)
    return take(root.resolve(), name, source, tool_of(source, metric, goal), outside, exact=True)


def _tell(report: Report, recipe: str | None, place: str, *, as_json: bool) -> int:
    if as_json:
        counts = dict(sorted(report.counts.items()))
        taken = {"completed": report.completed, "failed": report.failed}
        click.echo(json_line({"sweep": report.sweep, "from": place, "runs": report.found, **taken, "counts": counts}))
        return 0
    for line in report.lines():
        click.echo(line)
    _next_steps(report.sweep, recipe)
    return 0


def _next_steps(name: str, recipe: str | None) -> None:
    if recipe is not None:
        click.echo(f"go on with it:     sweeptui {recipe} --sweep-name {name} --max-trials N")
    click.echo(f"look at it:        sweeptui attach {name}")
    click.echo(f"or learn from it:  sweeptui {recipe or 'RECIPE'} --warm-start {name}")


def _import_sweep(root: Path, place: str, name: str, recipe: str | None, outside: Policy, *, as_json: bool) -> int:
    """Another sweep of ours: as it is, journal and logs and all, or its trials in a recipe's search space."""
    from sweeptui.exchange import single  # noqa: PLC0415
    from sweeptui.exchange.opened import to_read  # noqa: PLC0415
    from sweeptui.exchange.records import Source, header_of, records_of, standing_still  # noqa: PLC0415
    from sweeptui.exchange.taking import take_file  # noqa: PLC0415

    path = Path(place)
    if recipe is not None:
        with to_read(root, place) as folder, standing_still(folder) as store:
            source = Source(place, lambda: records_of(store), header_of(store.state))
            return _tell(_taken(root, name, source, recipe, outside), recipe, place, as_json=as_json)
    if not (path / DATABASE).is_file() and not single.is_one(path):
        raise UserError(
            f"{place} is neither a sweep's folder nor a file that `sweeptui export --format sweep` has written"
        )
    count = take_file(root.resolve(), name, place, path)
    if as_json:
        click.echo(json_line({"sweep": name, "from": place, "trials": count}))
        return 0
    click.echo(f"{name}: {count} trials, with their journal and logs, from {place}")
    click.echo(f"go on with it:     sweeptui continue {name}")
    _next_steps(name, None)
    return 0


def _convert(
    file: Path, patches: tuple[str, ...], command: str | None, output: str | None, *, force: bool, as_json: bool
) -> int:
    from sweeptui.exchange.hydra import convert  # noqa: PLC0415

    done = convert(file, [Path(patch) for patch in patches], command, Path(output) if output else None, force=force)
    if as_json:
        click.echo(json_line({"recipe": str(done.path), "from": str(file), "notes": done.notes}))
        return 0
    for note in done.notes:
        click.echo(note)
    click.echo(f"run it:  sweeptui {done.path} --max-trials N")
    return 0
