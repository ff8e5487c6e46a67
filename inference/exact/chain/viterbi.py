"""Most probable paths of ragged chains.

.. math:: \\delta_t(j) = u_t(j) + \\max_i\\, [\\delta_{t-1}(i) + W_{ij}], \\qquad
          \\hat y_{t-1} = \\arg\\max_i\\, [\\delta_{t-1}(i) + W_{i \\hat y_t}]
"""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

import numpy as np

from inference.arrays import Array, as_kind_of, index_like, namespace
from inference.exact.chain.arrays import check_chain
from inference.exact.chain.layout import ChainLayout
from inference.exact.chain.log_space import strip_width
from inference.exact.chain.potentials import ChainPotentials

__all__ = ["BestPaths", "viterbi"]

_CACHED_TERMS = 2**16


class BestPaths(NamedTuple):
    """Best path and its log weight.

    Attributes:
        states: (N,) int64, state at every packed column; -1 in an impossible sequence.
        scores: (B,), nats, in the order the sequences were given.
    """

    states: Any
    scores: Any


def viterbi(potentials: ChainPotentials, log_emissions: Array, layout: ChainLayout) -> BestPaths:
    """Path of greatest weight of every sequence; among equals, the states of least number last.

    .. math:: \\hat y = \\arg\\max_y \\log \\tilde p(y)

    No table of back-pointers: the argmax is taken again on the way back, for one state each.

    Arguments:
        potentials: of K states.
        log_emissions: nats, in packed order.
        layout: of the sequences.

    Shapes:
        log_emissions: (K, N). states: (N,) packed. scores: (B,).

    Raises:
        ValueError: if shapes or types do not fit.

    Reference:
        Rabiner 1989, "A tutorial on hidden Markov models", eq. 32 to 35.

    Example:
        >>> potentials = ChainPotentials(np.zeros(2), np.array([[0.0, -1.0], [-1.0, 0.0]]))
        >>> emissions = np.array([[0.0, 0.5, 0.0], [5.0, 0.0, 0.0]])
        >>> found = viterbi(potentials, emissions, ChainLayout([3]))
        >>> found.states.tolist(), found.scores.tolist()
        ([1, 1, 1], [5.0])
    """
    own, emissions = check_chain(potentials, log_emissions, layout)
    delta = _forward(own, emissions, layout)
    states, scores = _backtrace(own, delta, layout)
    return BestPaths(as_kind_of(log_emissions, states), as_kind_of(log_emissions, scores))


def _forward(potentials: ChainPotentials, emissions: Any, layout: ChainLayout) -> Any:
    """Greatest log weight of the prefixes that end in a state, (K, N)."""
    xp, transitions = namespace(emissions), potentials.log_transitions[:, :, None]
    delta = xp.empty_like(emissions)
    for strip in layout.strips(strip_width(potentials.n_states, emissions, _CACHED_TERMS)):
        delta[:, strip[0]] = potentials.log_start[:, None] + emissions[:, strip[0]]
        for before, step in itertools.pairwise(strip):
            active = delta[:, before][:, : step.stop - step.start]
            reached = xp.amax(active[:, None, :] + transitions, axis=0)
            delta[:, step] = reached + emissions[:, step]
    return delta


def _backtrace(potentials: ChainPotentials, delta: Any, layout: ChainLayout) -> tuple[Any, Any]:
    """Best states, (N,), and scores, (B,)."""
    xp = namespace(delta)
    some = np.flatnonzero(layout.lengths)
    last = index_like(layout.last[some], delta)
    final = delta[:, last] + potentials.log_end[:, None]  # type: ignore[index]
    scores = xp.zeros_like(potentials.log_start[:1]).repeat(layout.n_sequences)
    scores[index_like(some, delta)] = xp.amax(final, axis=0)
    states = xp.zeros_like(index_like(layout.tokens, delta))
    states[last] = xp.argmax(final, axis=0)
    for strip in layout.strips(max(layout.n_sequences, 1)):
        for before, step in reversed(list(itertools.pairwise(strip))):
            n = step.stop - step.start
            scored = delta[:, before][:, :n] + potentials.log_transitions[:, states[step]]
            states[before][:n] = xp.argmax(scored, axis=0)
    impossible = scores[index_like(layout.owners, delta)] == -math.inf
    states[impossible] = -1
    return states, scores
