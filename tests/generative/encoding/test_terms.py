"""Errors, sizes of codes and damage, against norms, torch's laws and the laws of the noise."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Bernoulli

from generative.encoding.terms import (
    absolute_codes,
    bernoulli_errors,
    masked,
    noisy,
    squared_errors,
)


def normal(*shape: int, seed: int = 0) -> Tensor:
    source = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=source, dtype=torch.float64)


# Errors and penalties -------------------------------------------------------------------------


def test_errors_of_bits_are_those_of_the_bernoulli_law() -> None:
    logits, x = 3 * normal(4, 2, 3), (normal(4, 2, 3, seed=1) > 0).double()
    exact = -Bernoulli(logits=logits).log_prob(x).sum((1, 2))
    assert torch.allclose(bernoulli_errors(logits, x), exact, atol=1e-12)
    far = bernoulli_errors(torch.tensor([[1e4, -1e4]]), torch.tensor([[0.0, 0.0]]))
    assert far.item() == 1e4


def test_sums_are_over_everything_of_a_row() -> None:
    x, other = normal(3, 2, 4), normal(3, 2, 4, seed=1)
    distance = torch.cdist(x.flatten(1), other.flatten(1)).diagonal() ** 2
    assert torch.allclose(squared_errors(other, x), distance)
    sizes = torch.linalg.vector_norm(x.flatten(1), 1, 1)
    assert torch.allclose(absolute_codes(x), sizes)


# Damage ---------------------------------------------------------------------------------------


def test_noise_has_its_scale() -> None:
    # Means and variances of n draws are off by 6 standard deviations once in 5 * 10^8 times.
    x = normal(100, 400)
    noise = (noisy(x, 0.5, torch.Generator().manual_seed(1)) - x) / 0.5
    assert abs(noise.mean()) < 6 / 200
    assert abs(noise.square().mean() - 1) < 6 * 2**0.5 / 200
    assert torch.equal(noisy(x, 0.0, torch.Generator()), x)


def test_masks_leave_a_share_as_it_is() -> None:
    x = 1 + normal(100, 400).abs()
    found = masked(x, 0.2, torch.Generator().manual_seed(1))
    gone = found == 0
    assert torch.equal(found[~gone], x[~gone])
    assert abs(gone.double().mean() - 0.2) < 6 * 0.4 / 200
    assert torch.equal(masked(x, 0.0, torch.Generator()), x)
