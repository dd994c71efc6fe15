"""The trial table: its filter, its order, its marks, and what is done to the marked ones."""

from __future__ import annotations

import random
from contextlib import asynccontextmanager

import pytest
from app_sweep import CONFIG, PARAMS, RANGES, Sweep, busy_sweep, frame, toasts, until, widths

from sweeptui.app.cockpit import Cockpit
from sweeptui.app.columns import trend
from sweeptui.app.dialogs import Ask
from sweeptui.app.screens.sort import SortMenu
from sweeptui.app.table import Follow
from sweeptui.app.watcher import Watcher
from sweeptui.core.analysis.ranking import ranked
from sweeptui.core.trial import JobState, Stage, TrialStatus

DONE, BEST, FAILED, PAUSED, KILLED, RUNNING, QUEUED = 1, 5, 6, 7, 8, 9, 10
"""Trials of `busy_sweep`."""
KEYS = {
    " ": "space", ":": "colon", "<": "less_than_sign", ">": "greater_than_sign", "#": "number_sign", "-": "minus",
    ".": "full_stop", "_": "underscore", '"': "quotation_mark", ",": "comma",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _still(monkeypatch):
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    monkeypatch.delenv("NO_COLOR", raising=False)


@asynccontextmanager
async def cockpit(sweep: Sweep, size=(120, 40), select=None, **options):
    app = Cockpit(sweep.folder, None, utf8=options.pop("utf8", True), clock=sweep.clock, **options)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.snapshot is not None, "the first snapshot")
        if select is not None:
            app.table.select(select)
        await pilot.pause()
        yield app, pilot


async def write(pilot, text: str) -> None:
    """All at once, for a key alone takes the pilot long."""
    bar = pilot.app.choosing.bar
    bar.input.insert_text_at_cursor(text)
    await pilot.pause()


async def type_in(pilot, text: str) -> None:
    await pilot.press(*(KEYS.get(letter, letter) for letter in text))
    await pilot.pause()


def screen(app) -> str:
    return "\n".join(frame(app))


def shown(app) -> list[int]:
    return [app.table.shown[row].number for row in range(len(app.table.shown))]


def title(app) -> str:
    return next(line for line in frame(app) if "Trials" in line)


# -- the filter


async def test_the_filter_narrows_at_every_key_and_escape_shows_all_again(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, select=BEST) as (app, pilot):
        await pilot.press("slash")
        assert "score>0.8" in screen(app), "examples"
        await type_in(pilot, "state:f")
        assert shown(app) == [FAILED]
        assert app.table.cursor == FAILED
        assert "1 of 10" in title(app)
        assert "/ state:f" in title(app)
        await pilot.press("backspace", "backspace")
        await write(pilot, ":over score>300")
        assert shown(app) == [2, 4, 5]
        assert app.table.cursor == BEST, "the trial that was chosen is there again"
        await pilot.press("escape")
        assert shown(app) == list(range(1, 11))
        assert app.table.has_focus
        assert not app.choosing.bar.display
        assert "Trials 10" in title(app)


async def test_a_filter_that_is_kept_takes_in_what_comes(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, select=DONE) as (app, pilot):
        await pilot.press("slash")
        await write(pilot, "state:done")
        await pilot.press("enter")
        assert app.table.has_focus
        assert not app.choosing.bar.display
        sweep.end(RUNNING, 470.0)
        await until(pilot, lambda: RUNNING in shown(app), "the trial that is done now")
        assert app.table.cursor == DONE
        await pilot.press("slash")
        assert app.choosing.bar.input.value == "state:done"
        await pilot.press("enter", "escape")
        assert len(shown(app)) == 10


async def test_a_mistake_is_explained_below_its_place_and_the_rest_applies(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep) as (app, pilot):
        await pilot.press("slash")
        await write(pilot, "state:done scor3>1")
        lines = frame(app)
        entry = next(index for index, line in enumerate(lines) if "/ state:done scor3>1" in line)
        hint = lines[entry + 1]
        assert "^^^^^ no field is called scor3: did you mean score?" in hint
        assert hint.index("^") == lines[entry].index("scor3")
        assert shown(app) == [1, 2, 3, 4, 5]
        await pilot.press("enter")
        assert app.choosing.bar.display, "a mistake is not kept"
        await pilot.press("ctrl+c")
        assert not app.choosing.bar.display
        assert len(shown(app)) == 10


