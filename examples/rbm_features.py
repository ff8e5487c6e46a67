"""Features without labels: a classifier that has seen few labels sees more with a machine's eyes.

A restricted Boltzmann machine learns digits without their labels. The means of its hidden units
are the features of a logistic regression that gets 1 to 50 labelled digits of each class; another
one gets the pixels. The machine is fitted first, on all digits, and is a fixed step of a pipeline.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from energy import RestrictedBoltzmannMachine
from energy.machine_plot import plot_filters
from inference.palette import AMBER, BLUE

SIDE, HIDDEN, TRAIN, REPEATS = 8, 64, 1297, 20
LABELS = [1, 3, 10, 50]


def digits() -> tuple[torch.Tensor, np.ndarray]:
    """Binary pixels and classes, in random order."""
    pixels, classes = load_digits(return_X_y=True)
    order = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(0))
    return torch.from_numpy(pixels >= 8).float()[order], np.asarray(classes)[order.numpy()]


def main(out: Path) -> None:
    pixels, classes = digits()
    train, test = slice(0, TRAIN), slice(TRAIN, None)
    machine = RestrictedBoltzmannMachine(SIDE**2, HIDDEN, generator=0)
    machine.fit(pixels[train], epochs=300, generator=0, progress=False)
    known = FunctionTransformer(machine.transform)
    rivals: dict[str, Pipeline] = {
        "pixels": make_pipeline(LogisticRegression(max_iter=2000)),
        f"{HIDDEN} features": make_pipeline(known, LogisticRegression(max_iter=2000)),
    }
    random, accuracy = np.random.default_rng(0), {name: [] for name in rivals}
    print(f"Accuracy on {len(pixels) - TRAIN} unseen digits, mean of {REPEATS} draws of labels:\n")
    print(f"{'labels of a class':>18}" + "".join([f"{name:>22}" for name in rivals]))
    for count in LABELS:
        found = {name: [] for name in rivals}
        for _ in range(REPEATS):
            members = [random.permutation(np.flatnonzero(classes[train] == c)) for c in range(10)]
            rows = np.concatenate([some[:count] for some in members])
            for name, model in rivals.items():
                model.fit(pixels[rows], classes[rows])
                found[name].append(model.score(pixels[test], classes[test]))
        for name, scores in found.items():
            accuracy[name].append((np.mean(scores), np.std(scores) / REPEATS**0.5))
        told = [f"{accuracy[name][-1][0]:16.1%} +-{accuracy[name][-1][1]:4.1%}" for name in rivals]
        print(f"{count:18d}" + "".join(told))
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
    for (name, points), color in zip(accuracy.items(), (AMBER, BLUE), strict=True):
        means, errors = np.transpose(points)
        left.errorbar(LABELS, means, errors, fmt="o-", color=color, capsize=3, label=name)
    left.set(xscale="log", xlabel="labelled digits of a class", ylabel="accuracy, unseen digits")
    left.set_xticks(LABELS, [str(count) for count in LABELS])
    left.minorticks_off()
    left.legend(frameon=False)
    left.spines[["top", "right"]].set_visible(False)
    plot_filters(machine, (SIDE, SIDE), right, columns=8)
    right.set_title("Weights of the hidden units, strongest first", fontsize=10.5)
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "rbm_features.png", dpi=130)
    print(f"\nFigure: {out / 'rbm_features.png'}")


if __name__ == "__main__":
    main(Path("figures"))
