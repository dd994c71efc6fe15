"""Acting on a sweep: every command goes through its journal, whoever runs it, and from wherever it comes."""

from __future__ import annotations

import getpass
import socket
import time
from typing import TYPE_CHECKING, Any

import click

from sweeptui.acting import pause_experiment, resume_experiment, stop_experiment
from sweeptui.cli.options import (
    PairsCommand,
    WholeNumber,
    json_option,
    parse_trials,
    root_option,
    sweep_argument,
    trials_argument,
)
from sweeptui.core import handmade
from sweeptui.core.analysis.summary import json_line
from sweeptui.core.errors import UserError
from sweeptui.core.space import Space
from sweeptui.folders import existing_sweep, is_experiment
from sweeptui.launch import steward
from sweeptui.survey import open_sweep

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sweeptui.core.state import Command

ANSWER_S = 15.0
"""How long a command waits for the answer of whoever runs the sweep."""
POLL_S = 0.05
EXIT_REFUSED = 2

wait_option = click.option("--no-wait", is_flag=True, help="Return once the command is written, without the answer.")


def _shared(command: Callable[..., Any]) -> Callable[..., Any]:
    return root_option(json_option(wait_option(command)))


@click.command()
@sweep_argument
@trials_argument(required=False)
@_shared
def pause(sweep: str, trials: tuple[str, ...], **how: Any) -> int:
    """Pause trials. Without TRIAL the whole sweep, or experiment: what runs goes on, nothing new is started."""
    if not trials and is_experiment(how["root"], sweep):
        return _told(sweep, pause_experiment(how["root"], sweep, actor=_actor()), as_json=how["as_json"])
    return _ask(sweep, "pause", {"trials": parse_trials(trials)} if trials else {}, **how)


@click.command()
@sweep_argument
@trials_argument(required=False)
@_shared
def resume(sweep: str, trials: tuple[str, ...], **how: Any) -> int:
    """Resume paused trials. Without TRIAL the whole sweep, or experiment."""
    if not trials and is_experiment(how["root"], sweep):
        return _told(sweep, resume_experiment(how["root"], sweep, actor=_actor()), as_json=how["as_json"])
    return _ask(sweep, "resume", {"trials": parse_trials(trials)} if trials else {}, **how)


@click.command()
@sweep_argument
@trials_argument(required=True)
@_shared
def kill(sweep: str, trials: tuple[str, ...], **how: Any) -> int:
    """Kill trials, with every process they have started. To end the sweep: sweeptui stop."""
    return _ask(sweep, "kill", {"trials": parse_trials(trials)}, **how)


@click.command(cls=PairsCommand)
@sweep_argument
@trials_argument(required=True)
@click.option("--eval", "only_eval", is_flag=True, help="Keep the training and repeat the evaluation.")
@click.option("--set", "edits", multiple=True, metavar="PARAMETER=VALUE", help="Make new trials that differ in this.")
@_shared
def requeue(sweep: str, trials: tuple[str, ...], only_eval: bool, edits: tuple[str, ...], **how: Any) -> int:
    """Try ended trials again, with the same parameters. With --set the old ones stay as they are, and for each a new
    trial is made that differs in what is set."""
    if only_eval and edits:
        raise click.UsageError("--eval keeps the parameters, so --set cannot be given with it; give one of the two")
    args: dict[str, Any] = {"trials": parse_trials(trials)}
    if edits:
        args["params"] = _settings(how["root"], sweep, edits)
    return _ask(sweep, "evaluate" if only_eval else "requeue", args, **how)


@click.command()
@sweep_argument
@click.argument("settings", nargs=-1, metavar="[PARAMETER=VALUE]...")
@click.option(
    "--from",
    "source",
    default=handmade.CENTER,
    metavar="center|best|TRIAL",
    help="Where the other parameters come from; the center of the search space if not given.",
)
@_shared
def inject(sweep: str, settings: tuple[str, ...], source: str, **how: Any) -> int:
    """Make a trial by hand: it is the next to be trained, and counts to max_trials."""
    given = source if source in (handmade.CENTER, handmade.BEST) else parse_trials([source])[0]
    return _ask(sweep, "inject", {"params": _settings(how["root"], sweep, settings), "from": given}, **how)


