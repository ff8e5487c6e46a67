"""Distances of rows with gaps from means, and what rows tell about means and scale matrices.

.. math:: \\delta_i = (x_O - \\mu_O)^\\top \\Sigma_{OO}^{-1} (x_O - \\mu_O), \\qquad
          u_i = \\frac{\\nu + p}{\\nu + \\delta_i}
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pgm.hidden_markov.gaussian import NEGLIGIBLE
from pgm.linear_gaussian.missing_patterns import PatternBlock
from pgm.mixtures.families.degrees import Distances
from pgm.mixtures.families.family import Numbers

__all__ = ["DiagonalScatter", "FullScatter"]


class FullScatter:
    """K scale matrices (K, d, d), and sums about the present means.

    Missing entries enter the sums by their expectations given the present ones and u.

    .. math:: \\mathbb{E}[u (x - \\mu)(x - \\mu)^\\top] = u B e e^\\top B^\\top
              + \\Sigma - B \\Sigma_{O \\cdot}, \\qquad
              B = \\Sigma_{\\cdot O} \\Sigma_{OO}^{-1}, \\quad e = x_O - \\mu_O

    Arguments:
        numbers: means (K, d) and scales.
    """

    def __init__(self, numbers: Numbers) -> None:
        self._means, self._scales = numbers["means"], numbers["scales"]
        k = len(self._means)
        self._count, self._weight = [self._means.new_zeros(k) for _ in "cw"]
        self._first = torch.zeros_like(self._means)
        self._second = torch.zeros_like(self._scales)

    def _gaps(self, block: PatternBlock, present: Tensor) -> Tensor:
        """Deviations from the means, (K, P, m, k)."""
        return present - self._means[:, block.observed].unsqueeze(-2)

    def _roots(self, block: PatternBlock) -> Tensor:
        """Lower triangular roots of the matrices of the present entries, (K, P, k, k)."""
        rows, columns = block.observed.unsqueeze(-1), block.observed.unsqueeze(-2)
        return torch.linalg.cholesky(self._scales[:, rows, columns])

    def distances(self, block: PatternBlock, present: Tensor) -> tuple[Tensor, Tensor]:
        """Squared distances (K, P, m), and log-determinants (K, P)."""
        roots = self._roots(block)
        gaps = self._gaps(block, present).mT
        white = torch.linalg.solve_triangular(roots, gaps, upper=False)
        logs = roots.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return white.square().sum(-2), 2 * logs

    def add(
        self, block: PatternBlock, present: Tensor, distances: Distances, degrees: Tensor
    ) -> None:
        """Rows of a block."""
        p, shares, delta = distances
        nu = degrees[:, None, None]
        weights = shares * (nu + p) / (nu + delta)
        gaps = self._gaps(block, present)
        weighted = gaps * weights.unsqueeze(-1)
        sums, products = weighted.sum(-2, keepdim=True), weighted.mT @ gaps
        if p < self._means.shape[1]:
            slopes = self._scales[:, :, block.observed].movedim(2, 1)  # (K, P, d, k)
            gain = torch.cholesky_solve(slopes.mT, self._roots(block)).mT
            rest = self._scales.unsqueeze(1) - gain @ slopes.mT
            sums = sums @ gain.mT
            products = gain @ products @ gain.mT + shares.sum(-1)[..., None, None] * rest
        self._count += shares.sum((1, 2))
        self._weight += weights.sum((1, 2))
        self._first += sums.sum((1, 2))
        self._second += products.sum(1)

    def add_prior(self, prior: float, mean: Tensor, variance: Tensor) -> None:
        """Pseudo-rows, in number ``prior``, that have u = 1."""
        gap = mean - self._means
        self._count, self._weight = self._count + prior, self._weight + prior
        self._first = self._first + prior * gap
        square = variance.diag() + gap.unsqueeze(-1) * gap.unsqueeze(-2)
        self._second = self._second + prior * square

    def estimate(self) -> tuple[Tensor, Tensor]:
        """Means and scale matrices; components without weight keep theirs."""
        none = self._count <= NEGLIGIBLE * self._count.sum()
        weight = self._weight.masked_fill(none, 1.0)[:, None]
        step = (self._first / weight).masked_fill(none[:, None], 0.0)
        second = self._second - (self._first.unsqueeze(-1) * step.unsqueeze(-2))
        second = (second + second.mT) / 2
        scales = second / self._count.masked_fill(none, 1.0)[:, None, None]
        return self._means + step, torch.where(none[:, None, None], self._scales, scales)

    def normal_log_prob(self, mean: Tensor, variance: Tensor) -> Tensor:
        """Expected log-density, over all components, of rows with a mean and variances, ().

        .. math:: \\sum_k \\mathbb{E} \\log N(x; \\mu_k, \\Sigma_k)
        """
        roots = torch.linalg.cholesky(self._scales)
        gaps = (mean - self._means).unsqueeze(-1)
        columns = torch.cat([gaps, variance.sqrt().diag().expand_as(self._scales)], dim=-1)
        white = torch.linalg.solve_triangular(roots, columns, upper=False)
        logs = (2 * math.pi) ** 0.5 * roots.diagonal(dim1=-2, dim2=-1)
        return -logs.log().sum() - 0.5 * white.square().sum()


class DiagonalScatter:
    """K diagonals of scale matrices (K, d), and sums about the present means.

    Missing entries drop out of the sums of their columns.

    Arguments:
        numbers: means (K, d) and scales.
    """

    def __init__(self, numbers: Numbers) -> None:
        self._means, self._scales = numbers["means"], numbers["scales"]
        self._sums = self._means.new_zeros(4, *self._means.shape)

    def distances(self, block: PatternBlock, present: Tensor) -> tuple[Tensor, Tensor]:
        """Squared distances (K, P, m), and log-determinants (K, P)."""
        gaps = present - self._means[:, block.observed].unsqueeze(-2)
        scales = self._scales[:, block.observed]
        return (gaps.square() / scales.unsqueeze(-2)).sum(-1), scales.log().sum(-1)

    def add(
        self, block: PatternBlock, present: Tensor, distances: Distances, degrees: Tensor
    ) -> None:
        """Rows of a block."""
        p, shares, delta = distances
        nu = degrees[:, None, None]
        weights = (shares * (nu + p) / (nu + delta)).unsqueeze(-1)
        gaps = present - self._means[:, block.observed].unsqueeze(-2)
        columns = [
            shares.unsqueeze(-1).expand_as(gaps),
            weights.expand_as(gaps),
            weights * gaps,
            weights * gaps.square(),
        ]
        sums = torch.stack([column.sum(-2) for column in columns]).flatten(2)
        self._sums.index_add_(2, block.observed.flatten(), sums)

    def add_prior(self, prior: float, mean: Tensor, variance: Tensor) -> None:
        """Pseudo-rows, in number ``prior``, that have u = 1."""
        gap = mean - self._means
        ones = torch.ones_like(gap)
        self._sums += prior * torch.stack([ones, ones, gap, variance + gap.square()])

    def estimate(self) -> tuple[Tensor, Tensor]:
        """Means and scales; columns without weight in a component keep theirs."""
        count, weight, first, second = self._sums
        none = count <= NEGLIGIBLE * count.sum(0)
        step = (first / weight.masked_fill(none, 1.0)).masked_fill(none, 0.0)
        scales = (second - first * step) / count.masked_fill(none, 1.0)
        return self._means + step, torch.where(none, self._scales, scales)

    def normal_log_prob(self, mean: Tensor, variance: Tensor) -> Tensor:
        """Expected log-density, over all components, of rows with a mean and variances, ()."""
        squares = variance + (mean - self._means).square()
        logs = (2 * math.pi * self._scales).log() + squares / self._scales
        return -0.5 * logs.sum()
