"""Autoencoders whose law is known: linear-normal ones, and small ones to sum over a grid."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from generative.networks import mlp
from generative.vae.likelihood import BernoulliLikelihood, GaussianLikelihood
from generative.variational_autoencoder import VariationalAutoencoder

#: Standard errors that a right estimate is within, but for one time in 1.7 million.
SIGMAS = 5.0


class LinearEncoder(nn.Module):
    """Posterior N(gain (x - shift), diag variance)."""

    def __init__(self, gain: Tensor, shift: Tensor, variance: Tensor) -> None:
        super().__init__()
        self.gain = nn.Parameter(gain)
        self.shift = nn.Parameter(shift)
        self.log_variance = nn.Parameter(variance.log())

    def forward(self, x: Tensor) -> Tensor:
        mean = (x - self.shift) @ self.gain.T
        return torch.cat([mean, self.log_variance.expand_as(mean)], 1)


class LinearNormal:
    """x = W z + b + s noise, with orthogonal columns of W, so that the posterior is diagonal."""

    def __init__(self, n: int, d: int, scale: float, seed: int) -> None:
        source = torch.Generator().manual_seed(seed)
        draw = torch.randn(n, d, generator=source, dtype=torch.float64)
        size = 0.5 + torch.rand(d, generator=source, dtype=torch.float64)
        self.weight = torch.linalg.qr(draw).Q * size
        self.bias = torch.randn(n, generator=source, dtype=torch.float64)
        self.scale, self.size = scale, size
        self.x = torch.randn(7, n, generator=source, dtype=torch.float64)

    def model(self, *, exact: bool = True) -> VariationalAutoencoder:
        """The autoencoder, with the exact posterior or with the prior as the encoder."""
        n, d = self.weight.shape
        precision = 1 + self.size.square() / self.scale**2
        gain = self.weight.T / self.scale**2 / precision[:, None]
        if not exact:
            gain, precision = torch.zeros_like(gain), torch.ones_like(precision)
        decoder = nn.Linear(d, n).double()
        with torch.no_grad():
            decoder.weight.copy_(self.weight)
            decoder.bias.copy_(self.bias)
        encoder = LinearEncoder(gain, self.bias.clone(), 1 / precision)
        law = GaussianLikelihood(self.scale)
        return VariationalAutoencoder(encoder, decoder, d, law)

    def log_prob(self) -> Tensor:
        """Of the rows, exactly."""
        cov = self.weight @ self.weight.T + self.scale**2 * torch.eye(len(self.bias)).double()
        return torch.distributions.MultivariateNormal(self.bias, cov).log_prob(self.x)


@pytest.fixture(scope="session")
def linear_normal() -> Callable[..., LinearNormal]:
    """Makes linear-normal laws."""
    return LinearNormal


@pytest.fixture
def bits_model() -> VariationalAutoencoder:
    """Five bits, one latent number, random networks in double precision."""
    encoder, decoder = mlp([5, 6, 2], "tanh", generator=3), mlp([1, 6, 5], "tanh", generator=4)
    with torch.no_grad():
        for x in decoder.parameters():
            x.mul_(3)
    return VariationalAutoencoder(encoder.double(), decoder.double(), 1, BernoulliLikelihood())


def grid_log_prob(model: VariationalAutoencoder, x: Tensor) -> Tensor:
    """Log p(x) of a model with one latent number, by a sum over a grid."""
    z = torch.linspace(-9, 9, 6001, dtype=torch.float64)[:, None]
    with torch.no_grad():
        output = model.decoder(z)
        law = torch.distributions.Bernoulli(logits=output)
        given = torch.stack([law.log_prob(row.expand_as(output)).sum(1) for row in x])
    log_prior = -0.5 * (z[:, 0].square() + math.log(2 * math.pi))
    return (given + log_prior).logsumexp(1) + math.log(18 / 6000)


@pytest.fixture
def grid() -> Callable[[VariationalAutoencoder, Tensor], Tensor]:
    """Log p(x) by brute force."""
    return grid_log_prob


def within(found: Tensor, expected: Tensor | float) -> bool:
    """Whether the means of independent draws (draws, ...) are within five standard errors."""
    error = found.std(0) / math.sqrt(len(found))
    return bool(((found.mean(0) - expected).abs() <= SIGMAS * error).all())


@pytest.fixture(name="within")
def within_fixture() -> Callable[[Tensor, Tensor | float], bool]:
    """Compares a mean with what it should be."""
    return within
