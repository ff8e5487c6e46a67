"""Rows with holes: what to do where three entries in ten are missing.

Leaving out incomplete rows wastes most of what is known, and filling in column means invents a
cross of values that nobody saw. EM on the incomplete rows integrates over what is missing: every
row counts for what it has. All fits start at the true means. Grey: the truth; a tick at the
border: a row with one of the two entries.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import torch

from inference.palette import AXIS
from pgm.gaussian_mixture import GaussianMixture
from pgm.mixture_plot import plot_mixture

ROWS, HOLES, TESTS = 400, 0.3, 20_000
MEANS = [[0.0, 0.0, 0.0, 0.0], [4.5, 2.0, 1.0, 2.0], [0.5, 4.5, 3.0, -2.0]]
BEND = [[1.0, 0.7, 0.0, 0.0], [0.0, 0.7, 0.5, 0.0], [0.0, 0.0, 0.9, 0.6], [0.0, 0.0, 0.0, 0.8]]


def truth() -> GaussianMixture:
    """Three components, every column correlated with the next."""
    root = torch.tensor(BEND)
    turned = root * torch.tensor([1.0, -1.0, 1.0, 1.0])
    covariances = [part.T @ part for part in (root, turned, 0.8 * root)]
    return GaussianMixture.from_parameters([0.4, 0.35, 0.25], MEANS, torch.stack(covariances))


def main(out: Path) -> None:
    law = truth()
    whole, test = law.sample(ROWS, generator=0), law.sample(TESTS, generator=1)
    gone = torch.rand(whole.shape, generator=torch.Generator().manual_seed(2)) < HOLES
    holes = whole.masked_fill(gone, torch.nan)
    holes = holes[~holes.isnan().all(1)]
    complete = holes[~holes.isnan().any(1)]
    filled = torch.where(holes.isnan(), holes.nanmean(0), holes)
    tried = {"complete rows": complete, "filled with means": filled, "EM with holes": holes}
    best = float(law.score_samples(test).mean())
    print(f"{ROWS} rows, {HOLES:.0%} of the entries missing; {len(complete)} rows are complete.\n")
    print(f"{'':>18}{'rows':>6}{'means are off by':>18}{'held-out nats per row lost':>29}")
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.3), sharex=True, sharey=True)
    figure.set_layout_engine("constrained")
    for ax, (name, rows) in zip(axes, tried.items(), strict=True):
        fit = GaussianMixture(3, means_init=MEANS, tol=1e-6, max_iter=2000).fit(rows)
        off = float((fit.means_ - law.means_).norm(dim=1).mean())
        lost = best - float(fit.score_samples(test).mean())
        print(f"{name:>18}{len(rows):6d}{off:18.2f}{lost:29.3f}")
        plot_mixture(law, ax=ax)
        for patch in ax.patches:
            patch.set(facecolor="none", edgecolor=AXIS, linewidth=5, alpha=0.5, zorder=2)
        for line in ax.lines:
            line.set_visible(False)
        plot_mixture(fit, rows, ax)
        ax.set_title(f"{name}: {lost:.2f} nats per row lost")
        ax.label_outer()
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "mixture_holes.png", dpi=130)
    print(f"\nFigure: {out / 'mixture_holes.png'}")


if __name__ == "__main__":
    main(Path("figures"))
