"""The plots: exact cells, hostile numbers, and what the keys and the mouse do with them."""

from __future__ import annotations

import itertools
import math
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from app_sweep import Sweep, busy_sweep, frame, toasts, until, widths
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.style import Style
from textual.events import MouseScrollUp

from sweeptui.app.cockpit import Cockpit
from sweeptui.app.plot import scatter
from sweeptui.app.plot.axes import Axis, Scale, Unit, duration, log_values, nice_step, ticks
from sweeptui.app.plot.canvas import Canvas, clip
from sweeptui.app.plot.chart import Chart, Shape, Trace, logarithmic, picture
from sweeptui.app.plot.history import records, staircase
from sweeptui.app.plot.order import MAX_MARKED, Tab, wanted
from sweeptui.app.plot.pane import PlotPane
from sweeptui.app.plot.pareto import front
from sweeptui.app.plot.results import ended
from sweeptui.app.plot.series import Point, SeriesReader, Thinned
from sweeptui.core.state import SweepStatus
from sweeptui.core.trial import JobState, Stage, Trial, TrialStatus

ANY = st.floats(allow_nan=True, allow_infinity=True)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
A, B = Style(color="red"), Style(color="blue")
BEST, FAILED, RUNNING, QUEUED = 5, 6, 9, 10
"""Trials of `busy_sweep`."""


# -- the canvas


def rows(canvas: Canvas) -> list[str]:
    return [canvas.text(row) for row in range(canvas.rows)]


@pytest.mark.parametrize(
    ("x", "y", "cell"),
    [(0, 0, "⠁"), (1, 0, "⠈"), (0, 1, "⠂"), (1, 1, "⠐"), (0, 2, "⠄"), (1, 2, "⠠"), (0, 3, "⡀"), (1, 3, "⢀")],
)
def test_each_dot_of_a_cell(x, y, cell):
    canvas = Canvas(2, 2)
    canvas.dots([x + 2], [y + 4], A, [7])
    assert rows(canvas) == ["  ", f" {cell}"]
    assert list(canvas.segments(1))[1].style == A


def test_a_curve_joins_its_points():
    canvas = Canvas(4, 2)
    canvas.curve([0, 7], [7, 0], A)
    assert rows(canvas) == ["  ⡠⠊", "⡠⠊  "]
    canvas = Canvas(4, 1)
    canvas.curve([0, 3, 7], [3, 3, 3], A)
    assert rows(canvas) == ["⣀⣀⣀⣀"]


def test_of_many_points_in_a_column_the_lowest_and_the_highest_are_drawn():
    canvas = Canvas(1, 2)
    canvas.curve([0, 0.1, 0.2, 0.3], [4, 1, 6, 4], A)
    assert rows(canvas) == ["⡆", "⠇"]


def test_a_curve_that_leaves_the_canvas_is_cut_at_its_edge():
    canvas = Canvas(4, 2)
    canvas.curve([-1e9, 0, 7, 1e9], [3, 3, 3, 3], A)
    assert rows(canvas) == ["⣀⣀⣀⣀", "    "]
    canvas = Canvas(2, 2)
    canvas.curve([0, 3], [-1e9, 1e9], A)  # as steep as can be: it goes through, and no dot is out of place
    assert set("".join(rows(canvas))) <= set("⠀⡇⢸⠁⠈⢀⡀⡠⠊⢇⡸⠘⠃⠇⣸⡜⢣⠱⡱⡎⢱ ")


def test_a_cell_has_the_colour_of_what_was_drawn_last():
    canvas = Canvas(2, 1)
    canvas.curve([0, 3], [0, 0], A, 1)
    canvas.dots([0], [3], B, [2])
    assert [(segment.text, segment.style) for segment in canvas.segments(0)] == [("⡉", B), ("⠉", A)]
    assert canvas.nearest(0, 0) == 2


def test_a_point_is_four_dots_and_never_outside():
    canvas = Canvas(2, 1)
    canvas.blots([0.0, 9.0], [0.0, 9.0], A, [1, 2])
    assert rows(canvas) == ["⠛⣤"]


def test_a_label_only_goes_where_nothing_is():
    canvas = Canvas(6, 1)
    canvas.mark(4, 0, "★", A, 3)
    assert not canvas.label(2, 0, "#12", B)
    assert not canvas.label(5, 0, "#12", B)
    assert not canvas.label(0, 1, "#12", B)
    assert not canvas.label(-1, 0, "#12", B)
    assert canvas.label(1, 0, "#12", B)
    assert rows(canvas) == [" #12★ "]


