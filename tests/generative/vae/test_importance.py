"""The importance-weighted bound: unbiased, rising, below the truth, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from generative.vae import importance
from generative.variational_autoencoder import VariationalAutoencoder

ROW = [[1.0, 0.0, 1.0, 1.0, 0.0]]


def test_its_exponential_is_unbiased(
    bits_model: VariationalAutoencoder, grid: Any, within: Callable[[Tensor, Tensor], bool]
) -> None:
    x = torch.tensor(ROW).expand(30_000, 5)
    exact = grid(bits_model, x[:1].double()).exp()
    found = bits_model.log_prob(x, 3, generator=0)
    assert within(found.exp(), exact)
    # The mean of log weights is no such estimate, nor are weights of a flipped divergence.
    assert not within(bits_model.elbo(x, 3, generator=0).detach().exp(), exact)
    terms = bits_model.elbo_terms(x, 3, generator=0)
    assert not within((terms.reconstruction + terms.kl).detach().exp(), exact)


def test_it_rises_to_the_likelihood(bits_model: VariationalAutoencoder, grid: Any) -> None:
    x = torch.tensor(ROW).expand(20_000, 5)
    exact = grid(bits_model, x[:1].double())
    means, errors = [], []
    for k in (1, 4, 16):
        found = bits_model.log_prob(x, k, generator=k)
        means.append(found.mean())
        errors.append(found.std() / len(found) ** 0.5)
    assert means[0] + 5 * errors[0] < means[1] - 5 * errors[1]
    assert means[1] + 5 * errors[1] < means[2] - 5 * errors[2]
    assert means[2] < exact + 5 * errors[2]
    assert bits_model.log_prob(x[:1], 200_000, generator=0).item() == pytest.approx(
        exact.item(), abs=0.02
    )


def test_all_rows_against_the_grid(bits_model: VariationalAutoencoder, grid: Any) -> None:
    x = torch.tensor([[float(code >> place & 1) for place in range(5)] for code in range(32)])
    exact = grid(bits_model, x.double())
    assert exact.exp().sum().item() == pytest.approx(1, abs=1e-9)
    # The error of log of a mean of 50 000 weights is below .01 unless weights vary by more than 2.
    assert (bits_model.log_prob(x, 50_000, generator=0) - exact).abs().max() < 0.05


def test_blocks_do_not_matter(
    bits_model: VariationalAutoencoder, monkeypatch: pytest.MonkeyPatch, grid: Any
) -> None:
    x = torch.tensor(ROW).expand(7, 5)
    largest = 0
    inner = bits_model.decoder.forward

    def watched(z: Tensor) -> Tensor:
        nonlocal largest
        largest = max(largest, len(z))
        return inner(z)

    monkeypatch.setattr(bits_model.decoder, "forward", watched)
    monkeypatch.setattr(importance, "BLOCK", 5 * 64)
    found = bits_model.log_prob(x, 2001, generator=0)
    assert largest == 64 and found.shape == (7,) and not found.requires_grad
    assert (found - grid(bits_model, x.double())).abs().max() < 0.3
    few = bits_model.log_prob(x, 3, generator=0)
    monkeypatch.setattr(importance, "BLOCK", 5)
    assert bits_model.log_prob(x, 3, generator=0).shape == few.shape
