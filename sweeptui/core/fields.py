"""What the configuration's models have in common: field types, and how a mistake finds its place."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from sweeptui.core.distributions import jsonable
from sweeptui.core.errors import MISTAKE, FieldError, hint, problem

if TYPE_CHECKING:
    from collections.abc import Iterable

Place = tuple[int | str, ...]


def mistake(text: str) -> PydanticCustomError:
    """To be raised in a field's validator; `text` goes on after the field's name."""
    return PydanticCustomError(MISTAKE, "{text}", {"text": text})


def mistakes(title: str, found: Iterable[tuple[Place, str, Any]]) -> ValidationError:
    """To be raised in a model's validator: errors of fields inside of it, as (place, text, value)."""
    details = [InitErrorDetails(type=mistake(text), loc=place, input=value) for place, text, value in found]
    return ValidationError.from_exception_data(title, details)


def moved(error: ValidationError, *place: int | str) -> list[tuple[Place, str, Any]]:
    """The errors of a model that was found at `place`, for `mistakes`."""
    return [((*place, *details["loc"]), problem(details), details["input"]) for details in error.errors()]


def _json(value: Any) -> Any:
    try:
        return jsonable("value", value)
    except FieldError as error:
        raise mistake(error.problem) from None


def _argv(value: Any) -> Any:
    if isinstance(value, str):
        try:
            value = shlex.split(value)
        except ValueError as error:
            raise mistake(f"is {value!r}, which cannot be split into arguments ({error}); close the quotes") from None
    if value in ([], ()):
        raise mistake("is empty; give the program and its arguments")
    return list(value) if isinstance(value, tuple) else value


def _path(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, os.PathLike) else value


Whole = Annotated[int, Strict()]
Count = Annotated[Whole, Field(ge=0)]
AtLeastOne = Annotated[Whole, Field(ge=1)]
Real = Annotated[float, Strict(), Field(allow_inf_nan=False)]
NotNegative = Annotated[Real, Field(ge=0)]
Positive = Annotated[Real, Field(gt=0)]
Text = Annotated[str, Field(min_length=1)]
Json = Annotated[Any, BeforeValidator(_json)]
Argv = Annotated[list[str], BeforeValidator(_argv, json_schema_input_type=str | list[str])]
"""Arguments; text is split into them as a shell would split it."""
PathText = Annotated[str, BeforeValidator(_path, json_schema_input_type=str)]


def name_in(value: str, built_in: tuple[str, ...], group: str) -> str:
    """`value`, where it is built in or an entry point of `group`."""
    if value in built_in:
        return value
    from importlib.metadata import entry_points  # noqa: PLC0415 - slow, and only plug-ins need it

    names = {*built_in, *(point.name for point in entry_points(group=group))}
    if value not in names:
        raise mistake(f"is {value!r}; {hint(value, names)}")
    return value


def _add_other_names(schema: dict[str, Any], model: type[Any]) -> None:
    properties = schema.get("properties", {})
    properties.update({other: properties[name] for other, name in model.other_names.items()})


class Model(BaseModel):
    """Refuses fields that it does not have, naming the nearest one."""

    model_config = ConfigDict(
        extra="forbid", validate_assignment=True, use_attribute_docstrings=True, json_schema_extra=_add_other_names
    )

    other_names: ClassVar[Mapping[str, str]] = {}
    """What some fields may be called instead."""

    @model_validator(mode="before")
    @classmethod
    def _only_fields(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        given = dict(data)
        for other, name in cls.other_names.items():
            if other in given and name in given:
                raise mistakes(cls.__name__, [((other,), f"and {name} are both set; remove one of the two", data)])
            if other in given:
                given[name] = given.pop(other)
        unknown = [field for field in given if field not in cls.model_fields]
        if unknown:
            found = [((str(name),), f"is not a field; {cls.field_hint(str(name))}", given[name]) for name in unknown]
            raise mistakes(cls.__name__, found)
        return given

    @classmethod
    def field_hint(cls, name: str) -> str:
        """Which field may have been meant: one of this model, or of a model inside of it."""
        for field, info in cls.model_fields.items():
            inner = info.annotation
            if isinstance(inner, type) and issubclass(inner, Model) and name in inner.model_fields:
                return f"did you mean {field}.{name}?"
        fields = [field for field, info in cls.model_fields.items() if not info.exclude]
        return hint(name, {*fields, *cls.other_names})
