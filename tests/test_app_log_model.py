"""The log viewport against a model that has the whole text in memory."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweeptui.app.log import file, scan, viewport
from sweeptui.app.log.file import LogFile
from sweeptui.app.log.page import Page
from sweeptui.app.log.pattern import Filter, Pattern, parse_filter, parse_search
from sweeptui.app.log.reader import LogReader
from sweeptui.app.log.text import shown
from sweeptui.core.ansi import CUT_MARK, last_segment, sanitize

CELL = 64
PROGRESS = 3
SHOWN = 40
PIECES = st.sampled_from(
    [b"loss", b"Loss", b"error", b" 0.5 ", b"\r", b"\r\n", b"\n", b"\n", b"\n", b"\n", b"\n\n\n", b"\xff", b"\xc3",
     b"\x1b[31m", b"\x1b[0m", b"\x1b[K", b"\x1b]0;t\x07", b"\x1b", "é漢".encode(), "\u200b".encode(), b"\t", b"\x00",
     b"x" * 30, b"y" * 70, b"=" * 150, b"10%\r" * 40]
)  # fmt: skip
CONTENT = st.lists(PIECES, max_size=40).map(b"".join)
TESTING = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """What a log of gigabytes brings, with one of a few hundred bytes."""
    monkeypatch.setattr(file, "CELL_BYTES", CELL)
    monkeypatch.setattr(file, "PROGRESS_CELLS", PROGRESS)
    monkeypatch.setattr(file, "MAX_SHOWN_BYTES", SHOWN)
    monkeypatch.setattr(file, "BLOCK_BYTES", 7)
    monkeypatch.setattr(file, "TAIL_BYTES", 100)
    monkeypatch.setattr(scan, "MAX_SHOWN_BYTES", SHOWN)
    monkeypatch.setattr(scan, "FIRST_BYTES", 16)
    monkeypatch.setattr(scan, "MOST_BYTES", CELL)
    monkeypatch.setattr(scan, "MOST_LINES", 12)
    monkeypatch.setattr(viewport, "NEAR_BYTES", 50)
    monkeypatch.setattr(viewport, "NEAR_FILTERED_BYTES", 100)


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp())
    yield made
    shutil.rmtree(made)


# -- the model


def places(content: bytes) -> list[tuple[int, int]]:
    """Lines: after each newline, and where one fills a cell."""
    starts = {0}
    for at in range(1, len(content)):
        cell = content[max(0, at - CELL) : at]
        cut = at % CELL == 0 and b"\n" not in cell and (b"\r" not in cell or at % (CELL * PROGRESS) == 0)
        if content[at - 1 : at] == b"\n" or cut:
            starts.add(at)
    ordered = sorted(starts)
    return list(zip(ordered, [*ordered[1:], len(content)], strict=True)) if content else []


def text(line: bytes, colour: bool = False) -> str:
    """What is shown of a line: what a terminal would, of that the beginning."""
    if len(line) > SHOWN:
        tail = line[-100:].rstrip(b"\r\n")
        line = tail.rpartition(b"\r")[2] if b"\r" in tail else line.removesuffix(b"\n")
    line = line.removesuffix(b"\n")
    cut = CUT_MARK if len(line) > SHOWN else ""
    return sanitize(last_segment(line[:SHOWN].decode("utf-8", "replace")), colour) + cut


class Model:
    """A page of `height` lines of those that pass, by their number."""

    def __init__(self, height: int) -> None:
        self.height = height
        self.content = b""
        self.filter: Filter | None = None
        self.top: int | None = None
        """The offset of the first line of the page."""
        self.left_at = 0

    def lines(self) -> list[tuple[int, str]]:
        every = [(start, text(self.content[start:stop])) for start, stop in places(self.content)]
        return [(start, line) for start, line in every if self.filter is None or self.filter.test(line)]

    def first(self) -> int:
        lines = self.lines()
        last = max(0, len(lines) - self.height)
        if self.top is None:
            return last
        return min(last, next((index for index, (start, _) in enumerate(lines) if start >= self.top), len(lines)))

    def page(self) -> list[str]:
        first = self.first()
        return [line for _, line in self.lines()[first : first + self.height]]

    def new_lines(self) -> int:
        """Of those that pass: how many have been finished since the end was left."""
        if self.top is None:
            return 0
        done = self.done()
        if self.filter is None:
            return self.content.count(b"\n", self.left_at, done)
        return sum(self.left_at <= start < done for start, _ in self.lines())

    def done(self) -> int:
        every = places(self.content)
        return len(self.content) if not every or self.content.endswith(b"\n") else every[-1][0]

    def settle(self) -> None:
        """Where the page is moved up because nothing more comes below, that is where it stays."""
        if self.top is not None and self.lines():
            self.top = self.lines()[self.first()][0]

    def leave(self, top: int) -> None:
        if self.top is None:
            self.left_at = self.done()
        self.top = top

    def scroll(self, by: int) -> None:
        lines, first = self.lines(), self.first()
        last = max(0, len(lines) - self.height)
        if by > 0 and self.top is not None and first + by >= last:
            self.top = None
        elif (by < 0 and (self.top is not None or last > 0)) or (by > 0 and self.top is not None):
            self.leave(lines[max(0, first + by)][0] if lines else 0)


class Watched:
    """A `LogReader` on its thread, and the pages that it posted."""

    def __init__(self, path: Path) -> None:
        self.pages: list[Page] = []
        self.reader = LogReader(self.pages.append)
        self.thread = threading.Thread(target=self.reader.run)
        self.path = path

    def __enter__(self) -> Watched:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.reader.close()
        self.thread.join(60)
        assert not self.thread.is_alive()

    def page(self) -> Page:
        """Once everything was answered, and the file looked at again."""
        self.reader.scroll(0)
        assert self.reader.idle.wait(60)
        assert self.thread.is_alive()
        return self.pages[-1]


# -- lines


@TESTING
@given(content=CONTENT)
def test_lines_are_the_same_from_above_from_below_and_in_the_model(folder, content):
    path = folder / "log"
    path.write_bytes(content)
    log = LogFile(path)
    assert log.look()
    expected = places(content)
    down, at = [], 0
    while at < log.size:
        down.append((at, at := log.next(at, log.size)))
    up, at = [], log.size
    while at > 0:
        up.append((log.previous(at), at))
        at = up[-1][0]
    log.close()
    assert down == expected
    assert up[::-1] == expected
    assert [log.line(*place) for place in expected] == [""] * len(expected)  # it is closed
    log.look()
    assert [log.line(*place, colour=False) for place in expected] == [text(content[a:b]) for a, b in expected]
    log.close()


@TESTING
@given(content=CONTENT, more=CONTENT)
def test_a_finished_line_stays_what_it_is(folder, content, more):
    grown = places(content + more)
    finished = places(content) if content.endswith(b"\n") else places(content)[:-1]
    assert grown[: len(finished)] == finished


@settings(max_examples=500, deadline=None)
@given(lines=st.lists(st.lists(PIECES.filter(lambda piece: b"\n" not in piece), max_size=6).map(b"".join)))
def test_many_lines_at_once_are_what_each_is(lines):
    assert shown(b"\n".join(lines)).split("\n") == [
        sanitize(last_segment(line.decode("utf-8", "replace")), colour=False) for line in lines or [b""]
    ]


# -- the page

ASKED = st.one_of(
    st.tuples(st.just("scroll"), st.integers(-12, 12)),
    st.tuples(st.just("page"), st.sampled_from([-1, 1])),
    st.tuples(st.sampled_from(["start", "end"]), st.none()),
    st.tuples(st.just("append"), CONTENT),
    st.tuples(st.just("filter"), st.sampled_from(["", "loss", "-loss", "loss or error", "re:^x+$", '"" zzz'])),
    st.tuples(st.just("resize"), st.integers(1, 9)),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=CONTENT, asked=st.lists(ASKED, max_size=12), height=st.integers(1, 9))
def test_the_page_is_the_models_whatever_is_asked(folder, content, asked, height):
    path = folder / "log"
    path.write_bytes(content)
    model = Model(height)
    model.content = content
    with Watched(path) as watched:
        reader = watched.reader
        reader.resize(height)
        reader.open(path)
        for what, value in asked:
            match what:
                case "scroll":
                    reader.scroll(value)
                    model.scroll(value)
                case "page":
                    reader.page(value)
                    model.scroll(value * max(1, model.height - 1))
                case "start":
                    reader.to_start()
                    model.leave(0)
                case "end":
                    reader.to_end()
                    model.top = None
                case "append":
                    with path.open("ab") as opened:
                        opened.write(value)
                    model.content += value
                case "filter":
                    reader.filter(parse_filter(value))
                    wanted = parse_filter(value)
                    if wanted != model.filter:
                        model.left_at = model.done()
                        if model.top is not None and model.lines():
                            model.top = model.lines()[model.first()][0]
                    model.filter = wanted
                case "resize":
                    reader.resize(value)
                    model.height = value
            page = watched.page()
            model.settle()
            assert [sanitize(line, colour=False) for line in page.lines] == model.page(), (what, value)
            assert page.following == (model.top is None)
            assert page.new_lines == model.new_lines()
            assert page.size == len(model.content)
            assert page.filling is None


@TESTING
@given(contents=st.lists(CONTENT, min_size=2, max_size=4), replace=st.booleans())
def test_a_file_written_anew_is_followed_from_its_end(folder, contents, replace):
    path = folder / "log"
    path.write_bytes(contents[0])
    model = Model(4)
    with Watched(path) as watched:
        watched.reader.resize(4)
        watched.reader.open(path)
        watched.reader.filter(parse_filter("-error"))
        model.filter = parse_filter("-error")
        watched.page()
        for before, content in pairwise(contents):
            watched.reader.to_start()
            watched.page()
            if replace:
                (folder / "new").write_bytes(content)
                (folder / "new").rename(path)
            else:
                path.write_bytes(content)
                os.utime(path, ns=(time.time_ns(), time.time_ns()))  # a file system's clock may be coarse
            # By its end, as far as is looked back, it is known again.
            grown = len(content) >= len(before) and content[: len(before)][-64:] == before[-64:]
            model.content = content
            page = watched.page()
            if replace or not grown:
                assert page.following
                assert [sanitize(line, colour=False) for line in page.lines] == model.page()
            assert page.size == len(content)


# -- searching

SEARCHES = st.sampled_from(["loss", "Loss", "error", "re:l.ss$", "re:^$", "x", "0.5", "é"])


def found(model: Model, pattern: Pattern) -> list[int]:
    return [start for start, line in model.lines() if pattern.test(line)]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=CONTENT,
    searched=SEARCHES,
    wanted=st.sampled_from(["", "-error", "loss or x"]),
    at_start=st.booleans(),
    steps=st.lists(st.booleans(), max_size=8),
)
def test_searching_goes_from_hit_to_hit_and_round(folder, content, searched, wanted, at_start, steps):
    path = folder / "log"
    path.write_bytes(content)
    pattern = parse_search(searched)
    assert pattern is not None
    model = Model(5)
    model.content, model.filter = content, parse_filter(wanted)
    starts = found(model, pattern)
    lines = dict(model.lines())
    with Watched(path) as watched:
        reader = watched.reader
        reader.resize(5)
        reader.open(path)
        reader.filter(model.filter)
        if at_start:
            reader.to_start()
        watched.page()
        reader.remember()
        reader.search(pattern)
        page = watched.page()
        assert page.search is not None
        assert page.search.searching is None
        if not starts:
            assert page.search.note == "not found"
            assert page.current is None
            return
        at = 0 if at_start else len(starts) - 1
        assert not page.following
        for step, forward in enumerate([None, *steps]):
            if forward is not None:
                wraps = len(starts) - 1 if forward else 0
                note = "the only one" if len(starts) == 1 else ("on from the start" if forward else "on from the end")
                expected = note if at == wraps else ""
                at = (at + (1 if forward else -1)) % len(starts)
                reader.find(forward=forward)
                page = watched.page()
                assert page.search is not None
                assert page.search.note == expected, step
            assert page.current is not None, step
            assert sanitize(page.lines[page.current], colour=False) == lines[starts[at]]
            assert page.search.at == starts[at]
            if starts[at] < model.done():
                assert page.search.number == at + 1
            assert page.search.total == sum(start < model.done() for start in starts)
            for line, spans in zip(page.lines, page.marks, strict=True):
                plain = sanitize(line, colour=False)
                assert bool(spans) == (pattern.test(plain) and searched != "re:^$")
                assert all(re.fullmatch("(?i)loss|error|x|0.5|é", plain[start:stop]) for start, stop in spans)


@TESTING
@given(content=CONTENT, searched=SEARCHES, up=st.integers(0, 9))
def test_what_was_searched_for_and_dropped_leaves_the_page_as_it_was(folder, content, searched, up):
    path = folder / "log"
    path.write_bytes(content)
    with Watched(path) as watched:
        watched.reader.resize(5)
        watched.reader.open(path)
        watched.reader.scroll(-up)
        before = watched.page()
        watched.reader.remember()
        watched.reader.search(parse_search(searched))
        watched.page()
        watched.reader.search(None, back=True)
        after = watched.page()
    assert (after.lines, after.following, after.search) == (before.lines, before.following, None)
