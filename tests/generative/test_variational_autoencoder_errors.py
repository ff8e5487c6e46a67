"""What the variational autoencoder refuses, before anything is changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from generative.networks import mlp
from generative.vae.mixture_prior import MixturePrior, VampPrior
from generative.variational_autoencoder import VariationalAutoencoder

X = torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0]])


def make(encoder: Any = None, decoder: Any = None, d: Any = 2, **options: Any) -> Any:
    """A small autoencoder of three bits, unless told otherwise."""
    encoder = nn.Linear(3, 4) if encoder is None else encoder
    decoder = nn.Linear(2, 3) if decoder is None else decoder
    return VariationalAutoencoder(encoder, decoder, d, **options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"encoder": len}, TypeError, "encoder must be a torch module, found builtin"),
        ({"decoder": 3}, TypeError, "decoder must be a torch module, found int"),
        ({"d": 0}, ValueError, "latent_dim must be at least 1"),
        ({"beta": -1.0}, ValueError, "beta must be at least 0"),
        ({"prior": "vamp"}, TypeError, "prior must be a Prior or None, found str"),
        ({"prior": MixturePrior(2, 3)}, ValueError, "of 3 numbers, found latent_dim=2"),
        ({"prior": VampPrior(X), "condition": 3}, ValueError, "VampPrior with a condition"),
        ({"likelihood": "probit"}, ValueError, "likelihood must be"),
    ],
)
def test_construction(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make(**options)


@pytest.mark.parametrize(
    ("options", "x", "message"),
    [
        ({"encoder": nn.Linear(3, 2)}, X, r"\(batch, 4\) for latent_dim=2.*found \(batch, 2\)"),
        ({"decoder": nn.Linear(2, 4)}, X, r"decoder .*: \(batch, 3\), found \(batch, 4\)"),
        ({"encoder": nn.Linear(5, 4)}, X, r"encoder must take \(batch, 3\), found: "),
        ({"encoder": mlp([5, 4])}, X, r"encoder must take \(batch, 3\), found: .*5 numbers"),
        ({"decoder": nn.Linear(3, 3)}, X, r"decoder must take \(batch, 2\), found: "),
        ({"decoder": nn.Bilinear(2, 2, 3)}, X, r"decoder must take \(batch, 2\), found: "),
        ({"prior": VampPrior(torch.zeros(2, 5))}, X, r"prior must take \(batch, 2\), found: "),
        ({}, X * 0.5, "x must hold zeros and ones .*0.5 at index.*binarise"),
        ({}, X * torch.nan, "x must not hold NaN"),
        ({"likelihood": "gaussian", "decoder": nn.Linear(2, 6)}, X / 0, "found (nan|inf)|NaN"),
        ({"likelihood": "gaussian"}, X, r"log-variances along axis 1: \(batch, 6\), found"),
        ({"likelihood": "categorical"}, X, "codes 0 to 2|K logits"),
        ({}, X[0], r"x must be \(batch, \*event\).*found \(3,\).*x\[None\]"),
        ({}, X[:0], "not empty"),
        ({"condition": 2, "encoder": nn.Bilinear(3, 2, 4)}, X, "condition must be given"),
    ],
)  # fmt: skip
def test_rows_and_networks(options: dict[str, Any], x: Any, message: str) -> None:
    model = make(**options)
    methods: list[Callable[..., Any]] = [model.elbo, model.log_prob, model.posterior]
    methods += [model.reconstruct, model.transform, model.fit, model.model, model.guide]
    before = {key: value.clone() for key, value in model.state_dict().items()}
    for method in methods:
        with pytest.raises(ValueError, match=message):
            method(x)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not model.history


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "vae"}, "objective must be"),
        ({"n_samples": 0}, "n_samples must be at least 1"),
        ({"objective": "iwae", "beta_warm_up": 3}, 'beta_warm_up is for objective="elbo"'),
        ({"beta_warm_up": -1}, "beta_warm_up must be at least 0"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"lr": -1.0}, "lr must be at least 0"),
        ({"condition": [0, 1]}, "condition must be None"),
        ({"validation": X * 0.5}, "validation must hold zeros and ones"),
        ({"augment": lambda x, generator: x * 0.5}, "x must hold zeros and ones"),
    ],
)
def test_settings(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make().fit(X, progress=False, **options)


def test_free_bits_need_the_normal_prior() -> None:
    with pytest.raises(
        ValueError, match="free_bits are for the normal prior, found a MixturePrior"
    ):
        make(prior=MixturePrior(2, 2)).fit(X, free_bits=0.1)
    with pytest.raises(ValueError, match="beta and free_bits weigh"):
        make(beta=2.0).fit(X, "iwae")


def test_latent_numbers_and_pairs() -> None:
    model = make()
    with pytest.raises(ValueError, match=r"z must be \(batch, 2\), found \(1, 3\)"):
        model.likelihood(torch.zeros(1, 3))
    with pytest.raises(ValueError, match="a and b must have one shape"):
        model.interpolate(X, X[:1])
    with pytest.raises(ValueError, match="steps must be at least 2"):
        model.interpolate(X, X, 1)
    with pytest.raises(ValueError, match="n must be at least 1"):
        model.sample(0)


def test_divergence_is_told() -> None:
    model = make()
    with pytest.raises(FloatingPointError, match=r"not finite|no longer finite"):
        model.fit(X, lr=1e30, epochs=50, generator=0, progress=False)


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    make(prior=MixturePrior(2, 2)).save(path)
    with pytest.raises(TypeError, match="encoder must be a module like the one"):
        VariationalAutoencoder.load(path)
    with pytest.raises(ValueError, match="made with an own prior"):
        VariationalAutoencoder.load(path, nn.Linear(3, 4), nn.Linear(2, 3))
    with pytest.raises(ValueError, match=r"decoder\.weight"):
        VariationalAutoencoder.load(
            path, nn.Linear(3, 4), nn.Linear(2, 5), prior=MixturePrior(2, 2)
        )


def test_batch_norm_and_dropout_are_left_alone() -> None:
    norm, dropout = nn.BatchNorm1d(4), nn.Dropout(0.5)
    decoder = nn.Sequential(nn.Linear(2, 4), norm, dropout, nn.Linear(4, 3))
    assert norm.running_mean is not None
    model = make(decoder=decoder)
    model.train()
    before = norm.running_mean.clone()
    _ = model.posterior(X)
    assert model.decoder.training and dropout.training
    assert torch.equal(norm.running_mean, before)


def test_codes_may_come_in_a_table(recwarn: pytest.WarningsRecorder) -> None:
    decoder = mlp([2, 6], shape=(3, 2), generator=1)
    encoder = nn.Sequential(nn.Embedding(2, 2), nn.Flatten(), nn.Linear(6, 4))
    model = make(encoder, decoder, likelihood="categorical")
    codes = X.long()
    read_only = np.broadcast_to(codes[:1].numpy(), (2, 3))
    wanted = model.elbo(codes, generator=0)
    assert torch.equal(model.elbo(pd.DataFrame(codes.numpy()), generator=0), wanted)
    assert model.elbo(read_only, generator=0).shape == (2,)
    assert not recwarn.list


def test_weights_of_numpy_are_saved(tmp_path: Path) -> None:
    make(beta=np.float32(0.5)).save(tmp_path / "m.safetensors")
    path = tmp_path / "state.safetensors"
    how: dict[str, Any] = {"free_bits": np.float32(0.5), "beta_warm_up": np.int64(2)}
    make().fit(X, epochs=1, checkpoint=path, generator=0, progress=False, **how)
    assert path.exists()
