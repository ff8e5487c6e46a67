"""Many logistic regressions on one design, by Newton's method.

.. math:: \\max_{w, b} \\sum_c \\bigl[s_c a_c - t_c \\log(1 + e^{a_c})\\bigr]
          - \\tfrac{\\lambda}{2} \\lVert w \\rVert^2, \\qquad a_c = b + \\sum_p d_{cp} w_p
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pgm.sigmoid.structure import softplus

__all__ = ["Regression", "fit_regressions"]

#: Numbers held at a time.
_CHUNK = 2**23

#: A small multiple of the curvature, added to it: directions in which the data say nothing,
#: as between two equal columns, then stay where they are.
_RIDGE = 1e-10

#: Relative rounding error of an objective.
_ROUNDING = 1e-12

#: Most halvings of a step; a step that still lowers the objective is not made.
_HALVINGS = 40


@dataclass(frozen=True)
class Regression:
    """Where the steps ended.

    Attributes:
        weights: (P, U), zero outside the mask.
        bias: (U,).
        converged: whether every gradient is within the tolerance.
        trace: objective summed over the targets, at the start and after every step, nats.
    """

    weights: Tensor
    bias: Tensor
    converged: bool
    trace: list[float]


def fit_regressions(
    design: Tensor,
    successes: Tensor,
    trials: Tensor,
    start: tuple[Tensor, Tensor],
    *,
    mask: Tensor | None = None,
    l2: float = 0.0,
    max_steps: int = 100,
    tolerance: float = 1e-10,
) -> Regression:
    """Fit one regression per target; no step lowers any objective.

    Newton steps, halved until the objective does not fall. A regression is done when no entry of
    its gradient exceeds ``tolerance`` times its number of trials. Where a plane separates the
    successes from the failures and ``l2`` is zero, no maximum exists: the weights grow until the
    fitted probabilities are right to that tolerance, and stay finite.

    Arguments:
        design: the inputs, without a column of ones.
        successes: (weighted) number of ones at every row of the design.
        trials: (weighted) number of ones and zeros.
        start: weights and biases to start from.
        mask: which inputs a target has; None for all.
        l2: strength of the penalty on the weights (not on the bias).
        max_steps: most Newton steps.
        tolerance: see above.

    Shapes:
        design: (C, P). successes, trials: (C, U). start: (P, U) and (U,). mask: (P, U).

    Reference:
        Hastie, Tibshirani & Friedman 2009, eq. 4.26; Nocedal & Wright 2006, section 3.1.

    Example:
        >>> ones = torch.ones(2, 1, dtype=torch.float64)
        >>> start = torch.zeros(1, 1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
        >>> design = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
        >>> found = fit_regressions(design, design * 2 + 1, 4 * ones, start)
        >>> [round(v.exp().item(), 6) for v in (found.bias[0], found.weights[0, 0])]
        [0.333333, 9.0]
    """
    beta = torch.cat([start[0], start[1][None]])
    allowed = torch.ones_like(beta, dtype=torch.bool)
    if mask is not None:
        allowed[:-1] = mask
    with_ones = torch.cat([design, torch.ones_like(trials[:, :1])], 1)
    problem = _Problem(with_ones, successes, trials, allowed, l2)
    beta = torch.where(allowed, beta, 0.0)
    value = problem.objective(beta)
    trace, converged = [float(value.sum())], False
    enough = tolerance * trials.sum(0)
    for step in range(max_steps + 1):
        gradient = problem.gradient(beta)
        converged = bool((gradient.abs() <= enough).all())
        if converged or step == max_steps:
            break
        beta, value = problem.climb(beta, value, problem.direction(beta, gradient))
        trace.append(float(value.sum()))
    return Regression(beta[:-1], beta[-1], converged, trace)


@dataclass(frozen=True)
class _Problem:
    """The objectives of all targets; the bias is the last row of ``beta`` (P + 1, U)."""

    design: Tensor
    successes: Tensor
    trials: Tensor
    allowed: Tensor
    l2: float

    def objective(self, beta: Tensor) -> Tensor:
        """Penalised log-likelihood of every target, (U,)."""
        logits = self.design @ beta
        penalty = 0.5 * self.l2 * beta[:-1].square().sum(0)
        # Both terms are sums of non-positive numbers, so that nothing cancels.
        failures = self.trials - self.successes
        log_likelihood = self.successes * softplus(-logits) + failures * softplus(logits)
        return -log_likelihood.sum(0) - penalty

    def gradient(self, beta: Tensor) -> Tensor:
        """Of every target's objective, (P + 1, U); zero outside the mask."""
        logits = self.design @ beta
        failures = self.trials - self.successes
        residual = self.successes * torch.sigmoid(-logits) - failures * torch.sigmoid(logits)
        found = self.design.T @ residual
        found[:-1] -= self.l2 * beta[:-1]
        return found * self.allowed

    def direction(self, beta: Tensor, gradient: Tensor) -> Tensor:
        """The Newton step, (P + 1, U), with a few targets at a time."""
        rows, size = self.design.shape
        parts = []
        at_once = max(1, _CHUNK // (rows * size + size * size))
        for targets in torch.arange(beta.shape[1], device=beta.device).split(at_once):
            own = self.allowed[:, targets].T.to(beta.dtype)  # (U, P + 1)
            logits = self.design @ beta[:, targets]
            spread = self.trials[:, targets] * torch.sigmoid(logits) * torch.sigmoid(-logits)
            curvature = (self.design.T * spread.T[:, None, :]) @ self.design
            curvature = curvature * own[:, :, None] * own[:, None, :]
            ridge = _RIDGE * curvature.diagonal(dim1=1, dim2=2).mean(1, keepdim=True)
            ridge = torch.where(ridge > 0, ridge, 1.0)
            diagonal = ridge + (1 - own)
            diagonal[:, :-1] += self.l2
            curvature.diagonal(dim1=1, dim2=2).add_(diagonal)
            parts.append(torch.linalg.solve(curvature, gradient[:, targets].T.unsqueeze(2)))
        return torch.cat(parts).squeeze(2).T

    def climb(self, beta: Tensor, value: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
        """Take the largest of the steps 1, 1/2, 1/4, ... that lowers no objective."""
        # Close to the maximum a good step changes the objective by less than its rounding error.
        least = value - _ROUNDING * (1 + value.abs())
        length = torch.ones_like(value)
        falls = torch.zeros_like(value, dtype=torch.bool)
        for _ in range(_HALVINGS):
            falls = ~(self.objective(beta + length * step) >= least)
            if not falls.any():
                break
            length = torch.where(falls, length / 2, length)
        else:
            length = torch.where(falls, 0.0, length)
        beta = beta + length * step
        return beta, self.objective(beta)
