"""`sweeptui validate`: trains the best configurations and the default again over seeds: which gains are real?"""

from __future__ import annotations

import dataclasses
import getpass
import socket
import time
from typing import TYPE_CHECKING, Any

import click

from sweeptui import launch
from sweeptui.cli.act import ANSWER_S, POLL_S
from sweeptui.cli.options import WholeNumber, json_option, root_option, sweep_argument
from sweeptui.core.analysis.summary import json_line, tool_of
from sweeptui.core.analysis.validation import concluded
from sweeptui.core.errors import UserError, hint
from sweeptui.core.objectives import objectives_of
from sweeptui.core.validating import Asked, candidates, check_seed, missing, replicates, signature
from sweeptui.folders import existing_sweep
from sweeptui.survey import open_sweep

if TYPE_CHECKING:
    from pathlib import Path

    from sweeptui.core.config import SweepTool
    from sweeptui.core.objectives import Objective
    from sweeptui.core.state import Command, SweepState
    from sweeptui.core.trial import Trial

EXIT_NO_SUCCESS = 3
EXIT_STOPPED = 5
FOLLOW_INTERVAL_S = 0.2


@click.command()
@sweep_argument
@click.option("--top-k", type=WholeNumber(1), default=3, help="How many of the best configurations; 3 where not given.")
@click.option("--seeds", type=WholeNumber(2), default=10, help="How often each is trained; 10 where not given.")
@click.option("--by", metavar="METRIC", help="The best by one of several metrics.")
@click.option(
    "--seed-parameter",
    metavar="NAME",
    help="The parameter that is the training's seed, where its command line has no {seed}; SWEEPTUI_SEED where the "
    "script reads that variable.",
)
@click.option("--report-only", is_flag=True, help="Train nothing: say what the replicates so far show.")
@json_option
@root_option
def validate(
    *,
    sweep: str,
    top_k: int,
    seeds: int,
    by: str | None,
    seed_parameter: str | None,
    report_only: bool,
    as_json: bool,
    root: Path,
) -> int:
    """Train the best configurations and the default again, over seeds, and say which gains are real.

    The best of many noisy trials is the best partly by luck. The replicates are trials of the sweep that no optimizer
    is told of. Ended early, the same command goes on; where another process runs the sweep, that one trains them.
    """
    folder = existing_sweep(root, sweep)
    with open_sweep(folder) as store:
        state = store.state
        tool = tool_of(state)
        asked = Asked(top_k, seeds, _which(state, by), seed_parameter or "")
        check_seed(tool, asked)
        chosen = candidates(state, tool, asked)  # refused before anything is written
        wanted = missing(state, tool, asked)
    if wanted and not report_only:
        args = {key: value for key, value in dataclasses.asdict(asked).items() if value}
        _submit(root, sweep, folder, args)
    if not report_only and (code := _carry_out(root, sweep, folder, as_json=as_json)):
        return code
    with open_sweep(folder) as store:
        state = store.state
    objective = objectives_of(state.config)[asked.which]
    shape = _shape(state, tool, asked, chosen, objective)
    click.echo(json_line(shape)) if as_json else _print(shape)
    return 0 if shape["configurations"][0]["mean"] is not None else EXIT_NO_SUCCESS


def _which(state: SweepState, by: str | None) -> int:
    names = [each.name for each in objectives_of(state.config)]
    if by is None and len(names) > 1:
        raise UserError(f"the sweep has several metrics; say by which the best are to be chosen, as in --by {names[0]}")
    if by is not None and by not in names:
        raise UserError(f"--by {by!r} is no metric of this sweep; {hint(by, names)}")
    return 0 if by is None else names.index(by)


def _submit(root: Path, sweep: str, folder: Path, args: dict[str, Any]) -> None:
    """Have the replicates made, by whoever runs the sweep or else here. Raises `UserError` where that is refused."""
    with open_sweep(folder, readonly=False) as store:
        asked = store.submit("validate", args, f"{getpass.getuser()}@{socket.gethostname()} (cli)")
        command: Command = store.command(asked)
        deadline = time.monotonic() + ANSWER_S
        while command.state == "pending":
            lease = store.lease()
            if lease is None or not lease.alive:
                launch.steward(root, sweep)
            elif time.monotonic() > deadline:
                raise UserError(
                    f"whoever runs {sweep} has not answered for {ANSWER_S:g} s; the command is written and will be "
                    f"carried out: run the same command again to wait for the replicates"
                )
            else:
                time.sleep(POLL_S)
            command = store.command(asked)
    if command.state == "refused":
        raise UserError(command.result)


