"""Whether a sweep can be run as it is given: all that would otherwise be found out by a failing first trial."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sweeptui import budgets
from sweeptui.core import schedulers, warmstart
from sweeptui.core.analysis.summary import tool_of
from sweeptui.core.config import SweepTool
from sweeptui.core.errors import UserError
from sweeptui.core.flow import Flow
from sweeptui.core.flowcheck import check_flow
from sweeptui.core.jobspec import project_dir, template_of
from sweeptui.core.names import make_name
from sweeptui.core.optimizers.base import History, Suggestion
from sweeptui.core.optimizers.registry import is_foreign
from sweeptui.core.optimizers.service import OptimizerService
from sweeptui.core.remote import LOCAL, route_of
from sweeptui.core.stores.sqlite import SqliteStore
from sweeptui.core.template import default_eval_command, default_train_command
from sweeptui.dispatchers.places import check_places
from sweeptui.folders import DATABASE, existing_sweep, sweep_names, sweeps_dir
from sweeptui.mirroring import check as check_mirror
from sweeptui.recipes.find import check_command


def service_of(tool: SweepTool, log_path: Path | None) -> OptimizerService:
    """Its optimizer, which works in a process of its own."""
    protein = tool.protein_config
    return OptimizerService(
        protein.method,
        tool.space,
        [each.goal for each in protein.objectives],
        protein.settings.model_dump(mode="json"),
        tool.seed,
        log_path=log_path,
    )


def made_up_name(recipe: str | None, root: Path, tool: SweepTool) -> str:
    """A name for a sweep that was given none."""
    name = make_name(recipe or "sweep", sweep_names(root))
    # In a W&B project there may be sweeps of other machines, whose names are not known here.
    return f"{name}-{secrets.token_hex(2)}" if tool.store == "wandb" else name


def _complete(tool: SweepTool) -> SweepTool:
    """Fill in the commands that a recipe leaves to `recipe_module`, and where the jobs run."""
    folder = project_dir(tool).resolve()
    update: dict[str, Any] = {"working_dir": os.fspath(folder)}
    if tool.train_command is None:
        if tool.recipe_module is None:
            raise UserError("train_command is missing: give the command that trains, or recipe_module")
        update["train_command"] = default_train_command(tool, folder)
        if tool.eval_command is None and tool.has_eval:
            update["eval_command"] = default_eval_command(tool, folder)
    return tool.model_copy(update=update)


def checked(tool: SweepTool, root: Path) -> SweepTool:
    """The configuration with all that its recipe leaves open filled in. Raises `UserError` where it cannot run."""
    tool = _complete(tool)
    check_tool(tool, root.resolve())
    if tool.sweep_name is not None:
        budgets.check(budgets.around(root.resolve(), tool.sweep_name), tool.sweep_name, tool.max_trials)
    return tool


def check_tool(tool: SweepTool, root: Path) -> None:
    """Everything that would otherwise be found out by a failing first trial."""
    if tool.metric_source == "wandb" and find_spec("wandb") is None:
        raise UserError(
            "metric_source is 'wandb', and the package wandb is not installed; install it with: "
            "pip install 'sweeptui[wandb]'"
        )
    schedulers.resolve(tool.scheduler, tool.scheduler_options).check(tool.max_trials)
    check_mirror(tool)
    folder = project_dir(tool)
    if not folder.is_dir():
        raise UserError(f"working_dir is {os.fspath(folder)!r}, which is not a folder; create it or change working_dir")
    check_flow(tool)
    for step in Flow.of(tool).steps:
        if (template := template_of(tool, step)) and route_of(tool, step.stage, {}) == LOCAL:
            check_command(template, folder)
    _check_writable(root)
    check_places(tool, sweeps_dir(root))
    _check_method(tool)


def _check_method(tool: SweepTool) -> None:
    """Whether its optimizer can be made; one of another library is asked once, for only that tells."""
    if is_foreign(tool.protein_config.method):
        first_suggestion(tool)
    else:
        service_of(tool, None).close()


def first_suggestion(tool: SweepTool) -> Suggestion:
    """What its optimizer would try first. Raises `UserError` where it cannot say."""
    service = service_of(tool, None)
    try:
        service.start()
        service.request(History(), 1, 1)
        while (result := service.poll()) is None:
            time.sleep(0.02)
    finally:
        service.close()
    if not result.suggestions:
        raise UserError(result.error or "the search space is empty")
    if "fallback" in result.suggestions[0].provenance:
        raise UserError(f"method: {tool.protein_config.method!r} {result.suggestions[0].provenance['fallback']}")
    return result.suggestions[0]


def _check_writable(root: Path) -> None:
    place = sweeps_dir(root)
    while not place.exists():
        place = place.parent
    usage = shutil.disk_usage(place)
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK) or usage.total == 0:
        raise UserError(f"root is {os.fspath(root)!r}, and {os.fspath(place)!r} cannot be written; pass another --root")
    if usage.free == 0:
        raise UserError(f"root is {os.fspath(root)!r}, and its disk is full; make room or pass another --root")


def warm_start_of(root: Path, tool: SweepTool, name: str) -> dict[str, Any]:
    """What `tool` takes over from the sweep called `name`. Raises `UserError` where that is nothing."""
    with contextlib.closing(SqliteStore.open(existing_sweep(root, name) / DATABASE, readonly=True)) as store:
        return warmstart.copied(name, tool_of(store.state), store.state.trials, tool)
