"""Gaussian process regression with one lengthscale per axis."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import gpytorch
import numpy as np
import torch
from linear_operator.utils.cholesky import psd_safe_cholesky
from linear_operator.utils.errors import NanError, NotPSDError
from scipy.optimize import minimize

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIT_ITERATIONS = 30
NOISE_FLOOR = 1e-4
FIRST_NOISE = 0.01
"""Where the fit starts. From gpytorch's own 0.69 a short fit explains everything as noise and the search goes blind."""
JITTERS = (1e-8, 1e-6, 1e-4)


class ModelError(Exception):
    """No usable model came out of the data; the message is one clause saying why."""


class AxisMatern(gpytorch.kernels.Kernel):  # type: ignore[misc]
    """Matern-5/2 whose lengthscales belong to axes: the features of a categorical axis share theirs.

    The prior on lengthscales grows with the square root of the dimension (Hvarfner et al. 2024, "Vanilla Bayesian
    Optimization Performs Great in High Dimensions", arXiv:2402.02229).
    """

    has_lengthscale = True

    def __init__(self, feature_axis: NDArray[np.int_]) -> None:
        axes = int(feature_axis.max()) + 1
        prior = gpytorch.priors.LogNormalPrior(loc=math.sqrt(2) + math.log(axes) / 2, scale=math.sqrt(3))
        super().__init__(
            ard_num_dims=axes,
            lengthscale_prior=prior,
            lengthscale_constraint=gpytorch.constraints.GreaterThan(0.025, initial_value=math.sqrt(axes)),
        )
        self.ard_num_dims = len(feature_axis)  # from here on what gpytorch checks the input's width against
        self._feature_axis = torch.as_tensor(feature_axis)

    def forward(self, x1: torch.Tensor, x2: torch.Tensor, diag: bool = False, **params: object) -> torch.Tensor:
        scale = self.lengthscale[..., self._feature_axis]
        distance = math.sqrt(5) * self.covar_dist(x1 / scale, x2 / scale, diag=diag, **params)
        covariance: torch.Tensor = (1 + distance + distance**2 / 3) * torch.exp(-distance)
        return covariance


class _Regression(gpytorch.models.ExactGP):  # type: ignore[misc]
    def __init__(self, x: torch.Tensor, y: torch.Tensor, feature_axis: NDArray[np.int_]) -> None:
        likelihood = gpytorch.likelihoods.GaussianLikelihood(
            noise_prior=gpytorch.priors.LogNormalPrior(loc=-4.0, scale=1.0),
            noise_constraint=gpytorch.constraints.GreaterThan(NOISE_FLOOR, initial_value=FIRST_NOISE),
        )
        super().__init__(x, y, likelihood)
        self.mean = gpytorch.means.ConstantMean()
        self.kernel = AxisMatern(feature_axis)
        self.double()

    def forward(self, x: torch.Tensor) -> gpytorch.distributions.MultivariateNormal:
        return gpytorch.distributions.MultivariateNormal(self.mean(x), self.kernel(x))


class GaussianProcess:
    """A fitted model of standardised targets. Rows of `x` are features; all in float64.

    Raises `ModelError` where no Cholesky factor can be had with any jitter.
    """

    def __init__(self, x: NDArray[np.float64], y: NDArray[np.float64], feature_axis: NDArray[np.int_]) -> None:
        self._x = torch.as_tensor(x)
        self._y = torch.as_tensor(y)
        self._model = _Regression(self._x, self._y, feature_axis)
        self._climb_jitters(self._fit)
        self._climb_jitters(self._factorise)

    def believe(self, x: NDArray[np.float64]) -> None:
        """Take the model's own mean at `x` as observed (Kriging believer): the mean stays, the uncertainty goes.

        Ginsbourger et al. 2010, "Kriging Is Well-Suited to Parallelize Optimization".
        """
        if len(x) == 0:
            return
        with torch.no_grad():
            mean, _ = self.predict(torch.as_tensor(x))
        self._x = torch.cat([self._x, torch.as_tensor(x)])
        self._y = torch.cat([self._y, mean])
        self._climb_jitters(self._factorise)

    def predict(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation (without noise) at each row; differentiable in `x`."""
        cross = self._model.kernel(x, self._x).to_dense()
        mean = self._model.mean(x) + cross @ self._weights
        half = torch.linalg.solve_triangular(self._factor, cross.T, upper=False)
        variance = (1 - (half**2).sum(dim=0)).clamp_min(1e-12)
        return mean, variance.sqrt()

    def _climb_jitters(self, step: object) -> None:
        assert callable(step)
        for jitter in JITTERS:
            try:
                with gpytorch.settings.cholesky_jitter(double_value=jitter), gpytorch.settings.cholesky_max_tries(2):
                    step()
            except (NotPSDError, NanError):
                continue
            return
        raise ModelError("the covariance matrix could not be factorised")

    def _fit(self) -> None:
        """Most probable hyperparameters, by a bounded run of L-BFGS from one stated start."""
        model = self._model.train()
        objective = gpytorch.mlls.ExactMarginalLogLikelihood(model.likelihood, model)
        parameters = list(model.parameters())
        ends = np.cumsum([parameter.numel() for parameter in parameters])[:-1]

        def assign(vector: NDArray[np.float64]) -> None:
            with torch.no_grad():
                for parameter, part in zip(parameters, np.split(vector, ends), strict=True):
                    parameter.copy_(torch.as_tensor(part).view_as(parameter))

        def loss(vector: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            assign(vector)
            model.zero_grad()
            value = -objective(model(self._x), self._y)
            value.backward()
            gradient = np.concatenate([p.grad.numpy().ravel() for p in parameters])
            return value.item(), gradient

        start = np.concatenate([p.detach().numpy().ravel() for p in parameters])
        with gpytorch.settings.fast_computations(False, False, False):
            found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": FIT_ITERATIONS})
        if not np.isfinite(found.fun):
            raise ModelError("the likelihood of the data is not finite")
        assign(found.x)
        model.eval()

    def _factorise(self) -> None:
        with torch.no_grad():
            covariance = self._model.kernel(self._x).to_dense()
            noise = self._model.likelihood.noise * torch.eye(len(self._x), dtype=torch.float64)
            self._factor = psd_safe_cholesky(covariance + noise)
            residual = (self._y - self._model.mean(self._x)).unsqueeze(-1)
            self._weights = torch.cholesky_solve(residual, self._factor).squeeze(-1)
