"""A remote log that is seen in pieces becomes the files that a local job would write, whatever happens in between."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeptui.dispatchers.skypilot import runner, stream
from sweeptui.dispatchers.skypilot.stream import hand_on
from sweeptui.dispatchers.skypilot.transport import MOVED, Transport


class Files:
    def __init__(self, folder: Path) -> None:
        self.log, self.reports, self.state = folder / "log", folder / "reports", folder / "state.json"

    def transport(self, **more: str) -> Transport:
        return Transport(self.log, self.reports, self.state, **more)

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


def numbered(texts: list[str], start: str = "a1", first: int = 1) -> list[str]:
    return [f"\x1b[36m(st-x, pid=7)\x1b[0m sweeptui-{start}:{n}|{text}" for n, text in enumerate(texts, first)]


@given(
    kinds=st.lists(st.booleans(), min_size=1, max_size=30),
    views=st.lists(
        st.tuples(st.integers(0, 30), st.integers(1, 30), st.sampled_from(["", "log", "state"])), max_size=8
    ),
)
@settings(max_examples=60, deadline=None)
def test_each_line_is_written_once(tmp_path_factory, kinds, views) -> None:
    """Pieces in any order and overlap, with a crash between the write of the files and that of the position."""
    files = Files(tmp_path_factory.mktemp("log"))
    texts = [f'::sweeptui:: {{"n": {n}}}' if report else f"line {n}" for n, report in enumerate(kinds)]
    remote = numbered(texts)
    transport = files.transport()
    for upto, tail, crash in views:
        seen = remote[:upto]
        before = files.state.read_text() if files.state.exists() else None
        if transport.feed(seen[-tail:], whole=len(seen) <= tail).gap:
            assert not transport.feed(seen, whole=True).gap
        if crash:
            # The position was not written any more, and perhaps half a line was.
            if before is None:
                files.state.unlink(missing_ok=True)
            else:
                files.state.write_text(before)
            if crash == "log" and files.lines():
                with files.log.open("a") as log:
                    log.write("half a li")
            transport = files.transport()
    transport.feed(remote, whole=True)
    assert files.lines() == [text for text, report in zip(texts, kinds, strict=True) if not report]
    reports = files.reports.read_text().splitlines() if files.reports.exists() else []
    assert [json.loads(line)["n"] for line in reports] == [n for n, report in enumerate(kinds) if report]


def test_a_job_that_was_moved_begins_again(tmp_path: Path) -> None:
    files = Files(tmp_path)
    transport = files.transport()
    transport.feed(numbered(["1", "2"]), whole=True)
    assert transport.feed(numbered(["2", "3"], "b2", 2), whole=False).gap
    transport.feed(numbered(["1", "2", "3"], "b2"), whole=True)
    transport.feed(numbered(["1", "2"]), whole=True)
    assert files.lines() == ["1", "2", MOVED, "1", "2", "3"]
    files.transport().feed(numbered(["1", "2", "3", "4"], "b2"), whole=True)
    assert files.lines()[-1] == "4"


def test_lines_that_skypilot_has_lost_are_counted(tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.transport().feed([*numbered(["1"]), *numbered(["5"], first=5)], whole=True)
    assert files.lines() == ["1", "-- 3 lines of the remote log are missing here --", "5"]


def test_a_checkpoint_in_a_bucket_gets_its_address(tmp_path: Path) -> None:
    files = Files(tmp_path)
    transport = files.transport(mount="/mnt", uri="s3://bucket/base/")
    texts = [
        '::sweeptui:: {"checkpoint":"/mnt/s/trial_0001/last.pt","step":3}',
        '::sweeptui:: {"checkpoint":"/mntx/a"}',
    ]
    transport.feed(numbered(texts), whole=True)
    said = [json.loads(line) for line in files.reports.read_text().splitlines()]
    assert said == [{"checkpoint": "s3://bucket/base/s/trial_0001/last.pt", "step": 3}, {"checkpoint": "/mntx/a"}]


def test_what_skypilot_says_itself_is_no_line_of_the_job(tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.transport().feed(
        ["Job started. Streaming logs...", *numbered(["x sweeptui-a1:9|y"]), "Job finished"], whole=True
    )
    assert files.lines() == ["x sweeptui-a1:9|y"]


# -- a log that is followed --------------------------------------------------------------------------------------------


def test_what_is_followed_comes_in_whole_lines() -> None:
    taken: list[str] = []
    pieces = iter(["a", "b\nc\x85", None, "d\n", "", "\n", "no end"])
    hand_on(pieces, taken.extend, threading.Event())
    assert taken == ["ab", "c\x85d", ""]


def test_what_came_before_an_error_is_handed_on() -> None:
    taken: list[str] = []

    def pieces() -> Iterator[str]:
        yield "a\n"
        raise OSError("hung up")

    with pytest.raises(OSError, match="hung up"):
        hand_on(pieces(), taken.extend, threading.Event())
    assert taken == ["a"]


def test_who_stops_a_stream_gets_no_more_and_it_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    # More comes than is read ahead.
    monkeypatch.setattr(stream, "AHEAD", 3)
    taken: list[str] = []
    stopped, closed = threading.Event(), threading.Event()

    def pieces() -> Iterator[str]:
        try:
            while True:
                yield "x\n"
        finally:
            closed.set()

    def take(lines: Sequence[str]) -> None:
        taken.extend(lines)
        stopped.set()

    hand_on(pieces(), take, stopped)
    assert closed.is_set()
    assert 3 <= len(taken) <= 5


# -- what runs on the remote machine ----------------------------------------------------------------------------------


def run(folder: Path, script: str, **more: object) -> tuple[Files, Transport, int]:
    spec = {"argv": ["sh", "-c", script], "trial_dir": str(folder / "there"), "params": {"x": 1}}
    words = [sys.executable, "-c", Path(runner.__file__).read_text()]
    told = json.dumps({"timeout_s": None, "grace_s": 5, **spec, **more})
    done = subprocess.run([*words, told], capture_output=True, timeout=60, check=False, cwd=folder)
    assert not done.stderr, done.stderr
    files = Files(folder)
    transport = files.transport()
    transport.feed(done.stdout.decode("utf-8", "replace").split("\n"), whole=True)
    assert transport.end is not None
    return files, transport, done.returncode


def test_the_runner_tells_lines_and_exit_code(tmp_path: Path) -> None:
    script = r"""echo out; echo err >&2; printf 'a 1%%\ra 2%%\rb\n'; cat "$SWEEPTUI_PARAMS"; echo; exit 7"""
    files, transport, code = run(tmp_path, script)
    assert files.lines() == ["out", "err", "b", '{"x": 1}']
    assert code == 7
    assert transport.end is not None
    assert (transport.end["code"], transport.end["signal"], transport.end["timed_out"]) == (7, None, False)
    assert (tmp_path / "there" / "checkpoints").is_dir()


def test_the_runner_hands_wandb_the_config(tmp_path: Path) -> None:
    script = 'echo "$WANDB_DIR"; cat "$WANDB_SWEEP_PARAM_PATH"'
    files, _, code = run(tmp_path, script, wandb_config="lr:\n  value: 0.1\n")
    assert files.lines() == [str(tmp_path / "there"), "lr:", "  value: 0.1"]
    assert code == 0


def test_the_runner_ends_what_takes_too_long(tmp_path: Path) -> None:
    _, transport, code = run(tmp_path, "trap '' TERM; sleep 100 & wait; sleep 100", timeout_s=0.3, grace_s=0.3)
    assert transport.end is not None
    assert (transport.end["signal"], transport.end["timed_out"], code) == (9, True, 137)


def test_the_runner_says_when_there_is_no_such_program(tmp_path: Path) -> None:
    files, transport, code = run(tmp_path, "", argv=["no-such-program"])
    assert code == 127
    assert transport.end is not None
    assert "no-such-program cannot be started" in transport.end["message"]
    assert "no-such-program cannot be started" in files.lines()[0]


def test_the_runner_sends_a_very_long_line_in_parts(tmp_path: Path) -> None:
    files, _, _ = run(tmp_path, "head -c 300000 /dev/zero | tr '\\0' x; echo; echo end")
    *parts, last = files.lines()
    assert last == "end"
    assert len(parts) == 3
    assert "".join(parts) == "x" * 300000


@pytest.mark.parametrize("left", ["sleep 60 &", "setsid sleep 60 &"])
def test_the_runner_does_not_wait_for_what_is_left_behind(tmp_path: Path, left: str) -> None:
    _, transport, code = run(tmp_path, f"{left} echo done")
    assert code == 0
    assert transport.end is not None
