"""A log of a gigabyte: what each thing costs is counted in bytes that are read, and in memory that is kept."""

from __future__ import annotations

import os
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sweeptui.app.log import file
from sweeptui.app.log.page import Page
from sweeptui.app.log.pattern import parse_filter, parse_search
from sweeptui.app.log.reader import LogReader

GIGABYTE = 1 << 30
MEGABYTE = 1 << 20
LINES = b"".join(b"\x1b[36mepoch %06d\x1b[0m  step %9d  loss 0.%04d\n" % (n, n * 1000, n % 9999) for n in range(2000))
PAGE_COSTS = 100_000
"""Bytes: for a page of 40 lines of 50 bytes, wherever it is."""


class Counted:
    """A reader on its thread, the pages it posted, and what it read."""

    def __init__(self, monkeypatch) -> None:
        self.pages: list[Page] = []
        self.bytes = 0
        self.at: Callable[[int], None] = lambda _read: None
        """Called whenever something was read, with how much it was so far."""
        self.reader = LogReader(self.pages.append)
        pread = os.pread

        def counting(fd: int, length: int, offset: int) -> bytes:
            data = pread(fd, length, offset)
            self.bytes += len(data)
            self.at(self.bytes)
            return data

        monkeypatch.setattr(file.os, "pread", counting)

    def page(self) -> Page:
        assert self.reader.idle.wait(120)
        return self.pages[-1]

    def cost(self, what: Callable[[], None]) -> tuple[Page, int]:
        """What is shown then, and how many bytes were read for it."""
        before = self.bytes
        what()
        page = self.page()
        return page, self.bytes - before


@pytest.fixture
def counted(monkeypatch) -> Iterator[Counted]:
    made = Counted(monkeypatch)
    thread = threading.Thread(target=made.reader.run)
    thread.start()
    made.reader.resize(40)
    yield made
    made.reader.close()
    thread.join(60)
    assert not thread.is_alive()


@pytest.fixture
def large(tmp_path) -> Path:
    return log_of(tmp_path / "train.1.log", GIGABYTE, 64 * MEGABYTE)


