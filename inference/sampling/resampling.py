"""Which chains go on, and how often, so that all weigh the same afterwards.

.. math:: \\mathbb{E}[n_i] = M W_i, \\qquad \\sum_i n_i = M
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from inference.inputs import as_whole, check_choice
from inference.sampling.kernel import S, select

__all__ = ["Resampling", "ResamplingScheme", "ancestors"]

#: How chains are drawn in proportion to their weights.
ResamplingScheme: TypeAlias = Literal["systematic", "stratified", "multinomial", "residual"]

#: The largest number below one: no position falls beyond the last weight.
BELOW_ONE = 1 - 2**-53


def ancestors(log_weights: Tensor, scheme: ResamplingScheme, generator: torch.Generator) -> Tensor:
    """Numbers of the chains that go on, drawn in proportion to weights.

    .. math:: a_i = \\min \\{ j : W_1 + \\dots + W_j > u_i \\}

    Systematic: :math:`u_i = (i + U) / M`; stratified: :math:`u_i = (i + U_i) / M`; multinomial:
    independent; residual: :math:`\\lfloor M W_j \\rfloor` copies first, the rest multinomial.
    A chain of weight zero never goes on.

    Arguments:
        log_weights: of every chain of every group, nats; not all -inf in a group.
        scheme: how.
        generator: of the draws.

    Shapes:
        log_weights: (group, M). result: (group, M) int64, places within the group.

    Raises:
        ValueError: if there is no such scheme.

    Reference:
        Douc, Cappé & Moulines 2005, "Comparison of resampling schemes for particle filtering",
        section 2; Carpenter, Clifford & Fearnhead 1999, section 3 (systematic).

    Example:
        >>> weights = torch.tensor([[0.5, 0.0, 0.25, 0.25]]).log()
        >>> ancestors(weights, "systematic", torch.Generator().manual_seed(0)).tolist()
        [[0, 0, 2, 3]]
    """
    check_scheme(scheme)
    groups, size = log_weights.shape
    weights = log_weights.softmax(1)
    place = torch.arange(size, dtype=torch.float64, device=weights.device)
    width = 1 if scheme == "systematic" else size
    uniform = torch.rand(
        (groups, width), dtype=torch.float64, device=weights.device, generator=generator
    )
    if scheme == "residual":
        whole = (size * weights).floor()
        kept = whole.cumsum(1)
        drawn = _inverted(size * weights - whole, uniform)
        copied = torch.searchsorted(kept, place.repeat(groups, 1), right=True)
        return torch.where(place < kept[:, -1:], copied, drawn).clamp_(max=size - 1)
    return _inverted(weights, uniform if scheme == "multinomial" else (place + uniform) / size)


@dataclass(frozen=True)
class Resampling:
    """Resampling within groups of chains whose weights have become uneven.

    .. math:: \\Bigl(\\sum_i W_i^2\\Bigr)^{-1} < \\tau M

    Groups never mix: they stay independent of one another, and what they find differs by as much
    as it is in error.

    Arguments:
        scheme: how chains are drawn.
        islands: number of groups.
        threshold: share of effective chains below which a group is resampled; one is always.

    Reference:
        Del Moral, Doucet & Jasra 2006, "Sequential Monte Carlo samplers", section 3.1.1; Vergé,
        Dubarry, Del Moral & Moulines 2015, "On parallel implementation of sequential Monte Carlo
        methods: the island particle model", section 2.

    Example:
        >>> from collections import namedtuple
        >>> State = namedtuple("State", "position")
        >>> logs = torch.tensor([0.0, -math.inf, 0.0, 0.0], dtype=torch.float64)
        >>> halves = Resampling(islands=2, threshold=0.9)
        >>> chains = State(torch.arange(4))
        >>> logs, chains = halves.apply(logs, chains, torch.Generator().manual_seed(0))
        >>> chains.position.tolist(), logs.exp().tolist()
        ([0, 0, 2, 3], [0.5, 0.5, 1.0, 1.0])
    """

    scheme: ResamplingScheme = "systematic"
    islands: int = 1
    threshold: float = 0.5

    def check(self, chains: int) -> None:
        """Refuse settings that do not fit so many chains.

        Raises:
            ValueError: an unknown scheme, a threshold outside [0, 1], or islands that do not
                divide the chains into groups of two or more.
        """
        check_scheme(self.scheme)
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold must be in [0, 1], found {self.threshold}")
        islands = as_whole("islands", self.islands, least=2)
        if chains % islands or chains < 2 * islands:
            raise ValueError(
                f"islands must divide chains into groups of 2 or more, found {islands} islands "
                f"of {chains} chains"
            )

    def apply(self, log_weights: Tensor, state: S, generator: torch.Generator) -> tuple[Tensor, S]:
        """Weights (chain,) and state, the chains of uneven groups replaced by those that go on.

        A group's mean weight stays what it was.
        """
        groups = log_weights.view(self.islands, -1)
        size = groups.shape[1]
        due = groups.softmax(1).square().sum(1) * (self.threshold * size) > 1
        # Elsewhere the host would have to wait for the answer.
        if due.device.type == "cpu" and not due.any():
            return log_weights, state
        place = torch.arange(size, device=due.device)
        chosen = torch.where(due[:, None], ancestors(groups, self.scheme, generator), place)
        first = size * torch.arange(self.islands, device=due.device)
        level = groups.logsumexp(1, keepdim=True) - math.log(size)
        groups = torch.where(due[:, None], level, groups)
        return groups.view(-1), select(state, (chosen + first[:, None]).view(-1))


def check_scheme(scheme: str) -> None:
    """Refuse an unknown scheme."""
    check_choice("scheme", scheme, ResamplingScheme)


def _inverted(weights: Tensor, uniform: Tensor) -> Tensor:
    """Where running sums of weights (group, M) pass uniform shares of their total."""
    sums = weights.double().cumsum(1)
    passed = uniform.clamp(max=BELOW_ONE) * sums[:, -1:]
    return torch.searchsorted(sums, passed, right=True).clamp_(max=weights.shape[1] - 1)
