"""One E and one M step as two matrix products with features of the rows.

.. math:: s_k(x) = \\theta_k^\\top f(x), \\qquad G = \\sum_i w_i r_{ik}\\, f(x_i)

with f(x) = (1, x, x_i x_j for i <= j) for full covariances, (1, x, x_i^2) for diagonal ones,
``(1, x, |x|^2)`` for spherical ones, and (1, x) for tied ones, where the quadratic term is common
to all components: it leaves the responsibilities as they are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from inference.arrays import empty, index_like, namespace, zeros
from pgm.mixtures.moments import Moments, Scores
from pgm.mixtures.responsibilities import share
from pgm.mixtures.rows import Rows, block_width

__all__ = ["FEATURES", "Features", "expect_quadratic", "positive", "sum_responsible", "to_type"]


def expect_quadratic(rows: Rows, scores: Scores, features: Features) -> Moments:
    """Moments of complete rows.

    Arguments:
        rows: in coordinates whose origin is among the data.
        scores: of R mixtures.
        features: those of the covariance type.
    """
    n_runs, n_components = scores.offsets.shape
    theta = features.coefficients(scores)
    theta = to_type(theta.reshape(-1, theta.shape[-1]), rows.blocks[0])
    logs = zeros(theta, (n_runs,), "float64")
    matmul = namespace(theta).matmul

    def responsibilities(f: Any, shares: Any, weights: Any, left: int) -> None:
        # The product of -inf, of a component without weight, with one is right, but flagged.
        with np.errstate(invalid="ignore"):
            matmul(theta, f, out=shares.reshape(len(theta), -1))
        logs[:] += share(shares, weights)

    sums = _sum(rows, features, (n_runs, n_components), responsibilities)
    found = features.moments(sums, rows)
    return Moments(logs - features.left_out(rows, scores), *found)


def sum_responsible(
    rows: Rows, given: Callable[[slice], Any], shape: tuple[int, int], features: Features
) -> tuple[Any, Any, Any]:
    """Counts, means and scatters under responsibilities that are given.

    Arguments:
        rows: complete.
        given: responsibilities (R, K, c) of a slice of the rows.
        shape: R and K.
        features: those of the covariance type.
    """

    def responsibilities(f: Any, shares: Any, weights: Any, left: int) -> None:
        shares[:] = given(slice(left, left + shares.shape[2]))
        if weights is not None:
            shares *= weights

    return features.moments(_sum(rows, features, shape, responsibilities), rows)


def _sum(rows: Rows, features: Features, shape: tuple[int, int], fill: Callable[..., None]) -> Any:
    """Sums of features with responsibilities, (R, K, P), that ``fill`` finds block by block."""
    like, n = rows.blocks[0], shape[0] * shape[1]
    n_features = features.count(rows.n_features)
    sums, matmul = zeros(like, (n_features, n), "float64"), namespace(like).matmul
    width, left = 0, 0
    f, shares = like, like
    for x, weights in rows.parts(features.width(rows.n_features, n)):
        if x.shape[1] != width:
            width = x.shape[1]
            f = empty(like, n_features * width).reshape(n_features, width)
            f[0] = 1
            shares = empty(like, n * width).reshape(*shape, width)
        features.fill(x, f)
        fill(f, shares, weights, left)
        # In this order the product is up to twice as fast as the transposed one.
        sums += matmul(f, shares.reshape(n, width).T)
        left += width
    return sums.T.reshape(*shape, n_features)


def to_type(x: Any, like: Any) -> Any:
    """An array in the type of another one, in C order."""
    if namespace(x) is np:
        return np.ascontiguousarray(x, dtype=like.dtype)
    return x.to(like.dtype).contiguous()


class Features(ABC):
    """Abstract base: features of one covariance type. Final subclasses have no state."""

    @abstractmethod
    def count(self, d: int) -> int:
        """Number of features."""

    @abstractmethod
    def fill(self, x: Any, out: Any) -> None:
        """Features (P, c) of rows x (d, c), but the first."""

    @abstractmethod
    def coefficients(self, scores: Scores) -> Any:
        """Theta, (R, K, P)."""

    @abstractmethod
    def moments(self, sums: Any, rows: Rows) -> tuple[Any, Any, Any]:
        """Counts, means and scatters of `Moments` from the sums G, (R, K, P)."""

    def left_out(self, rows: Rows, scores: Scores) -> Any:
        """What the features leave out of minus the log-likelihoods of all rows, (R,)."""
        return 0.0

    def width(self, d: int, n_rows: int) -> int:
        """Rows per block."""
        return block_width(self.count(d) + n_rows)


class _Squares(Features):
    """Abstract base of the types whose quadratic coefficients are a vector."""

    def coefficients(self, scores: Scores) -> Any:
        xp = namespace(scores.offsets)
        precisions = scores.factors**2
        linear = precisions * scores.means
        constant = scores.offsets - 0.5 * (linear * scores.means).sum(-1)
        return xp.concatenate([constant[..., None], linear, -0.5 * precisions], -1)

    def moments(self, sums: Any, rows: Rows) -> tuple[Any, Any, Any]:
        d = rows.n_features
        counts, means = means_of(sums, d)
        squares = sums[..., 1 + d :] / positive(counts)[..., None]
        return counts, means, squares - self._own(means**2)

    @staticmethod
    @abstractmethod
    def _own(squares: Any) -> Any:
        """Squares (R, K, d) as the type's features hold them."""


