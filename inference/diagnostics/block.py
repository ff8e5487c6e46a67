"""Draws of some dimensions, sorted once for all that is asked of them.

.. math:: x_{cid} \\to (x_{d, c', i}), \\qquad c' \\text{ the halves of the chains}
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from inference.diagnostics.autocovariance import Chains, centred, effective_size
from inference.diagnostics.ranks import folded_scores, normal_scores, order_of, sorted_quantile
from inference.inputs import Values, as_tensor
from inference.memory import require_memory

__all__ = ["LEAST_DRAWS", "Block", "as_draws", "per_dimension"]

#: Draws of a chain without which nothing is said.
LEAST_DRAWS = 4

#: Numbers of a block on the CPU, where they should stay near the core, and on other devices; and
#: arrays of its size that work on a block takes.
NEAR, FAR, ARRAYS = 2**17, 2**25, 16


@dataclass(frozen=True, eq=False)
class Block:
    """Draws of some dimensions, dimension by dimension.

    Attributes:
        values: (D, chain, draw) float64; zeros where a dimension has a number that is not finite.
        finite: which dimensions have none, (D,).
    """

    values: Tensor
    finite: Tensor

    @classmethod
    def of(cls, draws: Tensor) -> Block:
        """The block of draws (chain, draw, D)."""
        values = draws.permute(2, 0, 1).to(torch.float64).contiguous()
        finite = values.isfinite().all(-1).all(-1)
        if not bool(finite.all()):
            values = torch.where(finite[:, None, None], values, 0.0)
        return cls(values, finite)

    @property
    def size(self) -> int:
        """Number of draws in all chains."""
        return self.values.shape[1] * self.values.shape[2]

    @cached_property
    def halves(self) -> Tensor:
        """First and last halves of the chains, (D, 2 chain, draw // 2)."""
        return _split(self.values)

    @cached_property
    def order(self) -> Tensor:
        """Positions in ascending order over both halves of all chains, (D, S)."""
        return order_of(self.halves.flatten(1))

    @cached_property
    def ascending(self) -> Tensor:
        """Draws of the halves in ascending order, (D, S)."""
        return self.halves.flatten(1).gather(1, self.order)

    @cached_property
    def all_ascending(self) -> Tensor:
        """All draws in ascending order, those between two halves too, (D, chain draw)."""
        if self.values.shape[2] % 2 == 0:
            return self.ascending
        return self.values.flatten(1).sort(-1).values

    @cached_property
    def scores(self) -> Chains:
        """Normal scores of the halves."""
        scores = normal_scores(self.ascending, self.order)
        return centred(scores.reshape(self.halves.shape))

    @cached_property
    def folded(self) -> Chains:
        """Normal scores of the distances of the halves from the median."""
        scores = folded_scores(self.ascending, self.order)
        return centred(scores.reshape(self.halves.shape))

    @cached_property
    def scale(self) -> Tensor:
        """Powers of two near the largest numbers, (D,): squares neither overflow nor vanish."""
        largest = self.values.abs().amax((1, 2))
        exponent = torch.frexp(largest).exponent.clamp(-1000, 1000)
        return torch.ldexp(torch.ones_like(largest), exponent)

    @cached_property
    def scaled(self) -> Tensor:
        """The draws over their scale, (D, chain, draw)."""
        return self.values / self.scale[:, None, None]

    @cached_property
    def mean(self) -> Tensor:
        """Means, (D,)."""
        return self.scaled.mean((1, 2)) * self.scale

    @cached_property
    def scaled_std(self) -> Tensor:
        """Standard deviations of the scaled draws with divisor S - 1, (D,)."""
        return (
            centred(self.scaled.reshape(-1, 1, self.size))
            .rest.square()
            .sum((1, 2))
            .div(self.size - 1)
            .sqrt()
        )

    @cached_property
    def std(self) -> Tensor:
        """Standard deviations with divisor S - 1, (D,)."""
        return self.scaled_std * self.scale

    @cached_property
    def mean_size(self) -> Tensor:
        """Effective number of draws for the mean, (D,)."""
        return effective_size(centred(_split(self.scaled)))

    def quantile(self, share: float) -> Tensor:
        """Quantiles of all draws, (D,)."""
        return sorted_quantile(self.all_ascending, share)

    def quantile_size(self, share: float) -> Tensor:
        """Effective number of draws for how many lie below a quantile, (D,); NaN if all do."""
        below = self.halves <= self.quantile(share)[:, None, None]
        return effective_size(centred(below.double()))


def as_draws(x: Values, least: int = LEAST_DRAWS) -> Tensor:
    """Draws as a user passes them, checked: a tensor (chain, draw, *event) without gradient.

    Arguments:
        x: a tensor, an array or lists of real numbers.
        least: the smallest number of draws per chain.

    Raises:
        TypeError: if ``x`` does not hold real numbers or is sparse.
        ValueError: if it is ragged, has fewer axes or draws than needed, or no chain.

    Example:
        >>> as_draws([[1, 2, 3, 4]]).shape
        torch.Size([1, 4])
    """
    draws = as_tensor("x", x).detach()
    if draws.layout is not torch.strided:
        raise TypeError("x must be dense, found a sparse tensor; pass x.to_dense()")
    if draws.is_complex():
        raise TypeError(f"x must hold real numbers, found dtype {draws.dtype}; pass x.real")
    if draws.ndim < 2:
        raise ValueError(
            f"x must be (chain, draw, *event), found shape {tuple(draws.shape)}; "
            "pass x[None] for one chain"
        )
    if draws.shape[0] < 1:
        raise ValueError("x must have at least one chain, found none")
    if draws.shape[1] < least:
        raise ValueError(
            f"x must have at least {least} draws per chain, found {draws.shape[1]} in shape "
            f"{tuple(draws.shape)}; run the chains longer"
        )
    return draws


def per_dimension(
    x: Values, statistic: Callable[[Block], Tensor], least: int = LEAST_DRAWS
) -> Tensor:
    """A statistic of every dimension, block by block.

    Arguments:
        x: draws of chains.
        statistic: from a block of D dimensions to (..., D).
        least: the smallest number of draws per chain.

    Shapes:
        x: (chain, draw, *event). result: (..., *event) float64, NaN for dimensions with a number
        that is not finite.

    Raises:
        TypeError: as ``as_draws``.
        ValueError: as ``as_draws``; if one dimension's draws need more memory than there is.

    Example:
        >>> per_dimension(torch.ones(2, 4, 3), lambda block: block.mean).tolist()
        [1.0, 1.0, 1.0]
    """
    draws = as_draws(x, least)
    chains, length, *event = draws.shape
    what = f"judging one dimension of x, {chains} chains of {length} draws,"
    require_memory(8 * ARRAYS * chains * length, what, "thin the chains", draws.device)
    flat = draws.reshape(chains, length, -1)
    width = max(1, (NEAR if flat.device.type == "cpu" else FAR) // (chains * length))
    # At least one block, so that the statistic says what comes before the dimensions.
    found = []
    for first in range(0, max(flat.shape[2], 1), width):
        block = Block.of(flat[:, :, first : first + width])
        found.append(torch.where(block.finite, statistic(block), torch.nan))
    result = torch.cat(found, -1)
    return result.reshape((*result.shape[:-1], *event))


def _split(values: Tensor) -> Tensor:
    """First and last halves of chains as chains of their own, (D, 2 chain, draw // 2)."""
    half = values.shape[2] // 2
    return torch.cat([values[:, :, :half], values[:, :, -half:]], 1)
