"""As much of GraphQL as the W&B client speaks: one operation a document, fragments, aliases, arguments, variables.

What is asked for is what is answered, so a query that forgets a field shows, and one that reads run by run, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

_TOKEN = re.compile(
    r"""
    (?P<skip>[\s,]+|\#[^\n]*)
    |(?P<spread>\.\.\.)
    |(?P<name>[_A-Za-z][_0-9A-Za-z]*)
    |(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    |(?P<text>\"(?:[^\"\\]|\\.)*\")
    |(?P<mark>[!$():=@\[\]{|}])
    """,
    re.VERBOSE,
)


class GraphQLError(Exception):
    """A document that cannot be read, or that asks for what there is not."""


@dataclass
class Field:
    name: str
    key: str
    """What it is called in the answer."""
    arguments: dict[str, Any] = field(default_factory=dict)
    selection: list[Field | Spread] = field(default_factory=list)


@dataclass
class Spread:
    """A fragment, by name or in place."""

    fragment: str
    selection: list[Field | Spread] = field(default_factory=list)


@dataclass
class Document:
    kind: str
    name: str
    selection: list[Field | Spread]
    fragments: dict[str, list[Field | Spread]]


def parse(text: str, variables: Mapping[str, Any]) -> Document:
    """Read a document, with the variables put in. Raises `GraphQLError`."""
    return _Parser(text, variables).document()


class _Parser:
    def __init__(self, text: str, variables: Mapping[str, Any]) -> None:
        self._tokens: list[str] = []
        at = 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise GraphQLError(f"syntax error at {text[at : at + 20]!r}")
            if match.lastgroup != "skip":
                self._tokens.append(match[0])
            at = match.end()
        self._at = 0
        self._variables = dict(variables)

    def document(self) -> Document:
        found: Document | None = None
        fragments: dict[str, list[Field | Spread]] = {}
        while self._peek():
            if self._peek() == "fragment":
                self._next()
                name = self._next()
                self._expect("on")
                self._next()
                fragments[name] = self._selection()
            else:
                found = self._operation()
        if found is None:
            raise GraphQLError("no operation in the document")
        found.fragments = fragments
        return found

    def _operation(self) -> Document:
        if self._peek() == "{":
            return Document("query", "", self._selection(), {})
        kind = self._next()
        if kind not in ("query", "mutation"):
            raise GraphQLError(f"unknown operation kind {kind}")
        name = self._next() if self._peek() not in ("{", "(", "@") else ""
        if self._peek() == "(":
            self._declarations()
        return Document(kind, name, self._selection(), {})

    def _declarations(self) -> None:
        self._expect("(")
        while self._peek() != ")":
            self._expect("$")
            name = self._next()
            self._expect(":")
            while self._peek() not in ("=", "$", ")"):
                self._next()
            if self._peek() == "=":
                self._next()
                self._variables.setdefault(name, self._value())
        self._next()

    def _selection(self) -> list[Field | Spread]:
        self._expect("{")
        found: list[Field | Spread] = []
        while self._peek() != "}":
            if self._peek() == "...":
                self._next()
                if self._peek() == "on":
                    self._next()
                    self._next()
                    found.append(Spread("", self._selection()))
                elif self._peek() == "{":
                    found.append(Spread("", self._selection()))
                else:
                    found.append(Spread(self._next()))
            else:
                found.append(self._field())
        self._next()
        return found

    def _field(self) -> Field:
        key = name = self._next()
        if self._peek() == ":":
            self._next()
            name = self._next()
        read = Field(name, key)
        if self._peek() == "(":
            self._next()
            while self._peek() != ")":
                argument = self._next()
                self._expect(":")
                read.arguments[argument] = self._value()
            self._next()
        while self._peek() == "@":
            raise GraphQLError("directives are not spoken here")
        if self._peek() == "{":
            read.selection = self._selection()
        return read

    def _value(self) -> Any:
        token = self._next()
        match token:
            case "$":
                return self._variables.get(self._next())
            case "true" | "false" | "null":
                return {"true": True, "false": False, "null": None}[token]
            case "[":
                items = []
                while self._peek() != "]":
                    items.append(self._value())
                self._next()
                return items
            case "{":
                members = {}
                while self._peek() != "}":
                    key = self._next()
                    self._expect(":")
                    members[key] = self._value()
                self._next()
                return members
        return json.loads(token) if token[0] in '"-0123456789' else token

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        if not self._peek():
            raise GraphQLError("the document ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _expect(self, token: str) -> None:
        if (found := self._next()) != token:
            raise GraphQLError(f"{token} expected, {found} found")


def project(document: Document, selection: Iterable[Field | Spread], value: Any) -> Any:
    """Of `value` what was selected. A member that is a function is called with the field's arguments.

    Raises `GraphQLError` for a field that there is not.
    """
    if value is None:
        return None
    if isinstance(value, list):
        return [project(document, selection, item) for item in value]
    if not isinstance(value, Mapping):
        raise GraphQLError(f"a selection on {value!r}, which has no fields")
    answer: dict[str, Any] = {}
    for part in selection:
        if isinstance(part, Spread):
            inner = document.fragments.get(part.fragment) if part.fragment else part.selection
            if inner is None:
                raise GraphQLError(f"unknown fragment {part.fragment}")
            answer |= project(document, inner, value)
            continue
        if part.name == "__typename":
            answer[part.key] = "Unknown"
            continue
        if part.name not in value:
            raise GraphQLError(f'Cannot query field "{part.name}"')
        member = value[part.name]
        if isinstance(member, Callable):  # type: ignore[arg-type]
            member = member(**part.arguments)
        answer[part.key] = project(document, part.selection, member) if part.selection else member
    return answer
