"""What a stage promises to give: fields with types, checked before and after it is run, and kept as JSON."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, get_type_hints, is_typeddict

from pydantic import BaseModel, PydanticSchemaGenerationError, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from sweeptui.core.errors import UserError, explain, hint, shown


class ContractError(UserError):
    """A stage gave something else than it promised, or something that cannot be kept."""


class Fields(Mapping[str, Any]):
    """Values by name, as attributes and as items. Nothing in it can be set."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, Any]) -> None:
        object.__setattr__(self, "_fields", dict(fields))

    def __getitem__(self, name: str) -> Any:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # asked by whoever copies it, perhaps before there are any
            raise AttributeError(name)
        try:
            return self._fields[name]
        except KeyError:
            raise AttributeError(f"there is no {name!r} here; {hint(name, self._fields)}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{name!r} cannot be set: these are results")

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={shown(value, 40)}" for name, value in self._fields.items())
        return f"{type(self).__name__}({fields})"


class Context(Fields):
    """The fields that the stages so far have given. A stage gives fields by returning them."""

    __slots__ = ()


@dataclass(frozen=True)
class Contract:
    """The fields that a stage gives: those of a model, one under the stage's own name, or keyword fields."""

    stage: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Type by name."""
    model: Any = None
    """The type of the whole output, where its fields are those of a model."""
    bare: bool = False
    """The output as it is is the value of the only field."""
    open: bool = False
    """Nothing was promised: the output, if any, is kept under the stage's name."""

    @classmethod
    def of(cls, stage: str, whole: Any = None, fields: Mapping[str, Any] | None = None) -> Contract:
        """From what `through` was given: `whole` is a model or any other type, `fields` are types by name."""
        if whole is None and not fields:
            return cls(stage, {stage: Any}, bare=True, open=True)
        if whole is None:
            return cls(stage, dict(fields or {}), bare=len(fields or {}) == 1)
        found = fields_of(whole)
        if found is None:
            return cls(stage, {stage: whole, **(fields or {})}, bare=not fields)
        return cls(stage, {**found, **(fields or {})}, model=whole if not fields else None)

    @cached_property
    def _adapters(self) -> dict[str, TypeAdapter[Any]]:
        return {name: _adapter(kind) for name, kind in self.fields.items()}

    @cached_property
    def _whole(self) -> TypeAdapter[Any] | None:
        return None if self.model is None else _adapter(self.model)

    def problems(self) -> list[str]:
        """What is wrong with the contract itself: a type that nothing is known of."""
        found = []
        for name, kind in self.fields.items():
            try:
                _adapter(kind)
            except PydanticSchemaGenerationError:
                found.append(
                    f"stage {self.stage!r}: field {name!r} is of type {type_name(kind)}, whose content is not known; "
                    f"make it a dataclass or a pydantic model"
                )
        return found

    def accept(self, output: Any, extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The fields in what a stage returned. `extra` has the types of what it may give besides.

        Raises `ContractError` where a field is missing, of a wrong type, or was never promised.
        """
        extra = extra or {}
        if self.open and output is None:
            return {}
        given = self._parts(output, extra)
        unknown = given.keys() - self.fields.keys() - extra.keys()
        if unknown:
            name = min(unknown)
            raise ContractError(
                f"stage {self.stage!r} gave {name!r}, which its contract does not have; "
                f"{hint(name, {*self.fields, *extra})}"
            )
        missing = [name for name in self.fields if name not in given]
        if missing:
            raise ContractError(f"stage {self.stage!r} gave no {missing[0]!r}, which its contract promises; return it")
        adapters = {**{name: _adapter(kind) for name, kind in extra.items() if name in given}, **self._adapters}
        return {name: self._checked(name, adapters[name], value) for name, value in given.items()}

    def _parts(self, output: Any, extra: Mapping[str, Any]) -> dict[str, Any]:
        if self._whole is not None:
            model = self._checked("its output", self._whole, output)
            return {name: model[name] if isinstance(model, Mapping) else getattr(model, name) for name in self.fields}
        named = isinstance(output, Mapping) and output.keys() >= self.fields.keys()
        if self.bare and not (named and output.keys() <= {*self.fields, *extra}):
            (name,) = self.fields
            return {name: output}
        if isinstance(output, Mapping):
            return dict(output)
        parts = fields_of(type(output))
        if parts is None:
            raise ContractError(
                f"stage {self.stage!r} gave {shown(output, 60)}; it must return a mapping with "
                f"{', '.join(map(repr, self.fields))}"
            )
        return {name: getattr(output, name) for name in parts}

    def _checked(self, name: str, adapter: TypeAdapter[Any], value: Any) -> Any:
        try:
            # Strict, so that "0.5" is no number; a mapping may stand for a model all the same.
            return adapter.validate_python(value, strict=not isinstance(value, Mapping | list | tuple))
        except ValidationError as error:
            where = name if name == "its output" else f"field {name!r}"
            raise ContractError(f"stage {self.stage!r}: {where}: {explain(error)}") from None

    def dump(self, values: Mapping[str, Any], extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The fields as JSON has them. Raises `ContractError` for a value that JSON cannot hold."""
        found = {}
        for name, value in values.items():
            adapter = self._adapters.get(name) or _adapter((extra or {}).get(name, Any))
            try:
                found[name] = adapter.dump_python(value, mode="json")
            except PydanticSerializationError:
                raise ContractError(
                    f"stage {self.stage!r}: field {name!r} is {shown(value, 60)}, which cannot be kept; give its type "
                    f"in through(...), or pass checkpoint=False to run the stage again after a crash"
                ) from None
        return found

    def load(self, kept: Mapping[str, Any], extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The reverse of `dump`: new objects every time, so that nobody can alter what another one sees."""
        return {
            name: (self._adapters.get(name) or _adapter((extra or {}).get(name, Any))).validate_python(value)
            for name, value in kept.items()
        }

    def seen(self, values: Mapping[str, Any]) -> Any:
        """What a hook is given of an output: the model, else its fields."""
        if self._whole is not None:
            return self._whole.validate_python(dict(values))
        return Context(values)


def fields_of(kind: Any) -> dict[str, Any] | None:
    """The fields of a pydantic model, a dataclass or a TypedDict, with their types; None for anything else."""
    if not inspect.isclass(kind):
        return None
    if issubclass(kind, BaseModel):
        return {name: info.annotation for name, info in kind.model_fields.items()}
    if dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        return {item.name: hints[item.name] for item in dataclasses.fields(kind)}
    if is_typeddict(kind):
        return get_type_hints(kind)
    return None


def required_of(kind: Any) -> set[str]:
    """The fields without which a model cannot be made."""
    if issubclass(kind, BaseModel):
        return {name for name, info in kind.model_fields.items() if info.is_required()}
    if dataclasses.is_dataclass(kind):
        missing = dataclasses.MISSING
        return {
            item.name
            for item in dataclasses.fields(kind)
            if item.init and item.default is missing and item.default_factory is missing
        }
    return set(getattr(kind, "__required_keys__", ()))


def type_name(kind: Any) -> str:
    """A type as a message shows it."""
    return kind.__name__ if inspect.isclass(kind) and not getattr(kind, "__args__", None) else str(kind)


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}


def _adapter(kind: Any) -> TypeAdapter[Any]:
    try:
        if kind not in _ADAPTERS:
            _ADAPTERS[kind] = TypeAdapter(kind)
        return _ADAPTERS[kind]
    except TypeError:  # a type that cannot be hashed
        return TypeAdapter(kind)
