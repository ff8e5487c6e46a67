"""Telling data from noise: the optimum, on a few points where expectations are counts."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from energy.neural.noise_contrastive import NoiseContrastive, noise_contrastive_loss
from inference.sampling.continuous_law import NormalBase

COUNTS = st.lists(st.integers(1, 9), min_size=4, max_size=4)


def slope(g: Tensor, data: Tensor, noise: Tensor) -> float:
    """Largest derivative of the loss by the log ratio at each point."""
    leaf = g.clone().requires_grad_()
    loss = noise_contrastive_loss(leaf[data], leaf[noise])
    return float(torch.autograd.grad(loss, leaf)[0].abs().max())


@given(COUNTS, COUNTS)
def test_least_at_the_true_log_ratio(of_data: list[int], of_noise: list[int]) -> None:
    points = torch.arange(4)
    counts = [torch.tensor(c, dtype=torch.float64) for c in (of_data, of_noise)]
    data, noise = (points.repeat_interleave(c.long()) for c in counts)
    p, q = (c / c.sum() for c in counts)
    right = (p / q).log()
    assert slope(right, data, noise) < 1e-12
    # A ratio that is not normalised is not the optimum: the loss finds log Z too.
    assert slope(right + 0.1, data, noise) > 1e-4


def test_value_is_the_log_loss_of_the_classes() -> None:
    g = torch.tensor([0.3, -1.0, 2.0], dtype=torch.float64)
    h = torch.tensor([0.1, 0.5, -2.0, 1.0, 0.0, 3.0], dtype=torch.float64)
    of_data, of_noise = 1 / (1 + 2 * (-g).exp()), 1 - 1 / (1 + 2 * (-h).exp())
    exact = -of_data.log().mean() - 2 * of_noise.log().mean()
    assert torch.allclose(noise_contrastive_loss(g, h), exact)
    assert noise_contrastive_loss(1e4 * g, 1e4 * h).isfinite()


def test_step_uses_energy_normalizer_and_noise() -> None:
    noise, c = NormalBase([1.0], 2.0), torch.tensor(0.4, requires_grad=True)
    energy = lambda x: x.square().sum(1)  # noqa: E731
    batch = torch.tensor([[0.5], [1.5]], dtype=torch.float64)
    loss = NoiseContrastive(energy, noise, lambda: c, 3)(batch, torch.Generator().manual_seed(0))
    draws = noise.sample(6, torch.Generator().manual_seed(0))
    g = [-energy(x) - c - noise.log_prob(x) for x in (batch, draws)]
    assert torch.allclose(loss, noise_contrastive_loss(*g))
    loss.backward()
    assert c.grad is not None and float(c.grad) != 0
