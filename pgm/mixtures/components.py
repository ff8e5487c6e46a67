"""From parameters to the scores of an E step.

.. math:: C_k = L_k L_k^\\top, \\qquad A_k = L_k^{-1}, \\qquad
          c_k = \\log \\pi_k - \\tfrac{d}{2} \\log 2\\pi + \\log |A_k|
"""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias

import numpy as np
from torch import Tensor

from inference.arrays import namespace
from pgm.mixtures.moments import Components, Scores

__all__ = ["COVARIANCE_TYPES", "CovarianceType", "cholesky", "log_joint_scores", "try_cholesky"]

CovarianceType: TypeAlias = Literal["full", "tied", "diag", "spherical"]
COVARIANCE_TYPES: tuple[CovarianceType, ...] = ("full", "tied", "diag", "spherical")


def log_joint_scores(components: Components, covariance_type: CovarianceType) -> Scores:
    """Scores that are the joint log-densities of component and row.

    Raises:
        ValueError: if a covariance is not positive definite.
    """
    weights, means, covariances = components
    xp, d = namespace(means), means.shape[-1]
    if covariance_type in ("full", "tied"):
        factors = xp.tril(xp.linalg.inv(cholesky(covariances)))
        heights = xp.log(xp.einsum("...ii->...i", factors)).sum(-1)
    else:
        if not bool((covariances > 0).all()):
            raise ValueError(_SINGULAR.format(float(covariances.min())))
        factors = covariances**-0.5
        # One standard deviation stands for all features where the type is spherical.
        heights = xp.log(factors).sum(-1) * (d / factors.shape[-1])
    with np.errstate(divide="ignore"):
        logs = xp.log(weights)
    return Scores(logs - 0.5 * d * math.log(2 * math.pi) + heights, means, factors)


_SINGULAR = (
    "a covariance is not positive definite (least variance {:g}): a component has collapsed; "
    "use fewer components, or regularize"
)


def cholesky(covariances: Any) -> Any:
    """Lower triangular roots.

    Raises:
        ValueError: if a matrix is not positive definite.
    """
    roots = try_cholesky(covariances)
    if roots is None:
        least = namespace(covariances).linalg.eigvalsh(covariances).min()
        raise ValueError(_SINGULAR.format(float(least)))
    return roots


def try_cholesky(covariances: Any) -> Any:
    """Lower triangular roots, or None where a matrix is not positive definite."""
    if isinstance(covariances, Tensor):
        from torch.linalg import cholesky_ex

        roots, failed = cholesky_ex(covariances)
        return None if bool(failed.any()) else roots
    try:
        return np.linalg.cholesky(covariances)
    except np.linalg.LinAlgError:
        return None
