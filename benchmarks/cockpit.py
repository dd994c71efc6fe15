"""How fast the cockpit is in a real pseudo-terminal: `python benchmarks/cockpit.py [part ...]`.

Beside each figure stands what the same machine did in the same minutes for an empty Textual app, and for Textual's own
DataTable and Log at the same work: on a shared machine only the ratios mean something.
Parts: start, keys, memory, filter. Together they take five to seven minutes.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cockpit_parts import load, plain
from cockpit_parts.sweeps import RUNNING, build
from cockpit_parts.terminal import COLUMNS, ROWS, Terminal

from sweeptui.app import theme

HERE = Path(__file__).parent
SWEEPTUI = str(Path(sys.executable).with_name("sweeptui"))
SIZES = (100, 1_000, 10_000, 100_000)
MANY, MOST = 10_000, 100_000
STARTS = 5
KEYS, THEIR_KEYS = 200, 15
CPU_S = 8.0
SETTLE_S = 3.0
LOG_BYTES = 1_000_000_000
PLAIN_LOG_BYTES = 50_000_000
"""Textual's Log holds every line: 1 GB would need more than this machine has time for."""
QUERY = b"lr<1e-3 score>450"
DOWN, UP, PAGE_DOWN, HOME, END = b"\x1b[B", b"\x1b[A", b"\x1b[6~", b"\x1b[H", b"\x1b[F"
READY = re.compile(rb"(ready)")


def on_row(colour: str) -> re.Pattern[bytes]:
    """The number on the line that has this background: where the cursor is."""
    return re.compile(rb"48;2;%d;%d;%dm[ \xe2\x97\x8f]*(\d+) *\x1b" % tuple(bytes.fromhex(colour.removeprefix("#"))))


OURS, THEIRS = on_row(theme.CURSOR), on_row(plain.CURSOR)


def cockpit(root: Path, name: str) -> Terminal:
    return Terminal([SWEEPTUI, "attach", name, "--root", str(root)])


def empty() -> Terminal:
    return Terminal([sys.executable, "-m", "cockpit_parts.empty"])


def textual(*words: object) -> Terminal:
    return Terminal([sys.executable, "-m", "cockpit_parts.plain", *map(str, words)])


def p95(values: Sequence[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(0.95 * len(values)))]


def verdict(value: float, target: float) -> str:
    return f"target {target:g}: {'held' if value <= target else 'MISSED'}"


# -- start


def start(root: Path) -> None:
    """From exec to the last byte of the frame that has the newest trial's row."""
    for size in SIZES:
        build(root, f"of-{size}", size)
    began: dict[object, list[float]] = {}
    for _ in range(STARTS):
        for size in (0, *SIZES):
            with empty() if not size else cockpit(root, f"of-{size}") as terminal:
                at, _ = terminal.until(OURS if size else READY)
                began.setdefault(size, []).append(at - terminal.started)
    for size in (100, 1_000, 10_000):
        with textual("table", size) as terminal:
            at, _ = terminal.until(THEIRS)
            began[f"DataTable, {size:,} rows"] = [at - terminal.started]
    least = statistics.median(began[0])
    print(f"first frame, median (slowest) of {STARTS}")
    print(f"  {'empty Textual app':28} {1000 * least:6.0f} ({1000 * max(began[0]):.0f}) ms")
    for size, times in began.items():
        if size != 0:
            median = statistics.median(times)
            name = f"cockpit, {size:,} trials" if isinstance(size, int) else str(size)
            note = "   " + verdict(median / least, 2) if size == MANY else ""
            print(f"  {name:28} {1000 * median:6.0f} ({1000 * max(times):.0f}) ms  {median / least:4.2f} x{note}")


# -- keys


