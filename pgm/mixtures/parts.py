"""Marginal and conditional laws of a normal mixture, which are normal mixtures.

.. math:: \\mu_{A \\mid B} = \\mu_A + \\Sigma_{AB} \\Sigma_{BB}^{-1} (x_B - \\mu_B), \\quad
          \\Sigma_{A \\mid B} = \\Sigma_{AA} - \\Sigma_{AB} \\Sigma_{BB}^{-1} \\Sigma_{BA}, \\quad
          \\pi_k' \\propto \\pi_k\\, N(x_B; \\mu_{k,B}, \\Sigma_{k,BB})
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from inference.logspace import log_normalize, safe_log
from pgm.mixtures.components import CovarianceType
from pgm.mixtures.density import normal_log_prob

__all__ = ["condition", "marginalize", "read_columns"]


def read_columns(name: str, columns: Sequence[int], n_features: int) -> list[int]:
    """Distinct numbers of columns.

    Raises:
        TypeError: if they are no whole numbers.
        ValueError: if there is none, one twice, or one that does not exist.
    """
    found = [operator.index(column) for column in columns]
    if not found or len(set(found)) < len(found):
        raise ValueError(f"{name} must be distinct columns, at least one, found {found}")
    if not all([0 <= column < n_features for column in found]):
        raise ValueError(f"{name} must be in 0..{n_features - 1}, found {found}")
    return found


def marginalize(covariances: Tensor, columns: list[int], kind: CovarianceType) -> Tensor:
    """Covariances of some of the columns, held as before."""
    if kind in ("full", "tied"):
        return covariances[..., columns, :][..., columns]
    return covariances[:, columns] if kind == "diag" else covariances


def condition(
    weights: Tensor,
    means: Tensor,
    covariances: Tensor,
    kind: CovarianceType,
    given: Mapping[int, float],
) -> tuple[Tensor, Tensor, Tensor]:
    """Weights, means and covariances of the other columns, in their order.

    Shapes:
        weights: (K,). means: (K, d). covariances: as `GaussianMixture` holds them.
    """
    d = means.shape[1]
    known = read_columns("given", list(given), d)
    others = [column for column in range(d) if column not in known]
    if not others:
        raise ValueError(f"given must leave a column, found all {d} of them")
    values = torch.tensor([float(given[c]) for c in known], dtype=means.dtype, device=means.device)
    if not bool(values.isfinite().all()):
        raise ValueError(f"given must be finite, found {values.tolist()}")
    own = marginalize(covariances, known, kind)
    logs = normal_log_prob(values[None], means[:, known], own, kind)[0]
    joint = safe_log(weights) + logs
    if bool((joint == -math.inf).all()):
        raise ValueError(
            f"given must be nearer to a component, found {values.tolist()}, where the density "
            "of all of them vanishes"
        )
    new_weights = log_normalize(joint, 0).exp()
    rest = marginalize(covariances, others, kind)
    if kind in ("diag", "spherical"):
        return new_weights, means[:, others], rest
    across = covariances[..., others, :][..., known]
    slopes = torch.linalg.solve(own, across.mT).mT
    moved = means[:, others] + (slopes @ (values - means[:, known])[..., None])[..., 0]
    return new_weights, moved, rest - slopes @ across.mT
