"""Wasserstein distance between samples: the cheapest way to match their points.

.. math:: W_p^p = \\min_{\\pi} \\frac1n \\sum_i \\|x_i - y_{\\pi(i)}\\|^p
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from generative.metrics.samples import read_samples
from inference.inputs import Values
from inference.memory import require_memory
from inference.transport import earth_movers_distance, sliced_wasserstein

__all__ = ["wasserstein_distance"]

#: Bytes of one entry of the cost: the assignment has two copies, the linear program rows of
#: its own for every one.
ASSIGNED, PROGRAMMED = 16, 500


def wasserstein_distance(x: Values, y: Values, *, p: float = 1.0) -> Tensor:
    """Exact Wasserstein distance between two samples, each point with the same mass.

    .. math:: W_p^p = \\min_{\\gamma \\ge 0} \\Bigl\\{\\sum_{ij} \\gamma_{ij} \\|x_i - y_j\\|^p :
              \\sum_j \\gamma_{ij} = \\tfrac1n, \\sum_i \\gamma_{ij} = \\tfrac1m\\Bigr\\}

    Points on a line are sorted. Samples of equal size are matched one to one, which takes
    seconds for a few thousand points; samples of different sizes need a linear program with n m
    unknowns, and suit hundreds. ``sliced_wasserstein`` is for larger ones. No gradient is
    recorded.

    Perfect samples do not score zero, and the more dimensions, the less: two samples of one law
    are apart by the order of n^(-1/2) on a line, (log n / n)^(1/2) in the plane and n^(-1/d)
    beyond. Compare with two halves of the data.

    Arguments:
        x: samples.
        y: samples.
        p: order of the distance, at least one.

    Shapes:
        x: (n, d). y: (m, d). result: (), float64, in the samples' unit.

    Raises:
        TypeError: if an argument holds no real numbers.
        ValueError: if the shapes do not fit, a sample is empty or not finite, ``p`` is less than
            one, or the costs do not fit in memory.
        RuntimeError: if the solver of the linear program gives up.

    Reference:
        Peyre & Cuturi 2019, "Computational optimal transport", proposition 2.1 (matching) and
        eq. 2.11; Fournier & Guillin 2015, "On the rate of convergence in Wasserstein distance of
        the empirical measure", theorem 1.

    Example:
        >>> wasserstein_distance([[0.0, 0.0], [1.0, 0.0]], [[1.0, 3.0], [0.0, 3.0]])
        tensor(3., dtype=torch.float64)
    """
    x, y = (sample.detach() for sample in read_samples(1, x=x, y=y))
    if not 1 <= p < math.inf:
        raise ValueError(f"p must be finite and at least 1, found {p}")
    if x.shape[1] == 1:
        # One direction is all directions of a line; the seed does not matter.
        return sliced_wasserstein(x, y, n_projections=1, p=p, generator=0)
    matched = len(x) == len(y)
    _check_memory(len(x), len(y), ASSIGNED if matched else PROGRAMMED)
    cost = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
    # Powers are taken of costs of order one, which neither overflow nor vanish.
    unit = cost.max().clamp_min(torch.finfo(cost.dtype).tiny)
    cost = (cost / unit).pow(p)
    mean = _matching(cost) if matched else _transport(cost)
    return unit * mean.pow(1 / p)


def _matching(cost: Tensor) -> Tensor:
    """Mean cost of the cheapest pairs."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(cost.cpu().numpy())
    pairs = (torch.from_numpy(part).to(cost.device) for part in (rows, columns))
    return cost[tuple(pairs)].mean()


def _transport(cost: Tensor) -> Tensor:
    """Mean cost of the cheapest plan between uniform masses."""
    from_x, from_y = (cost.new_full((n,), 1 / n) for n in cost.shape)
    return earth_movers_distance(from_x, from_y, cost).value


def _check_memory(n: int, m: int, each: int) -> None:
    """Refuse costs that would not fit."""
    require_memory(
        n * m * each,
        f"a table of the costs between {n} rows of x and {m} of y",
        "pass fewer rows (samples of equal size need least) or use sliced_wasserstein",
    )
