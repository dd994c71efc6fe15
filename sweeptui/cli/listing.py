"""`list`: what sweeps and experiments there are, and which are inside of which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from sweeptui.cli.options import json_option, root_option
from sweeptui.core.analysis.summary import json_line, sweep_json, unreadable_json
from sweeptui.core.errors import UserError
from sweeptui.core.wording import number
from sweeptui.families import parents, sight_experiment, stage_of
from sweeptui.folders import experiment_names, sweep_path, sweeps_dir
from sweeptui.survey import sightings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from sweeptui.families import ExperimentSight

SWEEP, EXPERIMENT = "sweep", "experiment"
"""Kinds of what is listed."""


@click.command("list")
@json_option
@root_option
def list_(*, as_json: bool, root: Path) -> int:
    """List the sweeps and their state, and the experiments that they are inside of."""
    shapes = _shapes(root)
    if as_json:
        click.echo(json_line(shapes))
        return 0
    if not shapes:
        click.echo(f"no sweeps in {sweeps_dir(root)}; start one with: sweeptui RECIPE")
        return 0
    title = "SWEEP" if all(shape["kind"] == SWEEP for shape in shapes) else "SWEEP OR EXPERIMENT"
    depths: dict[str, int] = {}
    rows = [(title, "STATE", "TRIALS", "DONE", "FAILED", "BEST", "RUN BY")]
    for shape in shapes:
        depth = depths[shape["name"]] = depths.get(shape["inside"], -1) + 1
        name = "  " * depth + shape["name"]
        if not shape["counts"]:
            rows.append((name, shape["state"], "", "", "", "", shape["reason"]))
            continue
        counts, best = shape["counts"], shape["best"]
        most = shape["max_trials"]
        rows.append(
            (
                name,
                shape["state"],
                f"{shape['trial_count'] - shape['replicates']}" + ("" if most is None else f"/{most}"),
                str(counts["completed"] + counts["stopped"]),
                str(counts["failed"] + counts["killed"]),
                "-" if best is None else f"{number(best['score'])} ({best['id']})",
                shape["holder"] or "",
            )
        )
    print_table(rows)
    return 0


def holder_name(lease: object) -> str | None:
    return None if lease is None else str(lease)


def print_table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=True)]
        click.echo("  ".join([*cells, row[-1]]).rstrip())


def _shapes(root: Path) -> list[dict[str, Any]]:
    """One for each sweep and experiment; what is inside of another follows it."""
    sweeps: dict[str, dict[str, Any]] = {}
    for seen in sightings(sweeps_dir(root)):
        sweeps[seen.folder.name] = (
            unreadable_json(seen.name, str(seen.folder), seen.problem)
            if seen.state is None
            else sweep_json(seen.state, label=seen.label, path=str(seen.folder), holder=holder_name(seen.holder))
        )
    sights: dict[str, ExperimentSight] = {}
    unreadable: dict[str, dict[str, Any]] = {}
    for name in experiment_names(root):
        folder = sweep_path(root, name)
        try:
            sights[name] = sight_experiment(folder)
        except UserError as error:
            unreadable[name] = {**unreadable_json(name, str(folder), str(error)), "kind": EXPERIMENT, "inside": None}
    inside = parents(sweeps, sights)
    shapes = dict(unreadable)
    for name, shape in sweeps.items():
        shapes[name] = {**shape, "kind": SWEEP, **_place(name, inside[name], sights)}
    for name, sight in sights.items():
        within = [shapes[each] for each in sweeps if name in _around(each, inside)]
        shapes[name] = {
            **_experiment(sight, str(sweep_path(root, name)), within),
            **_place(name, inside[name], sights),
        }
    return [shapes[name] for name in sorted(shapes, key=lambda name: (*reversed(_around(name, inside)), name))]


def _experiment(sight: ExperimentSight, path: str, within: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """An experiment, with the counts of all sweeps inside it."""
    shapes = [shape for shape in within if shape["counts"]]
    statuses = dict.fromkeys((status for shape in shapes for status in shape["counts"]), 0)
    for shape in shapes:
        for status, count in shape["counts"].items():
            statuses[status] += count
    return {
        "name": sight.name,
        "kind": EXPERIMENT,
        "state": sight.label,
        "reason": sight.reason,
        "path": path,
        "recipe": sight.kind,
        "counts": statuses or dict.fromkeys(("completed", "stopped", "failed", "killed"), 0),
        "trial_count": sum(shape["trial_count"] for shape in shapes),
        "replicates": sum(shape["replicates"] for shape in shapes),
        "max_trials": sight.budget,
        "stages": [
            {"path": stage.path, "state": stage.state, "attempts": stage.attempts, "run_s": stage.seconds}
            for stage in sight.stages
        ],
        "best": None,
        "holder": holder_name(sight.holder),
        "created_at": sight.created_at,
    }


def _place(name: str, around: str, sights: Mapping[str, ExperimentSight]) -> dict[str, Any]:
    """What it is inside of, and of an experiment the stage that ran it."""
    stage = stage_of(name, sights[around]) if around in sights else ""
    return {"inside": around or None, "stage": stage or None}


def _around(name: str, inside: Mapping[str, str]) -> list[str]:
    """Whatever it is inside of, the nearest first."""
    found = []
    while name := inside.get(name, ""):
        found.append(name)
    return found
