"""Priors: densities against torch's distributions, volumes, draws, divergences."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import (
    Categorical,
    Independent,
    MixtureSameFamily,
    Normal,
    kl_divergence,
)

from generative.vae.flow_prior import FlowPrior
from generative.vae.mixture_prior import MixturePrior, VampPrior, mixture_log_prob
from generative.vae.prior import Code, NormalPrior, Prior


def encode(x: Tensor) -> Code:
    """A posterior that is easy to say."""
    return Code(2 * x[:, :2], x[:, :2].sin() - 1)


def rows(*shape: int) -> Tensor:
    """Standard normal numbers."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def learned_flow() -> FlowPrior:
    """A flow that is not the identity."""
    flow = FlowPrior(3, generator=0).double()
    source = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for x in flow.parameters():
            x.add_(0.07 * torch.randn(x.shape, generator=source, dtype=x.dtype))
    return flow


def mixture(code: Code, logits: Tensor) -> MixtureSameFamily:
    """The same by torch."""
    law = Independent(Normal(code.mean, (code.log_variance / 2).exp()), 1)
    return MixtureSameFamily(Categorical(logits=logits), law)


def test_T23_divergence_by_hand() -> None:
    code = Code(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.04, 4.0]]).log())
    found = NormalPrior().divergence(Code(*[x.double() for x in code])).sum()
    assert found.item() == pytest.approx(2.4362907319, abs=1e-6)


@given(seed=st.integers(0, 10_000), d=st.integers(1, 5))
def test_divergence_is_torchs(seed: int, d: int) -> None:
    source = torch.Generator().manual_seed(seed)
    code = Code(*torch.randn(2, 4, d, generator=source, dtype=torch.float64).mul(2))
    law = Normal(code.mean, (code.log_variance / 2).exp())
    expected = kl_divergence(law, Normal(torch.zeros(d).double(), torch.ones(d).double()))
    torch.testing.assert_close(NormalPrior().divergence(code), expected)


@given(seed=st.integers(0, 10_000), k=st.integers(1, 6), d=st.integers(1, 5))
def test_mixture_density_is_torchs(seed: int, k: int, d: int) -> None:
    source = torch.Generator().manual_seed(seed)
    code = Code(*torch.randn(2, k, d, generator=source, dtype=torch.float64))
    logits = torch.randn(k, generator=source, dtype=torch.float64)
    z = 2 * torch.randn(3, 4, d, generator=source, dtype=torch.float64)
    found = mixture_log_prob(z, code, logits.log_softmax(0))
    torch.testing.assert_close(found, mixture(code, logits).log_prob(z))


def test_narrow_components_in_single_precision() -> None:
    source = torch.Generator().manual_seed(0)
    mean = 2 * torch.randn(50, 8, generator=source, dtype=torch.float64)
    code = Code(mean, torch.full_like(mean, 2 * math.log(0.1)))
    z = mean[:20] + 0.1 * torch.randn(20, 8, generator=source, dtype=torch.float64)
    exact = mixture_log_prob(z, code, 0.0)
    single = mixture_log_prob(z.float(), Code(*[x.float() for x in code]), 0.0)
    # Terms of up to 8 * 6^2 / 0.1^2 cancel, each rounded to 6e-8 of its size.
    assert (single.double() - exact).abs().max() < 8 * 36 / 0.01 * 6e-8


def test_vamp_prior_is_the_mixture_of_posteriors() -> None:
    inputs = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    prior, z = VampPrior(inputs), torch.linspace(-2, 2, 8, dtype=torch.float64).view(4, 2)
    expected = mixture(encode(inputs), torch.zeros(5)).log_prob(z)
    found = prior.log_prob(z, encode)
    torch.testing.assert_close(found, expected)
    found.sum().backward()
    assert prior.inputs.grad is not None and prior.inputs.grad.abs().sum() > 0
    # The mixture must not be replaced by one posterior, nor its weights forgotten.
    assert not torch.allclose(found, found + math.log(5))
    prior.inputs.data.add_(1)
    assert not torch.equal(prior.inputs, inputs + 0)


