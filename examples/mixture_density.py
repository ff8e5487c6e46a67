"""A density no normal law has: rows along a spiral, described by 1, 4 and 12 of them.

Components need not be clusters. Enough of them, each a piece of the spiral, follow it as closely
as the rows allow; what that is worth is the log-likelihood of rows that the fit has not seen.
Blue: the smallest regions with 20, 40, 60, 80, 95 and 99 % of the probability.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import torch

from inference.palette import INK
from pgm.gaussian_mixture import GaussianMixture
from pgm.mixture_plot import plot_density, plot_mixture

ROWS, TESTS, SHOWN = 800, 4000, (1, 4, 12)
ACROSS, UP = (-12, 10), (-9, 11)
TRIED = (1, 2, 4, 8, 12, 16, 24)


def spiral(n: int, seed: int) -> torch.Tensor:
    """Points along a spiral of one turn and a half, with noise across it."""
    source = torch.Generator().manual_seed(seed)
    turn = 3 * torch.pi * torch.rand(n, generator=source, dtype=torch.float64).sqrt()
    line = torch.stack([turn * turn.cos(), turn * turn.sin()], 1)
    return line + 0.5 * torch.randn(n, 2, generator=source, dtype=torch.float64)


def main(out: Path) -> None:
    x, unseen = spiral(ROWS, 0), spiral(TESTS, 1)
    fits = {
        k: GaussianMixture(k, n_init=10, tol=1e-5, max_iter=1000, random_state=0).fit(x)
        for k in TRIED
    }
    score = {k: float(fit.score_samples(unseen).mean()) for k, fit in fits.items()}
    print(f"{ROWS} rows; nats per row of those fitted and of {TESTS} others:\n")
    print("components   numbers     fitted   others")
    for k, fit in fits.items():
        fitted = float(fit.score_samples(x).mean())
        print(f"{k:10d}{fit.n_parameters:10d}{fitted:11.3f}{score[k]:9.3f}")
    print("\nFurther components go on describing the rows fitted better, not the others.")
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.25), layout="constrained")
    for ax, k in zip(axes, SHOWN, strict=True):
        plot_density(fits[k], ax, [ACROSS, UP])
        ax.scatter(*x.T, s=3, color=INK, lw=0, alpha=0.5)
        plot_mixture(fits[k], ax=ax)
        named = f"{k} component{'s' * (k > 1)}"
        ax.set_title(f"{named}: {score[k]:.2f} nats per unseen row", fontsize=11)
        ax.set(xlim=ACROSS, ylim=UP, aspect="equal", xlabel="", ylabel="")
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "mixture_density.png", dpi=130)
    print(f"\nFigure: {out / 'mixture_density.png'}")


if __name__ == "__main__":
    main(Path("figures"))
