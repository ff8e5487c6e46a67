"""Lloyd's rounds for several starts, in which points that cannot have moved are left alone.

.. math:: c_k \\leftarrow \\frac{\\sum_{i: l_i = k} w_i x_i}{\\sum_{i: l_i = k} w_i}, \\qquad
          l_i = \\arg\\min_k \\|x_i - c_k\\|
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from torch import Tensor

from inference.arrays import index_like, namespace, to_double, zeros
from inference.learning.points import Points, find_greatest
from inference.learning.runs import to_host

__all__ = ["Lloyd"]


class Lloyd:
    """R starts under way.

    For every point the distance to the second nearest centre exceeds that to the nearest one by
    some margin. A round takes off it what the centres have moved; while it stays positive the
    point keeps its centre, and no distance is computed.

    Arguments:
        rows: points.
        centers: first centres, about the rows' origin, (R, K, d) float64.

    Attributes:
        centers: (R, K, d) float64.

    Reference:
        Lloyd 1982; Hamerly 2010, "Making k-means even faster", section 3 (the two bounds, of which
        only the difference is kept here).
    """

    def __init__(self, rows: Points, centers: Any) -> None:
        xp = namespace(centers)
        self.centers = centers
        self._rows = rows
        self._weights = rows.weights.reshape(-1)
        self._labels = zeros(centers, (len(centers), len(self._weights)), "int64") - 1
        self._margins = zeros(centers, self._labels.shape) - xp.inf
        # Of weighed features; and how often features are present in points with weight, as sums
        # and differences of weights do not come back to zero where all points have gone.
        n_sums = 2 * rows.features.shape[1] - rows.n_features
        self._sums = zeros(centers, (*centers.shape[:2], n_sums))
        # Square roots of distances near zero keep half of the digits.
        digits = float(xp.finfo(rows.features.dtype).eps * rows.features.shape[1]) ** 0.5
        radius = float(rows.squares.max()) ** 0.5 + float((centers**2).sum(-1).max()) ** 0.5
        self._slack = digits * radius

    def round(self) -> np.ndarray:
        """Move the centres to the means of their points; the squared way of all, (R,)."""
        self.assign()
        rows, old, p = self._rows, self.centers, self._rows.features.shape[1]
        empty = to_host(self._sums[..., p:].sum(-1) == 0, bool)
        for run in np.flatnonzero(empty.any(1)).tolist():
            self._refill(run, np.flatnonzero(empty[run]))
        self.centers = rows.means(self._sums[..., :p], self._sums[..., p:] > 0, old)
        ways = ((self.centers - old) ** 2).sum(-1)
        self._loosen(namespace(ways).sqrt(ways))
        return to_host(ways.sum(1))

    def keep(self, runs: np.ndarray) -> None:
        """Go on with some of the starts."""
        some = index_like(runs, self.centers)
        self.centers, self._sums = self.centers[some], self._sums[some]
        self._labels, self._margins = self._labels[some], self._margins[some]

    def assign(self) -> Any:
        """Number of the nearest centre of every point, (R, n) int64."""
        rows, (n_runs, k) = self._rows, self.centers.shape[:2]
        theta = rows.coefficients(self.centers).reshape(n_runs * k, -1)
        for some, f, squares in self._doubtful():
            scores = (theta @ f).reshape(n_runs, k, -1)
            best, labels = find_greatest(scores)
            self._move(some, f, labels)
            self._margins[:, some] = _margin(scores, best, labels, squares)
        return self._labels[:, : rows.n_rows]

    def _doubtful(self) -> Iterator[tuple[Any, Any, Any]]:
        """Points that may have another centre now: which, their features, and their squares."""
        rows, width = self._rows, self._rows.features.shape[2]
        chosen = _places((self._margins <= self._slack).any(0))
        if isinstance(chosen, slice):
            for block, f in enumerate(rows.features):
                yield slice(block * width, (block + 1) * width), f, rows.squares[block]
            return
        for left in range(0, len(chosen), width):
            some = chosen[left : left + width]
            yield some, rows.features_at(some).T, rows.squares.reshape(-1)[some]

    def _move(self, some: Any, f: Any, labels: Any) -> None:
        """Take points from the sums of the centres they had, and add them to their new ones."""
        old = self._labels[:, some]
        moved = _places((labels != old).any(0))
        if not isinstance(moved, slice) and not len(moved):
            return
        numbers = index_like(np.arange(self.centers.shape[1])[:, None], labels)
        signs = to_double(1.0 * (labels[:, None, moved] == numbers))
        signs -= 1.0 * (old[:, None, moved] == numbers)
        weighed = self._weigh(f[:, moved], self._weights[some][moved])
        change = namespace(f).matmul(signs.reshape(-1, signs.shape[2]), weighed.T)
        self._sums += change.reshape(self._sums.shape)
        self._labels[:, some] = labels

    def _weigh(self, f: Any, weights: Any) -> Any:
        """What points (P, c) add to the sums of their centre, (2 P - d, c)."""
        f = to_double(f)
        counted = f[self._rows.n_features :] * (weights > 0)
        return namespace(f).concatenate([f * weights, counted])

    def _loosen(self, ways: Any) -> None:
        """Take off the margins what the centres have moved, (R, K)."""
        xp, (n_runs, k) = namespace(ways), ways.shape
        order = xp.argsort(-ways, 1)
        runs = index_like(np.arange(n_runs), ways)
        others = xp.zeros_like(ways) + ways[runs, order[:, 0]][:, None]
        if k > 1:
            others[runs, order[:, 0]] = ways[runs, order[:, 1]]
        self._margins -= (ways + others)[runs[:, None], self._labels]

    def _refill(self, run: int, empty: np.ndarray) -> None:
        """Give empty clusters the farthest points, which leave their own."""
        xp, rows = namespace(self.centers), self._rows
        theta = rows.coefficients(self.centers[run])
        blocks = range(len(rows.weights))
        gaps = xp.concatenate([xp.amin(rows.distances(theta, b), 0) for b in blocks])
        order = to_host(xp.argsort(-gaps)[: len(empty)], np.int64)
        labels, margins = self._labels[run], self._margins[run]
        for cluster, row in zip(empty.tolist(), order.tolist(), strict=False):
            # Equal points are one cluster.
            if not gaps[row] > 0:
                break
            f = rows.features_at(row)[:, None]
            weighed = self._weigh(f, self._weights[row : row + 1])[:, 0]
            self._sums[run, labels[row]] -= weighed
            self._sums[run, cluster] = weighed
            labels[row], margins[row] = cluster, -xp.inf


def _places(chosen: Any) -> Any:
    """Places where chosen; all of them where most are, or the host would have to wait."""
    if isinstance(chosen, Tensor) or 2 * np.count_nonzero(chosen) > chosen.size:
        return slice(None)
    return np.flatnonzero(chosen)


def _margin(scores: Any, best: Any, labels: Any, squares: Any) -> Any:
    """How much farther the second nearest centre is than the nearest one, (R, c)."""
    xp = namespace(scores)
    if isinstance(scores, Tensor):
        scores.scatter_(1, labels[:, None], -xp.inf)
    else:
        np.put_along_axis(scores, labels[:, None], -np.inf, 1)
    gaps = [to_double(squares - 2 * x).clip(0) for x in (xp.amax(scores, 1), best)]
    return xp.sqrt(gaps[0]) - xp.sqrt(gaps[1])
