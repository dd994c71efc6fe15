"""`attach`: a window on a sweep that runs elsewhere. Apart from `run`, so that it opens without the engine."""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING

import click

from sweeptui.cli.options import json_option, root_option, sweep_argument
from sweeptui.core.errors import UserError
from sweeptui.folders import existing_sweep, is_experiment

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@sweep_argument
@click.option("--headless", is_flag=True, help="Plain lines instead of the cockpit; so too without a terminal.")
@click.option("--quiet", is_flag=True, help="Headless: only results, failures and the summary.")
@click.option("--read-only", is_flag=True, help="A cockpit that changes nothing.")
@click.option("--browser-tab", is_flag=True, hidden=True)  # how `serve` starts what it shows in a tab
@json_option
@root_option
def attach(
    *, sweep: str, root: Path, headless: bool, as_json: bool, quiet: bool, read_only: bool, browser_tab: bool
) -> int:
    """Watch a sweep that runs elsewhere, and act on it."""
    if is_experiment(root, sweep) and not browser_tab:
        return _attach_to_experiment(sweep, root, plain=headless_wanted(headless, as_json), read_only=read_only)
    path = existing_sweep(root, sweep)
    # What each needs is imported where it is needed: Textual is not for those who run headless.
    if browser_tab:
        from sweeptui.app.browser import show_in_tab  # noqa: PLC0415

        return show_in_tab(path, read_only=read_only)
    if headless_wanted(headless, as_json):
        from sweeptui import headless as plain  # noqa: PLC0415

        return plain.follow(path, as_json=as_json, quiet=quiet)
    gc.disable()  # `run_cockpit` enables it again
    from sweeptui.app import run_cockpit  # noqa: PLC0415

    return run_cockpit(None, path, read_only=read_only)


def _attach_to_experiment(name: str, root: Path, *, plain: bool, read_only: bool) -> int:
    """Show its tree, from which each of its sweeps is opened. Raises `UserError`."""
    if plain or read_only:
        what = "without a terminal" if plain else "read-only"
        raise UserError(f"{name} is an experiment, which is not shown {what}; attach to one of its sweeps instead")
    from sweeptui.app.home import run_home  # noqa: PLC0415 - as above
    from sweeptui.cli.run import read_words  # noqa: PLC0415 - it needs this module

    return run_home(root, read_words, inside=name)


def headless_wanted(asked: bool, as_json: bool) -> bool:
    """Whether to go without a screen: where that was asked for, and where there is no terminal for one."""
    # The cockpit reads keys from stdin and draws on stderr, so that a redirected one leaves it blind or invisible.
    on_a_terminal = all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
    return asked or as_json or not on_a_terminal or os.environ.get("TERM") == "dumb"
