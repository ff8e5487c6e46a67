"""Sums over all states of the units that are not known, exactly.

.. math:: \\log \\sum_{x_F} \\exp\\Bigl(\\tfrac12 x^\\top W x + b^\\top x\\Bigr), \\qquad
          \\langle x_i \\rangle, \\; \\langle x_i x_j \\rangle \\text{ given } x_K

The free units F are cut in two halves, whose states are the rows and columns of a table: what
couples the halves is one product of matrices, and no state is ever spelled out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = [
    "MOST_FREE",
    "Moments",
    "check_free",
    "clamped_log_sums",
    "clamped_moments",
    "heaviest_state",
]

#: Free units whose states are summed, at most: a table of 2^22 doubles has 32 MiB.
MOST_FREE = 22

#: Numbers in the tables of some rows at once.
CHUNK = 2**21


class Moments(NamedTuple):
    """What is known of all units given those that rows hold.

    Attributes:
        log_sums: of the weights of all states that agree with a row, (R,), nats.
        means: of every unit given a row, (R, n).
        pairs: mean of x_i x_j over the rows, (n, n); means of units on the diagonal.
    """

    log_sums: Tensor
    means: Tensor
    pairs: Tensor


class _Table(NamedTuple):
    """Logs of the weights of all states of free units, but for their fields."""

    first: Tensor
    second: Tensor
    of_first: Tensor
    of_second: Tensor
    between: Tensor

    @classmethod
    def of(cls, weights: Tensor) -> _Table:
        """Table of units with couplings (F, F)."""
        cut = len(weights) // 2
        first, second = _bits(cut, weights), _bits(len(weights) - cut, weights)
        return cls(
            first,
            second,
            0.5 * (first @ weights[:cut, :cut] * first).sum(1),
            0.5 * (second @ weights[cut:, cut:] * second).sum(1),
            first @ weights[:cut, cut:] @ second.T,
        )

    def logs(self, fields: Tensor) -> Iterator[Tensor]:
        """Logs of weights in fields (R, F), some rows at a time, (rows, A, B)."""
        for part in fields.split(max(1, CHUNK // self.between.numel())):
            cut = self.first.shape[1]
            rows = part[:, :cut] @ self.first.T + self.of_first
            columns = part[:, cut:] @ self.second.T + self.of_second
            yield rows[:, :, None] + columns[:, None, :] + self.between


class _Alike(NamedTuple):
    """Rows that know the same units."""

    rows: Tensor
    free: Tensor
    known: Tensor
    own: Tensor
    fields: Tensor
    table: _Table


def check_free(rows: Tensor, most: int = MOST_FREE) -> None:
    """Refuse rows with more free units than can be summed.

    Raises:
        ValueError: then.
    """
    found = int((rows < 0).sum(-1).max()) if rows.numel() else 0
    if found > most:
        raise ValueError(
            f"at most {most} unknown units can be summed exactly, found {found}, which have "
            f'2^{found} states; sample, or use method="ais" for log Z'
        )


def clamped_log_sums(weights: Tensor, bias: Tensor, rows: Tensor) -> Tensor:
    """Log of the summed weights of all states that agree with a row, (R,), nats; differentiable.

    Arguments:
        weights: W over the temperature, symmetric with a diagonal of zeros, float64.
        bias: b over the temperature.
        rows: 0, 1 and -1 for a unit that is summed.

    Shapes:
        weights: (n, n). bias: (n,). rows: (R, n).

    Raises:
        ValueError: if a row has too many free units.

    Example:
        >>> nothing = torch.zeros(2, 2).double(), torch.zeros(2).double()
        >>> clamped_log_sums(*nothing, torch.tensor([[-1, -1], [1, -1]])).exp().tolist()
        [4.0, 2.0]
    """
    check_free(rows)
    order, found = [], []
    for alike in _grouped(weights, bias, rows):
        sums = [part.flatten(1).logsumexp(1) for part in alike.table.logs(alike.fields)]
        order.append(alike.rows)
        found.append(alike.own + torch.cat(sums))
    if not found:
        return bias.new_zeros(0)
    return torch.cat(found)[torch.cat(order).argsort()]


def clamped_moments(
    weights: Tensor, bias: Tensor, rows: Tensor, counts: Tensor | None = None
) -> Moments:
    """Moments of all units given those that are known.

    Arguments:
        weights: W over the temperature, symmetric with a diagonal of zeros, float64.
        bias: b over the temperature.
        rows: 0, 1 and -1 for a unit that is not known.
        counts: how often each row is there, (R,); once by default.

    Shapes:
        weights: (n, n). bias: (n,). rows: (R, n).

    Raises:
        ValueError: if a row has too many free units.

    Example:
        >>> nothing = torch.zeros(2, 2).double(), torch.zeros(2).double()
        >>> clamped_moments(*nothing, torch.tensor([[1, -1]])).pairs.tolist()
        [[1.0, 0.5], [0.5, 0.5]]
    """
    check_free(rows)
    counts = bias.new_ones(len(rows)) if counts is None else counts.to(bias)
    log_sums, means = bias.new_zeros(len(rows)), bias.new_zeros(rows.shape)
    pairs = torch.zeros_like(weights)
    for alike in _grouped(weights, bias, rows):
        share, filled = counts[alike.rows], alike.known.clone()
        sums, of_free, within = _moments_of_free(alike.table, alike.fields, share)
        filled[:, alike.free] = of_free
        both = filled.T @ (share[:, None] * filled)
        both[alike.free[:, None], alike.free] = within
        pairs += both
        log_sums[alike.rows] = alike.own + sums
        means[alike.rows] = filled
    return Moments(log_sums, means, pairs / counts.sum())


def heaviest_state(weights: Tensor, bias: Tensor) -> Tensor:
    """A state of largest weight, (n,).

    Arguments:
        weights: W, symmetric with a diagonal of zeros, (n, n), float64.
        bias: b, (n,).

    Raises:
        ValueError: if there are too many units.

    Example:
        >>> heaviest_state(torch.zeros(2, 2).double(), torch.tensor([1.0, -1.0]).double()).tolist()
        [1.0, 0.0]
    """
    check_free(torch.full((1, len(bias)), -1))
    table = _Table.of(weights)
    place = next(table.logs(bias[None])).argmax()
    row, column = place // len(table.second), place % len(table.second)
    return torch.cat([table.first[row], table.second[column]])


def _grouped(weights: Tensor, bias: Tensor, rows: Tensor) -> Iterator[_Alike]:
    """Rows by the units that they do not know."""
    patterns, which = torch.unique(rows < 0, dim=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        members = (which == number).nonzero()[:, 0]
        free = pattern.nonzero()[:, 0]
        known = rows[members].to(bias).masked_fill(pattern, 0)
        pulls = known @ weights
        own = (known * (0.5 * pulls + bias)).sum(1)
        table = _Table.of(weights[free[:, None], free])
        yield _Alike(members, free, known, own, (pulls + bias)[:, free], table)


def _moments_of_free(
    table: _Table, fields: Tensor, counts: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Log sums (R,), means (R, F), and sums over counted rows of <x x^T>, (F, F)."""
    log_sums, means = [], []
    of_first = torch.zeros_like(table.of_first)
    of_second = torch.zeros_like(table.of_second)
    joint = torch.zeros_like(table.between)
    begin = 0
    for logs in table.logs(fields):
        share = counts[begin : begin + len(logs)]
        begin += len(logs)
        found = logs.flatten(1).logsumexp(1)
        probs = logs.sub_(found[:, None, None]).exp_()
        first, second = probs.sum(2), probs.sum(1)
        log_sums.append(found)
        means.append(torch.cat([first @ table.first, second @ table.second], 1))
        of_first += share @ first
        of_second += share @ second
        joint += torch.einsum("r,rab->ab", share, probs)
    cross = table.first.T @ joint @ table.second
    upper = torch.cat([table.first.T @ (of_first[:, None] * table.first), cross], 1)
    lower = torch.cat([cross.T, table.second.T @ (of_second[:, None] * table.second)], 1)
    return torch.cat(log_sums), torch.cat(means), torch.cat([upper, lower])


def _bits(n: int, like: Tensor) -> Tensor:
    """All states of n units, (2^n, n), the last unit changing fastest."""
    places = torch.arange(n - 1, -1, -1, device=like.device)
    codes = torch.arange(2**n, device=like.device)
    return (codes[:, None] >> places & 1).to(like)
