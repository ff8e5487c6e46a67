"""Log-space sums and products against scipy, exact decimals and finite differences."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from decimal import Context, Decimal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import logsumexp as scipy_logsumexp
from torch import Tensor

from inference.logspace import log1mexp, log_matmul, log_normalize, logsumexp, safe_log

INF = math.inf
ENTRIES = st.one_of(st.floats(-800, 800), st.sampled_from([-INF, 0.0]))
TABLES = hnp.arrays(
    np.float64, hnp.array_shapes(min_dims=3, max_dims=3, max_side=4), elements=ENTRIES
)


def double(values: object, requires_grad: bool = False) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, requires_grad=requires_grad)


@settings(deadline=None, max_examples=100)
@given(TABLES, st.sampled_from([0, -1, (0, 2), (0, 1, 2)]), st.booleans())
def test_logsumexp_equals_scipy(x: np.ndarray, dim: int | tuple[int, ...], keepdim: bool) -> None:
    expected = np.asarray(scipy_logsumexp(x, axis=dim, keepdims=keepdim))
    found = logsumexp(torch.from_numpy(x), dim, keepdim)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-13, atol=1e-13)


@settings(deadline=None, max_examples=100)
@given(TABLES)
def test_logsumexp_gradient_is_the_softmax_and_zero_on_dead_slices(x: np.ndarray) -> None:
    leaf = double(x, requires_grad=True)
    logsumexp(leaf, 1).sum().backward()
    dead = np.isneginf(x).all(1, keepdims=True)
    with np.errstate(invalid="ignore"):
        softmax = np.exp(x - scipy_logsumexp(x, axis=1, keepdims=True))
    assert leaf.grad is not None
    np.testing.assert_allclose(leaf.grad, np.where(dead, 0.0, softmax), rtol=1e-9, atol=1e-12)


def test_logsumexp_limits() -> None:
    x = double([[-INF, -INF], [INF, 0.0], [INF, INF], [INF, -INF]], requires_grad=True)
    y = logsumexp(x, 1)
    assert y.tolist() == [-INF, INF, INF, INF]
    y.sum().backward()
    assert x.grad is not None and x.grad.eq(0).all()
    assert logsumexp(double([0.0, math.nan]), 0).isnan()


def test_logsumexp_does_not_overflow_or_underflow() -> None:
    for shift in (-1e5, 1e5):
        assert logsumexp(double([shift, shift]), 0).item() == pytest.approx(shift + math.log(2))


def test_logsumexp_over_no_axis_and_over_an_empty_axis() -> None:
    x = double([[1.0, -INF]])
    assert logsumexp(x, ()).equal(x)
    assert logsumexp(torch.zeros(2, 0), 1).tolist() == [-INF, -INF]
    assert logsumexp(torch.zeros(2, 0), 1, keepdim=True).shape == (2, 1)
    assert logsumexp(double(3.0), 0).item() == 3.0
    with pytest.raises(IndexError):
        logsumexp(x, 2)


def with_hard_zeros(free: Tensor) -> Tensor:
    """Five free entries in a table with a dead row and a dead column."""
    table = free.new_full((4, 3), -INF)
    rows, columns = torch.tensor([0, 0, 1, 3, 3]), torch.tensor([0, 1, 1, 0, 1])
    return table.index_put((rows, columns), free)


@pytest.mark.parametrize("dim", [0, 1, (0, 1)])
def test_logsumexp_derivatives_with_hard_zeros(dim: int | tuple[int, ...]) -> None:
    def live(free: Tensor) -> Tensor:
        total = logsumexp(with_hard_zeros(free), dim)
        return total[total > -INF]

    free = double([0.3, -1.2, 2.0, 0.1, -0.4], requires_grad=True)
    assert torch.autograd.gradcheck(live, free)
    assert torch.autograd.gradgradcheck(live, free)


def test_logsumexp_second_derivative_is_finite_at_the_zeros_themselves() -> None:
    x = double([[0.5, -INF, 1.0], [-INF, -INF, -INF]], requires_grad=True)
    (first,) = torch.autograd.grad(logsumexp(x, 1).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), x)
    p = torch.softmax(double([0.5, 1.0]), 0)
    slope = 2 * p * (p - p.square().sum())
    expected = [[slope[0].item(), 0.0, slope[1].item()], [0.0, 0.0, 0.0]]
    torch.testing.assert_close(second, double(expected))


def test_log_matmul_keeps_operands_of_opposed_magnitude() -> None:
    a, b = torch.tensor([[0.0, -300.0]]), torch.tensor([[-300.0], [0.0]])
    assert a.dtype == torch.float32
    assert log_matmul(a, b).item() == pytest.approx(-300 + math.log(2), abs=1e-4)
    assert log_matmul(-a, -b).item() == pytest.approx(300 + math.log(2), abs=1e-4)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))
def test_log_matmul_is_the_matrix_product(seed: int, n: int, k: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    a = rng.random((3, 1, n, k)) * (rng.random((3, 1, n, k)) > 0.3)
    b = rng.random((2, k, m)) * (rng.random((2, k, m)) > 0.3)
    found = log_matmul(safe_log(double(a)), safe_log(double(b)))
    assert found.shape == (3, 2, n, m)
    np.testing.assert_allclose(found.exp(), a @ b, rtol=1e-12, atol=1e-300)


def test_log_matmul_of_nothing_is_the_empty_sum() -> None:
    assert log_matmul(torch.zeros(2, 0), torch.zeros(0, 1)).tolist() == [[-INF], [-INF]]


def test_log_matmul_derivatives_with_hard_zeros() -> None:
    def product(free: Tensor) -> Tensor:
        total = log_matmul(with_hard_zeros(free), with_hard_zeros(free).mT)
        return total[total > -INF]

    free = double([0.3, -1.2, 2.0, 0.1, -0.4], requires_grad=True)
    assert torch.autograd.gradcheck(product, free)
    assert torch.autograd.gradgradcheck(product, free)


@pytest.mark.parametrize("shapes", [((2, 3), (2, 3)), ((3,), (3, 1)), ((2, 1), (5, 2))])
def test_log_matmul_refuses_shapes_that_do_not_fit(shapes: tuple[tuple, tuple]) -> None:
    with pytest.raises(ValueError, match="a and b must be"):
        log_matmul(torch.zeros(shapes[0]), torch.zeros(shapes[1]))


@settings(deadline=None, max_examples=100)
@given(TABLES, st.sampled_from([1, (0, 2)]))
def test_log_normalize_sums_to_one_or_stays_impossible(
    x: np.ndarray, dim: int | tuple[int, ...]
) -> None:
    y = log_normalize(torch.from_numpy(x), dim).numpy()
    dead = np.isneginf(x).all(axis=dim, keepdims=True)
    sums = np.exp(y).sum(axis=dim, keepdims=True)
    np.testing.assert_allclose(sums, np.where(dead, 0.0, 1.0), rtol=1e-12)
    assert np.array_equal(np.isneginf(y), np.isneginf(x))


def test_log_normalize_gradient() -> None:
    x = double([[0.2, -0.7, 1.5], [-INF, -INF, -INF]], requires_grad=True)
    weights = double([[1.0, -2.0, 0.5], [3.0, 1.0, 2.0]])
    (log_normalize(x, 1) * weights).masked_fill(x == -INF, 0.0).sum().backward()
    p = torch.softmax(x[0].detach(), 0)
    assert x.grad is not None
    torch.testing.assert_close(x.grad[0], weights[0] - p * weights[0].sum())
    assert x.grad[1].tolist() == [0.0, 0.0, 0.0]


def test_safe_log_value_and_gradient() -> None:
    x = double([0.0, 0.5, 4.0, INF], requires_grad=True)
    y = safe_log(x)
    torch.testing.assert_close(y, double([-INF, math.log(0.5), math.log(4.0), INF]))
    (first,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    assert first.tolist() == [0.0, 2.0, 0.25, 0.0]
    (second,) = torch.autograd.grad(first.sum(), x)
    assert second.tolist() == [0.0, -4.0, -0.0625, 0.0]
    assert safe_log(double([-1.0, math.nan])).isnan().all()


@settings(deadline=None, max_examples=100)
@given(st.floats(-700, -1e-300))
def test_log1mexp_is_accurate_to_the_last_digits(x: float) -> None:
    exact = Context(prec=400, Emin=-(10**6))
    expected = float(exact.ln(exact.subtract(Decimal(1), exact.exp(Decimal(x)))))
    assert log1mexp(double(x)).item() == pytest.approx(expected, rel=4e-16 * 4, abs=0)


def test_log1mexp_limits_and_derivative() -> None:
    x = double([-INF, 0.0], requires_grad=True)
    y = log1mexp(x)
    assert y.tolist() == [0.0, -INF]
    y.sum().backward()
    assert x.grad is not None and x.grad.eq(0).all()
    assert log1mexp(double([0.5, math.nan])).isnan().all()
    inner = double([-3.0, -math.log(2.0) - 0.01, -0.6, -1e-3], requires_grad=True)
    assert torch.autograd.gradcheck(log1mexp, inner, eps=1e-7)


def test_shared_modules_import_nothing_heavy() -> None:
    names = ("logspace", "random", "information", "gaussian", "transport")
    code = "import sys; import " + ", ".join(f"inference.{name}" for name in names)
    code += "; print(sorted({'scipy', 'pandas', 'pyro', 'networkx'} & set(sys.modules)))"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert run.stdout.strip() == "[]", run.stderr
