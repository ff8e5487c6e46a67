"""Digits from a deep belief network: what each of its layers adds.

Two hidden layers learn one after the other, and then together by the up-down algorithm. The
network has a label beside its last layer but one: asked for a digit, it dreams one. What it has
learned is a lower bound of its likelihood; that the bound rises is the second layer's doing.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits

from energy import DeepBeliefNetwork
from energy.machine_plot import plot_layer_samples, plot_weight_histogram
from energy.memory_plot import plot_patterns

SIDE, HIDDEN, PER_CLASS = 8, 64, 8


def main(out: Path) -> None:
    pixels, labels = load_digits(return_X_y=True)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    rows, codes = torch.from_numpy(pixels >= 8).float()[order], torch.from_numpy(labels)[order]
    seen, unseen = slice(1500), slice(1500, None)
    network = DeepBeliefNetwork([SIDE**2, HIDDEN, HIDDEN], n_classes=10, generator=0)

    def report(words: str) -> None:
        log_z = network.log_partition("ais", generator=0)
        bound = network.log_prob_bound(rows[unseen], log_partition=log_z, generator=0)
        right = float((network.predict(rows[unseen]) == codes[unseen]).double().mean())
        print(f"{words:<22}{float(bound.mean()):8.2f} nats{right:8.1%} labels right")

    print("297 digits not seen: lower bound of the log-likelihood of one, and its label")
    network.fit(rows[seen], codes[seen], epochs=200, generator=0, progress=False)
    report("layer by layer")
    network.fine_tune(rows[seen], codes[seen], epochs=150, generator=0, progress=False)
    report("and then up and down")

    asked = torch.arange(10).repeat_interleave(PER_CLASS)
    dreams = network.sample(len(asked), label=asked, sweeps=500, generator=1)
    layers = network.layer_samples(10, label=torch.arange(10), sweeps=500, generator=2)
    weights = {
        "visible to first": network.layers[0].weights,
        "first to second": network.top.weights,
    }
    figure, axes = plt.subplots(2, 2, figsize=(11, 8), height_ratios=[2, 1], layout="constrained")
    plot_patterns(dreams, (SIDE, SIDE), axes[0, 0], columns=PER_CLASS)
    axes[0, 0].set_title("Dreams of a 0, of a 1, ..., a row each", fontsize=10.5)
    plot_patterns(rows[seen][: len(asked)], (SIDE, SIDE), axes[0, 1], columns=PER_CLASS)
    axes[0, 1].set_title("Digits that were learned", fontsize=10.5)
    names = ["by the first layer", "by the second"]
    plot_layer_samples(layers, [(SIDE, SIDE)] * 2, axes[1, 0], names)
    axes[1, 0].set_title("What layers say of the same dreams, digit by digit", fontsize=10.5)
    plot_weight_histogram(weights, axes[1, 1])
    axes[1, 1].set_title("Weights of the two layers", fontsize=10.5)
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "dbn_digits.png", dpi=130)
    print(f"\nFigure: {out / 'dbn_digits.png'}")


if __name__ == "__main__":
    main(Path("figures"))
