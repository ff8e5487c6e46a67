"""Posteriors of pairs of neighbours, one table per token.

.. math:: p(y_{t-1} = i, y_t = j) = e^{\\alpha_{t-1}(i) + W_{ij} + u_t(j) + \\beta_t(j)} / Z
"""

from __future__ import annotations

from typing import Any

from inference.arrays import Array, as_kind_of, index_like, namespace, to_double, to_working, zeros
from inference.exact.chain.arrays import FEWER, check_chain
from inference.exact.chain.layout import ChainLayout
from inference.exact.chain.log_space import log_backward, log_forward, log_total
from inference.exact.chain.potentials import ChainPotentials
from inference.memory import require_memory

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
    require_memory(needed, "the table of all pairs", FEWER)
    xp, pairs = namespace(emissions), zeros(emissions, (own.n_states, *emissions.shape))
    before, ahead = _messages(own, emissions, layout)
    terms = before[:, None] + own.log_transitions[:, :, None] + ahead[None]
    pairs[:, :, layout.n_tokens - len(layout.previous) :] = xp.exp(terms)
    return as_kind_of(log_emissions, pairs)


def _messages(potentials: ChainPotentials, emissions: Any, layout: ChainLayout) -> tuple[Any, Any]:
    """Log messages before and behind every pair, (K, pairs), so that their sums are posteriors.

    Both grow along a sequence: in double precision, until what they have in common is taken off.
    """
    xp, double = namespace(emissions), to_double(emissions)
    parts = (potentials.log_start, potentials.log_transitions, potentials.log_end)
    potentials = ChainPotentials(*map(to_double, parts))
    alpha = log_forward(potentials, double, layout)
    ahead = double + log_backward(potentials, double, layout)
    shifts = log_total(potentials, alpha, layout)[index_like(layout.owners, alpha)]
    first = layout.n_tokens - len(layout.previous)
    before, ahead = alpha[:, index_like(layout.previous, alpha)], ahead[:, first:]
    peaks = xp.amax(before, 0)
    shifts, peaks = [xp.where(xp.isinf(x), xp.zeros_like(x), x) for x in (shifts[first:], peaks)]
    return to_working(before - peaks, emissions), to_working(ahead + (peaks - shifts), emissions)