async def test_tab_completes_names_and_values(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep) as (app, pilot):
        await pilot.press("slash")
        await write(pilot, "lea")
        assert "Tab  learning_rate" in screen(app)
        await pilot.press("tab")
        assert app.choosing.bar.input.value == "learning_rate"
        await write(pilot, "<5e-3 state:")
        await pilot.press("tab")
        first = app.choosing.bar.input.value
        await pilot.press("tab")
        assert app.choosing.bar.input.value != first
        await pilot.press("shift+tab")
        assert app.choosing.bar.input.value == first == "learning_rate<5e-3 state:evaluating"
        await pilot.press(*["backspace"] * len("evaluating"))
        await write(pilot, "do")
        await pilot.press("tab")
        assert app.choosing.bar.input.value.endswith("state:done")
        assert shown(app) == [n for n in (1, 2, 3, 4, 5) if app.snapshot.trial(n).params[
            "trainer.algorithm.learning_rate"] < 5e-3]  # fmt: skip


async def test_the_cursor_moves_while_the_filter_is_written(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, select=DONE) as (app, pilot):
        await pilot.press("slash")
        await write(pilot, "state:done")
        await pilot.press("down", "down")
        assert app.table.cursor == 3
        assert app.choosing.bar.input.has_focus


async def test_where_nothing_matches_it_says_so_and_how_to_get_back(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, select=RUNNING) as (app, pilot):
        await until(pilot, lambda: app.log_view.page.lines, "the log")
        await pilot.press("slash")
        await write(pilot, "score>9000")
        await pilot.press("enter")
        assert "no trial matches" in screen(app)
        assert "Esc shows all again" in screen(app)
        assert app.selected is None
        await until(pilot, lambda: "the log of the selected trial will be here" in screen(app), "no log")
        await pilot.press("x", "space")
        assert toasts(app) == ["no trial matches the filter: Esc shows all again"] * 2
        await pilot.press("escape")
        assert app.table.cursor == RUNNING


async def test_going_to_a_trial_drops_the_filter_that_hides_it(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep) as (app, pilot):
        app.table.filter("state:failed")
        await pilot.press("b")
        assert app.table.cursor == BEST
        assert app.table.query_text == ""


# -- the order


async def test_the_menu_sorts_and_the_unknown_come_last(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, size=(160, 40), select=DONE) as (app, pilot):
        await pilot.press("s")
        assert isinstance(app.screen, SortMenu)
        await pilot.press(*"zzz")
        assert "no column has these letters" in screen(app)
        await pilot.press("enter", *["backspace"] * 3, *"ate")
        assert [option.id for option in app.screen.list.options] == ["state", "learning_rate"]
        await pilot.press(*["backspace"] * 3, *"Sc", "enter")
        assert app.table.shown.field.name == "score"
        assert shown(app) == [5, 9, 4, 2, 1, 3, 6, 7, 8, 10]
        assert "score↓" in screen(app)
        assert app.table.cursor == DONE
        await pilot.press("S")
        assert shown(app) == [3, 1, 2, 4, 9, 5, 6, 7, 8, 10], "still last"
        assert "score↑" in screen(app)
        await pilot.press("s", "escape")
        assert app.table.shown.field.name == "score"
        await pilot.press("s", "enter", "S")
        assert "score↑" in screen(app), "without a letter, the column that it is sorted by already"
        await pilot.press("g")
        assert app.table.cursor == 3
        await pilot.press("j")
        assert app.table.cursor == 1


async def test_a_click_on_a_title_sorts_and_again_the_other_way_round(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, select=DONE) as (app, pilot):
        lines = frame(app)
        y = next(index for index, line in enumerate(lines) if " state " in line)
        x = lines[y].index("score")
        await pilot.click(offset=(x + 1, y))
        assert shown(app)[0] == BEST
        await pilot.click(offset=(x + 1, y))
        assert shown(app)[0] == 3
        x = frame(app)[y].index("learni")
        await pilot.click(offset=(x + 1, y))
        rates = [app.snapshot.trial(number).params["trainer.algorithm.learning_rate"] for number in shown(app)]
        assert rates == sorted(rates)
        assert app.table.cursor == DONE


