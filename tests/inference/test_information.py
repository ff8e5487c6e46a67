"""Information measures against scipy, identities, brute force and printed numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor, distributions

from inference.information import (
    conditional_entropy,
    cross_entropy,
    entropy,
    js_divergence,
    kl_divergence,
    mutual_information,
    perplexity,
    pointwise_mutual_information,
)

INF = math.inf
T29_JOINT = [
    [1 / 8, 1 / 16, 1 / 32, 1 / 32],
    [1 / 16, 1 / 8, 1 / 32, 1 / 32],
    [1 / 16, 1 / 16, 1 / 16, 1 / 16],
    [1 / 4, 0, 0, 0],
]


@st.composite
def tables(draw: st.DrawFn, shape: tuple[int, ...], axes: int = 1) -> np.ndarray:
    """Random distributions over the last axes, many of them with hard zeros."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weights = rng.exponential(size=shape) * (rng.random(shape) < draw(st.sampled_from([0.5, 1.0])))
    last = tuple(range(-axes, 0))
    weights += np.where(weights.sum(last, keepdims=True) == 0, 1.0, 0.0)
    return weights / weights.sum(last, keepdims=True)


def near(found: Tensor, expected: Any, tolerance: float = 1e-12) -> None:
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=tolerance, atol=tolerance)


@settings(deadline=None, max_examples=100)
@given(tables((3, 5)), tables((2, 1, 5)), st.sampled_from([math.e, 2.0, 10.0, 0.5]))
def test_measures_equal_scipy(p: np.ndarray, q: np.ndarray, base: float) -> None:
    broadcast = np.broadcast_arrays(p, q)
    kl = stats.entropy(*broadcast, axis=-1, base=base)
    near(entropy(p, base), stats.entropy(p, axis=-1, base=base))
    near(kl_divergence(p, q, base), kl)
    near(cross_entropy(p, q, base), kl + stats.entropy(p, axis=-1, base=base))
    middle = (p + q) / 2
    js = sum(stats.entropy(x, middle, axis=-1, base=base) for x in broadcast) / 2
    near(js_divergence(p, q, base), js)


@settings(deadline=None, max_examples=100)
@given(tables((4,)), tables((4,)))
def test_bounds_and_identities(p: np.ndarray, q: np.ndarray) -> None:
    kl = kl_divergence(p, q).item()
    assert kl >= -1e-15
    assert (kl == INF) == bool(((p > 0) & (q == 0)).any())
    assert cross_entropy(p, q).item() == pytest.approx(entropy(p).item() + kl)
    js = js_divergence(p, q).item()
    assert -1e-15 <= js <= math.log(2) + 1e-15
    assert js == pytest.approx(js_divergence(q, p).item(), abs=1e-15)
    assert js_divergence(p, p).item() == 0 and kl_divergence(p, p).item() == 0
    assert -1e-15 <= entropy(p).item() <= math.log(4) + 1e-15


@settings(deadline=None, max_examples=100)
@given(tables((2, 3, 4), axes=2), st.sampled_from([math.e, 2.0]))
def test_measures_of_two_variables_against_brute_force(joint: np.ndarray, base: float) -> None:
    rows, columns = joint.sum(2), joint.sum(1)
    pmi = pointwise_mutual_information(joint, base)
    total = np.zeros(2)
    for b, x, y in np.ndindex(2, 3, 4):
        if joint[b, x, y] > 0:
            value = math.log(joint[b, x, y] / (rows[b, x] * columns[b, y]), base)
            assert pmi[b, x, y].item() == pytest.approx(value, abs=1e-12)
            total[b] += joint[b, x, y] * value
        else:
            assert pmi[b, x, y] == -INF
    near(mutual_information(joint, base), total)
    both = entropy(joint.reshape(2, 12), base)
    near(conditional_entropy(joint, 0, base), both - entropy(rows, base))
    near(conditional_entropy(joint, 1, base), both - entropy(columns, base))


def test_independence_and_bijection() -> None:
    p, q = np.array([0.2, 0.8]), np.array([0.5, 0.3, 0.2])
    near(mutual_information(np.outer(p, q)), 0.0, 1e-15)
    near(pointwise_mutual_information(np.outer(p, q)), np.zeros((2, 3)), 1e-15)
    near(mutual_information(np.diag(q)), entropy(q).item())
    near(conditional_entropy(np.diag(q), 0), 0.0)


def test_mutual_information_of_very_rare_states_is_finite() -> None:
    # The product of these marginals underflows to zero.
    joint = [[1.0, 0.0], [0.0, 1e-200]]
    assert mutual_information(joint).item() == pytest.approx(1e-200 * 200 * math.log(10), abs=0)
    assert pointwise_mutual_information(joint)[1, 1].item() == pytest.approx(200 * math.log(10))


