"""Scales and ticks: where a value stands on an axis, and which values are written there."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

FLAT = 1e-12
"""Values that differ by less than this share of themselves are the same value, as far as a picture goes."""
_LEAST, _MOST = math.ulp(0.0), sys.float_info.max
_NICE = (1.0, 2.0, 5.0, 10.0)
_DAY = 86400
_TIMES = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, _DAY)
"""Seconds between ticks that people count in."""
_SUFFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_MAX_LABEL = 12
_FAR = 1e9
"""Further away than any screen is wide."""


class Unit(Enum):
    NUMBER = auto()
    INDEX = auto()
    """Whole numbers: no tick in between."""
    SECONDS = auto()
    DOLLARS = auto()


@dataclass(frozen=True, slots=True)
class Axis:
    title: str
    unit: Unit = Unit.NUMBER
    log: bool = False
    categories: tuple[str, ...] = ()
    """Names of the values 0, 1, 2, ..."""


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    """0 at the low end of the axis, 1 at the high one."""
    label: str


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to the share of an axis, linear or logarithmic. `low < high`, both finite; above 0 where `log`."""

    low: float
    high: float
    log: bool = False

    @classmethod
    def fit(cls, values: Iterable[float], *, log: bool = False, margin: float = 0.0) -> Scale:
        """Hold all of the values that can be shown, with a margin (a share of the axis) at both ends."""
        shown = [value for value in values if math.isfinite(value) and (not log or value > 0)]
        low, high = (min(shown), max(shown)) if shown else (1.0, 10.0) if log else (0.0, 1.0)
        largest = max(abs(low), abs(high))
        if high - low <= max(largest * FLAT, 1e-300):
            return cls._around(low, log)
        wider = cls(low, high, log).part(-margin, 1 + margin)
        return cls(min(wider.low, low), max(wider.high, high), log)

    @classmethod
    def _around(cls, value: float, log: bool) -> Scale:
        """A scale for one value, which stands in the middle."""
        if log:
            return cls(max(value / 2, _LEAST), min(value * 2, _MOST), log)
        away = abs(value) / 10 if abs(value) > 1e-290 else 1.0
        return cls(max(value - away, -_MOST), min(value + away, _MOST))

    def _ends(self) -> tuple[float, float]:
        return (math.log10(self.low), math.log10(self.high)) if self.log else (self.low, self.high)

    def share(self, value: float) -> float:
        """Where a finite value (above 0 where `log`) stands: 0 at the low end, 1 at the high one."""
        low, high = self._ends()
        at = math.log10(value) if self.log else value
        span = high - low
        if math.isfinite(span) and math.isfinite(at - low):
            return (at - low) / span
        return (at / 4 - low / 4) / (high / 4 - low / 4)  # the difference of two huge numbers overflows

    def places(self, values: Sequence[float], first: float, last: float) -> list[float]:
        """Where values stand between `first`, the low end, and `last`: numbers that fit into any integer type."""
        low, high = self._ends()
        if math.isfinite(high - low):
            by = (last - first) / (high - low)
            if self.log:
                found = [(math.log10(value) - low) * by + first for value in values]
            else:
                found = [(value - low) * by + first for value in values]
        else:
            found = [self.share(value) * (last - first) + first for value in values]
        if found and (min(found) < -_FAR or max(found) > _FAR):
            found = [max(-_FAR, min(place, _FAR)) for place in found]
        return found

    def value(self, share: float) -> float:
        low, high = self._ends()
        at = low * (1 - share) + high * share
        if not self.log:
            return max(-_MOST, min(at, _MOST))
        return float(10.0 ** max(-323.0, min(at, 308.0)))

    def part(self, start: float, stop: float) -> Scale:
        """The scale from one share of this one to another; itself where they are too near to tell apart."""
        low, high = self.value(start), self.value(stop)
        if high - low <= max(abs(low), abs(high)) * FLAT:
            return self
        return Scale(low, high, self.log)


def nice_step(span: float) -> float:
    """The smallest of 1, 2, 5, 10, 20, 50, ... (and 0.5, 0.2, ...) that is not below `span`.

    Heckbert, "Nice numbers for graph labels", Graphics Gems (1990).
    """
    span = max(span, 1e-300)
    power = 10.0 ** math.floor(math.log10(span))
    return next((nice * power for nice in _NICE if nice * power >= span * (1 - 1e-9)), 10 * power)


def ticks(axis: Axis, scale: Scale, most: int) -> list[Tick]:
    """At most `most` ticks (or 2, where that is less) from the low end to the high one."""
    most = max(2, most)
    if axis.categories:
        return _named(axis.categories, scale, most)
    if scale.log:
        values = log_values(scale.low, scale.high, most)
        if len(values) >= 2:
            return [Tick(scale.share(value), label(value, axis.unit)) for value in values]
    step = _step(axis.unit, scale, most)
    values = multiples(step, scale.low, scale.high)
    texts = labels(values, step, axis.unit)
    pairs = zip(values, texts, strict=True)
    found = [Tick(scale.share(value), text) for value, text in pairs if value > 0 or not scale.log]
    return [tick for tick in found if -1e-6 <= tick.at <= 1 + 1e-6]


