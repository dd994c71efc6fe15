"""The language of the filter: `state:failed lr<1e-3 score>0.8 #12 try>1 reason:cuda free text -state:done or "x y"`.

A query is compiled once, to terms that each say of all trials at once whether they meet it: a byte each, 0 or 1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NoReturn

from sweeptui.app.fields import BREAK, Field, Fields, Kind, Values
from sweeptui.app.typed import parse_number
from sweeptui.core.errors import UserError

_COMPARE: Mapping[str, Callable[[float], Callable[[float], bool]]] = {
    "<": lambda limit: limit.__gt__,
    "<=": lambda limit: limit.__ge__,
    ">": lambda limit: limit.__lt__,
    ">=": lambda limit: limit.__le__,
}
"""The other way round, for it is the limit that is asked."""
_SWAP = bytes([1, 0, *range(2, 256)])


class QueryError(UserError):
    """What is wrong with a query, and where: `text[start:end]`."""

    def __init__(self, message: str, start: int, end: int, *, unfinished: bool = False) -> None:
        super().__init__(message)
        self.start, self.end = start, end
        self.unfinished = unfinished
        """There is nothing wrong with it, but there is more to come."""


# -- what a query is made of


@dataclass(frozen=True, slots=True)
class Compare:
    field: Field
    sign: str
    limit: float

    def mask(self, values: Values) -> bytes:
        # No Python code runs for each trial: this is done for 100,000 of them at each keystroke.
        return bytes(map(_COMPARE[self.sign](self.limit), values.of(self.field.value)))

    def fields(self) -> Iterable[Field]:
        return (self.field,)


@dataclass(frozen=True, slots=True)
class Between:
    """Numbers in any of some ranges, the ends included."""

    field: Field
    ranges: tuple[tuple[float, float], ...]

    def mask(self, values: Values) -> bytes:
        column = values.of(self.field.value)
        return _any([bytes([low <= value <= high for value in column]) for low, high in self.ranges], len(values))

    def fields(self) -> Iterable[Field]:
        return (self.field,)


@dataclass(frozen=True, slots=True)
class Says:
    """Text that contains any of some words, or is one of them."""

    field: Field
    words: tuple[str, ...]
    whole: bool = False

    def mask(self, values: Values) -> bytes:
        column = values.of(self.field.value)
        if self.whole:
            return bytes([value in self.words for value in column])
        return _any([bytes([word in value for value in column]) for word in self.words], len(values))

    def fields(self) -> Iterable[Field]:
        return (self.field,)


@dataclass(frozen=True, slots=True)
class Not:
    term: Term

    def mask(self, values: Values) -> bytes:
        return values.mask(self.term).translate(_SWAP)

    def fields(self) -> Iterable[Field]:
        return self.term.fields()


@dataclass(frozen=True, slots=True)
class All:
    terms: tuple[Term, ...]

    def mask(self, values: Values) -> bytes:
        found = int.from_bytes(b"\1" * len(values), "little")
        for term in self.terms:
            found &= int.from_bytes(values.mask(term), "little")
        return found.to_bytes(len(values), "little")

    def fields(self) -> Iterable[Field]:
        return (field for term in self.terms for field in term.fields())


@dataclass(frozen=True, slots=True)
class Either:
    terms: tuple[Term, ...]

    def mask(self, values: Values) -> bytes:
        return _any([values.mask(term) for term in self.terms], len(values))

    def fields(self) -> Iterable[Field]:
        return (field for term in self.terms for field in term.fields())


def _any(masks: Iterable[bytes], length: int) -> bytes:
    found = 0
    for mask in masks:
        found |= int.from_bytes(mask, "little")
    return found.to_bytes(length, "little")


Term = Compare | Between | Says | Not | All | Either


# -- reading it

_SPACE = re.compile(r"\s*")
_COMPARISON = re.compile(r"(?P<name>[^\s:=!<>\"()|]+)\s*(?P<sign>!=|<=|>=|==|[:=<>])\s*")
_NUMBERED = re.compile(r"#(?=[0-9])")
_VALUE = re.compile(r"(?:\"[^\"]*\"?|[^\s()\"])*")
_WORD = re.compile(r"\"(?P<quoted>[^\"]*)\"?|(?P<bare>[^\s()\"|]+)")


def parse(text: str, fields: Fields) -> Term | None:
    """What a query asks for; None where it asks for nothing. Raises `QueryError`."""
    term = _Reader(text, fields).read()
    return None if term == All(()) else term


class _Reader:
    def __init__(self, text: str, fields: Fields) -> None:
        self._text = text
        self._fields = fields
        self._at = 0

    def read(self) -> Term:
        term = self._either()
        if self._at < len(self._text):
            raise QueryError("nothing was opened that this could close", self._at, self._at + 1)
        return term

    def _either(self) -> Term:
        branches = [self._all()]
        while (bar := self._keyword("or", "|")) is not None:
            branches.append(self._all())
            if All(()) in branches:
                raise QueryError("or needs something before and after it", *bar, unfinished=True)
        return branches[0] if len(branches) == 1 else Either(tuple(branches))

    def _all(self) -> Term:
        terms: list[Term] = []
        while (term := self._term()) is not None:
            terms.append(term)
        return terms[0] if len(terms) == 1 else All(tuple(terms))

    def _term(self) -> Term | None:
        """The next term; None where the text ends, and before `or` and `)`."""
        self._keyword("and")
        self._skip()
        start = self._at
        if start == len(self._text) or self._text[start] == ")" or self._peek_or():
            return None
        if self._keyword("not") is not None or self._minus():
            term = self._term()
            if term is None:
                raise QueryError("what should it not be?", start, max(start + 1, self._at), unfinished=True)
            return Not(term)
        if self._text[start] == "(":
            return self._group()
        if (numbered := _NUMBERED.match(self._text, start)) is not None:
            return self._compared(self._fields.find("#"), ":", start, numbered.end())
        if (comparison := _COMPARISON.match(self._text, start)) is not None:
            try:
                found = self._fields.find(comparison["name"])
            except UserError as error:
                self._wrong(str(error), start, comparison.end("name"))
            return self._compared(found, comparison["sign"], start, comparison.end())
        word = _WORD.match(self._text, start)
        if word is None or word.group()[0] in ":=!<>":
            self._wrong("a field's name has to come before this", start, start + 1)
        self._at = word.end()
        return Says(self._fields.anywhere, ((word["bare"] or word["quoted"] or "").lower(),))

    def _group(self) -> Term:
        start = self._at
        self._at += 1
        term = self._either()
        if self._at == len(self._text):
            raise QueryError("this is not closed yet", start, start + 1, unfinished=True)
        self._at += 1
        return term

    def _compared(self, found: Field, sign: str, start: int, value_start: int) -> Term:
        value = _VALUE.match(self._text, value_start)
        assert value is not None
        self._at = value.end()
        if not value.group():
            what = "a number" if found.numeric else "a word"
            raise QueryError(f"{found.name}{sign} needs {what}", start, self._at, unfinished=True)
        negative = sign == "!="
        term: Term
        if sign in _COMPARE:
            if not found.numeric:
                self._wrong(f"{found.name} is text: it can be compared with : or = only", start, self._at)
            term = Compare(found, sign, self._number(value.group(), found.kind, value_start)[0])
        elif found.kind is Kind.STATE:
            term = self._state(value.group(), value_start, whole=sign != ":")
        elif found.numeric:
            term = self._numbers(found, value.group(), value_start)
        else:
            words = tuple(word.lower() for word, _ in _choices(value.group()) if word)
            term = Says(found, words, whole=sign != ":")
        return Not(term) if negative else term

    def _state(self, text: str, start: int, *, whole: bool) -> Says:
        parts = []
        for word, offset in _choices(text):
            said = word.lower()
            states = self._fields.state.choices
            if not any(known == said or (not whole and known.startswith(said)) for known in states):
                at = start + offset
                near = get_close_matches(said, states, n=1)
                instead = f"did you mean {near[0]}?" if near else f"{', '.join(COMMON)} are some"
                self._wrong(f"no state is called {said}: {instead}", at, at + max(1, len(word)))
            parts.append(BREAK + said + BREAK * whole)
        return Says(self._fields.state, tuple(parts))

    def _numbers(self, found: Field, text: str, start: int) -> Between:
        ranges = []
        for part, offset in _choices(text):
            at = start + offset
            low, dots, high = part.partition("..")
            number, near = self._number(low, found.kind, at) if low or not dots else (float("-inf"), 0.0)
            if not dots:
                ranges.append((number - near, number + near))
                continue
            end = self._number(high, found.kind, at + len(low) + 2)[0] if high else float("inf")
            ranges.append((number, end))
        return Between(found, tuple(ranges))

    def _number(self, text: str, kind: Kind, start: int) -> tuple[float, float]:
        try:
            return parse_number(text, kind)
        except UserError as error:
            unfinished = start + len(text) == len(self._text) and text.lower() in _BEGUN
            unfinished = unfinished or re.fullmatch(r"[+-]?[\d.]*e[+-]?", text, re.IGNORECASE) is not None
            raise QueryError(str(error), start, start + max(1, len(text)), unfinished=unfinished) from None

    # -- letters

    def _skip(self) -> None:
        space = _SPACE.match(self._text, self._at)
        assert space is not None
        self._at = space.end()

    def _keyword(self, *words: str) -> tuple[int, int] | None:
        """Take the next word if it is one of these; where it stood."""
        self._skip()
        start = self._at
        for word in words:
            end = start + len(word)
            alone = not word.isalpha() or self._text[end : end + 1] in ("", " ", "(", ")")
            if self._text[start:end].lower() == word and alone:
                self._at = end
                return start, end
        return None

    def _peek_or(self) -> bool:
        start = self._at
        found = self._keyword("or", "|") is not None
        self._at = start
        return found

    def _minus(self) -> bool:
        """A minus before something; one alone is a word."""
        following = self._text[self._at + 1 : self._at + 2]
        if self._text[self._at] != "-" or not following.strip():
            return False
        self._at += 1
        return True

    def _wrong(self, message: str, start: int, end: int) -> NoReturn:
        raise QueryError(message, start, end)


COMMON = ("running", "queued", "paused", "done", "failed", "killed", "over")
_BEGUN = ("-", "+", ".", "-.", "+.", "$", "i", "in")


def _choices(text: str) -> list[tuple[str, int]]:
    """The words of `a,b,"c, d"`, and where each begins."""
    return [
        (found["quoted"] if found["quoted"] is not None else found["bare"], found.start())
        for found in re.finditer(r"\"(?P<quoted>[^\"]*)\"?|(?P<bare>[^,|\"]+)", text)
    ]


# -- completing it


@dataclass(frozen=True, slots=True)
class Completion:
    """What `text[start:end]` could become, the likeliest first."""

    start: int
    end: int
    options: tuple[str, ...]


def complete(text: str, cursor: int, fields: Fields) -> Completion:
    """The names or the values that what is before the cursor may be the beginning of."""
    start = cursor
    quoted = text.count('"', 0, cursor) % 2 == 1
    stop = '"' if quoted else " ()|"
    while start and text[start - 1] not in stop:
        start -= 1
    start -= quoted
    # Back over an opening quote, to the field that the value is for.
    while quoted and start and text[start - 1] not in " ()|":
        start -= 1
    word = text[start:cursor]
    minus = len(word) > 1 and word[0] == "-"
    start, word = start + minus, word[minus:]
    comparison = _COMPARISON.match(word)
    if comparison is None:
        return Completion(start, cursor, tuple(_names(word, fields)))
    try:
        found = fields.find(comparison["name"])
    except UserError:
        return Completion(cursor, cursor, ())
    value = word[comparison.end() :]
    given = value.rpartition(",")[2]
    begun = given.strip('"').lower()
    options = [choice for choice in found.choices if choice.startswith(begun)]
    options += [choice for choice in found.choices if begun and begun in choice and choice not in options]
    written = tuple(f'"{option}"' if re.search(r'[\s()",|]', option) else option for option in options)
    return Completion(cursor - len(given), cursor, written)


def _names(begun: str, fields: Fields) -> list[str]:
    """Field names, each with the sign that is likeliest after it."""
    begun = begun.lower()
    known = [found for found in fields.all if found.name != "#"]
    near = [found for found in known if found.name.startswith(begun)]
    near += [found for found in known if begun and begun in found.name and found not in near]
    if begun and not near:
        try:
            near = [fields.find(begun)]
        except UserError:
            return []
    return [found.name if found.numeric else f"{found.name}:" for found in near]
