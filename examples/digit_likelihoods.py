"""One ruler for all models: nats per handwritten digit that they have not seen.

A mixture, Boltzmann machines of one and two hidden layers and autoencoders learn the same 1,500
binary images. Each has its own way to a likelihood: a sum, a partition function estimated by
annealing, a bound by importance sampling. In nats per image, all of them can be compared.
"""

from __future__ import annotations

from collections.abc import Iterator
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
from inference.pictures import plain
from pgm.mixture import Mixture
from pgm.mixtures.families.bernoulli import Bernoulli

AIS = {"method": "ais", "betas": 1000, "chains": 100, "generator": 0}


def learned(x: Tensor, unseen: Tensor) -> Iterator[tuple[str, str, Tensor]]:
    """Model after model: its name, its colour, and nats of each row that it has not seen."""
    mixture = Mixture(100, Bernoulli(64)).fit(x, prior=1.0, max_iter=100, tol=0, generator=0)
    yield "Bernoulli mixture, 100 components", GREEN, mixture.log_prob(unseen)
    machine = RestrictedBoltzmannMachine(64, 64, generator=0).fit(x, generator=0)
    values = machine.log_prob(unseen, log_partition=machine.log_partition(**AIS))
    yield "restricted Boltzmann machine, 64 hidden", AMBER, values
    beliefs = DeepBeliefNetwork([64, 64, 64], generator=0).fit(x, generator=0)
    known = {"log_partition": beliefs.log_partition(**AIS), "importance": True, "generator": 0}
    yield "deep belief network, 64 and 64", AMBER, beliefs.log_prob_bound(unseen, **known)
    for name, k, prior, dropout in (
        ("variational autoencoder", 1, None, 0.0),
        ("the same, importance-weighted by 10 draws", 10, None, 0.0),
        ("the same, with a VampPrior", 1, VampPrior(x[:50]), 0.1),
    ):
        decoder = mlp([8, 256, 64], dropout=dropout, generator=1)
        model = VariationalAutoencoder(mlp([64, 256, 16], generator=0), decoder, 8, prior=prior)
        model.fit(x, "elbo" if k == 1 else "iwae", n_samples=k, epochs=120, generator=0)
        yield name, BLUE, model.log_prob(unseen, generator=0)


def main(out: Path) -> None:
    pixels, labels = load_digits(return_X_y=True)
    bits = torch.from_numpy(pixels >= 8).float()
    x, unseen = train_test_split(bits, test_size=297, random_state=0, stratify=labels)
    figure, ax = plt.subplots(figsize=(9.5, 3.9), layout="constrained")
    print(f"{'':42}{'nats per digit':>16}{'s.e.':>8}{'CPU s':>8}")
    start = process_time()
    for name, color, values in learned(x, unseen):
        values = values.detach().double()
        mean, error = float(values.mean()), float(values.std()) / len(values) ** 0.5
        print(f"{name:42}{mean:16.2f}{error:8.2f}{process_time() - start:8.1f}")
        ax.errorbar(mean, name, xerr=error, fmt="o", color=color, ms=8, capsize=4, lw=1.6)
        ax.annotate(f"{mean:.2f}", (mean, name), (0, 9), textcoords="offset points", ha="center")
        start = process_time()
    plain(ax).set(ylim=(5.6, -0.7), xlabel="nats per unseen digit; right is better")
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "digit_likelihoods.png", dpi=130)
    print("\nDifferences on the same digits are surer than the standard errors of each model say.")
    print(f"Figure: {out / 'digit_likelihoods.png'}")


if __name__ == "__main__":
    main(Path("figures"))
