"""Gaussian quantities against torch, scipy's matrix root, finite differences, printed numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from torch import Tensor
from torch.distributions import MultivariateNormal, kl_divergence

from inference.gaussian import gaussian_entropy, gaussian_kl, gaussian_wasserstein2

MEASURES = {"kl": gaussian_kl, "wasserstein2": gaussian_wasserstein2}


def draw(seed: int, d: int, batch: tuple[int, ...] = ()) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(*batch, d, d + 1))
    cov = root @ np.swapaxes(root, -1, -2) + 0.05 * np.eye(d)
    return torch.from_numpy(rng.normal(size=(*batch, d))), torch.from_numpy(cov)


def squared_by_formula(m1: Tensor, c1: Tensor, m2: Tensor, c2: Tensor) -> float:
    root = sqrtm(c1.numpy())
    middle = np.trace(sqrtm(root @ c2.numpy() @ root)).real
    return float((m1 - m2).square().sum() + c1.trace() + c2.trace() - 2 * middle)


def test_T3_two_gaussians() -> None:
    mq, cq = [1.0, 0.0], [[0.04, 0.0], [0.0, 4.0]]
    mp, cp = [0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]]
    for found, expected in [
        (gaussian_entropy(cq), 1.9215863345),
        (gaussian_entropy(cp), 2.8378770664),
        (gaussian_kl(mq, cq, mp, cp), 2.4362907319),
        (gaussian_kl(mp, cp, mq, cq), 23.2087092681),
        (gaussian_entropy(cq) + gaussian_kl(mq, cq, mp, cp), 4.3578770664),
        (gaussian_entropy(cp) + gaussian_kl(mp, cp, mq, cq), 26.0465863345),
        (gaussian_wasserstein2(mq, cq, mp, cp), 1.6248076809),
        (gaussian_wasserstein2(mp, cp, mq, cq), math.sqrt(2.64)),
    ]:
        assert found.dtype == torch.float64
        assert found.item() == pytest.approx(expected, abs=6e-11)
    assert gaussian_entropy(cq, base=2).item() == pytest.approx(2.77226, abs=5e-6)
    assert gaussian_entropy(cp, base=2).item() == pytest.approx(4.09419, abs=5e-6)
    bits = gaussian_kl(mq, cq, mp, cp, base=2).item()
    assert bits == pytest.approx(2.4362907319 / math.log(2), abs=1e-9)
    # The short cut for a diagonal Gaussian against the standard one (the VAE's penalty).
    short = 0.5 * sum(m**2 + v - math.log(v) - 1 for m, v in zip(mq, (0.04, 4.0), strict=True))
    assert gaussian_kl(mq, cq, mp, cp).item() == pytest.approx(short, abs=1e-14)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_against_torch_and_the_matrix_root(seed: int, d: int) -> None:
    m1, c1 = draw(seed, d)
    m2, c2 = draw(seed + 1, d)
    a, b = MultivariateNormal(m1, c1), MultivariateNormal(m2, c2)
    torch.testing.assert_close(gaussian_entropy(c1), a.entropy())
    torch.testing.assert_close(gaussian_kl(m1, c1, m2, c2), kl_divergence(a, b))
    distance = gaussian_wasserstein2(m1, c1, m2, c2).item()
    assert distance**2 == pytest.approx(squared_by_formula(m1, c1, m2, c2), rel=1e-7)
    assert distance == pytest.approx(gaussian_wasserstein2(m2, c2, m1, c1).item(), rel=1e-10)


@pytest.mark.parametrize("name", MEASURES)
def test_batches_broadcast(name: str) -> None:
    measure = MEASURES[name]
    m1, c1 = draw(0, 3, (4, 1))
    m2, c2 = draw(1, 3, (2,))
    found = measure(m1, c1, m2, c2)
    assert found.shape == (4, 2)
    for i in range(4):
        for j in range(2):
            alone = measure(m1[i, 0], c1[i, 0], m2[j], c2[j])
            torch.testing.assert_close(found[i, j], alone)
    shared = measure(m1[:, 0], c1[0, 0], m2[0], c2[0])
    assert shared.shape == (4,)


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equal_gaussians_are_at_zero(name: str, dtype: torch.dtype) -> None:
    m, c = (x.to(dtype) for x in draw(3, 6))
    found = MEASURES[name](m, c, m, c)
    assert found.dtype == dtype
    assert abs(found.item()) < 100 * torch.finfo(dtype).eps


def test_wasserstein_of_a_translation_is_its_length() -> None:
    m, c = draw(5, 4)
    shift = torch.tensor([3.0, 0.0, 4.0, 0.0]).double()
    assert gaussian_wasserstein2(m, c, m + shift, c).item() == pytest.approx(5.0, abs=1e-12)


def test_wasserstein_of_singular_covariances() -> None:
    zero = torch.zeros(2).double()
    line = torch.tensor([[4.0, 0.0], [0.0, 0.0]]).double()
    other = torch.tensor([[0.0, 0.0], [0.0, 9.0]]).double()
    assert gaussian_wasserstein2(zero, line, zero, other).item() == pytest.approx(math.sqrt(13))
    assert gaussian_wasserstein2(zero, 0 * line, zero, line).item() == pytest.approx(2.0)
    diagonal = torch.ones(2, 2).double()
    assert gaussian_wasserstein2(zero, diagonal, zero, diagonal).item() == pytest.approx(
        0, abs=1e-7
    )


def from_free(free: Tensor) -> tuple[Tensor, Tensor]:
    """A Gaussian in two dimensions from six free numbers."""
    root = free[2:].reshape(2, 2)
    return free[:2], root @ root.mT + 0.3 * torch.eye(2, dtype=free.dtype)


@pytest.mark.parametrize("name", MEASURES)
def test_derivatives(name: str) -> None:
    generator = torch.Generator().manual_seed(2)
    a, b = (
        torch.randn(6, dtype=torch.float64, generator=generator).requires_grad_() for _ in range(2)
    )
    assert torch.autograd.gradcheck(
        lambda x, y: MEASURES[name](*from_free(x), *from_free(y)), (a, b)
    )
    assert torch.autograd.gradcheck(lambda x: gaussian_entropy(from_free(x)[1]), (a,))


def test_wasserstein_has_gradients_where_eigenvalues_or_gaussians_coincide() -> None:
    eye = torch.eye(3, dtype=torch.float64)
    m = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    c = (4 * eye).requires_grad_()
    by_m, by_c = torch.autograd.grad(gaussian_wasserstein2(m, c, m.detach(), eye), (m, c))
    assert by_m.eq(0).all()
    # sqrt(3) (s - 1) for s = 2 in each of three directions, and d s / d s^2 = 1 / 4.
    torch.testing.assert_close(by_c, eye / math.sqrt(3) / 4)
    by_m, by_c = torch.autograd.grad(gaussian_wasserstein2(m, c, m.detach(), c.detach()), (m, c))
    assert by_m.eq(0).all() and by_c.isfinite().all()


@pytest.mark.parametrize(
    ("cov", "message"),
    [
        ([[1.0, 2.0], [2.0, 1.0]], "found the eigenvalue -1"),
        ([[1.0, 1.0], [1.0, 1.0]], "must be positive definite"),
        ([[1.0, 0.1], [0.2, 1.0]], "must be symmetric .* differ by 0.1"),
        ([1.0, 2.0], r"must be \(..., d, d\), found shape \(2,\); pass variances as"),
        ([[1.0, 0.0]], r"found shape \(1, 2\)"),
        ([[1.0, math.nan], [0.0, 1.0]], "must not hold NaN"),
        ([[1.0, 0.0], [0.0, math.inf]], r"must be finite, found inf at index \(1, 1\)"),
    ],
)
def test_bad_covariances_are_refused_by_name(cov: Any, message: str) -> None:
    with pytest.raises(ValueError, match="^cov .*" + message):
        gaussian_entropy(cov)
    if np.shape(cov) == (2, 2):
        with pytest.raises(ValueError, match="^c2 .*" + message):
            gaussian_kl([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0], cov)


def test_bad_arguments_are_refused() -> None:
    eye, zero = [[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0]
    with pytest.raises(ValueError, match=r"with one d, found .* \(1,\)"):
        gaussian_kl(zero, eye, [0.0], eye)
    with pytest.raises(ValueError, match="with one d"):
        gaussian_wasserstein2(0.0, eye, zero, eye)
    with pytest.raises(ValueError, match="m1 must be finite"):
        gaussian_wasserstein2([math.inf, 0.0], eye, zero, eye)
    with pytest.raises(ValueError, match="c2 must have no negative eigenvalue, found -1"):
        gaussian_wasserstein2(zero, eye, zero, [[1.0, 2.0], [2.0, 1.0]])
    with pytest.raises(ValueError, match="base must be positive"):
        gaussian_entropy(eye, base=1)


def test_wasserstein2_of_a_singular_entry_leaves_derivatives_of_the_others() -> None:
    # Of equal eigenvalues, whose vectors have no derivative.
    mean, cov = torch.zeros(3, dtype=torch.float64), 2 * torch.eye(3, dtype=torch.float64)
    target = draw(4, 3)
    alone, together = (x.clone().requires_grad_() for x in (cov, cov))
    (expected,) = torch.autograd.grad(gaussian_wasserstein2(mean, alone, *target), alone)
    singular = torch.diag(torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64))
    batch = torch.stack([singular, together])
    values = gaussian_wasserstein2(mean, batch, *target)
    (found,) = torch.autograd.grad(values[1], together)
    torch.testing.assert_close(found, expected)
    single = [gaussian_wasserstein2(mean, c, *target) for c in (singular, cov)]
    torch.testing.assert_close(values.detach(), torch.stack(single))
