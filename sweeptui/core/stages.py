"""What a recipe says of the stages of a trial beside its commands: preparations, evaluations, exports."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, field_validator, model_validator

from sweeptui.core.fields import Argv, AtLeastOne, Count, Json, Model, Positive, Text, mistake
from sweeptui.core.trial import BUILT_IN_STAGES, MAX_STAGE_CHARS, STAGE_NAME, Stage

TypeName = Literal["int", "float", "str", "bool", "list"]
TYPES: Mapping[str, type] = {"int": int, "float": float, "str": str, "bool": bool, "list": list}
"""What a stage may give: values that a report can hold."""
TAKEN = ("step", "total_steps", "score", "cost", "checkpoint", "trial")
"""What reports use themselves, and the trial's number, which all stages have."""


def _type_name(value: Any) -> Any:
    return value.__name__ if value in TYPES.values() else value


def _field_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or keyword.iskeyword(name) or name in TAKEN:
        raise mistake(f"cannot be a field; use letters, digits and _, and none of {', '.join(TAKEN)}")
    return name


Fields = dict[Annotated[str, AfterValidator(_field_name)], Annotated[TypeName, BeforeValidator(_type_name)]]


class SimulationConfig(Model):
    """One task that a trained policy is evaluated on."""

    name: Text
    """"arena/combat" is the task combat of the category arena."""
    env: str | None = None
    episodes: AtLeastOne = 10
    overrides: dict[str, Json] = Field(default_factory=dict)
    command: Argv | None = None
    """Evaluates this one in a job of its own, instead of eval_command."""
    weight: Positive = 1.0
    """In the means over several simulations."""


class StageConfig(Model):
    """One stage of a trial; "train" and "eval" are those of train_command and eval_command."""

    name: Text
    command: Argv | None = None
    takes: Fields = Field(default_factory=dict)
    """What stages before it must have given: fields and their types. They are in $SWEEPTUI_INPUTS, as JSON."""
    gives: Fields = Field(default_factory=dict)
    """What it must report: fields and their types. Later commands have them as {in:FIELD}."""
    timeout_s: Positive | None = None
    """Running time, for one attempt."""
    retries: Count = 0
    """New attempts, whatever the failure; those that the sweep's retries give come beside them."""
    may_fail: StrictBool = False
    """The trial goes on all the same."""

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, data: Any) -> Any:
        return {"name": data} if isinstance(data, str) else data

    @field_validator("name")
    @classmethod
    def _names_files(cls, name: str) -> str:
        if not STAGE_NAME.fullmatch(name):
            raise mistake(
                f"is {name!r}; use up to {MAX_STAGE_CHARS} lower-case letters, digits, - and _, starting with a letter"
            )
        if Stage(name).evaluates and name != Stage.EVAL:
            raise mistake(f"is {name!r}, and names that start with 'eval-' are those of simulations; take another one")
        return name

    @model_validator(mode="after")
    def _commands_have_one_place(self) -> StageConfig:
        if self.name not in BUILT_IN_STAGES:
            if self.command is None:
                raise mistake(f"is {self.name!r}, which has no command; give it one, or remove it")
            return self
        elsewhere = {"command": f"{self.name}_command", "timeout_s": f"{self.name}_timeout_s", "retries": "retries"}
        for field, instead in elsewhere.items():
            if getattr(self, field) not in (None, 0):
                raise mistake(f"is {self.name!r}, whose {field} is set elsewhere; set {instead} of the sweep")
        if self.may_fail:
            raise mistake(f"is {self.name!r}, which cannot fail without the trial; remove may_fail")
        return self
