"""Units that are zero or positive reals: half of a normal law.

.. math:: p(x \\mid f) \\propto e^{f x - x^2 / 2}, \\; x \\ge 0, \\qquad
          A(f) = \\tfrac12 f^2 + \\log\\bigl(\\sqrt{2 \\pi}\\, \\Phi(f)\\bigr)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.special import erfcx, log_ndtr, ndtri

from energy.rbm.units import Units

__all__ = ["RectifiedUnits"]

#: Log of the square root of 2 pi.
HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)

#: Below this field draws come from the tail's own expansion.
TAIL = -5.0

#: Steps from which on nothing moves.
NEWTON = 5

#: And means are a series in 1 / f.
SERIES = -100.0


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
        # Phi(f) = erfcx(-f / sqrt 2) exp(-f^2 / 2) / 2: the squares cancel before they grow.
        low = fields.clamp(max=0.0)
        high = fields.clamp(min=0.0)
        tail = (erfcx(-low / math.sqrt(2)) * 0.5).log() + HALF_LOG_2PI
        body = 0.5 * high.square() + log_ndtr(high) + HALF_LOG_2PI
        return torch.where(fields < 0, tail, body)

    def mean(self, fields: Tensor) -> Tensor:
        """F + phi(f) / Phi(f), never below zero."""
        f = fields.double()
        low, high = f.clamp(max=0.0), f.clamp(min=0.0)
        ratio = math.sqrt(2 / math.pi) / erfcx(-low / math.sqrt(2))
        body = high + (-0.5 * high.square() - HALF_LOG_2PI - log_ndtr(high)).exp()
        # Of two numbers that almost cancel the difference is known as a series.
        square = low.clamp(max=SERIES).square()
        series = (1 - 2 / square + 10 / square.square()) / low.clamp(max=SERIES).abs()
        close = torch.where(f < SERIES, series, low + ratio)
        return torch.where(f < 0, close, body).to(fields)

    def sample(self, fields: Tensor, generator: torch.Generator) -> Tensor:
        """Draws by the inverse of the distribution function, in double precision."""
        f = fields.double()
        uniform = torch.rand(f.shape, dtype=f.dtype, device=f.device, generator=generator)
        uniform = uniform.clamp_(min=torch.finfo(f.dtype).tiny)
        # P(X > x) = Phi(f - x) / Phi(f): the tail that is cut at a uniform share of it.
        high = f.clamp(min=TAIL)
        body = high - ndtri(uniform * log_ndtr(high).exp())
        drawn = torch.where(f < TAIL, _tail(f.clamp(max=TAIL), uniform), body)
        return drawn.clamp_(min=0.0).to(fields)

    def self_energy(self, x: Tensor) -> Tensor:
        """Half the squared units."""
        return 0.5 * x.square().sum(-1)

    def check(self, name: str, x: Tensor) -> None:
        """Refuse what is negative or not finite."""
        wrong = ~(x.isfinite() & (x >= 0))
        if bool(wrong.any()):
            raise ValueError(f"{name} must be finite and at least 0, found {x[wrong][0].item():g}")


def _tail(f: Tensor, uniform: Tensor) -> Tensor:
    """Draws x of a unit deep below zero: Phi(f - x) = u Phi(f), solved by Newton's steps.

    With t = -f, log Phi(-t - x) falls from its value at 0 almost linearly in x.
    """
    t = -f
    goal = uniform.log()
    start = _log_tail(t)
    x = -goal / t
    for _ in range(NEWTON):
        here = t + x
        slope = -math.sqrt(2 / math.pi) / erfcx(here / math.sqrt(2))
        error = _log_tail(here) - start - 0.5 * x * (2 * t + x) - goal
        x = (x - error / slope).clamp(min=0.0)
    return x


def _log_tail(t: Tensor) -> Tensor:
    """Log Phi(-t) without its exponent -t^2 / 2, t > 0."""
    return (0.5 * erfcx(t / math.sqrt(2))).log()
