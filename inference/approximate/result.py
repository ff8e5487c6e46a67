"""What an approximate method hands back, and how it says that it did not settle.

.. math:: \\hat p(x_v) \\approx p(x_v), \\qquad \\log \\hat Z \\approx \\log Z
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from torch import Tensor

__all__ = ["ApproximateResult", "Named"]

#: Results as a user speaks of them: a dict by name, or an array.
Named = TypeVar("Named")


@dataclass(frozen=True)
class ApproximateResult(Generic[Named]):
    """Approximate marginals and log partition function, with what they cost.

    Attributes:
        marginals: for a factor graph a dict from names to (card,) or (B, card); for arrays one
            tensor (..., n_states). In max mode max-marginals, scaled to sum to one.
        log_partition: nats, () or (B,): the Bethe value, a lower or an upper bound, or the log
            weight of ``most_probable``, as the method that made it says.
        converged: whether the residual fell to the tolerance, boolean, () or (B,).
        residual: largest change of any message or marginal in the last iteration, () or (B,).
        iterations: how many were made.
        most_probable: in max mode the state codes decoded, else None.

    Example:
        >>> from inference import Factor, FactorGraph
        >>> from inference.approximate.belief_propagation import belief_propagation
        >>> graph = FactorGraph({"a": 2}, [Factor.from_potential(["a"], [1.0, 3.0])])
        >>> belief_propagation(graph).marginals["a"]
        tensor([0.2500, 0.7500], dtype=torch.float64)
    """

    marginals: Named
    log_partition: Tensor
    converged: Tensor
    residual: Tensor
    iterations: int
    most_probable: Named | None = None