def test_T2_softmax() -> None:
    p = torch.softmax(torch.tensor([0.3, 0.8, 0.2], dtype=torch.float64), 0)
    near(p, [0.281408, 0.463963, 0.254629], 2e-6)
    near(entropy(p), 1.06143, 5e-6)
    near(entropy(p, base=2), 1.53132, 5e-6)
    near(cross_entropy(np.eye(3), p), [1.26795, 0.76795, 1.36795], 5e-6)


def test_T3_entropies_and_divergences_of_torch_normals() -> None:
    q = distributions.MultivariateNormal(
        torch.tensor([1.0, 0.0]).double(), torch.diag(torch.tensor([0.04, 4.0])).double()
    )
    p = distributions.MultivariateNormal(torch.zeros(2).double(), torch.eye(2).double())
    near(entropy(q), 1.9215863345, 1e-8)
    near(entropy(p), 2.8378770664, 1e-9)
    near(entropy(q, base=2), 2.77226, 5e-6)
    near(entropy(p, base=2), 4.09419, 5e-6)
    near(kl_divergence(q, p), 2.4362907319, 1e-7)
    near(kl_divergence(p, q), 23.2087092681, 1e-7)
    near(cross_entropy(q, p), 4.3578770664, 1e-7)
    near(cross_entropy(p, q), 26.0465863345, 1e-7)
    near(cross_entropy(p, q, base=2), 26.0465863345 / math.log(2), 1e-7)


def test_T8_perplexity() -> None:
    near(perplexity(torch.full((7,), -math.log(18), dtype=torch.float64)), 18.0)
    assert perplexity([0.0, 0.0]).item() == 1.0
    near(perplexity([-0.5069677]), 1.6602492416, 1e-6)
    near(perplexity([-2.8939377792]), 18.0643029629, 1e-9)
    near(perplexity([-4.1750696827], base=2), 18.0643029629, 1e-9)
    near(perplexity([[0.0, 0.0], [-1.0, -3.0]]), [1.0, math.exp(2)])
    assert perplexity([0.0, -INF]).item() == INF


def test_T26_point_masses_apart() -> None:
    assert kl_divergence([1, 0, 0, 0], [0, 0, 0, 1]).item() == INF
    near(js_divergence([1, 0, 0, 0], [0, 0, 0, 1]), 0.6931472, 1e-7)
    assert js_divergence([1, 0, 0, 0], [0, 0, 0, 1], base=2).item() == 1.0


def test_T29_joint_of_two_variables_in_bits() -> None:
    joint = np.array(T29_JOINT)
    x, y = joint.sum(0), joint.sum(1)
    near(entropy(x, 2), 1.75)
    near(entropy(y, 2), 2.0)
    near(entropy(joint.ravel(), 2), 3.375)
    near(conditional_entropy(joint, given=0, base=2), 1.375)
    near(conditional_entropy(joint, given=1, base=2), 1.625)
    near(mutual_information(joint, 2), 0.375)
    near(kl_divergence(joint.ravel(), np.outer(y, x).ravel(), 2), 0.375)
    near(kl_divergence(joint / y[:, None], x, 2) @ torch.from_numpy(y), 0.375)
    pmi = pointwise_mutual_information(joint, 2)
    near(pmi[0, 0], 0.0)
    near(pmi[3, 0], 1.0)
    assert pmi[3, 1:].tolist() == [-INF] * 3


def test_T30_self_information_and_greatest_entropy() -> None:
    near(entropy(np.full(256, 1 / 256), 2), 8.0)
    certain = np.zeros(256)
    certain[37] = 1.0
    near(cross_entropy(certain, np.full(256, 1 / 256), 2), 8.0)
    near(entropy(np.full(4, 0.25)), 1.386294, 1e-6)


def test_T31_cross_entropy_of_equal_laws_is_the_entropy() -> None:
    near(cross_entropy([0.5, 0.5], [0.5, 0.5]), 0.6931472, 1e-7)
    p = [0.2, 0.3, 0.5]
    near(cross_entropy(p, p), entropy(p).item())


def test_dtypes() -> None:
    half = torch.tensor([0.5, 0.5])
    assert entropy(half).dtype == torch.float32
    assert entropy(half.numpy()).dtype == torch.float32
    assert entropy([1, 0]).dtype == torch.float64
    assert entropy(torch.tensor([1, 0])).dtype == torch.float64
    assert kl_divergence(half, half.double()).dtype == torch.float64
    read_only = np.broadcast_to(0.5, 2)
    assert entropy(read_only, 2).item() == 1.0