def test_the_trial_nearest_to_a_cell():
    canvas = Canvas(9, 3)
    canvas.mark(1, 1, "★", A, 3)
    canvas.mark(4, 1, "★", A, 4)
    assert [canvas.nearest(column, 1) for column in range(9)] == [3, 3, 3, 4, 4, 4, 4, None, None]


@given(*[st.floats(-1e9, 1e9)] * 4)
def test_what_is_clipped_is_inside_and_on_the_line(x, y, x2, y2):
    inside = clip((x, y), (x2, y2), 10, 20)
    if inside is None:
        assert not (0 <= x <= 10 and 0 <= y <= 20)
        return
    for across, down in inside:
        slack = 1e-5 + 1e-7 * (abs(x2 - x) + abs(y2 - y))
        assert -slack <= across <= 10 + slack
        assert -slack <= down <= 20 + slack


# -- axes


@pytest.mark.parametrize(
    ("span", "step"), [(1, 1), (1.1, 2), (2.1, 5), (5.1, 10), (0.03, 0.05), (99, 100), (1e-7, 1e-7), (3e200, 5e200)]
)
def test_nice_steps(span, step):
    assert nice_step(span) == pytest.approx(step)


def labels(low, high, most, unit=Unit.NUMBER, log=False, categories=()):
    return [tick.label for tick in ticks(Axis("x", unit, categories=categories), Scale(low, high, log), most)]


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [
        (0, 1, 6, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (-21, 519, 6, ["0", "100", "200", "300", "400", "500"]),
        (0, 50_000, 6, ["0", "10k", "20k", "30k", "40k", "50k"]),
        (0, 2.5e6, 6, ["0", "0.5M", "1M", "1.5M", "2M", "2.5M"]),
        (12_340, 12_350, 4, ["12340", "12345", "12350"]),
        (0, 3e-5, 4, ["0", "1e-5", "2e-5", "3e-5"]),
        (-1, 1, 3, ["-1", "0", "1"]),
        (0, 4e20, 5, ["0", "1e20", "2e20", "3e20", "4e20"]),
    ],
)
def test_ticks_of_numbers(low, high, most, expected):
    assert labels(low, high, most) == expected


def test_ticks_of_other_units():
    assert labels(1, 12, 20, Unit.INDEX) == [str(i) for i in range(1, 13)]
    assert labels(1, 2, 9, Unit.INDEX) == ["1", "2"]
    assert labels(0, 95, 4, Unit.SECONDS) == ["0s", "30s", "1m", "1m30s"]
    assert labels(0, 8000, 4, Unit.SECONDS) == ["0s", "1h", "2h"]
    assert labels(0, 3 * 86400, 4, Unit.SECONDS) == ["0d", "1d", "2d", "3d"]
    assert labels(0.0, 0.4, 5, Unit.SECONDS) == ["0.0s", "0.1s", "0.2s", "0.3s", "0.4s"]
    assert labels(0, 5, 6, Unit.DOLLARS) == ["$0", "$1", "$2", "$3", "$4", "$5"]
    assert labels(-0.5, 2.5, 5, categories=("adam", "sgd", "lion")) == ["adam", "sgd", "lion"]
    assert duration(90061) == "1d1h1m1s"


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [
        (1e-5, 1e-1, 6, ["1e-5", "1e-4", "0.001", "0.01", "0.1"]),
        (1e-3, 1e-1, 12, ["0.001", "0.002", "0.005", "0.01", "0.02", "0.05", "0.1"]),
        (1, 1e12, 5, ["1", "1k", "1M", "1G", "1T"]),
        (4.1, 4.9, 5, ["4.2", "4.4", "4.6", "4.8"]),
    ],
)
def test_logarithmic_ticks(low, high, most, expected):
    assert labels(low, high, most, log=True) == expected


