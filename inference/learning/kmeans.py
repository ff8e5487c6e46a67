"""K-means: centres of clusters, each the mean of the points that it is nearest to.

.. math:: \\min_{c_1, \\dots, c_K} \\sum_i w_i \\min_k \\|x_i - c_k\\|^2
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from inference.arrays import as_kind_of, index_like, namespace, to_double, to_working, zeros
from inference.inputs import Values, as_tensors, as_whole, check_finite
from inference.learning.em import check_tolerance
from inference.learning.lloyd import Lloyd
from inference.learning.points import Points, draw_rows
from inference.memory import require_memory
from inference.random import GeneratorLike, as_generator

__all__ = ["KMeansResult", "k_means", "random_rows", "run_rounds", "scattered_rows"]


@dataclass(frozen=True)
class KMeansResult:
    """Clusters of the best start.

    Attributes:
        centers: (K, d).
        labels: number of the nearest centre of every point, (n,) int64.
        inertia: weighted sum of the squared distances to the nearest centre.
        iterations: rounds made from that start.

    Arrays or tensors, as the points were.
    """

    centers: Any
    labels: Any
    inertia: float
    iterations: int


def k_means(
    x: Values,
    n_clusters: int,
    *,
    n_init: int = 1,
    weights: Values | None = None,
    max_iterations: int = 300,
    tolerance: float = 1e-4,
    init: Literal["k-means++", "random"] | Values = "k-means++",
    generator: GeneratorLike = None,
) -> KMeansResult:
    """Cluster points by Lloyd's rounds, from several starts at once.

    .. math:: c_k = \\frac{\\sum_{i: l_i = k} w_i x_i}{\\sum_{i: l_i = k} w_i}, \\qquad
              l_i = \\arg\\min_k \\|x_i - c_k\\|

    A centre that has lost all points moves to the farthest of all.

    Arguments:
        x: points, complete.
        n_clusters: K.
        n_init: number of starts, the best of which is kept.
        weights: of the points; None: ones.
        max_iterations: most rounds.
        tolerance: squared movement of all centres in a round, relative to the mean variance of
            the columns, that ends a start; 0 ends it when nothing moves.
        init: first centres: points scattered by greedy k-means++, random points, or given ones.
        generator: for the starts.

    Shapes:
        x: (n, d). weights: (n,). init: (K, d), or (n_init, K, d).

    Raises:
        TypeError: if an argument is of another kind.
        ValueError: if one is out of range or has the wrong shape, a number is not finite, there
            are fewer points of positive weight than clusters, or they do not fit in memory.

    Reference:
        Lloyd 1982; Arthur & Vassilvitskii 2007, "k-means++: the advantages of careful seeding",
        section 2 and, for several candidates a seed, the remark at its end.

    Example:
        >>> found = k_means([[0.0], [1.0], [10.0], [12.0]], 2, generator=0)
        >>> sorted(found.centers[:, 0].tolist()), found.inertia
        ([0.5, 11.0], 2.5)
    """
    (points,) = as_tensors(x=x)
    if points.ndim != 2 or 0 in points.shape:
        raise ValueError(f"x must have shape (n, d), found {tuple(points.shape)}")
    check_finite(x=points)
    k = as_whole("n_clusters", n_clusters, least=1)
    n_init = as_whole("n_init", n_init, least=1)
    as_whole("max_iterations", max_iterations, least=1)
    check_tolerance(tolerance)
    w = None if weights is None else _as_weights(weights, points)
    usable = len(points) if w is None else int((w > 0).sum())
    if k > usable:
        raise ValueError(
            f"n_clusters must be at most the number of points of positive weight, found {k} "
            f"clusters and {usable} such points"
        )
    _check_memory(points.shape, k, n_init)
    source = as_generator(generator, points.device)
    rows = Points.of(to_working(points), None if w is None else to_working(w))
    if isinstance(init, str):
        if init not in ("k-means++", "random"):
            raise ValueError(
                f"init must be 'k-means++', 'random' or an array of centres, found {init!r}"
            )
        draw = scattered_rows if init == "k-means++" else random_rows
        first = rows.centers_at(draw(rows, k, n_init, source))
    else:
        first = _given(init, rows, (n_init, k), points.device)
    centers, labels, iterations = run_rounds(rows, first, max_iterations, tolerance)
    inertias = [_inertia(rows, *run) for run in zip(centers, labels, strict=True)]
    best = int(np.argmin(inertias))
    like = x if isinstance(x, Tensor) else np.zeros(0)
    return KMeansResult(
        as_kind_of(like, _as_type(centers[best] + rows.origin, rows.features)),
        as_kind_of(like, labels[best]),
        inertias[best],
        int(iterations[best]),
    )


def _as_weights(weights: Values, points: Tensor) -> Tensor:
    """One finite and non-negative weight for every point, (n,) float64."""
    (found,) = as_tensors(weights=weights)
    check_finite(weights=found)
    if found.shape != points.shape[:1]:
        raise ValueError(
            f"weights must have shape ({len(points)},), one per point, found {tuple(found.shape)}"
        )
    if (found < 0).any():
        raise ValueError(f"weights must not be negative, found {found.min().item():g}")
    return found.to(points.device, torch.float64)


def _check_memory(shape: torch.Size, n_clusters: int, n_init: int) -> None:
    """Refuse more than fits: the points three times, and four numbers per point and start."""
    n, d = shape
    needed = 8 * (3 * n * (d + 1) + n_init * (4 * n + 4 * n_clusters * d))
    require_memory(needed, f"x with n_init={n_init} starts", "use fewer starts or points")


def run_rounds(
    rows: Points, centers: Any, max_iterations: int = 300, tolerance: float = 1e-4
) -> tuple[Any, Any, np.ndarray]:
    """Lloyd's rounds from several starts, each until its centres stand still.

    Arguments:
        rows: points.
        centers: first centres, about the rows' origin.
        max_iterations: most rounds.
        tolerance: as in `k_means`.

    Shapes:
        centers: (R, K, d) float64. result: the last ones, labels for these (R, n) int64, and
        rounds (R,).
    """
    least, under_way = tolerance * _mean_variance(rows), Lloyd(rows, centers)
    found = zeros(centers, tuple(centers.shape), "float64")
    labels = zeros(centers, (len(centers), rows.n_rows), "int64")
    iterations, left = np.zeros(len(centers), dtype=np.int64), np.arange(len(centers))
    for iteration in range(1, max_iterations + 1):
        iterations[left] = iteration
        ended = (under_way.round() <= least) | (iteration == max_iterations)
        if ended.any():
            some, places = [index_like(x[ended], centers) for x in (np.arange(len(left)), left)]
            labels[places] = under_way.assign()[some]
            found[places] = under_way.centers[some]
            under_way.keep(np.flatnonzero(~ended))
            left = left[~ended]
        if not len(left):
            break
    return found, labels, iterations


def scattered_rows(rows: Points, n_clusters: int, n_runs: int, generator: torch.Generator) -> Any:
    """Rows drawn one after the other, far ones more likely: greedy k-means++.

    Of several candidates for each seed the one is taken that leaves the smallest distances.

    Shapes:
        result: numbers of the rows, (n_runs, n_clusters) int64.
    """
    xp, blocks = namespace(rows.features), range(len(rows.features))
    n_draws = 2 + int(math.log(n_clusters))
    weights = rows.weights.reshape(-1)
    seeds = zeros(rows.features, (n_runs, n_clusters), "int64")
    seeds[:, 0] = draw_rows(weights[None], n_runs, generator)[0]
    theta = rows.coefficients(rows.centers_at(seeds[:, 0]))
    gaps = xp.stack([rows.distances(theta, block) for block in blocks], 1)
    runs = index_like(np.arange(n_runs), gaps)
    for place in range(1, n_clusters):
        odds = to_double(gaps).reshape(n_runs, -1)
        # Where all points are seeds already, any of them is as good.
        odds = xp.where((odds.sum(1) > 0)[:, None], odds, weights)
        candidates = draw_rows(odds, n_draws, generator)
        theta = rows.coefficients(rows.centers_at(candidates))
        flat = theta.reshape(n_runs * n_draws, -1)
        total = zeros(gaps, (n_runs, n_draws), "float64")
        for block in blocks:
            found = rows.distances(flat, block).reshape(n_runs, n_draws, -1)
            total += to_double(xp.minimum(found, gaps[:, None, block]).sum(-1))
        best = total.argmin(1)
        seeds[:, place] = candidates[runs, best]
        theta = theta[runs, best]
        for block in blocks:
            gaps[:, block] = xp.minimum(gaps[:, block], rows.distances(theta, block))
    return seeds


def random_rows(rows: Points, n_clusters: int, n_runs: int, generator: torch.Generator) -> Any:
    """Different rows drawn with their weights as odds, (n_runs, n_clusters) int64."""
    found = []
    for _ in range(n_runs):
        # Of exponential times at these rates, the first ones are such draws.
        times = torch.empty(rows.n_rows, dtype=torch.float64, device=generator.device)
        times.exponential_(generator=generator)
        if rows.weighted:
            times = times / torch.as_tensor(rows.weights.reshape(-1)[: rows.n_rows])
        found.append(times.topk(n_clusters, largest=False).indices)
    drawn = torch.stack(found)
    return drawn if isinstance(rows.features, Tensor) else drawn.numpy()


def _given(init: Any, rows: Points, shape: tuple[int, int], device: torch.device) -> Any:
    """First centres as passed, about the origin of the rows, (R, K, d) float64."""
    (centers,) = as_tensors(init=init)
    check_finite(init=centers)
    runs, k = shape
    wanted = (runs, k, rows.n_features)
    if centers.ndim == 2 and runs == 1:
        centers = centers[None]
    if centers.shape != wanted:
        raise ValueError(
            f"init must have shape {wanted[1:] if runs == 1 else wanted}, found "
            f"{tuple(centers.shape)}; n_init is the number of sets of centres"
        )
    moved = to_working(centers.to(device, torch.float64), rows.origin)
    return moved - rows.origin


def _mean_variance(rows: Points) -> float:
    """Mean of the variances of the columns."""
    d, squares, total = rows.n_features, 0.0, float(rows.weights.sum())
    sums = zeros(rows.origin, (d,))
    for f, own, w in zip(rows.features, rows.squares, rows.weights, strict=True):
        squares += float(to_double(own) @ w)
        sums += to_double(f[:d]) @ w
    return max(squares - float((sums * sums).sum()) / total, 0.0) / total / d


def _inertia(rows: Points, centers: Any, labels: Any) -> float:
    """Weighted sum of the squared distances, from the differences themselves."""
    d, (n_blocks, width), total = rows.n_features, rows.weights.shape, 0.0
    for block in range(n_blocks):
        own = labels[block * width : (block + 1) * width]
        gaps = to_double(rows.features[block][:d, : len(own)]) - centers[own].T
        total += float((gaps**2).sum(0) @ rows.weights[block][: len(own)])
    return total


def _as_type(values: Any, like: Any) -> Any:
    return values.to(like.dtype) if isinstance(like, Tensor) else values.astype(like.dtype)
