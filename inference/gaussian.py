"""Information and transport between Gaussians, in closed form, with full covariances.

.. math:: N(x; \\mu, \\Sigma) = |2 \\pi \\Sigma|^{-1/2}
          \\exp\\bigl(-\\tfrac12 (x - \\mu)^T \\Sigma^{-1} (x - \\mu)\\bigr)
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from inference.inputs import Values, as_tensors, check_finite, log_base, tolerance

__all__ = ["gaussian_entropy", "gaussian_kl", "gaussian_wasserstein2", "standard_normal_kl"]


def gaussian_entropy(cov: Values, base: float = math.e) -> Tensor:
    """Differential entropy of a Gaussian.

    .. math:: h = \\tfrac{d}{2} (1 + \\log 2\\pi) + \\tfrac12 \\log |\\Sigma|

    Arguments:
        cov: covariance.
        base: of the logarithm; e gives nats, 2 gives bits.

    Shapes:
        cov: (..., d, d). result: (...).

    Raises:
        ValueError: if ``cov`` is not square, symmetric and positive definite, or if ``base`` is
            not positive or is one.
        TypeError: if ``cov`` holds no real numbers.

    Reference:
        Cover & Thomas 2006, theorem 8.4.1.

    Example:
        >>> gaussian_entropy([[0.04, 0.0], [0.0, 4.0]])
        tensor(1.9216, dtype=torch.float64)
    """
    unit = log_base(base)
    (cov,) = as_tensors(cov=cov)
    root = _cholesky("cov", cov)
    nats = cov.shape[-1] / 2 * (1 + math.log(2 * math.pi)) + _half_log_det(root)
    return nats / unit


def gaussian_kl(m1: Values, c1: Values, m2: Values, c2: Values, base: float = math.e) -> Tensor:
    """Kullback-Leibler divergence D(N(m1, c1) || N(m2, c2)).

    .. math:: D = \\tfrac12 \\Bigl[(\\mu_2 - \\mu_1)^T \\Sigma_2^{-1} (\\mu_2 - \\mu_1)
              + \\operatorname{tr}(\\Sigma_2^{-1} \\Sigma_1)
              + \\log \\frac{|\\Sigma_2|}{|\\Sigma_1|} - d\\Bigr]

    Arguments:
        m1: mean of the first Gaussian.
        c1: covariance of the first Gaussian.
        m2: mean of the second Gaussian.
        c2: covariance of the second Gaussian.
        base: of the logarithm; e gives nats, 2 gives bits.

    Shapes:
        m1, m2: (..., d). c1, c2: (..., d, d). result: (...), leading axes broadcast.

    Raises:
        ValueError: if the dimensions differ, a covariance is not symmetric and positive
            definite, or ``base`` is not positive or is one.
        TypeError: if an argument holds no real numbers.

    Reference:
        Rasmussen & Williams 2006, "Gaussian processes for machine learning", eq. A.23.

    Example:
        >>> identity = [[1.0, 0.0], [0.0, 1.0]]
        >>> gaussian_kl([1.0, 0.0], [[0.04, 0.0], [0.0, 4.0]], [0.0, 0.0], identity)
        tensor(2.4363, dtype=torch.float64)
    """
    unit = log_base(base)
    m1, c1, m2, c2 = _pair(m1, c1, m2, c2)
    r1, r2 = _cholesky("c1", c1), _cholesky("c2", c2)
    scale = torch.linalg.solve_triangular(r2, r1, upper=False)
    shift = torch.linalg.solve_triangular(r2, (m2 - m1).unsqueeze(-1), upper=False)
    squares = scale.square().sum((-2, -1)) + shift.square().sum((-2, -1))
    nats = (squares - m1.shape[-1]) / 2 + _half_log_det(r2) - _half_log_det(r1)
    return nats / unit


def gaussian_wasserstein2(m1: Values, c1: Values, m2: Values, c2: Values) -> Tensor:
    """Wasserstein distance of order two between Gaussians (the distance, not its square).

    .. math:: W_2^2 = \\|\\mu_1 - \\mu_2\\|^2 + \\operatorname{tr} \\bigl(\\Sigma_1 + \\Sigma_2
              - 2 (\\Sigma_1^{1/2} \\Sigma_2 \\Sigma_1^{1/2})^{1/2}\\bigr)

    The trace is the least squared distance between a root of one covariance and the rotated roots
    of the other, and is computed as that: nothing cancels, so equal Gaussians are at distance zero
    to rounding. Singular covariances are allowed. First derivatives are exact where both
    covariances are positive definite (zero at distance zero); second derivatives leave out how
    the rotation moves.

    Arguments:
        m1: mean of the first Gaussian.
        c1: covariance of the first Gaussian.
        m2: mean of the second Gaussian.
        c2: covariance of the second Gaussian.

    Shapes:
        m1, m2: (..., d). c1, c2: (..., d, d). result: (...), leading axes broadcast; the unit is
        that of the means.

    Raises:
        ValueError: if the dimensions differ, or a covariance is not symmetric or has a negative
            eigenvalue.
        TypeError: if an argument holds no real numbers.

    Reference:
        Peyre & Cuturi 2019, "Computational optimal transport", eq. 2.41 and 2.42; Bhatia, Jain &
        Lim 2019, "On the Bures-Wasserstein distance", theorem 1 (the rotated roots).

    Example:
        >>> identity = [[1.0, 0.0], [0.0, 1.0]]
        >>> gaussian_wasserstein2([1.0, 0.0], [[0.04, 0.0], [0.0, 4.0]], [0.0, 0.0], identity)
        tensor(1.6248, dtype=torch.float64)
    """
    m1, c1, m2, c2 = _pair(m1, c1, m2, c2)
    r1, r2 = _root("c1", c1), _root("c2", c2)
    # The best rotation needs no gradient: the distance is stationary in it (envelope theorem).
    left, _, right = torch.linalg.svd((r2.mT @ r1).detach())
    turned = torch.linalg.matrix_norm(r1 - r2 @ (left @ right))
    moved = torch.linalg.vector_norm(m1 - m2, dim=-1)
    return torch.linalg.vector_norm(torch.stack(torch.broadcast_tensors(moved, turned)), dim=0)


def standard_normal_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Kullback-Leibler divergence of independent normal numbers from standard ones, each, nats.

    .. math:: D\\bigl(N(\\mu, \\sigma^2) \\,\\|\\, N(0, 1)\\bigr)
              = \\tfrac12 (\\mu^2 + \\sigma^2 - 1 - \\log \\sigma^2)

    Nothing is checked: it stands in the inner loop of learning.

    Arguments:
        mean: of every number.
        log_variance: of every number.

    Shapes:
        mean, log_variance, result: the same.

    Reference:
        Kingma & Welling 2014, "Auto-encoding variational Bayes", appendix B.

    Example:
        >>> standard_normal_kl(torch.tensor([1.0, 0.0]), torch.tensor([0.04, 4.0]).log()).sum()
        tensor(2.4363)
    """
    # Near the standard law the exponential less one would cancel.
    return 0.5 * (mean.square() + log_variance.expm1() - log_variance)


