"""One unit after the other, block after block: triangular systems of decisions.

.. math:: y_i = \\operatorname{decide}_i\\Bigl(h_i + \\sum_{j < i} w_{ij} (y_j - x_j)\\Bigr)

Units that are all joined must be updated one by one, which is slow. Within a block, whose random
numbers are drawn beforehand, the states afterwards solve this system instead. It is strictly
triangular: it has one solution, what one unit after the other gives, and repeated substitution
finds it after as many rounds as the longest chain of units that change each other's minds, mostly
two or three.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["settled"]


def settled(
    decide: Callable[[Tensor], Tensor],
    field: Tensor,
    earlier: Tensor,
    before: Tensor,
    after: Tensor,
) -> Tensor:
    """States of a block after each unit was updated once, in their order.

    Arguments:
        decide: states that follow from fields, by unit and column.
        field: h, fields before anything changes.
        earlier: w, couplings to the units before each; zero on the diagonal and above.
        before: x, states.
        after: what they decide at h, the first substitution.

    Shapes:
        field, before, after, result: (B, C). earlier: (B, B).

    Example:
        >>> copies = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
        >>> off, field = torch.zeros(2, 1), torch.tensor([[1.0], [-0.5]])
        >>> decide = lambda h: (h > 0).to(h)
        >>> settled(decide, field, copies, off, decide(field)).tolist()  # the second follows
        [[1.0], [1.0]]
    """
    while True:
        again = decide(torch.addmm(field, earlier, after - before))
        if torch.equal(again, after):
            return after
        after = again
