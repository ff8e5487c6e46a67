"""The M step of mixtures of normal laws.

.. math:: \\pi_k = \\frac{N_k}{\\sum_l N_l}, \\qquad \\mu_k = \\bar x_k, \\qquad
          C_k = \\text{guard}(S_k)
"""

from __future__ import annotations

from typing import Any

from pgm.mixtures.floors import Guard
from pgm.mixtures.moments import Components, Moments

__all__ = ["maximize", "pooled", "shrink"]


def maximize(moments: Moments, guard: Guard) -> Components:
    """Parameters that make the data most probable, within what the guard allows."""
    weights = moments.counts / moments.counts.sum(-1)[..., None]
    return Components(weights, moments.means, guard.apply(moments.scatters))


def shrink(moments: Moments, covariance_type: str) -> Moments:
    """Draw the scatters towards their mean, the more the fewer rows a component has.

    .. math:: S_k \\leftarrow \\frac{N_k S_k + (d + 1) \\bar S}{N_k + d + 1}, \\qquad
              \\bar S = \\frac{\\sum_k N_k S_k}{\\sum_k N_k}

    So that a first guess does not start from a component that has collapsed already.
    """
    if covariance_type == "tied":
        return moments
    counts, scatters = moments.counts, moments.scatters
    shape = (*counts.shape, *(1,) * (scatters.ndim - 2))
    n = counts.reshape(shape)
    strength = moments.means.shape[-1] + 1
    return moments._replace(scatters=(n * scatters + strength * pooled(moments)) / (n + strength))


def pooled(moments: Moments) -> Any:
    """Mean scatter of the components, (R, 1, ...)."""
    counts, scatters = moments.counts, moments.scatters
    if scatters.shape[1] == 1 and counts.shape[1] > 1:
        return scatters
    n = counts.reshape(*counts.shape, *(1,) * (scatters.ndim - 2))
    return (n * scatters).sum(1)[:, None] / n.sum(1)[:, None]
