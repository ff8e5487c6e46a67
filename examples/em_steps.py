"""EM from a bad start, step by step: two circles find the two kinds of eruption of a geyser.

A step gives every row its responsibilities, then every component the weight, mean and covariance
of the rows it is responsible for. No step makes the rows less probable. The first step takes the
circles to the rows, and both components describe all of them. Gains are small for long, and grow
only as each lets go of the other's eruptions. After that nothing is left to decide.
"""

from __future__ import annotations

import warnings
from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from inference.convergence import ConvergenceWarning
from pgm.gaussian_mixture import GaussianMixture
from pgm.mixture_plot import plot_em_steps

SHOWN, LAST = (0, 1, 4, 8, 12, 16), 100
START = {
    "weights_init": [0.5, 0.5],
    "means_init": [[-1.0, 1.5], [1.0, -1.5]],
    "precisions_init": torch.eye(2).expand(2, 2, 2) / 2,
}


def eruptions() -> torch.Tensor:
    """Length of an eruption and the wait for the next, standardised."""
    means, short, long = [[2.0, 54.5], [4.3, 80.0]], [[0.07, 0.4], [0.4, 34]], [[0.17, 1], [1, 36]]
    geyser = GaussianMixture.from_parameters([0.36, 0.64], means, [short, long])
    x = geyser.sample(272, generator=1)
    return (x - x.mean(0)) / x.std(0)


def after(steps: int, x: torch.Tensor) -> GaussianMixture:
    """The mixture that so many steps lead to."""
    if steps == 0:
        weights, means, precisions = START.values()
        return GaussianMixture.from_parameters(weights, means, precisions.inverse())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # stopping early is the idea
        return GaussianMixture(2, **START, tol=0.0, max_iter=steps, accelerate=False).fit(x)


def main(out: Path) -> None:
    x = eruptions()
    models = [after(steps, x) for steps in SHOWN]
    climb = [step["objective"] / len(x) for step in after(LAST, x).history]
    print("steps   nats per row   gained by the next step   undecided rows")
    for steps, model in zip(SHOWN, models, strict=True):
        undecided = int((model.predict_proba(x).max(1).values < 0.95).sum())
        print(
            f"{steps:5d}{climb[steps]:15.4f}{climb[steps + 1] - climb[steps]:26.4f}{undecided:17d}"
        )
    down = sum([late < early - 1e-12 for early, late in pairwise(climb)])
    print(f"\nThe limit is {climb[-1]:.4f}; {down} of {len(climb) - 1} steps went down.")
    figure, axes = plt.subplots(2, 3, figsize=(11, 7), layout="constrained")
    plot_em_steps(models, x, SHOWN, axes)
    for ax in axes.flat:
        ax.set(xlabel="length, standardised", ylabel="wait, standardised", aspect="equal")
        ax.label_outer()
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "em_steps.png", dpi=130)
    print(f"\nFigure: {out / 'em_steps.png'}")


if __name__ == "__main__":
    main(Path("figures"))
