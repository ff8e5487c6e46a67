"""Sums over completed rows, about the means that completed them.

.. math:: y_{ik} = \\hat x_{ik} - m_k, \\qquad
          \\bar x_k = m_k + \\frac{1}{N_k} \\sum_i w_i r_{ik}\\, y_{ik}, \\qquad
          S_k = \\frac{1}{N_k} \\sum_i w_i r_{ik} (y_{ik} y_{ik}^\\top + V_{ik})
                - (\\bar x_k - m_k)(\\bar x_k - m_k)^\\top
"""

from __future__ import annotations

from typing import Any, NamedTuple

from inference.arrays import namespace, zeros
from pgm.mixtures.moments import Moments, Scores
from pgm.mixtures.quadratic import positive

__all__ = ["Sums"]


class Sums(NamedTuple):
    """What blocks of rows contribute to the moments.

    Attributes:
        logs: weighted log-likelihoods, (R,).
        counts: (R, K).
        first: sums of y, (R, K, d).
        second: sums of y y' + V: (R, K, d, d); of all components (R, 1, d, d) where they share a
            covariance; diagonals (R, K, d) where there are no correlations.
    """

    logs: Any
    counts: Any
    first: Any
    second: Any

    @classmethod
    def none(cls, scores: Scores) -> Sums:
        """Of no rows."""
        n_runs, k, d = scores.means.shape
        factors = tuple(scores.factors.shape)
        square = factors if len(factors) == 4 else (n_runs, k, d)
        shapes = ((n_runs,), (n_runs, k), (n_runs, k, d), square)
        return cls(*[zeros(scores.offsets, shape, "float64") for shape in shapes])

    def add(self, other: Sums) -> None:
        """Add the sums of other rows to these."""
        for mine, theirs in zip(self, other, strict=True):
            mine += theirs

    def moments(self, scores: Scores, covariance_type: str) -> Moments:
        """Moments about the new means."""
        xp, counts = namespace(self.counts), self.counts
        n = positive(counts)[..., None]
        shift = self.first / n
        means = xp.where(counts[..., None] > 0, scores.means + shift, xp.zeros_like(shift))
        return Moments(self.logs, counts, means, self._scatters(shift, n, covariance_type))

    def _scatters(self, shift: Any, n: Any, covariance_type: str) -> Any:
        """Scatters about the new means, as `Moments` holds them."""
        if covariance_type == "full":
            return self.second / n[..., None] - shift[..., None] * shift[..., None, :]
        if covariance_type == "tied":
            between = self.first.swapaxes(-1, -2) @ shift
            total = positive(self.counts.sum(-1))
            return (self.second - between[:, None]) / total[:, None, None, None]
        variances = self.second / n - shift**2
        return variances if covariance_type == "diag" else variances.mean(-1)[..., None]
