"""Transport distances against the one-dimensional formula, scipy and brute force.

Statistical tests draw from fixed seeds, so their outcome never changes; had the seeds been free,
one of them would raise a false alarm with probability at most 1e-6.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from inference.gaussian import gaussian_wasserstein2
from inference.transport import Transport, earth_movers_distance, mmd, sliced_wasserstein


def check_optimal(found: Transport, p: np.ndarray, q: np.ndarray, cost: np.ndarray) -> None:
    """Feasible plan, feasible potentials and equal values prove both optimal."""
    plan, u, v = found.plan.numpy(), found.dual_p.numpy(), found.dual_q.numpy()
    scale = max(np.abs(cost).max(), 1e-300)
    assert plan.min() >= 0
    np.testing.assert_allclose(plan.sum(1), p, atol=1e-9)
    np.testing.assert_allclose(plan.sum(0), q, atol=1e-9)
    assert (u[:, None] + v[None, :] - cost).max() <= 1e-9 * scale
    assert (plan * cost).sum() == pytest.approx(found.value.item(), abs=1e-12 * scale)
    assert p @ u + q @ v == pytest.approx(found.value.item(), abs=1e-9 * scale)


def test_T26_primal_dual_and_distribution_function_agree() -> None:
    positions = np.arange(5.0)
    cost = np.abs(positions[:, None] - positions)
    p, q = np.array([0.1, 0.4, 0.2, 0.2, 0.1]), np.array([0.3, 0.1, 0.1, 0.1, 0.4])
    found = earth_movers_distance(p, q, cost)
    assert found.value.item() == pytest.approx(0.8, abs=1e-12)
    assert np.abs(np.cumsum(p - q)).sum() == pytest.approx(0.8, abs=1e-12)
    check_optimal(found, p, q, cost)
    first, last = np.eye(4)[0], np.eye(4)[3]
    assert earth_movers_distance(first, last, cost[:4, :4]).value.item() == 3.0


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 6))
def test_on_a_line_it_is_the_area_between_distribution_functions(
    seed: int, n: int, m: int
) -> None:
    rng = np.random.default_rng(seed)
    p, q = rng.dirichlet(np.full(n, 0.7)), rng.dirichlet(np.full(m, 0.7))
    x, y = rng.normal(size=n) * 50, rng.normal(size=m) * 50
    cost = np.abs(x[:, None] - y)
    found = earth_movers_distance(p, q, cost)
    expected = stats.wasserstein_distance(x, y, p, q)
    assert found.value.item() == pytest.approx(expected, rel=1e-9, abs=1e-9)
    check_optimal(found, p, q, cost)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_equal_masses_are_an_assignment(scale: float) -> None:
    rng = np.random.default_rng(1)
    cost = rng.normal(size=(5, 5)) * scale
    found = earth_movers_distance(np.full(5, 0.2), np.full(5, 0.2), cost)
    best = min(sum(cost[i, j] for i, j in enumerate(s)) for s in itertools.permutations(range(5)))
    assert found.value.item() == pytest.approx(best / 5, rel=1e-9)
    check_optimal(found, np.full(5, 0.2), np.full(5, 0.2), cost)


def test_potentials_are_the_derivative_of_the_value() -> None:
    rng = np.random.default_rng(2)
    p, q, cost = rng.dirichlet(np.ones(4)), rng.dirichlet(np.ones(3)), rng.random((4, 3))
    found = earth_movers_distance(p, q, cost)
    moved = p + 1e-5 * np.array([1, -1, 0, 0])
    change = earth_movers_distance(moved, q, cost).value - found.value
    assert change.item() == pytest.approx(
        1e-5 * (found.dual_p[0] - found.dual_p[1]).item(), rel=1e-6
    )


def test_earth_movers_distance_takes_tensors_and_zero_cost() -> None:
    p = torch.tensor([0.5, 0.5], requires_grad=True)
    found = earth_movers_distance(p, torch.tensor([1.0]), torch.zeros(2, 1))
    assert found.value.item() == 0.0 and not found.value.requires_grad
    assert all(x.dtype == torch.float64 for x in found)
    assert found.plan.shape == (2, 1)


@pytest.mark.parametrize(
    ("p", "q", "cost", "message"),
    [
        ([0.5, 0.4], [1.0], [[1.0], [1.0]], "^p must sum to one"),
        ([0.5, 0.5], [1.5, -0.5], [[1.0, 1.0]] * 2, "^q must hold probabilities"),
        (
            [0.5, 0.5],
            [1.0],
            [[1.0, 1.0]],
            r"^p must be \(n,\).*found shapes \(2,\), \(1,\) and \(1, 2\)",
        ),
        ([[0.5, 0.5]], [1.0], [[1.0]], r"^p must be \(n,\)"),
        (
            [0.5, 0.5],
            [1.0],
            [[1.0], [math.inf]],
            r"^cost must be finite, found inf at index \(1, 0\)",
        ),
        ([0.5, 0.5], [1.0], [[1.0], [math.nan]], "^cost must not hold NaN"),
    ],
)
def test_earth_movers_distance_refuses(p: list, q: list, cost: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        earth_movers_distance(p, q, cost)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(1, 7), st.integers(1, 7))
def test_sliced_distance_on_a_line_is_exact(seed: int, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, 1)), rng.normal(size=(m, 1))
    found = sliced_wasserstein(x, y, p=1, n_projections=3, generator=seed)
    expected = stats.wasserstein_distance(x[:, 0], y[:, 0])
    assert found.item() == pytest.approx(expected, rel=1e-10)
    # Repeating every point until the sizes agree turns the problem into pairing sorted points.
    pairs = np.sort(np.repeat(x, m)), np.sort(np.repeat(y, n))
    expected = np.mean(np.abs(pairs[0] - pairs[1]) ** 3) ** (1 / 3)
    found = sliced_wasserstein(x, y, p=3, n_projections=3, generator=seed)
    assert found.item() == pytest.approx(expected, rel=1e-10)


def test_sliced_distance_of_a_translation() -> None:
    # The mean over directions of (shift . theta)^2 is |shift|^2 / d; its standard deviation over
    # one direction is below 0.75 |shift|^2 in three dimensions. Five standard errors.
    rng = np.random.default_rng(3)
    x, shift = rng.normal(size=(30, 3)), np.array([0.0, 6.0, 0.0])
    n = 20_000
    found = sliced_wasserstein(x, x + shift, n_projections=n, generator=7).item() ** 2
    spread = 36 * math.sqrt(1 / 5 - 1 / 9) / math.sqrt(n)
    assert abs(found - 12.0) < 5 * spread
    assert sliced_wasserstein(x, x, generator=7).item() == 0.0


def test_sliced_distance_seeds_and_dtype() -> None:
    x, y = torch.randn(2, 20, 3, generator=torch.Generator().manual_seed(0))
    before = torch.get_rng_state()
    first = sliced_wasserstein(x, y, generator=1)
    assert first.dtype == torch.float32 and first.shape == ()
    assert first.equal(sliced_wasserstein(x, y, generator=torch.Generator().manual_seed(1)))
    assert not first.equal(sliced_wasserstein(x, y, generator=2))
    assert not sliced_wasserstein(x, y).equal(sliced_wasserstein(x, y))
    assert torch.get_rng_state().equal(before)


@pytest.mark.parametrize("p", [1.0, 2.0, 2.5])
def test_sliced_distance_derivatives(p: float) -> None:
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(4, 2, dtype=torch.float64, generator=generator).requires_grad_()
    y = torch.randn(3, 2, dtype=torch.float64, generator=generator).requires_grad_()

    def distance(a: Tensor, b: Tensor) -> Tensor:
        return sliced_wasserstein(a, b, n_projections=5, p=p, generator=9)

    assert torch.autograd.gradcheck(distance, (x, y))
    (at_zero,) = torch.autograd.grad(distance(x, x.detach()), x)
    assert at_zero.isfinite().all()


def mmd_by_loops(x: np.ndarray, y: np.ndarray, h: float) -> float:
    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return math.exp(-float(((a - b) ** 2).sum()) / (2 * h * h))

    n, m = len(x), len(y)
    within_x = sum(kernel(x[i], x[j]) for i in range(n) for j in range(n) if i != j)
    within_y = sum(kernel(y[i], y[j]) for i in range(m) for j in range(m) if i != j)
    between = sum(kernel(a, b) for a in x for b in y)
    return within_x / (n * (n - 1)) + within_y / (m * (m - 1)) - 2 * between / (n * m)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.integers(2, 6))
def test_mmd_equals_loops(seed: int, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, 3)), rng.normal(size=(m, 3)) + 1e6
    x += 1e6
    assert mmd(x, y, bandwidth=0.7).item() == pytest.approx(mmd_by_loops(x, y, 0.7), abs=1e-9)
    both = np.concatenate([x, y])
    pairs = itertools.combinations(both, 2)
    distances = sorted(float(np.linalg.norm(a - b)) for a, b in pairs)
    median = distances[(len(distances) - 1) // 2]
    assert mmd(x, y).item() == pytest.approx(mmd_by_loops(x, y, median), abs=1e-9)


def chance_of_mean(values: list[float], mean: float) -> float:
    """Two-sided p-value of a mean, by the central limit theorem."""
    z = (np.mean(values) - mean) / (np.std(values, ddof=1) / math.sqrt(len(values)))
    return float(2 * stats.norm.sf(abs(z)))


def test_mmd_is_unbiased_and_tells_laws_apart() -> None:
    rng = np.random.default_rng(5)
    same = [
        mmd(rng.normal(size=(8, 1)), rng.normal(size=(8, 1)), bandwidth=1.0).item()
        for _ in range(400)
    ]
    assert chance_of_mean(same, 0.0) > 1e-6
    # E k for a difference N(m, s^2) is h / sqrt(h^2 + s^2) exp(-m^2 / 2 (h^2 + s^2)).
    expected = 2 * (1 - math.exp(-4 / 6)) / math.sqrt(3)
    apart = [
        mmd(rng.normal(size=(8, 1)), rng.normal(size=(8, 1)) + 2, bandwidth=1.0).item()
        for _ in range(400)
    ]
    assert chance_of_mean(apart, expected) > 1e-6
    assert chance_of_mean(apart, 0.0) < 1e-6


def test_mmd_of_points_that_all_coincide_is_zero() -> None:
    assert mmd(torch.ones(3, 2), torch.ones(4, 2)).item() == 0.0


def test_mmd_derivatives() -> None:
    generator = torch.Generator().manual_seed(6)
    x = torch.randn(4, 2, dtype=torch.float64, generator=generator).requires_grad_()
    y = torch.randn(3, 2, dtype=torch.float64, generator=generator).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: mmd(a, b, bandwidth=1.3), (x, y))
    (at_zero,) = torch.autograd.grad(mmd(x, x.detach()), x)
    assert at_zero.isfinite().all()


def test_bad_samples_are_refused() -> None:
    x = torch.zeros(3, 2)
    for measure in (sliced_wasserstein, mmd):
        with pytest.raises(ValueError, match=r"found shapes \(3, 2\) and \(3, 1\)"):
            measure(x, x[:, :1])
        with pytest.raises(ValueError, match=r"x must be \(n, d\)"):
            measure(x[:, 0], x[:, 0])
        with pytest.raises(ValueError, match="y must be finite"):
            measure(x, x + math.inf)
        with pytest.raises(ValueError, match="found 3 and 0"):
            measure(x, x[:0])
    with pytest.raises(ValueError, match="at least 2 samples, found 1 and 3"):
        mmd(x[:1], x)
    with pytest.raises(ValueError, match="bandwidth must be positive, found 0"):
        mmd(x, x, bandwidth=0)
    with pytest.raises(ValueError, match="n_projections must be at least 1"):
        sliced_wasserstein(x, x, n_projections=0)
    with pytest.raises(ValueError, match=r"p must be finite and at least 1, found 0\.5"):
        sliced_wasserstein(x, x, p=0.5)


def test_distances_agree_on_a_line_of_gaussian_quantiles() -> None:
    quantiles = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)[:, None]
    found = sliced_wasserstein(quantiles, 3 + 2 * quantiles, n_projections=1, generator=0)
    expected = gaussian_wasserstein2([0.0], [[1.0]], [3.0], [[4.0]])
    assert found.item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize(("p", "scale"), [(50.0, 1e8), (500.0, 1e3), (2.0, 1e200), (2.0, 1e-200)])
def test_sliced_distance_keeps_its_range(p: float, scale: float) -> None:
    # Shifted by one number, every gap is that number.
    x = torch.tensor([[0.0], [1.0], [5.0]], dtype=torch.float64) * scale
    shift = torch.full((1,), 3 * scale, dtype=torch.float64, requires_grad=True)
    found = sliced_wasserstein(x, x + shift, p=p, generator=0)
    found.backward()
    assert found.item() == pytest.approx(3 * scale)
    assert shift.grad is not None
    assert shift.grad.item() == pytest.approx(1.0)


@pytest.mark.parametrize("n_projections", [2.5, True])
def test_number_of_projections_is_whole(n_projections: object) -> None:
    with pytest.raises(TypeError, match="n_projections must be a whole number"):
        sliced_wasserstein([[0.0]], [[1.0]], n_projections=n_projections)  # pyright: ignore
