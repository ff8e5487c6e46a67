"""Sums that add up over rows, from which the M step makes parameters.

.. math:: g_k = \\bigl(N_k,\\ N_k \\bar x_k,\\ N_k (S_k + \\bar x_k \\bar x_k^\\top)\\bigr)
"""

from __future__ import annotations

from typing import Any

from inference.arrays import namespace
from pgm.mixtures.components import CovarianceType, try_cholesky
from pgm.mixtures.moments import Components

__all__ = ["from_sums", "positive_definite", "to_sums"]


def to_sums(components: Components, covariance_type: CovarianceType) -> Any:
    """The sums that these parameters are the maximum for, per unit of weight.

    Shapes:
        result: (R, K (1 + d) + the numbers of all covariances).
    """
    weights, means, covariances = components
    xp, n_runs = namespace(means), len(means)
    first = weights[..., None] * means
    if covariance_type == "tied":
        second = covariances[:, 0] + (first.swapaxes(-1, -2) @ means)
    else:
        shape = (*weights.shape, *(1,) * (covariances.ndim - 2))
        second = weights.reshape(shape) * (covariances + _square(components, covariance_type))
    return xp.concatenate([x.reshape(n_runs, -1) for x in (weights, first, second)], -1)


def from_sums(
    sums: Any, like: Components, covariance_type: CovarianceType
) -> tuple[Components, Any]:
    """Parameters (R, ...) from sums (R, ...), and for which runs they are a mixture's, (R,).

    Arguments:
        sums: of `to_sums`, or combined from such.
        like: gives the shapes; parameters of runs that are no mixture are these.
        covariance_type: of the mixture.
    """
    xp, (n_runs, k, d) = namespace(sums), like.means.shape
    weights = sums[:, :k]
    good = (weights > 0).all(-1)
    total = xp.where(weights > 0, weights, xp.ones_like(weights))
    means = sums[:, k : k + k * d].reshape(n_runs, k, d) / total[..., None]
    second = sums[:, k + k * d :].reshape(like.covariances.shape)
    weights = total / total.sum(-1)[:, None]
    found = Components(weights, means, second)
    if covariance_type == "tied":
        between = (weights[..., None] * means).swapaxes(-1, -2) @ means
        covariances = second - between[:, None]
    else:
        shape = (*total.shape, *(1,) * (second.ndim - 2))
        covariances = second / total.reshape(shape) - _square(found, covariance_type)
    good &= positive_definite(covariances, covariance_type)
    found = found._replace(covariances=covariances)
    kept = [xp.where(_like(good, x), x, y) for x, y in zip(found, like, strict=True)]
    return Components(*kept), good


def _square(components: Components, covariance_type: CovarianceType) -> Any:
    """Squares of the means as the covariances are held."""
    means = components.means
    if covariance_type in ("full", "tied"):
        return means[..., None] * means[..., None, :]
    return means**2 if covariance_type == "diag" else (means**2).mean(-1)[..., None]


def positive_definite(covariances: Any, covariance_type: CovarianceType) -> Any:
    """Which runs have covariances that are positive definite, (R,)."""
    xp = namespace(covariances)
    if covariance_type in ("diag", "spherical"):
        return (covariances > 0).reshape(len(covariances), -1).all(-1)
    good = [try_cholesky(run) is not None for run in covariances]
    return xp.asarray(good) if xp.__name__ == "numpy" else covariances.new_tensor(good).bool()


def _like(rows: Any, x: Any) -> Any:
    """A mask (R,) that broadcasts against x (R, ...)."""
    return rows.reshape(-1, *(1,) * (x.ndim - 1))