async def test_rows_move_with_what_they_are_sorted_by_and_the_cursor_with_its_trial(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, select=RUNNING) as (app, pilot):
        app.table.sort_by("score")
        assert shown(app)[:2] == [BEST, RUNNING]
        sweep.report(RUNNING, [600.0])
        await until(pilot, lambda: shown(app)[0] == RUNNING, "the new order")
        assert app.table.cursor == RUNNING


# -- following


async def test_the_cursor_follows_the_newest_the_best_or_none(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep) as (app, pilot):
        assert "follows the newest" in title(app)
        newest = sweep.trial()
        await until(pilot, lambda: app.table.cursor == newest, "following the newest")
        await pilot.press("N")
        assert app.table.cursor == BEST
        assert "follows the best" in title(app)
        sweep.end(RUNNING, 700.0)
        await until(pilot, lambda: app.table.cursor == RUNNING, "following the best")
        await pilot.press("N")
        assert app.table.following is Follow.OFF
        assert "follows" not in title(app)
        sweep.trial()
        await until(pilot, lambda: len(app.snapshot.trials) == 12)
        assert app.table.cursor == RUNNING
        await pilot.press("N", "k")
        assert app.table.following is Follow.OFF, "the user moved it"


async def test_the_newest_that_the_filter_shows_is_followed(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep) as (app, pilot):
        app.table.sort_by("score")
        app.table.filter("state:done")
        await pilot.pause()
        assert app.table.cursor == BEST
        sweep.end(RUNNING, 1.0)
        await until(pilot, lambda: app.table.cursor == RUNNING, "following")


# -- marks


async def test_marks_single_range_all_and_none(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, select=2) as (app, pilot):
        await pilot.press("space")
        assert app.table.marked == {2}
        assert "● 1 marked" in title(app)
        assert "● 2  ✔ done" in screen(app)
        await pilot.press("j", "j", "v")
        assert app.table.marked == {2, 3, 4}
        await pilot.press("space")
        assert app.table.marked == {2, 3}
        app.table.filter("state:over -state:done")
        await pilot.press("ctrl+a")
        assert app.table.marked == {2, 3, FAILED, KILLED}
        assert "● 4 marked (2 hidden)" in title(app)
        await pilot.press("u")
        assert app.table.marked == frozenset()
        assert "marked" not in title(app)


async def test_keys_act_on_the_marked_ones(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, select=DONE) as (app, pilot):
        app.table.mark([RUNNING, QUEUED])
        await pilot.press("p")
        await until(pilot, sweep.command, "the command")
        assert (sweep.command().verb, sweep.command().args) == ("pause", {"trials": [RUNNING, QUEUED]})
        sweep.answer(sweep.command(), "done", "both are paused")
        await until(pilot, lambda: "both are paused" in toasts(app))
        app.table.mark([FAILED, KILLED])
        await pilot.press("r")
        await until(pilot, sweep.command, "the command")
        assert (sweep.command().verb, sweep.command().args) == ("requeue", {"trials": [FAILED, KILLED]})


async def test_killing_says_how_many_and_which_are_left_out(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, select=DONE) as (app, pilot):
        app.table.mark([DONE, BEST, PAUSED, RUNNING, QUEUED])
        await pilot.press("x")
        assert isinstance(app.screen, Ask)
        assert "Kill 3 trials (#7, #9, #10)?" in screen(app)
        assert "5 are left out: over already (done)." in screen(app)
        await pilot.press("enter")
        assert not isinstance(app.screen, Ask)
        await pilot.press("x", "y")
        await until(pilot, sweep.command, "the command")
        assert (sweep.command().verb, sweep.command().args) == ("kill", {"trials": [PAUSED, RUNNING, QUEUED]})


async def test_partial_refusals_are_summarised_and_a_whole_one_is_a_refusal(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, select=DONE) as (app, pilot):
        app.table.mark([DONE, FAILED, RUNNING])
        await pilot.press("p")
        assert toasts(app) == ["pause: 2 of the 3 are left out: over (done, memory)"]
        await until(pilot, sweep.command, "the command")
        assert sweep.command().args == {"trials": [RUNNING]}
        sweep.answer(sweep.command(), "done", "paused")
        await until(pilot, lambda: "paused" in toasts(app))
        app.table.mark([DONE, FAILED])
        await pilot.press("p")
        assert toasts(app)[-1].endswith("there is nothing to pause")
        assert sweep.command() is None