class Diagonal(_Squares):
    """(1, x, x_1^2, ..., x_d^2)."""

    def count(self, d: int) -> int:
        return 1 + 2 * d

    def fill(self, x: Any, out: Any) -> None:
        d = len(x)
        out[1 : 1 + d] = x
        namespace(x).multiply(x, x, out=out[1 + d :])

    @staticmethod
    def _own(squares: Any) -> Any:
        return squares


class Spherical(_Squares):
    """(1, x, |x|^2 / d): the mean, as scatters of this type are means over the features."""

    def count(self, d: int) -> int:
        return 2 + d

    def fill(self, x: Any, out: Any) -> None:
        d = len(x)
        out[1 : 1 + d] = x
        out[1 + d] = (x * x).sum(0)
        out[1 + d] /= d

    def coefficients(self, scores: Scores) -> Any:
        theta = super().coefficients(scores)
        theta[..., -1] *= scores.means.shape[-1]
        return theta

    @staticmethod
    def _own(squares: Any) -> Any:
        return squares.mean(-1)[..., None]


class Tied(Features):
    """(1, x)."""

    def count(self, d: int) -> int:
        return 1 + d

    def fill(self, x: Any, out: Any) -> None:
        out[1:] = x

    def coefficients(self, scores: Scores) -> Any:
        return _linear(scores, _precisions(scores))

    def moments(self, sums: Any, rows: Rows) -> tuple[Any, Any, Any]:
        counts, means = means_of(sums, rows.n_features)
        weighted = counts[..., None] * means
        between = weighted.swapaxes(-1, -2) @ means
        scatter = (rows.scatter - between) / rows.total
        return counts, means, scatter[:, None]

    def left_out(self, rows: Rows, scores: Scores) -> Any:
        return 0.5 * (_precisions(scores)[:, 0] * rows.scatter).sum((-1, -2))


class Full(Features):
    """(1, x, x_i x_j for i <= j)."""

    def count(self, d: int) -> int:
        return 1 + d + d * (d + 1) // 2

    def fill(self, x: Any, out: Any) -> None:
        d = len(x)
        out[1 : 1 + d] = x
        multiply, place = namespace(x).multiply, 1 + d
        for i in range(d):
            multiply(x[i:], x[i], out=out[place : place + d - i])
            place += d - i

    def coefficients(self, scores: Scores) -> Any:
        xp, precisions = namespace(scores.offsets), _precisions(scores)
        upper, on_diagonal = _upper(precisions.shape[-1], precisions)
        quadratic = -precisions[..., upper[0], upper[1]]
        quadratic[..., on_diagonal] *= 0.5
        return xp.concatenate([_linear(scores, precisions), quadratic], -1)

    def moments(self, sums: Any, rows: Rows) -> tuple[Any, Any, Any]:
        d = rows.n_features
        counts, means = means_of(sums, d)
        upper, _ = _upper(d, sums)
        squares = zeros(sums, (*sums.shape[:2], d, d))
        squares[..., upper[0], upper[1]] = sums[..., 1 + d :]
        squares[..., upper[1], upper[0]] = sums[..., 1 + d :]
        squares /= positive(counts)[..., None, None]
        return counts, means, squares - means[..., None] * means[..., None, :]


#: By covariance type.
FEATURES: dict[str, Features] = {
    "full": Full(),
    "tied": Tied(),
    "diag": Diagonal(),
    "spherical": Spherical(),
}


def positive(counts: Any) -> Any:
    """Counts to divide by: one where there is nothing."""
    xp = namespace(counts)
    return xp.where(counts > 0, counts, xp.ones_like(counts))


def means_of(sums: Any, d: int) -> tuple[Any, Any]:
    """Counts (R, K) and means (R, K, d) from the first features' sums."""
    counts = sums[..., 0]
    return counts, sums[..., 1 : 1 + d] / positive(counts)[..., None]


def _precisions(scores: Scores) -> Any:
    """A' A, (R, K or 1, d, d)."""
    return scores.factors.swapaxes(-1, -2) @ scores.factors


def _linear(scores: Scores, precisions: Any) -> Any:
    """Coefficients of (1, x), (R, K, 1 + d)."""
    xp = namespace(scores.offsets)
    linear = (precisions @ scores.means[..., None])[..., 0]
    constant = scores.offsets - 0.5 * (linear * scores.means).sum(-1)
    return xp.concatenate([constant[..., None], linear], -1)


def _upper(d: int, like: Any) -> tuple[tuple[Any, Any], Any]:
    """Rows and columns of the upper triangle, and which of these pairs are on the diagonal."""
    rows, columns = np.triu_indices(d)
    on_diagonal = index_like(np.flatnonzero(rows == columns), like)
    return (index_like(rows, like), index_like(columns, like)), on_diagonal
