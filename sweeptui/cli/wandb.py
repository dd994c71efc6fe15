"""`sync`: what W&B lacks of the sweeps of this machine."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sweeptui.cli.complete import SweepName
from sweeptui.cli.options import json_option, root_option
from sweeptui.core.analysis.summary import json_line
from sweeptui.core.errors import UserError
from sweeptui.folders import existing_sweep, sweep_names

if TYPE_CHECKING:
    from sweeptui.integrations.wandb_offline import Synced

EXIT_FAILED = 1


@click.command()
@click.argument("sweep", required=False, type=SweepName())
@json_option
@root_option
def sync(*, sweep: str | None, as_json: bool, root: Path) -> int:
    """Bring W&B what it lacks of a sweep, or of all: what trials have logged offline, and mirrored sweeps.

    What was uploaded before is not uploaded again; what still runs is left for later.
    """
    from sweeptui.integrations.wandb_offline import sync as upload  # noqa: PLC0415
    from sweeptui.survey import open_sweep  # noqa: PLC0415

    if find_spec("wandb") is None:
        raise UserError("the package wandb is not installed; install it with: pip install 'sweeptui[wandb]'")
    failed = 0
    for name in [sweep] if sweep else sweep_names(root):
        folder = existing_sweep(root, name)
        found = 0
        with open_sweep(folder) as store:
            for each in upload(folder, store):
                found += 1
                failed += each.state == "failed"
                _tell(name, each, as_json=as_json)
            mirrored = store.state.config.get("store") == "wandb"
        if mirrored:
            failed += not _catch_up(root, name, as_json=as_json)
        elif not found and not as_json:
            click.echo(f"{name}: no trial has logged to W&B offline")
    return EXIT_FAILED if failed else 0


def _catch_up(root: Path, name: str, *, as_json: bool) -> bool:
    """Bring W&B what it does not have of a sweep that is mirrored there; whether it has it all now."""
    from sweeptui.mirroring import sync as catch_up  # noqa: PLC0415

    try:
        said, done = catch_up(root, name), True
    except UserError as error:
        said, done = str(error), False
    if as_json:
        click.echo(json_line({"sweep": name, "mirror": "synced" if done else "failed", "said": said}))
    else:
        click.echo(f"{name}: {said}", err=not done)
    return done


def _tell(sweep: str, done: Synced, *, as_json: bool) -> None:
    if as_json:
        row = {"sweep": sweep, "trial": done.trial, "stage": done.stage, "attempt": done.attempt}
        click.echo(json_line({**row, "folder": str(done.folder), "state": done.state, "said": done.said}))
    else:
        said = f": {done.said}" if done.said else ""
        click.echo(f"{sweep} {done.trial} {done.stage} {done.attempt}: {done.folder.name} {done.state}{said}")
