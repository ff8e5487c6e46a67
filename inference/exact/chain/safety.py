"""When a scaled recursion is proved to have lost nothing.

.. math:: \\frac{Z - \\hat Z}{Z} \\le \\sum_{t, j} \\text{lost}_t(j)\\, \\beta_t(j)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from inference.arrays import namespace
from inference.exact.chain.potentials import ChainPotentials

__all__ = ["Safety"]


@dataclass(frozen=True)
class Safety:
    """What a scaled pass has to watch.

    A product below the range of the type is lost: the paths through it are left out. What that
    costs is the posterior probability of those paths, which is the lost mass of the prefix times
    the backward message (scaled so that the two multiply to probabilities).

    *Dense transitions.* Where all transitions are within a factor ``spread`` of each other,
    backward messages are within that factor of each other at every step but the last, where they
    are equal, hence below spread**2. As ``tiny * spread**2`` is below the rounding error (tiny is
    the least normal number: 1e-28 times the number of terms for float64, 1e-14 for float32),
    nothing has to be watched. Where even spread**6 keeps it there, sums are divided out at every
    fourth step only: between two of them they fall by no more than spread**4.

    *Other transitions* (zeros, or a wide range). A state may be cut off from the others, so that a
    path that has been lost may turn out best later. Here the backward messages are made upper
    bounds of the true ones: ``floor``, which is larger than anything that can be lost in one step
    (8 K**2 tiny largest**2), is added at every step. A sequence passes if no scale c_t is below
    1 / largest and no message with its emission is above ``largest``; then the loss is below
    5 T K**3 tiny largest, and the floor adds below T floor to a posterior. Where dead ends are
    possible (-inf in emissions or ends, or a state without successors) the floor is added to
    positive entries only, so that impossible states have probability exactly zero; it is certain
    that positive entries stay positive if transitions and emissions that are not zero are above
    ``low`` (shifted so that the largest is one), and a sequence where they are not fails.

    An impossible sequence fails either way, as a scale is zero or no number. Sequences that fail
    are done again in float64, then in logarithms. (That the forward and backward messages agree at
    every step would prove nothing: they may have lost the same path, each on its side.)

    Attributes:
        dense: whether nothing has to be watched.
        every: steps from one scaling to the next.
        dead_ends: whether a state may lead nowhere.
        usable: whether the rule for other transitions can hold at all.
        largest, floor, log_low: the constants above.
    """

    dense: bool
    every: int
    dead_ends: bool
    usable: bool
    largest: float
    floor: float
    log_low: float

    @classmethod
    def of(cls, potentials: ChainPotentials, emissions: Any) -> Safety:
        """Rule for these potentials and the type of these emissions (at least one of them)."""
        xp = namespace(emissions)
        double = emissions.dtype == xp.float64
        tiny, log_spread = (2.3e-308, -322.0) if double else (1.2e-38, -27.6)
        log_mild = log_spread / 3
        largest, floor, log_low = (1e70, 1e-150, -161.0) if double else (1e9, 1e-14, -23.0)
        transitions: Any = potentials.log_transitions
        ends: Any = potentials.log_end
        allowed = transitions > -math.inf
        if not bool(allowed.any()):
            return cls(False, 1, True, False, largest, floor, log_low)
        least = float(transitions[allowed].min() - transitions.max())
        if bool(allowed.all()) and least >= log_spread:
            every = 4 if least >= log_mild else 1
            return cls(True, every, False, True, largest, floor, log_low)
        tokens = emissions.shape[1] == 0 or bool(emissions.min() > -math.inf)
        dead_ends = not (tokens and bool((ends > -math.inf).all() & allowed.any(1).all()))
        usable = 8 * potentials.n_states**2 * tiny * largest**2 <= floor
        usable &= least >= log_low or not dead_ends
        return cls(False, 1, dead_ends, usable, largest, floor, log_low)
