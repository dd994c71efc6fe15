"""The log viewport: any file, constant work."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from sweeptui.app.log.file import CELL_BYTES, PROGRESS_CELLS, LogFile
from sweeptui.app.log.page import Page
from sweeptui.app.log.reader import POLL_S, RUSH_S, LogReader


@pytest.fixture
def reader():
    pages: list[Page] = []
    made = LogReader(pages.append)
    thread = threading.Thread(target=made.run)
    thread.start()

    def after() -> Page:
        assert made.idle.wait(10)
        return pages[-1]

    made.after = after  # type: ignore[attr-defined]
    yield made
    made.close()
    thread.join(10)
    assert not thread.is_alive()


def numbers(page: Page) -> list[int]:
    return [int(line.split()[1]) for line in page.lines]


def write(path: Path, first: int, last: int) -> None:
    with path.open("a") as file:
        file.writelines(f"line {number}\n" for number in range(first, last))


def test_follows_the_end_stops_when_scrolled_up_and_counts_what_is_new(tmp_path, reader):
    path = tmp_path / "train.1.log"
    reader.resize(10)
    reader.open(path)
    assert reader.after().lines == ()
    write(path, 0, 100)
    reader.resize(10)
    assert numbers(reader.after()) == list(range(90, 100))
    reader.scroll(-5)
    page = reader.after()
    assert numbers(page) == list(range(85, 95))
    assert not page.following
    write(path, 100, 142)
    reader.scroll(0)
    page = reader.after()
    assert numbers(page) == list(range(85, 95))
    assert page.new_lines == 42
    reader.to_end()
    page = reader.after()
    assert page.following
    assert numbers(page) == list(range(132, 142))
    assert page.new_lines == 0


def test_scrolling_down_to_the_end_follows_again(tmp_path, reader):
    path = tmp_path / "log"
    write(path, 0, 50)
    reader.resize(10)
    reader.open(path)
    reader.page(-1)
    assert numbers(reader.after())[0] == 31
    reader.page(1)
    assert reader.after().following
    reader.to_start()
    page = reader.after()
    assert numbers(page) == list(range(10))
    assert page.start == 0
    reader.scroll(-3)
    assert numbers(reader.after())[0] == 0


def test_a_short_log_cannot_be_scrolled_away_from(tmp_path, reader):
    path = tmp_path / "log"
    write(path, 0, 3)
    reader.resize(10)
    reader.open(path)
    reader.scroll(-2)
    page = reader.after()
    assert page.following
    assert numbers(page) == [0, 1, 2]


def test_a_file_written_anew_is_followed_from_its_new_end(tmp_path, reader):
    path = tmp_path / "log"
    write(path, 0, 100)
    reader.resize(5)
    reader.open(path)
    reader.scroll(-2)
    assert not reader.after().following
    path.write_text("line 7\n")
    reader.scroll(0)
    page = reader.after()
    assert page.following
    assert numbers(page) == [7]


def opened(path: Path) -> LogFile:
    log = LogFile(path)
    assert log.look()
    return log


def forward(log: LogFile) -> list[tuple[int, int]]:
    places, at = [], 0
    while at < log.size:
        places.append((at, at := log.next(at, log.size)))
    return places


def backward(log: LogFile) -> list[tuple[int, int]]:
    places, at = [], log.size
    while at > 0:
        places.append((log.previous(at), at))
        at = places[-1][0]
    return places[::-1]


def test_a_progress_bar_is_its_last_segment(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"start\r\n 10%\r 20%\r 30%\n 40%\r 50%\r")
    log = opened(path)
    assert [log.line(*place) for place in forward(log)] == ["start", " 30%", " 50%"]


def test_a_progress_bar_of_ten_megabytes_is_one_line_with_its_newest_state(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"begins\n" + b"".join(b"%06d%% |###################|\r" % number for number in range(370_000)))
    log = opened(path)
    assert 10_000_000 < log.size < PROGRESS_CELLS * CELL_BYTES
    assert [log.line(*place) for place in forward(log)] == ["begins", "369999% |###################|"]
    assert backward(log) == forward(log)
    assert log.done == len("begins\n")


def test_a_line_that_never_ends_is_taken_in_pieces(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"first\n" + b"x" * (5 * CELL_BYTES) + b"\nlast")
    log = opened(path)
    places = forward(log)
    assert places == backward(log)
    assert [stop // CELL_BYTES for _, stop in places[1:-2]] == [2, 3, 4, 5]
    assert log.line(*places[2]) == "x" * 8192 + "…"
    assert [log.line(*place) for place in (places[0], places[-1])] == ["first", "last"]


def test_what_is_no_utf8_is_replaced(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"caf\xe9 \x80\xff ok\n")
    log = opened(path)
    assert log.line(0, log.size) == "caf\ufffd \ufffd\ufffd ok"


def test_a_log_that_rushes_by_is_looked_at_less_often(tmp_path):
    path, pages = tmp_path / "train.log", []
    path.write_text("begin\n")
    reader = LogReader(pages.append)

    def grown(text: str) -> float:
        """How long it waits after it has seen that."""
        with path.open("a") as file:
            file.write(text)
        assert reader._serve(0.0)
        while reader._turn():
            pass
        assert text.rsplit(maxsplit=1)[-1] in pages[-1].lines[-1]
        return reader._poll_s

    reader.resize(10)
    reader.open(path)
    assert grown("one\ntwo\n") == POLL_S
    assert grown("three\n") == POLL_S
    assert grown("".join(f"line {number}\n" for number in range(50))) == RUSH_S
    assert grown("".join(f"line {number}\n" for number in range(50, 100))) == RUSH_S
    assert grown("slower\n") == POLL_S
    assert grown("\r10%") == POLL_S
    assert grown("\r20%") == POLL_S
    reader.close()
