"""Entropy of the paths of a chain.

.. math:: H_t(j) = \\sum_i p(i \\mid j)\\,[H_{t-1}(i) - \\log p(i \\mid j)], \\qquad
          p(i \\mid j) \\propto \\exp[\\alpha_{t-1}(i) + W_{ij}]
"""

from __future__ import annotations

import torch
from torch import Tensor

from inference.arrays import index_like
from inference.exact.chain.differentiable import check_recorded, shifted
from inference.exact.chain.layout import ChainLayout
from inference.exact.chain.potentials import ChainPotentials
from inference.logspace import log_normalize, logsumexp

__all__ = ["chain_entropy"]


def chain_entropy(
    potentials: ChainPotentials, log_emissions: Tensor, layout: ChainLayout
) -> Tensor:
    """Entropy of the distribution over all paths of every sequence, differentiable.

    .. math:: H_b = -\\sum_y p(y) \\log p(y)

    A sum of non-negative terms along the chain, where the difference of the log partition and the
    expected score would cancel. Steps in log space, recorded by autograd.

    Arguments:
        potentials: tensors, of K states.
        log_emissions: nats, in packed order.
        layout: of the sequences.

    Shapes:
        log_emissions: (K, N). result: (B,), nats; 0 where there is one path or none at all.

    Raises:
        ValueError: if a gradient may be asked for and what is recorded for it does not fit.

    Reference:
        Hernando, Crespi & Cybenko 2005, "Efficient computation of the hidden Markov model entropy
        for a given observation sequence", section III.

    Example:
        >>> potentials = ChainPotentials(torch.zeros(2), torch.zeros(2, 2))
        >>> entropy = chain_entropy(potentials, torch.zeros(2, 3), ChainLayout([3]))
        >>> round(entropy.exp().item(), 4)
        8.0
    """
    if torch.is_grad_enabled():
        check_recorded(potentials.n_states, log_emissions)
    done: list[Tensor] = [log_emissions.new_zeros(int((layout.lengths == 0).sum()))]
    sizes = [*layout.sizes.tolist(), 0]
    alpha = torch.as_tensor(potentials.log_start)[:, None]
    transitions = torch.as_tensor(potentials.log_transitions)[:, :, None]
    entropy = log_emissions.new_zeros(potentials.n_states, sizes[0])
    for t, columns in enumerate(log_emissions.split(sizes[:-1], dim=1)):
        if t:
            terms = alpha[:, None, : sizes[t]] + transitions
            entropy = _mix(terms, entropy[:, None, : sizes[t]])
            alpha = logsumexp(terms, dim=0)
        alpha, _ = shifted(alpha + columns)
        ending = columns.new_zeros(len(columns))
        if (left := sizes[t + 1]) < sizes[t]:
            ending = ending if potentials.log_end is None else torch.as_tensor(potentials.log_end)
            done.append(_mix(alpha[:, left:] + ending[:, None], entropy[:, left:]))
    # Sequences end in the order of their ranks, from the last one to the first.
    return torch.cat(done[::-1])[index_like(layout.rank, log_emissions)]


def _mix(log_weights: Tensor, entropies: Tensor) -> Tensor:
    """Entropy of a mixture of disjoint parts along the first axis."""
    log_shares = log_normalize(log_weights, dim=0)
    shares = log_shares.exp()
    return (shares * (entropies - log_shares.masked_fill(shares == 0, 0.0))).sum(0)
