"""The keys and the mouse in the log pane."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from app_sweep import Sweep, busy_sweep, frame, toasts, until, widths

from sweeptui.app.cockpit import Cockpit
from sweeptui.app.log import pattern
from sweeptui.app.log.rows import Row, breaks, wrapped
from sweeptui.app.log.view import _HIT, _HIT_HERE
from sweeptui.core.ansi import sanitize
from sweeptui.core.trial import Stage, TrialStatus

RUNNING, QUEUED, FAILED = 9, 10, 6
"""Trials of `busy_sweep`."""
READ_ONLY = "this window only watches"


@pytest.fixture(autouse=True)
def _still(monkeypatch):
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")


@asynccontextmanager
async def log(sweep: Sweep, size=(120, 40), read_only=""):
    """The cockpit with the focus on the log of the running trial."""
    app = Cockpit(sweep.folder, utf8=True, clock=sweep.clock, read_only=read_only)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.snapshot is not None, "the first snapshot")
        app.table.select(RUNNING)
        await until(pilot, lambda: app.snapshot.focus and app.snapshot.focus.trial == RUNNING, "focus")
        await until(pilot, lambda: app.log_view.page.lines, "the log")
        app.log_view.focus()
        await until(pilot, lambda: app.log_view.has_focus, "the focus")
        yield app, pilot


def screen(app) -> str:
    return "\n".join(frame(app))


def bar(app) -> str:
    return app.log_pane.bar.render_line(0).text if app.log_pane.bar.display else ""


def current(app) -> str:
    page = app.log_view.page
    return "" if page.current is None else sanitize(page.lines[page.current], colour=False)


async def write(pilot, text: str) -> None:
    names = {" ": "space", "-": "minus", ":": "colon", "(": "left_parenthesis", "|": "vertical_line"}
    await pilot.press(*(names.get(char, char) for char in text))


def marked(app, style) -> list[str]:
    """What is on screen in a style, of the log."""
    strips = [app.log_view.render_line(y) for y in range(app.log_view.size.height)]
    segments = [segment for strip in strips for segment in strip if segment.style is not None]
    return [segment.text for segment in segments if segment.style.bgcolor == style.bgcolor]


# -- searching


async def test_a_search_marks_every_hit_and_goes_from_one_to_the_next_and_round(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with log(sweep) as (app, pilot):
        await pilot.press("slash")
        await write(pilot, "epoch  3")
        await until(pilot, lambda: "2 of 2" in bar(app), "the newest hit")
        assert current(app).startswith("epoch  31")
        assert marked(app, _HIT_HERE) == ["epoch  3"]
        assert marked(app, _HIT) == ["epoch  3"]
        assert "Enter keeps it" in screen(app)
        await pilot.press("enter")
        assert app.log_view.has_focus
        assert not app.log_view.page.following
        await pilot.press("N")
        await until(pilot, lambda: "1 of 2" in bar(app), "the one before")
        assert current(app).startswith("epoch  30")
        await pilot.press("N")
        await until(pilot, lambda: "2 of 2, on from the end" in bar(app), "round")
        await pilot.press("n")
        await until(pilot, lambda: "1 of 2, on from the start" in bar(app), "round again")
        assert widths(app) == {120}
        await pilot.press("escape")
        await until(pilot, lambda: app.log_view.page.search is None, "the end of the search")
        assert not marked(app, _HIT)
        await pilot.press("n")
        assert toasts(app) == ["nothing is searched for: / begins"]
        await pilot.press("escape")
        assert app.table.has_focus


async def test_what_is_not_there_is_said_and_escape_goes_back(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with log(sweep) as (app, pilot):
        await pilot.press("pageup")
        await until(pilot, lambda: not app.log_view.page.following, "leaving the end")
        before = app.log_view.page.lines
        await pilot.press("slash")
        await write(pilot, "epoch   5")
        await until(pilot, lambda: current(app).startswith("epoch   5"), "the hit")
        await write(pilot, "x")
        await until(pilot, lambda: "not found" in bar(app), "that it is not there")
        await pilot.press("escape")
        await until(pilot, lambda: app.log_view.page.search is None, "the end of the search")
        await until(pilot, lambda: app.log_view.page.lines[: len(before) - 1] == before[:-1], "the page as it was")
        assert app.log_view.has_focus


async def test_an_expression_that_is_wrong_is_said_and_not_kept(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with log(sweep) as (app, pilot):
        await pilot.press("slash")
        await write(pilot, "re:epoch +(")
        await until(pilot, lambda: "the regular expression is not complete: missing )" in screen(app), "what is wrong")
        await pilot.press("enter")
        assert not app.log_view.has_focus
        await write(pilot, "2|4")
        await pilot.press("right_parenthesis")
        await until(pilot, lambda: app.log_pane.line.input.value.endswith(")"), "the end of it")
        await until(pilot, lambda: "the regular expression" not in screen(app), "that it is right")
        await pilot.press("enter")
        await until(pilot, lambda: app.log_view.has_focus, "going on")
        await until(pilot, lambda: current(app).startswith(("epoch   4", "epoch  2")), "a hit")


async def test_an_expression_that_never_ends_is_given_up_with_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(pattern, "LINE_S", 0.01)
    sweep = busy_sweep(tmp_path)
    sweep.write_log(RUNNING, "a" * 60 + "b\n")
    async with log(sweep) as (app, pilot):
        app.log_view.reader.search(pattern.parse_search("re:(a|aa)+$"))
        await until(pilot, lambda: "takes too long on a line of this log" in bar(app), "that it is given up")
        assert app.log_view.page.lines
        app.log_view.reader.filter(pattern.parse_filter("re:(a|aa)+$"))
        await until(pilot, lambda: "takes too long" in app.log_view.page.problem, "that it is given up")
        await until(pilot, lambda: not app.log_view.page.filter and app.log_view.page.lines, "all lines")


async def test_a_hit_that_is_far_to_the_right_is_brought_on_screen(tmp_path):
    sweep = busy_sweep(tmp_path)
    sweep.write_log(RUNNING, "begins " + "x" * 500 + " needle " + "x" * 50 + "\n")
    async with log(sweep) as (app, pilot):
        assert "needle" not in screen(app)
        await pilot.press("slash")
        await write(pilot, "needle")
        await until(pilot, lambda: marked(app, _HIT_HERE) == ["needle"], "the hit")
        await write(pilot, "s")
        await pilot.press("escape", "f")
        await until(pilot, lambda: "begins xx" in screen(app), "the beginning")


async def test_a_search_is_kept_for_another_trial_and_what_was_written_comes_again(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with log(sweep) as (app, pilot):
        for text in ("epoch", "Memory"):
            await pilot.press("slash")
            await write(pilot, text)
            await pilot.press("enter")
        await until(pilot, lambda: "not found" in bar(app), "that it is not there")
        app.table.select(QUEUED)
        await until(pilot, lambda: "has not been started yet" in screen(app), "no log")
        app.table.select(FAILED)
        await until(pilot, lambda: marked(app, _HIT) == ["Memory"], "the hit")
        await pilot.press("n")
        await until(pilot, lambda: "1 of 1" in bar(app), "the hit it has come to")
        await pilot.press("slash", "up")
        assert app.log_pane.line.input.value == "Memory"
        await pilot.press("up")
        assert app.log_pane.line.input.value == "epoch"
        await pilot.press("down", "down")
        assert app.log_pane.line.input.value == ""


# -- filtering


async def test_a_filter_shows_some_lines_and_follows_those_that_come(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with log(sweep) as (app, pilot):
        await pilot.press("ampersand")
        await until(pilot, lambda: 'some words  "a phrase"' in screen(app), "what can be written")
        await write(pilot, "epoch -1 -2")
        await pilot.press("enter")
        await until(pilot, lambda: app.log_view.page.filter == "epoch -1 -2", "the filter")
        assert app.log_view.page.following
        assert "& epoch -1 -2" in bar(app)
        assert "Esc shows all lines" in bar(app)
        assert not any("1" in sanitize(line, colour=False) for line in app.log_view.page.lines)
        sweep.write_log(RUNNING, "epoch 333\nwarning\nepoch 12\nepoch 444\n")
        await until(pilot, lambda: app.log_view.page.lines[-2:] == ("epoch 333", "epoch 444"), "those that pass")
        await pilot.press("g")
        sweep.write_log(RUNNING, "epoch 555\nwarning\n")
        await until(pilot, lambda: "↓ 1 new line " in bar(app), "those that are new")
        await pilot.press("escape")
        await until(pilot, lambda: not app.log_view.page.filter, "all lines")
        await pilot.press("f")
        await until(pilot, lambda: app.log_view.page.lines[-1] == "warning", "the end")
        await until(pilot, lambda: not app.log_pane.bar.display, "no bar")


async def test_where_no_line_passes_it_is_said(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with log(sweep, size=(80, 24)) as (app, pilot):
        await pilot.press("ampersand")
        await write(pilot, "nothing")
        await until(pilot, lambda: "no line passes the filter" in screen(app), "that there is none")
        await pilot.press("escape")
        await until(pilot, lambda: "epoch  31" in screen(app), "all lines")
        assert not app.log_view.page.filter
        assert widths(app) == {80}


async def test_a_filter_that_is_taken_away_leaves_the_line_that_was_found_where_it_is(tmp_path):
    sweep = busy_sweep(tmp_path)
    sweep.write_log(RUNNING, "".join(f"noise {n}\n" * 20 + f"epoch {n}\n" for n in range(100, 160)))
    async with log(sweep) as (app, pilot):
        await pilot.press("ampersand")
        await write(pilot, "epoch")
        await pilot.press("enter", "slash")
        await write(pilot, "epoch 120")
        await until(pilot, lambda: current(app) == "epoch 120", "the hit")
        await pilot.press("enter")
        row = app.log_view.page.current
        app.log_view.reader.filter(None)
        await until(pilot, lambda: not app.log_view.page.filter, "all lines")
        assert current(app) == "epoch 120"
        assert app.log_view.page.current == row
        assert app.log_view.page.lines[row - 1] == "noise 120"


# -- the bar, and the mouse


async def test_a_click_on_the_new_lines_follows(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with log(sweep) as (app, pilot):
        await pilot.press("g")
        await until(pilot, lambda: "not following" in bar(app), "leaving the end")
        sweep.write_log(RUNNING, "one more\nand another\n")
        await until(pilot, lambda: "↓ 2 new lines" in screen(app), "the count of new lines")
        await pilot.click(app.log_pane.bar, offset=(bar(app).index("new lines"), 0))
        await until(pilot, lambda: app.log_view.page.following and "and another" in screen(app), "following")
        assert not app.log_pane.bar.display


async def test_a_click_on_what_ends_a_search_ends_it(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with log(sweep) as (app, pilot):
        await pilot.press("slash")
        await write(pilot, "epoch")
        await pilot.press("enter")
        await until(pilot, lambda: "31 of 31" in bar(app), "the hits")
        await pilot.click(app.log_pane.bar, offset=(bar(app).index("ends it"), 0))
        await until(pilot, lambda: app.log_view.page.search is None, "the end of the search")


# -- which log


async def attempts(sweep: Sweep) -> None:
    """Two attempts at training, and one at the evaluation."""
    sweep.end(RUNNING, 480.0)
    sweep.set(RUNNING, TrialStatus.PENDING)
    sweep.set(RUNNING, TrialStatus.TRAINING)
    with sweep.store.transaction() as tx:
        job = tx.create_job(RUNNING, Stage.TRAIN, ("true",))
    sweep.log(RUNNING, attempt=job.attempt).write_text("the second attempt\n")
    sweep.end(RUNNING, 480.0)
    sweep.set(RUNNING, TrialStatus.PENDING)
    sweep.set(RUNNING, TrialStatus.TRAINING)
    sweep.set(RUNNING, TrialStatus.TRAINED)
    sweep.start(RUNNING, Stage.EVAL)
    sweep.write_log(RUNNING, "evaluating 10 episodes\n", Stage.EVAL)


async def test_the_log_of_each_attempt(tmp_path):
    sweep = busy_sweep(tmp_path)
    await attempts(sweep)
    async with log(sweep) as (app, pilot):
        await until(pilot, lambda: "evaluating 10 episodes" in screen(app), "the evaluation")
        await pilot.press("a")
        assert toasts(app) == ["trial_0009 has had one eval attempt so far"]
        await pilot.press("l")
        await until(pilot, lambda: "the second attempt" in screen(app), "the newest training")
        assert "Log trial_0009 train, attempt 2 " in screen(app)
        await pilot.press("a")
        await until(pilot, lambda: "epoch  31" in screen(app), "the first one")
        assert "Log trial_0009 train, attempt 1 of 2" in screen(app)
        await pilot.press("a")
        await until(pilot, lambda: "the second attempt" in screen(app), "round")
        await pilot.press("A")
        await until(pilot, lambda: "epoch  31" in screen(app), "the other way round")
        await pilot.press("l")
        await until(pilot, lambda: "evaluating 10 episodes" in screen(app), "the evaluation again")


async def test_where_there_is_one_attempt_there_is_no_other(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with log(sweep) as (app, pilot):
        await pilot.press("a", "A")
        assert toasts(app) == ["trial_0009 has had one attempt so far"] * 2


# -- copying


async def test_what_is_shown_is_copied_without_colours(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with log(sweep) as (app, pilot):
        copied = sweep.folder / "copied" / "trial_0009.train.1.log.txt"
        await pilot.press("y")
        text = "".join(f"{sanitize(line, colour=False)}\n" for line in app.log_view.page.lines)
        assert text.count("epoch") > 5
        assert app.clipboard == text
        await until(pilot, lambda: copied.exists() and copied.read_text() == text, "the file")
        await pilot.press("Y")
        assert "the search has come to no line: / begins" in toasts(app)
        await pilot.press("slash")
        await write(pilot, "epoch  30")
        await pilot.press("enter")
        await until(pilot, lambda: current(app), "the hit")
        await pilot.press("Y")
        assert app.clipboard == f"{current(app)}\n"
        await until(pilot, lambda: copied.read_text() == app.clipboard, "the file")


async def test_a_read_only_window_copies_and_writes_no_file(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with log(sweep, read_only=READ_ONLY) as (app, pilot):
        await pilot.press("y")
        assert "epoch  31" in app.clipboard
        assert any("lines copied" in toast for toast in toasts(app))
        assert not Path(sweep.folder / "copied").exists()


# -- long lines


def shown(app) -> list[str]:
    return [app.log_view.render_line(y).text[:-1].rstrip() for y in range(app.log_view.size.height)]


async def test_long_lines_are_cut_with_a_mark_or_go_on_in_the_next_row(tmp_path):
    sweep = busy_sweep(tmp_path)
    words = [f"line {number:03} " + "漢字 and words " * 30 + f"end {number:03}" for number in range(200)]
    sweep.log(RUNNING).write_text("\n".join(words) + "\n", encoding="utf-8")
    async with log(sweep, (100, 40)) as (app, pilot):
        await until(pilot, lambda: "line 199" in screen(app), "the end of the log")
        assert all(line.endswith("…") for line in shown(app)), "each goes on"
        await pilot.press("right", "right")
        await until(pilot, lambda: shown(app)[-1].startswith("…"), "the mark at the other end")
        await pilot.press("w")
        await until(pilot, lambda: shown(app)[-1].endswith("end 199"), "the last row of the last line")
        text = "".join(shown(app)).replace(" ", "")
        last = words[199].replace(" ", "")
        assert text.endswith(last), "all of it, and no character lost at the end of a row"
        view = app.log_view
        await until(
            pilot, lambda: len(view.page.lines) == 1 + view._rows[-1].line - view._rows[0].line < 8, "few lines"
        )
        assert widths(app) == {100}
        await pilot.press("up")
        await until(pilot, lambda: not app.log_view.page.following, "another place")
        await until(pilot, lambda: shown(app)[0].startswith("line 1"), "the start of a line")
        first = app.log_view.page.lines[0][:8]
        await pilot.press(*["down"] * 8)
        await until(pilot, lambda: app.log_view.page.following and shown(app)[-1].endswith("end 199"), "the end")
        assert first in [line[:8] for line in words[180:199]], "a step up from the end goes to a line near it"
        await pilot.press("slash")
        await write(pilot, "line 050")
        await pilot.press("enter")
        await until(pilot, lambda: "line 050" in "".join(marked(app, _HIT_HERE)), "the hit is on screen")
        await pilot.press("w")
        await until(pilot, lambda: len(app.log_view.page.lines) == app.log_view.size.height, "one row for each line")
        assert shown(app)[0].endswith("…")


def test_no_character_is_cut_in_two():
    assert breaks("", 10) == [(0, 0)]
    assert breaks("abcdefgh", 3) == [(0, 3), (3, 3), (6, 2)]
    assert breaks("a漢字b", 3) == [(0, 3), (3, 3)]
    assert breaks("漢字", 3) == [(0, 2), (2, 2)]
    assert breaks("漢", 1) == [(0, 2)], "where there is no room at all, nothing else can be done"
    assert wrapped(["aaaa", "bbbb"], 2, 3, from_end=True) == ([Row(0, 2, 2), Row(1, 0, 2), Row(1, 2, 2)], 0)
    assert wrapped(["aaaa", "bbbb"], 2, 3, from_end=False) == ([Row(0, 0, 2), Row(0, 2, 2), Row(1, 0, 2)], 0)
    assert wrapped(["aaaa", "bbbb"], 2, 2, from_end=True) == ([Row(1, 0, 2), Row(1, 2, 2)], -1)
    assert wrapped(["a"], 2, 3, from_end=True) == ([Row(0, 0, 1)], 2)
