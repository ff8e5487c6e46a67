"""K-means: a place to start learning from.

.. math:: \\min_{c_1, \\dots, c_K} \\sum_i \\min_k \\|x_i - c_k\\|^2
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

__all__ = ["assign", "kmeans", "nearest", "scatter_seeds"]

#: Points that the centres are found with; more of them would hardly move the centres.
MOST_POINTS = 20_000


def kmeans(x: Tensor, n_clusters: int, *, rounds: int = 20, generator: torch.Generator) -> Tensor:
    """Centres of clusters, by Lloyd's rounds from scattered seeds.

    Arguments:
        x: points, of which a random part is used where there are many.
        n_clusters: how many.
        rounds: most rounds.
        generator: for the seeds.

    Shapes:
        x: (n, D). result: (n_clusters, D).

    Reference:
        Arthur & Vassilvitskii 2007, "k-means++: the advantages of careful seeding", section 2.

    Example:
        >>> x = torch.tensor([[0.0], [1.0], [10.0], [12.0]])
        >>> kmeans(x, 2, generator=torch.Generator().manual_seed(0)).flatten().sort().values
        tensor([ 0.5000, 11.0000])
    """
    if len(x) > MOST_POINTS:
        chosen = torch.randint(len(x), (MOST_POINTS,), generator=generator, device=x.device)
        x = x[chosen]
    centres = scatter_seeds(x, n_clusters, generator=generator)
    for _ in range(rounds):
        labels = nearest(x, centres)
        counts = labels.bincount(minlength=n_clusters).to(x.dtype)
        sums = torch.zeros_like(centres).index_add_(0, labels, x)
        moved = torch.where(counts[:, None] > 0, sums / counts.clamp_min(1)[:, None], centres)
        if moved.equal(centres):
            break
        centres = moved
    return centres


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


def scatter_seeds(x: Tensor, n_clusters: int, *, generator: torch.Generator) -> Tensor:
    """Points drawn one after the other, far ones more likely, (n_clusters, D)."""
    seeds = [x[torch.randint(len(x), (), generator=generator, device=x.device)]]
    gaps = (x - seeds[0]).square().sum(1)
    while len(seeds) < n_clusters:
        # Where all points are seeds already, any of them is as good.
        odds = gaps if bool(gaps.sum() > 0) else torch.ones_like(gaps)
        seeds.append(x[torch.multinomial(odds, 1, generator=generator)[0]])
        gaps = torch.minimum(gaps, (x - seeds[-1]).square().sum(1))
    return torch.stack(seeds)


def nearest(x: Tensor, centres: Tensor) -> Tensor:
    """Number of the centre next to every point, (n,)."""
    return (0.5 * centres.square().sum(1) - x @ centres.T).argmin(1)