async def test_on_the_page_of_a_trial_keys_act_on_that_one(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, select=RUNNING) as (app, pilot):
        app.table.mark([PAUSED, QUEUED])
        assert [trial.number for trial in app.targets()] == [PAUSED, QUEUED]
        await pilot.press("enter")
        await pilot.pause()
        assert [trial.number for trial in app.targets()] == [RUNNING]


async def test_before_the_first_trial_there_is_nothing_to_mark(tmp_path):
    sweep = Sweep(tmp_path)
    async with cockpit(sweep) as (app, pilot):
        await pilot.press("space", "v", "ctrl+a", "N")
        assert toasts(app) == ["there is no trial yet"] * 4
        await pilot.press("u", "S")
        await pilot.press("slash")
        await write(pilot, "score>1")
        assert "0 of 0" in screen(app)
        assert "no trial yet: nobody runs this sweep" in screen(app)


# -- what is shown


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60), (40, 12)])
async def test_frames_fit_with_a_filter_marks_and_an_order(tmp_path, size):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, size=size, select=RUNNING) as (app, pilot):
        app.table.mark([RUNNING, BEST])
        app.table.sort_by("score")
        await pilot.press("slash")
        await write(pilot, "score>100")
        lines = frame(app)
        assert len(lines) == size[1]
        assert widths(app) == {size[0]}
        assert any("/ score>100" in line and "5 of 10" in line for line in lines)
        assert "q quit" in lines[-1]
        assert any("● 9  ▶ training" in line for line in lines)


async def test_without_utf8(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, utf8=False, select=RUNNING) as (app, pilot):
        app.table.mark([RUNNING])
        app.table.sort_by("score")
        await pilot.press("slash")
        await write(pilot, "lrr<3")
        lines = ["".join(segment.text for segment in strip.apply_filter(app._ascii, app.screen.background_colors[1]))
                 for strip in app.screen._compositor.render_strips()]  # fmt: skip
        assert all(line.isascii() for line in lines)
        assert any("o 9  > training" in line for line in lines)
        assert any("scorev" in line for line in lines)


async def test_a_running_trial_says_where_it_runs_and_where_its_score_goes(tmp_path):
    sweep = busy_sweep(tmp_path)
    with sweep.store.transaction() as tx:
        tx.set_job(sweep.store.state.running_jobs[RUNNING].id, slot={"index": 1, "gpus": ["3"]})
    async with cockpit(sweep, size=(240, 40), select=RUNNING) as (app, pilot):
        await until(pilot, lambda: "451.0↑" in screen(app), "the trend")
        line = next(line for line in frame(app) if "▶ training" in line)
        assert "gpu 3" in line
        header = next(line for line in frame(app) if " slot " in line)
        assert header.index("slot") == line.index("gpu 3")


@pytest.mark.parametrize(
    ("curve", "way"),
    [((), 0), ((1.0, 2.0), 0), (tuple(range(40)), 1), (tuple(range(40, 0, -1)), -1), ((1.0,) * 40, 0),
     ((0.0, *[5.0] * 39), 0)],
)  # fmt: skip
def test_trends(curve, way):
    assert trend(curve) == way


async def test_parameters_that_vary_come_first(tmp_path):
    sweep = Sweep(tmp_path)
    paths = [f"trainer.algorithm.{name}" for name in PARAMS]
    with sweep.store.transaction() as tx:
        for number in range(3):
            tx.create_trial({path: 1.0 + (number if path in paths[2:4] else 0) for path in paths}, 1, {})
    async with cockpit(sweep, size=(240, 40)) as (app, pilot):
        await pilot.pause()
        columns = [column.title for column in app.table._lines.columns[-len(PARAMS) :]]
        assert columns == ["ent_coef", "gae_lambda", "learning_rate", "clip_coef", "vf_coef"]


