"""Gaussian process regression with one lengthscale per axis.

In numpy and LAPACK, with the gradients written out: at the sizes of a sweep (tens to hundreds of observations) general
automatic differentiation costs ten times what the linear algebra does. The tests hold it against gpytorch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import lapack
from scipy.optimize import minimize

from sweeptui.core.optimizers.protein import bending, fidelity
from sweeptui.core.optimizers.protein.bending import Bends

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

NOISE_FLOOR = 1e-7
"""Of the noise variance, as a share of the signal's. Below it a kernel matrix cannot be told from a singular one."""
NOISE_CEILING = 1.0
SHORTEST, LONGEST = 0.02, 60.0
"""Lengthscales, in units of the cube, before the dimension's square root multiplies the longest."""
JITTERS = (0.0, 1e-8, 1e-6, 1e-4)
PRIOR_SHAPE = 2.0
"""The signal's variance has an inverse-gamma prior around 1, worth twice this many observations."""


class ModelError(Exception):
    """No usable model came out of the data; the message is one clause saying why."""


class Matern:
    """Matern-5/2, for scores that are smooth but not very."""

    @staticmethod
    def of(squared: Array) -> tuple[Array, Array]:
        """The kernel at squared scaled distances, and minus twice its derivative by them."""
        distance = np.sqrt(5.0 * squared)
        decay = np.exp(-distance)
        linear = 1 + distance
        return (linear + (5 / 3) * squared) * decay, (5 / 3) * linear * decay


class SquaredExponential:
    """For scores that are as smooth as a polynomial: it sees furthest, where it can be trusted."""

    @staticmethod
    def of(squared: Array) -> tuple[Array, Array]:
        """The kernel at squared scaled distances, and minus twice its derivative by them."""
        value = np.exp(-0.5 * squared)
        return value, value


Kernel = type[Matern] | type[SquaredExponential]


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    log_lengthscales: Array
    """One for each axis."""
    log_noise: float
    """Of the noise variance as a share of the signal variance."""
    discrepancy: Array | None = None
    """Where not all are complete trials of the sweep: see `fidelity`."""
    bends: Bends | None = None
    """Of the axes; None where all are straight."""


