"""`attach`: a window on a sweep that runs elsewhere. Apart from `run`, so that it opens without the engine."""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING

import click

from sweeptui.cli.options import at_option, json_option, moment_at, root_option, sweep_argument, sweep_to_read
from sweeptui.core.errors import UserError
from sweeptui.folders import by_path, is_experiment

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@sweep_argument
@click.option("--headless", is_flag=True, help="Plain lines instead of the cockpit; so too without a terminal.")
@click.option("--quiet", is_flag=True, help="Headless: only results, failures and the summary.")
@click.option("--read-only", is_flag=True, help="A cockpit that changes nothing.")
@click.option("--browser-tab", is_flag=True, hidden=True)  # how `serve` starts what it shows in a tab
@at_option
@json_option
@root_option
def attach(
    *,
    sweep: str,
    root: Path,
    headless: bool,
    as_json: bool,
    quiet: bool,
    read_only: bool,
    browser_tab: bool,
    at: str | None,
) -> int:
    """Watch a sweep that runs elsewhere, and act on it; or see it as it was.

    SWEEP may also be the path of a sweep's folder, or of a file that `export --format sweep` has written: those are
    only read.
    """
    if not by_path(sweep) and is_experiment(root, sweep) and not browser_tab:
        if at is not None:
            raise UserError(f"--at is of a sweep, and {sweep} is an experiment; attach to one of its sweeps instead")
        return _attach_to_experiment(sweep, root, plain=headless_wanted(headless, as_json), read_only=read_only)
    path = sweep_to_read(root, sweep)
    read_only = read_only or by_path(sweep)
    # What each needs is imported where it is needed: Textual is not for those who run headless.
    if browser_tab:
        from sweeptui.app.browser import show_in_tab  # noqa: PLC0415

        return show_in_tab(path, read_only=read_only)
    if headless_wanted(headless, as_json):
        if at is not None:
            from sweeptui.cli.read import show  # noqa: PLC0415

            return int(click.get_current_context().invoke(show, sweep=sweep, at=at, as_json=as_json, root=root))
        from sweeptui import headless as plain  # noqa: PLC0415

        return plain.follow(path, as_json=as_json, quiet=quiet)
    gc.disable()  # `run_cockpit` enables it again
    from sweeptui.app import run_cockpit  # noqa: PLC0415

    start = None if at is None else moment_at(path, at)
    return run_cockpit(None, path, read_only=read_only, start=start, opened=sweep if by_path(sweep) else "")


@click.command()
@sweep_argument
@click.option("--speed", type=float, help="So many times as fast as it was; as fast as takes a minute where not given.")
@at_option
@root_option
def replay(*, sweep: str, speed: float | None, at: str | None, root: Path) -> int:
    """Play a sweep from its start, or from --at, in the cockpit.

    Where nothing happened for long, it goes on after two seconds. The keys of the past stop it and lead on.
    """
    if speed is not None and not 0 < speed < float("inf"):
        raise UserError(f"--speed is {speed:g}; give a number above 0: 60 is a minute in a second")
    path = sweep_to_read(root, sweep)
    start = 1 if at is None else moment_at(path, at)
    if headless_wanted(asked=False, as_json=False):
        raise UserError("replay needs a terminal; `sweeptui show SWEEP --at TIME` prints how it was at one moment")
    gc.disable()  # `run_cockpit` enables it again
    from sweeptui.app import run_cockpit  # noqa: PLC0415

    opened = sweep if by_path(sweep) else ""
    return run_cockpit(None, path, read_only=bool(opened), start=start, speed=speed or 0.0, opened=opened)


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
