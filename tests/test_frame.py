"""`sweeptui frame`: exact text, colours and nothing else, and pictures that need nothing from outside."""

from __future__ import annotations

import re
import struct
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from app_sweep import NOW, busy_sweep
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from sweeptui.app.frame import HOME_SCREENS, SCREENS, Frame
from sweeptui.app.svg import BAR, CELL_H, CELL_W, MARGIN, svg
from sweeptui.app.watcher import Watcher
from sweeptui.cli import frame as command
from sweeptui.cli import main

SWEEP = "ppo-calm-otter"
SGR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NO_COLOR", raising=False)
    return busy_sweep(tmp_path)


@pytest.fixture
def shoot(sweep, capsys):
    """Run the command and return what it printed."""

    def run(*words: str, code: int = 0) -> str:
        assert main(["frame", *words]) == code
        said = capsys.readouterr()
        return said.out if code == 0 else said.err

    return run


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
def test_a_frame_has_exactly_its_size_and_no_escapes(shoot, size):
    lines = shoot(SWEEP, "--size", f"{size[0]}x{size[1]}").splitlines()
    assert len(lines) == size[1]
    assert {cell_len(line) for line in lines} == {size[0]}
    assert not any(ord(character) < 32 for line in lines for character in line)
    assert "497.6★" in "".join(lines)


def test_the_same_sweep_at_the_same_time_is_the_same_frame(shoot):
    words = (SWEEP, "--now", str(NOW + 200), "--at-trial", "9")
    first = shoot(*words)
    assert first == shoot(*words)
    assert "Log trial_0009 train" in first
    assert first != shoot(SWEEP, "--now", str(NOW + 2000), "--at-trial", "9")


def test_the_cursor_is_where_it_was_asked_for(shoot):
    assert "CUDA" not in shoot(SWEEP, "--at-trial", "trial_0001")
    assert "Log trial_0006" in shoot(SWEEP, "--at-trial", "6")
    assert "sweep ppo-calm-otter has no trial 99; it has 10" in shoot(SWEEP, "--at-trial", "99", code=2)


def test_colours_are_the_only_escapes(shoot):
    plain, coloured = shoot(SWEEP, "--now", str(NOW)), shoot(SWEEP, "--now", str(NOW), "--ansi")
    assert SGR.search(coloured)
    assert SGR.sub("", coloured) == plain


def test_every_screen_of_a_sweep_can_be_shown_and_changes_nothing(shoot, sweep):
    before = sweep.store.journal()
    shown = {screen: shoot(SWEEP, "--screen", screen, "--at-trial", "5", "--size", "100x30") for screen in SCREENS}
    assert {len(text.splitlines()) for text in shown.values()} == {30}
    assert len(set(shown.values())) == len(SCREENS)
    assert sweep.store.journal() == before


def test_whatever_a_frame_presses_is_not_entered(shoot, sweep, monkeypatch):
    asked = []
    submit = Watcher.submit
    monkeypatch.setitem(SCREENS, "pausing", ("pause_sweep",))
    monkeypatch.setattr(
        Watcher, "submit", lambda self, verb, *told, **args: (asked.append(verb), submit(self, verb, *told, **args))
    )
    shoot(SWEEP, "--screen", "pausing")
    assert asked == ["pause"]
    assert sweep.command() is None


def test_the_screens_of_no_sweep_need_none(shoot):
    assert "Sweeps 1" in shoot("--screen", "sweeps", "--size", "100x30")
    assert "New sweep" in shoot("--screen", "new", "--size", "100x30")


