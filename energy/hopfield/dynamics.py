"""How units follow their fields: one after the other, or all at once; certainly, or by chance.

.. math:: x_i \\leftarrow \\begin{cases} +1 & h_i > \\theta_i \\\\ x_i & h_i = \\theta_i \\\\
          -1 & h_i < \\theta_i \\end{cases}
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Dynamics", "Rule", "at_once", "decide", "sharp"]


class Rule(NamedTuple):
    """Thresholds of one update of every unit, in steps of the fields.

    Attributes:
        threshold: turn up above, down below, stay at it, (d, 1) or (d, C).
        slack: how far from it a field is still at it, (d, 1); None is not at all.
        own: what to take off the field for the unit's own state, (d, 1).
    """

    threshold: Tensor
    slack: Tensor | None
    own: Tensor


class Dynamics(ABC):
    """Abstract base: the fields that states make, and what follows from them.

    States have the units along the first axis and the cues along the last, (d, C): a block of
    units is then a block of rows. What is kept between updates, called memory here, follows the
    states.

    Attributes:
        threshold: a unit turns up where its field is above, down where it is below, (d, 1).
        slack: how far from it a field still counts as tied, (d, 1); None is not at all.
        uncounted: of a unit's own share in its field, what is no part of the network, (d, 1).
    """

    threshold: Tensor
    slack: Tensor | None
    uncounted: Tensor

    @abstractmethod
    def start(self, states: Tensor) -> Tensor:
        """Memory of states (d, C), (..., C)."""

    @abstractmethod
    def counted(self, memory: Tensor, states: Tensor) -> Tensor:
        """Fields of all units without what is no part of the network, (d, C), steps."""

    @abstractmethod
    def energy(self, memory: Tensor, counted: Tensor, states: Tensor) -> Tensor:
        """Energy of states (d, C), (C,) float64."""

    @abstractmethod
    def sweep(self, memory: Tensor, states: Tensor, order: Tensor, rule: Rule) -> None:
        """Update every unit once, one after the other, in place."""


def sharp(dynamics: Dynamics) -> Rule:
    """The rule at temperature zero; a tied unit stays."""
    return Rule(dynamics.threshold, dynamics.slack, dynamics.uncounted)


def decide(field: Tensor, states: Tensor, threshold: Tensor, slack: Tensor | None) -> Tensor:
    """Next states of units that all see the fields given.

    Example:
        >>> fields, states = torch.tensor([-0.5, 0.0, 0.5]), torch.tensor([1.0, 1.0, -1.0])
        >>> decide(fields, states, torch.zeros(3), None).tolist()
        [-1.0, 1.0, 1.0]
    """
    excess = field - threshold
    if slack is not None:
        excess.masked_fill_(excess.abs() <= slack, 0.0)
    # Twice the sign outvotes the state, and zero leaves it; much faster than torch.where.
    return torch.add(states, excess.sign_(), alpha=2).clamp_(-1, 1)


def at_once(dynamics: Dynamics, counted: Tensor, states: Tensor, rule: Rule) -> Tensor:
    """States after an update of all units at once.

    Arguments:
        dynamics: of the network.
        counted: fields of all units, see ``Dynamics.counted``.
        states: before the update.
        rule: thresholds.

    Shapes:
        counted, states: (d, C). result: the same.
    """
    field = counted + (dynamics.uncounted - rule.own) * states
    return decide(field, states, rule.threshold, rule.slack)
