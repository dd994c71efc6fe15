"""What a real trial prints, reports and fails with, on its way to a real terminal: only colours get there."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path

import pytest
from pty_terminal import PtyTerminal, sweeptui
from rich.cells import cell_len
from test_app_ansi import assert_harmless

from sweeptui.core.ansi import sanitize

WIDTH, HEIGHT = 120, 40
HOSTILE_TEXTS = [
    "\x1b]52;c;cHduZWQ=\x07",
    "\x1b]8;;http://owned.example\x1b\\link\x1b]8;;\x1b\\",
    "\x1b]0;owned\x07",
    "\x1b]777;notify;owned;owned\x1b\\",
    "\x1b]1337;File=name=owned:AAAA\x07",
    '\x1bP$q"p\x1b\\',
    "\x1bPq#0;2;0;0;0#0~~@@\x1b\\",
    "\x1b_Gowned\x1b\\",
    "\x1b^owned\x1b\\",
    "\x1bXowned\x1b\\",
    "\x1b[2J\x1b[3J\x1b[777;777H",
    "\x1b[777A\x1b[777B\x1b[777C\x1b[777D\x1b[777G\x1b[777d",
    "\x1b[?1049l\x1b[?25h\x1b[?1000l\x1b[?2004l\x1b[?7h",
    "\x1b[!p\x1bc\x1b[6n\x1b[c\x1b[>c\x1b[21t\x1b[5i\x1b[?2026$p",
    "\x1b[1;2r\x1b[4h\x1b7\x1b8\x1bD\x1bM\x1bE\x1bH\x1b(0\x1b)B\x0e\x0f",
    "\x9b2J\x9d0;owned\x9c\x90q\x9c\x84\x85\x8d",
    "a\u202eb\u2066c\u2069d\u200be\u200df\u200eg\ufeffh\u00adi\u2028j\u2029k\u180el\U000e0041m",
    "\x08\x08\x0b\x0c\x7f\x00\x1a\x18\x05\x07",
    "\x1b]0;never ends",
    "漢字 " * 60,
    "e\u0301" * 300,
    "👩\u200d👩\u200d👧\u200d👦 🏳\ufe0f\u200d🌈 " * 20,
    "\tone\ttwo\tthree" * 30,
    "50%\r75%\r100%",
    "\x1b[31;1mred\x1b[0m \x1b[38;2;1;2;3mmany\x1b[m \x1b[58:5:1mlines",
]
"""Each acts on a terminal, or takes more or less room than it seems to."""
TRAIN = f"""\
import json, os, sys
corpus = {HOSTILE_TEXTS!r}
out = sys.stdout.buffer
def say(data):
    out.write(data + b"\\n")
    out.flush()
trial = int(os.environ["SWEEPTUI_TRIAL_DIR"][-4:])
say(b"x" * 10_000_000)
say(b"\\x1b[" + b"1;" * 200_000 + b"m")
say(bytes(range(256)) * 4)
for text in corpus:
    say(text.encode("utf-8", "surrogatepass"))
    say(text.encode("utf-8")[:-1] + b"\\xff\\xc3")
say(b"the last line")
with open(os.environ["SWEEPTUI_REPORT"], "a") as file:
    for step in (1, 2):
        metrics = {{text: 0.5 for text in corpus if len(text) < 100}}
        file.write(json.dumps({{"step": step, "score": trial + 0.5, "cost": 1.0, "metrics": metrics}}) + "\\n")
if trial == 2:
    raise RuntimeError("wrong" + "".join(corpus) + "ly")
