"""`serve`: the cockpit in a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sweeptui.cli.options import root_option, sweep_argument
from sweeptui.core.errors import UserError
from sweeptui.folders import existing_sweep

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_PORT = 8642
EXTRA = frozenset({"aiohttp", "textual_serve"})


@click.command()
@sweep_argument
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, show_default=True, help="0: any that is free."
)
@click.option(
    "--allow-host",
    "allow_hosts",
    multiple=True,
    metavar="NAME[:PORT]",
    help="Another name that leads here, through a tunnel or a proxy; repeatable.",
)
@click.option("--allow-actions", is_flag=True, help="Let the page pause, kill and change; without it, it only shows.")
@click.option("--open", "open_browser", is_flag=True, help="Open the page in the browser.")
@root_option
def serve(
    *,
    sweep: str,
    root: Path,
    host: str,
    port: int,
    allow_hosts: tuple[str, ...],
    allow_actions: bool,
    open_browser: bool,
) -> int:
    """Show a sweep's cockpit in the browser.

    Prints a URL with a secret in it; only who has it gets in. The sweep itself runs elsewhere and is not ended with it.
    """
    folder = existing_sweep(root, sweep)
    try:
        from sweeptui.web import server  # noqa: PLC0415 - an extra that not everybody has installed
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in EXTRA:
            raise
        raise UserError("serve needs aiohttp and textual-serve: pip install 'sweeptui[web]'") from error
    return server.serve(folder, server.Settings(host, port, allow_hosts, allow_actions, open_browser))
