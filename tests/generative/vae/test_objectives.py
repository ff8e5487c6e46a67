"""Objectives: exact values where the posterior is known, and gradients in expectation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from generative.condition import Condition
from generative.vae import objectives
from generative.vae.coder import Coder, Draws, draw
from generative.vae.collapse import kl_by_number
from generative.vae.likelihood import BernoulliLikelihood
from generative.vae.mixture_prior import MixturePrior
from generative.vae.objectives import Objective, elbo_terms
from generative.vae.prior import Code, NormalPrior


def sigma_points(code: Code, k: int, generator: torch.Generator) -> Draws:
    """Points whose mean of any quadratic function is its expectation."""
    n, d = code.mean.shape
    assert k == 2 * d
    axes = math.sqrt(d) * torch.eye(d, dtype=code.mean.dtype)
    noise = torch.cat([axes, -axes])[:, None].expand(k, n, d)
    return Draws(code.mean + noise * (code.log_variance / 2).exp(), noise)


@given(d=st.integers(1, 4), more=st.integers(0, 3), seed=st.integers(0, 1000))
def test_bound_is_the_likelihood_at_the_exact_posterior(
    linear_normal: Callable[..., Any], d: int, more: int, seed: int
) -> None:
    law = linear_normal(d + more, d, 0.6, seed)
    model = law.model()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(objectives, "draw", sigma_points)
        found = model.elbo(law.x, 2 * d)
        terms = model.elbo_terms(law.x, 2 * d)
    torch.testing.assert_close(found, law.log_prob(), rtol=0, atol=1e-10)
    # With a sign flipped or pixels averaged it is not.
    assert not torch.allclose(terms.reconstruction + terms.kl, law.log_prob())
    assert d + more == 1 or not torch.allclose(
        terms.reconstruction / (d + more) - terms.kl, law.log_prob()
    )
    assert (model.log_prob(law.x, 3) - law.log_prob()).abs().max() < 1e-10


def one_number(linear_normal: Callable[..., Any], exact: bool) -> tuple[Any, Tensor]:
    """z ~ N(0, 1), x ~ N(z, 1), x = 1."""
    law = linear_normal(1, 1, 1.0, 0)
    law.weight, law.bias, law.size = (
        torch.ones(1, 1).double(),
        torch.zeros(1).double(),
        torch.ones(1).double(),
    )
    return law.model(exact=exact), torch.ones(1, 1, dtype=torch.float64)


@pytest.mark.parametrize(("exact", "value"), [(True, -1.5155121235), (False, -1.9189385332)])
def test_T23_bound_by_hand(
    linear_normal: Callable[..., Any], exact: bool, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, x = one_number(linear_normal, exact)
    if exact:
        assert model.log_prob(x, 1).item() == pytest.approx(value, abs=1e-9)
        assert model.posterior(x).mean.item() == pytest.approx(0.5)
        assert model.posterior(x).variance.item() == pytest.approx(0.5)
    monkeypatch.setattr(objectives, "draw", sigma_points)
    assert model.elbo(x, 2).item() == pytest.approx(value, abs=1e-9)


class Codes(nn.Module):
    """Moments of every row as parameters of its own: gradients by row are independent draws."""

    def __init__(self, n: int, d: int) -> None:
        super().__init__()
        row = torch.linspace(-0.6, 0.9, 2 * d, dtype=torch.float64)
        self.moments = nn.Parameter(row.expand(n, 2 * d).clone())

    def forward(self, x: Tensor) -> Tensor:
        return self.moments


def small_coder(n: int, d: int = 2) -> tuple[Coder, Tensor]:
    """Networks for n copies of one row."""
    decoder = nn.Linear(d, 3).double()
    with torch.no_grad():
        decoder.weight.copy_(torch.tensor([[2.0, -1.0], [0.5, 1.5], [-1.0, 1.0]])[:, :d])
        decoder.bias.copy_(torch.tensor([0.3, -0.2, 0.1]))
    x = torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64).expand(n, 3)
    parts = BernoulliLikelihood(), NormalPrior(), Condition(None)
    return Coder(Codes(n, d), decoder, d, *parts), x


def gradients(name: Any, k: int, n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Independent estimates of the encoder's gradient, (n, 4), and the decoder's mean one."""
    coder, x = small_coder(n)
    loss, _ = Objective(name, k).loss(coder, x, None, torch.Generator().manual_seed(seed))
    loss.backward()
    moments, weight = coder.encoder.get_parameter("moments"), coder.decoder.get_parameter("weight")
    assert moments.grad is not None and weight.grad is not None
    return n * moments.grad, weight.grad


