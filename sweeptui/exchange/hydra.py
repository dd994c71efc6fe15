"""A Hydra-style sweep configuration as a recipe: `protein:`, `metric:`, `goal:`, nested `parameters:`.

The shape is that of sweep configurations written for Hydra and OmegaConf: all of it at the top or below `sweep:`, and
`metric` and `goal` possibly among the parameters. A patch is a file of fixed values, nested, which
`+trainer/patch=NAME` would lay over a training's configuration: its values become `train_overrides`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sweeptui.core.config import SweepTool
from sweeptui.core.errors import UserError, shown
from sweeptui.core.space import leaves
from sweeptui.recipes.load import load_yaml

DEFAULT_SCRIPT = "./devops/train.sh"
NAMES = ("metric", "goal", "method")
KNOWN = (*NAMES, "protein", "parameters", "num_trials", "max_trials", "sweep_name", "name", "constraints")
_REFERENCE = re.compile(r"\$\{([^${}]+)\}")
_ABSENT = object()
MAX_REFERENCES = 20
"""One that leads to the next; more go round in a circle."""


@dataclass(frozen=True, slots=True)
class Converted:
    path: Path
    notes: list[str]
    """What was left out, a sentence each."""


def convert(file: Path, patches: list[Path], command: str | None, output: Path | None, *, force: bool) -> Converted:
    """Write the recipe that `file` stands for, or raise `UserError` with nothing written."""
    output = output or Path(f"{file.stem}.recipe.yaml")
    if output.exists() and not force:
        raise UserError(f"{output} is there already; choose another --output, or overwrite it with --force")
    tree, notes = recipe_of(_mapping(file), str(file))
    fixed = _fixed(tree, patches, notes)
    if fixed:
        tree["train_overrides"] = fixed
    if command is None:
        if not Path(DEFAULT_SCRIPT).is_file():
            raise UserError(
                f"--train-command is missing, and there is no {DEFAULT_SCRIPT} here; give the command that trains,"
                " as in 'python train.py {overrides}'"
            )
        tree["train_command"] = [DEFAULT_SCRIPT, "run={run}", "{overrides}"]
    else:
        tree["train_command"] = command
    SweepTool.from_json(tree)  # a recipe that would be refused is not written
    text = f"# Converted from {file}\n" + yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)
    partial = output.with_name(f".{output.name}.part")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(output)
    except OSError as error:
        raise UserError(f"{output} cannot be written: {error.strerror}; choose another --output") from None
    return Converted(output, notes)


def recipe_of(document: Mapping[str, Any], where: str) -> tuple[dict[str, Any], list[str]]:
    """The fields of the recipe, and what was left out of it. Raises `UserError`."""
    document = _resolved(document, document, where)
    sweep = document.get("sweep", document)
    if not isinstance(sweep, Mapping) or not isinstance(sweep.get("parameters"), Mapping):
        raise UserError(f"{where} has no parameters: a sweep's configuration has protein, metric, goal and parameters")
    parameters = dict(sweep["parameters"])
    named = {}
    for name in NAMES:
        inside = parameters.pop(name, None) if isinstance(parameters.get(name), str) else None
        if (value := sweep.get(name, inside)) is not None:
            named[name] = value
    if "metric" not in named:
        raise UserError(f"{where} has no metric; name the one that the training reports, as in metric: reward")
    settings = sweep.get("protein") or {}
    if not isinstance(settings, Mapping):
        raise UserError(f"{where}: protein is {shown(settings)}; it must be a mapping of its settings")
    constraints = {"constraints": sweep["constraints"]} if "constraints" in sweep else {}
    tree: dict[str, Any] = {
        "protein_config": {**named, "parameters": parameters, **constraints, "settings": dict(settings)}
    }
    for name, ours in (("num_trials", "max_trials"), ("max_trials", "max_trials"), ("sweep_name", "sweep_name")):
        if name in sweep:
            tree[ours] = sweep[name]
    others = sorted({*sweep, *(document if sweep is not document else ())} - {*KNOWN, "sweep"})
    return tree, [f"{name} of {where} was left out: it is no part of a search" for name in others]


def _fixed(tree: Mapping[str, Any], patches: list[Path], notes: list[str]) -> dict[str, Any]:
    """The values of the patches, by their paths; a later patch wins. What is searched is not fixed."""
    searched = {".".join(path) for path, _ in leaves(tree["protein_config"]["parameters"])}
    found: dict[str, Any] = {}
    for patch in patches:
        values = _mapping(patch)
        for name, value in _flat(_resolved(values, values, str(patch))):
            if name in searched:
                notes.append(f"{name} of {patch} was left out: it is searched")
            elif name.partition(".")[0] == "defaults":
                notes.append(f"{name} of {patch} was left out: name the other patch with --patch, too")
            else:
                found[name] = value
    return found


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            found += _flat(value, f"{prefix}{key}.")
        else:
            found.append((f"{prefix}{key}", value))
    return found


def _mapping(file: Path) -> Mapping[str, Any]:
    value, _ = load_yaml(file)
    if not isinstance(value, Mapping):
        raise UserError(f"{file} is {shown(value)}; it must be a mapping")
    return value


def _resolved(value: Any, document: Mapping[str, Any], where: str, depth: int = 0) -> Any:
    """`value` with each `${path}` replaced by what stands there in the document."""
    if isinstance(value, Mapping):
        return {key: _resolved(item, document, where, depth) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolved(item, document, where, depth) for item in value]
    if not isinstance(value, str) or "${" not in value:
        return value
    whole = _REFERENCE.fullmatch(value)
    if whole is not None:
        return _looked_up(whole[1], document, where, depth)
    return _REFERENCE.sub(lambda match: str(_looked_up(match[1], document, where, depth)), value)


def _looked_up(path: str, document: Mapping[str, Any], where: str, depth: int) -> Any:
    found: Any = document
    for key in path.strip().split("."):
        found = found.get(key, _ABSENT) if isinstance(found, Mapping) else _ABSENT
    if found is _ABSENT or depth > MAX_REFERENCES:
        raise UserError(f"{where} has ${{{path}}}, which stands nowhere in it; write the value itself")
    return _resolved(found, document, where, depth + 1)