@given(st.lists(ANY), st.booleans(), st.floats(0, 0.2))
@example([5e-324], False, 0.04)
@example([1.7e308, -1.7e308], False, 0.04)
@example([1e300, math.nextafter(1e300, math.inf)], True, 0.04)
def test_a_scale_holds_all_that_can_be_shown(values, log, margin):
    scale = Scale.fit(values, log=log, margin=margin)
    assert math.isfinite(scale.low)
    assert math.isfinite(scale.high)
    assert scale.low < scale.high
    shown = sorted(value for value in values if math.isfinite(value) and (value > 0 or not log))
    shares = [scale.share(value) for value in shown]
    assert all(-1e-6 <= share <= 1 + 1e-6 for share in shares)
    assert shares == sorted(shares)
    assert all(-1e-3 <= place <= 100 + 1e-3 for place in scale.places(shown, 0, 100))


@given(ANY, ANY, st.integers(0, 40), st.sampled_from(Unit), st.booleans())
@example(0.0, 5e-324, 5, Unit.NUMBER, False)
@example(-1.7e308, 1.7e308, 5, Unit.SECONDS, False)
def test_ticks_are_few_ordered_and_told_apart(low, high, most, unit, log):
    scale = Scale.fit([low, high], log=log)
    found = ticks(Axis("x", unit), scale, most)
    assert len(found) <= max(2, most)
    at = [tick.at for tick in found]
    assert at == sorted(at)
    assert all(-1e-6 <= place <= 1 + 1e-6 for place in at)
    assert len({tick.label for tick in found}) == len(found)


@given(st.floats(1e-300, 1e300), st.floats(1e-300, 1e300), st.integers(2, 20))
def test_logarithmic_values_are_few(low, high, most):
    low, high = sorted((low, high))
    found = log_values(low, high * 2, most)
    assert len(found) <= max(2, most)
    assert found == sorted(set(found))


# -- charts


def a_line(ys, **more):
    return Trace([float(i) for i in range(len(ys))], ys, "#ffffff", Shape.LINE, (1,), "#1", tag="#1", **more)


def text(drawn) -> list[str]:
    return [line.text for line in drawn.lines]


def test_a_chart_line_by_line():
    chart = Chart(Axis("step"), Axis("score"), (a_line([0.0, 1.0, 2.0, 3.0, 4.0]),))
    assert text(picture(chart, 30, 9)) == [
        "score by step  ━ #1           ",
        "4┤                        ⢀⡠⠤⠒",
        " │                   ⣀⡠⠔⠒⠉⠁ #1",
        " │              ⣀⠤⠔⠊⠉         ",
        "2┤         ⣀⡠⠔⠒⠉⠁             ",
        " │   ⢀⣀⠤⠔⠊⠉                   ",
        "0┤⠤⠒⠊⠁                        ",
        " └┬──────┬──────┬─────┬──────┬",
        "  0      1      2     3      4",
    ]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(ANY, ANY), max_size=30),
    st.sampled_from(Shape),
    st.integers(0, 90),
    st.integers(0, 30),
    st.booleans(),
    st.booleans(),
    st.none() | st.tuples(FINITE, FINITE),
)
@example([(1.0, 1.0)], Shape.LINE, 40, 10, False, False, None)
@example([(0.0, -1.7e308), (1.7e308, 1.7e308)], Shape.LINE, 40, 10, False, False, None)
@example([(float(i), 5e-324) for i in range(9)], Shape.DOTS, 40, 10, True, True, (3.0, 3.0))
@example([(1e-300, 1e-300), (1e300, 1e300)], Shape.LINE, 80, 20, True, True, (1e-3, 1e3))
def test_no_number_breaks_a_picture(points, shape, columns, rows, log_x, log_y, window):
    xs, ys = [x for x, _ in points], [y for _, y in points]
    trace = Trace(xs, ys, "#ffffff", shape, list(range(len(xs))), "#1", "•", tag="#1" * (shape is Shape.LINE))
    drawn = picture(Chart(Axis("step", log=log_x), Axis("score", log=log_y), (trace,)), columns, rows, window)
    assert len(drawn.lines) == rows
    assert {line.cell_length for line in drawn.lines} <= {columns}
    assert all(len(line) == columns for line in text(drawn))
    for column, row in itertools.product((0, 5, columns), (0, 3, rows)):
        drawn.trial_at(column, row)
        assert 0 <= drawn.share_at(column) <= 1


