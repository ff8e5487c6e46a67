"""Factorised posterior of a sigmoid belief network, with a lower bound on the log-probability.

.. math:: \\mathbb{E}_q \\log(1 + e^{a}) \\le \\xi\\, \\mathbb{E}_q a
          + \\log \\mathbb{E}_q\\bigl[e^{-\\xi a} + e^{(1 - \\xi) a}\\bigr],
          \\qquad q(h) = \\prod_k \\mu_k^{h_k} (1 - \\mu_k)^{1 - h_k}

Both sides are equal where q is certain; the right one is a product over parents for every q.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from inference.inputs import as_whole
from pgm.sigmoid.enumeration import check_finite
from pgm.sigmoid.structure import Block, Parameters, UnitGraph, softplus

__all__ = ["MeanField", "mean_field"]

#: Numbers held at a time.
_CHUNK = 2**21


@dataclass(frozen=True)
class MeanField:
    """What coordinate ascent found.

    Attributes:
        marginals: (n, units) probability of a one; observed entries as they are.
        bound: (n,) lower bound on the log-probability of what is known, nats.
        trace: for every part of the rows that was worked on together its bounds after every
            sweep, each nowhere below the one before.
        converged: whether the last sweep changed no bound by more than the tolerance.
    """

    marginals: Tensor
    bound: Tensor
    trace: list[list[Tensor]]
    converged: bool


@torch.no_grad()
def mean_field(
    graph: UnitGraph,
    parameters: Parameters,
    rows: Tensor,
    *,
    tolerance: float = 1e-9,
    max_sweeps: int = 500,
) -> MeanField:
    """Maximise the bound over q by coordinate ascent, every row on its own.

    A sweep updates each unit, units of one colour together, then every :math:`\\xi`. As a function
    of one :math:`\\mu_k` the bound is an entropy, a linear term and minus logarithms of linear
    terms; the latter are convex, so that their tangents bound them from below and the maximum
    under the tangents is in closed form. No update lowers the bound.

    Arguments:
        graph: the units.
        parameters: weights, zero where there is no arrow, and biases.
        rows: (n, units), -1 where missing.
        tolerance: change of a bound, relative to one plus its size, that counts as none.
        max_sweeps: most sweeps.

    Raises:
        ValueError: if ``max_sweeps`` is below one or a parameter is not finite.

    Reference:
        Saul, Jaakkola & Jordan 1996, "Mean field theory for sigmoid belief networks", section 3.
    """
    as_whole("max_sweeps", max_sweeps, least=1)
    check_finite(parameters)
    size = max(1, _CHUNK // max(1, int(graph.adjacency.sum())))
    weights, bias = parameters.weights.double(), parameters.bias.double()
    marginals, bounds, traces, converged = [], [], [], True
    for part in rows.double().split(size):
        ascent = _Ascent(graph, Parameters(weights, bias), part)
        trace = ascent.run(tolerance, max_sweeps)
        converged = converged and len(trace) < max_sweeps
        marginals.append(ascent.mean.to(rows))
        bounds.append(trace[-1].to(rows))
        traces.append(trace)
    if not traces:
        return MeanField(rows.clone(), rows.new_zeros(0), [], True)
    return MeanField(torch.cat(marginals), torch.cat(bounds), traces, converged)


class _Tilt(NamedTuple):
    """The two exponential moments of every unit's log-odds at some xi, (n, units).

    ``low`` is log E exp(-xi a) and ``high`` is log E exp((1 - xi) a).
    """

    low: Tensor
    high: Tensor


class _Ascent:
    """Coordinate ascent for some rows."""

    def __init__(self, graph: UnitGraph, parameters: Parameters, rows: Tensor) -> None:
        self._weights, self._bias = parameters
        self._free = rows < 0
        self._blocks = graph.blocks(self._free.any(0))
        tails, heads = torch.from_numpy(graph.adjacency).to(rows.device).nonzero().T
        self._tails, self._heads, self._strength = tails, heads, self._weights[tails, heads]
        # Log-odds of the free units under q; observed ones are certain, which `mean` says.
        self._odds = torch.zeros_like(rows)
        self.mean = torch.where(self._free, 0.5, rows)
        self._xi = torch.full_like(rows, 0.5)
        self._tilt = self._tilted(self._xi)

    def run(self, tolerance: float, max_sweeps: int) -> list[Tensor]:
        """Sweep until no bound moves; the bounds after every sweep."""
        trace: list[Tensor] = []
        while len(trace) < max_sweeps:
            center = self._bias + self.mean @ self._weights
            for block in self._blocks:
                self._update_units(block, center)
            self._tilt = self._tilted(self._xi)
            self._update_xi()
            trace.append(self._bound())
            if len(trace) > 1:
                change = (trace[-1] - trace[-2]).abs()
                if (change <= tolerance * (1 + trace[-1].abs())).all():
                    break
        return trace

    def _update_units(self, block: Block, center: Tensor) -> None:
        """Move the units of one colour to their maximum under the tangents; keep the moments."""
        own, child = block.units, block.child
        strength = self._weights[own[block.owner], child]
        xi, free = self._xi[:, child], self._free[:, own]
        odds = self._odds[:, own]
        down, up = -xi * strength, (1 - xi) * strength
        old_low, old_high = (_factor(odds[:, block.owner], t) for t in (down, up))
        # In logarithms: a share may be as small as its factor is large.
        gap = (self._tilt.high - self._tilt.low)[:, child]
        lower, upper = logsigmoid(-gap) - old_low, logsigmoid(gap) - old_high
        slope = torch.exp(lower + down) - torch.exp(lower)
        slope = slope + torch.exp(upper + up) - torch.exp(upper)
        said = strength * (self.mean[:, child] - xi) - slope
        target = center[:, own].index_add(1, block.owner, said)
        # Where weights are beyond the range of exponentials a unit stays as it is.
        moved = free & target.isfinite()
        new = torch.where(moved, target, odds)
        mean = torch.where(moved, torch.sigmoid(new), self.mean[:, own])
        center.index_add_(1, child, (mean - self.mean[:, own])[:, block.owner] * strength)
        self._odds[:, own], self.mean[:, own] = new, mean
        for moment, tilt, old in (
            (self._tilt.low, down, old_low),
            (self._tilt.high, up, old_high),
        ):
            moment.index_add_(1, child, _factor(new[:, block.owner], tilt) - old)

    def _tilted(self, xi: Tensor) -> _Tilt:
        """The moments of all units, computed anew."""
        at = xi[:, self._heads]
        moments = []
        for share, tilt in ((-xi, -at * self._strength), (1 - xi, (1 - at) * self._strength)):
            factors = torch.where(
                self._free[:, self._tails],
                _factor(self._odds[:, self._tails], tilt),
                self.mean[:, self._tails] * tilt,
            )
            moments.append((share * self._bias).index_add(1, self._heads, factors))
        return _Tilt(*moments)

    def _update_xi(self) -> None:
        """One Newton step to the minimum over xi, halved where it would climb."""
        center = self._bias + self.mean @ self._weights
        low, high = self._cumulants(-self._xi), self._cumulants(1 - self._xi)
        gap = self._tilt.high - self._tilt.low
        lower, upper = torch.sigmoid(-gap), torch.sigmoid(gap)
        slope = center - lower * low[0] - upper * high[0]
        curvature = lower * low[1] + upper * high[1]
        curvature = curvature + lower * upper * (low[0] - high[0]).square()
        goal = (self._xi - slope / curvature).clamp(0.0, 1.0)
        goal = torch.where(goal.isnan(), self._xi, goal)
        before = _soft_bound(self._xi, center, self._tilt)
        xi, tilt = goal, self._tilted(goal)
        for _ in range(4):
            worse = _soft_bound(xi, center, tilt) > before
            if not worse.any():
                break
            xi = torch.where(worse, (xi + self._xi) / 2, xi)
            tilt = self._tilted(xi)
        worse = _soft_bound(xi, center, tilt) > before
        self._xi = torch.where(worse, self._xi, xi)
        self._tilt = _Tilt(
            *[torch.where(worse, old, new) for old, new in zip(self._tilt, tilt, strict=True)]
        )

    def _cumulants(self, share: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of every unit's log-odds under q tilted by exp(share a)."""
        tails, heads, strength = self._tails, self._heads, self._strength
        tilted = torch.sigmoid(self._odds[:, tails] + share[:, heads] * strength)
        tilted = torch.where(self._free[:, tails], tilted, self.mean[:, tails])
        mean = self._bias.expand_as(share).index_add(1, heads, tilted * strength)
        spread = tilted * (1 - tilted) * strength.square()
        return mean, torch.zeros_like(share).index_add(1, heads, spread)

    def _bound(self) -> Tensor:
        """The lower bound, (rows,)."""
        center = self._bias + self.mean @ self._weights
        softened = _soft_bound(self._xi, center, self._tilt)
        odds = self._odds.abs()
        entropy = softplus(-odds) + odds * torch.sigmoid(-odds)
        entropy = torch.where(self._free, entropy, 0.0)
        return (self.mean * center - softened + entropy).sum(1)


def _factor(odds: Tensor, tilt: Tensor) -> Tensor:
    """Return log E exp(tilt h) of a unit with the given log-odds.

    It is softplus(odds + tilt) - softplus(odds), written so that large odds do not cancel.
    """
    sign = torch.where(odds > 0, -1.0, 1.0)
    change = softplus(sign * (odds + tilt)) - softplus(sign * odds)
    return torch.where(odds > 0, tilt + change, change)


def _soft_bound(xi: Tensor, center: Tensor, tilt: _Tilt) -> Tensor:
    """Upper bound on E log(1 + exp(a)), (n, units)."""
    return xi * center + torch.logaddexp(tilt.low, tilt.high)
