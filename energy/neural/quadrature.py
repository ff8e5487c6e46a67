"""Log Z of one or two real variables by a sum over a grid.

.. math:: Z \\approx h_1 h_2 \\sum_{ij} e^{-E(x_i, y_j)}
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from inference.inputs import as_whole
from inference.memory import require_memory

__all__ = ["POINTS_PER_AXIS", "grid_limits", "grid_log_partition", "grid_points"]

#: Half-width of the default grid in standard deviations, and points on an axis, by dimension.
WIDTH, POINTS_PER_AXIS = 9.0, {1: 4001, 2: 501}

#: Rows that are evaluated at once.
ROWS = 2**16

#: Share of the largest weight that may be left at the border of the grid.
LEFT = 1e-9


def grid_limits(
    limits: Sequence[tuple[float, float]] | None, mean: Tensor, scale: Tensor
) -> list[tuple[float, float]]:
    """Limits of every axis: those given, or nine scales around the mean.

    Raises:
        ValueError: if they are not one pair per number.

    Example:
        >>> grid_limits(None, torch.tensor([1.0]), torch.tensor([2.0]))
        [(-17.0, 19.0)]
    """
    if limits is None:
        low, high = mean - WIDTH * scale, mean + WIDTH * scale
        return list(zip(low.tolist(), high.tolist(), strict=True))
    if len(limits) != mean.numel() or any([len(pair) != 2 for pair in limits]):
        raise ValueError(f"limits must be {mean.numel()} pairs (low, high), found {limits!r}")
    return [(float(low), float(high)) for low, high in limits]


def grid_points(limits: Sequence[tuple[float, float]], points: int, like: Tensor) -> Tensor:
    """All points of a regular grid, (points ** d, d), the last axis fastest.

    Arguments:
        limits: (low, high) of every axis.
        points: on each axis.
        like: whose type and device they have.

    Raises:
        ValueError: limits that are not finite and rising, or points that do not fit in memory.

    Example:
        >>> grid_points([(0, 1), (0, 2)], 2, torch.zeros(())).tolist()
        [[0.0, 0.0], [0.0, 2.0], [1.0, 0.0], [1.0, 2.0]]
    """
    for low, high in limits:
        if not (-math.inf < low < high < math.inf):
            raise ValueError(f"limits must be finite and rising, found {(low, high)}")
    needed = 6 * points ** len(limits) * len(limits) * like.element_size()
    what = f"a grid of {points ** len(limits):,} points"
    require_memory(needed, what, "take fewer points", like.device)
    axes = [torch.linspace(*pair, points, dtype=like.dtype, device=like.device) for pair in limits]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, -2)


def grid_log_partition(
    log_weight: Callable[[Tensor], Tensor],
    limits: Sequence[tuple[float, float]],
    points: int | None,
    like: Tensor,
) -> Tensor:
    """Log of the integral over a box, nats, () float64.

    For a smooth weight that vanishes at the border, the error falls faster than every power of
    the distance of the points.

    Arguments:
        log_weight: (row,) of rows (row, d).
        limits: (low, high) of every axis.
        points: on each axis; None for 4001 or 501.
        like: type and device of the rows.

    Raises:
        ValueError: if the weight does not vanish at the border, or ``grid_points`` refuses.

    Reference:
        Trefethen & Weideman 2014, "The exponentially convergent trapezoidal rule", section 5.

    Example:
        >>> log_z = grid_log_partition(
        ...     lambda x: -0.5 * x.square().sum(1), [(-9, 9)], 200, torch.zeros(())
        ... )
        >>> round(log_z.item() / (0.5 * math.log(2 * math.pi)), 5)
        1.0
    """
    count = POINTS_PER_AXIS[len(limits)] if points is None else as_whole("points", points, least=3)
    rows = grid_points(limits, count, like)
    logs = torch.cat([log_weight(part).double() for part in rows.split(ROWS)])
    table = logs.reshape([count] * len(limits))
    edges = [table.select(axis, end).amax() for axis in range(table.ndim) for end in (0, -1)]
    left = float(torch.stack(edges).amax() - logs.amax())
    if not left < math.log(LEFT):
        raise ValueError(
            f"limits must hold the whole density, found {math.exp(left):.1e} of its largest value "
            "at the border; pass wider limits, or confine the energy"
        )
    cell = sum(math.log((high - low) / (count - 1)) for low, high in limits)
    return logs.logsumexp(0) + cell
