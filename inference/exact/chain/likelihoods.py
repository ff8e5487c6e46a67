"""Emissions out of the logarithm, shifted so that the greatest of a token is one.

.. math:: b_t(k) = e^{u_t(k) - m_t}, \\qquad m_t = \\max_k u_t(k)
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from inference.arrays import empty, exponentiate, greatest
from inference.exact.chain.safety import Safety

__all__ = ["Likelihoods", "to_likelihoods"]


class Likelihoods(NamedTuple):
    """Likelihoods of the symbols of an alphabet, for tokens to be looked up in.

    Attributes:
        table: b, (K, M).
        peaks: m, (M,).
        low: which symbols `Safety` has to know of, (M,), or None.
    """

    table: Any
    peaks: Any
    low: Any

    @classmethod
    def of(cls, emissions: Any, safety: Safety) -> Likelihoods:
        """From log emissions (K, M) of symbols."""
        table, peaks = emissions + 0, empty(emissions, emissions.shape[1])
        # A symbol that is impossible in every state becomes NaN, as such a token does.
        with np.errstate(invalid="ignore"):
            low = to_likelihoods(table[None], peaks[None], safety)
        return cls(table, peaks, None if low is None else low[0])


def to_likelihoods(blocks: Any, peaks: Any, safety: Safety) -> Any:
    """Log emissions (steps, K, n) become likelihoods, and their maxima fill peaks (steps, n).

    Returns:
        Where dead ends are possible, which columns hold an entry that is too low for the rule of
        `Safety`, (steps, n); else None.
    """
    greatest(blocks, 1, peaks)
    blocks -= peaks[:, None]
    low = None
    if safety.dead_ends:
        low = ((blocks < safety.log_low) & (blocks > -np.inf)).any(1)
    exponentiate(blocks)
    return low
