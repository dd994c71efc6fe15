"""What has to hold between parameters: `batch_size % minibatch_size == 0`, `low < high`."""

from __future__ import annotations

import ast
import operator
from typing import TYPE_CHECKING, Any

from sweeptui.core.errors import UserError, hint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sweeptui.core.trial import Params

MAX_EXPONENT = 64
"""A larger one would make numbers that take for ever."""

_BINARY: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_COMPARE: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
_UNARY: dict[type[ast.AST], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
}
_CALLS: dict[str, Callable[..., Any]] = {"min": min, "max": max, "abs": abs}


class Constraint:
    """A condition on a configuration, read from text. No code is run: only arithmetic, comparisons and and/or/not.

    A parameter is named by its whole path, or the end of it where only one ends so. Raises `UserError` for what is no
    condition or names no parameter.
    """

    def __init__(self, text: str, names: Sequence[str]) -> None:
        self.text = text.strip()
        try:
            self._tree = ast.parse(self.text, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise UserError(f"{text!r} is no condition; write one such as a < b or a % b == 0") from None
        self.names: tuple[str, ...] = ()
        self._meant: dict[str, str] = {}
        self._check(self._tree, names)
        if not self.names:
            raise UserError(f"{text!r} names no parameter; write a condition such as a < b")
        if not isinstance(self._tree, ast.Compare | ast.BoolOp) and not (
            isinstance(self._tree, ast.UnaryOp) and isinstance(self._tree.op, ast.Not)
        ):
            raise UserError(f"{text!r} is no condition; compare it with something, as in a % b == 0")

    def holds(self, params: Params) -> bool:
        """Whether it is true of `params`; what cannot be computed, such as a division by zero, does not hold."""
        try:
            return bool(self._value(self._tree, params))
        except (ArithmeticError, TypeError, ValueError, KeyError):
            return False

    def _check(self, node: ast.AST, names: Sequence[str]) -> None:
        if (path := _path(node)) is not None:
            self._meant[path] = self._find(path, names)
            self.names = tuple(dict.fromkeys((*self.names, self._meant[path])))
            return
        children = self._parts(node)
        if children is None:
            raise UserError(
                f"{self.text!r} has {ast.unparse(node)!r}, which a condition cannot have; use numbers, parameters, "
                f"+ - * / // % **, comparisons, in, and, or, not, min, max and abs"
            )
        for child in children:
            self._check(child, names)

    def _parts(self, node: ast.AST) -> list[ast.expr] | None:
        """The nodes below one that may be; None for one that may not."""
        match node:
            case ast.Constant(value=bool() | int() | float() | str() | None):
                return []
            case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.BoolOp(values=parts):
                return parts
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return [left, right]
            case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
                return [operand]
            case ast.Compare(left=left, ops=ops, comparators=others) if all(type(op) in _COMPARE for op in ops):
                return [left, *others]
            case ast.Call(func=ast.Name(id=name), args=parts, keywords=[]) if name in _CALLS and parts:
                return parts
        return None

    def _find(self, path: str, names: Sequence[str]) -> str:
        found = [path] if path in names else [name for name in names if name.endswith(f".{path}")]
        if len(found) == 1:
            return found[0]
        if found:
            raise UserError(f"{self.text!r} has {path}, which may be {' or '.join(found)}; write one of them")
        last = [name.rpartition(".")[2] for name in names]
        raise UserError(
            f"{self.text!r} has {path}, which is no parameter; {hint(path, last if '.' not in path else names)}"
        )

    def _value(self, node: ast.AST, params: Params) -> Any:
        if (path := _path(node)) is not None:
            return params[self._meant[path]]
        match node:
            case ast.Constant(value=value):
                return value
            case ast.List(elts=parts) | ast.Tuple(elts=parts):
                return [self._value(part, params) for part in parts]
            case ast.BoolOp(op=ast.And(), values=parts):
                return all(self._value(part, params) for part in parts)
            case ast.BoolOp(values=parts):
                return any(self._value(part, params) for part in parts)
            case ast.UnaryOp(op=op, operand=operand):
                return _UNARY[type(op)](self._value(operand, params))
            case ast.BinOp(left=left, op=op, right=right):
                first, second = self._value(left, params), self._value(right, params)
                return _number(op, first, second)
            case ast.Compare(left=left, ops=ops, comparators=others):
                values = [self._value(part, params) for part in (left, *others)]
                return all(_COMPARE[type(op)](a, b) for op, a, b in zip(ops, values, values[1:], strict=False))
            case ast.Call(func=ast.Name(id=name), args=parts):
                return _CALLS[name](*(self._value(part, params) for part in parts))
        raise AssertionError(node)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Constraint) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Constraint({self.text!r})"


def _path(node: ast.AST) -> str | None:
    """`a.b.c` where the node is that."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (front := _path(node.value)) is not None:
        return f"{front}.{node.attr}"
    return None


def _number(op: ast.operator, first: Any, second: Any) -> Any:
    """Arithmetic on numbers alone: text times a million would fill the memory."""
    if not isinstance(first, int | float) or not isinstance(second, int | float):
        raise TypeError("not a number")
    if isinstance(op, ast.Pow) and abs(second) > MAX_EXPONENT:
        raise OverflowError("the exponent is too large")
    return _BINARY[type(op)](first, second)
