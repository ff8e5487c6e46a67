"""Log potentials that all steps of a chain share.

.. math:: \\log \\tilde p(y) = s_{y_1} + \\sum_{t=1}^{T} u_t(y_t)
          + \\sum_{t=2}^{T} W_{y_{t-1} y_t} + e_{y_T}
"""

from __future__ import annotations

from dataclasses import dataclass

from inference.arrays import Array

__all__ = ["ChainPotentials"]


@dataclass(frozen=True)
class ChainPotentials:
    """Start, transitions and end of a chain, nats; -inf forbids.

    Arguments:
        log_start: (K,).
        log_transitions: (K, K), from row to column.
        log_end: (K,), or None where every state may end at no cost.

    Numpy arrays or torch tensors, of the kind that the log emissions are.

    Raises:
        ValueError: if the shapes do not fit.

    Example:
        >>> import numpy as np
        >>> ChainPotentials(np.zeros(2), np.zeros((2, 2))).n_states
        2
    """

    log_start: Array
    log_transitions: Array
    log_end: Array | None = None

    def __post_init__(self) -> None:
        n = self.n_states
        if tuple(self.log_start.shape) != (n,) or tuple(self.log_transitions.shape) != (n, n):
            raise ValueError(
                "log_start and log_transitions must be (K,) and (K, K), found "
                f"{tuple(self.log_start.shape)} and {tuple(self.log_transitions.shape)}"
            )
        if self.log_end is not None and tuple(self.log_end.shape) != (n,):
            raise ValueError(f"log_end must be ({n},), found {tuple(self.log_end.shape)}")

    @property
    def n_states(self) -> int:
        """K."""
        return self.log_start.shape[-1]