def simplex(logits: Tensor) -> Tensor:
    """Softmax over three states next to a hard zero."""
    return torch.cat([torch.softmax(logits, -1), logits.new_zeros((*logits.shape[:-1], 1))], -1)


@pytest.mark.parametrize(
    "measure",
    [
        lambda a, b: entropy(simplex(a)),
        lambda a, b: cross_entropy(simplex(a), simplex(b)),
        lambda a, b: kl_divergence(simplex(a), simplex(b)),
        lambda a, b: js_divergence(simplex(a), simplex(b)),
        lambda a, b: mutual_information(
            simplex(a)[..., None, :] * simplex(b)[..., None] / 2 + torch.diag_embed(simplex(a)) / 2
        ),
        lambda a, b: conditional_entropy(simplex(a)[..., None, :] * simplex(b)[..., None], 0),
    ],
)
def test_derivatives_beside_hard_zeros(measure: Callable[[Tensor, Tensor], Tensor]) -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = (
        torch.randn(2, 3, dtype=torch.float64, generator=generator).requires_grad_()
        for _ in range(2)
    )
    assert torch.autograd.gradcheck(measure, (a, b))
    assert torch.autograd.gradgradcheck(measure, (a, b))


def test_gradients_are_finite_at_hard_zeros() -> None:
    p = torch.tensor([0.5, 0.5, 0.0, 0.0], dtype=torch.float64, requires_grad=True)
    q = torch.tensor([0.25, 0.5, 0.25, 0.0], dtype=torch.float64, requires_grad=True)
    joint = torch.tensor([[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]], requires_grad=True)
    for value, leaves in [
        (entropy(p), [p]),
        (cross_entropy(p, q), [p, q]),
        (kl_divergence(p, q), [p, q]),
        (js_divergence(p, q), [p, q]),
        (mutual_information(joint), [joint]),
        (conditional_entropy(joint, 1), [joint]),
        (pointwise_mutual_information(joint)[0, 0], [joint]),
    ]:
        for gradient in torch.autograd.grad(value, leaves):
            assert gradient.isfinite().all()
    by_p, by_q = torch.autograd.grad(cross_entropy(p, q), (p, q))
    torch.testing.assert_close(by_p[:3], -q.detach()[:3].log())
    torch.testing.assert_close(by_q, torch.tensor([-2.0, -1.0, 0.0, 0.0], dtype=torch.float64))


def test_an_infinite_divergence_spoils_no_other_gradient() -> None:
    p = torch.tensor([[0.5, 0.5], [0.5, 0.5]], requires_grad=True)
    q = torch.tensor([[1.0, 0.0], [0.25, 0.75]], requires_grad=True)
    divergence = kl_divergence(p, q)
    assert divergence.tolist()[0] == INF
    by_p, by_q = torch.autograd.grad(divergence.sum(), (p, q))
    assert by_q.isfinite().all() and by_p[1].isfinite().all() and not by_p.isnan().any()
    torch.testing.assert_close(by_q[1], torch.tensor([-2.0, -2 / 3]))


def test_categorical_distributions_are_tables() -> None:
    p = torch.tensor([[0.2, 0.8, 0.0], [0.3, 0.3, 0.4]], dtype=torch.float64)
    q = torch.tensor([0.1, 0.6, 0.3], dtype=torch.float64)
    as_p, as_q = distributions.Categorical(probs=p), distributions.Categorical(probs=q)
    near(entropy(as_p), entropy(p))
    near(cross_entropy(as_p, as_q), cross_entropy(p, q))
    near(kl_divergence(as_p, q), kl_divergence(p, q))
    near(kl_divergence(as_p, as_q), distributions.kl_divergence(as_p, as_q), 1e-6)
    near(js_divergence(as_p, as_q), js_divergence(p, q))
    assert kl_divergence(as_q, as_p).tolist()[0] == INF


def test_distributions_with_closed_forms() -> None:
    a, b = distributions.Poisson(torch.tensor([2.0])), distributions.Poisson(torch.tensor([3.0]))
    near(kl_divergence(a, b, 2), [(2 * math.log(2 / 3) + 1) / math.log(2)], 1e-6)
    x, y = distributions.Bernoulli(torch.tensor(0.25)), distributions.Bernoulli(torch.tensor(0.5))
    near(cross_entropy(x, y), math.log(2), 1e-6)
    near(entropy(x), entropy([0.25, 0.75]).item(), 1e-6)
    uniform = distributions.Uniform(torch.zeros(3), torch.full((3,), 0.5))
    near(entropy(uniform, 2), [-1.0] * 3, 1e-6)


