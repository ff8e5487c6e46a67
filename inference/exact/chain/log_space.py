"""Forward and backward recursions in logarithms: exact for any potentials, some ten times slower.

.. math:: \\alpha_t(j) = u_t(j) + \\log \\sum_i e^{\\alpha_{t-1}(i) + W_{ij}}, \\qquad
          \\beta_t(i) = \\log \\sum_j e^{W_{ij} + u_{t+1}(j) + \\beta_{t+1}(j)}

Every sum is shifted by its own largest term, so that no term that matters underflows.
"""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from inference.arrays import Array, index_like, namespace
from inference.exact.chain.layout import ChainLayout
from inference.exact.chain.potentials import ChainPotentials

__all__ = ["Pass", "log_backward", "log_forward", "log_pairs", "log_pass", "log_total"]

# Entries of the (K, K, n) terms of one step that stay in the cache of a core.
_CACHED_TERMS = 2**16


class Pass(NamedTuple):
    """What a pass over all sequences finds.

    Attributes:
        log_partition: (B,) float64.
        unary: (K, N), or None.
        pair_counts: (K, K) float64, or None.
    """

    log_partition: Any
    unary: Any
    pair_counts: Any


def log_pass(
    potentials: ChainPotentials,
    emissions: Array,
    layout: ChainLayout,
    weights: Any = None,
    *,
    posterior: bool = True,
) -> Pass:
    """Log partitions, and posteriors on request, of double-precision arrays."""
    alpha = log_forward(potentials, emissions, layout)
    total = log_total(potentials, alpha, layout)
    if not posterior:
        return Pass(total, None, None)
    xp = namespace(emissions)
    messages = alpha, log_backward(potentials, emissions, layout)
    weights = xp.ones_like(total) if weights is None else weights
    # An impossible sequence has no posterior; its messages make exp(-inf) of everything.
    shift = xp.where(xp.isinf(total), xp.zeros_like(total), total)
    counts = log_pairs(potentials, emissions, layout, messages, shift, weights)
    owners = index_like(layout.owners, emissions)
    return Pass(total, xp.exp(messages[0] + messages[1] - shift[owners]), counts)


def log_forward(potentials: ChainPotentials, emissions: Array, layout: ChainLayout) -> Any:
    """Log forward messages, (K, N): prefixes that end in a state, its emission included."""
    xp, transitions = namespace(emissions), potentials.log_transitions[:, :, None]
    alpha = xp.empty_like(emissions)
    for strip in layout.strips(strip_width(potentials.n_states, emissions, _CACHED_TERMS)):
        alpha[:, strip[0]] = potentials.log_start[:, None] + emissions[:, strip[0]]
        for before, step in itertools.pairwise(strip):
            active = alpha[:, before][:, : step.stop - step.start]
            reached = _log_sum(xp, active[:, None, :] + transitions, 0)
            alpha[:, step] = reached + emissions[:, step]
    return alpha


def log_backward(potentials: ChainPotentials, emissions: Array, layout: ChainLayout) -> Any:
    """Log backward messages, (K, N): suffixes after a state, the end included."""
    xp, transitions = namespace(emissions), potentials.log_transitions[:, :, None]
    beta = xp.empty_like(emissions)
    beta[:] = potentials.log_end[:, None]  # type: ignore[index]
    for strip in layout.strips(strip_width(potentials.n_states, emissions, _CACHED_TERMS)):
        for before, step in reversed(list(itertools.pairwise(strip))):
            terms = (emissions[:, step] + beta[:, step])[None] + transitions
            beta[:, before][:, : step.stop - step.start] = _log_sum(xp, terms, 1)
    return beta


def log_total(potentials: ChainPotentials, alpha: Any, layout: ChainLayout) -> Any:
    """Log partition, (B,); an empty sequence has one path, of weight one."""
    xp = namespace(alpha)
    some = np.flatnonzero(layout.lengths)
    total = xp.zeros_like(potentials.log_start[:1]).repeat(layout.n_sequences)
    last = index_like(layout.last[some], alpha)
    found = _log_sum(xp, alpha[:, last] + potentials.log_end[:, None], 0)  # type: ignore[index]
    total[index_like(some, alpha)] = found
    return total


def log_pairs(
    potentials: ChainPotentials,
    emissions: Array,
    layout: ChainLayout,
    messages: tuple[Any, Any],
    total: Any,
    weights: Any,
) -> Any:
    """Weighted sums of the posteriors of all pairs of neighbours, (K, K)."""
    alpha, beta = messages
    xp, transitions = namespace(emissions), potentials.log_transitions[:, :, None]
    counts = xp.zeros_like(potentials.log_transitions)
    order = index_like(layout.order, emissions)
    shift, weights = total[order], weights[order]
    left = 0
    for strip in layout.strips(strip_width(potentials.n_states, emissions, _CACHED_TERMS)):
        for before, step in itertools.pairwise(strip):
            n = step.stop - step.start
            ahead = emissions[:, step] + beta[:, step] - shift[left : left + n]
            pairs = xp.exp(alpha[:, before][:, :n][:, None, :] + transitions + ahead[None])
            counts += (pairs * weights[left : left + n]).sum(-1)
        left += strip[0].stop - strip[0].start
    return counts


def strip_width(n_states: int, emissions: Array, terms: int, order: int = 2) -> int:
    """Sequences whose K ** order terms of one step fit the cache; all of them off the CPU."""
    if isinstance(emissions, Tensor):
        return max(emissions.shape[1], 1)
    return max(terms // n_states**order, 16)


def _log_sum(xp: Any, terms: Any, axis: int) -> Any:
    """Logarithm of a sum of exponentials, -inf for no terms but -inf."""
    peak = xp.amax(terms, axis=axis)
    shift = xp.where(peak == -math.inf, xp.zeros_like(peak), peak)
    terms -= xp.expand_dims(shift, axis) if xp is np else shift.unsqueeze(axis)
    with np.errstate(divide="ignore"):
        return xp.log(xp.exp(terms).sum(axis)) + shift
