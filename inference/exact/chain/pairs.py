"""Posteriors of pairs of neighbours, one table per token.

.. math:: p(y_{t-1} = i, y_t = j) = e^{\\alpha_{t-1}(i) + W_{ij} + u_t(j) + \\beta_t(j)} / Z
"""

from __future__ import annotations

from typing import Any

from inference.arrays import Array, as_kind_of, index_like, namespace, zeros
from inference.exact.chain.arrays import check_chain, check_fits
from inference.exact.chain.layout import ChainLayout
from inference.exact.chain.log_space import log_backward, log_forward, log_total
from inference.exact.chain.potentials import ChainPotentials

__all__ = ["pair_posteriors"]


def pair_posteriors(potentials: ChainPotentials, log_emissions: Array, layout: ChainLayout) -> Any:
    """Posterior of the states of every token and the token before it.

    Where sums are enough, the counts of pairs of `forward_backward` need no such tables.

    Arguments:
        potentials: of K states.
        log_emissions: nats, in packed order.
        layout: of the sequences.

    Shapes:
        log_emissions: (K, N). result: (K, K, N), from first to second axis, at the packed column
        of the later token; zero at first tokens and in impossible sequences.

    Raises:
        ValueError: if shapes or types do not fit, or the tables do not fit in memory.

    Reference:
        Rabiner 1989, "A tutorial on hidden Markov models", eq. 37.

    Example:
        >>> import numpy as np
        >>> potentials = ChainPotentials(np.zeros(2), np.zeros((2, 2)))
        >>> pair_posteriors(potentials, np.zeros((2, 2)), ChainLayout([2]))[:, :, 1].tolist()
        [[0.25, 0.25], [0.25, 0.25]]
    """
    own, emissions = check_chain(potentials, log_emissions, layout)
    needed = own.n_states**2 * layout.n_tokens * emissions.itemsize
    check_fits(needed, "the table of all pairs")
    xp, alpha = namespace(emissions), log_forward(own, emissions, layout)
    ahead = emissions + log_backward(own, emissions, layout)
    total = log_total(own, alpha, layout)
    total = xp.where(xp.isinf(total), xp.zeros_like(total), total)
    ahead -= total[index_like(layout.owners, total)]
    pairs = zeros(emissions, (own.n_states, *emissions.shape))
    before = alpha[:, index_like(layout.previous, alpha)]
    first = layout.n_tokens - len(layout.previous)
    later = xp.exp(before[:, None] + own.log_transitions[:, :, None] + ahead[None, :, first:])
    pairs[:, :, first:] = later
    return as_kind_of(log_emissions, pairs)
