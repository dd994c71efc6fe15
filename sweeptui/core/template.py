"""Argv templates: how a trial becomes the command that trains or evaluates it.

A template is a list of arguments with placeholders, never a shell string, so no value needs quoting:
`["python", "train.py", "--lr={p:lr}", "--run", "{run}"]`. `{{` and `}}` are literal braces.
"""

from __future__ import annotations

import difflib
import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeptui.core import tracking
from sweeptui.core.errors import PlacedError, UserError, hint
from sweeptui.core.stagewords import OF_ONE
from sweeptui.core.trial import Stage, trial_id
from sweeptui.core.values import format_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sweeptui.core.config import SweepTool

LISTS = ("overrides", "args", *tracking.LISTS)
"""Placeholders that stand for several arguments."""

NAMES = (
    "run",
    "sweep",
    "trial",
    "trial_id",
    "attempt",
    "stage",
    "seed",
    "trial_dir",
    "checkpoint",
    "checkpoint_dir",
    "report_path",
    "params_json",
    "params_file",
    "python",
    "recipe_module",
    "train_entrypoint",
    "eval_entrypoint",
    "metric",
    "gpus",
    "simulations_json",
    "wandb_args_json",
    "wandb_args_json_file",
    *LISTS,
)


_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


@dataclass(frozen=True, slots=True)
class Context:
    """What the placeholders stand for, for one job."""

    sweep: str
    trial: int
    params: Mapping[str, Any]
    stage: Stage
    attempt: int
    seed: int
    trial_dir: Path
    report_path: Path
    project_dir: Path
    """Where the job runs."""
    metric: str
    searched: Sequence[str] = ()
    """All parameters, those too that do not exist in this trial; those of `params`, where not given."""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """`train_overrides` or `eval_overrides`, as the stage is."""
    checkpoint: str | None = None
    """The newest one reported."""
    recipe_module: str | None = None
    train_entrypoint: str | None = None
    eval_entrypoint: str | None = None
    gpus: int = 0
    simulations: Sequence[Mapping[str, Any]] = ()
    each: Mapping[str, Any] | None = None
    """The simulation that this job evaluates, where each has a job of its own."""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """What the stages before this one have given."""
    python: str = sys.executable
    """On the machine where the job runs."""
    nested: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """`WandbConfig.nested`."""

    @property
    def run(self) -> str:
        return f"{self.sweep}_{trial_id(self.trial)}"

    @property
    def settings(self) -> dict[str, Any]:
        """What `{overrides}` and `{args}` list: the searched parameters go to training only."""
        return {**self.overrides, **self.params} if self.stage is Stage.TRAIN else dict(self.overrides)

    @property
    def checkpoint_dir(self) -> str:
        """The folder of the newest reported checkpoint.

        Where none was reported: `<trial_dir>/checkpoints`, or `train_dir/<run>/checkpoints` if only that one has
        something in it: training tools that know nothing of sweeptui put theirs there.
        """
        if self.checkpoint:
            if (self.project_dir / self.checkpoint).is_dir():
                return self.checkpoint
            return self.checkpoint.rpartition("/")[0] or "."
        own = self.trial_dir / "checkpoints"
        theirs = self.project_dir / "train_dir" / self.run / "checkpoints"
        return str(theirs if theirs.is_dir() and not (own.is_dir() and any(own.iterdir())) else own)

    @property
    def trial_id(self) -> str:
        return trial_id(self.trial)

    @property
    def params_json(self) -> str:
        return json.dumps(dict(self.params))

    @property
    def params_file(self) -> Path:
        return self.trial_dir / "params.json"

    @property
    def wandb_args_json(self) -> str:
        return json.dumps(tracking.config_of(self.settings, self.nested))

    @property
    def wandb_args_json_file(self) -> Path:
        return tracking.args_file(self.trial_dir)

    @property
    def simulations_json(self) -> str:
        return json.dumps(list(self.simulations))

    def _of_one(self, field: str) -> str:
        value = dict(self.each or {}) if field == "" else (self.each or {}).get(field)
        return "" if value is None else format_value(value)

    def taken(self, name: str) -> Any:
        """What an earlier stage has given. Raises `UserError` where none has."""
        if name not in self.inputs:
            raise UserError(f"{{in:{name}}} in the command of stage {str(self.stage)!r}: no stage has given {name!r}")
        return self.inputs[name]

    def value(self, name: str) -> str:
        """What one placeholder stands for, "" for what this sweep has not.

        Raises `UserError` where an evaluation needs a checkpoint and none was reported.
        """
        if name in OF_ONE:
            return self._of_one(OF_ONE[name])
        if name == "checkpoint" and self.stage.evaluates and not self.checkpoint:
            raise UserError(
                f"{{checkpoint}} in eval_command: {self.trial_id} has reported no checkpoint; "
                "call sweeptui.report(checkpoint=...) in training, or use {checkpoint_dir}"
            )
        value = getattr(self, name)
        return "" if value is None else format_value(value)


