"""The best configurations of a sweep, in the forms in which they are used again."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import yaml

from sweeptui.core.analysis.ranking import Ranked
from sweeptui.core.files import Files
from sweeptui.core.jobspec import context_of
from sweeptui.core.template import Context, render
from sweeptui.core.trial import Job, Stage, Trial, trial_id
from sweeptui.core.values import format_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from sweeptui.core.config import SweepTool

PATCH_DIR = "configs/trainer/patch"
BEST = "best"
"""The name of what is made of the best configuration."""


def nested(params: Mapping[str, Any]) -> dict[str, Any]:
    """`{"a.b": 1}` -> `{"a": {"b": 1}}`. Where a path is also the beginning of another one, both stay flat."""
    clashing = [path for path in params if any(other.startswith(f"{path}.") for other in params)]
    tree: dict[str, Any] = {}
    for path, value in params.items():
        flat = path in clashing or any(path.startswith(f"{clash}.") for clash in clashing)
        *parents, leaf = [path] if flat else path.split(".")
        branch = tree
        for name in parents:
            branch = branch.setdefault(name, {})
        branch[leaf] = value
    return tree


def as_yaml(params: Mapping[str, Any]) -> str:
    """Return the parameters as a nested YAML document; numbers keep every digit that they have."""
    return yaml.safe_dump(nested(params), sort_keys=False, default_flow_style=False, allow_unicode=True, width=1000)


def as_patch(sweep: str, trial: Trial, name: str = BEST, said: str = "") -> str:
    """Return a Hydra config patch: what `+trainer/patch=<file without .yaml>` applies.

    `name`: of the file, behind the sweep's and without its ending; `said`: its scores, where it has several.
    """
    what = "Best hyperparameters" if name == BEST else "Hyperparameters"
    return (
        "# @package _global_\n"
        f"# {what} of sweep {sweep}: {trial.id}, {said or f'score {trial.score!r}'}\n"
        f"# Apply with: +trainer/patch={sweep}_{name}\n\n"
        f"{as_yaml(trial.params)}"
    )


def patch_file(root: Path, sweep: str, name: str = BEST) -> Path:
    """Return where a patch lies, in the project folder `root`."""
    return root / PATCH_DIR / f"{sweep}_{name}.yaml"


def as_overrides(params: Mapping[str, Any]) -> list[str]:
    """Return `path=value` words, as the training command gets them; numbers keep every digit that they have."""
    return [f"{path}={format_value(value)}" for path, value in params.items()]


def differing(top: Sequence[Ranked]) -> list[str]:
    """Return the parameters in which the given trials are not all alike, in the order of the first one's."""
    if not top:
        return []
    first = top[0].trial.params
    return [name for name in first if any(other.trial.params.get(name) != first[name] for other in top)]


def training_command(tool: SweepTool, sweep: str, folder: Path, trial: Trial, name: str = BEST) -> list[str]:
    """Return the argv that trains a configuration again, as run `<sweep>_<name>` with a folder of its own.

    `folder`: the sweep's. Raises `UserError` where the template cannot be rendered.
    """
    files = Files(folder)
    job = Job(id=0, trial=trial.number, stage=Stage.TRAIN, attempt=1, created_at=0.0)
    context = context_of(tool, sweep, files, trial, job)
    again = {field.name: getattr(context, field.name) for field in fields(context)}
    again |= {"trial_dir": folder / name, "report_path": folder / name / "reports.jsonl", "checkpoint": None}
    return render(list(tool.train_command or ()), _Again(**again))


class _Again(Context):
    """The context of a trial that is trained again outside of the sweep."""

    @property
    def run(self) -> str:
        return f"{self.sweep}_{self.trial_dir.name}"

    def value(self, name: str) -> Any:
        if name == "params_file":
            return str(self.trial_dir.parent / "trials" / trial_id(self.trial) / "params.json")
        return super().value(name)