def plain_weights(k: int, n: int, seed: int) -> Tensor:
    """The wrong estimate: paths through the draws with the weights, not their squares."""
    coder, x = small_coder(n)
    code = coder.encode(x)
    z = draw(code, k, torch.Generator().manual_seed(seed)).z
    held = Code(code.mean.detach(), code.log_variance.detach())
    noise = (z - held.mean) * (-0.5 * held.log_variance).exp()
    weights, _ = coder.log_weights(x, None, held, Draws(z, noise))
    (-(weights.detach().softmax(0) * weights).sum(0).mean()).backward()
    grad = coder.encoder.get_parameter("moments").grad
    assert grad is not None
    return n * grad


def agree(a: Tensor, b: Tensor) -> bool:
    """Whether two sets of independent draws have one mean, within five standard errors."""
    error = (a.var(0) / len(a) + b.var(0) / len(b)).sqrt()
    return bool(((a.mean(0) - b.mean(0)).abs() <= 5 * error).all())


@pytest.mark.parametrize("k", [1, 5])
def test_both_gradients_of_the_importance_bound_agree(k: int) -> None:
    n = 60_000
    iwae, decoder = gradients("iwae", k, n, 0)
    dreg, same = gradients("dreg", k, n, 1)
    assert agree(iwae, dreg)
    if k > 1:
        assert not agree(iwae, plain_weights(k, n, 2))
        assert (dreg.var(0) < iwae.var(0)).all()
        # With the same draws the decoder's gradient is the same one.
        torch.testing.assert_close(gradients("dreg", k, n, 0)[1], decoder)
    assert not agree(iwae, 1.3 * dreg)
    assert same.shape == decoder.shape


@pytest.mark.parametrize("name", ["iwae", "dreg"])
def test_value_is_the_bound(name: Any) -> None:
    coder, x = small_coder(3)
    loss, figures = Objective(name, 4).loss(coder, x, None, torch.Generator().manual_seed(0))
    code = coder.encode(x)
    draws = draw(code, 4, torch.Generator().manual_seed(0))
    weights, _ = coder.log_weights(x, None, code, draws)
    expected = weights.exp().mean(0).log().mean()
    torch.testing.assert_close(loss, -expected)
    torch.testing.assert_close(figures["importance_bound"], expected.detach())
    assert figures["elbo"] < figures["importance_bound"]
    torch.testing.assert_close(figures["elbo"], figures["reconstruction"] - figures["kl"])


def test_sampled_divergence_has_the_exact_mean(within: Callable[[Tensor, float], bool]) -> None:
    coder, x = small_coder(40_000)
    # A mixture of one standard normal law is the same prior, without the closed form.
    same = MixturePrior(1, 2).double()
    same.mean.data.zero_()
    sampled = Coder(coder.encoder, coder.decoder, 2, coder.law, same, coder.conditions)
    source = torch.Generator().manual_seed(0)
    exact = elbo_terms(coder, x, None, 1, source).kl.detach()
    found = elbo_terms(sampled, x, None, 1, source).kl.detach()
    torch.testing.assert_close(exact, exact[:1].expand(len(x)))
    assert within(found, exact[0].item())
    assert not within(-found, exact[0].item())


def test_free_bits_and_beta_change_the_objective_alone() -> None:
    coder, x = small_coder(5)
    by_number = kl_by_number(coder.prior, coder.encode(x)).detach()
    floor = float(by_number.mean(0).mean())

    def run(**options: float) -> tuple[float, dict[str, Tensor]]:
        source = torch.Generator().manual_seed(0)
        loss, figures = Objective(**options).loss(coder, x, None, source)  # pyright: ignore
        return loss.item(), figures

    plain, figures = run()
    kl = by_number.mean(0).sum().item()
    assert plain == pytest.approx(-figures["elbo"].item())
    assert figures["kl"].item() == pytest.approx(kl)
    for options, charged in (
        ({"beta": 3.0}, 3 * kl),
        ({"free_bits": floor}, by_number.mean(0).clamp_min(floor).sum().item()),
        ({"free_bits": 50.0, "beta": 2.0}, 200.0),
    ):
        loss, found = run(**options)
        assert loss == pytest.approx(charged - figures["reconstruction"].item())
        assert found == figures
    assert by_number.mean(0).clamp_min(floor).sum() > by_number.mean(0).sum()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "vae"}, r"elbo, iwae, dreg, found \'vae\'"),
        ({"n_samples": 0}, "n_samples must be at least 1"),
        ({"beta": -1.0}, "beta must be at least 0"),
        ({"free_bits": math.inf}, "free_bits must be at least 0"),
        ({"name": "iwae", "beta": 2.0}, "beta and free_bits weigh the terms"),
        ({"name": "dreg", "free_bits": 0.1}, "beta and free_bits weigh the terms"),
    ],
)
def test_bad_objectives(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Objective(**options)
