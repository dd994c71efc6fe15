"""Nothing that a training process prints acts on the terminal, except colours."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeptui.core.ansi import MAX_SGR_CHARS, last_segment, sanitize

SGR = re.compile(rf"\x1b\[[0-9;:]{{0,{MAX_SGR_CHARS}}}m")
PIECES = st.sampled_from(
    [
        *("\x1b", "\x1b[", "\x1b]", "\x1bP", "\x1b_", "\x1b^", "\x1bX", "\x1b\\", "\x1b(", "\x1bc", "\x07", "\x9c"),
        *("\x9b", "\x9d", "\x90", "\x9e", "\x9f", "\x98", "\x18", "\x1a", "\r", "\n", "\t", "\b", "\x7f", "\x00"),
        *("m", "31m", "0;1", "38:2::1:2:3m", "?25l", "2J", "H", "6n", "52;c;?", "0;title", ";" * 80, "9" * 5000),
        *("\u202e", "\u200b", "\u2066", "\ufeff", "\ud800", "\U000e0041", "é", "漢", "\x1b[31m", "\x1b[0m", " "),
    ]
)
HOSTILE = st.lists(st.one_of(PIECES, st.text(max_size=5)), max_size=30).map("".join)


def assert_harmless(text: str) -> None:
    rest = SGR.sub("", text)
    for char in rest:
        assert char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cs"), f"{char!r} in {text!r}"
        assert not "\u202a" <= char <= "\u202e"
        assert not "\u2066" <= char <= "\u2069"
        assert not "\u200b" <= char <= "\u200f"
        assert char != "\ufeff"
    text.encode()


@given(HOSTILE)
def test_nothing_but_colours_comes_out(text):
    assert_harmless(sanitize(text))


@given(HOSTILE)
def test_without_colour_no_escape_at_all_comes_out(text):
    shown = sanitize(text, colour=False)
    assert "\x1b" not in shown
    assert_harmless(shown)


@given(st.binary(max_size=200))
def test_any_bytes(data):
    assert_harmless(sanitize(data.decode("utf-8", "replace")))
    assert_harmless(sanitize(data.decode("utf-8", "surrogateescape")))
    assert_harmless(sanitize(data.decode("latin-1")))


@given(HOSTILE)
def test_what_is_safe_stays_as_it_is(text):
    once = sanitize(text, colour=False)
    assert sanitize(once, colour=False) == once


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[1;31mred\x1b[m", "\x1b[1;31mred\x1b[m\x1b[0m"),
        ("\x1b[38;2;1;2;3mx", "\x1b[38;2;1;2;3mx\x1b[0m"),
        ("\x1b[2J\x1b[Hcleared", "cleared"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]52;c;aGk=\x1b\\clipboard", "clipboard"),
        ("\x1bPq#0;2\x1b\\sixel", "sixel"),
        ("\x1b_Gkitty\x1b\\x", "x"),
        ("\x9b31mC1\x9d0;t\x9cx", "C1x"),
        ("\x1b]0;never ends", ""),
        ("\x1b[" + "1;" * 100 + "mlong", "long"),
        ("10%\r20%\r\nnext", "20%\nnext"),
        ("admin\u202etxt.exe", "admin\ufffdtxt.exe"),
        ("half \ud83d pair", "half \ufffd pair"),
        ("tab\tstays, bell\x07 goes", "tab\tstays, bell goes"),
    ],
)
def test_examples(raw, shown):
    assert sanitize(raw) == shown


def test_the_time_taken_grows_with_the_length_only():
    for piece in ("\x1b[", "\x1b]", "\x1b[1;", "\x1b", "\r", "\x9d"):
        assert len(sanitize(piece * 200_000)) < 200_000


def test_a_carriage_return_starts_the_line_over():
    assert last_segment("a\rb\rc") == "c"
    assert last_segment("done\r\r") == "done"