class GaussianProcess:
    """A model of targets of about unit spread, conditioned on rows of features. Raises `ModelError`.

    Constant mean and signal variance at their most probable values given the rest (the mean has a flat
    prior, the variance an inverse-gamma one), so that a fit searches lengthscales and noise only.
    `shares`: of its training that each row had, or `fidelity.FOREIGN`; None where all are complete. Predictions are of
    complete ones.
    """

    def __init__(
        self,
        x: Array,
        y: Array,
        feature_axis: NDArray[np.int_],
        kernel: Kernel,
        hyperparameters: Hyperparameters,
        shares: Array | None = None,
    ) -> None:
        self._kernel = kernel
        self._shares = shares
        self.hyperparameters = hyperparameters
        self._feature_axis = feature_axis
        self._inverse_scale = np.exp(-hyperparameters.log_lengthscales)[feature_axis]
        self._rows = x
        self._x = self._scaled(x)
        self._y = y
        self._condition()

    def _condition(self) -> None:
        covariance = self._kernel.of(_squared_distances(self._x, self._x))[0]
        if self._shares is not None and self.hyperparameters.discrepancy is not None:
            discrepancy = fidelity.Discrepancy.of(self._shares, self.hyperparameters.discrepancy)
            covariance = covariance * discrepancy.factor + discrepancy.shift
        self._inverse = _invert(covariance, math.exp(self.hyperparameters.log_noise))[0]
        row_sums = self._inverse.sum(axis=1)
        self.mean = float(row_sums @ self._y / row_sums.sum())
        residual = self._y - self.mean
        self._weights = self._inverse @ residual
        self.variance = _signal_variance(float(residual @ self._weights), len(self._y))

    def _scaled(self, x: Array) -> Array:
        bends = self.hyperparameters.bends
        return (x if bends is None else bends.bend(x)) * self._inverse_scale

    @property
    def noise_std(self) -> float:
        """Deviation of one observation from the score that it is of."""
        return math.sqrt(self.variance * math.exp(self.hyperparameters.log_noise))

    def leave_one_out(self) -> tuple[Array, Array]:
        """Mean and deviation, noise included, of each observation given all others (Sundararajan and Keerthi 2001)."""
        precision = self._inverse.diagonal()
        return self._y - self._weights / precision, np.sqrt(self.variance / precision)

    def covariance_of_lengthscales(self, rows: NDArray[np.int_]) -> Array:
        """How far their logarithms are known: Laplace's approximation of the posterior, given these observations.

        A direction that the data say nothing about, or that a bound holds, has the prior's variance.
        """
        shares = None if self._shares is None else self._shares[rows]
        bends = self.hyperparameters.bends
        bendable = None if bends is None else bends.bendable
        posterior = _Posterior(self._rows[rows], self._y[rows], self._feature_axis, self._kernel, shares, bendable)
        return _laplace(posterior, self.hyperparameters)

    def averages(self, x: Array, groups: int) -> tuple[Array, Array]:
        """Means and covariance (without noise) of the function's average over each of `groups` equal parts of the rows.

        So an average over configurations is as sure as it is, and not as its single points are.
        """
        size = len(x) // groups
        scaled = self._scaled(x)
        cross = self._kernel.of(_squared_distances(scaled, self._x))[0].reshape(groups, size, -1).mean(axis=1)
        parts = scaled.reshape(groups, size, -1)
        own = np.empty((groups, groups))
        for one in range(groups):
            among = self._kernel.of(_squared_distances(parts[one], scaled))[0]
            own[one] = among.reshape(size, groups, size).mean(axis=(0, 2))
        covariance = self.variance * (own - cross @ self._inverse @ cross.T)
        return self.mean + cross @ self._weights, (covariance + covariance.T) / 2

    def believe(self, x: Array) -> None:
        """Take the model's own mean at `x` as observed (Kriging believer): the mean stays, the uncertainty goes.

        Ginsbourger et al. 2010, "Kriging Is Well-Suited to Parallelize Optimization".
        """
        mean = self.predict_mean(x)
        variance, constant = self.variance, self.mean
        self._x = np.concatenate([self._x, self._scaled(x)])
        self._y = np.concatenate([self._y, mean])
        if self._shares is not None:
            self._shares = np.concatenate([self._shares, np.ones(len(x))])
        self._condition()
        # A belief is no evidence: it says nothing about how large the signal is.
        self.variance, self.mean = variance, constant
        self._weights = self._inverse @ (self._y - constant)

    def predict(self, x: Array) -> tuple[Array, Array]:
        """Mean and standard deviation (without noise) at each row."""
        cross = self._kernel.of(_squared_distances(self._scaled(x), self._x))[0]
        reduction = np.einsum("ij,ij->i", cross @ self._inverse, cross)
        return self.mean + cross @ self._weights, np.sqrt(self.variance * np.maximum(1.0 - reduction, 1e-12))

    def predict_mean(self, x: Array) -> Array:
        cross = self._kernel.of(_squared_distances(self._scaled(x), self._x))[0]
        mean: Array = self.mean + cross @ self._weights
        return mean

    def gradients(self, x: Array) -> tuple[float, float, Array, Array]:
        """Mean and standard deviation at one point of features, and their gradients with respect to it."""
        difference = self._scaled(x) - self._x
        cross, slope = self._kernel.of((difference**2).sum(axis=1))
        slope = -slope[:, None] * difference
        steepness = self._inverse_scale
        if (bends := self.hyperparameters.bends) is not None:
            steepness = steepness * bends.slope(x)
        solved = self._inverse @ cross
        share = 1.0 - float(cross @ solved)
        mean = self.mean + float(cross @ self._weights)
        std = math.sqrt(self.variance * max(share, 1e-12))
        mean_gradient = (self._weights @ slope) * steepness
        std_gradient = (-self.variance / std) * (solved @ slope) * steepness
        if share <= 1e-12:
            std_gradient = np.zeros_like(std_gradient)
        return mean, std, mean_gradient, std_gradient


def fit(
    x: Array,
    y: Array,
    feature_axis: NDArray[np.int_],
    kernel: Kernel,
    starts: list[Hyperparameters],
    iterations: int,
    shares: Array | None = None,
    bendable: NDArray[np.bool_] | None = None,
) -> tuple[Hyperparameters, float]:
    """The most probable hyperparameters found, and the log of the evidence times their prior density.

    `bendable`: the features whose axes may be bent; None where all are straight.
    """
    posterior = _Posterior(x, y, feature_axis, kernel, shares, bendable)
    best: tuple[float, Array] | None = None
    for start in starts:
        found = minimize(
            posterior,
            np.clip(posterior.start(start), posterior.low, posterior.high),
            jac=True,
            method="L-BFGS-B",
            bounds=list(zip(posterior.low, posterior.high, strict=True)),
            options={"maxiter": iterations, "ftol": 1e-6},
        )
        if np.isfinite(found.fun) and np.isfinite(found.x).all() and (best is None or found.fun < best[0]):
            best = float(found.fun), found.x
    if best is None:
        raise ModelError("the likelihood of the data is not finite")
    return posterior.read(best[1]), -best[0]


