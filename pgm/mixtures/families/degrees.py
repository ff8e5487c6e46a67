"""Degrees of freedom of Student's t law, given the distances of rows from its mean.

.. math:: \\nu \\leftarrow \\arg\\max_\\nu \\sum_i r_i \\log t_\\nu(\\delta_i)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Distances", "improve_degrees", "t_log_prob"]

#: Degrees of freedom that are looked at. Above, nothing tells the law from the normal one.
LEAST, MOST = 0.1, 1e4
#: Guarded Newton steps per update; the next update goes on from there.
ROUNDS = 2
#: How far rounding may lower a sum, relative to its size.
ROUNDING = 1e-13


class Distances(NamedTuple):
    """Squared distances of rows with p entries.

    Attributes:
        entries: p.
        weights: of every row in every component, (K, ...).
        delta: the distances, of the same shape.
    """

    entries: int
    weights: Tensor
    delta: Tensor


def t_log_prob(delta: Tensor, log_det: Tensor, entries: int, degrees: Tensor) -> Tensor:
    """Log-density, nats.

    .. math:: \\log \\Gamma(\\tfrac{\\nu + p}{2}) - \\log \\Gamma(\\tfrac\\nu2)
              - \\tfrac{p}{2} \\log \\nu\\pi - \\tfrac12 \\log |\\Sigma|
              - \\tfrac{\\nu + p}{2} \\log(1 + \\delta / \\nu)

    Shapes:
        delta: (K, P, m). log_det: (K, P). degrees: (K,). result: (K, P, m).

    Example:
        >>> one = torch.ones(1, dtype=torch.float64)
        >>> cauchy = t_log_prob(one[:, None, None], 0 * one[:, None], 1, one)
        >>> round(1 / cauchy.exp().item() / math.pi, 12)
        2.0
    """
    nu = degrees[:, None]
    height = torch.lgamma((nu + entries) / 2) - torch.lgamma(nu / 2)
    height = height - 0.5 * entries * (math.pi * nu).log() - 0.5 * log_det
    nu = nu[..., None]
    return height[..., None] - 0.5 * (nu + entries) * torch.log1p(delta / nu)


def improve_degrees(rows: Sequence[Distances], degrees: Tensor) -> Tensor:
    """Degrees of freedom (K,) with a likelihood not below that of the given ones.

    Newton's method in the logarithm, kept between bounds that close in on a maximum. The last
    value is returned unless one before it was better.

    Arguments:
        rows: with their weights.
        degrees: at present, (K,).

    Reference:
        Liu & Rubin 1995, section 4 (ECME).
    """
    rows = [_joined(rows, p) for p in sorted({part.entries for part in rows})]
    low, high = torch.full_like(degrees, math.log(LEAST)), torch.full_like(degrees, math.log(MOST))
    place, tried, values = degrees.log(), [degrees], []
    for number in range(ROUNDS + 1):
        nu = tried[-1]
        value, slope, bend = _profile(rows, nu)
        values.append(value)
        if number == ROUNDS:
            break
        slope, bend = nu * slope, nu * slope + nu.square() * bend
        low, high = torch.where(slope > 0, place, low), torch.where(slope < 0, place, high)
        newton = place - slope / bend.masked_fill(bend >= 0, 1.0)
        inside = (bend < 0) & (newton > low) & (newton < high)
        # Without a slope (no rows, or the maximum itself) there is nowhere to go.
        middle = torch.where(slope == 0, place, (low + high) / 2)
        place = torch.where(inside, newton, middle)
        tried.append(torch.where(slope == 0, nu, place.exp()))
    peak, number = torch.stack(values).max(0)
    best = torch.stack(tried).gather(0, number[None])[0]
    # Near the maximum values differ by rounding only, and the last place is the most accurate.
    return torch.where(values[-1] >= peak - ROUNDING * (1 + peak.abs()), tried[-1], best)


def _joined(rows: Sequence[Distances], entries: int) -> Distances:
    """All rows with so many entries at once, (K, n)."""
    found = [part for part in rows if part.entries == entries]
    weights = torch.cat([part.weights.flatten(1) for part in found], dim=1)
    return Distances(entries, weights, torch.cat([part.delta.flatten(1) for part in found], dim=1))


def _profile(rows: Sequence[Distances], nu: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Log-likelihood of the degrees of freedom (K,), up to a constant, and two derivatives."""
    value, slope, bend = torch.zeros_like(nu), torch.zeros_like(nu), torch.zeros_like(nu)
    for p, r, d in rows:
        total, end = r.sum(1), (nu + p) / 2
        logs = (r * torch.log1p(d / nu[:, None])).sum(1)
        # d / (nu (nu + d)) and its slope, from the sums of powers of 1 / (nu + d).
        inverse = 1 / (nu[:, None] + d)
        weighted = r * inverse
        first = total / nu - weighted.sum(1)
        second = total / nu.square() - (weighted * inverse).sum(1)
        height = torch.lgamma(end) - torch.lgamma(nu / 2) - 0.5 * p * nu.log()
        value += total * height - end * logs
        tilt = torch.digamma(end) - torch.digamma(nu / 2) - p / nu
        slope += 0.5 * (total * tilt - logs + (nu + p) * first)
        curl = torch.polygamma(1, end) - torch.polygamma(1, nu / 2)
        bend += 0.5 * (total * (0.5 * curl + p / nu.square()) + 2 * first - (nu + p) * second)
    return value, slope, bend