@contextmanager
def busy(folder: Path, log: Path) -> Iterator[None]:
    """50 trials report 4 times a second each, a log grows by 20,000 lines a second, Protein fits."""
    with ExitStack() as stack:
        for words in (["trials", str(folder)], ["log", str(log)], ["protein"]):
            process = subprocess.Popen(
                [sys.executable, "-m", "cockpit_parts.load", *words],
                stdout=subprocess.PIPE if words == ["protein"] else subprocess.DEVNULL,
                env=os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
                start_new_session=True,  # Linux shares the cores among sessions: else the terminal itself would wait
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            if process.stdout is not None:
                stack.callback(process.stdout.close)
                assert process.stdout.readline(), "Protein suggested nothing"
        yield


def slowness() -> float:
    """CPU seconds that a fixed computation takes: longer where another process is on the other half of a core."""
    took = []
    for _ in range(40):
        began = time.process_time()
        sum(index * index for index in range(200_000))
        took.append(time.process_time() - began)
        time.sleep(0.03)
    return statistics.median(took)


class Pressed:
    """How long the keys took, in seconds."""

    def __init__(self, name: str, terminal: Terminal, row: re.Pattern[bytes], count: int = KEYS) -> None:
        self.answers: dict[str, list[float]] = {"down": [], "pagedown": []}
        self.quiet: dict[str, list[float]] = {"down": [], "pagedown": []}
        at: bytes | None = None
        for index in range(count):
            if index % 20 == 0:  # to and fro among those that run
                terminal.send(UP * 20)
                time.sleep(0.7)
            at = self._press(terminal, "down", DOWN, row, at, index)
        terminal.send(HOME)
        time.sleep(0.7)
        for index in range(count):
            at = self._press(terminal, "pagedown", PAGE_DOWN, row, at, index)
        terminal.send(END)  # where trials run, and the log grows
        time.sleep(SETTLE_S)  # what the keys leave behind, as garbage, is not what it is like without them
        self.cpu = terminal.cpu_share(CPU_S)
        print(f"  {name:28}", end="")
        for key, answers in self.answers.items():
            shown = (1000 * statistics.median(answers), 1000 * p95(answers), 1000 * p95(self.quiet[key]))
            print("  {} {:5.1f} {:5.1f} ({:.0f})".format(key, *shown), end="")
        print(f"  CPU {abs(self.cpu):5.1%}", flush=True)

    def _press(
        self, terminal: Terminal, name: str, key: bytes, row: re.Pattern[bytes], before: bytes | None, index: int
    ) -> bytes:
        answer, quiet, at = terminal.press(key, row, before)
        self.answers[name].append(answer)
        self.quiet[name].append(quiet)
        time.sleep(0.02 + 0.037 * (index % 4))  # at no fixed time between two updates
        return at


def keys(root: Path) -> None:
    """From a key to the last byte of the frame in which the cursor is on another row."""
    log = root / "train.log"
    log.write_bytes(load.lines(0, 20_000))
    folder = build(root, "live", MANY, RUNNING, log, logs=2_500)
    build(root, "over", MANY, 0, log, logs=2_500)
    print(f"keys at {MANY:,} trials, {KEYS} of each (fewer for DataTable). Busy: {RUNNING} trials report at")
    print(f"{load.UPDATES_HZ} Hz each, the log on screen grows by {load.LINES_PER_S:,} lines/s, Protein fits.")
    print("Milliseconds to the answer, median and p95; in brackets p95 until nothing was painted for 25 ms,")
    print("by whatever was the cause")
    with cockpit(root, "over") as terminal:
        terminal.until(OURS)
        terminal.quiet(1.0, 8.0)
        alone = slowness()
        idle = Pressed("cockpit, idle", terminal, OURS)
    with textual("table", MANY) as terminal:
        terminal.until(THEIRS)
        terminal.send(END)
        terminal.quiet(1.0, 8.0)
        Pressed("DataTable and Log, idle", terminal, THEIRS, THEIR_KEYS)
    with busy(folder, log):
        slower = slowness() / alone
        with cockpit(root, "live") as terminal:
            terminal.until(OURS)
            time.sleep(3)
            loaded = Pressed("cockpit, busy", terminal, OURS)
        with textual("table", MANY, "--busy", log) as terminal:
            terminal.until(THEIRS)
            terminal.send(END)
            time.sleep(3)
            Pressed("DataTable and Log, busy", terminal, THEIRS, THEIR_KEYS)
    for key, answers in idle.answers.items():
        ratio = p95(loaded.answers[key]) / p95(answers)
        print(f"  {key}: p95 busy is {ratio:.2f} times idle, {verdict(ratio, 1.5)}")
    print(f"  a fixed computation takes {slower:.2f} times the CPU time while it is busy")
    for name, pressed, most in (("busy", loaded, 15), ("idle", idle, 1)):
        print(f"  CPU {name} {100 * pressed.cpu:.1f} %, {verdict(100 * pressed.cpu, most)}")


# -- memory


def write_log(path: Path, size: int) -> None:
    block = load.lines(0, 10_000)
    with path.open("wb") as file:
        for _ in range(size // len(block)):
            file.write(block)


def memory(root: Path) -> None:
    """Resident memory of the process that draws, with a log of 1 GB on screen."""
    log, few = root / "large.log", root / "small.log"
    write_log(log, LOG_BYTES)
    write_log(few, PLAIN_LOG_BYTES)
    build(root, "logged", 100, 0, log, logs=100)
    with cockpit(root, "logged") as terminal:
        terminal.until(OURS)
        terminal.until(re.compile(rb"(sps 791)"))
        terminal.quiet(1.0, 10.0)
        opened = terminal.rss_mb()
        terminal.send(b"l")  # the log has the keys: to its start, its end, and a search that finds nothing
        for key in (b"g", b"G", b"\x1b[5~" * 5, b"/nothing like it\r"):
            terminal.send(key)
            terminal.quiet(0.5, 10.0)
        used = terminal.rss_mb()
    with empty() as terminal:
        terminal.until(READY)
        least = terminal.rss_mb()
    with textual("log", few) as terminal:
        terminal.until(READY)
        theirs = terminal.rss_mb()
    print("resident memory")
    print(f"  {'empty Textual app':42} {least:5.0f} MB")
    print(f"  {f'cockpit, log of {LOG_BYTES / 1e9:g} GB':42} {opened:5.0f} MB")
    print(f"  {'  after its start, its end and a search':42} {used:5.0f} MB  {verdict(used, 120)}")
    print(f"  {f'Log, {PLAIN_LOG_BYTES / 1e6:g} MB of it':42} {theirs:5.0f} MB")


# -- filter


def filtering(root: Path) -> None:
    """From a key in the filter to the last byte before 25 ms of nothing."""
    build(root, "filtered", MOST)
    with cockpit(root, "filtered") as terminal:
        terminal.until(OURS)
        terminal.quiet(2.0, 20.0)
        times = []
        for _ in range(3):
            terminal.send(b"/")
            terminal.quiet(0.3, 2.0)
            for letter in QUERY:
                times.append(terminal.type(bytes([letter])))
                time.sleep(0.1)
            terminal.send(b"\x1b")
            terminal.quiet(0.5, 3.0)
    with textual("table", MANY) as terminal:
        terminal.until(THEIRS)
        terminal.quiet(1.0, 10.0)
        theirs = [terminal.type(digit) for digit in (b"1", b"2", b"3")]
    print(f"filter, milliseconds from a key to the last byte, each of {len(times)} keys of {QUERY.decode()!r}")
    for name, took in ((f"cockpit, {MOST:,} trials", times), (f"DataTable, {MANY:,} rows, put in anew", theirs)):
        print(f"  {name:38} median {1000 * statistics.median(took):6.0f}  p95 {1000 * p95(took):6.0f}")


PARTS = {"start": start, "keys": keys, "memory": memory, "filter": filtering}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; all where none is named")
    parts: list[str] = parser.parse_args().parts or list(PARTS)
    if unknown := [part for part in parts if part not in PARTS]:
        parser.error(f"there is no part {unknown[0]!r}; the parts are {', '.join(PARTS)}")
    os.environ["PYTHONPATH"] = str(HERE)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # in a pipe, too, each part is told when it is over
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}, {COLUMNS}x{ROWS}\n")
    for part in parts:
        folder = Path(tempfile.mkdtemp(prefix="sweeptui-bench-"))
        began = time.perf_counter()
        try:
            PARTS[part](folder)
        finally:
            shutil.rmtree(folder)
        print(f"  ({time.perf_counter() - began:.0f} s)\n", flush=True)


if __name__ == "__main__":
    main()
