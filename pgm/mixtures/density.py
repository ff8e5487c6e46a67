"""Log-densities of normal laws, differentiable, of rows that may lack entries.

.. math:: \\log N(x_O; \\mu_O, C_{OO}) = -\\tfrac{|O|}{2} \\log 2\\pi - \\log |L|
          - \\tfrac12 \\|L^{-1} (x_O - \\mu_O)\\|^2, \\qquad C_{OO} = L L^\\top
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pgm.mixtures.components import CovarianceType

__all__ = ["as_matrices", "normal_log_prob"]

# Numbers of a chunk of rows.
_CHUNK = 1 << 22


def normal_log_prob(
    x: Tensor, means: Tensor, covariances: Tensor, covariance_type: CovarianceType
) -> Tensor:
    """Log-density of every row under every component; NaN entries are integrated out.

    Shapes:
        x: (n, d). means: (K, d). covariances: (K, d, d) full, (d, d) tied, (K, d) diag, (K,)
        spherical. result: (n, K), nats; 0 for a row without entries.

    Raises:
        ValueError: if a covariance is not positive definite.
    """
    k, d = means.shape
    missing = bool(x.isnan().any())
    matrices = covariance_type in ("full", "tied")
    if not matrices:
        variances = covariances if covariance_type == "diag" else covariances[:, None]
        _check_positive(variances)
        law, per_row = _independent, k * d
        roots = variances.sqrt().expand(k, d)
    elif missing:
        law, per_row, roots = _partial, k * d * d, covariances.expand(k, d, d)
    else:
        law, per_row, roots = _whole, k * d, _root(covariances)
    parts = x.split(max(_CHUNK // per_row, 1)) if len(x) else (x,)
    return torch.cat([law(part, means, roots) for part in parts])


def as_matrices(covariances: Tensor, n_features: int, covariance_type: CovarianceType) -> Tensor:
    """Covariances as (K, d, d) matrices; (1, d, d) where they are tied."""
    if covariance_type == "full":
        return covariances
    if covariance_type == "tied":
        return covariances[None]
    if covariance_type == "spherical":
        covariances = covariances[:, None].expand(-1, n_features)
    return covariances.diag_embed()


def _whole(x: Tensor, means: Tensor, roots: Tensor) -> Tensor:
    """Complete rows; roots (K, d, d) or (d, d)."""
    deviations = (x - means[:, None]).mT
    y = torch.linalg.solve_triangular(roots, deviations, upper=False)
    height = roots.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    constant = 0.5 * x.shape[1] * math.log(2 * math.pi)
    return -0.5 * y.square().sum(1).T - height - constant


def _independent(x: Tensor, means: Tensor, deviations: Tensor) -> Tensor:
    """Independent features with standard deviations (K, d)."""
    there = ~x.isnan()
    y = (x.nan_to_num(nan=0.0)[:, None] - means) / deviations
    logs = -0.5 * y.square() - deviations.log() - 0.5 * math.log(2 * math.pi)
    return torch.where(there[:, None], logs, 0.0).sum(-1)


def _partial(x: Tensor, means: Tensor, covariances: Tensor) -> Tensor:
    """Rows of which entries are missing: the covariance of the others, and the identity."""
    there, inverse = torch.unique(~x.isnan(), dim=0, return_inverse=True)
    both = there[:, :, None] & there[:, None]
    identity = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    roots = _root(torch.where(both[:, None], covariances, identity))
    height = roots.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    constant = 0.5 * math.log(2 * math.pi) * there.sum(1).to(x.dtype)[:, None]
    deviations = x.nan_to_num(nan=0.0)[:, None] - means
    deviations = torch.where(there[inverse][:, None], deviations, 0.0)
    y = torch.linalg.solve_triangular(roots[inverse], deviations[..., None], upper=False)
    return -0.5 * y.square().sum((-2, -1)) - (height + constant)[inverse]


def _root(covariances: Tensor) -> Tensor:
    """Lower triangular roots."""
    roots, failed = torch.linalg.cholesky_ex(covariances)
    if bool(failed.any()):
        raise ValueError(
            "covariances must be positive definite; a component has collapsed, or the "
            "parameters were set to something else"
        )
    return roots


def _check_positive(variances: Tensor) -> None:
    if not bool((variances > 0).all()):
        raise ValueError(
            f"covariances must be positive, found {float(variances.min()):g}; a component has "
            "collapsed, or the parameters were set to something else"
        )
