"""Distances between distributions that know how far apart the states or samples are.

.. math:: W(p, q) = \\min_{\\gamma \\in \\Pi(p, q)} \\sum_{ij} \\gamma_{ij} c_{ij}
          = \\max_{u_i + v_j \\le c_{ij}} \\sum_i p_i u_i + \\sum_j q_j v_j
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from inference.inputs import Values, as_tensors, as_whole, check_distribution, check_finite
from inference.random import GeneratorLike, as_generator

__all__ = ["Transport", "earth_movers_distance", "mmd", "sliced_wasserstein"]


class Transport(NamedTuple):
    """An optimal transport, with the potentials that prove it optimal.

    Arguments:
        value: () the least cost, in the unit of the costs.
        plan: (n, m) mass moved from i to j; its margins are p and q.
        dual_p: (n,) potential u; how the value changes with p, up to a constant.
        dual_q: (m,) potential v; u_i + v_j <= c_ij, with equality where mass moves.
    """

    value: Tensor
    plan: Tensor
    dual_p: Tensor
    dual_q: Tensor


def earth_movers_distance(p: Values, q: Values, cost: Values) -> Transport:
    """Least cost of turning p into q: the Wasserstein-1 distance when the cost is a metric.

    .. math:: W(p, q) = \\min_{\\gamma \\ge 0} \\Bigl\\{\\sum_{ij} \\gamma_{ij} c_{ij} :
              \\sum_j \\gamma_{ij} = p_i, \\sum_i \\gamma_{ij} = q_j\\Bigr\\}

    Solved exactly as a linear program with n m unknowns, in float64 on the CPU; no gradient is
    recorded (use the potentials). Finite also where p and q have disjoint supports, where
    the Kullback-Leibler divergence is infinite.

    Arguments:
        p: mass at the sources.
        q: mass at the targets.
        cost: cost of moving a unit of mass from i to j.

    Shapes:
        p: (n,). q: (m,). cost: (n, m).

    Returns:
        ``Transport`` with ``value``, ``plan``, ``dual_p`` and ``dual_q``, float64.

    Raises:
        ValueError: if the shapes do not fit, a mass is negative or its sum is not one within 1e-6
            (float64) or 1e-4 (float32), or a cost is not finite.
        TypeError: if an argument holds no real numbers.
        RuntimeError: if the solver gives up.

    Reference:
        Peyre & Cuturi 2019, "Computational optimal transport", eq. 2.11 and 2.20; Villani 2009,
        "Optimal transport: old and new", theorem 5.10.

    Example:
        >>> cost = [[0.0, 1.0, 2.0], [1.0, 0.0, 1.0], [2.0, 1.0, 0.0]]
        >>> earth_movers_distance([0.5, 0.5, 0.0], [0.0, 0.5, 0.5], cost).value
        tensor(1., dtype=torch.float64)
    """
    p, q, cost = as_tensors(p=p, q=q, cost=cost)
    check_distribution("p", p)
    check_distribution("q", q)
    check_finite(cost=cost)
    if p.ndim != 1 or q.ndim != 1 or cost.shape != (p.shape[0], q.shape[0]):
        raise ValueError(
            "p must be (n,), q (m,) and cost (n, m), found shapes "
            f"{tuple(p.shape)}, {tuple(q.shape)} and {tuple(cost.shape)}"
        )
    plan, dual_p, dual_q = (
        torch.from_numpy(x).to(cost.device) for x in _solve(*map(_as_array, (p, q, cost)))
    )
    return Transport((plan * cost.detach()).sum(), plan, dual_p, dual_q)


def sliced_wasserstein(
    x: Values,
    y: Values,
    *,
    n_projections: int = 128,
    p: float = 2.0,
    generator: GeneratorLike = None,
) -> Tensor:
    """Wasserstein distance between samples, averaged over random directions.

    .. math:: SW_p^p = \\frac1L \\sum_{l=1}^{L} \\int_0^1
              \\bigl| F^{-1}_{\\theta_l \\cdot x}(t) - F^{-1}_{\\theta_l \\cdot y}(t) \\bigr|^p dt,
              \\qquad \\theta_l \\text{ uniform on the unit sphere}

    A line needs no linear program: sorting solves it, for unequal sample sizes too. In one
    dimension this is the exact Wasserstein distance. Differentiable in the samples.

    Arguments:
        x: samples.
        y: samples.
        n_projections: the number L of directions.
        p: order of the distance, at least one.
        generator: None, a seed or a generator.

    Shapes:
        x: (n, d). y: (m, d). result: (), in the unit of the samples.

    Raises:
        ValueError: if the shapes do not fit, a sample is empty or not finite, ``n_projections`` is
            not positive or ``p`` is less than one.
        TypeError: if an argument holds no real numbers, or ``n_projections`` is no whole number.

    Reference:
        Bonneel, Rabin, Peyre & Pfister 2015, "Sliced and Radon Wasserstein barycenters of
        measures", section 2; Peyre & Cuturi 2019, eq. 2.36 (the line).

    Example:
        >>> sliced_wasserstein([[0.0], [1.0]], [[3.0], [4.0]], generator=0)
        tensor(3., dtype=torch.float64)
    """
    x, y = _samples(x, y, least=1)
    n_projections = as_whole("n_projections", n_projections, least=1)
    if not 1 <= p < float("inf"):
        raise ValueError(f"p must be finite and at least 1, found {p}")
    directions = torch.randn(
        (x.shape[1], n_projections),
        dtype=x.dtype,
        device=x.device,
        generator=as_generator(generator, x.device),
    )
    directions = directions / torch.linalg.vector_norm(directions, dim=0)
    i, j, width = _couple(x.shape[0], y.shape[0], x.device)
    gaps = (x @ directions).sort(0).values[i] - (y @ directions).sort(0).values[j]
    weights = (width / n_projections).to(x.dtype).pow(1 / p).unsqueeze(-1)
    # Powers of the largest gap neither overflow nor vanish; it cancels, so it needs no gradient.
    largest = gaps.detach().abs().amax()
    largest = torch.where(largest > 0, largest, 1.0)
    return torch.linalg.vector_norm(gaps / largest * weights, ord=p) * largest


def mmd(x: Values, y: Values, *, bandwidth: float | None = None) -> Tensor:
    """Unbiased estimate of the squared maximum mean discrepancy with a Gaussian kernel.

    .. math:: \\frac{\\sum_{i \\ne j} k(x_i, x_j)}{n (n - 1)}
              + \\frac{\\sum_{i \\ne j} k(y_i, y_j)}{m (m - 1)}
              - \\frac{2}{n m} \\sum_{ij} k(x_i, y_j),
              \\qquad k(a, b) = e^{-\\|a - b\\|^2 / 2 h^2}

    Its expectation is zero if and only if the distributions are equal, so single values may be
    negative. Differentiable once in the samples. Memory grows as (n + m) squared.

    Arguments:
        x: samples.
        y: samples.
        bandwidth: h; None takes the median distance between different points of both samples.

    Shapes:
        x: (n, d). y: (m, d). result: ().

    Raises:
        ValueError: if the shapes do not fit, a sample has fewer than two points or is not finite,
            or ``bandwidth`` is not positive.
        TypeError: if an argument holds no real numbers.

    Reference:
        Gretton et al. 2012, "A kernel two-sample test", eq. 3; section 8 (median heuristic).

    Example:
        >>> x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [1.0]])
        >>> mmd(x, y, bandwidth=1.0)
        tensor(-0.3935)
    """
    x, y = _samples(x, y, least=2)
    if bandwidth is not None and not 0 < bandwidth < float("inf"):
        raise ValueError(f"bandwidth must be positive, found {bandwidth}; pass None to choose one")
    n, m = len(x), len(y)
    both = torch.cat([x, y])
    # The matrix-product form of the distances cancels for samples far from the origin.
    distances = torch.cdist(both, both, compute_mode="donot_use_mm_for_euclid_dist")
    width = _median(distances.detach()) if bandwidth is None else bandwidth
    kernel = torch.exp(-(distances / width).square() / 2)
    within_x = (kernel[:n, :n].sum() - n) / (n * (n - 1))
    within_y = (kernel[n:, n:].sum() - m) / (m * (m - 1))
    return within_x + within_y - 2 * kernel[:n, n:].mean()


def _as_array(x: Tensor) -> np.ndarray:
    """Float64 numpy copy."""
    return x.detach().cpu().double().numpy()


def _solve(p: np.ndarray, q: np.ndarray, cost: np.ndarray) -> list[np.ndarray]:
    """Optimal plan (n, m) and potentials (n,) and (m,) of the transport program."""
    from scipy import sparse
    from scipy.optimize import linprog

    n, m = cost.shape
    margins = sparse.vstack(
        [sparse.kron(sparse.eye(n), np.ones((1, m))), sparse.kron(np.ones((1, n)), sparse.eye(m))]
    )
    # The solver's tolerances are absolute, so it gets costs of order one.
    scale = np.abs(cost).max() or 1.0
    solution = linprog(
        cost.ravel() / scale,
        A_eq=margins.tocsr(),
        b_eq=np.concatenate([p / p.sum(), q / q.sum()]),
        method="highs-ds",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    if not solution.success:
        raise RuntimeError(f"the transport program was not solved: {solution.message}")
    potentials = solution.eqlin.marginals * scale
    return [solution.x.clip(0.0).reshape(n, m), potentials[:n].copy(), potentials[n:].copy()]


def _samples(x: Values, y: Values, least: int) -> list[Tensor]:
    """Two checked samples in the same space."""
    tensors = as_tensors(x=x, y=y)
    x, y = tensors
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or x.shape[1] == 0:
        raise ValueError(
            f"x must be (n, d) and y (m, d), found shapes {tuple(x.shape)} and {tuple(y.shape)}; "
            "give samples of one number a second axis, images one flat axis"
        )
    if min(len(x), len(y)) < least:
        raise ValueError(
            f"x and y must hold at least {least} samples, found {len(x)} and {len(y)}"
        )
    check_finite(x=x, y=y)
    return tensors


def _couple(n: int, m: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Which sorted points meet on a line, and the mass they share (all at most n + m - 1 long)."""
    ends = torch.cat(
        [
            torch.arange(1, n + 1, device=device) * m,
            torch.arange(1, m + 1, device=device) * n,
        ]
    ).unique()
    starts = torch.cat([ends.new_zeros(1), ends[:-1]])
    return starts // m, starts // n, (ends - starts).double() / (n * m)


def _median(distances: Tensor) -> Tensor:
    """Median of the positive distances between pairs; one where all points coincide."""
    pairs = torch.triu_indices(len(distances), len(distances), 1, device=distances.device)
    off_diagonal = distances[pairs[0], pairs[1]]
    positive = off_diagonal[off_diagonal > 0]
    return positive.median() if positive.numel() else distances.new_ones(())
