"""Most probable labellings, exactly or by climbing.

.. math:: \\hat y = \\arg\\max_y s(y)
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor

from inference.approximate.belief_propagation import belief_propagation
from pgm.conditional import exact
from pgm.conditional.objectives import approximate
from pgm.conditional.potentials import Potentials

__all__ = ["Search", "most_probable"]

Search: TypeAlias = Literal["exact", "belief-propagation", "mean-field", "icm"]

#: Most sweeps of iterated conditional modes; each of them raises the weight.
MOST_SWEEPS = 1000


def most_probable(potentials: Potentials, method: Search) -> Tensor:
    """A labelling of every graph, (B, n): the best one, or one that no single change improves.

    What an approximate method decodes is improved by iterated conditional modes.

    Raises:
        ValueError: what `exact.most_probable` refuses.
    """
    potentials = potentials.detach()
    if method == "exact":
        return exact.most_probable(potentials)
    if method == "belief-propagation":
        found = belief_propagation(potentials.arrays(), mode="max", progress=False)
        assert found.most_probable is not None
        return conditional_modes(potentials, found.most_probable)
    if method == "mean-field":
        start = approximate(potentials, "mean-field").marginals.nan_to_num(-1.0).argmax(2)
        return conditional_modes(potentials, start)
    return conditional_modes(potentials, potentials.unary.argmax(2))  # "icm"


def conditional_modes(potentials: Potentials, y: Tensor) -> Tensor:
    """Climb from labellings, all nodes of a colour at once, until no single change helps.

    .. math:: y_i \\leftarrow \\arg\\max_a s_i(a; y_{N(i)})

    A node whose label is among the best keeps it.

    Shapes:
        y, result: (B, n).

    Reference:
        Besag 1986, "On the statistical analysis of dirty pictures", section 2.5.
    """
    for _ in range(MOST_SWEEPS):
        before = y
        for nodes in potentials.layout.colors:
            scores = potentials.conditional_scores(y)[:, nodes]
            best, mode = scores.max(2)
            now = y[:, nodes]
            kept = scores.gather(2, now[:, :, None]).squeeze(2) == best
            y = y.index_copy(1, nodes, torch.where(kept, now, mode))
        if torch.equal(before, y):
            break
    return y
