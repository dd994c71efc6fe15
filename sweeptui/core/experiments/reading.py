"""What a stage's function needs: its parameters, and the fields it reads from the context."""

from __future__ import annotations

import dis
import inspect
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import CodeType
from typing import Any, get_type_hints

from sweeptui.core.experiments.contracts import Context, fields_of, required_of

WHOLE = frozenset({"input", "inputs", "ctx", "context", "data", "config"})
"""Parameters of these names are given all fields."""
_OF_CONTEXT = frozenset(dir(Context))
_GUARDS = frozenset({"getattr", "hasattr"})


@dataclass(frozen=True, slots=True)
class Reads:
    """How a function is called, and which fields it must be given."""

    whole: str | None = None
    """The parameter that takes all fields."""
    model: Any = None
    """The model that this parameter is made as."""
    by_name: Mapping[str, Any] = field(default_factory=dict)
    """Fields taken as parameters, with their annotation (Any where there is none)."""
    optional: frozenset[str] = frozenset()
    """Those of `by_name` that have a default."""
    attributes: frozenset[str] = frozenset()
    """Fields that its code reads from the whole."""

    def required(self) -> dict[str, Any]:
        """The fields that must be there, with the type wanted."""
        if self.model is not None:
            types = fields_of(self.model) or {}
            return {name: types.get(name, Any) for name in required_of(self.model)}
        wanted = {name: kind for name, kind in self.by_name.items() if name not in self.optional}
        return {**dict.fromkeys(self.attributes, Any), **wanted}

    def arguments(self, context: Context) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What to call the function with."""
        if self.model is not None:
            known = fields_of(self.model) or {}
            values = {name: context[name] for name in known if name in context}
            return (self.model(**values),), {}
        named = {name: context[name] for name in self.by_name if name in context}
        return ((context,) if self.whole is not None else ()), named


def reads(call: Callable[..., Any], known: frozenset[str] = frozenset()) -> Reads:
    """Find out what `call` needs. A name in `known` is a field even where it is one of `WHOLE`."""
    try:
        parameters = list(inspect.signature(call).parameters.values())
    except (TypeError, ValueError):  # a function of C that does not say
        return Reads(whole="input")
    parameters = [item for item in parameters if item.kind not in (item.VAR_POSITIONAL, item.VAR_KEYWORD)]
    if not parameters:
        return Reads()
    hints = _hints(call)
    first = parameters[0]
    kind = hints.get(first.name, Any)
    needed = [item for item in parameters if item.default is item.empty]
    if len(needed) <= 1 and first.name not in known:
        if fields_of(kind) is not None:
            return Reads(first.name, model=kind)
        if first.name in WHOLE or kind is Context or _is_lambda(call):
            return Reads(first.name, attributes=frozenset(attributes(call, first.name)))
    return Reads(
        by_name={item.name: hints.get(item.name, Any) for item in parameters},
        optional=frozenset(item.name for item in parameters if item.default is not item.empty),
    )


def attributes(call: Callable[..., Any], parameter: str) -> set[str]:
    """The attributes that a function's own code reads from `parameter`, as far as its bytecode tells."""
    code = _code(call)
    return set() if code is None else set(_attributes(code, parameter)) - _OF_CONTEXT


def depends_on_more(call: Callable[..., Any]) -> bool:
    """Whether a condition reads anything besides its parameter: a clock, a global, an attribute of `self`."""
    code = _code(call)
    if code is None or code.co_freevars or inspect.ismethod(call):
        return True
    import builtins  # noqa: PLC0415 - the names alone

    names = {item.argval for item in dis.get_instructions(code) if item.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return any(not hasattr(builtins, str(name)) for name in names)


def constant(call: Callable[..., Any]) -> bool | None:
    """What a condition always is, where its code does nothing but return a constant."""
    code = _code(call)
    if code is None:
        return None
    steps = [item for item in dis.get_instructions(code) if item.opname not in ("RESUME", "NOP")]
    if len(steps) == 1 and steps[0].opname == "RETURN_CONST":
        return bool(steps[0].argval)
    if [item.opname for item in steps] == ["LOAD_CONST", "RETURN_VALUE"]:
        return bool(steps[0].argval)
    return None


def _attributes(code: CodeType, parameter: str) -> Iterator[str]:
    steps = list(dis.get_instructions(code))
    guarded = any(step.opname.startswith("LOAD_GLOBAL") and step.argval in _GUARDS for step in steps)
    if guarded or any(step.opname.startswith("STORE_") and step.argval == parameter for step in steps):
        return  # it looks before it reads, or the name soon means something else
    for step, following in itertools.pairwise(steps):
        if not step.opname.startswith(("LOAD_FAST", "LOAD_DEREF")):
            continue
        loaded = step.argval[-1] if isinstance(step.argval, tuple) else step.argval
        if loaded == parameter and following.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            yield following.argval
    for const in code.co_consts:
        if isinstance(const, CodeType) and parameter in const.co_freevars:
            yield from _attributes(const, parameter)


def _code(call: Callable[..., Any]) -> CodeType | None:
    call = inspect.unwrap(call)
    code = getattr(call, "__code__", None)  # a bound method has that of its function
    return code if isinstance(code, CodeType) else None


def _hints(call: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(call)
    except Exception:  # noqa: BLE001 - an annotation that cannot be read says nothing
        return {}


def _is_lambda(call: Callable[..., Any]) -> bool:
    return getattr(call, "__name__", "") == "<lambda>"
