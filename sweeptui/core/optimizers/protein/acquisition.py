"""How much a candidate is wanted. Larger is better, and only the order matters.

All work on standardised scores, where more is better, so none depends on the score's sign or scale.
"""

from __future__ import annotations

import math

import torch

_LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)
RANDOM_MARGIN = 0.1
RANDOM_OPTIMISM = 0.5


def log_expected_improvement(mean: torch.Tensor, std: torch.Tensor, incumbent: float) -> torch.Tensor:
    """Stable where the improvement is tiny, and with a usable gradient there (Ament et al. 2023, arXiv:2310.20708)."""
    z = (mean - incumbent) / std
    near = z.clamp_min(-1.0)
    density = torch.exp(-0.5 * near**2 - _LOG_SQRT_2PI)
    log_near = torch.log(density + near * torch.special.ndtr(near))
    # phi(z) + z Phi(z) = phi(z) (1 - |z| sqrt(pi/2) erfcx(|z|/sqrt 2)); far out the bracket tends to 1/z^2.
    far = z.clamp(-1e3, -1.0)
    bracket = 1 + far * math.sqrt(math.pi / 2) * torch.special.erfcx(-far / math.sqrt(2))
    log_far = -0.5 * far**2 - _LOG_SQRT_2PI + torch.log(bracket.clamp_min(1e-12))
    log_beyond = -0.5 * z**2 - _LOG_SQRT_2PI - 2 * torch.log(-z.clamp_max(-1.0))
    log_h: torch.Tensor = torch.where(z > -1, log_near, torch.where(z > -1e3, log_far, log_beyond))
    return log_h + std.log()


def upper_confidence_bound(mean: torch.Tensor, std: torch.Tensor, beta: float) -> torch.Tensor:
    return mean + beta * std


def naive(
    mean: torch.Tensor, std: torch.Tensor, position: torch.Tensor, target: float, optimism: float
) -> torch.Tensor:
    """Protein's own: a good score, at a cost near a target that differs from trial to trial.

    `position`: predicted log cost, 0 at the cheapest of the front and 1 at its dearest. Where the original multiplies
    a signed score with a weight that may fall below 0, and so can end up choosing the worst, both factors here are
    positive: the chance that a standard normal is below the score, and the closeness to the target.
    """
    closeness = (1 - (position - target).abs()).clamp_min(0.05)
    quality: torch.Tensor = torch.special.log_ndtr(mean + optimism * std)
    return quality + closeness.log()