def _pair(m1: Values, c1: Values, m2: Values, c2: Values) -> list[Tensor]:
    """Two Gaussians of the same dimension as tensors."""
    tensors = as_tensors(m1=m1, c1=c1, m2=m2, c2=c2)
    m1, c1, m2, c2 = tensors
    check_finite(m1=m1, m2=m2)
    sizes = {x.shape[-1] if x.ndim else None for x in tensors}
    if None in sizes or len(sizes) > 1:
        shapes = ", ".join(str(tuple(x.shape)) for x in tensors)
        raise ValueError(
            "m1 and m2 must be (..., d) and c1 and c2 (..., d, d) with one d, "
            f"found m1, c1, m2, c2 of shapes {shapes}"
        )
    return tensors


def _symmetric(name: str, cov: Tensor) -> Tensor:
    """Check that a covariance is square and symmetric, and remove its rounding."""
    if cov.ndim < 2 or cov.shape[-1] != cov.shape[-2] or cov.shape[-1] == 0:
        raise ValueError(
            f"{name} must be (..., d, d), found shape {tuple(cov.shape)}; "
            "pass variances as torch.diag_embed(variances)"
        )
    check_finite(**{name: cov})
    largest = cov.abs().amax((-2, -1), keepdim=True)
    if ((cov - cov.mT).abs() > tolerance(cov.dtype) * largest).any():
        gap = (cov - cov.mT).abs().max().item()
        raise ValueError(
            f"{name} must be symmetric within {tolerance(cov.dtype):g} of its largest entry, "
            f"found opposite entries that differ by {gap:g}; pass (c + c.mT) / 2"
        )
    return (cov + cov.mT) / 2


def _cholesky(name: str, cov: Tensor) -> Tensor:
    """Lower triangular root of a positive definite covariance."""
    cov = _symmetric(name, cov)
    root, failed = torch.linalg.cholesky_ex(cov)
    if failed.any():
        least = torch.linalg.eigvalsh(cov).min().item()
        raise ValueError(
            f"{name} must be positive definite, found the eigenvalue {least:g}; "
            "add a small multiple of the identity"
        )
    return root


def _root(name: str, cov: Tensor) -> Tensor:
    """Some r with r r^T = cov, for a covariance that may be singular."""
    cov = _symmetric(name, cov)
    root, failed = torch.linalg.cholesky_ex(cov)
    if not failed.any():
        return root
    singular = failed.bool()
    values, vectors = torch.linalg.eigh(cov[singular])
    if (values < -tolerance(cov.dtype) * values[..., -1:].abs()).any():
        raise ValueError(
            f"{name} must have no negative eigenvalue, found {values.min().item():g}; "
            "pass a covariance"
        )
    # Each kind by itself: what has no derivative here must not spoil those of the others.
    found = torch.zeros_like(cov)
    found[singular] = vectors * values.clamp_min(0.0).sqrt().unsqueeze(-2)
    found[~singular] = torch.linalg.cholesky(cov[~singular])
    return found


def _half_log_det(root: Tensor) -> Tensor:
    """Half the log-determinant of the covariance with this Cholesky root."""
    return root.diagonal(dim1=-2, dim2=-1).log().sum(-1)
