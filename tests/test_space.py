"""Distributions and the search space: bounds, exact round trips, and every mistake in one sentence."""

from __future__ import annotations

import itertools
import json
import math
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from sweeptui.core.distributions import (
    DISTRIBUTIONS,
    Beta,
    Choice,
    Constant,
    Distribution,
    Integer,
    LogInteger,
    Logit,
    LogUniform,
    Normal,
    PowerOfTwo,
    QBeta,
    QLogNormal,
    QLogUniform,
    QNormal,
    QUniform,
    UnboundedLogNormal,
    Uniform,
    WeightedChoice,
    distribution_from,
)
from sweeptui.core.errors import FieldError
from sweeptui.core.space import Space, leaves

calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine is no failure."""

UNIT = st.floats(0, 1)


def tidy(low: float, high: float) -> st.SearchStrategy[float]:
    """Numbers as people write them: at most six digits."""
    return st.floats(low, high).map(lambda value: float(f"{value:.6g}")).filter(lambda value: low <= value <= high)


@st.composite
def bounds(draw: st.DrawFn, numbers: st.SearchStrategy[Any]) -> tuple[Any, Any, Any]:
    """Two different numbers in order, and a mean between them or none."""
    low, high = sorted((draw(numbers), draw(numbers)))
    assume(low < high)
    mean = draw(st.none() | numbers)
    return low, high, mean if mean is not None and low <= mean <= high else None


def ranges(made: type[Any], numbers: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return bounds(numbers).map(lambda drawn: made(*drawn))


def powers(drawn: tuple[float, float, Any]) -> PowerOfTwo | None:
    try:
        return PowerOfTwo(*drawn)
    except FieldError:
        return None


def made_or_none(made: type[Any], **fields: Any) -> Any:
    try:
        return made(**fields)
    except FieldError:
        return None


def shaped(made: type[Any], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(made_or_none, st.just(made), **fields).filter(lambda each: each is not None)


@st.composite
def weighted(draw: st.DrawFn) -> WeightedChoice:
    values = draw(st.lists(SCALARS, min_size=1, max_size=9, unique_by=json.dumps))
    shares = [draw(st.sampled_from((0, 1, 2, 5))) for _ in values[1:]]
    return WeightedChoice(values, [share / (sum(shares) + 1) for share in (1, *shares)])


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9)
)
CONTINUOUS = {
    "uniform": ranges(Uniform, tidy(-1e9, 1e9)) | ranges(Uniform, st.floats(-1e300, 1e300)),
    "log_normal": ranges(LogUniform, tidy(1e-12, 1e9)) | ranges(LogUniform, st.floats(1e-150, 1e150)),
    "logit_normal": ranges(Logit, tidy(1e-6, 0.999999)) | ranges(Logit, st.floats(1e-300, 1 - 1e-15)),
}
CELLS = {
    "int_uniform": ranges(Integer, st.integers(-(2**40), 2**40)) | ranges(Integer, st.integers(-9, 9)),
    "uniform_pow2": bounds(st.floats(1e-3, 1e12) | st.integers(1, 5000)).map(powers).filter(bool),
    "categorical": st.lists(SCALARS, min_size=1, max_size=9, unique_by=json.dumps).map(Choice),
}
LOG_INTEGERS = {"int_log_normal": ranges(LogInteger, st.integers(1, 2**40)) | ranges(LogInteger, st.integers(1, 60))}
MU, SIGMA = tidy(-9, 9), tidy(1e-3, 9)
SHAPE = tidy(0.05, 50)
STEP = st.sampled_from((1, 2, 7, 100, 1.0, 0.1, 0.25, 0.001, 3.7))
QUANTILES = {
    "normal": shaped(Normal, mu=tidy(-1e6, 1e6), sigma=tidy(1e-2, 1e6)),
    "unbounded_log_normal": shaped(UnboundedLogNormal, mu=MU, sigma=SIGMA),
    "beta": shaped(Beta, a=SHAPE, b=SHAPE),
}
STEPS = {
    "q_uniform": shaped(QUniform, min=tidy(-1e3, 1e3), max=tidy(-1e3, 1e3), q=STEP),
    "q_log_uniform_values": shaped(QLogUniform, min=tidy(1e-3, 1e3), max=tidy(1e-3, 1e3), q=STEP),
    "q_normal": shaped(QNormal, mu=MU, sigma=SIGMA, q=STEP),
    "q_log_normal": shaped(QLogNormal, mu=tidy(-3, 3), sigma=tidy(0.1, 2), q=STEP),
    "q_beta": shaped(QBeta, a=SHAPE, b=SHAPE, q=st.sampled_from((1, 0.1, 0.01, 0.003))),
}
EACH: dict[str, st.SearchStrategy[Any]] = {
    **CONTINUOUS,
    **CELLS,
    **LOG_INTEGERS,
    **QUANTILES,
    **STEPS,
    "categorical_w_probabilities": weighted(),
    "constant": SCALARS.map(Constant),
}
ANY = st.one_of(*EACH.values())


def test_every_distribution_has_property_tests() -> None:
    assert EACH.keys() == DISTRIBUTIONS.keys()


@pytest.mark.parametrize("name", EACH)
def test_a_value_lies_inside_and_survives_the_round_trip(name: str) -> None:
    @calm
    @given(EACH[name], UNIT)
    def check(distribution: Distribution, u: float) -> None:
        assert distribution.name == name
        value = distribution.from_unit(u)
        assert distribution.contains(value)
        place = distribution.to_unit(value)
        assert 0 <= place <= 1
        again = distribution.from_unit(place)
        assert again == value
        assert type(again) is type(value)

    check()


@pytest.mark.parametrize("name", [*CONTINUOUS, *LOG_INTEGERS, "int_uniform", "uniform_pow2"])
def test_order_is_kept_and_the_ends_are_the_bounds(name: str) -> None:
    @calm
    @given(EACH[name], UNIT, UNIT)
    def check(distribution: Any, one: float, other: float) -> None:
        low, high = sorted((one, other))
        assert distribution.from_unit(low) <= distribution.from_unit(high)
        first, last = distribution.from_unit(0), distribution.from_unit(1)
        assert distribution.to_unit(first) <= distribution.to_unit(last)
        if name == "uniform_pow2":
            assert distribution.min <= first < 2 * distribution.min
            assert distribution.max / 2 < last <= distribution.max
        else:
            assert (first, last) == (distribution.min, distribution.max)
        assert distribution.from_unit(-3.0) == first
        assert distribution.from_unit(7.0) == last

    check()


@pytest.mark.parametrize("name", CONTINUOUS)
def test_what_people_write_survives_exactly(name: str) -> None:
    @calm
    @given(EACH[name], UNIT)
    def check(distribution: Any, u: float) -> None:
        written = float(f"{distribution.from_unit(u):.4g}")
        assume(distribution.contains(written))
        if name == "uniform":
            # Here, what counts is not a value's own size but that of the range.
            assume(abs(written) > 1e-6 * (distribution.max - distribution.min))
        assert distribution.from_unit(distribution.to_unit(written)) == written

    check()


@pytest.mark.parametrize("name", [*CONTINUOUS, *LOG_INTEGERS, "int_uniform", "uniform_pow2"])
def test_the_center_is_the_mean(name: str) -> None:
    @calm
    @given(EACH[name])
    def check(distribution: Any) -> None:
        assert 0 <= distribution.center <= 1
        if distribution.mean is None:
            assert distribution.center == 0.5
        elif distribution.contains(distribution.mean):
            middle = distribution.from_unit(distribution.center)
            span = distribution.max - distribution.min
            assert math.isclose(middle, distribution.mean, rel_tol=1e-9, abs_tol=1e-11 * span)

    check()


@calm
@given(st.one_of(*CELLS.values()))
def test_every_cell_has_the_same_share(distribution: Any) -> None:
    shown = min(distribution.cardinality, 50)
    middles = [(index + 0.5) / distribution.cardinality for index in range(shown)]
    values = [distribution.from_unit(middle) for middle in middles]
    assert len({json.dumps(value) for value in values}) == shown
    assert [distribution.to_unit(value) for value in values] == middles


@pytest.mark.parametrize("name", [*STEPS, *LOG_INTEGERS, "categorical_w_probabilities"])
def test_every_value_has_an_index_and_a_place_of_its_own(name: str) -> None:
    @calm
    @given(EACH[name], st.data())
    def check(distribution: Any, data: st.DataObject) -> None:
        count = distribution.cardinality
        index = data.draw(st.integers(0, count - 1))
        value = distribution.from_unit(distribution.place(index))
        assert distribution.index(value) == index
        assert distribution.place(index) == distribution.to_unit(value)
        if index:
            assert distribution.place(index - 1) < distribution.place(index)

    check()


@pytest.mark.parametrize(("low", "high"), [(-1e-300, 1e15), (-1e9, 1e-20)])
def test_what_lies_next_to_a_bound_is_not_taken_for_it(low: float, high: float) -> None:
    wide = Uniform(low, high)
    assert wide.from_unit(wide.to_unit(0.0)) == 0.0
    assert math.copysign(1, wide.from_unit(wide.to_unit(0.0))) == 1
    assert wide.from_unit(wide.to_unit(low)) == low
    assert wide.from_unit(wide.to_unit(high)) == high


def test_integers_reach_both_ends_as_often_as_the_middle() -> None:
    rng = random.Random(0)
    dice = Integer(1, 6)
    counts = [0] * 7
    for _ in range(6000):
        counts[dice.from_unit(rng.random())] += 1
    assert counts[0] == 0
    assert all(abs(count - 1000) < 150 for count in counts[1:])


def test_powers_of_two_stay_inside_bounds_that_are_none() -> None:
    odd = PowerOfTwo(24, 96)
    assert odd.cardinality == 2
    assert {odd.from_unit(k / 100) for k in range(101)} == {32, 64}
    assert PowerOfTwo(0.25, 1).from_unit(0) == 0.25
    assert type(PowerOfTwo(16.0, 128.0).from_unit(0.5)) is int


def test_logit_is_fine_near_both_ends() -> None:
    gamma = Logit(0.8, 0.9999)
    odds = [(1 - p) / p for p in (gamma.from_unit(k / 10) for k in range(11))]
    ratios = [one / other for one, other in itertools.pairwise(odds)]
    assert max(ratios) == pytest.approx(min(ratios))
    assert Logit(1e-4, 1 - 1e-4).from_unit(0.5) == 0.5


def test_log_normal_is_even_over_orders_of_magnitude() -> None:
    rate = LogUniform(1e-5, 1e-1)
    assert [rate.from_unit(k / 4) for k in range(5)] == [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]


def test_scale_is_a_radius_on_an_axis_of_length_two() -> None:
    assert Uniform(0, 1).scale == 0.5
    assert Uniform(0, 1, scale=0.2).scale == 0.2
    assert LogUniform(1, 1024, scale="time").scale == pytest.approx(1 / 10)
    assert Choice([1, 2]).scale == 0.5


@calm
@given(ANY)
def test_a_distribution_is_the_same_after_json(distribution: Distribution) -> None:
    again = distribution_from(json.loads(json.dumps(distribution.to_json())))
    assert again == distribution
    assert hash(again) == hash(distribution)
    assert again.center == distribution.center
    assert again.scale == distribution.scale


@pytest.mark.parametrize(
    ("distribution", "outside"),
    [
        (Uniform(0, 1), [1.5, -0.1, math.nan, "0.5", None, True]),
        (LogUniform(1, 2), [0, 2.1, "x"]),
        (Integer(1, 3), [0, 4, 2.0, True, "2", None]),
        (PowerOfTwo(1, 8), [3, 16, 0, True, "4"]),
        (Choice([1, "a", None]), [1.0, True, "1", "b", [], object(), math.nan]),
        (Constant(1), [1.0, True, 2, "1", object()]),
    ],
)
def test_what_is_outside_is_no_value(distribution: Distribution, outside: list[Any]) -> None:
    for value in outside:
        assert not distribution.contains(value), value
        with pytest.raises(ValueError, match="is no value of"):
            distribution.to_unit(value)


NAMES = st.from_regex(r"[a-z]{1,3}(\.[a-z]{1,3}){0,2}", fullmatch=True)


@calm
@given(st.dictionaries(NAMES, ANY, max_size=6), st.integers(0, 2**32))
def test_a_space_encodes_what_it_decodes(distributions: dict[str, Distribution], seed: int) -> None:
    space = Space(distributions)
    assert space.names == list(distributions)
    for params in (space.sample(random.Random(seed)), space.center()):
        assert list(params) == space.names
        assert space.contains(params)
        point = space.encode(params)
        assert len(point) == len(space.axes)
        assert space.decode(point) == params
    assert Space.from_json(json.loads(json.dumps(space.to_json()))) == space
    assert Space.from_parameters(space.to_json()) == space
    assert space.diff(space) == []


def test_constants_take_no_axis() -> None:
    space = Space.from_parameters({"a": Constant("x"), "b": Integer(1, 2), "c": Choice([1, 2, 3])})
    assert space.names == ["a", "b", "c"]
    assert space.axes == ["b", "c"]
    assert space.cardinality == 6
    assert space.decode([0.0, 1.0]) == {"a": "x", "b": 1, "c": 3}
    assert Space({}).cardinality == 1
    assert Space.from_parameters({"x": Uniform(0, 1), "b": Integer(1, 2)}).cardinality is None
    with pytest.raises(ValueError, match="3 coordinates in a space of 2 axes"):
        space.decode([0, 0, 0])


def test_a_value_that_is_a_list_cannot_be_changed_through_a_trial() -> None:
    space = Space.from_parameters({"layers": Choice([[64, 64], [128]]), "k": Constant({"a": 1})})
    params = space.decode([0.0])
    params["layers"].append(1)
    params["k"]["a"] = 2
    assert space.decode([0.0]) == {"layers": [64, 64], "k": {"a": 1}}


def test_a_space_contains_what_is_complete_and_nothing_else() -> None:
    space = Space.from_parameters({"a": Integer(1, 2), "b": Constant(3)})
    assert space.contains({"b": 3, "a": 1})
    assert not space.contains({"a": 1})
    assert not space.contains({"a": 1, "b": 4})
    assert not space.contains({"a": 1, "b": 3, "c": 1})


def test_nested_and_flat_parameters_are_the_same() -> None:
    rate = LogUniform(1e-5, 1e-2)
    nested = {"trainer": {"optimizer": {"lr": rate}, "batch.size": {"min": 1, "max": 4}}, "k": Constant(0)}
    flat = {"trainer.optimizer.lr": rate, "trainer.batch.size": Integer(1, 4), "k": {"value": 0}}
    assert Space.from_parameters(nested) == Space.from_parameters(flat)
    assert [path for path, _ in leaves(nested)] == [("trainer", "optimizer", "lr"), ("trainer", "batch.size"), ("k",)]


def test_a_group_may_hold_parameters_named_like_fields() -> None:
    space = Space.from_parameters({"loss": {"value": Uniform(0, 1), "min": {"min": 0, "max": 3}}})
    assert space.names == ["loss.value", "loss.min"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"min": 1, "max": 4}, Integer(1, 4)),
        ({"min": 1.0, "max": 4}, Uniform(1, 4)),
        ({"values": [1, 2]}, Choice([1, 2])),
        ({"value": None}, Constant(None)),
        ({"distribution": "int_uniform", "min": 1.0, "max": 4.0, "mean": 2}, Integer(1, 4, 2)),
    ],
)
def test_a_distribution_that_is_not_named_is_guessed(fields: dict[str, Any], expected: Distribution) -> None:
    assert distribution_from(fields) == expected


def test_a_changed_space_is_told_line_by_line() -> None:
    old = Space.from_parameters({"lr": LogUniform(1e-5, 1e-2), "gone": Integer(1, 2), "same": Choice(["a"])})
    new = Space.from_parameters({"lr": LogUniform(1e-5, 0.1, mean=0.01), "same": Choice(["a"]), "fresh": Constant(1)})
    assert old.diff(new) == ["lr: max 0.01 -> 0.1, mean (none) -> 0.01", "gone was removed", "fresh was added"]
    assert Space.from_parameters({"a": Uniform(0, 1)}).diff(Space.from_parameters({"a": Uniform(0.0, 1.0)})) == []


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"lr": {"min": 1, "max": 1}}, "lr.min is 1 and max is 1; min must be below max"),
        ({"lr": {"min": 2.5, "max": 1}}, "lr.min is 2.5 and max is 1; min must be below max"),
        ({"a": {"b": {"min": 1, "max": 2, "mean": 3}}}, "a.b.mean is 3; it must lie between min (1) and max (2)"),
        ({"lr": {"distribution": "log_normal", "min": 0, "max": 1}}, "lr.min is 0, which has no logarithm"),
        ({"h": {"distribution": "uniform_pow2", "min": -1, "max": 8}}, "h.min is -1; it must be above 0"),
        ({"h": {"distribution": "uniform_pow2", "min": 5, "max": 7}}, "h.min is 5 and max is 7; there is no power of"),
        ({"g": {"distribution": "logit_normal", "min": 0.0, "max": 0.5}}, "g.min is 0; it must lie strictly between"),
        ({"g": {"distribution": "logit_normal", "min": 0.5, "max": 1}}, "g.max is 1; it must lie strictly between"),
        ({"n": {"distribution": "int_uniform", "min": 1.5, "max": 4}}, "n.min is 1.5; int_uniform needs whole numbers"),
        ({"n": {"min": 0, "max": 2**52}}, "n.max is 4503599627370496 and min is 0; use log_normal"),
        ({"n": {"min": 0, "max": 10**20 + 1}}, "n.max is 100000000000000000001, which is too large to be exact"),
        ({"n": {"min": 0, "max": 10**400}}, "n.max is 1000"),
        ({"x": {"min": -1.7e308, "max": 1.7e308}}, "x.max is 1.7e+308 and min is -1.7e+308; they are too far apart"),
        ({"x": {"min": math.nan, "max": 1}}, "x.min is nan; it must be a finite number"),
        ({"x": {"min": 0, "max": math.inf}}, "x.max is inf; it must be a finite number"),
        ({"x": {"min": False, "max": 2.0}}, "x.min is False; it must be a finite number"),
        ({"x": {"min": "1e-5", "max": 2.0}}, "x.min is '1e-5'; it must be a number, not text in quotes"),
        ({"x": {"min": 0, "max": 1.0, "scale": 0}}, "x.scale is 0; it must be above 0"),
        ({"x": {"min": 0, "max": 1.0, "scale": "time"}}, "x.scale is 'time', which only log_normal has"),
        ({"x": {"min": 0, "max": 1.0, "scale": "atuo"}}, "x.scale is 'atuo'; it must be 'auto', 'time' or a number"),
        ({"x": {"min": 0, "max": 1.0, "values": [1]}}, "x.min is set, but categorical has only values; remove it"),
        ({"x": {"distribution": "uniform", "max": 1.0}}, "x.min is missing; uniform needs min and max"),
        ({"x": {"distribution": "unifrom", "min": 0}}, "x.distribution is 'unifrom'; did you mean 'uniform'"),
        ({"c": {"values": []}}, "c.values is empty; give it at least one value"),
        ({"c": {"values": [1, 2, 1]}}, "c.values is [1, 2, 1], which has a value twice"),
        ({"c": {"values": "adam"}}, "c.values is 'adam'; it must be a list"),
        ({"c": {"values": [math.nan]}}, "c.values is nan, which JSON cannot hold"),
        ({"c": {"value": {1, 2}}}, "c.value is {1, 2}, which JSON cannot hold"),
        ({"a.b": {"value": 1}, "a": {"b": {"value": 2}}}, "a.b is given twice, flat and nested"),
        ({"lr": 0.1}, "lr is 0.1, which is no parameter; give it min and max, or values, or value"),
        ({"lr": {"distributon": "x"}}, "lr.distributon is 'x', which is no parameter; did you mean 'distribution'?"),
        ({"trainer": {}}, "trainer is an empty group; remove it"),
        ({"a b": {"value": 1}}, "a b cannot be a parameter's name ('a b')"),
        ({"a..b": {"value": 1}}, "a..b cannot be a parameter's name"),
        ({"lr=": {"value": 1}}, "lr= cannot be a parameter's name"),
        ({3: {"value": 1}}, "3 cannot be a parameter's name (3)"),
    ],
)
def test_a_mistake_names_the_field_the_value_and_the_fix(parameters: dict[str, Any], sentence: str) -> None:
    with pytest.raises(FieldError) as caught:
        Space.from_parameters(parameters)
    assert str(caught.value).startswith(sentence)


def test_log_integers_are_spread_over_orders_of_magnitude() -> None:
    axis = LogInteger(1, 1000)
    drawn = [axis.from_unit((i + 0.5) / 1000) for i in range(1000)]
    assert 300 < sum(value <= 20 for value in drawn) < 600
    assert LogInteger(2, 9).places() == [LogInteger(2, 9).to_unit(n) for n in range(2, 10)]
    for low, high, named in ((0, 9, "no logarithm"), (1, 2**41, "too wide")):
        with pytest.raises(FieldError, match=named):
            LogInteger(low, high)
