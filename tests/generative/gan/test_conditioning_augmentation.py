"""Conditioning augmentation: its divergence against closed forms, its draws against its law."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import chi2
from torch.distributions import Independent, Normal, kl_divergence

from generative.gan.conditioning_augmentation import ConditioningAugmentation
from inference.gaussian import gaussian_kl


def layer(n_in: int = 3, n_out: int = 2) -> ConditioningAugmentation:
    torch.manual_seed(0)
    return ConditioningAugmentation(n_in, n_out).double()


def law(augment: ConditioningAugmentation, c: torch.Tensor) -> Independent:
    mean, log_variance = augment.layer(c).chunk(2, -1)
    return Independent(Normal(mean, (0.5 * log_variance).exp()), 1)


def test_divergence_equals_both_closed_forms() -> None:
    augment = layer()
    c = torch.randn(6, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    own = law(augment, c)
    standard = Independent(Normal(torch.zeros(6, 2).double(), torch.ones(6, 2).double()), 1)
    assert torch.allclose(augment.divergence(c), kl_divergence(own, standard), rtol=1e-12)
    general = gaussian_kl(
        own.mean, torch.diag_embed(own.variance), torch.zeros(2).double(), torch.eye(2).double()
    )
    assert torch.allclose(augment.divergence(c), general, rtol=1e-10)


def test_divergence_does_not_cancel_near_the_prior() -> None:
    augment = ConditioningAugmentation(1, 1)
    augment.layer.weight.data.zero_()
    augment.layer.bias.data = torch.tensor([0.0, 1e-3])
    # l^2 / 4 + l^3 / 12 of a small log-variance l, in single precision.
    expected = 1e-6 / 4 + 1e-9 / 12
    assert augment.divergence(torch.zeros(1, 1)).item() == pytest.approx(expected, rel=1e-3)


def test_draws_follow_the_law() -> None:
    augment = layer()
    c = torch.tensor([[0.5, -1.0, 2.0]], dtype=torch.float64).expand(10_000, 3)
    augment.requires_grad_(False)
    own = law(augment, c)
    standard = (augment(c, generator=0) - own.mean) / own.variance.sqrt()
    squares = float(standard.square().sum())
    alarm = 0.5e-6
    assert chi2.ppf(alarm, 20_000) < squares < chi2.isf(alarm, 20_000)
    # Taking the variance for the deviation is seen.
    wrong = float(((augment(c, generator=0) - own.mean) / own.variance).square().sum())
    assert not chi2.ppf(alarm, 20_000) < wrong < chi2.isf(alarm, 20_000)


def test_gradients_reach_every_parameter_through_the_draws() -> None:
    augment = layer()
    c = torch.randn(4, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    noise = torch.randn(4, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    augment(c, noise=noise).square().sum().backward()
    assert all((p.grad != 0).all() for p in augment.parameters())
    c.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: augment(x, noise=noise), c)
    assert torch.autograd.gradcheck(augment.divergence, c)


def test_seeds_noise_and_the_global_state() -> None:
    augment, c = layer(), torch.ones(5, 3, dtype=torch.float64)
    before = torch.get_rng_state()
    assert torch.equal(augment(c, 1), augment(c, generator=1))
    assert not torch.equal(augment(c, 1), augment(c, 2))
    assert not torch.equal(augment(c), augment(c))
    assert torch.equal(torch.get_rng_state(), before)
    zeros = torch.zeros(5, 2, dtype=torch.float64)
    assert torch.equal(augment(c, noise=zeros), law(augment, c).mean)


def test_bad_input() -> None:
    augment = layer()
    with pytest.raises(ValueError, match=r"c must be \(batch, 3\), found shape \(4, 2\)"):
        augment(torch.zeros(4, 2))
    with pytest.raises(ValueError, match=r"c must be \(batch, 3\)"):
        augment.divergence(torch.zeros(3))
    with pytest.raises(ValueError, match=r"noise must be of shape \(1, 2\), found \(1, 3\)"):
        augment(torch.zeros(1, 3, dtype=torch.float64), noise=torch.zeros(1, 3))
    with pytest.raises(ValueError, match="n_out must be at least 1"):
        ConditioningAugmentation(3, 0)
