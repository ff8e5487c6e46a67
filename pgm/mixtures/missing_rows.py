"""Rows with missing entries, completed one by one for every component.

.. math:: z = O (x - m), \\quad g = \\Lambda z, \\quad
          V_{UU} = \\Lambda_{UU}^{-1}, \\quad \\hat x_U - m_U = -V_{UU}\\, g_U, \\qquad
          s = c + \\tfrac{|U|}{2} \\log 2\\pi - \\tfrac12 \\log |\\Lambda_{UU}|
              - \\tfrac12 \\|A (\\hat x - m)\\|^2

with the precision Λ = A'A and U the missing entries: only the small matrices of what is missing
are inverted. The squared length of the completed row is that of the present entries, and errors of
the completion change it in second order only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from inference.arrays import empty, index_like, look_up, namespace, sum_by, to_double, zeros
from pgm.mixtures.missing_layout import Patterns, present_in, rows_at_once, values_in
from pgm.mixtures.missing_sums import Sums
from pgm.mixtures.missing_sweep import sweep
from pgm.mixtures.moments import Scores
from pgm.mixtures.responsibilities import share

__all__ = ["RowForm"]


class _Group(NamedTuple):
    """Rows with the same number of missing entries, pattern after pattern.

    Attributes:
        x: (d, c), zero where missing.
        present: (d, c), one where present, of the type of x.
        weights: (c,) float64, or None.
        rows: their numbers, (c,).
        missing: columns that are missing in every pattern, (u, p).
        patterns: which pattern every row has, (c,), ascending.
    """

    x: Any
    present: Any
    weights: Any
    rows: np.ndarray
    missing: np.ndarray
    patterns: np.ndarray

    def part(self, left: int, width: int) -> _Group:
        """Some of the rows, and the patterns they have."""
        some = slice(left, left + width)
        own = self.patterns[some]
        return _Group(
            self.x[:, some],
            self.present[:, some],
            None if self.weights is None else self.weights[some],
            self.rows[some],
            self.missing[:, own[0] : own[-1] + 1],
            own - own[0],
        )


class _Completed(NamedTuple):
    """A block of rows under every component.

    Attributes:
        block: the rows.
        y: deviations of the completed rows, (R, K, d, c).
        scratch: room for as many numbers.
        joint: scores, (R, K, c).
        rests: -V of every pattern, (u, u, R, K or 1, p); None where nothing is missing.
    """

    block: _Group
    y: Any
    scratch: Any
    joint: Any
    rests: Any


@dataclass(frozen=True)
class RowForm:
    """Rows of patterns that have few.

    Attributes:
        groups: by number of missing entries.
    """

    groups: list[_Group]

    @classmethod
    def of(cls, x: Any, weights: Any, patterns: Patterns) -> RowForm:
        """From rows x (n, d), of which the patterns name some, with NaN for missing."""
        n_missing = (~patterns.present).sum(1)
        levels = np.unique(n_missing).tolist()
        parts = [patterns.select(n_missing == u) for u in levels]
        return cls([_group(x, weights, part) for part in parts])

    def expect(self, scores: Scores) -> Sums:
        """Sums of the completed rows of R mixtures."""
        total, xp = Sums.none(scores), namespace(scores.offsets)
        for block, y, scratch, joint, rests in self._completed(scores):
            logs = share(joint, block.weights)
            first = xp.matmul(y, joint[..., None])[..., 0]
            weighted = xp.multiply(y, joint[:, :, None], out=scratch)
            second = xp.matmul(weighted, y.swapaxes(-1, -2))
            if total.second.shape[1] < second.shape[1]:
                second = second.sum(1)[:, None]
            if rests is not None:
                second -= _spread(block, joint, rests, second.shape[-1])
            total.add(Sums(logs, joint.sum(-1), first, second))
        return total

    def log_joint(self, scores: Scores, out: Any) -> None:
        """Fill the scores of the rows in, (R, n, K)."""
        for block, _, _, joint, _ in self._completed(scores):
            out[:, index_like(block.rows, out)] = joint.swapaxes(1, 2)

    def _completed(self, scores: Scores) -> Iterator[_Completed]:
        """Complete a block of rows at a time."""
        n_runs, k, d = scores.means.shape
        precisions = scores.factors.swapaxes(-1, -2) @ scores.factors
        for group in self.groups:
            u = len(group.missing)
            width = min(rows_at_once(n_runs * k * (3 * d + u * (u + 1))), len(group.rows))
            room = [empty(precisions, n_runs * k * d * width) for _ in range(2)]
            for left in range(0, len(group.rows), width):
                block = group.part(left, width)
                shape = (n_runs, k, d, len(block.rows))
                y, scratch = [part[: math.prod(shape)].reshape(shape) for part in room]
                yield _complete(block, scores, precisions, y, scratch)


def _group(x: Any, weights: Any, patterns: Patterns) -> _Group:
    """Lay the rows of patterns with equally many missing entries out."""
    missing = np.nonzero(~patterns.present)[1].reshape(len(patterns.counts), -1).T
    return _Group(
        values_in(x, patterns.rows),
        present_in(x, patterns.rows),
        None if weights is None else weights[index_like(patterns.rows, x)],
        patterns.rows,
        missing,
        np.repeat(np.arange(len(patterns.counts)), patterns.counts),
    )


def _complete(block: _Group, scores: Scores, precisions: Any, y: Any, scratch: Any) -> _Completed:
    """Fill in what is missing, and score."""
    xp, u = namespace(y), len(block.missing)
    xp.subtract(to_double(block.x), scores.means[..., None], out=y)
    joint, rests = scores.offsets[..., None], None
    if u:
        y *= to_double(block.present)
        rests, logs = _invert(precisions, block.missing)
        per_row = None
        if block.missing.shape[1] < len(block.rows):
            per_row = index_like(block.patterns, y)
        _fill(block, rests, per_row, y, xp.matmul(precisions, y, out=scratch))
        height = 0.5 * u * math.log(2 * math.pi) - 0.5 * logs
        joint = joint + _per_row(height, per_row)
    whitened = xp.matmul(scores.factors, y, out=scratch)
    joint = joint - 0.5 * xp.einsum("rkdc,rkdc->rkc", whitened, whitened)
    return _Completed(block, y, scratch, joint, rests)


def _invert(precisions: Any, missing: np.ndarray) -> tuple[Any, Any]:
    """Minus the inverses (u, u, R, K, p) of the parts that are missing, and log-determinants."""
    (n_runs, k, d, _), (u, p) = precisions.shape, missing.shape
    parts = empty(precisions, n_runs * k * u * u * p).reshape(n_runs, k, u * u * p)
    places = index_like((missing[:, None] * d + missing).reshape(-1), precisions)
    look_up(precisions.reshape(n_runs, k, d * d), places, parts)
    parts = parts.reshape(n_runs, k, u, u, p).swapaxes(0, 2).swapaxes(1, 3)
    logs = sum([sweep(parts, j) for j in range(u)])
    return parts, logs


def _fill(block: _Group, rests: Any, per_row: Any, y: Any, pull: Any) -> None:
    """Put the conditional means where entries are missing: -V (Λ z)."""
    (u, _), (n_runs, k, d, c) = block.missing.shape, y.shape
    places = (block.missing[:, block.patterns] * c + np.arange(c)).reshape(-1)
    gone = index_like(places, y)
    pulled = empty(y, n_runs * k * u * c).reshape(n_runs, k, u * c)
    look_up(pull.reshape(n_runs, k, d * c), gone, pulled)
    pulled = pulled.reshape(n_runs, k, u, c)
    filled = namespace(y).einsum("ijrkc,rkjc->rkic", _per_row(rests, per_row), pulled)
    y.reshape(n_runs, k, d * c)[:, :, gone] = filled.reshape(n_runs, k, u * c)


def _per_row(values: Any, per_row: Any) -> Any:
    """Values of the patterns (..., p) for every row; None: every row has its own pattern."""
    return values if per_row is None else values[..., per_row]


def _spread(block: _Group, joint: Any, rests: Any, d: int) -> Any:
    """Sums of -V with responsibilities, (R, K or 1, d, d)."""
    u, _, n_runs, k, _ = rests.shape
    if k < joint.shape[1]:
        joint = joint.sum(1)[:, None]
    # Pairs once: the others follow by symmetry.
    rows, columns = np.tril_indices(u)
    values = rests[index_like(rows, joint), index_like(columns, joint)]
    values = values * _by_pattern(joint, block.patterns)
    pairs = block.missing[rows] * d + block.missing[columns]
    owners = np.arange(n_runs * k).reshape(n_runs, k, 1) * d**2
    groups = pairs[:, None, None] + owners
    found = sum_by(groups.reshape(-1), values.reshape(-1), n_runs * k * d * d)
    lower = found.reshape(n_runs, k, d, d)
    return lower + namespace(lower).tril(lower, -1).swapaxes(-1, -2)


def _by_pattern(joint: Any, patterns: np.ndarray) -> Any:
    """Sums of responsibilities (R, K, c) over the rows of every pattern, (R, K, p)."""
    n_patterns = int(patterns[-1]) + 1
    if n_patterns == joint.shape[-1]:
        return joint
    if isinstance(joint, Tensor):
        found = zeros(joint, (*joint.shape[:2], n_patterns))
        return found.index_add_(2, index_like(patterns, joint), joint)
    later = np.flatnonzero(patterns[1:] != patterns[:-1]) + 1
    return np.add.reduceat(joint, np.concatenate([[0], later]), 2)
