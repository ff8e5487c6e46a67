"""Rows with missing entries, one quadratic function per pattern and component.

.. math:: s_k(x_O) = c_k - \\log |A_k| + \\tfrac{d - |O|}{2} \\log 2\\pi
          - \\tfrac12 \\log |C_{OO}|
          - \\tfrac12 (x_O - m_O)^\\top C_{OO}^{-1} (x_O - m_O)

Of the rows of a pattern only the moments of the present entries are needed: with T the regression
of all entries on the present ones, the completed rows have T times their mean and T S T'.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from inference.arrays import empty, index_like, namespace, to_double, zeros
from pgm.mixtures.missing_layout import Patterns, values_in
from pgm.mixtures.missing_sums import Sums
from pgm.mixtures.missing_sweep import PrefixTree
from pgm.mixtures.moments import Scores
from pgm.mixtures.quadratic import FEATURES, Features, to_type
from pgm.mixtures.responsibilities import share
from pgm.mixtures.rows import block_width

__all__ = ["PatternForm"]

# Numbers in one matrix of every pattern of a group, and components that are worked on together.
_GROUP, _COMPONENTS = 1 << 14, 32
# Numbers of rows that are multiplied with each other at a time.
_BLOCK = 1 << 18
# Rows of the narrowest pieces; components that the widest ones are meant for; and numbers between
# rows of features, which would otherwise start in the same place of the cache.
_NARROWEST, _FEW, _GAP = 8, 8, 8


class _Tiles(NamedTuple):
    """Rows of the patterns in pieces of one width, padded with rows of weight zero.

    Attributes:
        x: (d, T, w), zero where missing.
        weights: (T, w) float64.
        patterns: which pattern each piece has, (T,), ascending, where x is.
    """

    x: Any
    weights: Any
    patterns: Any


@dataclass(frozen=True)
class _Group:
    """Patterns whose matrices fit in memory together.

    Attributes:
        present: (p, d) float64, one where present.
        tree: yields the patterns in this order.
        tiles: by width.
        scatter: sum of w x x' of every pattern, (p, d, d), where all components share a
            covariance; else None.
    """

    present: Any
    tree: PrefixTree
    tiles: list[_Tiles]
    scatter: Any


@dataclass(frozen=True)
class PatternForm:
    """Rows of patterns that have many.

    Attributes:
        groups: of patterns.
    """

    groups: list[_Group]

    @classmethod
    def of(cls, x: Any, weights: Any, patterns: Patterns, *, tied: bool) -> PatternForm:
        """From rows x (n, d), of which the patterns name some, with NaN for missing."""
        size = max(1, _GROUP // x.shape[1] ** 2)
        starts = range(0, len(patterns.counts), size)
        every = np.arange(len(patterns.counts))
        parts = [patterns.select(every[i : i + size]) for i in starts]
        return cls([_group(x, weights, part, tied) for part in parts])

    def expect(self, scores: Scores) -> Sums:
        """Sums of the completed rows of R mixtures."""
        total = Sums.none(scores)
        n_runs, k = scores.offsets.shape
        together = max(1, _COMPONENTS // k)
        for left in range(0, n_runs, together):
            some = slice(left, left + together)
            runs = Scores(*[part[some] for part in scores])
            part = Sums(*[field[some] for field in total])
            for group in self.groups:
                part.add(_expect(group, runs))
        return total


def _group(x: Any, weights: Any, patterns: Patterns, tied: bool) -> _Group:
    """Lay the rows of some patterns out."""
    tree, order = PrefixTree.of(patterns.present)
    starts = (np.cumsum(patterns.counts) - patterns.counts)[order]
    counts, table = patterns.counts[order], patterns.present[order]
    features = _features(tied)
    widest = block_width(features.count(x.shape[1]) + _FEW)
    tiles = []
    for width, owners, skipped in _cut(counts, widest):
        lengths = np.minimum(counts[owners] - skipped, width)
        steps = np.arange(width)
        places = (starts[owners] + skipped)[:, None] + np.minimum(steps, lengths[:, None] - 1)
        valid = steps < lengths[:, None]
        tiles.append(_tile(x, weights, patterns.rows[places], valid, owners))
    present = zeros(x, table.shape, "float64")
    present += index_like(table, x)
    return _Group(present, tree, tiles, _scatter(tiles, len(table)) if tied else None)


def _scatter(tiles: list[_Tiles], n_patterns: int) -> Any:
    """Sums of w x x' of every pattern, (p, d, d)."""
    d = len(tiles[0].x)
    total = zeros(tiles[0].x, (n_patterns, d, d), "float64")
    for tile in tiles:
        for x, weights, owners in _parts(tile, _BLOCK // d):
            double = to_double(x)
            weighted = (double * weights).swapaxes(0, 1)
            _add_pieces(weighted @ double.swapaxes(0, 1).swapaxes(1, 2), owners, total)
    return total


def _parts(tiles: _Tiles, width: int) -> Iterator[_Tiles]:
    """Some of the pieces at a time, of about so many rows."""
    step = max(1, width // tiles.x.shape[2])
    for left in range(0, len(tiles.patterns), step):
        some = slice(left, left + step)
        yield _Tiles(tiles.x[:, some], tiles.weights[some], tiles.patterns[some])


def _features(tied: bool) -> Features:
    """Those that the responsibilities depend on."""
    return FEATURES["tied" if tied else "full"]


def _cut(counts: np.ndarray, widest: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Cut rows of patterns into pieces whose widths are powers of two, few of them padded.

    A pattern has full pieces of the greatest width; of the remainder the leading power of two and
    the padded rest.

    Yields:
        Width, pattern of every piece, and its rows before that piece.
    """
    n_full, rest = counts // widest, counts % widest
    every = np.arange(len(counts))
    owners = np.repeat(every, n_full)
    number = np.arange(len(owners)) - np.repeat(np.cumsum(n_full) - n_full, n_full)
    leading = np.where(rest > 0, np.maximum(_power_of_two(rest // 2 + 1), _NARROWEST), 0)
    last = np.maximum(rest - leading, 0)
    padded = np.where(last > 0, np.maximum(_power_of_two(last), _NARROWEST), 0)
    even = padded == leading
    leading, padded = np.where(even, 2 * leading, leading), np.where(even, 0, padded)
    before = n_full * widest
    widths = np.concatenate([np.full(len(owners), widest), leading, padded])
    owners = np.concatenate([owners, every, every])
    skipped = np.concatenate([number * widest, before, before + leading])
    for width in np.unique(widths[widths > 0]).tolist():
        mine = np.flatnonzero(widths == width)
        mine = mine[np.argsort(owners[mine], kind="stable")]
        yield width, owners[mine], skipped[mine]


def _power_of_two(counts: np.ndarray) -> np.ndarray:
    """The least that is no smaller; counts are at most 2^52."""
    fractions, exponents = np.frexp(np.maximum(counts, 1))
    return 1 << (exponents - (fractions == 0.5)).astype(np.int64)


def _tile(x: Any, weights: Any, rows: np.ndarray, valid: np.ndarray, owners: np.ndarray) -> _Tiles:
    """Pieces (T, w) of the rows with these numbers."""
    kept = zeros(x, rows.shape, "float64")
    kept += index_like(valid, x)
    if weights is not None:
        kept *= weights[index_like(rows, x)]
    return _Tiles(values_in(x, rows), kept, index_like(owners, x))


class _Conditional(NamedTuple):
    """What the covariances say about every pattern, (R, K or 1, p, ...).

    Attributes:
        precisions: inverse covariance of the present entries, zero elsewhere.
        gains: T', transposed regression of all entries on the present ones.
        rests: V, what that leaves, zero where an entry is present.
        heights: -1/2 log |C_OO| + (d - |O|)/2 log 2 pi - log |A|.
    """

    precisions: Any
    gains: Any
    rests: Any
    heights: Any


def _condition(group: _Group, factors: Any) -> _Conditional:
    """Sweep the present entries of every covariance."""
    xp, (n_runs, k, d, _) = namespace(factors), factors.shape
    roots = xp.linalg.inv(factors.reshape(-1, d, d))
    covariances = roots @ roots.swapaxes(-1, -2)
    states, logs = group.tree.sweep(covariances.swapaxes(0, 2))
    swept = to_type(states.reshape(d * d, -1).T, states).reshape(n_runs, k, -1, d, d)
    rows, columns = group.present[..., None], group.present[:, None]
    n_missing = d - group.present.sum(-1)
    volumes = xp.log(xp.einsum("rkii->rki", factors)).sum(-1)[..., None]
    heights = 0.5 * n_missing * math.log(2 * math.pi) - 0.5 * logs.reshape(n_runs, k, -1)
    identity = zeros(factors, (d, d))
    identity[range(d), range(d)] = 1
    return _Conditional(
        swept * -(rows * columns),
        swept * (rows * (1 - columns)) + identity * rows,
        swept * ((1 - rows) * (1 - columns)),
        heights - volumes,
    )


def _expect(group: _Group, scores: Scores) -> Sums:
    """Sums of the completed rows of some patterns."""
    (n_runs, k, d), einsum = scores.means.shape, namespace(scores.offsets).einsum
    known = _condition(group, scores.factors)
    means = scores.means[:, :, None] * group.present
    logs, sums = _sum(group, _coefficients(known, scores.offsets, means, group.scatter is None))
    counts, x = sums[..., 0], sums[..., 1 : 1 + d]
    z = x - counts[..., None] * means
    mass = counts
    if group.scatter is None:
        second = sums[..., index_like(_pairs(d), sums)]
        second -= einsum("rkpi,rkpj->rkpij", x, means)
        second -= einsum("rkpi,rkpj->rkpij", means, z)
    else:
        # The quadratic term is that of all components: the shares need not know of it.
        logs -= 0.5 * (known.precisions[:, 0] * group.scatter).sum((1, 2, 3))
        cross = einsum("rkpi,rkpj->rpij", x, means) + einsum("rkpi,rkpj->rpij", means, z)
        second = (group.scatter - cross)[:, None]
        mass = counts.sum(1)[:, None]
    shape = known.gains.shape
    gains = known.gains.reshape(*shape[:2], -1, d)
    first = (z.reshape(n_runs, k, 1, -1) @ gains)[:, :, 0]
    second = gains.swapaxes(-1, -2) @ (second @ known.gains).reshape(gains.shape)
    rests = known.rests.reshape(*shape[:3], d * d)
    second += (mass[:, :, None] @ rests).reshape(second.shape)
    return Sums(logs, counts.sum(-1), first, second)


def _pairs(d: int) -> np.ndarray:
    """Which of the features of full covariances is the product of two entries, (d, d)."""
    rows, columns = np.triu_indices(d)
    places = np.empty((d, d), dtype=np.int64)
    places[rows, columns] = places[columns, rows] = 1 + d + np.arange(len(rows))
    return places


def _coefficients(known: _Conditional, offsets: Any, means: Any, paired: bool) -> Any:
    """Coefficients of (1, x), and of the products of pairs, (R, K, p, P)."""
    xp, precisions = namespace(offsets), known.precisions
    linear = (precisions @ means[..., None])[..., 0]
    constant = offsets[..., None] + known.heights - 0.5 * (linear * means).sum(-1)
    parts = [constant[..., None], linear]
    if paired:
        rows, columns = np.triu_indices(means.shape[-1])
        quadratic = precisions[..., index_like(rows, offsets), index_like(columns, offsets)]
        parts.append(quadratic * index_like(np.where(rows == columns, -0.5, -1.0), offsets))
    return xp.concatenate(parts, -1)


def _sum(group: _Group, theta: Any) -> tuple[Any, Any]:
    """Log-likelihoods (R,), and sums of features with responsibilities, (R, K, p, P)."""
    n_runs, k, n_patterns, n_features = theta.shape
    n, matmul = n_runs * k, namespace(theta).matmul
    features = _features(group.scatter is not None)
    theta = to_type(theta.reshape(n, n_patterns, -1).swapaxes(0, 1), theta)
    logs, sums = zeros(theta, (n_runs,)), zeros(theta, (n_patterns, n_features, n))
    together = block_width(n_features + n)
    most = max(together, *[tiles.x.shape[2] for tiles in group.tiles]) + _GAP
    rooms = empty(theta, n_features * most), empty(theta, n * most)
    for tiles in group.tiles:
        for x, weights, owners in _parts(tiles, together):
            pieces = tuple(weights.shape)
            f = _apart(rooms[0], n_features, pieces)
            f[0] = 1
            features.fill(to_double(x), f)
            f = f.swapaxes(0, 1)
            shares = rooms[1][: n * math.prod(pieces)].reshape(n, *pieces)
            matmul(theta[owners], f, out=shares.swapaxes(0, 1))
            logs += share(shares.reshape(n_runs, k, -1), weights.reshape(-1))
            found = matmul(f, shares.swapaxes(0, 1).swapaxes(1, 2))
            _add_pieces(found, owners, sums)
    return logs, sums.swapaxes(0, 2).swapaxes(1, 2).reshape(n_runs, k, n_patterns, n_features)


def _apart(room: Any, n: int, shape: tuple[int, ...]) -> Any:
    """Room for (n, T, w) numbers, whose rows do not start in the same place of the cache."""
    size = math.prod(shape)
    return room[: n * (size + _GAP)].reshape(n, -1)[:, :size].reshape(n, *shape)


def _add_pieces(values: Any, owners: Any, sums: Any) -> None:
    """Add what pieces (T, ...) give to their patterns (p, ...)."""
    if isinstance(sums, Tensor):
        sums.index_add_(0, owners, values)
        return
    later = np.flatnonzero(owners[1:] != owners[:-1])
    if len(later) + 1 < len(owners):
        starts = np.concatenate([[0], later + 1])
        owners, values = owners[starts], np.add.reduceat(values, starts, 0)
    sums[owners] += values