def log_of(path: Path, size: int, every: int) -> Path:
    """Lines at both ends and here and there, and holes between them, which take no place on the disk."""
    with path.open("wb") as opened:
        for at in range(0, size, every):
            opened.seek(at)
            opened.write(b"\n" + LINES + b"%d megabytes\n" % (at // MEGABYTE) + LINES)
        opened.seek(size - len(LINES))
        opened.write(LINES)
    assert path.stat().st_size == size
    assert path.stat().st_blocks * 512 < 32 * MEGABYTE, "the file system makes no holes"
    return path


def test_to_open_it_and_to_go_anywhere_in_it_costs_what_a_page_costs(counted, large):
    reader = counted.reader
    page, cost = counted.cost(lambda: reader.open(large))
    assert "epoch 001999" in page.lines[-1]
    assert page.following
    assert cost < PAGE_COSTS
    page, cost = counted.cost(reader.to_start)
    assert "epoch 000000" in page.lines[1]
    assert cost < PAGE_COSTS
    for pages, first in ((1, 38), (1, 77), (-1, 38)):
        page, cost = counted.cost(lambda pages=pages: reader.page(pages))
        assert f"epoch {first:06}" in page.lines[0]
        assert cost < PAGE_COSTS
    page, cost = counted.cost(lambda: reader.scroll(1))
    assert cost < PAGE_COSTS
    page, cost = counted.cost(reader.to_end)
    assert page.following
    assert cost < PAGE_COSTS
    page, cost = counted.cost(lambda: reader.page(-1))
    assert "epoch 001921" in page.lines[0]
    assert cost < PAGE_COSTS
    assert counted.bytes < 10 * PAGE_COSTS


def test_what_comes_is_shown_for_what_it_is_long(counted, large):
    counted.reader.open(large)
    counted.page()
    for count in (1, 100, 20_000):
        more = b"".join(b"new line %06d of those that come all the time\n" % number for number in range(count))

        def grow(more: bytes = more) -> None:
            with large.open("ab") as opened:
                opened.write(more)
            counted.reader.scroll(0)

        page, cost = counted.cost(grow)
        assert page.lines[-1] == more.splitlines()[-1].decode()
        assert cost < PAGE_COSTS + min(len(more), 100_000)


def test_the_first_hit_is_found_where_it_is(counted, large, monkeypatch):
    reader = counted.reader
    reader.open(large)
    counted.page()
    monkeypatch.setattr("sweeptui.app.log.search.TALLY_BYTES", 0)
    page, cost = counted.cost(lambda: reader.search(parse_search("step   1700000")))
    assert page.current is not None
    assert "epoch 001700" in page.lines[page.current]
    assert cost < 4 * file.CELL_BYTES
    reader.to_start()
    counted.page()
    reader.remember()
    page, cost = counted.cost(lambda: reader.search(parse_search("re:^0 megabytes")))
    assert page.current is not None
    assert page.lines[page.current] == "0 megabytes"
    assert cost < 4 * file.CELL_BYTES


def test_counting_stops_where_it_would_take_long(counted, large, monkeypatch):
    budget = 8 * MEGABYTE
    monkeypatch.setattr("sweeptui.app.log.search.TALLY_BYTES", budget)
    reader = counted.reader
    reader.open(large)
    counted.page()
    page, cost = counted.cost(lambda: reader.search(parse_search("epoch 000100")))
    assert page.search is not None
    assert (page.search.total, page.search.more) == (2, True)
    assert page.search.number is None
    assert budget < cost < 4 * budget


@pytest.mark.parametrize("how", ["stop", "another", "scroll"])
def test_a_long_search_gives_way_to_what_is_asked_next(counted, large, monkeypatch, how):
    monkeypatch.setattr("sweeptui.app.log.search.TALLY_BYTES", 0)
    reader = counted.reader
    reader.open(large)
    counted.page()
    limit = counted.bytes + 50 * MEGABYTE
    asked = threading.Event()

    def ask(read: int) -> None:
        if read > limit + 20 * MEGABYTE:
            reader.stop()
        elif read > limit and not asked.is_set():
            asked.set()
            if how == "scroll":
                reader.to_start()
            elif how == "another":
                reader.search(parse_search("epoch 001999"))
            else:
                reader.stop()

    counted.at = ask
    before = len(counted.pages)
    page, cost = counted.cost(lambda: reader.search(parse_search("it is nowhere")))
    assert asked.is_set()
    assert page.search is not None
    if how == "scroll":
        # It went on, and the page was moved meanwhile.
        moved = next(page for page in counted.pages if not page.following)
        assert moved.search.searching is not None
        assert "epoch 000000" in moved.lines[1]
        assert cost > 70 * MEGABYTE
    assert cost < 80 * MEGABYTE
    assert page.search.searching is None
    assert any(0 < page.search.searching < 0.1 for page in counted.pages[before:] if page.search.searching)
    if how == "another":
        assert "epoch 001999" in page.lines[page.current]


def test_a_filter_reads_no_more_than_it_needs_for_a_page(counted, large):
    reader = counted.reader
    reader.open(large)
    counted.page()
    page, cost = counted.cost(lambda: reader.filter(parse_filter("re:[05]$ -epoch:")))
    assert len(page.lines) == 40
    assert all(line.removesuffix("\x1b[0m")[-1] in "05" for line in page.lines)
    assert cost < 2 * file.CELL_BYTES
    with large.open("ab") as opened:
        opened.write(b"loss 0.1\nloss 0.5\n" * 20)
    reader.scroll(0)
    page = counted.page()
    assert page.lines[20:] == ("loss 0.5",) * 20


def test_a_filter_over_all_of_a_log_keeps_little_in_memory(counted, tmp_path):
    size, every = 192 * MEGABYTE, 12 * MEGABYTE
    reader = counted.reader
    reader.open(log_of(tmp_path / "log", size, every))
    counted.page()
    tracemalloc.start()
    try:
        page, cost = counted.cost(lambda: reader.filter(parse_filter("megabytes")))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert page.lines == tuple(f"{at} megabytes" for at in range(0, 192, 12))
    assert page.filling is None
    assert any(page.filling for page in counted.pages)
    assert cost > size
    assert peak < 8 * MEGABYTE


def test_of_a_page_of_short_lines_only_those_around_it_are_kept(counted, tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"\n" * MEGABYTE)
    reader = counted.reader
    reader.open(path)
    counted.page()
    reader.to_start()
    for _ in range(300):
        reader.page(1)
    counted.page()
    assert counted.reader._view is not None
    assert len(counted.reader._view._window.lines) < 10_000
