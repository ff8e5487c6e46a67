"""Rows with missing entries under covariances without correlations: two matrix products.

.. math:: s_k(x) = \\theta_k^\\top f(x), \\qquad
          f(x) = (1,\\ o,\\ o x,\\ o x^2)

with o one where an entry is present and zero elsewhere. A missing entry tells nothing and is told
nothing by the others: given the component it has the mean and the variance that the component had
before.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from inference.arrays import empty, namespace, to_double, zeros
from pgm.mixtures.missing_layout import present_in, rows_at_once, values_in
from pgm.mixtures.missing_sums import Sums
from pgm.mixtures.moments import Scores
from pgm.mixtures.responsibilities import share
from pgm.mixtures.rows import block_width

__all__ = ["DiagonalForm"]

_HALF_LOG_2_PI = 0.5 * math.log(2 * math.pi)


@dataclass(frozen=True)
class DiagonalForm:
    """Rows as features need them.

    Attributes:
        x: (d, n) in one piece, zero where missing.
        present: (d, n), one where present, of the same type.
        weights: (n,) float64, or None.
    """

    x: Any
    present: Any
    weights: Any

    @classmethod
    def of(cls, x: Any, weights: Any) -> DiagonalForm:
        """From rows x (n, d) with NaN for missing."""
        every = np.arange(len(x))
        return cls(values_in(x, every), present_in(x, every), weights)

    def expect(self, scores: Scores) -> Sums:
        """Sums of the completed rows, from quadratic features."""
        (n_runs, k, d), like = scores.means.shape, scores.offsets
        n = n_runs * k
        theta, matmul = _coefficients(scores), namespace(like).matmul
        logs, sums = zeros(like, (n_runs,)), zeros(like, (1 + 3 * d, n))
        f, shares, width = like, like, 0
        for some in _blocks(self.x.shape[1], block_width(1 + 3 * d + n)):
            x = self.x[:, some]
            if x.shape[1] != width:
                width = x.shape[1]
                f = empty(like, (1 + 3 * d) * width).reshape(1 + 3 * d, width)
                shares = empty(like, n * width).reshape(n_runs, k, width)
            _fill(x, self.present[:, some], f)
            matmul(theta, f, out=shares.reshape(n, width))
            logs += share(shares, None if self.weights is None else self.weights[some])
            sums += matmul(f, shares.reshape(n, width).T)
        return _sums(logs, sums.T.reshape(n_runs, k, -1), scores)

    def expect_centered(self, scores: Scores) -> Sums:
        """Sums of the completed rows, from deviations: no digit is lost in narrow components."""
        total = Sums.none(scores)
        einsum = namespace(scores.offsets).einsum
        for some, y, joint in self._scored(scores):
            present = to_double(self.present[:, some])
            weights = None if self.weights is None else self.weights[some]
            logs = share(joint, weights)
            first = (y @ joint[..., None])[..., 0] / scores.factors
            second = einsum("rkdc,rkdc,rkc->rkd", y, y, joint)
            second += joint @ (1 - present).T
            total.add(Sums(logs, joint.sum(-1), first, second / scores.factors**2))
        return total

    def log_joint(self, scores: Scores, out: Any) -> None:
        """Fill the scores of the rows in, (R, n, K)."""
        for some, _, joint in self._scored(scores):
            out[:, some] = joint.swapaxes(1, 2)

    def _scored(self, scores: Scores) -> Iterator[tuple[slice, Any, Any]]:
        """Blocks of rows, deviations (R, K, d, c) in units of the components, and scores."""
        xp, (n_runs, k, d) = namespace(scores.offsets), scores.means.shape
        heights = _heights(scores)
        for some in _blocks(self.x.shape[1], rows_at_once(2 * n_runs * k * d)):
            present = to_double(self.present[:, some])
            y = to_double(self.x[:, some]) - scores.means[..., None]
            y *= scores.factors[..., None]
            y *= present
            joint = -0.5 * xp.einsum("rkdc,rkdc->rkc", y, y)
            joint += (scores.offsets - heights.sum(-1))[..., None]
            joint += heights @ present
            yield some, y, joint


def _blocks(n: int, width: int) -> Iterator[slice]:
    """Slices of at most ``width`` of n rows."""
    for left in range(0, n, width):
        yield slice(left, min(left + width, n))


def _fill(x: Any, present: Any, out: Any) -> None:
    """Features (1 + 3 d, c) of rows x (d, c)."""
    d = len(x)
    out[0] = 1
    out[1 : 1 + d] = present
    out[1 + d : 1 + 2 * d] = x
    linear = out[1 + d : 1 + 2 * d]
    namespace(out).multiply(linear, linear, out=out[1 + 2 * d :])


def _heights(scores: Scores) -> Any:
    """What a present entry adds at the mean: -1/2 log 2 pi + log a, (R, K, d)."""
    return namespace(scores.offsets).log(scores.factors) - _HALF_LOG_2_PI + 0 * scores.means


def _coefficients(scores: Scores) -> Any:
    """Theta, (R K, 1 + 3 d)."""
    xp, heights = namespace(scores.offsets), _heights(scores)
    precisions = scores.factors**2 + 0 * scores.means
    linear = precisions * scores.means
    constant = (scores.offsets - heights.sum(-1))[..., None]
    one = heights - 0.5 * linear * scores.means
    theta = xp.concatenate([constant, one, linear, -0.5 * precisions], -1)
    return theta.reshape(-1, theta.shape[-1])


def _sums(logs: Any, sums: Any, scores: Scores) -> Sums:
    """Sums about the old means from the features' sums (R, K, 1 + 3 d)."""
    d, m = scores.means.shape[-1], scores.means
    counts = sums[..., 0]
    present, x, squares = [sums[..., 1 + i * d : 1 + (i + 1) * d] for i in range(3)]
    first = x - present * m
    second = squares - m * (x + first)
    second = second + (counts[..., None] - present) / scores.factors**2
    return Sums(logs, counts, first, second)