def _carry_out(root: Path, sweep: str, folder: Path, *, as_json: bool) -> int:
    """Train what waits, or wait while another process does. Returns the exit code, 0 once all have ended."""
    from sweeptui import headless  # noqa: PLC0415 - not for those who only look

    ran = False
    while True:
        with open_sweep(folder) as store:
            if not any(trial.is_replicate for trial in store.state.active):
                return 0
            lease = store.lease()
            elsewhere = lease is not None and lease.alive
        if elsewhere:
            time.sleep(FOLLOW_INTERVAL_S)
        elif ran:
            click.echo(f"error: sweep {sweep} was stopped before all replicates were trained", err=True)
            return EXIT_STOPPED
        else:
            session = launch.reopen(root, sweep, search=False)
            code = headless.validate(session, said=not as_json)
            if code not in (0, EXIT_NO_SUCCESS, EXIT_STOPPED):
                return code
            ran = True


def _shape(state: SweepState, tool: SweepTool, asked: Asked, chosen: list[Any], objective: Objective) -> dict[str, Any]:
    """What `--json` prints; `gain` is in the metric's unit, more is better."""
    objectives = objectives_of(state.config)
    there = replicates(state, tool, asked)
    groups: dict[str, dict[int, Trial]] = {}
    for each in chosen:
        key = signature(each.params, asked.seed_parameter)
        groups[each.name] = {n: trial for (of, n), trial in there.items() if of == key and n <= asked.seeds}
    shapes = concluded(groups, {each.name: each.score for each in chosen}, objectives, asked.which)
    for shape, each in zip(shapes, chosen, strict=True):
        shape["waiting"] += asked.seeds - len(groups[each.name])  # not made yet
        shape["params"] = dict(each.params)
    return {
        "sweep": state.name,
        "metric": objective.name,
        "goal": objective.goal,
        "level": 0.95,
        "configurations": shapes,
    }


def _print(shape: dict[str, Any]) -> None:
    metric, goal = shape["metric"], shape["goal"]
    click.echo(f"Validation of {shape['sweep']}: {metric} ({goal}), means with 95% intervals\n")
    for each in shape["configurations"]:
        click.echo(f"  {each['of']}{_found(each)}")
        click.echo(f"    over {each['seeds']} seeds: {_mean(each)}{_lost(each)}")
        if (versus := each.get("gain")) is not None:
            click.echo(f"    against the default: {_difference(versus)}{versus['sentence']}")
    click.echo("\nSeeds are the same for all configurations, and the test is a paired t-test.")
    if len(shape["configurations"]) > 2:
        click.echo(f"The {len(shape['configurations']) - 1} intervals of gains hold together with 95% (Bonferroni).")


def _found(each: dict[str, Any]) -> str:
    if each["found_with"] is None:
        return ""
    flattered = each["flattered_by"]
    said = "" if not flattered else f", {'flattered' if flattered > 0 else 'slandered'} by {abs(flattered):.4g}"
    return f" (the sweep found {each['found_with']!r}{said})"


def _mean(each: dict[str, Any]) -> str:
    if each["mean"] is None:
        return "no score yet"
    if each["low"] is None:
        return f"{each['mean']:.6g}"
    return f"{each['mean']:.6g} ({each['low']:.6g} to {each['high']:.6g}), single trainings differ by {each['std']:.3g}"


def _lost(each: dict[str, Any]) -> str:
    said = [f"{each[what]} {word}" for what, word in (("failed", "failed"), ("waiting", "still to come")) if each[what]]
    return f"; {', '.join(said)}" if said else ""


def _difference(versus: dict[str, Any]) -> str:
    if versus["mean"] is None:
        return ""
    if versus["low"] is None or versus["p"] is None:
        return f"{versus['mean']:+.6g}: "
    return f"{versus['mean']:+.6g} ({versus['low']:+.6g} to {versus['high']:+.6g}, p = {versus['p']:.2g}): "
