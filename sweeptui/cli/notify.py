"""`notify`: by what a user is notified, and a try of it."""

from __future__ import annotations

import time

import click

from sweeptui.cli.options import root_option
from sweeptui.core.errors import UserError
from sweeptui.folders import config_path
from sweeptui.notices.channels import Undelivered, channels
from sweeptui.notices.checks import findings
from sweeptui.notices.settings import settings

EXIT_FAILED = 1


@click.command()
@click.option("--test", is_flag=True, help="Send a notification by each way, now.")
@root_option
def notify(*, test: bool, root: object) -> int:  # noqa: ARG001 - every command takes it
    """Say what you are notified by, as your configuration file has it; with --test, try it.

    A command, a webhook, the desktop, the terminal's bell: see docs/notifications.md.
    """
    config = settings(None)
    ways = channels(config)
    if not ways:
        raise UserError(f"{config_path()} says nothing of notifications; write a table [notify] with command = [...]")
    if not test:
        click.echo(f"{', '.join(ways)}, on {', '.join(config.on)}")
        for channel, message, fix in findings(config):
            click.echo(f"{channel}: {message}" + (f"; {fix}" if fix else ""))
        return 0
    event = {"event": "test", "sweep": "test", "message": "sweeptui can reach you", "at": time.time()}
    failed = False
    for name, send in ways.items():
        try:
            send({**event, "status": "running", "trials": 0, "best": None})
        except Undelivered as error:
            failed = True
            click.echo(f"{name}: not delivered: {error}")
        else:
            click.echo(f"{name}: delivered")
    return EXIT_FAILED if failed else 0