def _laplace(posterior: _Posterior, found: Hyperparameters) -> Array:
    """The inverse of the curvature of the log posterior, by central differences of its gradient."""
    at = posterior.start(found)
    rows = []
    for index in range(len(at)):
        step = np.zeros_like(at)
        step[index] = CURVATURE_STEP
        rows.append((posterior(at + step)[1] - posterior(at - step)[1]) / (2 * CURVATURE_STEP))
    curvature = np.array(rows)
    values, vectors = np.linalg.eigh((curvature + curvature.T) / 2)
    inverse: Array = (vectors / np.maximum(values, 1 / LENGTH_PRIOR_VARIANCE)) @ vectors.T
    return inverse[: posterior.axes, : posterior.axes]


CURVATURE_STEP = 1e-3


class _Posterior:
    """Minus the log posterior of a vector of hyperparameters, and its gradient.

    The vector: log lengthscales, log noise; where there are shares, the discrepancy's; where axes bend, the bends'.
    """

    def __init__(
        self,
        x: Array,
        y: Array,
        feature_axis: NDArray[np.int_],
        kernel: Kernel,
        shares: Array | None,
        bendable: NDArray[np.bool_] | None = None,
    ) -> None:
        self._x, self._y, self._feature_axis, self._kernel = x, y, feature_axis, kernel
        self._shares = shares
        self._bendable = bendable
        self.axes = int(feature_axis.max()) + 1
        self._prior_centre = length_prior_centre(self.axes)
        self.low = np.append(np.full(self.axes, math.log(SHORTEST)), math.log(NOISE_FLOOR))
        longest = math.log(LONGEST * math.sqrt(self.axes))
        self.high = np.append(np.full(self.axes, longest), math.log(NOISE_CEILING))
        if shares is not None:
            self.low, self.high = np.append(self.low, fidelity.LOW), np.append(self.high, fidelity.HIGH)
        self._unbent = len(self.low)
        """Of the vector, what comes before the bends."""
        if bendable is not None:
            furthest = np.full(2 * self.axes, bending.FURTHEST)
            self.low, self.high = np.append(self.low, -furthest), np.append(self.high, furthest)

    def start(self, hyperparameters: Hyperparameters) -> Array:
        vector = np.append(hyperparameters.log_lengthscales, hyperparameters.log_noise)
        if self._shares is not None:
            known = hyperparameters.discrepancy
            vector = np.append(vector, fidelity.PRIOR_CENTRE if known is None else known)
        if self._bendable is not None:
            bends = hyperparameters.bends
            vector = np.append(vector, np.zeros(2 * self.axes) if bends is None else bends.logs)
        return vector

    def read(self, vector: Array) -> Hyperparameters:
        axes = self.axes
        discrepancy = None if self._shares is None else vector[axes + 1 : self._unbent].copy()
        return Hyperparameters(vector[:axes].copy(), float(vector[axes]), discrepancy, self._bends(vector))

    def _bends(self, vector: Array) -> Bends | None:
        if self._bendable is None:
            return None
        return Bends(vector[self._unbent :].copy(), self._feature_axis, self._bendable)

    def __call__(self, vector: Array) -> tuple[float, Array]:
        axes = self.axes
        logs, log_noise = vector[:axes], float(vector[axes])
        noise = math.exp(log_noise)
        n = len(self._y)
        inverse_scale = np.exp(-logs)[self._feature_axis]
        bends = self._bends(vector)
        x = (self._x if bends is None else bends.bend(self._x)) * inverse_scale
        kernel, slope = self._kernel.of(_squared_distances(x, x))
        covariance, discrepancy = kernel, None
        if self._shares is not None:
            discrepancy = fidelity.Discrepancy.of(self._shares, vector[axes + 1 : self._unbent])
            covariance, slope = kernel * discrepancy.factor + discrepancy.shift, slope * discrepancy.factor
        inverse, log_determinant = _invert(covariance, noise)
        row_sums = inverse.sum(axis=1)
        residual = self._y - row_sums @ self._y / row_sums.sum()
        weights = inverse @ residual
        variance = _signal_variance(float(residual @ weights), n)
        evidence = -0.5 * (n + 2 * PRIOR_SHAPE) * math.log(variance) - 0.5 * log_determinant
        sensitivity = np.outer(weights, weights) / variance - inverse
        weighted = sensitivity * slope
        by_feature = weighted.sum(axis=1) @ x**2 - (x * (weighted @ x)).sum(axis=0)
        gradient = np.empty_like(vector)
        gradient[:axes] = np.bincount(self._feature_axis, weights=by_feature, minlength=axes)
        gradient[axes] = 0.5 * noise * float(np.trace(sensitivity))
        prior, prior_gradient = self._prior(logs, log_noise, noise)
        gradient[: axes + 1] += prior_gradient
        if discrepancy is not None:
            own_prior, own_gradient = fidelity.log_prior(vector[axes + 1 : self._unbent])
            prior += own_prior
            gradient[axes + 1 : self._unbent] = discrepancy.gradient(sensitivity, kernel) + own_gradient
        if bends is not None:
            own_prior, own_gradient = bending.log_prior(bends.logs)
            prior += own_prior
            by_place = (weighted @ x - x * weighted.sum(axis=1)[:, None]) * inverse_scale
            by_logs = [
                np.bincount(self._feature_axis, weights=(by_log * by_place).sum(axis=0), minlength=axes)
                for by_log in bends.by_logs(self._x)
            ]
            gradient[self._unbent :] = np.concatenate(by_logs) + own_gradient
        return -(evidence + prior), -gradient

    def _prior(self, logs: Array, log_noise: float, noise: float) -> tuple[float, Array]:
        """Lengthscales: normal in their log. Noise: gamma(1.1, rate 30), nearly flat in its log up to a few percent."""
        deviation = logs - self._prior_centre
        value = -0.5 * float(deviation @ deviation) / LENGTH_PRIOR_VARIANCE
        value += NOISE_PRIOR_SHAPE * log_noise - NOISE_PRIOR_RATE * noise
        noise_gradient = NOISE_PRIOR_SHAPE - NOISE_PRIOR_RATE * noise
        return value, np.append(-deviation / LENGTH_PRIOR_VARIANCE, noise_gradient)


