"""One ruler for all models: nats per handwritten digit that they have not seen.

A mixture, Boltzmann machines of one and two hidden layers and autoencoders learn the same 1,500
binary images. Each has its own way to a likelihood: a sum, a partition function estimated by
annealing, a bound by importance sampling. In nats per image, all of them can be compared.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from time import process_time

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor

from energy import DeepBeliefNetwork, RestrictedBoltzmannMachine
from generative import VariationalAutoencoder
from generative.networks import mlp
from generative.vae import VampPrior
from inference.palette import AMBER, BLUE, GREEN
from pgm.mixture import Mixture
from pgm.mixtures.families.bernoulli import Bernoulli

PIXELS = 64
ANNEALED = {"betas": 1000, "chains": 100, "generator": 0, "progress": False}


def mixture(x: Tensor, unseen: Tensor) -> Tensor:
    model = Mixture(100, Bernoulli(PIXELS))
    return model.fit(x, prior=1.0, max_iter=100, tol=0, generator=0).log_prob(unseen)


def machine(x: Tensor, unseen: Tensor) -> Tensor:
    model = RestrictedBoltzmannMachine(PIXELS, 64, generator=0)
    log_z = model.fit(x, generator=0, progress=False).log_partition("ais", **ANNEALED)
    return model.log_prob(unseen, log_partition=log_z)


def beliefs(x: Tensor, unseen: Tensor) -> Tensor:
    model = DeepBeliefNetwork([PIXELS, 64, 64], generator=0)
    log_z = model.fit(x, generator=0, progress=False).log_partition("ais", **ANNEALED)
    return model.log_prob_bound(unseen, log_partition=log_z, importance=True, generator=0)


def autoencoder(x: Tensor, unseen: Tensor, k: int = 1, vamp: bool = False) -> Tensor:
    encoder = mlp([PIXELS, 256, 16], generator=0)
    decoder = mlp([8, 256, PIXELS], dropout=0.1 if vamp else 0.0, generator=1)
    model = VariationalAutoencoder(encoder, decoder, 8, prior=VampPrior(x[:50]) if vamp else None)
    objective = "elbo" if k == 1 else "iwae"
    model.fit(x, objective, n_samples=k, epochs=120, generator=0, progress=False)
    return model.log_prob(unseen, generator=0)


MODELS = {
    "Bernoulli mixture, 100 components": (mixture, GREEN),
    "restricted Boltzmann machine, 64 hidden": (machine, AMBER),
    "deep belief network, 64 and 64": (beliefs, AMBER),
    "variational autoencoder": (autoencoder, BLUE),
    "the same, importance-weighted by 10 draws": (partial(autoencoder, k=10), BLUE),
    "the same, with a VampPrior": (partial(autoencoder, vamp=True), BLUE),
}


def main(out: Path) -> None:
    pixels, labels = load_digits(return_X_y=True)
    bits = torch.from_numpy(pixels >= 8).float()
    x, unseen = train_test_split(bits, test_size=297, random_state=0, stratify=labels)
    figure, ax = plt.subplots(figsize=(9.5, 3.9), layout="constrained")
    print(f"{'':42}{'nats per digit':>16}{'s.e.':>8}{'CPU s':>8}")
    for place, (name, (learn, color)) in enumerate(MODELS.items()):
        start = process_time()
        scores = learn(x, unseen).detach().double()
        mean, error = float(scores.mean()), float(scores.std()) / len(scores) ** 0.5
        print(f"{name:42}{mean:16.2f}{error:8.2f}{process_time() - start:8.1f}")
        ax.errorbar(mean, place, xerr=error, fmt="o", color=color, ms=8, capsize=4, lw=1.6)
        ax.annotate(f"{mean:.2f}", (mean, place), (0, 9), textcoords="offset points", ha="center")
    ax.set_yticks(range(len(MODELS)), list(MODELS))
    ax.set(ylim=(len(MODELS) - 0.4, -0.7), xlabel="nats per unseen digit; right is better")
    ax.grid(axis="x", color="#e3e8ee")
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(left=False)
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "digit_likelihoods.png", dpi=130)
    print("\nDifferences on the same digits are surer than the standard errors of each model say.")
    print(f"Figure: {out / 'digit_likelihoods.png'}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder of the figure")
    main(parser.parse_args().out)