async def test_a_categorical_parameter_is_filtered_and_completed(tmp_path):
    protein = CONFIG["protein_config"]
    space = {**protein["parameters"], "algo": {"distribution": "categorical", "values": ["ppo", "sac"]}}
    sweep = Sweep(tmp_path, protein_config={**protein, "parameters": space})
    with sweep.store.transaction() as tx:
        for number in range(4):
            params = {f"trainer.algorithm.{name}": low for name, (low, _) in zip(PARAMS, RANGES, strict=True)}
            tx.create_trial({**params, "algo": ["ppo", "sac"][number % 2]}, 1, {})
    async with cockpit(sweep) as (app, pilot):
        await pilot.press("slash")
        await write(pilot, "algo:s")
        await pilot.press("tab")
        assert app.choosing.bar.input.value == "algo:sac"
        assert shown(app) == [2, 4]


async def test_columns_are_fitted_again_where_the_same_width_has_another_frame(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, size=(80, 24), select=DONE) as (app, pilot):
        await until(pilot, lambda: "learning_rate  clip_coef →" in screen(app), "two parameters")
        await pilot.resize_terminal(120, 40)
        await until(pilot, lambda: "learni…_rate → │" in screen(app), "one, without its middle")
        await pilot.resize_terminal(200, 60)
        await until(pilot, lambda: "learning_rate  clip_coef" in screen(app), "all of it again")


# -- the watcher keeps its list of trials up to date


def test_the_watcher_takes_in_only_what_has_changed(tmp_path):
    sweep = busy_sweep(tmp_path)
    told = []
    # Looked at when it comes, as a screen does that is not held up.
    watcher = Watcher(sweep.folder, lambda message: told.append(message.snapshot), runs_here=False, clock=sweep.clock)
    other = type(sweep.store).open(sweep.folder / "sweep.db", readonly=True)
    dice = random.Random(3)
    watcher._turn(other)
    for turn in range(60):
        number = dice.choice(sorted(sweep.store.state.trials))
        trial = sweep.store.state.trials[number]
        if turn % 5 == 0:
            sweep.trial()
            sweep.trial()
        elif trial.status.terminal:
            sweep.set(number, TrialStatus.PENDING, score=None)
        elif trial.status is TrialStatus.PENDING:
            sweep.start(number, Stage.TRAIN)
        elif number in sweep.store.state.running_jobs and trial.status is TrialStatus.TRAINING:
            sweep.clock.now += dice.random() * 10
            sweep.end(number, dice.choice([100.0, 300.0, 497.6, 600.0]))
        else:
            with sweep.store.transaction() as tx:
                if job := sweep.store.state.running_jobs.get(number):
                    tx.set_job(job.id, state=JobState.ENDED, ended_at=tx.now)
                tx.set_trial(number, status=TrialStatus.KILLED)
        watcher._turn(other)
        state, snapshot = sweep.store.state, watcher._shown
        assert snapshot.trials == tuple(state.trials[number] for number in sorted(state.trials))
        order = [item.trial for item in ranked(state.trials.values(), "maximize")]
        assert [snapshot.best, snapshot.runner_up] == [*order, None, None][:2]
        assert snapshot.spent == pytest.approx(sum(trial.spent for trial in state.trials.values()))
    other.close()
    assert len(told) > 50


# -- how it is painted


async def test_rows_that_have_only_moved_are_painted_as_they_were(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, size=(100, 20), select=DONE) as (app, pilot):
        table = app.table
        assert table.max_scroll_y >= 1

        def painted() -> dict[int, tuple[int, object]]:
            """Of each trial on screen: its place, and what is painted there."""
            strips = table._styles_cache.render_widget(table, table.size.region)
            return {
                next(s.style.meta["trial"] for s in strip if s.style and "trial" in s.style.meta): (place, strip)
                for place, strip in enumerate(strips)
                if any(s.style and "trial" in s.style.meta for s in strip)
            }

        before = painted()
        table.scroll_relative(y=1, animate=False)
        await pilot.pause()
        after = painted()
        both = before.keys() & after.keys()
        assert len(both) >= 3
        assert all(after[number][0] == before[number][0] - 1 for number in both), "they have moved"
        same = {number for number in both if after[number][1] is before[number][1]}
        assert same >= both - {DONE}
        assert DONE not in after, "the cursor has scrolled away"
        table.mark([BEST])
        await pilot.pause()
        marked = painted()
        assert marked[BEST][1] is not after[BEST][1]
        assert "●" in marked[BEST][1].text
        app.set_focus(None)  # and with another frame around it none is the same
        await pilot.pause()
        blurred = painted()
        assert not any(blurred[number][1] is marked[number][1] for number in marked)
