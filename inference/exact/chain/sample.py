"""Exact draws of paths: forward filtering, backward sampling.

.. math:: y_T \\sim p \\propto e^{\\alpha_T(i) + e_i}, \\qquad
          y_{t-1} \\mid y_t \\sim p \\propto e^{\\alpha_{t-1}(i) + W_{i y_t}}
"""

from __future__ import annotations

from typing import SupportsIndex

import numpy as np
import torch
from torch import Tensor

from inference.arrays import Array, to_double
from inference.exact.chain.arrays import check_chain
from inference.exact.chain.layout import ChainLayout
from inference.exact.chain.log_space import log_forward, log_total
from inference.exact.chain.potentials import ChainPotentials
from inference.inputs import as_whole
from inference.random import GeneratorLike, as_generator, categorical

__all__ = ["sample_paths"]


def sample_paths(
    potentials: ChainPotentials,
    log_emissions: Array,
    layout: ChainLayout,
    n: SupportsIndex,
    *,
    generator: GeneratorLike = None,
) -> Tensor:
    """Independent paths of every sequence, each with its posterior probability.

    .. math:: P(y) = e^{-\\log Z}\\, \\tilde p(y)

    Arguments:
        potentials: of K states.
        log_emissions: nats, in packed order.
        layout: of the sequences.
        n: draws per sequence.
        generator: None, a seed or a generator.

    Shapes:
        log_emissions: (K, N). result: (n, N) int64, in packed order.

    Raises:
        ValueError: if shapes or types do not fit, or a sequence has no possible path.

    Reference:
        Scott 2002, "Bayesian methods for hidden Markov models: recursive computing in the 21st
        century", section 3 (the stochastic forward-backward recursion).

    Example:
        >>> never_back = ChainPotentials(np.zeros(2), np.array([[0.0, 0.0], [-np.inf, 0.0]]))
        >>> draws = sample_paths(never_back, np.zeros((2, 3)), ChainLayout([3]), 5, generator=0)
        >>> bool((draws[:, 1:] >= draws[:, :-1]).all())
        True
    """
    n = as_whole("n", n, least=0)
    own, emissions = check_chain(potentials, log_emissions, layout)
    parts = (own.log_start, own.log_transitions, own.log_end)
    own, emissions = ChainPotentials(*map(to_double, parts)), to_double(emissions)
    alpha = log_forward(own, emissions, layout)
    impossible = torch.as_tensor(log_total(own, alpha, layout) == -np.inf)
    if impossible.any():
        raise ValueError(
            f"sequence {int(impossible.nonzero()[0])} has no possible path, so that nothing can "
            "be drawn; see which of its emissions, transitions, starts or ends are -inf"
        )
    messages = torch.as_tensor(alpha).T
    transitions = torch.as_tensor(own.log_transitions).T.contiguous()
    source = as_generator(generator, messages.device)
    ended = messages + torch.as_tensor(own.log_end)
    states = torch.empty(n, layout.n_tokens, dtype=torch.int64, device=messages.device)
    sizes = [*layout.sizes.tolist(), 0]
    for t in range(layout.n_steps - 1, -1, -1):
        start, after = int(layout.starts[t]), sizes[t + 1]
        last = slice(start + after, start + sizes[t])
        states[:, last] = categorical(ended[last], n, generator=source)
        if after:
            later = states[:, start + sizes[t] : start + sizes[t] + after]
            logits = messages[start : start + after] + transitions[later]
            states[:, start : start + after] = categorical(logits, generator=source)
    return states