def render(template: Sequence[str], context: Context) -> list[str]:
    """The argv of one job. The template must have passed `check`."""
    argv: list[str] = []
    for before, item in zip(("", *template), template, strict=False):
        if item == "{overrides}":
            argv += [f"{name}={format_value(value)}" for name, value in context.settings.items()]
        elif item == "{args}":
            argv += [f"--{name}={format_value(value)}" for name, value in context.settings.items()]
        elif (name := item[1:-1]) in tracking.LISTS:
            argv += tracking.arguments(name, context.settings, context.nested)
        elif _lacks(item, context):
            # The parameter does not exist in this trial, and so neither does what is said of it.
            if item.startswith("{p:") and _is_option(before):
                argv.pop()
        else:
            argv.append(_TOKEN.sub(lambda token: _expand(token, context), item))
    return argv


def _is_option(item: str) -> bool:
    """`--momentum`, whose value is the next argument."""
    return item.startswith("-") and "=" not in item and not _TOKEN.search(item)


def _lacks(item: str, context: Context) -> bool:
    """Whether an argument names a parameter that does not exist in this trial."""
    names = [token[1][2:] for token in _TOKEN.finditer(item) if token[1] and token[1].startswith("p:")]
    return any(find_param(name, context.searched or context.params) not in context.params for name in names)


def _expand(token: re.Match[str], context: Context) -> str:
    name = token[1]
    if name is None:
        return token[0][0]
    if name.startswith("p:"):
        return format_value(context.params[find_param(name[2:], context.searched or context.params)])
    if name.startswith("in:"):
        return format_value(context.taken(name[3:]))
    return context.value(name) if name in NAMES or name in OF_ONE else token[0]


def check(
    template: Sequence[str],
    field_name: str,
    param_names: Iterable[str],
    overrides: Mapping[str, Any] | None = None,
    *,
    inputs: Iterable[str] = (),
    of_one: bool = False,
) -> None:
    """Raise `UserError` for a template that could not be rendered, or that would lose something.

    What is wrong with the template itself is a `PlacedError`, whose place is the argument's index.

    `inputs` are the fields that stages before it give; `of_one`: it evaluates one simulation.

    `overrides` are the `train_overrides` or `eval_overrides` that go with it: they must have a place in it, and in
    training (`field_name` "train_command") they must not name a parameter that the sweep searches.
    """
    names = list(param_names)
    if not template:
        raise UserError(f"{field_name} is empty; give the program and its arguments")
    known = (*NAMES, *(OF_ONE if of_one else ()))
    for at, item in enumerate(template):
        try:
            _check_item(item, field_name, names, known, list(inputs))
        except UserError as error:
            raise PlacedError((at,), str(error)) from None
    if not overrides:
        return
    owner = field_name.removesuffix("_command") if field_name.endswith("_command") else "eval"
    overrides_field = f"{owner}_overrides"
    if not any(item.strip("{}") in LISTS for item in template):
        text = f"{overrides_field} is set, but {field_name} has no {{overrides}} or {{args}} to put it in"
        raise PlacedError((), text)
    if field_name == "train_command":
        for name in names:
            if name in overrides:
                raise UserError(
                    f"{overrides_field} sets {name}, which the sweep searches; remove it from one of the two"
                )