def test_a_damaged_sweep_gives_a_frame_that_says_so(shoot, tmp_path):
    folder = tmp_path / "train_dir/sweeps/bad"
    folder.mkdir()
    (folder / "sweep.db").write_bytes(b"SQLite format 3\0" + b"no database" * 500)
    assert "is damaged" in shoot("bad", "--size", "200x24")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((SWEEP, "--size", "wide"), "'wide' is no size; write columns and lines, as in 120x40"),
        ((SWEEP, "--size", "5x5"), "5x5 is outside 20x5 to 1000x500"),
        ((SWEEP, "--screen", "moon"), "screen is 'moon'; it can be main,"),
        ((), "screen 'main' is of a sweep: name the sweep, or choose one of sweeps or new"),
        (("elsewhere",), "there is no sweep 'elsewhere'"),
        ((SWEEP, "--svg", "no/such/folder.svg"), "no/such/folder.svg cannot be written: No such file or directory"),
    ],
)
def test_what_cannot_be_shown_is_refused(shoot, words, why):
    assert why in shoot(*words, code=2)


# -- pictures


def test_an_svg_needs_nothing_from_outside(shoot, tmp_path):
    assert shoot(SWEEP, "--svg", "out.svg", "--at-trial", "9") == ""
    text = (tmp_path / "out.svg").read_text()
    root = ElementTree.fromstring(text)
    assert (root.get("width"), root.get("height")) == (str(120 * CELL_W + 2 * MARGIN), str(40 * CELL_H + BAR + MARGIN))
    assert set(re.findall(r"https?://[^\"]*", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"@font-face|@import|url\(|<script|<image|href=", text)
    words = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {SWEEP, "497.6", "trial_0009", "Trials"} <= words


def test_a_png_is_twice_as_dense(shoot, tmp_path):
    try:
        command._renderer()
    except command.UserError:
        pytest.skip("nothing here draws SVG")
    shoot(SWEEP, "--size", "80x24", "--png", "out.png")
    data = (tmp_path / "out.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    expected = (2 * (80 * CELL_W + 2 * MARGIN), 2 * (24 * CELL_H + BAR + MARGIN))
    assert struct.unpack(">II", data[16:24]) == expected


def test_without_a_renderer_a_png_is_refused_with_the_fix(shoot, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "cairosvg", None)
    assert "--png needs a program that draws SVG: install rsvg-convert" in shoot(SWEEP, "--png", "out.png", code=2)
    assert not Path("out.png").exists()


def test_a_renderer_that_fails_is_quoted(shoot, tmp_path, monkeypatch):
    broken = tmp_path / "bin" / "rsvg-convert"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho 'out of ink' >&2\nexit 7\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{broken.parent}:/usr/bin:/bin")
    assert f"{broken} could not draw the frame: out of ink" in shoot(SWEEP, "--png", "out.png", code=2)
    assert not Path("out.png").exists()


styles = st.builds(
    Style,
    color=st.sampled_from([None, "red", "#123456", "color(77)"]),
    bgcolor=st.sampled_from([None, "blue", "#654321"]),
    bold=st.booleans(),
    dim=st.booleans(),
    italic=st.booleans(),
    underline=st.booleans(),
    reverse=st.booleans(),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(st.tuples(st.text(max_size=12), styles), max_size=6), max_size=4), st.text(max_size=10))
def test_whatever_stands_in_it_an_svg_is_well_formed(lines, title):
    strips = [Strip([Segment(text, style) for text, style in line]) for line in lines]
    root = ElementTree.fromstring(svg(strips, title))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"


@given(st.lists(st.text(alphabet=st.characters(blacklist_categories=("Cc", "Cs")), max_size=30), max_size=4))
def test_text_is_as_wide_as_the_frame(lines):
    frame = Frame(tuple(Strip([Segment(line)]) for line in lines), 20, "t")
    for line in frame.text().split("\n")[:-1]:
        assert cell_len(line) == 20


def test_lines_meet_and_blocks_are_shapes():
    strips = [Strip([Segment("╭──╮▅⣿")]), Strip([Segment("╰━━╯ a")])]
    root = ElementTree.fromstring(svg(strips, "t"))
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["t", "a"]


def test_the_home_screens_are_known():
    assert not set(HOME_SCREENS) & set(SCREENS)
