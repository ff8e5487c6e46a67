"""The law of the hidden units given rows of visible ones: exact sums, mean fields, samples.

.. math:: \\log \\sum_h e^{-E(v, h)} = a \\cdot v + \\log \\sum_{x, y}
          e^{x \\cdot b + y \\cdot f(v) + x^\\top W y}
          \\ge a \\cdot v + \\mu \\cdot b + H(\\mu) + \\sum_j \\log\\bigl(1 +
          e^{f_j(v) + (\\mu^\\top W)_j}\\bigr)

Here x are the hidden units of the even side, with means mu, and y those of the odd side, which
alone meet the visible ones. The means of y that are best for mu need not be written down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from energy.rbm.units import BernoulliUnits

__all__ = ["HiddenLaw", "MeanField"]

#: Joint states of a hidden side that are summed at most, and numbers in memory at a time.
MOST_STATES, AT_ONCE = 2**20, 2**22

#: Steps of a mean field between looks at whether it still moves.
STRIDE = 10


class MeanField(NamedTuple):
    """Means of the hidden units of both sides, (row, n_x) and (row, n_y)."""

    even: Tensor
    odd: Tensor


@dataclass(frozen=True, eq=False)
class HiddenLaw:
    """Hidden units given rows: two sides, of which the odd one feels the row.

    Arguments:
        weights: W between hidden units of the even side and those of the odd one, (n_x, n_y).
        bias: b of the even side's hidden units, (n_x,).
        fields: f(v), biases of the odd side and what a row makes of them, (row, n_y).

    Reference:
        Salakhutdinov & Hinton 2009, "Deep Boltzmann machines", section 2.2 (the mean field).

    Example:
        >>> law = HiddenLaw(torch.zeros(1, 2), torch.zeros(1), torch.zeros(1, 2))
        >>> law.log_sums().exp().round().tolist()  # 2^3 states
        [8.0]
    """

    weights: Tensor
    bias: Tensor
    fields: Tensor

    # Mean fields ---------------------------------------------------------------------------------

    def mean_field(self, steps: int) -> MeanField:
        """Means after some rounds, in each of which one side follows the other and then back.

        .. math:: \\mu_x = \\sigma(b + W \\mu_y), \\qquad \\mu_y = \\sigma(f + W^\\top \\mu_x)

        The odd side begins with what comes from below. No round lowers the bound.
        """
        odd = self.fields.sigmoid()
        return self._moved(MeanField(self._even(odd), odd), steps)

    def settled(self, iterations: int) -> MeanField:
        """Means after as many rounds as change them, at most ``iterations``."""
        still = 8 * torch.finfo(self.fields.dtype).eps
        found = self.mean_field(1)
        for taken in range(1, iterations, STRIDE):
            moved = self._moved(found, min(STRIDE, iterations - taken))
            change = (moved.odd - found.odd).detach().abs().amax() if moved.odd.numel() else 0.0
            found = moved
            if float(change) <= still:
                break
        return found

    def bounds(self, even: Tensor) -> Tensor:
        """Lower bounds of :meth:`log_sums` at means of the even side, (row,), nats."""
        entropy = torch.special.entr(even) + torch.special.entr(1 - even)
        odd = softplus(torch.addmm(self.fields, even, self.weights)).sum(1)
        return even @ self.bias + entropy.sum(1) + odd

    def _moved(self, means: MeanField, steps: int) -> MeanField:
        even, odd = means
        for _ in range(steps):
            even = self._even(odd)
            odd = torch.addmm(self.fields, even, self.weights).sigmoid_()
        return MeanField(even, odd)

    def _even(self, odd: Tensor) -> Tensor:
        """Means of the even side given those of the odd one."""
        return torch.addmm(self.bias, odd, self.weights.T).sigmoid()

    # Sums ----------------------------------------------------------------------------------------

    def log_sums(self) -> Tensor:
        """Log of the sum over all hidden states, (row,), nats, exactly.

        One side is enumerated, the one that has fewer units; the other one is summed in closed
        form.

        Raises:
            ValueError: if both sides have more than 20 units.
        """
        size = min(self.weights.shape)
        if 2**size > MOST_STATES:
            raise ValueError(
                f"the smaller side of the hidden layers has 2^{size} states, more than 2^20, "
                "which can be summed; use log_prob_bound"
            )
        across = self._given_odd if self.weights.shape[1] == size else self._given_even
        width = max(1, self.fields.numel())
        total = self.fields.new_full((len(self.fields),), -math.inf)
        for codes in torch.arange(2**size, device=self.fields.device).split(
            max(1, AT_ONCE // width)
        ):
            states = (codes[:, None] >> torch.arange(size, device=codes.device)) & 1
            total = torch.logaddexp(total, across(states.to(self.fields)).logsumexp(1))
        return total

    def importance_bounds(
        self, means: MeanField, samples: int, generator: torch.Generator
    ) -> Tensor:
        """Estimates of :meth:`log_sums` from below on average, (row,), nats.

        .. math:: \\log \\frac1S \\sum_s \\frac{\\sum_x e^{x \\cdot b + y_s \\cdot f + x^\\top W
                  y_s}}{q(y_s)}, \\qquad y_s \\sim q

        The odd side is drawn from its mean field, and the even one summed out exactly. Slopes are
        those at q held fixed, as draws do not follow it.

        Reference:
            Burda, Grosse & Salakhutdinov 2016, "Importance weighted autoencoders", section 3.
        """
        proposal = torch.addmm(self.fields, means.even, self.weights).detach()
        beyond = self.fields - proposal
        units, (rows, width) = BernoulliUnits(), proposal.shape
        total = proposal.new_full((rows,), -math.inf)
        chunk = max(1, AT_ONCE // max(1, rows * width))
        for first in range(0, samples, chunk):
            count = min(chunk, samples - first)
            odd = units.sample(proposal.expand(count, rows, width), generator)
            logs = self._even_sums(odd) + (odd * beyond).sum(-1)
            total = torch.logaddexp(total, logs.logsumexp(0))
        return total + softplus(proposal).sum(1) - math.log(samples)

    def _given_odd(self, states: Tensor) -> Tensor:
        """Logs of the terms of states of the odd side, (row, state)."""
        return torch.addmm(self._even_sums(states), self.fields, states.T)

    def _given_even(self, states: Tensor) -> Tensor:
        """Logs of the terms of states of the even side, (row, state)."""
        odd = softplus(self.fields[:, None] + states @ self.weights).sum(-1)
        return states @ self.bias + odd

    def _even_sums(self, odd: Tensor) -> Tensor:
        """Log of the sum over the even side given the odd one, (...)."""
        return softplus(self.bias + odd @ self.weights.T).sum(-1)
