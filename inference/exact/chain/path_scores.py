"""Log weight of given paths.

.. math:: \\log \\tilde p(y) = s_{y_1} + \\sum_t u_t(y_t) + \\sum_t W_{y_{t-1} y_t} + e_{y_T}
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from inference.arrays import index_like
from inference.exact.chain.layout import ChainLayout
from inference.exact.chain.potentials import ChainPotentials

__all__ = ["path_scores"]


def path_scores(
    potentials: ChainPotentials, log_emissions: Tensor, layout: ChainLayout, states: Tensor
) -> Tensor:
    """Log weight of one path per sequence, differentiable.

    Arguments:
        potentials: tensors, of K states.
        log_emissions: nats, in packed order.
        layout: of the sequences.
        states: the path of every sequence, in packed order.

    Shapes:
        log_emissions: (K, N). states: (N,) int64. result: (B,) float64, 0 without tokens.

    Reference:
        Sutton & McCallum 2012, "An introduction to conditional random fields", section 2.3.

    Example:
        >>> potentials = ChainPotentials(torch.zeros(2), torch.tensor([[0.0, 1.0], [0.0, 0.0]]))
        >>> emissions = torch.tensor([[2.0, 0.0], [0.0, 4.0]])
        >>> path_scores(potentials, emissions, ChainLayout([2]), torch.tensor([0, 1])).tolist()
        [7.0]
    """
    start, transitions = map(torch.as_tensor, (potentials.log_start, potentials.log_transitions))
    some = np.flatnonzero(layout.lengths)
    total = torch.zeros(layout.n_sequences, dtype=torch.float64, device=log_emissions.device)
    if not len(some):
        return total
    owners, owned = (index_like(x, log_emissions) for x in (layout.owners, some))
    first, last = (index_like(x[some], log_emissions) for x in (layout.first, layout.last))
    later = layout.n_tokens - int(layout.sizes[0])
    before = states[index_like(layout.previous, log_emissions)]
    pairs = before * potentials.n_states + states[len(states) - later :]
    emitted = log_emissions.gather(0, states[None])[0].double()
    total = total.index_add(0, owners, emitted)
    total = total.index_add(
        0, owners[len(owners) - later :], transitions.reshape(-1)[pairs].double()
    )
    total = total.index_add(0, owned, start[states[first]].double())
    if potentials.log_end is None:
        return total
    return total.index_add(0, owned, torch.as_tensor(potentials.log_end)[states[last]].double())
