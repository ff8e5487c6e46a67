"""Units that are zero or positive reals: half of a normal law.

.. math:: p(x \\mid f) \\propto e^{f x - x^2 / 2}, \\; x \\ge 0, \\qquad
          A(f) = \\tfrac12 f^2 + \\log\\bigl(\\sqrt{2 \\pi}\\, \\Phi(f)\\bigr)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.special import log_ndtr, ndtri

from energy.rbm.units import Units

__all__ = ["RectifiedUnits"]

#: Log of the square root of 2 pi.
HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)

#: Below LOW means are a continued fraction, to double precision of LEVELS; below DEEP draws are a
#: Newton step from an expansion, with fewer.
LOW, LEVELS = -6.0, 18
DEEP, DEEP_LEVELS = -30.0, 6

#: From here on no unit is cut off to any digit.
HIGH = 12.0


@dataclass(frozen=True)
class RectifiedUnits(Units):
    """Units of a normal law with mean f and variance 1, cut off below zero.

    .. math:: s(x) = \\tfrac12 x^2, \\qquad \\mathbb{E} x = f + \\frac{\\phi(f)}{\\Phi(f)}

    Far below zero a unit is almost zero, far above it is about f: its mean is a smooth ramp.

    Reference:
        Hinton & Ghahramani 1997, "Generative models for discovering sparse distributed
        representations", section 3 (rectified normal units); Tubiana & Monasson 2017, "Emergence
        of compositional representations in restricted Boltzmann machines", eq. 3.

    Example:
        >>> units = RectifiedUnits()
        >>> [round(x, 3) for x in units.mean(torch.tensor([-30.0, 0.0, 4.0])).tolist()]
        [0.033, 0.798, 4.0]
    """

    @property
    def alphabet(self) -> None:
        """Not finitely many."""
        return None

    def log_normalizer(self, fields: Tensor) -> Tensor:
        """A(f), also where Phi(f) underflows."""
        x = (-fields).clamp(min=-LOW)
        far = -(x + _excess(x, LEVELS)).log()
        # Bounds keep the branch that is not taken finite, and its slope.
        near = 0.5 * fields.square() + log_ndtr(fields.clamp(LOW, HIGH)) + HALF_LOG_2PI
        return torch.where(fields < LOW, far, near)

    def mean(self, fields: Tensor) -> Tensor:
        """Means, f + phi(f) / Phi(f), never below zero."""
        f = fields.double()
        far = _excess((-f).clamp(min=-LOW), LEVELS)
        near = f + (-0.5 * f.square() - HALF_LOG_2PI - log_ndtr(f.clamp(min=LOW))).exp()
        return torch.where(f < LOW, far, near).to(fields)

    def sample(self, fields: Tensor, generator: torch.Generator) -> Tensor:
        """Draws by the inverse of the distribution function, in double precision."""
        f = fields.double()
        share = 1 - torch.rand(f.shape, dtype=f.dtype, device=f.device, generator=generator)
        # P(X > x) = Phi(f - x) / Phi(f): the tail that is cut at a share of it. Not ndtr(f),
        # which has no digits left below -8.
        near = f - ndtri(share * log_ndtr(f).exp())
        far = _deep(-f.clamp(max=DEEP), -share.log())
        return torch.where(f < DEEP, far, near).clamp_(min=0.0).to(fields)

    def self_energy(self, x: Tensor) -> Tensor:
        """Half the squared units."""
        return 0.5 * x.square().sum(-1)

    def check(self, name: str, x: Tensor) -> None:
        """Refuse what is negative or not finite."""
        wrong = ~(x.isfinite() & (x >= 0))
        if bool(wrong.any()):
            raise ValueError(f"{name} must be finite and at least 0, found {x[wrong][0].item():g}")


def _excess(x: Tensor, levels: int) -> Tensor:
    """phi(x) / Phi(-x) - x = 1 / (x + 2 / (x + 3 / (x + ...))), no difference of close numbers.

    Reference:
        Abramowitz & Stegun 1964, eq. 26.2.14.
    """
    below = x
    for k in range(levels, 1, -1):
        below = x + k / below
    return 1 / below


def _deep(x: Tensor, t: Tensor) -> Tensor:
    """Solve for h: log Phi(-x) - log Phi(-x - h) = t, for large x."""
    excess = _excess(x, DEEP_LEVELS)
    rate = x + excess
    h = 2 * t / (rate + (rate.square() + 2 * rate * excess * t).sqrt())
    after = _excess(x + h, DEEP_LEVELS)
    error = x * h + 0.5 * h.square() + ((h + after - excess) / rate).log1p() - t
    return h - error / (x + h + after)
