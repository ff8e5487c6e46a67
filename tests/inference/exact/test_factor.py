"""Factors as named tables: algebra against numpy, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from inference import Factor

RNG = np.random.default_rng(0)
AB = RNG.random((2, 3))
BC = RNG.random((3, 4))


def test_product_matches_einsum():
    product = Factor.from_potential(["a", "b"], AB) * Factor.from_potential(["c", "b"], BC.T)
    assert product.scope == ("a", "b", "c")
    np.testing.assert_allclose(product.values.numpy(), np.einsum("ab,bc->abc", AB, BC))
    assert product.cardinalities == {"a": 2, "b": 3, "c": 4}


def test_sums_and_maxima_over_any_axes():
    abc = np.einsum("ab,bc->abc", AB, BC)
    abc[0, :, 1] = 0.0
    factor = Factor.from_potential(["a", "b", "c"], abc)
    for names, axes in (("b", (1,)), (["c", "a"], (0, 2)), ([], ()), (["a", "b", "c"], (0, 1, 2))):
        kept = tuple(name for i, name in enumerate("abc") if i not in axes)
        total, best = factor.marginalize(names), factor.maximize(names)
        assert total.scope == best.scope == kept
        np.testing.assert_allclose(total.values.numpy(), abc.sum(axes), rtol=1e-14)
        np.testing.assert_allclose(best.values.numpy(), abc.max(axes) if axes else abc, rtol=1e-14)


def test_conditioning_permuting_normalising():
    factor = Factor.from_potential(["a", "b"], AB)
    assert factor.condition({"a": 1}).scope == ("b",)
    np.testing.assert_allclose(factor.condition({"a": 1}).values.numpy(), AB[1])
    assert factor.condition({"b": 2, "a": 0}).values.item() == pytest.approx(AB[0, 2])
    np.testing.assert_allclose(factor.permute(["b", "a"]).values.numpy(), AB.T)
    np.testing.assert_allclose(factor.normalize().values.numpy(), AB / AB.sum())


def test_batches_keep_their_leading_axis():
    batch = torch.from_numpy(RNG.normal(size=(5, 2, 3)))
    factor = Factor(["a", "b"], batch)
    assert factor.batched and factor.cardinalities == {"a": 2, "b": 3}
    torch.testing.assert_close(factor.permute(["b", "a"]).log_values, batch.transpose(1, 2))
    torch.testing.assert_close(factor.condition({"b": 1}).log_values, batch[:, :, 1])
    torch.testing.assert_close(factor.marginalize("a").log_values, batch.logsumexp(1))
    torch.testing.assert_close(
        (factor * Factor.from_potential(["b"], AB[0])).log_values,
        batch + torch.from_numpy(np.log(AB[0])),
    )
    torch.testing.assert_close(
        factor.normalize().values.sum((1, 2)), torch.ones(5, dtype=torch.float64)
    )


def test_zeros_are_minus_infinity_with_a_gradient_of_zero():
    leaf = torch.tensor([0.0, 0.5], requires_grad=True)
    factor = Factor.from_potential(["a"], leaf)
    assert factor.log_values[0] == -math.inf
    factor.marginalize("a").log_values.backward()
    assert leaf.grad is not None and leaf.grad.tolist() == [0.0, 2.0]


def test_float_tensors_are_kept_and_others_become_float64():
    kept = torch.zeros(2)
    assert Factor(["a"], kept).log_values is kept
    for values in ([0, 1], np.zeros(2, dtype=np.float32), torch.tensor([0, 1]), np.array([0, 1])):
        assert Factor(["a"], values).log_values.dtype == torch.float64
    array = np.zeros(2)
    Factor(["a"], array).log_values[0] = 5.0
    assert array[0] == 0.0, "copied"


def test_arrays_of_any_layout():
    frozen = np.arange(6.0).reshape(2, 3)
    frozen.setflags(write=False)
    for values in (frozen, frozen[::-1, ::-1], np.asfortranarray(frozen), frozen[:, ::2]):
        factor = Factor(["a", "b"], values)
        assert factor.log_values.tolist() == values.tolist()
        found = Factor.from_potential(["a", "b"], values).values.numpy()
        np.testing.assert_allclose(found, values, rtol=1e-14)


@pytest.mark.parametrize(
    ("scope", "values", "error", "named"),
    [
        ("ab", np.zeros((2, 2)), TypeError, "scope"),
        ([1], np.zeros(2), TypeError, "scope"),
        ({"a", "b"}, np.zeros((2, 2)), TypeError, "scope"),
        (["a", "a"], np.zeros((2, 2)), ValueError, "twice"),
        (["a", "b"], np.zeros(2), ValueError, "axes"),
        (["a"], np.zeros((2, 2, 2)), ValueError, "axes"),
        (["a"], np.zeros(0), ValueError, "empty"),
        (["a"], [0.0, math.nan], ValueError, "NaN"),
        (["a"], [0.0, math.inf], ValueError, "inf"),
    ],
)
def test_what_is_no_factor(scope, values, error, named):
    with pytest.raises(error, match=named):
        Factor(scope, values)


def test_what_cannot_be_done():
    factor = Factor.from_potential(["a", "b"], AB)
    for call in (
        lambda: factor.marginalize("z"),
        lambda: factor.condition({"z": 0}),
        lambda: factor.condition({"a": 2}),
        lambda: factor.condition({"a": -1}),
        lambda: factor.marginalize(["a", "a"]),
        lambda: factor.maximize(["b", "b"]),
        lambda: factor.permute(["a"]),
        lambda: factor.permute(["a", "z"]),
        lambda: factor * Factor.from_potential(["b"], np.ones(4)),
        lambda: Factor(["a"], torch.zeros(3, 2)) * Factor(["b"], torch.zeros(4, 3)),
        lambda: Factor.from_potential(["a"], [-1.0, 1.0]),
        lambda: Factor.from_potential(["a"], [math.nan, 1.0]),
        lambda: Factor.from_potential(["a"], [0.0, 0.0]).normalize(),
    ):
        with pytest.raises(ValueError, match=r"."):
            call()
    for state in (1.0, True, "1", None):
        with pytest.raises(TypeError, match="state of 'a' must be a whole number"):
            factor.condition({"a": state})  # type: ignore[dict-item]
    with pytest.raises(TypeError, match="unsupported operand"):
        factor * 2  # type: ignore[operator]


def test_a_constant_is_a_factor_over_nothing():
    constant = Factor([], torch.tensor(0.5, dtype=torch.float64))
    assert constant.permute([]).log_values == 0.5
    product = constant * Factor.from_potential(["a", "b"], AB)
    torch.testing.assert_close(product.values, math.exp(0.5) * torch.tensor(AB).double())