def test_distributions_without_closed_forms_are_refused_with_a_way_out() -> None:
    normal = distributions.Normal(0.0, 1.0)
    mixture = distributions.MixtureSameFamily(
        distributions.Categorical(torch.ones(2)),
        distributions.Normal(torch.zeros(2), torch.ones(2)),
    )
    with pytest.raises(TypeError, match=r"p is a MixtureSameFamily.* -p\.log_prob over samples"):
        entropy(mixture)
    with pytest.raises(TypeError, match="p is a Normal and q a MixtureSameFamily"):
        kl_divergence(normal, mixture)
    with pytest.raises(TypeError, match="p is a Normal, which has no table"):
        js_divergence(normal, normal)
    with pytest.raises(TypeError, match="q is a Normal, which has no table"):
        kl_divergence([0.5, 0.5], normal)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([0.5, 0.6], r"must sum to one over its last axis within 1e-06, found sum 1.1; divide"),
        ([[0.5, 0.5], [0.5, 0.4]], r"found sum 0.9 at index \(1,\)"),
        ([1.5, -0.5], r"must hold probabilities, found -0.5 at index \(1,\)"),
        ([0.5, math.nan], r"must not hold NaN, found nan at index \(1,\)"),
        ([0.5, INF], "must sum to one"),
        ([[1.0], [0.5, 0.5]], "must be a rectangular array of numbers"),
        (1.0, r"found shape \(\)"),
        ([], r"found shape \(0,\)"),
    ],
)
def test_bad_tables_are_refused_by_name(wrong: Any, message: str) -> None:
    with pytest.raises(ValueError, match="^p .*" + message):
        entropy(wrong)
    with pytest.raises(ValueError, match="^q .*" + message):
        cross_entropy([0.5, 0.5], wrong)


def test_tolerance_follows_the_precision() -> None:
    p = torch.tensor([0.5, 0.5 + 5e-5])
    assert entropy(p).item() == pytest.approx(math.log(2), abs=1e-4)
    with pytest.raises(ValueError, match="within 1e-06"):
        entropy(p.double())


def test_bad_arguments_are_refused() -> None:
    half = [0.5, 0.5]
    with pytest.raises(ValueError, match=r"p and q must have the same number.*\(2,\) and \(1,\)"):
        kl_divergence(half, [1.0])
    three, two = torch.full((3, 2), 0.5), torch.full((2, 2), 0.5)
    for function in (cross_entropy, kl_divergence, js_divergence):
        with pytest.raises(ValueError, match=r"of p and q must broadcast.*\(3, 2\) and \(2, 2\)"):
            function(three, two)
    for base in (0.0, 1.0, -2.0, math.nan, INF):
        for measure in (entropy, perplexity):
            with pytest.raises(ValueError, match="base must be positive and not 1"):
                measure([1.0] if measure is entropy else [-1.0], base)
    with pytest.raises(ValueError, match="joint must be a table with entries on its last 2 axes"):
        mutual_information(half)
    with pytest.raises(ValueError, match="joint must sum to one over its last 2 axes"):
        pointwise_mutual_information([half, half])
    with pytest.raises(ValueError, match=r"given must be 0 \(rows\) or 1 \(columns\), found 2"):
        conditional_entropy([half], 2)
    with pytest.raises(
        ValueError, match=r"log_probs must be logarithms of at most one.*found 0\.5"
    ):
        perplexity(half)
    with pytest.raises(ValueError, match="log_probs must be"):
        perplexity([])
    for wrong in (["a", "b"], [1j, 0], torch.tensor([1j, 0])):
        with pytest.raises(TypeError, match="p must hold real numbers"):
            entropy(wrong)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_js_divergence_is_finite_at_the_smallest_number(dtype):
    least = torch.nextafter(torch.zeros((), dtype=dtype), torch.ones((), dtype=dtype))
    p = torch.stack([torch.ones_like(least), least])
    q = torch.stack([torch.ones_like(least), torch.zeros_like(least)])
    expected = least.double().item() * math.log(2) / 2
    for value in (js_divergence(p, q), js_divergence(q, p)):
        assert value.item() == pytest.approx(expected, abs=torch.finfo(dtype).eps)


@pytest.mark.parametrize("base", [0.5, 2.0, 10.0])
def test_perplexity_reads_logarithms_to_any_base(base):
    p = [0.5, 0.125, 0.25]
    logs = [math.log(x) / math.log(base) for x in p]
    expected = math.prod(p) ** (-1 / 3)
    assert perplexity(logs, base).item() == pytest.approx(expected)
    with pytest.raises(ValueError, match="log_probs must be logarithms of at most one"):
        perplexity([-x for x in logs], base)