def _check_item(item: str, field_name: str, params: list[str], known: Sequence[str], inputs: list[str]) -> None:
    for token in _TOKEN.finditer(item):
        name = token[1]
        if token[0] in ("{", "}"):
            raise UserError(f"{field_name}: {item!r} has a single {token[0]}; write {token[0] * 2} for a literal brace")
        if name is None:
            continue
        if name.startswith("p:"):
            try:
                find_param(name[2:], params)
            except LookupError as error:
                raise UserError(f"{field_name}: {token[0]}: {error.args[0]}") from None
        elif name.startswith("in:"):
            if name[3:] not in inputs:
                said = hint(name[3:], inputs)
                raise UserError(f"{field_name}: {token[0]}: no stage before it gives {name[3:]!r}; {said}")
        elif name in OF_ONE and name not in known:
            raise UserError(
                f"{field_name}: {token[0]} is of one of several evaluation_simulations, which only the commands that "
                "evaluate them have; remove it here, or list evaluation_simulations"
            )
        elif name not in known:
            near = _nearest(name, known)
            said = f"did you mean {{{near}}}?" if near else "write {{ and }} for literal braces"
            raise UserError(f"{field_name}: unknown placeholder {token[0]}; {said}")
        elif name in LISTS and item != token[0]:
            raise UserError(
                f"{field_name}: {token[0]} stands for several arguments, so it must be an argument of its own, "
                f"not a part of {item!r}"
            )


def find_param(name: str, params: Iterable[str]) -> str:
    """The full path of a parameter named by it or by its last parts, where these are unique.

    Raises `LookupError` with what is wrong.
    """
    names = list(params)
    if name in names:
        return name
    ends = [full for full in names if full.endswith(f".{name}")]
    if len(ends) == 1:
        return ends[0]
    if ends:
        raise LookupError(f"{' and '.join(ends)} both end in it; use more of the path")
    near = _nearest(name, {part: part for full in names for part in (full, full.rpartition(".")[2])})
    said = f"did you mean {{p:{near}}}?" if near else f"the parameters are {', '.join(names) or 'none'}"
    raise LookupError(f"no such parameter; {said}")


def _nearest(name: str, names: Iterable[str]) -> str | None:
    return next(iter(difflib.get_close_matches(name, list(names), 1)), None)


def literal(text: str) -> str:
    """Text as a template that renders to it."""
    return text.replace("{", "{{").replace("}", "}}")


def default_train_command(tool: SweepTool, project_dir: Path) -> list[str]:
    """The training command of a sweep that gives only `recipe_module`."""
    return [
        *_runner(project_dir),
        _target(tool, tool.train_entrypoint),
        "--args",
        "run={run}",
        "--overrides",
        "{overrides}",
    ]


def default_eval_command(tool: SweepTool, project_dir: Path) -> list[str]:
    """The evaluation command of a sweep that gives only `recipe_module`."""
    argv = [*_runner(project_dir), _target(tool, tool.eval_entrypoint), "--args", "policy_uri=file://{checkpoint_dir}"]
    if tool.evaluation_simulations:
        argv.append("simulations={simulations_json}")
    if tool.eval_overrides:
        argv += ["--overrides", "{overrides}"]
    return argv


def _target(tool: SweepTool, entrypoint: str | None) -> str:
    return literal(f"{tool.recipe_module}.{entrypoint}")


def _runner(project_dir: Path) -> list[str]:
    if (project_dir / "tools" / "run.py").is_file():
        return ["uv", "run", "./tools/run.py"]
    return ["{python}", "-m", "sweeptui.recipes.call"]