LENGTH_PRIOR_VARIANCE = 1.0
NOISE_PRIOR_SHAPE, NOISE_PRIOR_RATE = 0.1, 30.0


def length_prior_centre(axes: int) -> float:
    """Log of the lengthscales' prior median, the cube's diagonal: it grows with the square root of the dimension.

    So that a space of many axes is not taken for one of which nothing can be known: Hvarfner et al. 2024, "Vanilla
    Bayesian Optimization Performs Great in High Dimensions", arXiv:2402.02229. Their prior is wider and leans to short
    lengthscales; with ten observations that makes searches that settle early.
    """
    return 0.5 * math.log(axes)


def default_starts(axes: int) -> list[Hyperparameters]:
    return [Hyperparameters(np.full(axes, length_prior_centre(axes)), math.log(1e-3))]


def _squared_distances(a: Array, b: Array) -> Array:
    squared = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None, :] - 2 * (a @ b.T)
    if a is b:
        np.fill_diagonal(squared, 0.0)
    return np.asarray(np.maximum(squared, 0.0), dtype=np.float64)


def _signal_variance(quadratic: float, n: int) -> float:
    return (quadratic + 2 * PRIOR_SHAPE) / (n + 2 * PRIOR_SHAPE)


def _invert(covariance: Array, noise: float) -> tuple[Array, float]:
    """Inverse and log determinant of `covariance` with noise on its diagonal."""
    for jitter in JITTERS:
        noisy = covariance.copy()
        noisy.flat[:: len(noisy) + 1] += noise + jitter
        factor, failed = lapack.dpotrf(noisy.T, lower=1, clean=0, overwrite_a=1)
        if failed:
            continue
        log_determinant = 2 * float(np.log(factor.diagonal()).sum())
        inverse, failed = lapack.dpotri(factor, lower=1, overwrite_c=1)
        if failed or not math.isfinite(log_determinant):
            continue
        lower = np.tril(inverse)
        return lower + np.tril(inverse, -1).T, log_determinant
    raise ModelError("the covariance matrix could not be factorised")