"""
RECIPE = {
    "protein_config": {
        "metric": "score",
        "goal": "maximize",
        "method": "random",
        "parameters": {
            "model.lr": {"distribution": "uniform", "min": 0.1, "max": 0.9},
            "model.kind": {"distribution": "categorical", "values": ["".join(HOSTILE_TEXTS), HOSTILE_TEXTS[0]]},
        },
    },
    "max_trials": 3,
    "min_free_disk_mb": 0,
    "train_command": ["{python}", "-S", "train.py", "{p:model.lr}"],
}
SGR = re.compile(rb"\x1b\[[0-9;:]*m")
OURS = re.compile(
    rb"\x1b\[[0-9;:]*m|\x1b\[(?P<row>[0-9]+);(?P<column>[0-9]+)H|\x1b\[\?2026[hl]|\x1b\]22;[a-z-]*\x07|\r\n"
)
"""What the cockpit writes while it shows something: colours, where to write, when to draw it, how the pointer is."""


def assert_only_colours(written: bytes) -> None:
    """Nothing else acts on the terminal, and nothing is written beyond its edge."""
    row = column = end = 0
    for match in OURS.finditer(written):
        text = written[end : match.start()].decode("utf-8")
        bad = [char for char in text if unicodedata.category(char) in ("Cc", "Cs", "Cf", "Zl", "Zp")]
        assert not bad, f"{bad} was written in {text!r}"
        column += cell_len(text)
        assert column <= WIDTH, f"row {row} goes on to column {column}: {text!r}"
        end = match.end()
        if match["row"] is not None:
            row, column = int(match["row"]), int(match["column"]) - 1
        elif match[0] == b"\r\n":
            row, column = row + 1, 0
        assert row <= HEIGHT


@pytest.fixture
def terminal(tmp_path: Path):
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "recipe.yaml").write_text(json.dumps(RECIPE))
    terminal = PtyTerminal(
        sweeptui("recipe.yaml", "--sweep-name", "s"), tmp_path, (WIDTH, HEIGHT), COLORTERM="truecolor"
    )
    yield terminal
    terminal.close()


def test_only_colours_reach_the_terminal(terminal):
    terminal.shows("sweeptui s", "finished", "3/3", "✗ crashed")
    began = terminal.bytes.index(b"finished")
    began = terminal.bytes.index(b"\x1b[", began)

    def visit(keys: str, *texts: str) -> None:
        """Press one after the other, and see what comes of the last."""
        since = len(terminal.bytes)
        terminal.press(keys)
        terminal.shows(*texts, since=since)

    visit("g", "Log trial_0001")
    visit("j", "Log trial_0002", "wrong")
    visit("\r", "trial_0002", "RuntimeError", "kind")
    visit("\x1b", "Log trial_0002")
    visit("e", "1 ×", "RuntimeError")
    visit("\x1b", "Log trial_0002")
    visit("c", "A trial_0002", "kind")
    visit("\x1b", "Log trial_0002")
    visit("o", "slots")
    visit("\x1b", "Log trial_0002")
    visit("y", "YAML", "kind:", "Enter copies")
    visit("\x1b", "Log trial_0002")
    for tab, name in (("2", "History"), ("3", "Cost"), ("4", "Params")):
        visit(tab, name)
    visit("4", "Log")  # again: it makes room for the log
    visit("1", "score by")
    visit("k", "Log trial_0001", "the last line")
    visit("\t\t", "& filter")  # to the log, past the plots
    visit("g", "xxxxxxxxxx")
    visit("G", "the last line")
    ended = len(terminal.bytes)
    terminal.press("q")
    assert terminal.ended() == 0
    assert_only_colours(terminal.bytes[began:ended])
    assert len(SGR.findall(terminal.bytes)) > 1000
    said = terminal.after_the_screen()
    assert "\x1b" not in said
    assert said.startswith("s is finished")


def test_a_name_that_is_hostile_is_refused_in_one_harmless_line(tmp_path):
    for text in ("\x1b]52;c;AAAA\x07", "\x1b[2J", "a\u202eb"):
        (tmp_path / "recipe.yaml").write_text(json.dumps(RECIPE))
        terminal = PtyTerminal(sweeptui("recipe.yaml", "--sweep-name", f"s{text}"), tmp_path, (WIDTH, HEIGHT))
        try:
            assert terminal.ended() == 2
            [line] = terminal.bytes.decode().splitlines()
            assert line.startswith("error: ")
            assert all(unicodedata.category(char) not in ("Cc", "Cf") for char in line)
        finally:
            terminal.close()


@pytest.mark.parametrize("text", HOSTILE_TEXTS, ids=range(len(HOSTILE_TEXTS)))
def test_the_corpus_is_harmless_in_one_piece_and_in_many(text):
    for cut in range(len(text) + 1):
        assert_harmless(sanitize(text[:cut]) + sanitize(text[cut:]))
