"""Clusters of observations: a place to start learning from.

.. math:: l_t = \\arg\\min_k \\|x_t - c_k\\|
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from inference.learning.kmeans import k_means

__all__ = ["assign", "kmeans", "nearest"]

#: Points that the centres are found with; more of them would hardly move the centres.
MOST_POINTS = 20_000


def kmeans(x: Tensor, n_clusters: int, *, rounds: int = 20, generator: torch.Generator) -> Tensor:
    """Centres of clusters of a random part of the points; points are repeated if they are few.

    Arguments:
        x: points, of which a random part is used where there are many.
        n_clusters: how many.
        rounds: most rounds.
        generator: for the part and the seeds.

    Shapes:
        x: (n, D). result: (n_clusters, D).

    Example:
        >>> x = torch.tensor([[0.0], [1.0], [10.0], [12.0]])
        >>> kmeans(x, 2, generator=torch.Generator().manual_seed(0)).flatten().sort().values
        tensor([ 0.5000, 11.0000])
    """
    if len(x) > MOST_POINTS:
        x = x[torch.randperm(len(x), generator=generator, device=x.device)[:MOST_POINTS]]
    if len(x) < n_clusters:
        x = x.repeat(-(-n_clusters // len(x)), 1)
    return k_means(x, n_clusters, max_iterations=rounds, generator=generator).centers


def assign(
    x: Tensor, n_clusters: int, how: Literal["kmeans", "random"], *, generator: torch.Generator
) -> Tensor:
    """Which of the clusters every point is in: those of k-means, or those around random points.

    Shapes:
        x: (n, D). result: (n_clusters, n), zeros and ones.
    """
    if how == "kmeans":
        centres = kmeans(x, n_clusters, generator=generator)
    else:
        order = torch.randperm(len(x), generator=generator, device=x.device)
        centres = x[order[torch.arange(n_clusters, device=x.device) % len(x)]]
    clusters = torch.arange(n_clusters, device=x.device)
    return (nearest(x, centres) == clusters[:, None]).to(x.dtype)


def nearest(x: Tensor, centres: Tensor) -> Tensor:
    """Number of the centre next to every point, (n,)."""
    return (0.5 * centres.square().sum(1) - x @ centres.T).argmin(1)
