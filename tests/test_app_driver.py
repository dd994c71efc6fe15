"""What is painted comes to the terminal whole and in order, whether or not that takes it at once."""

from __future__ import annotations

import errno
import os
import pty
import select
import signal
import sys
import time
import tty

import pytest
from textual._ansi_sequences import SYNC_END, SYNC_START
from textual.app import App
from textual.drivers._writer_thread import WriterThread

from sweeptui.app.driver import AtOnce
from sweeptui.app.home import Home
from sweeptui.app.window import Window

LARGE = "▁▂▅▇" * 3000
"""Letters of three bytes: a terminal is full in the midst of one, more often than not."""


@pytest.fixture
def terminal(monkeypatch):
    master, slave = pty.openpty()
    tty.setraw(slave)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with os.fdopen(slave, "w", encoding="utf-8") as out, os.fdopen(os.dup(slave), encoding="utf-8") as into:
        monkeypatch.setattr(sys, "__stderr__", out)
        monkeypatch.setattr(sys, "__stdin__", into)
        yield master
    os.close(master)


@pytest.fixture
def started():
    """A driver whose thread writes, as in application mode."""

    def start() -> AtOnce:
        driver = AtOnce(App())
        driver._writer_thread = WriterThread(driver._file)
        driver._writer_thread.start()
        return driver

    return start


def read(master: int, least: int) -> bytes:
    data = b""
    while len(data) < least:
        assert select.select([master], [], [], 60.0)[0], f"{len(data)} of {least} bytes came"
        data += os.read(master, 1 << 16)
    return data


async def test_a_frame_is_one_write_and_no_thread_is_woken(terminal, started, monkeypatch):
    driver, wrote = started(), []
    monkeypatch.setattr(os, "write", lambda fd, data, write=os.write: wrote.append(data) or write(fd, data))
    for part in (SYNC_START, "▁▂", "x", SYNC_END, "beside it"):
        driver.write(part)
    frame = f"{SYNC_START}▁▂x{SYNC_END}".encode()
    assert wrote == [frame, b"beside it"]
    assert driver._given == 0
    driver.close()
    assert read(terminal, len(frame) + 9) == frame + b"beside it"


async def test_what_a_terminal_does_not_take_at_once_comes_later_and_in_order(terminal, started):
    driver = started()
    texts = [f"{number}{LARGE}" for number in range(6)]
    for text in texts:
        driver.write(text)
    assert driver._given, "the terminal took it all"
    whole = "".join(texts).encode()
    assert read(terminal, len(whole)) == whole
    while driver._outlet.gone != driver._given:
        assert driver._writer_thread.is_alive()
        time.sleep(0.001)
    given = driver._given
    driver.write("again")  # once all that waited is gone, at once
    assert driver._given == given
    assert read(terminal, 5) == b"again"
    driver.close()


async def test_a_terminal_that_is_gone_is_the_threads_affair(terminal, started, monkeypatch):
    driver, failed = started(), []
    direct = driver._direct

    def write(fd, data, write=os.write):
        if fd == direct and not failed:
            failed.append(data)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return write(fd, data)

    monkeypatch.setattr(os, "write", write)
    driver.write("one")
    driver.write("two")
    assert failed == [b"one"]
    assert driver._direct is None
    assert read(terminal, 6) == b"onetwo"
    driver.close()


async def test_an_output_that_is_no_terminal_is_written_by_the_thread(terminal, started, tmp_path, monkeypatch):
    with (tmp_path / "out").open("w", encoding="utf-8") as file:
        monkeypatch.setattr(sys, "__stderr__", file)
        driver = started()
        driver.write("▁")
        driver.close()
    assert (tmp_path / "out").read_text(encoding="utf-8") == "▁"
    assert driver._given == 1


def test_every_window_has_it_and_a_chosen_one_goes_first():
    assert issubclass(Home, Window)
    assert Home.get_driver_class(object.__new__(Home)) is AtOnce
