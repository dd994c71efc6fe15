"""What is looked for in a log: a search, and the filter's terms."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from sweeptui.app.query import QueryError

if TYPE_CHECKING:
    import regex

EXPRESSION = "re:"
LINE_S = 0.2
"""A regular expression that takes longer on one line is given up."""
MAX_SPANS = 200
_TOKEN = re.compile(r"(?P<sign>[-!]?)(?:(?P<re>re:)?\"(?P<quoted>[^\"]*)\"?|re:(?P<expression>\S*)|(?P<bare>\S+))")
_NOT_LETTERS = re.compile(r"\\.|\(\?P", re.DOTALL)
"""Where a capital in a regular expression stands for something else."""
_UNFINISHED = ("missing", "unterminated", "bad escape (end", "unexpected end")

Span = tuple[int, int]


class TooSlowError(Exception):
    """A regular expression took longer on a line than anybody would wait."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(f"{text} takes too long on a line of this log; simplify it")


class Test(Protocol):
    """Says of lines whether they are meant. All methods may raise `TooSlowError`."""

    def test(self, line: str) -> bool: ...

    def perhaps(self, lines: str) -> bool:
        """False where none of many lines can be one."""
        ...


class Pattern(Test, Protocol):
    @property
    def text(self) -> str:
        """As it was written."""
        ...

    def spans(self, line: str) -> tuple[Span, ...]:
        """Where in a line it is found; the first `MAX_SPANS`."""
        ...


@dataclass(frozen=True)
class Plain:
    """A text. Without a capital in it, capitals do not count."""

    text: str

    @cached_property
    def _quick(self) -> bool:
        """Whether lower case can be had of a whole text at once without moving anything in it."""
        return self.text.isascii()

    @cached_property
    def _sensitive(self) -> bool:
        return self.text != self.text.lower()

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(re.escape(self.text), 0 if self._sensitive else re.IGNORECASE)

    def test(self, line: str) -> bool:
        if self._sensitive:
            return self.text in line
        if self._quick and line.isascii():
            return self.text in line.lower()
        return self._pattern.search(line) is not None

    def perhaps(self, lines: str) -> bool:
        return self.test(lines)

    def spans(self, line: str) -> tuple[Span, ...]:
        return tuple(match.span() for match, _ in zip(self._pattern.finditer(line), range(MAX_SPANS), strict=False))


@dataclass(frozen=True)
class Expression:
    """A regular expression, matched line by line.

    `regex` and not `re`: it lets other threads run while it matches, and can be given up.
    """

    text: str
    compiled: regex.Pattern[str]

    def test(self, line: str) -> bool:
        try:
            return self.compiled.search(line, timeout=LINE_S, concurrent=True) is not None
        except TimeoutError:
            raise TooSlowError(self.text) from None

    def perhaps(self, lines: str) -> bool:  # noqa: ARG002 - what spans lines may mean something else
        return True

    def spans(self, line: str) -> tuple[Span, ...]:
        try:
            found = self.compiled.finditer(line, timeout=LINE_S, concurrent=True)
            return tuple(match.span() for match, _ in zip(found, range(MAX_SPANS), strict=False) if match.group())
        except TimeoutError:
            raise TooSlowError(self.text) from None


@dataclass(frozen=True)
class Filter:
    """Lines that have every term of one alternative and none of those that it leaves out."""

    text: str
    alternatives: tuple[tuple[tuple[Pattern, ...], tuple[Pattern, ...]], ...]

    def test(self, line: str) -> bool:
        return any(
            all(term.test(line) for term in wanted) and not any(term.test(line) for term in unwanted)
            for wanted, unwanted in self.alternatives
        )

    def perhaps(self, lines: str) -> bool:
        return any(all(term.perhaps(lines) for term in wanted) for wanted, _ in self.alternatives)


@dataclass(frozen=True)
class Both:
    """Lines that pass two tests."""

    first: Test
    second: Test

    def test(self, line: str) -> bool:
        return self.first.test(line) and self.second.test(line)

    def perhaps(self, lines: str) -> bool:
        return self.first.perhaps(lines) and self.second.perhaps(lines)


def parse_search(text: str) -> Pattern | None:
    """All of a text is searched for; after `re:` it is a regular expression. None where there is nothing.

    Raises `QueryError`.
    """
    if text.startswith(EXPRESSION):
        return _expression(text, text.removeprefix(EXPRESSION), len(EXPRESSION))
    return Plain(text) if text else None


def parse_filter(text: str) -> Filter | None:
    """Terms that a line has to have, and after `-` or `!` those that it must not; `or` between alternatives.

    A term is a word, `"some words"`, `re:expression` or `re:"an expression"`. None where there is nothing.
    Raises `QueryError`.
    """
    alternatives: list[tuple[list[Pattern], list[Pattern]]] = [([], [])]
    bar: Span | None = None
    for token in _TOKEN.finditer(text):
        if token["bare"] in ("-", "!"):
            raise QueryError("what should be left out?", *token.span(), unfinished=True)
        if token["bare"] in ("or", "|") and not token["sign"]:
            bar = token.span()
            if not any(alternatives[-1]):
                break
            alternatives.append(([], []))
            continue
        expression = token["expression"] if token["expression"] is not None else token["quoted"]
        pattern: Pattern | None
        if token["re"] or token["expression"] is not None:
            group = "quoted" if token["expression"] is None else "expression"
            pattern = _expression(f"{EXPRESSION}{expression}", expression, token.start(group))
        else:
            word = token["bare"] or token["quoted"]
            pattern = Plain(word) if word else None
        if pattern is not None:
            alternatives[-1][bool(token["sign"])].append(pattern)
    if bar is not None and not any(alternatives[-1]):
        raise QueryError("or needs something before and after it", *bar, unfinished=True)
    if not any(alternatives[0]):
        return None
    return Filter(text.strip(), tuple((tuple(wanted), tuple(unwanted)) for wanted, unwanted in alternatives))


def _expression(text: str, expression: str, start: int) -> Pattern | None:
    """`start` is where the expression is in what was written. None where there is none."""
    import regex  # noqa: PLC0415 - the first frame does not wait for it

    if not expression:
        return None
    sensitive = (bare := _NOT_LETTERS.sub("", expression)) != bare.lower()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what may mean something else one day
            compiled = regex.compile(expression, 0 if sensitive else regex.IGNORECASE)
    except regex.error as error:
        said, pos = str(getattr(error, "msg", error)), getattr(error, "pos", None) or 0
        at = start + min(pos, max(0, len(expression) - 1))
        unfinished = said.startswith(_UNFINISHED)
        what = f"the regular expression is {'not complete' if unfinished else 'wrong'}: {said}"
        raise QueryError(what, at, at + 1, unfinished=unfinished) from None
    except (RecursionError, OverflowError, MemoryError):
        raise QueryError("the regular expression is too large", start, start + len(expression)) from None
    return Expression(text, compiled)
