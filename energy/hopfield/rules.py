"""Storage rules: from patterns to couplings.

.. math:: w_{ij} = \\frac1d \\sum_\\mu \\xi^\\mu_i \\xi^\\mu_j
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor

__all__ = ["StorageRule", "hebbian", "is_hebbian", "pseudo_inverse", "storkey"]

StorageRule: TypeAlias = Literal["hebbian", "storkey", "pseudo-inverse"]

#: Rows of couplings that are made at a time where the whole matrix is not wanted.
ROWS = 512


def hebbian(patterns: Tensor) -> Tensor:
    """Hebb's rule: units that fire together are wired together.

    .. math:: w_{ij} = \\frac1d \\sum_\\mu \\xi^\\mu_i \\xi^\\mu_j

    Arguments:
        patterns: -1 and +1.

    Shapes:
        patterns: (P, d). result: (d, d) float64; the diagonal is P / d.

    Reference:
        Hopfield 1982, "Neural networks and physical systems with emergent collective computational
        abilities", eq. 2 (there with units 0 and 1).

    Example:
        >>> hebbian(torch.tensor([[1, -1], [1, 1]])).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    return _hebbian_rows(_counting(patterns), slice(None))


def is_hebbian(weights: Tensor, patterns: Tensor, zero_diagonal: bool) -> bool:
    """Whether couplings are exactly those of Hebb's rule.

    Arguments:
        weights: (d, d).
        patterns: (P, d), -1 and +1.
        zero_diagonal: whether the diagonal must be zero instead.

    Example:
        >>> pattern = torch.tensor([[1, -1, 1]])
        >>> is_hebbian(hebbian(pattern), pattern, False), is_hebbian(torch.eye(3), pattern, False)
        (True, False)
    """
    counting = _counting(patterns)
    for first in range(0, len(weights), ROWS):
        rows = slice(first, first + ROWS)
        expected = _hebbian_rows(counting, rows)
        if zero_diagonal:
            expected.diagonal(first).zero_()
        if not torch.equal(expected.to(weights.dtype), weights[rows]):
            return False
    return True


def storkey(weights: Tensor, patterns: Tensor) -> Tensor:
    """Storkey's rule: every pattern is stored with regard to those before it.

    .. math:: w_{ij} \\leftarrow w_{ij} + \\frac1d (\\xi_i \\xi_j - \\xi_i h_{ji} - h_{ij} \\xi_j),
              \\qquad h_{ij} = \\sum_k w_{ik} \\xi_k - w_{ii} \\xi_i - w_{ij} \\xi_j

    For i = j this takes the unit's own share away twice; no other coupling depends on it.

    Arguments:
        weights: couplings so far, symmetric.
        patterns: -1 and +1, in the order in which they come.

    Shapes:
        weights: (d, d) float64. patterns: (P, d). result: (d, d) float64.

    Reference:
        Storkey 1997, "Increasing the capacity of a Hopfield network without sacrificing
        functionality", eq. 3 and 4.

    Example:
        >>> storkey(torch.zeros(2, 2, dtype=torch.float64), torch.tensor([[1, -1]])).tolist()
        [[0.5, -0.5], [-0.5, 0.5]]
    """
    weights, own = weights.clone(), weights.diagonal().clone()
    n_units, diagonal = len(weights), weights.diagonal()
    for pattern in patterns.double():
        diagonal.zero_()
        field = weights @ pattern
        # h_ij = field_i - w_ij x_j, so all is a multiple of w and a matrix of rank two. Products
        # with -1 and +1 are exact: the sum is symmetric to the last bit.
        half = pattern / 2 - field
        pair = torch.outer(half, pattern)
        weights.mul_(1 + 2 / n_units).add_((pair + pair.T) / n_units)
        own = own * (1 + 2 / n_units) + 2 * half * pattern / n_units
    diagonal.copy_(own)
    return weights


def pseudo_inverse(patterns: Tensor) -> Tensor:
    """The projection onto the patterns: every one is a fixed point, however they overlap.

    .. math:: W = X^\\top (X X^\\top)^{+} X

    Arguments:
        patterns: -1 and +1; some may depend linearly on others.

    Shapes:
        patterns: (P, d). result: (d, d) float64.

    Raises:
        ValueError: if they span the whole space: every state would be a fixed point.

    Reference:
        Personnaz, Guyon & Dreyfus 1985, "Information storage and retrieval in spin-glass like
        neural networks", J. Phys. Lett. 46, L359, eq. 6.

    Example:
        >>> pseudo_inverse(torch.tensor([[1, 1, 1, 1], [1, 1, 1, 1]]))[0].tolist()
        [0.25, 0.25, 0.25, 0.25]
    """
    n_units = patterns.shape[1]
    _, values, directions = torch.linalg.svd(patterns.double(), full_matrices=False)
    rounding = max(patterns.shape) * torch.finfo(values.dtype).eps
    rank = int((values > rounding * values[0]).sum())
    if rank == n_units:
        raise ValueError(
            f"patterns span all {n_units} dimensions, so that by the pseudo-inverse rule every "
            "state would be stable; store fewer patterns, or by another rule"
        )
    projection = directions[:rank].T @ directions[:rank]
    return (projection + projection.T) / 2


def _counting(patterns: Tensor) -> Tensor:
    """Patterns in a type in which their sums are exact."""
    exact = len(patterns) < 2**24
    return patterns.to(torch.float32 if exact else torch.float64)


def _hebbian_rows(patterns: Tensor, rows: slice) -> Tensor:
    """Some rows of the couplings."""
    return (patterns[:, rows].T @ patterns).double().div_(patterns.shape[1])
