"""Other ways to train a variational autoencoder: written by hand, with Pyro and with pythae."""

from __future__ import annotations

import importlib.util
import io
import logging
import tempfile
from collections.abc import Callable
from contextlib import redirect_stderr
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

__all__ = ["BY_HAND", "PEERS", "bare", "networks", "pythae", "with_pyro"]

#: Trains for some epochs: sizes (data, hidden, latent), rows, batch size, epochs.
Trainer = Callable[[tuple[int, int, int], Tensor, int, int], Any]

RATE = 1e-3


def networks(sizes: tuple[int, int, int]) -> tuple[nn.Module, nn.Module]:
    """Encoder and decoder with one hidden layer each, the same ones every time."""
    data, hidden, latent = sizes
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        encoder = nn.Sequential(nn.Linear(data, hidden), nn.ReLU(), nn.Linear(hidden, 2 * latent))
        decoder = nn.Sequential(nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, data))
    return encoder, decoder


def bare(
    sizes: tuple[int, int, int], x: Tensor, batch_size: int, epochs: int, *, fused: bool
) -> None:
    """The loop as one writes it oneself, with the same maths."""
    encoder, decoder = (net.to(x.device) for net in networks(sizes))
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(parameters, RATE, fused=fused)
    source = torch.Generator(x.device).manual_seed(0)
    whole = len(x) // batch_size * batch_size
    for _ in range(epochs):
        total = torch.zeros((), device=x.device)
        order = torch.randperm(len(x), generator=source, device=x.device)
        for chosen in order[:whole].split(batch_size):
            batch = x[chosen]
            mean, log_variance = encoder(batch).chunk(2, 1)
            noise = torch.randn(mean.shape, generator=source, device=x.device)
            logits = decoder(mean + (0.5 * log_variance).exp() * noise)
            fit = binary_cross_entropy_with_logits(logits, batch, reduction="none").sum(1)
            gap = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
            loss = (fit + gap).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach()
        float(total)


def with_pyro(sizes: tuple[int, int, int], x: Tensor, batch_size: int, epochs: int) -> None:
    """Pyro's SVI, with the closed form of the divergence."""
    import pyro
    import pyro.distributions as dist
    from pyro.infer import SVI, TraceMeanField_ELBO

    pyro.clear_param_store()
    encoder, decoder = (net.to(x.device) for net in networks(sizes))
    latent = sizes[2]

    def model(batch: Tensor) -> None:
        pyro.module("decoder", decoder)
        with pyro.plate("rows", len(batch)):
            zeros = batch.new_zeros(len(batch), latent)
            z = pyro.sample("z", dist.Normal(zeros, 1.0 + zeros).to_event(1))
            pyro.sample("x", dist.Bernoulli(logits=decoder(z)).to_event(1), obs=batch)

    def guide(batch: Tensor) -> None:
        pyro.module("encoder", encoder)
        with pyro.plate("rows", len(batch)):
            mean, log_variance = encoder(batch).chunk(2, 1)
            pyro.sample("z", dist.Normal(mean, (0.5 * log_variance).exp()).to_event(1))

    svi = SVI(model, guide, pyro.optim.Adam({"lr": RATE}), TraceMeanField_ELBO())
    whole = len(x) // batch_size * batch_size
    for _ in range(epochs):
        for chosen in torch.randperm(len(x), device=x.device)[:whole].split(batch_size):
            svi.step(x[chosen])


def pythae(sizes: tuple[int, int, int], x: Tensor, batch_size: int, epochs: int) -> None:
    """The trainer of pythae."""
    from pythae.data.datasets import BaseDataset  # pyright: ignore[reportMissingImports]
    from pythae.models import VAE, VAEConfig  # pyright: ignore[reportMissingImports]
    from pythae.models.base.base_utils import ModelOutput  # pyright: ignore[reportMissingImports]
    from pythae.models.nn import (  # pyright: ignore[reportMissingImports]
        BaseDecoder,
        BaseEncoder,
    )
    from pythae.trainers import (  # pyright: ignore[reportMissingImports]
        BaseTrainer,
        BaseTrainerConfig,
    )

    logging.disable(logging.WARNING)
    data, _, latent = sizes
    inner, outer = networks(sizes)

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            BaseEncoder.__init__(self)
            self.net = inner

        def forward(self, given: Tensor) -> Any:
            mean, log_variance = self.net(given).chunk(2, 1)
            return ModelOutput(embedding=mean, log_covariance=log_variance)

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            BaseDecoder.__init__(self)
            self.net = outer

        def forward(self, given: Tensor) -> Any:
            # Its losses take probabilities.
            return ModelOutput(reconstruction=self.net(given).sigmoid())

    config = VAEConfig(input_dim=(data,), latent_dim=latent, reconstruction_loss="bce")
    # Its bars cannot be switched off.
    with tempfile.TemporaryDirectory() as folder, redirect_stderr(io.StringIO()):
        training = BaseTrainerConfig(
            output_dir=folder,
            num_epochs=epochs,
            per_device_train_batch_size=batch_size,
            learning_rate=RATE,
            no_cuda=x.device.type == "cpu",
        )
        trainer = BaseTrainer(
            model=VAE(config, Encoder(), Decoder()),
            train_dataset=BaseDataset(x, torch.zeros(len(x))),
            training_config=training,
        )
        trainer.train()
    logging.disable(logging.NOTSET)


BY_HAND: dict[str, Trainer] = {
    "by hand": lambda *given: bare(*given, fused=False),
    "by hand, fused Adam": lambda *given: bare(*given, fused=True),
}
PEERS: dict[str, Trainer] = {"Pyro": with_pyro}
if importlib.util.find_spec("pythae") is not None:
    PEERS["pythae"] = pythae
