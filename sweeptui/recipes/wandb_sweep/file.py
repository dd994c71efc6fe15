"""From a W&B sweep file to a `SweepTool`, every mistake with its line."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from sweeptui.core.config import SWEEP_NAME, SweepTool
from sweeptui.core.errors import FieldError, UserError, explain, hint, shown
from sweeptui.core.schedulers import from_early_terminate
from sweeptui.core.space import Space
from sweeptui.recipes.load import line_of, load_yaml
from sweeptui.recipes.wandb_sweep.command import read_command
from sweeptui.recipes.wandb_sweep.parameters import Parameters, read_parameters

TELLING = frozenset({"program", "method", "metric", "parameters", "command", "run_cap", "early_terminate"})
OURS = frozenset({"protein_config", "sweep", "train_command", "recipe_module"})
METHODS = {"grid": "grid", "random": "random", "bayes": "bayes"}
WITHOUT_METRIC = "_runtime"
"""What W&B itself logs for every run: the metric of a file that has none."""

KEYS = frozenset(
    {
        *TELLING, "name", "description", "project", "entity", "controller", "apiVersion", "kind",
        "metrics", "scheduler", "job", "image_uri",
    }
)  # fmt: skip
REFUSED = {
    "metrics": "is for several metrics, which a W&B sweep file cannot have here; give metric",
    "scheduler": "chooses W&B's own scheduler, which is not here; remove it, and choose with --method",
    "job": "is a W&B Launch job, which cannot be run here; give program or command",
    "image_uri": "is for W&B Launch, which cannot be run here; give program or command",
}
STOPPING_KEYS = frozenset({"type", "min_iter", "max_iter", "s", "eta", "strict"})
METRIC_KEYS = frozenset({"name", "goal", "target", "impute", "impute_while_running"})


def is_wandb_sweep(data: Any) -> bool:
    """Whether a YAML file's value is a W&B sweep, by its keys: none of a recipe's, and one of its own."""
    return isinstance(data, Mapping) and bool(TELLING & data.keys()) and not OURS & data.keys()


def read_wandb_sweep(file: Path, environ: Mapping[str, str] | None = None) -> SweepTool:
    """The sweep that the file describes. Raises `UserError` with the line.

    It is read as W&B reads it, by the rules of YAML 1.1: `yes` is true, and `1e-5`, without a dot, is text. `environ`
    is where `${envvar:NAME}` is looked up: the process's own environment where it is not given.
    """
    data, nodes = load_yaml(file, yaml.SafeLoader)
    try:
        parameters = _checked(data)
        fields = _fields(data, parameters, os.environ if environ is None else environ)
    except FieldError as error:
        place = tuple(int(part) if part.isdigit() else part for part in error.path)
        raise UserError(f"{file.name}, line {line_of(nodes, place)}: {error}") from None
    try:
        return SweepTool.model_validate(fields)
    except ValidationError as error:
        key = _key_of(error.errors()[0]["loc"])
        raise UserError(f"{file.name}, line {line_of(nodes, (key,))}: {explain(error)}") from None


def notes_on(file: Path, *, limited: bool) -> list[str]:
    """What a W&B sweep file asks for that has no effect here, or is chosen for it, one sentence each.

    `limited`: the number of trials was given elsewhere.
    """
    data, nodes = load_yaml(file, yaml.SafeLoader)
    found: list[str] = []

    def note(text: str, *path: str) -> None:
        found.append(f"{file.name}, line {line_of(nodes, path)}: {text}")

    metric = data.get("metric") or {}
    if not metric:
        note(f"there is no metric; trials are ranked by their running time ({WITHOUT_METRIC})")
    for key in ("impute", "impute_while_running"):
        if metric.get(key):
            note(f"metric.{key} has no effect: a trial without a score is never shown to a model as one", "metric", key)
    if "strict" in (data.get("early_terminate") or {}):
        note("early_terminate.strict has no effect, as in W&B's own engine", "early_terminate", "strict")
    if "controller" in data:
        note("controller has no effect: sweeptui itself is the controller", "controller")
    if not limited and "run_cap" not in data and data.get("method") != "grid":
        default = SweepTool.model_fields["max_trials"].default
        note(f"there is no run_cap, so it ends after {default} trials; --max-trials changes that")
    return found


def _checked(data: Mapping[str, Any]) -> Parameters:
    for key in data:
        if key not in KEYS:
            raise FieldError(str(key), f"is no key of a W&B sweep file; {hint(str(key), KEYS)}")
        if key in REFUSED:
            raise FieldError(key, REFUSED[key])
    if data.get("kind", "sweep") != "sweep":
        raise FieldError("kind", f"is {shown(data['kind'])}; it must be 'sweep'")
    method = data.get("method")
    if method not in METHODS:
        what = "is missing" if method is None else f"is {shown(method)}"
        raise FieldError("method", f"{what}; {hint(str(method), METHODS)}")
    if "parameters" not in data:
        raise FieldError("parameters", "is missing; name at least one parameter to search")
    return read_parameters(data["parameters"])


def _fields(data: Mapping[str, Any], parameters: Parameters, environ: Mapping[str, str]) -> dict[str, Any]:
    """The fields of the `SweepTool`."""
    metric = _metric(data.get("metric"))
    fields: dict[str, Any] = {
        "train_command": read_command(data.get("command"), data.get("program"), environ),
        "protein_config": {
            "metric": metric["name"],
            "goal": metric["goal"],
            "method": METHODS[data["method"]],
            "parameters": parameters.flat,
        },
        "metric_source": "wandb",
        "wandb": {
            "project": _text(data, "project"),
            "entity": _text(data, "entity"),
            "notes": _text(data, "description"),
            "nested": parameters.nested,
        },
        "target_score": metric.get("target"),
        "sweep_name": _sweep_name(data),
    }
    if "early_terminate" in data:
        fields["scheduler"] = _scheduler(data["early_terminate"])
    cap = data.get("run_cap")
    if cap is not None:
        if not isinstance(cap, int) or isinstance(cap, bool) or cap < 1:
            raise FieldError("run_cap", f"is {shown(cap)}; it must be a whole number above 0")
        fields["max_trials"] = cap
    elif data["method"] == "grid" and (size := Space.from_parameters(parameters.flat).cardinality):
        fields["max_trials"] = size
    return fields


def _metric(metric: Any) -> dict[str, Any]:
    if metric is None:
        return {"name": WITHOUT_METRIC, "goal": "minimize"}
    if not isinstance(metric, Mapping):
        raise FieldError("metric", f"is {shown(metric)}; it must have a name and a goal")
    for key in metric:
        if key not in METRIC_KEYS:
            raise FieldError(("metric", str(key)), f"is not a key of metric; {hint(str(key), METRIC_KEYS)}")
    name, goal, target = metric.get("name"), metric.get("goal", "minimize"), metric.get("target")
    if not isinstance(name, str) or not name:
        raise FieldError(("metric", "name"), f"is {shown(name)}; it must be the name of what the script logs")
    if goal not in ("minimize", "maximize"):
        raise FieldError(("metric", "goal"), f"is {shown(goal)}; it must be minimize or maximize")
    if target is not None and (not isinstance(target, int | float) or isinstance(target, bool)):
        raise FieldError(("metric", "target"), f"is {shown(target)}; it must be a number")
    return {"name": name, "goal": goal, "target": None if target is None else float(target)}


def _scheduler(settings: Any) -> dict[str, Any]:
    if not isinstance(settings, Mapping):
        raise FieldError(
            "early_terminate", f"is {shown(settings)}; it must have a type, and min_iter, or max_iter and s"
        )
    for key in settings:
        if key not in STOPPING_KEYS:
            raise FieldError(("early_terminate", str(key)), f"is no key of it; {hint(str(key), STOPPING_KEYS)}")
    try:
        return from_early_terminate(settings)
    except UserError as error:
        # It names the key first.
        key, _, wrong = str(error).removeprefix("early_terminate").lstrip(".: ").partition(" ")
        raise FieldError(("early_terminate", key), wrong) from None


def _text(data: Mapping[str, Any], key: str) -> str | None:
    value = data.get(key)
    if value is not None and (not isinstance(value, str) or not value):
        raise FieldError(key, f"is {shown(value)}; it must be text")
    return value


def _sweep_name(data: Mapping[str, Any]) -> str | None:
    """The file's name as one that a folder can have."""
    name = _text(data, "name")
    if name is None:
        return None
    plain = re.sub(r"\.{2,}", ".", re.sub(r"[^A-Za-z0-9._-]+", "-", name)).strip("-._")[:100]
    if not SWEEP_NAME.fullmatch(plain):
        raise FieldError("name", f"is {shown(name)}, of which no folder's name can be made; use letters and digits")
    return plain


def _key_of(place: tuple[int | str, ...]) -> str:
    """The key of the file that a field of the `SweepTool` was made of."""
    return "parameters" if "parameters" in place else next((key for key in ("method", "metric") if key in place), "")
