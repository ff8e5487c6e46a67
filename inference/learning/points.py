"""Rows arranged so that their distances to centres are one matrix product.

.. math:: \\tfrac12 \\|x\\|^2 - \\tfrac12 \\|x - c\\|^2
          = \\begin{pmatrix} x \\\\ 1 \\end{pmatrix}^{\\!\\top}
            \\begin{pmatrix} c \\\\ -\\tfrac12 \\|c\\|^2 \\end{pmatrix}

Where entries are missing, distances are those over the present entries, times d over their number;
in the second factor the squares stand one by one, beside which entries are present in the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inference.arrays import Array, index_like, namespace, to_double, zeros

__all__ = ["Points", "draw_rows", "find_greatest"]

#: Numbers of a block of rows that stay in the second-level cache, and the rows that it may have.
CACHED, LEAST, MOST = 65_536, 256, 2048
#: Rows of a block on devices other than the CPU.
DEVICE = 1 << 16
#: Rows that a place among them is found from.
SOME = 1000


@dataclass(frozen=True)
class Points:
    """Rows and their weights, in blocks of W rows, of which the last one is filled with zeros.

    A row of the data is given by its number: W times the block's plus its place in that.

    Attributes:
        features: f, one column per row: (x, 1), or (x, which entries are present) where some are
            missing, with zeros for those; (B, P, W) of the rows' type.
        weights: of the rows, with the factor for missing entries, (B, W) float64; zero in the
            filling.
        weighted: whether any weight but those of the filling is not one.
        squares: sums of the squares of the present entries, (B, W) of the rows' type.
        origin: what was taken off the rows, a place among them, (d,) float64.
        n_rows: n.
    """

    features: Any
    weights: Any
    weighted: bool
    squares: Any
    origin: Any
    n_rows: int

    @classmethod
    def of(cls, x: Array, weights: Any = None) -> Points:
        """Arrange rows.

        Arguments:
            x: floating type, NaN for missing entries.
            weights: not negative; None: ones.

        Shapes:
            x: (n, d). weights: (n,).
        """
        xp, d = namespace(x), x.shape[1]
        origin = _middle(x)
        shifted, there = x - _as_type(origin, x), ~xp.isnan(x)
        complete = bool(there.all())
        w = zeros(x, (len(x),), "float64") + (1 if weights is None else weights)
        if complete:
            features = xp.concatenate([shifted, xp.ones_like(x[:, :1])], 1)
        else:
            present = there.sum(1)
            # Of a row without entries nothing is known, not even that it is far away.
            w = xp.where(present > 0, w * d / (present + (present == 0)), 0 * w)
            shifted = xp.nan_to_num(shifted, nan=0.0)
            features = xp.concatenate([shifted, _as_type(1.0 * there, x)], 1)
        return cls._arrange(features, w, weights is not None or not complete, origin)

    @classmethod
    def _arrange(cls, rows: Any, weights: Any, weighted: bool, origin: Any) -> Points:
        """From features (n, P) and weights (n,)."""
        n, p = rows.shape
        width = DEVICE if isinstance(rows, Tensor) else min(max(CACHED // p, LEAST), MOST)
        width = min(width, n)
        n_blocks = -(-n // width)
        filled = zeros(rows, (n_blocks * width, p))
        filled[:n] = rows
        padded = zeros(weights, (n_blocks * width,))
        padded[:n] = weights
        features = filled.reshape(n_blocks, width, p).swapaxes(1, 2)
        features = features.contiguous() if isinstance(rows, Tensor) else features.copy()
        squares = (features[:, : len(origin)] ** 2).sum(1)
        weights = padded.reshape(n_blocks, width)
        return cls(features, weights, weighted, squares, origin, n)

    @property
    def n_features(self) -> int:
        """D."""
        return len(self.origin)

    def take(self, rows: Any) -> Points:
        """Some of the rows."""
        weights = self.weights.reshape(-1)[rows]
        return self._arrange(self.features_at(rows), weights, self.weighted, self.origin)

    def features_at(self, rows: Any) -> Any:
        """Features of rows with the given numbers, (..., P)."""
        width = self.features.shape[2]
        return self.features[rows // width, :, rows % width]

    def centers_at(self, rows: Any) -> Any:
        """Centres at such rows, (..., d) float64; at the origin where entries are missing."""
        return to_double(self.features_at(rows)[..., : self.n_features])

    def coefficients(self, centers: Any) -> Any:
        """What the features are multiplied with, (..., P), for centres (..., d)."""
        halves = -0.5 * centers**2
        if self.features.shape[1] == self.n_features + 1:
            halves = halves.sum(-1)[..., None]
        return _as_type(namespace(centers).concatenate([centers, halves], -1), self.features)

    def distances(self, coefficients: Any, block: int) -> Any:
        """Weighted squared distances of the rows of a block to centres, (C, W).

        Those that rounding may have made of zero are zero: else what is left of the distance of a
        far row to itself could exceed all distances between the others.

        Arguments:
            coefficients: of `coefficients`, (C, P).
            block: its number.
        """
        found = (-2 * coefficients) @ self.features[block]
        found += self.squares[block]
        rounding = 2 * (coefficients.shape[1] + 2) * namespace(found).finfo(found.dtype).eps
        found *= found > rounding * self.squares[block]
        if self.weighted:
            found *= _as_type(self.weights[block], found)
        return found

    def nearest(self, centers: Any) -> tuple[Any, Any]:
        """Number of the nearest centre of every row, and the summed weighted squared distances.

        Shapes:
            centers: (R, K, d). result: (R, n) int64 and (R,) float64.
        """
        n_runs, k = centers.shape[:2]
        theta = self.coefficients(centers).reshape(n_runs * k, -1)
        labels = zeros(centers, (n_runs, *self.weights.shape), "int64")
        total = zeros(centers, (n_runs,), "float64")
        for block, f in enumerate(self.features):
            best, labels[:, block] = find_greatest((theta @ f).reshape(n_runs, k, -1))
            total += to_double(self.squares[block] - 2 * best) @ self.weights[block]
        return labels.reshape(n_runs, -1)[:, : self.n_rows], total

    def means(self, sums: Any, there: Any, otherwise: Any) -> Any:
        """Centres from weighted sums of features.

        Arguments:
            sums: of the features of every centre's rows.
            there: whether there are any, for every sum of a one.
            otherwise: centres where there are none.

        Shapes:
            sums: (R, K, P). there: (R, K, 1 or d). otherwise, result: (R, K, d).
        """
        xp, d = namespace(sums), self.n_features
        counts = xp.where(there, sums[..., d:], xp.ones_like(sums[..., d:]))
        return xp.where(there, sums[..., :d] / counts, otherwise)


def find_greatest(scores: Any) -> tuple[Any, Any]:
    """Greatest scores (R, c) of (R, K, c) and their places among the K; the first ones in ties."""
    if isinstance(scores, Tensor):
        return scores.max(1)
    best = np.maximum.reduce(scores, axis=1)
    equal = scores == best[:, None]
    # To look for the first one is slow, and only needed where there are ties.
    if np.count_nonzero(equal) != best.size:
        return best, equal.argmax(1)
    numbers = np.arange(scores.shape[1], dtype=scores.dtype)
    return best, (numbers @ equal.astype(scores.dtype)).astype(np.int64)


def draw_rows(odds: Any, n_draws: int, generator: torch.Generator) -> Any:
    """Rows drawn with replacement, with odds (R, n) of which some in every run are positive.

    Shapes:
        result: (R, n_draws) int64.
    """
    xp, (n_runs, n) = namespace(odds), odds.shape
    cumulative = xp.cumsum(to_double(odds).reshape(-1), 0)
    ends = cumulative[n - 1 :: n]
    begins = xp.concatenate([0 * ends[:1], ends[:-1]])[:, None]
    drawn: Any = torch.rand(
        (n_runs, n_draws), dtype=torch.float64, generator=generator, device=generator.device
    )
    if xp is np:
        drawn = drawn.numpy()
    targets = begins + drawn * (ends[:, None] - begins)
    # Rounding must not lead to the end, where rows without odds may be.
    targets = xp.minimum(targets, xp.nextafter(ends, 0 * ends)[:, None])
    found = xp.searchsorted(cumulative, targets.reshape(-1), side="right")
    first = index_like(np.arange(n_runs)[:, None], odds) * n
    return (found.reshape(n_runs, n_draws) - first).clip(0, n - 1)


def _middle(x: Any) -> Any:
    """Median of some rows, (d,) float64: with outliers a mean would be far from all others."""
    xp = namespace(x)
    some = to_double(x[:: max(len(x) // SOME, 1)])
    if xp is torch:
        return some.nanmedian(0).values.nan_to_num(0.0)
    order = np.sort(some, axis=0)
    present = (~np.isnan(order)).sum(0)
    return np.nan_to_num(order[np.maximum(present - 1, 0) // 2, np.arange(x.shape[1])], nan=0.0)


def _as_type(values: Any, like: Any) -> Any:
    return values.to(like.dtype) if isinstance(like, Tensor) else values.astype(like.dtype)