def test_what_cannot_be_drawn_is_said():
    chart = Chart(Axis("step"), Axis("score"), (a_line([math.nan, math.inf]),), empty="no report yet")
    assert text(picture(chart, 20, 3)) == [" " * 20, "   no report yet    ", " " * 20]
    assert "no room" in text(picture(Chart(Axis("x"), Axis("y"), (a_line([1.0, 2.0]),)), 30, 3))[1]
    assert text(picture(logarithmic(Chart(Axis("x"), Axis("y"), (a_line([-1.0, 0.0]),), empty="none")), 9, 1)) == [
        "  none   "
    ]


def test_names_in_wide_characters_keep_the_width():
    axis = Axis("optimizer", categories=("アダム", "sgd"))
    chart = Chart(axis, Axis("スコア" * 9), (Trace([0.0, 1.0], [1.0, 2.0], "#ffffff", Shape.DOTS, (1, 2), "完了"),))
    drawn = picture(chart, 40, 8)
    assert {line.cell_length for line in drawn.lines} == {40}
    assert "アダム" in text(drawn)[-1]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9))), st.booleans())
def test_the_pareto_front_is_what_no_other_trial_beats(values, maximize):
    points = [(float(cost), float(score), number) for number, (cost, score) in enumerate(values)]

    def beats(a, b):
        better = a[1] >= b[1] if maximize else a[1] <= b[1]
        return a[0] <= b[0] and better and (a[:2] != b[:2] or a[2] < b[2])

    unbeaten = [point for point in points if not any(beats(other, point) for other in points)]
    assert front(points, maximize=maximize) == sorted(unbeaten)


def test_records_and_their_staircase():
    assert records([1, 2, 4, 5], [3.0, 1.0, 7.0, 7.0], maximize=True) == ([1, 4, 5], [3.0, 7.0, 7.0])
    assert records([1, 2, 4], [3.0, 1.0, 7.0], maximize=False) == ([1, 2, 4], [3.0, 1.0, 1.0])
    assert records([], [], maximize=True) == ([], [])
    assert staircase([1, 4], [3.0, 7.0]) == ([1, 4, 4], [3.0, 3.0, 7.0])


def trials(*values):
    return tuple(
        Trial(number, {"optim.how": value}, 1, 0.0, status=TrialStatus.COMPLETED, score=float(number))
        for number, value in enumerate(values, start=1)
    )


def sweep_of(found, **more):
    return SimpleNamespace(
        **{"params": ("optim.how",), "log_params": frozenset(), "metric": "a/score", "best": None, **more}, trials=found
    )


def test_parameters_that_are_no_numbers_stand_side_by_side():
    found = trials("sgd", "adam", True, "sgd")
    chart = scatter.chart(sweep_of(found), ended(found), "optim.how")
    assert chart.x.categories == ("True", "adam", "sgd")
    assert list(chart.traces[-1].xs) == [2.0, 1.0, 0.0, 2.0]


def test_a_parameter_that_is_searched_logarithmically_is_shown_so():
    found = trials(1e-4, 1e-3, 1e-2)
    snapshot = sweep_of(found, log_params=frozenset({"optim.how"}))
    assert scatter.chart(snapshot, ended(found), "optim.how").x == Axis("how", log=True)
    found = trials(0.0, 1e-3, None, 10**400)
    assert not scatter.chart(snapshot, ended(found), "optim.how").x.log
    assert scatter.chart(sweep_of((), params=()), ended(()), None).empty == "no parameter is swept"


def test_of_many_marked_trials_the_newest_are_shown():
    snapshot = sweep_of((), best=SimpleNamespace(number=7))
    shown = wanted(snapshot, 3, range(1000))
    assert shown == {3, 7, *range(1000 - MAX_MARKED, 1000)}


# -- learning curves


@given(st.lists(FINITE, min_size=1, max_size=300), st.sampled_from([2, 4, 16]))
def test_a_thinned_curve_keeps_its_outline(scores, most):
    thinned = Thinned(most)
    points = [Point(float(i), 0.0, score) for i, score in enumerate(scores)]
    for point in points:
        thinned.add(point)
    series = thinned.series()
    assert len(series) <= 2 * most + 1
    assert set(series) <= set(points)
    assert list(series) == sorted(series)
    assert series[-1] == points[-1]
    assert min(point.score for point in series) == min(scores)
    assert max(point.score for point in series) == max(scores)


def test_the_points_of_a_thinned_curve_are_evenly_spread():
    thinned = Thinned(64)
    for i in range(50_000):
        thinned.add(Point(float(i), 0.0, math.sin(i)))
    steps = [point.step for point in thinned.series()]
    assert max(b - a for a, b in itertools.pairwise(steps)) <= 2 * 50_000 / 32


