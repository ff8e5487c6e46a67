"""The autoencoder under Pyro: the same bound, the same parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pyro
import pytest
import torch
from pyro.infer import SVI, Trace_ELBO, TraceMeanField_ELBO
from torch import Tensor

from generative.networks import mlp
from generative.vae.mixture_prior import VampPrior
from generative.variational_autoencoder import VariationalAutoencoder


@pytest.fixture(autouse=True)
def clean_store() -> Iterator[None]:
    """No parameters of other tests, and torch's generator as it was."""
    pyro.clear_param_store()
    with torch.random.fork_rng():
        pyro.set_rng_seed(0)
        yield
    pyro.clear_param_store()


def deaf(model: VariationalAutoencoder) -> VariationalAutoencoder:
    """With a decoder that does not listen to z, so that draws do not matter."""
    with torch.no_grad():
        next(model.decoder.parameters()).zero_()
    return model


def test_trace_elbo_is_exact_at_the_exact_posterior(linear_normal: Callable[..., Any]) -> None:
    law = linear_normal(4, 2, 0.6, 0)
    model = law.model()
    loss = Trace_ELBO().loss(model.model, model.guide, law.x)
    assert loss == pytest.approx(-law.log_prob().sum().item(), abs=1e-6)


def test_analytic_elbo_is_ours(bits_model: VariationalAutoencoder) -> None:
    x = torch.eye(5, dtype=torch.float64)
    ours = deaf(bits_model).elbo(x, generator=0).sum().item()
    loss = TraceMeanField_ELBO().loss(bits_model.model, bits_model.guide, x)
    assert loss == pytest.approx(-ours)


def test_mean_over_many_rows_is_ours(
    bits_model: VariationalAutoencoder, within: Callable[[Tensor, Tensor], bool]
) -> None:
    x = torch.tensor([[1.0, 0.0, 1.0, 1.0, 0.0]]).expand(20_000, 5)
    ours = bits_model.elbo(x, generator=0).detach()
    loss = Trace_ELBO(num_particles=3).loss(bits_model.model, bits_model.guide, x)
    error = 5 * (1.5**0.5) * ours.std() / len(x) ** 0.5
    assert abs(-loss / len(x) - ours.mean()) < error
    assert abs(loss / len(x) - ours.mean()) > error


def test_svi_trains_the_same_module() -> None:
    model = VariationalAutoencoder(mlp([4, 8, 4], generator=0), mlp([2, 8, 4], generator=1), 2)
    x = torch.eye(4).repeat(10, 1)
    before = model.elbo(x, generator=0).mean().item()
    svi = SVI(model.model, model.guide, pyro.optim.Adam({"lr": 0.02}), TraceMeanField_ELBO())  # pyright: ignore
    for _ in range(60):
        svi.step(x)
    assert model.elbo(x, generator=0).mean().item() > before + 0.3


def test_other_priors_and_conditions() -> None:
    prior = VampPrior(torch.zeros(1, 4))
    model = VariationalAutoencoder(
        mlp([4, 8, 4], generator=0), mlp([2, 8, 4], generator=1), 2, prior=prior
    )
    x = torch.zeros(3, 4)
    # The prior is the posterior of these rows: the draws cancel.
    expected = deaf(model).likelihood(torch.zeros(3, 2)).log_prob(x).sum().item()
    assert Trace_ELBO().loss(model.model, model.guide, x) == pytest.approx(-expected, abs=1e-4)
    told = VariationalAutoencoder(
        mlp([7, 8, 4], generator=0), mlp([5, 8, 4], generator=1), 2, condition=3
    )
    ours = deaf(told).elbo(x, condition=[0, 1, 2], generator=0).sum().item()
    loss = TraceMeanField_ELBO().loss(told.model, told.guide, x, [0, 1, 2])
    assert loss == pytest.approx(-ours, rel=1e-5)


def test_particles_have_no_axis(bits_model: VariationalAutoencoder) -> None:
    elbo = Trace_ELBO(num_particles=2, vectorize_particles=True, max_plate_nesting=1)
    with pytest.raises(ValueError, match="vectorize_particles=False"):
        elbo.loss(bits_model.model, bits_model.guide, torch.zeros(3, 5))
