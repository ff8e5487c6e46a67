"""Exact EM for rows with missing entries: which form serves which rows.

.. math:: \\ell = \\sum_i w_i \\log \\sum_k e^{s_k(x_{i, O_i})}

Missing entries are summed out of the scores, and completed in the moments by what the component
says about them given the entries that are present.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from torch import Tensor

from inference.arrays import namespace, to_double, zeros
from pgm.mixtures.components import CovarianceType
from pgm.mixtures.missing_diagonal import DiagonalForm
from pgm.mixtures.missing_layout import Patterns
from pgm.mixtures.missing_patterns import PatternForm
from pgm.mixtures.missing_rows import RowForm
from pgm.mixtures.moments import Moments, Scores

__all__ = ["MissingRows"]

# Features above which a product with all their pairs costs more than completing the rows.
_MOST_PAIRED = 40
# What the calls for any patterns cost, those for rows with one number of missing entries, and the
# features from which the matrices of a pattern leave the cache.
_FIRST_PATTERN, _LEVEL, _LARGE = 1500, 400, 20


@dataclass(frozen=True)
class MissingRows:
    """Rows of which entries may be missing.

    Arrays or tensors (see `inference.arrays`).

    Attributes:
        x: (n, d) of any floating type, NaN for missing.
        weights: (n,), or None for ones.
        covariance_type: of the mixtures that learn from them.

    Example:
        >>> rows = MissingRows.of(np.array([[1.0, np.nan], [np.nan, np.nan]]), None, "diag")
        >>> standard = Scores(np.zeros((1, 1)), np.zeros((1, 1, 2)), np.ones((1, 1, 2)))
        >>> rows.expect(standard).means.tolist()
        [[[0.5, 0.0]]]
    """

    x: Any
    weights: Any
    covariance_type: CovarianceType

    @classmethod
    def of(cls, x: Any, weights: Any, covariance_type: CovarianceType) -> MissingRows:
        """Rows in centred, scaled coordinates.

        Arguments:
            x: numpy array on the CPU, tensor elsewhere; NaN for missing.
            weights: of the rows; None: ones.
            covariance_type: "full", "tied", "diag" or "spherical".

        Shapes:
            x: (n, d). weights: (n,).
        """
        return cls(x, None if weights is None else to_double(weights), covariance_type)

    def expect(self, scores: Scores, *, quadratic: bool = True) -> Moments:
        """Log-likelihood and moments of the completed rows.

        Of a row without any entry the responsibilities are those of the constants alone: the
        weights, where the scores are joint log-densities.

        Arguments:
            scores: of R mixtures.
            quadratic: whether quadratic functions of the rows are exact enough; else deviations
                from every component are used, where narrow components lose no digits.

        Reference:
            Little & Rubin 2019, "Statistical analysis with missing data", section 11.2 (moments
            given the present entries).
        """
        if self.covariance_type in ("diag", "spherical"):
            form = self._diagonal
            sums = form.expect(scores) if quadratic else form.expect_centered(scores)
        elif quadratic:
            by_pattern, by_row = self._forms
            sums = by_pattern.expect(scores)
            sums.add(by_row.expect(scores))
        else:
            sums = self._rows.expect(scores)
        return sums.moments(scores, self.covariance_type)

    def log_joint(self, scores: Scores) -> Any:
        """Scores of the rows in their order, (R, n, K)."""
        n_runs, k = scores.offsets.shape
        out = zeros(scores.offsets, (n_runs, len(self.x), k))
        diagonal = self.covariance_type in ("diag", "spherical")
        (self._diagonal if diagonal else self._rows).log_joint(scores, out)
        return out

    @cached_property
    def _diagonal(self) -> DiagonalForm:
        return DiagonalForm.of(self.x, self.weights)

    @cached_property
    def _patterns(self) -> Patterns:
        present = ~namespace(self.x).isnan(self.x)
        return Patterns.of(present.cpu().numpy() if isinstance(present, Tensor) else present)

    @cached_property
    def _rows(self) -> RowForm:
        return RowForm.of(self.x, self.weights, self._patterns)

    @cached_property
    def _forms(self) -> tuple[PatternForm, RowForm]:
        patterns = self._patterns
        tied = self.covariance_type == "tied"
        many = _many(patterns, tied=tied)
        few = RowForm.of(self.x, self.weights, patterns.select(~many))
        return PatternForm.of(self.x, self.weights, patterns.select(many), tied=tied), few


def _many(patterns: Patterns, *, tied: bool) -> np.ndarray:
    """Which patterns have so many rows that functions of their own pay, (p,).

    Costs were measured, in units of a row that is completed by itself.
    """
    d, counts = patterns.present.shape[1], patterns.counts
    # One sweep serves all components where they share a covariance.
    ease = 0.4 if tied else 1.0
    gains = counts - ease * d**2 * (1 + d / _LARGE) / 8
    many = gains >= 0
    if d > _MOST_PAIRED or gains[many].sum() < ease * _FIRST_PATTERN:
        return np.zeros_like(many)
    levels = np.unique(patterns.present[~many].sum(1))
    return many | (-gains[~many].sum() < _LEVEL * len(levels))