def test_series_are_read_on_as_they_grow(tmp_path, monkeypatch):
    sweep = Sweep(tmp_path)
    number = sweep.trial()
    sweep.start(number)
    reader = SeriesReader()
    assert reader.read(sweep.store, {number}) == ({number: ()}, False)
    sweep.clock.now += 5
    sweep.report(number, [1.0, math.nan, 3.0])
    assert reader.read(sweep.store, {number})[0][number] == ()  # nobody said that there is more
    reader.grew(number)
    series = reader.read(sweep.store, {number})[0][number]
    assert series == ((1000.0, 5.0, 1.0), (3000.0, 5.0, 3.0))
    assert reader.read(sweep.store, {number})[0][number] is series
    monkeypatch.setattr("sweeptui.app.plot.series.MAX_ROWS", 2)
    fresh = SeriesReader()
    first, more = fresh.read(sweep.store, {number})
    assert (first[number], more) == (series[:1], True)
    assert fresh.read(sweep.store, {number}) == ({number: series}, False)


def test_another_attempt_begins_another_series(tmp_path):
    sweep = Sweep(tmp_path)
    number = sweep.trial()
    sweep.start(number)
    sweep.report(number, [1.0, 2.0, 3.0])
    reader = SeriesReader()
    assert len(reader.read(sweep.store, {number})[0][number]) == 3
    job = sweep.store.state.running_jobs[number]
    with sweep.store.transaction() as tx:
        tx.set_job(job.id, state=JobState.ENDED)
        tx.set_trial(number, status=TrialStatus.PENDING)
    sweep.start(number)
    sweep.report(number, [9.0])
    reader.grew(number)
    assert [point.score for point in reader.read(sweep.store, {number})[0][number]] == [9.0]
    assert sweep.store.scores(number, Stage.EVAL) == []


# -- the pane


@pytest.fixture(autouse=True)
def _still(monkeypatch):
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    monkeypatch.delenv("NO_COLOR", raising=False)


@asynccontextmanager
async def cockpit(sweep: Sweep, size=(120, 40), select=None, utf8=True):
    app = Cockpit(sweep.folder, utf8=utf8, clock=sweep.clock)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.snapshot is not None, "the first snapshot")
        if select is not None:
            app.table.select(select)
        yield app, pilot


def screen(app) -> str:
    return "\n".join(frame(app))


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60), (120, 24), (100, 40), (40, 12)])
async def test_the_four_charts_at_every_size(tmp_path, size):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, size, RUNNING) as (app, pilot):
        beside = size[0] >= 120
        roomy = size[1] > 12
        assert app.plotting.visible == beside
        charts = [("1", "score by step"), ("2", "score by trial"), ("3", "score by cost"), ("4", "score by learning")]
        for key, title in charts:
            if not (beside and key == "1"):
                await pilot.press(key)
            await until(pilot, lambda title=title: (title if roomy else "no room for a plot") in screen(app), title)
            assert widths(app) == {size[0]}
            assert app.plotting.pane.is_on_screen
            assert app.log_pane.is_on_screen == beside
        assert app.best.is_on_screen


async def test_the_curves_of_the_selected_trial_and_the_best_one(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, select=RUNNING) as (app, pilot):
        await until(pilot, lambda: "━ #9  ━ #5 best" in screen(app), "both curves")
        assert "50k" in screen(app)
        sweep.report(RUNNING, [480.0, 490.0], total=50_000)
        await until(pilot, lambda: len(app.snapshot.series[RUNNING]) == 33, "the new reports")
        await pilot.press("b")
        await until(pilot, lambda: "━ #5 best" in screen(app) and "#9" not in screen(app).split("Log")[0], "one curve")


async def test_before_anything_was_reported_the_plots_say_so(tmp_path):
    sweep = Sweep(tmp_path)
    async with cockpit(sweep) as (app, pilot):
        await until(pilot, lambda: screen(app).count("no trial yet") == 2, "the empty table and the empty plot")
        sweep.trial()
        await until(pilot, lambda: "no report yet: trial_0001 is queued" in screen(app), "the trial")
        for key, said in (("2", "no trial has a score yet"), ("3", "no trial has a score and a cost yet")):
            await pilot.press(key)
            await until(pilot, lambda said=said: said in screen(app), said)


