"""What is written to search or filter a log, and what that means."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeptui.app.log import pattern
from sweeptui.app.log.pattern import TooSlowError, parse_filter, parse_search
from sweeptui.app.query import QueryError

LINE = "12:01 Loss 0.5 WARNING --lr 1e-3 in /tmp/a.py"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("loss", True),
        ("Loss", True),
        ("LOSS", False),
        ("warning", True),
        ("0.5 w", True),
        ("0x5", False),
        ("re:loss 0.5", True),
        ("re:l[aeiou]ss", True),
        ("re:LOSS", False),
        (r"re:\Sarning\W", True),
        ("re:^12:\\d\\d", True),
        ("re:py$", True),
        ("re:(?P<it>warning)", True),
    ],
)
def test_capitals_count_where_there_is_one(text, found):
    searched = parse_search(text)
    assert searched is not None
    assert searched.test(LINE) is found
    assert bool(searched.spans(LINE)) is found
    assert searched.text == text


@given(text=st.text(min_size=1, max_size=3), line=st.text(max_size=30))
def test_what_is_found_is_where_it_is_said_to_be(text, line):
    searched = pattern.Plain(text)
    spans = searched.spans(line)
    assert searched.test(line) is bool(spans)
    flags = re.IGNORECASE if text == text.lower() else re.NOFLAG
    assert all(re.fullmatch(re.escape(text), line[start:stop], flags) for start, stop in spans)
    assert searched.test(line) <= searched.perhaps(f"before\n{line}\nafter")


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("loss", True),
        ("loss warning", True),
        ("loss nothing", False),
        ("nothing or loss", True),
        ("nothing | loss -warning", False),
        ("-warning", False),
        ("!debug", True),
        ("-debug -info", True),
        ('"0.5 warning"', True),
        ('"warning 0.5"', False),
        ('-"0.5 warning"', False),
        ('"--lr"', True),
        ("--lr", False),
        ("re:^12 re:py$", True),
        ('re:"loss \\d"', True),
        ("-re:^12", False),
        ('"loss', True),
    ],
)
def test_the_terms_of_a_filter(text, passes):
    wanted = parse_filter(text)
    assert wanted is not None
    assert wanted.test(LINE) is passes
    assert wanted.perhaps(f"x\n{LINE}\ny") >= passes


@pytest.mark.parametrize("text", ["", "  ", '""', "re:", "-re:"])
def test_nothing_is_asked_for(text):
    assert parse_filter(text) is None


@pytest.mark.parametrize(
    ("text", "said", "part", "unfinished"),
    [
        ("re:(a", "not complete: missing )", "a", True),
        ("re:[a", "not complete: unterminated character set", "a", True),
        ("re:*a", "wrong: nothing to repeat", "*", False),
        ("loss re:a)", "wrong: unbalanced parenthesis", ")", False),
        ("loss -", "what should be left out?", "-", True),
        ("loss or", "or needs something before and after it", "or", True),
        ("or loss", "or needs something before and after it", "or", True),
    ],
)
def test_what_is_wrong_is_said_and_where(text, said, part, unfinished):
    parse = parse_search if text.startswith("re:") else parse_filter
    with pytest.raises(QueryError) as caught:
        parse(text)
    assert said in str(caught.value)
    assert text[caught.value.start : caught.value.end] == part
    assert caught.value.unfinished is unfinished


def test_an_expression_that_would_never_end_is_given_up(monkeypatch):
    monkeypatch.setattr(pattern, "LINE_S", 0.01)
    searched = parse_search("re:(a|aa)+$")
    assert searched is not None
    assert searched.test("a" * 60)
    with pytest.raises(TooSlowError, match=r"re:\(a\|aa\)\+\$ takes too long"):
        searched.test("a" * 60 + "b")