def test_density_of_a_flow_is_that_of_its_map() -> None:
    flow, z = learned_flow(), rows(6, 3)

    def forward(row: Tensor) -> Tensor:
        for coupling in flow.couplings:
            row = coupling(row[None])[0][0]
        return row

    expected = []
    for row in z:
        jacobian = torch.autograd.functional.jacobian(forward, row)
        volume = torch.linalg.slogdet(jacobian).logabsdet  # pyright: ignore
        moved = forward(row).detach()
        expected.append(Normal(0.0, 1.0).log_prob(moved).sum() + volume)
    found = flow.log_prob(z, encode)
    torch.testing.assert_close(found, torch.stack(expected))
    assert not torch.allclose(found, Normal(0.0, 1.0).log_prob(z).sum(1))
    torch.testing.assert_close(flow.log_prob(z.view(2, 3, 3), encode), found.view(2, 3))


def test_inverse_of_a_coupling() -> None:
    z = rows(6, 3)
    for coupling in learned_flow().couplings:
        torch.testing.assert_close(coupling.inverse(coupling(z)[0]), z)  # pyright: ignore


@pytest.mark.parametrize("kind", ["normal", "mixture", "vamp", "flow"])
def test_draws_follow_the_density(kind: str, within: Callable[[Tensor, float], bool]) -> None:
    priors: dict[str, Prior] = {
        "normal": NormalPrior(),
        "mixture": MixturePrior(4, 2, generator=0).double(),
        "vamp": VampPrior(torch.linspace(-1, 1, 6).double().view(3, 2)),
        "flow": learned_flow(),
    }
    prior, d = priors[kind], 3 if kind == "flow" else 2
    like = torch.zeros(40_000, d, dtype=torch.float64)
    z = prior.sample(like, encode, torch.Generator().manual_seed(0))
    assert z.dtype == like.dtype and z.shape == like.shape and not z.requires_grad
    # E_p[q / p] = 1 for any density q that p covers.
    q = Normal(0.3, 0.5)
    log_p = prior.log_prob(z, encode).detach()
    ratio = (q.log_prob(z).sum(1) - log_p).exp()
    assert within(ratio, 1.0)
    assert not within(ratio * 1.3, 1.0)
    spread = prior.sample(like, encode, torch.Generator().manual_seed(1)) * 1.2
    wrong = (q.log_prob(spread).sum(1) - prior.log_prob(spread, encode).detach()).exp()
    assert not within(wrong, 1.0)


def test_learned_priors_have_no_closed_divergence() -> None:
    code = encode(torch.zeros(3, 2))
    assert [x.divergence(code) for x in (MixturePrior(2, 2), FlowPrior(2))] == [None, None]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MixturePrior(0, 2), "n_components must be at least 1"),
        (lambda: FlowPrior(1), "latent_dim must be at least 2"),
        (lambda: VampPrior(torch.zeros(3)), r"inputs must be \(K, \*event\)"),
        (lambda: VampPrior(torch.tensor([[torch.inf]])), "inputs must be finite"),
        (lambda: MixturePrior(3, 2).check(4, False), "of 2 numbers, found latent_dim=4"),
        (lambda: FlowPrior(2).check(4, False), "of 2 numbers, found latent_dim=4"),
        (lambda: VampPrior(torch.zeros(3, 1)).check(4, True), "pseudo-inputs"),
    ],
)
def test_bad_priors(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_learned_priors_reach_all_their_parameters() -> None:
    z = rows(5, 2).float()
    for prior in (MixturePrior(3, 2), VampPrior(rows(3, 2).float()), FlowPrior(2)):
        prior.log_prob(z, encode).sum().backward()
        reached = [
            p.grad is not None and bool(p.grad.isfinite().all()) for p in prior.parameters()
        ]
        assert reached and all(reached), type(prior).__name__
