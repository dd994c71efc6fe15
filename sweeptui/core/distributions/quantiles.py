"""Distributions that are given by their shape and not by bounds: normal, log-normal and beta.

They are the ones of W&B's sweep files. An axis needs ends, so each is cut where one draw in 3.5 million would lie
beyond (five standard deviations of a normal); values are snapped to eight digits, for a place near an end of the axis
tells no more of them.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from statistics import NormalDist
from typing import Any

from sweeptui.core.distributions.base import Distribution, finite_number
from sweeptui.core.errors import FieldError

SIGMAS = 5.0
TAIL = NormalDist().cdf(-SIGMAS)
DIGITS = 8
MAX_SHAPE = 1e6


class Quantile(Distribution):
    """A float between `min` and `max`, which follow from the shape; its place is its quantile."""

    kind = "continuous"
    min: float
    max: float

    @abstractmethod
    def cdf(self, value: float) -> float:
        """The share of draws up to `value`, which lies between the ends."""

    @abstractmethod
    def ppf(self, u: float) -> float:
        """The inverse of `cdf`, snapped; `u` lies between `TAIL` and 1 - `TAIL`."""

    def contains(self, value: Any) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and self.min <= value <= self.max

    def to_unit(self, value: Any) -> float:
        if not self.contains(value):
            raise self._refuse(value)
        if value in (self.min, self.max):
            return float(value == self.max)
        return min(1.0, max(0.0, (self.cdf(float(value)) - TAIL) / (1 - 2 * TAIL)))

    def from_unit(self, u: float) -> float:
        if not 0 < u < 1:
            return self.max if u >= 1 else self.min
        return min(self.max, max(self.min, self.ppf(TAIL + u * (1 - 2 * TAIL))))


class Normal(Quantile):
    """A float around `mu`, with the standard deviation `sigma`."""

    name = "normal"
    arguments = ("mu", "sigma")

    def __init__(self, mu: float, sigma: float) -> None:
        self.mu, self.sigma = finite_number("mu", mu), _above_zero("sigma", sigma)
        self._shape = NormalDist(self.mu, self.sigma)
        if self.mu + self.sigma / 10**DIGITS == self.mu:
            raise FieldError("sigma", f"is {sigma!r} and mu is {mu!r}; a float cannot tell such near values apart")
        self.min, self.max = (self._snap(self.mu + sign * SIGMAS * self.sigma) for sign in (-1, 1))
        if not math.isfinite(self.max - self.min):
            raise FieldError("sigma", f"is {sigma!r}, which is too wide for a float")

    def cdf(self, value: float) -> float:
        return self._shape.cdf(value)

    def ppf(self, u: float) -> float:
        return self._snap(self._shape.inv_cdf(u))

    def _snap(self, value: float) -> float:
        # Adding 0.0 makes 0.0 of -0.0.
        return round(value, DIGITS - math.floor(math.log10(self.sigma))) + 0.0


class UnboundedLogNormal(Quantile):
    """A float above 0 whose natural logarithm is normal with `mu` and `sigma`: W&B's log_normal."""

    name = "unbounded_log_normal"
    arguments = ("mu", "sigma")

    def __init__(self, mu: float, sigma: float) -> None:
        self.mu, self.sigma = finite_number("mu", mu), _above_zero("sigma", sigma)
        self._shape = NormalDist(self.mu, self.sigma)
        reach = abs(self.mu) + SIGMAS * self.sigma
        if reach > 600 or self.sigma < 1e-6:
            raise FieldError(
                "sigma", f"is {sigma!r} and mu is {mu!r}; both are of the logarithm, so that most values are from "
                f"exp(mu - sigma) to exp(mu + sigma), which a float must be able to tell apart"
            )  # fmt: skip
        self.min, self.max = (_significant(math.exp(self.mu + sign * SIGMAS * self.sigma)) for sign in (-1, 1))

    def cdf(self, value: float) -> float:
        return self._shape.cdf(math.log(value))

    def ppf(self, u: float) -> float:
        return _significant(math.exp(self._shape.inv_cdf(u)))


class Beta(Quantile):
    """A float between 0 and 1, with the density x^(a-1) (1-x)^(b-1)."""

    name = "beta"
    arguments = ("a", "b")

    def __init__(self, a: float, b: float) -> None:
        self.a, self.b = (_above_zero(field, value) for field, value in (("a", a), ("b", b)))
        for field, value in (("a", self.a), ("b", self.b)):
            if value > MAX_SHAPE:
                raise FieldError(field, f"is {value:g}; it must be at most {MAX_SHAPE:g}")
        self.min, self.max = self.ppf(TAIL), self.ppf(1 - TAIL)
        if self.min >= self.max:
            raise FieldError("a", f"is {a!r} and b is {b!r}, which leaves no more than one value; choose larger ones")

    def cdf(self, value: float) -> float:
        from scipy.special import betainc  # noqa: PLC0415 - heavy, and only this distribution needs it

        return float(betainc(self.a, self.b, value))

    def ppf(self, u: float) -> float:
        from scipy.special import betaincinv  # noqa: PLC0415 - as above

        return round(float(betaincinv(self.a, self.b, u)), DIGITS)


def _above_zero(field: str, value: Any) -> float:
    number = finite_number(field, value)
    if number <= 0:
        raise FieldError(field, f"is {value!r}; it must be above 0")
    return number


def _significant(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
