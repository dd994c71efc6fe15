"""The dispatchers that a sweep asks for, and whether they can do what it needs."""

from __future__ import annotations

import contextlib
import importlib.util
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sweeptui.core.errors import UserError
from sweeptui.core.flow import Flow
from sweeptui.core.jobspec import template_of
from sweeptui.core.remote import LOCAL, SKYPILOT, route_of, routes_of
from sweeptui.core.trial import Stage
from sweeptui.dispatchers.local import LocalDispatcher
from sweeptui.dispatchers.routing import RoutingDispatcher
from sweeptui.dispatchers.skypilot.client import WorkerGateway
from sweeptui.dispatchers.skypilot.dispatcher import SkypilotDispatcher
from sweeptui.dispatchers.skypilot.gateway import GatewayError, Place
from sweeptui.dispatchers.skypilot.records import sweep_id
from sweeptui.dispatchers.skypilot.task import base_task, submission_of, warm_names

if TYPE_CHECKING:
    from typing import Any

    from sweeptui.core.config import SweepTool
    from sweeptui.core.dispatch import Dispatcher, JobSpec
    from sweeptui.dispatchers.skypilot.gateway import Gateway

GROUP = "sweeptui.dispatchers"
"""Entry points: each is called with the `SweepTool` and the sweep's folder, and returns a `Dispatcher`."""
INSTALL = "pip install 'sweeptui[skypilot]'"
_HANDED_OVER = ("{checkpoint}", "{checkpoint_dir}", "{trial_dir}")


def dispatcher_of(tool: SweepTool, sweep_dir: Path) -> Dispatcher:
    """What runs the jobs of a sweep."""
    places = {name: _place(name, tool, sweep_dir) for name in routes_of(tool)}
    return next(iter(places.values())) if len(places) == 1 else RoutingDispatcher(places)


def _place(name: str, tool: SweepTool, sweep_dir: Path) -> Dispatcher:
    if name == LOCAL:
        return LocalDispatcher(sweep_dir)
    if name == SKYPILOT:
        return SkypilotDispatcher(
            sweep_dir,
            tool.sweep_name or sweep_dir.name,
            tool.skypilot,
            lambda: gateway_of(tool, sweep_dir),
            interval_s=tool.monitoring_interval,
        )
    from importlib.metadata import entry_points  # noqa: PLC0415 - slow, and only plug-ins need it

    [point] = entry_points(group=GROUP, name=name)
    made: Dispatcher = point.load()(tool, sweep_dir)
    return made


def place_of(tool: SweepTool) -> Place:
    config = tool.skypilot
    return Place(mode=config.mode, pool=config.pool, autodown_min=config.autodown_min)


def gateway_of(tool: SweepTool, sweep_dir: Path) -> Gateway:
    """The real SkyPilot."""
    warm = warm_names(tool.sweep_name or sweep_dir.name, tool.skypilot.clusters or 0, sweep_id(sweep_dir))
    place = replace(place_of(tool), clusters=warm)
    return WorkerGateway(place, sweep_dir / "skypilot.log", sweep_dir / "skypilot.lock")


def check_places(tool: SweepTool, sweeps: Path) -> None:
    """Raise `UserError` for what would make every job fail where it is to run."""
    places = routes_of(tool)
    if LOCAL in places:
        LocalDispatcher(sweeps).check_resources(tool.cpus_per_trial, tool.gpus_per_trial)
    if SKYPILOT in places:
        _check_skypilot(tool)


def _check_skypilot(tool: SweepTool) -> None:
    config = tool.skypilot
    base_task(config)
    if config.workdir is not None and not Path(config.workdir).expanduser().is_dir():
        raise UserError(f"skypilot.workdir is {config.workdir!r}, which is not a folder; give the one that jobs need")
    absent = [name for name in config.secrets if name not in os.environ]
    if absent:
        raise UserError(f"skypilot.secrets has {absent[0]!r}, which is not set here; export {absent[0]}=... first")
    _check_hand_over(tool)
    if not installed():
        raise UserError(f"jobs are to run on SkyPilot, which is not installed; {INSTALL}")
    if not enabled_clouds(tool):
        raise UserError("SkyPilot has no cloud that it may use; sky check says what each one lacks")


def _check_hand_over(tool: SweepTool) -> None:
    """Whether the evaluation can read what was trained, which may be gone with its machine."""
    if tool.skypilot.checkpoints is not None:
        return
    flow = Flow.of(tool)
    trained_there = route_of(tool, Stage.TRAIN, {}) == SKYPILOT
    for step in (*flow.early, *flow.late):
        if not trained_there and route_of(tool, step.stage, {}) != SKYPILOT:
            continue
        needs = [word for word in _HANDED_OVER if any(word in item for item in template_of(tool, step))]
        if needs:
            what = "prepared" if step in flow.early else "trained"
            raise UserError(
                f"skypilot.checkpoints is missing: {step.command_field} has {needs[0]}, and what is {what} on SkyPilot "
                f"stays on its machine; give a path that all machines share or a bucket (s3://bucket/folder), or "
                f"'reported' if training reports an address that can be read from anywhere"
            )


def installed() -> bool:
    """Whether the SkyPilot package is there."""
    return importlib.util.find_spec("sky") is not None


def inspect() -> tuple[list[str], list[tuple[str, str]]]:
    """The clouds that SkyPilot may use, and what of any sweep stands there. Raises `GatewayError`."""
    with contextlib.closing(WorkerGateway(Place())) as gateway:
        return gateway.clouds(), gateway.ours()


def estimate(tool: SweepTool, spec: JobSpec) -> dict[str, Any]:
    """What SkyPilot's optimizer would take for a job: `resources`, and `price_usd_h` or None. Raises `UserError`."""
    with contextlib.closing(WorkerGateway(place_of(tool))) as gateway:
        try:
            return gateway.estimate(submission_of(tool.skypilot, spec, "st-estimate").task)
        except GatewayError as error:
            raise UserError(f"SkyPilot finds no machine for a trial: {error}") from None


def enabled_clouds(tool: SweepTool) -> list[str]:
    """The clouds that SkyPilot may use. Starts its API server where none runs. Raises `UserError`."""
    with contextlib.closing(WorkerGateway(place_of(tool))) as gateway:
        try:
            return gateway.clouds()
        except GatewayError as error:
            raise UserError(f"SkyPilot does not answer: {error}; sky api status says more") from None
