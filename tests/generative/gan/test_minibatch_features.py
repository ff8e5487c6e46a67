"""Features of a batch: against plain loops, with first and second derivatives."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from generative.gan.minibatch_features import MinibatchDeviation, MinibatchDiscrimination


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def discrimination(n_features: int, n_kernels: int, kernel_dim: int) -> MinibatchDiscrimination:
    """A layer with weights from a seed."""
    layer = MinibatchDiscrimination(n_features, n_kernels, kernel_dim).double()
    layer.layer.weight.data = normal(n_kernels * kernel_dim, n_features, seed=1)
    return layer


def looped(layer: MinibatchDiscrimination, x: Tensor) -> Tensor:
    """Salimans et al. 2016, section 3.2, term by term, without j = i."""
    tensor = layer.layer.weight.reshape(layer.n_kernels, layer.kernel_dim, layer.n_features)
    matrices = [torch.stack([tensor[k] @ row for k in range(layer.n_kernels)]) for row in x]
    nearness = [
        sum(
            (
                torch.exp(-(matrices[i] - matrices[j]).abs().sum(1))
                for j in range(len(x))
                if j != i
            ),
            start=torch.zeros(layer.n_kernels, dtype=x.dtype),
        )
        for i in range(len(x))
    ]
    return torch.cat([x, torch.stack(nearness)], 1)


@given(batch=st.integers(1, 5), kernels=st.integers(1, 3), dim=st.integers(1, 3))
def test_discrimination_equals_the_loop(batch: int, kernels: int, dim: int) -> None:
    layer, x = discrimination(4, kernels, dim), normal(batch, 4)
    assert torch.allclose(layer(x), looped(layer, x), rtol=1e-12, atol=1e-14)


def test_discrimination_gradients_equal_those_of_the_loop() -> None:
    layer, x = discrimination(3, 2, 3), normal(5, 3).requires_grad_()
    upstream = normal(5, 5, seed=2)
    inputs = [x, layer.layer.weight]
    ours = torch.autograd.grad((layer(x) * upstream).sum(), inputs)
    theirs = torch.autograd.grad((looped(layer, x) * upstream).sum(), inputs)
    for found, expected in zip(ours, theirs, strict=True):
        assert torch.allclose(found, expected, rtol=1e-12, atol=1e-13)


def test_discrimination_has_second_derivatives() -> None:
    layer, x = discrimination(3, 2, 2), normal(4, 3).requires_grad_()
    assert torch.autograd.gradcheck(layer, x)
    assert torch.autograd.gradgradcheck(layer, x)

    def penalty(network: nn.Module | None) -> tuple[Tensor, ...]:
        """Derivatives of a gradient penalty with regard to the weights."""
        value = looped(layer, x) if network is None else network(x)
        (slope,) = torch.autograd.grad(value.square().sum(), x, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), layer.layer.weight)

    assert torch.allclose(penalty(layer)[0], penalty(None)[0], rtol=1e-10)


def test_discrimination_tells_copies_from_data() -> None:
    layer = discrimination(4, 3, 2)
    data, copies = normal(16, 4), normal(1, 4, seed=3).expand(16, 4)
    assert torch.equal(layer(copies)[:, 4:], torch.full((16, 3), 15.0, dtype=torch.float64))
    assert (layer(data)[:, 4:] < 5).all()


def test_discrimination_of_copies_and_of_distant_rows_has_finite_slopes() -> None:
    layer = discrimination(2, 2, 2)
    x = torch.tensor([[0.0, 0.0], [0.0, 0.0], [1e6, 1e6]], dtype=torch.float64, requires_grad=True)
    out = layer(x)
    assert torch.equal(out[2, 2:], torch.zeros(2, dtype=torch.float64))
    (slope,) = torch.autograd.grad(out.sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(slope.square().sum(), x)
    assert slope.isfinite().all()
    assert second.isfinite().all()


def test_deviation_of_vectors_and_images() -> None:
    for shape in [(5, 3), (5, 3, 4, 2)]:
        x = normal(*shape)
        out = MinibatchDeviation()(x)
        assert out.shape == (5, 4, *shape[2:])
        assert torch.equal(out[:, :3], x)
        places = x.reshape(5, -1)
        deviations = [
            math.sqrt(float((column - column.mean()).square().mean())) for column in places.T
        ]
        expected = sum(deviations) / len(deviations)
        assert torch.allclose(out[:, 3:], torch.tensor(expected, dtype=x.dtype), rtol=1e-12)


def test_deviation_has_derivatives_also_where_nothing_varies() -> None:
    layer, x = MinibatchDeviation(), normal(4, 3).requires_grad_()
    assert torch.autograd.gradcheck(layer, x)
    assert torch.autograd.gradgradcheck(layer, x)
    dead = torch.cat([normal(4, 1), torch.zeros(4, 1, dtype=torch.float64)], 1).requires_grad_()
    out = layer(dead)
    (slope,) = torch.autograd.grad(out[:, 2].sum(), dead, create_graph=True)
    (second,) = torch.autograd.grad(slope.square().sum(), dead)
    assert torch.equal(slope[:, 1], torch.zeros(4, dtype=torch.float64))
    assert slope[:, 0].abs().min() > 0
    assert second.isfinite().all()
    assert layer(normal(1, 2))[0, 2] == 0


def test_layers_work_inside_a_network() -> None:
    network = nn.Sequential(
        nn.Linear(2, 8), nn.ReLU(), MinibatchDiscrimination(8, 4, 3), nn.Linear(12, 1)
    )
    loss = network(normal(6, 2).float()).sum()
    loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"features must be \(batch, 3\), found shape \(2, 4\)"):
        MinibatchDiscrimination(3, 1, 1)(torch.zeros(2, 4))
    with pytest.raises(ValueError, match="flatten images first"):
        MinibatchDiscrimination(3, 1, 1)(torch.zeros(2, 3, 1, 1))
    with pytest.raises(ValueError, match="n_kernels must be at least 1"):
        MinibatchDiscrimination(3, 0, 1)
    with pytest.raises(TypeError, match="kernel_dim must be a whole number"):
        MinibatchDiscrimination(3, 1, 1.5)
    with pytest.raises(ValueError, match=r"features must be \(batch, c, \.\.\.\)"):
        MinibatchDeviation()(torch.zeros(3))