@click.command()
@sweep_argument
@trials_argument(required=True)
@_shared
def unqueue(sweep: str, trials: tuple[str, ...], **how: Any) -> int:
    """Take queued trials out of the queue: back to how they had ended, or, where they never began, for good."""
    return _ask(sweep, "unqueue", {"trials": parse_trials(trials)}, **how)


@click.command()
@sweep_argument
@click.option("--kill", "kill_trials", is_flag=True, help="Kill the running trials instead of letting them finish.")
@_shared
def stop(sweep: str, kill_trials: bool, **how: Any) -> int:
    """End a sweep: nothing new is started, running trials finish. Of an experiment: all that its stages run."""
    if is_experiment(how["root"], sweep):
        said = stop_experiment(how["root"], sweep, kill=kill_trials, actor=_actor())
        return _told(sweep, said, as_json=how["as_json"])
    return _ask(sweep, "stop", {"kill": kill_trials}, **how)


@click.command("set")
@sweep_argument
@click.option("--max-trials", type=WholeNumber(1), help="How many trials the sweep makes in all.")
@click.option("--max-parallel-jobs", type=WholeNumber(1), help="How many trials run at once.")
@_shared
def set_(sweep: str, max_trials: int | None, max_parallel_jobs: int | None, **how: Any) -> int:
    """Change a sweep's limits while it runs."""
    limits = {"max_trials": max_trials, "max_parallel_jobs": max_parallel_jobs}
    args = {key: value for key, value in limits.items() if value is not None}
    if not args:
        raise click.UsageError("set needs --max-trials or --max-parallel-jobs, or both")
    return _ask(sweep, "set", args, **how)


def _told(experiment: str, said: str, *, as_json: bool) -> int:
    """Print what an experiment and all inside it were told."""
    click.echo(json_line({"name": experiment, "result": said}) if as_json else said)
    return 0


def _settings(root: Path, sweep: str, words: tuple[str, ...]) -> dict[str, Any]:
    """Checked parameters by whole path. Raises `UserError`."""
    with open_sweep(existing_sweep(root, sweep)) as store:
        return handmade.read_settings(Space.from_parameters(store.state.config["protein_config"]["parameters"]), words)


def _ask(sweep: str, verb: str, args: dict[str, Any], *, root: Path, as_json: bool, no_wait: bool) -> int:
    """Submit a command and print what became of it."""

    folder = existing_sweep(root, sweep)
    with open_sweep(folder, readonly=False) as store:
        for number in args.get("trials", ()):
            if number not in store.state.trials:
                raise UserError(f"sweep {sweep} has no trial {number}; it has {len(store.state.trials)}")
        asked = store.submit(verb, args, _actor())
        command = store.command(asked)
        deadline = time.monotonic() + (0 if no_wait else ANSWER_S)
        while command.state == "pending" and time.monotonic() < deadline:
            lease = store.lease()
            if lease is None or not lease.alive:
                steward(root, sweep)
            else:
                time.sleep(POLL_S)
            command = store.command(asked)
    if as_json:
        click.echo(json_line(_shape(command)))
    elif command.state == "pending":
        click.echo(f"command {command.id} ({verb}) is written; whoever runs {sweep} will carry it out")
    else:
        click.echo(
            command.result if command.state == "done" else f"error: {command.result}", err=command.state != "done"
        )
    return EXIT_REFUSED if command.state == "refused" else 0


def _actor() -> str:
    return f"{getpass.getuser()}@{socket.gethostname()} (cli)"


def _shape(command: Command) -> dict[str, Any]:
    return {
        "id": command.id,
        "at": command.at,
        "actor": command.actor,
        "verb": command.verb,
        "args": dict(command.args),
        "state": command.state,
        "result": command.result,
    }