def _named(names: Sequence[str], scale: Scale, most: int) -> list[Tick]:
    first, last = max(0, math.ceil(scale.low)), min(len(names) - 1, math.floor(scale.high))
    stride = max(1, -(-(last - first + 1) // most))
    return [Tick(scale.share(i), names[i]) for i in range(first, last + 1, stride)]


def _step(unit: Unit, scale: Scale, most: int) -> float:
    span = scale.high / most - scale.low / most
    # One more tick than there are gaps: with the smallest step there may be one tick too many.
    while True:
        if unit is Unit.SECONDS and 0.5 < span <= _DAY:
            step = float(next(time for time in _TIMES if time >= span))
        elif unit is Unit.SECONDS and span > _DAY:
            step = nice_step(span / _DAY) * _DAY
        else:
            step = nice_step(span)
        if unit is Unit.INDEX:
            step = max(1.0, step)
        first, last = _multiples(step, scale.low, scale.high)
        if last - first < most or step > _MOST / 10:
            return step
        span = step * 1.01


def multiples(step: float, low: float, high: float) -> list[float]:
    """The multiples of `step` from `low` to `high`."""
    first, last = _multiples(step, low, high)
    return [index * step for index in range(first, last + 1)]


def _multiples(step: float, low: float, high: float) -> tuple[int, int]:
    return math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)


def log_values(low: float, high: float, most: int) -> list[float]:
    """Powers of ten, thinned out where there are many of them, with 2 and 5 times them where there are few."""
    first, last = math.floor(math.log10(low)), min(308, math.ceil(math.log10(high)))
    inside = [power for power in range(first, last + 1) if low * (1 - 1e-9) <= 10.0**power <= high * (1 + 1e-9)]
    if len(inside) > most:
        stride = -(-len(inside) // most)
        inside = [power for power in inside if power % stride == 0]
    elif 3 * (last - first) <= most or len(inside) < 2:
        finer = [nice * 10.0**power for power in range(first, last) for nice in (1, 2, 5)]
        finer = [value for value in [*finer, 10.0**last] if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]
        return finer if len(finer) <= most else [10.0**power for power in inside]
    return [10.0**power for power in inside]


# -- how ticks are written


def label(value: float, unit: Unit) -> str:
    """One value above 0, with as many digits as it needs and no more than four."""
    if unit is Unit.SECONDS and value >= 1:
        return duration(value) if value < 1000 * _DAY else f"{label(value / _DAY, Unit.NUMBER)}d"
    size, suffix = next(((size, suffix) for size, suffix in _SUFFIXES if value >= size), (1.0, ""))
    if 1e-3 <= value < 1e15:
        return _with_unit(_trim(f"{value / size:.4g}") + suffix, unit)
    return _with_unit(_scientific(value, 10.0 ** max(-300, math.floor(math.log10(value)) - 3)), unit)


def labels(values: Sequence[float], step: float, unit: Unit) -> list[str]:
    """Values that are multiples of `step`, written alike and told apart."""
    if unit is Unit.SECONDS and step >= _DAY:
        return [f"{text}d" for text in labels([value / _DAY for value in values], step / _DAY, Unit.NUMBER)]
    if unit is Unit.SECONDS and step >= 1:
        return [duration(value) for value in values]
    largest = max((abs(value) for value in values), default=0.0)
    return [_with_unit(text, unit) for text in _numbers(values, step, largest)]


def _with_unit(text: str, unit: Unit) -> str:
    return f"${text}" if unit is Unit.DOLLARS else f"{text}s" if unit is Unit.SECONDS else text


def _numbers(values: Sequence[float], step: float, largest: float) -> list[str]:
    if largest and (largest < 1e-3 or largest >= 1e15):
        return [_scientific(value, step) for value in values]
    if largest >= 1e4:
        for size, suffix in _SUFFIXES:
            if largest >= size and step >= size / 100:
                places = _places(step / size)
                return [_trim(f"{value / size:.{places}f}") + suffix if value else "0" for value in values]
    texts = [_fixed(value, _places(step)) for value in values]
    if max(map(len, texts), default=0) > _MAX_LABEL:
        return [_scientific(value, step) for value in values]
    return texts


def _fixed(value: float, places: int) -> str:
    text = f"{value:.{places}f}"
    return text.removeprefix("-") if not text.strip("-0.") else text


def _places(step: float) -> int:
    return max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 0


def _scientific(value: float, step: float) -> str:
    if not value:
        return "0"
    digits = math.floor(math.log10(abs(value))) - math.floor(math.log10(step) + 1e-9) if step > 0 else 0
    mantissa, _, power = f"{value:.{max(0, min(digits, 16))}e}".partition("e")
    return f"{_trim(mantissa)}e{int(power)}"


def _trim(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def duration(seconds: float) -> str:
    """A time on an axis: `90s` is `1m30s`, and what is zero is left out."""
    whole = round(abs(seconds))
    parts = []
    for size, suffix in ((_DAY, "d"), (3600, "h"), (60, "m"), (1, "s")):
        count, whole = divmod(whole, size)
        if count:
            parts.append(f"{count}{suffix}")
    return ("-" if seconds < 0 else "") + "".join(parts) if parts else "0s"
