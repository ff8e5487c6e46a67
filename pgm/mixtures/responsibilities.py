"""Shares of the components in a block of rows.

.. math:: r_k = e^{s_k - \\ell}, \\qquad \\ell = \\log \\sum_k e^{s_k}
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from inference.arrays import exponentiate, namespace

__all__ = ["share", "to_number"]


def share(scores: Any, weights: Any = None) -> Any:
    """Turn scores into responsibilities, in place; weigh them.

    By hand rather than by a library's softmax, which costs several times as much where the
    components are few; and along an axis before the rows, which lie next to each other.

    Arguments:
        scores: of any floating type; -inf excludes a component, never all of them. A share
            below the normal numbers of the type becomes zero.
        weights: of the rows; None: ones.

    Shapes:
        scores: (R, K, c). weights: (c,). result: (R,) float64, weighted sums of the logarithms of
        the summed exponentials, nats.
    """
    xp = namespace(scores)
    peaks = xp.amax(scores, 1)
    scores -= peaks[:, None]
    # Shares are at least a K-th of these.
    exponentiate(scores, scores.shape[1])
    total = scores.sum(1)
    logs = xp.log(total)
    logs += peaks
    if weights is None:
        scores *= xp.reciprocal(total, out=total)[:, None]
        return to_number(logs.sum(1, dtype=xp.float64))
    scores *= (weights / total)[:, None]
    return to_number((logs * weights).sum(1, dtype=xp.float64))


def to_number(x: Any) -> Any:
    """Double precision."""
    return x.double() if isinstance(x, Tensor) else x