async def test_a_narrow_screen_shows_the_plots_in_place_of_the_log(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, (80, 24), RUNNING) as (app, pilot):
        pane = app.plotting.pane
        assert not pane.is_on_screen
        for back in ("l", "1", "escape"):
            await pilot.press("1")
            await until(pilot, lambda: pane.is_on_screen and "score by step" in screen(app), "the plot")
            assert not app.log_pane.is_on_screen
            assert app.table.has_focus
            await pilot.press(back)
            await until(pilot, lambda: app.log_pane.is_on_screen, "the log")
            assert not pane.is_on_screen
        assert toasts(app) == []
        await pilot.press("1", "tab")
        await until(pilot, lambda: pane.has_focus, "the focus")
        await pilot.press("escape")
        await until(pilot, lambda: app.log_pane.is_on_screen, "the log")
        assert app.table.has_focus
        await pilot.press("tab", "2")
        assert app.table.has_focus  # the log, which had it, is gone


async def test_a_wide_screen_shows_the_plots_until_they_are_sent_away(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, (120, 40), RUNNING) as (app, pilot):
        pane = app.plotting.pane
        await until(pilot, lambda: pane.is_on_screen, "the plot")
        await pilot.press("tab")
        assert pane.has_focus
        await pilot.press("1")
        await until(pilot, lambda: not pane.is_on_screen, "the table alone")
        assert app.table.has_focus
        await pilot.press("3")
        await until(pilot, lambda: "score by cost" in screen(app), "the plot")
        await pilot.resize_terminal(80, 24)
        await until(
            pilot, lambda: app.log_pane.is_on_screen and not pane.is_on_screen, "no plot that was not asked for"
        )
        await pilot.resize_terminal(120, 40)
        await until(pilot, lambda: pane.is_on_screen and "score by cost" in screen(app), "the plot again")


async def focused(app, pilot) -> PlotPane:
    app.plotting.pane.focus()
    await until(pilot, lambda: app.plotting.pane.has_focus and app.plotting.pane._picture.x is not None, "a plot")
    return app.plotting.pane


async def test_zooming_and_panning_stay_within_what_there_is(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, select=RUNNING) as (app, pilot):
        pane = await focused(app, pilot)
        full = pane._picture.full
        await pilot.press("right", "left", "minus")
        assert pane._picture.x == full
        await pilot.press("plus", "plus")
        assert "x2.6" in screen(app)
        seen = pane._picture.x
        assert (full.low, full.high) != (seen.low, seen.high)
        await pilot.press("l")
        assert pane._picture.x.low > seen.low
        await pilot.press(*["right"] * 9)
        assert pane._picture.x.high == pytest.approx(full.high)
        await pilot.press(*["h"] * 9)
        assert pane._picture.x.low == pytest.approx(full.low)
        assert app.table.cursor == RUNNING
        await pilot.press("down")
        assert app.table.cursor == QUEUED
        await pilot.press("up", "0")
        assert pane._picture.x == pane._picture.full
        for _ in range(99):  # as far in as it goes
            pane.zoom_in()
        await pilot.pause()
        assert widths(app) == {120}
        for _ in range(99):
            pane.zoom_out()
        assert pane._picture.x == pane._picture.full


async def test_the_wheel_zooms_where_it_is(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, select=RUNNING) as (app, pilot):
        pane = await focused(app, pilot)
        right = (pane.size.width, 5)
        await pilot._post_mouse_events([MouseScrollUp], pane, right)
        assert pane._picture.x.high == pytest.approx(pane._picture.full.high, rel=0.05)
        assert pane._picture.x.low > pane._picture.full.low


async def test_steps_or_time_and_one_parameter_after_the_other(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, select=RUNNING) as (app, pilot):
        await focused(app, pilot)
        await pilot.press("X")
        assert "score by time" in screen(app)
        await pilot.press("X", "4")
        for name in ("learning_rate", "clip_coef", "ent_coef", "gae_lambda", "vf_coef", "learning_rate"):
            await until(pilot, lambda name=name: f"score by {name}" in screen(app), name)
            await pilot.press("X")


