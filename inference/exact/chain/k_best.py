"""The n paths of greatest weight of ragged chains.

.. math:: \\delta_t(j, r) = u_t(j) + \\max\\nolimits^{(r)}_{i, s}\\, [\\delta_{t-1}(i, s) + W_{ij}]
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from torch import Tensor

from inference.arrays import Array
from inference.exact.chain.arrays import FEWER, check_chain
from inference.exact.chain.layout import ChainLayout
from inference.exact.chain.potentials import ChainPotentials
from inference.exact.chain.viterbi import BestPaths
from inference.inputs import as_whole
from inference.memory import require_memory

__all__ = ["k_best"]

# Terms of one step that are looked at together.
_TERMS = 2**20


def k_best(
    potentials: ChainPotentials, log_emissions: Array, layout: ChainLayout, n_best: int
) -> BestPaths:
    """The n best paths of every sequence, best first.

    .. math:: \\hat y^{(1)}, \\dots, \\hat y^{(n)} = \\text{the } n \\text{ greatest of }
              \\log \\tilde p(y)

    Every state keeps the n best prefixes that end in it. Where there are fewer possible paths, the
    rest has states -1 and score -inf.

    Arguments:
        potentials: of K states.
        log_emissions: nats, in packed order.
        layout: of the sequences.
        n_best: how many paths.

    Shapes:
        log_emissions: (K, N). states: (n_best, N) packed. scores: (B, n_best).

    Raises:
        TypeError, ValueError: if ``n_best`` is not a number of paths; if shapes or types do not
            fit.

    Reference:
        Seshadri & Sundberg 1994, "List Viterbi decoding algorithms with applications", section II
        (the parallel algorithm).

    Example:
        >>> potentials = ChainPotentials(torch.zeros(2), torch.zeros(2, 2))
        >>> emissions = torch.tensor([[0.0, 1.0], [3.0, 0.0]])
        >>> found = k_best(potentials, emissions, ChainLayout([2]), 3)
        >>> found.states.tolist(), found.scores.tolist()
        ([[1, 0], [1, 1], [0, 0]], [[4.0, 3.0, 1.0]])
    """
    n_best = as_whole("n_best", n_best, least=1)
    own, emissions = check_chain(potentials, log_emissions, layout)
    delta, back = _forward(own, torch.as_tensor(emissions).T, layout, n_best)
    states, scores = _backtrace(own, delta, back, layout)
    if isinstance(log_emissions, Tensor):
        return BestPaths(states, scores)
    return BestPaths(states.numpy(), scores.numpy())


def _forward(
    potentials: ChainPotentials, emissions: Tensor, layout: ChainLayout, n_best: int
) -> tuple[Tensor, Tensor]:
    """Log weights of the best prefixes, and which prefixes those continue; (N, K, n_best)."""
    n_states = potentials.n_states
    n_entries = layout.n_tokens * n_states * n_best
    needed = n_entries * (8 + emissions.element_size())
    require_memory(needed, "the search for the n_best paths", FEWER)
    transitions = torch.as_tensor(potentials.log_transitions).T[:, :, None]
    delta = emissions.new_full((*emissions.shape, n_best), -math.inf)
    back = torch.zeros(delta.shape, dtype=torch.int64, device=delta.device)
    for strip in layout.strips(max(_TERMS // (n_states**2 * n_best), 1)):
        delta[strip[0], :, 0] = emissions[strip[0]] + torch.as_tensor(potentials.log_start)
        for before, step in itertools.pairwise(strip):
            active = delta[before][: step.stop - step.start]
            terms = active[:, None] + transitions
            best, back[step] = terms.flatten(2).topk(n_best, dim=-1)
            delta[step] = best + emissions[step][..., None]
    return delta, back


def _backtrace(
    potentials: ChainPotentials, delta: Tensor, back: Tensor, layout: ChainLayout
) -> tuple[Tensor, Tensor]:
    """States of the best paths, (n_best, N), and scores, (B, n_best)."""
    n_best = delta.shape[-1]
    some = np.flatnonzero(layout.lengths)
    rows, last = (torch.from_numpy(x).to(delta.device) for x in (some, layout.last[some]))
    scores = delta.new_full((layout.n_sequences, n_best), -math.inf)
    scores[:, 0] = 0.0
    # A choice is state * n_best + place among the prefixes that end there.
    choices = torch.zeros((len(delta), n_best), dtype=torch.int64, device=delta.device)
    final = delta[last] + torch.as_tensor(potentials.log_end)[:, None]
    scores[rows], choices[last] = final.flatten(1).topk(n_best, dim=-1)
    for strip in layout.strips(max(layout.n_sequences, 1)):
        for before, step in reversed(list(itertools.pairwise(strip))):
            origin = back[step].flatten(1).gather(1, choices[step])
            choices[before][: step.stop - step.start] = origin
    owners = torch.from_numpy(layout.owners).to(delta.device)
    states = (choices // n_best).masked_fill(scores[owners] == -math.inf, -1)
    return states.T, scores
