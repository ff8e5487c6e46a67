"""Order statistics of rows of numbers: ranks as normal scores, folded ranks, quantiles.

.. math:: z_i = \\Phi^{-1}\\Bigl(\\frac{r_i - 3/8}{S + 1/4}\\Bigr)
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["folded_scores", "mean_ranks", "normal_scores", "order_of", "sorted_quantile"]


def order_of(rows: Tensor, *, merging: bool = False) -> Tensor:
    """Positions of the numbers of every row in ascending order, int64.

    Arguments:
        rows: numbers without NaN.
        merging: every row is made of few ascending runs.

    Shapes:
        rows: (D, S). result: the same.

    Example:
        >>> order_of(torch.tensor([[2.0, 0.0, 1.0]])).tolist()
        [[1, 2, 0]]
    """
    if rows.device.type != "cpu":
        return rows.argsort(dim=-1)
    # Numpy sorts doubles in vector registers; its stable sort merges runs that it finds.
    kind = "stable" if merging else None
    return torch.from_numpy(np.argsort(rows.numpy(), axis=-1, kind=kind))


def normal_scores(ascending: Tensor, order: Tensor) -> Tensor:
    """Normal scores of the ranks of rows; equal numbers share the mean of their ranks.

    .. math:: z_i = \\Phi^{-1}\\Bigl(\\frac{r_i - 3/8}{S + 1/4}\\Bigr)

    Arguments:
        ascending: the numbers of every row in ascending order.
        order: where they were, see ``order_of``.

    Shapes:
        ascending, order: (D, S). result: (D, S) float64, in the order that the numbers had.

    Reference:
        Vehtari et al. 2021, "Rank-normalization, folding, and localization: an improved R-hat for
        assessing convergence of MCMC", section 4.1; Blom 1958, "Statistical estimates and
        transformed beta-variables".

    Example:
        >>> rows = torch.tensor([[5.0, 1.0, 5.0]], dtype=torch.float64)
        >>> order = order_of(rows)
        >>> normal_scores(rows.gather(1, order), order).round(decimals=3).tolist()
        [[0.396, -0.869, 0.396]]
    """
    size = ascending.shape[-1]
    # The mean of the ranks of a tie is a whole or half number: all scores there are, in a table.
    ranks = torch.arange(2 * size - 1, dtype=torch.float64, device=ascending.device) / 2 + 1
    table = torch.special.ndtri((ranks - 0.375) / (size + 0.25))
    rises = ascending[:, 1:] != ascending[:, :-1]
    scores = table[::2].expand_as(ascending) if bool(rises.all()) else table[_half_ranks(rises)]
    return torch.empty_like(scores, memory_format=torch.contiguous_format).scatter_(
        1, order, scores
    )


def folded_scores(ascending: Tensor, order: Tensor) -> Tensor:
    """Normal scores of the ranks of distances from the median.

    .. math:: \\zeta_i = |x_i - \\operatorname{median}(x)|

    Arguments:
        ascending: the numbers of every row in ascending order.
        order: where they were, see ``order_of``.

    Shapes:
        ascending, order: (D, S), S even. result: (D, S) float64, in the order that the numbers
        had.

    Reference:
        Vehtari et al. 2021, section 4.1.

    Example:
        >>> rows = torch.tensor([[0.0, 5.0, 6.0, 8.0]], dtype=torch.float64)
        >>> folded_scores(rows, order_of(rows)).round(decimals=3).tolist()
        [[1.049, -0.629, -0.629, 0.299]]
    """
    half = ascending.shape[-1] // 2
    median = (ascending[:, half - 1] / 2 + ascending[:, half] / 2)[:, None]
    # Both halves ascend away from the median, so that sorting is merging.
    distances = torch.cat([median - ascending[:, :half].flip(1), ascending[:, half:] - median], 1)
    places = torch.cat([order[:, :half].flip(1), order[:, half:]], 1)
    merged = order_of(distances.abs_(), merging=True)
    return normal_scores(distances.gather(1, merged), places.gather(1, merged))


def mean_ranks(rows: Tensor) -> Tensor:
    """Ranks of the numbers of every row, from 1; equal ones share the mean of their ranks.

    Arguments:
        rows: numbers without NaN.

    Shapes:
        rows: (D, S). result: (D, S) float64.

    Example:
        >>> mean_ranks(torch.tensor([[5.0, 1.0, 5.0]])).tolist()
        [[2.5, 1.0, 2.5]]
    """
    order = order_of(rows)
    ascending = rows.gather(1, order)
    ranks = _half_ranks(ascending[:, 1:] != ascending[:, :-1]).double() / 2 + 1
    return torch.empty_like(ranks).scatter_(1, order, ranks)


def sorted_quantile(ascending: Tensor, share: float) -> Tensor:
    """Quantile of rows that ascend, linear between order statistics.

    .. math:: q = x_{(k)} + t\\, (x_{(k+1)} - x_{(k)}), \\qquad k + t = (S - 1)\\, p

    Arguments:
        ascending: numbers in ascending order.
        share: p, from 0 to 1.

    Shapes:
        ascending: (D, S). result: (D,).

    Reference:
        Hyndman & Fan 1996, "Sample quantiles in statistical packages", definition 7.

    Example:
        >>> sorted_quantile(torch.tensor([[0.0, 1.0, 4.0]]), 0.75).tolist()
        [2.5]
    """
    place = (ascending.shape[-1] - 1) * share
    below = min(int(place), max(ascending.shape[-1] - 2, 0))
    above = min(below + 1, ascending.shape[-1] - 1)
    part = place - below
    # Halves, as the difference of two large numbers may be too large; rounded like numpy's.
    low, high = ascending[:, below] / 2, ascending[:, above] / 2
    step = high - low
    return 2 * (low + step * part if part < 0.5 else high - step * (1 - part))


def _half_ranks(rises: Tensor) -> Tensor:
    """First plus last position of every number's tie, counted from 0 in its row, (D, S)."""
    n_rows, size = rises.shape[0], rises.shape[1] + 1
    starts = torch.cat([rises.new_ones((n_rows, 1)), rises], 1).reshape(-1).nonzero()[:, 0]
    ends = torch.cat([starts[1:], starts.new_tensor([n_rows * size])])
    lengths = ends - starts
    sums = 2 * (starts % size) + lengths - 1
    return sums.repeat_interleave(lengths).reshape(n_rows, size)