async def test_a_logarithmic_axis_needs_something_above_zero(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, select=RUNNING) as (app, pilot):
        await focused(app, pilot)
        await pilot.press("y")
        assert "log y" in screen(app)
        await pilot.press("y")
        assert "log y" not in screen(app)
        assert toasts(app) == []
    losing = Sweep(tmp_path / "losing")
    number = losing.trial()
    losing.start(number)
    losing.report(number, [-3.0, -2.0, 0.0])
    async with cockpit(losing) as (app, pilot):
        await focused(app, pilot)
        await pilot.press("y")
        assert toasts(app) == ["a logarithmic axis needs a score above 0"]
        assert "log y" not in screen(app)


async def test_a_click_on_a_point_selects_its_trial(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, select=RUNNING) as (app, pilot):
        await pilot.press("3")
        await until(pilot, lambda: "score by cost" in screen(app), "the chart")
        lines = frame(app)
        row = next(y for y, line in enumerate(lines) if "★" in line[72:] and "┤" in line[72:])
        column = lines[row].index("★", 72)
        await pilot.click(offset=(column, row))
        assert app.table.cursor == BEST
        title = next(y for y, line in enumerate(lines) if "2 History" in line)
        await pilot.click(offset=(lines[title].index("2 History") + 2, title))
        await until(pilot, lambda: "score by trial" in screen(app), "the other chart")


async def test_pictures_are_drawn_twice_a_second_at_most(tmp_path, monkeypatch):
    sweep = busy_sweep(tmp_path)
    drawn, timers = [], []
    monkeypatch.setattr("sweeptui.app.plot.drawing.picture", lambda *args: drawn.append(args) or picture(*args))
    async with cockpit(sweep, select=RUNNING) as (app, pilot):
        await until(pilot, lambda: RUNNING in app.snapshot.series, "the series")
        pane = app.plotting.pane
        await pilot.pause(0.7)
        pane._clock = lambda: 1000.0  # time stands still
        pane._drawn_at = 1000.0
        drawn.clear()
        monkeypatch.setattr(
            pane, "set_timer", lambda wait, then: timers.append((wait, then)) or SimpleNamespace(stop=bool)
        )
        for score in range(5):
            snapshot = app.snapshot
            sweep.report(RUNNING, [float(score)])
            await until(pilot, lambda old=snapshot: app.snapshot is not old, "a snapshot")
        assert drawn == []
        ((wait, then),) = timers
        assert wait == pytest.approx(0.5)
        then()
        assert len(drawn) == 1
        pane._clock = lambda: 2000.0
        pane.show(app.snapshot, app.table.cursor, frozenset())
        assert len(drawn) == 1  # nothing to be seen has changed


async def test_in_ascii_nothing_else_is_drawn(tmp_path):
    sweep = busy_sweep(tmp_path)
    for size in ((120, 40), (80, 24)):
        async with cockpit(sweep, size, RUNNING, utf8=False) as (app, pilot):
            for key in "1234":
                if not (size[0] == 120 and key == "1"):
                    await pilot.press(key)
                await pilot.pause(0.2)
                assert all(line.isascii() for line in frame(app))
            assert widths(app) == {size[0]}


async def test_a_finished_sweep_shows_its_history(tmp_path):
    sweep = busy_sweep(tmp_path)
    with sweep.store.transaction() as tx:
        tx.set_sweep(status=SweepStatus.FINISHED)
    async with cockpit(sweep, (200, 60), FAILED) as (app, pilot):
        await pilot.press("2")
        await until(pilot, lambda: "• done  ━ best so far  ✗ failed" in screen(app), "the legend")
        assert app.plotting.pane.tab is Tab.HISTORY


async def test_the_curves_of_marked_trials(tmp_path):
    sweep = busy_sweep(tmp_path)
    async with cockpit(sweep, (200, 60), RUNNING) as (app, pilot):
        app.table.select(1)
        await pilot.press("space", "down", "space", "down", "space")
        assert app.table.marked == {1, 2, 3}
        app.table.select(RUNNING)
        await until(pilot, lambda: "━ #9  ━ #5 best  ━ #1  ━ #2  ━ #3   " in screen(app), "all curves")
        app.table.select(2)
        await pilot.press("space")
        app.table.select(RUNNING)
        await until(pilot, lambda: "━ #9  ━ #5 best  ━ #1  ━ #3   " in screen(app), "fewer curves")
        await pilot.press("2")
        await until(pilot, lambda: "score by trial" in screen(app), "the history, which shows no mark")
