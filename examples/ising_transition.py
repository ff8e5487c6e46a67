"""A magnet melts: spins on a square lattice across their critical temperature, beside Onsager.

Below T = 2.269 the spins agree over any distance, above it they do not. Clusters of spins are
turned as a whole (Swendsen & Wang), so that chains stay fast where single spins would take an age.
Error bars are Monte Carlo standard errors, which know how correlated the draws are.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

from energy import IsingModel
from energy.ising.onsager import CRITICAL_TEMPERATURE, onsager_energy, onsager_magnetization
from inference import mcse, rhat, sample_chain
from inference.palette import AMBER, AXIS, BLUE, MUTED

SIDE, CHAINS, DRAWS = 32, 8, 250
TEMPERATURES = [1.5, 1.8, 2.0, 2.15, 2.22, 2.269, 2.32, 2.4, 2.6, 3.0, 3.5]
PICTURES = {1.8: "ordered", 2.269: "critical, islands of all sizes", 3.5: "disordered"}


def measured(temperature: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Energy and |magnetisation| per spin, (2, chain, draw), their R-hat, and last spins."""
    model = IsingModel.lattice((SIDE, SIDE), beta=1 / temperature)
    start = torch.ones(CHAINS, SIDE**2)
    start[CHAINS // 2 :, : SIDE**2 // 2] = -1
    samples = sample_chain(
        model.kernel("clusters"), start, draws=DRAWS, warmup=100, generator=0, progress=False
    )
    spins = samples.values
    figures = torch.stack([model.energy(spins) / SIDE**2, model.magnetization(spins).abs()])
    return figures, rhat(figures.movedim(0, -1)), spins[0, -1].reshape(SIDE, SIDE)


def main(out: Path) -> None:
    figure = plt.figure(figsize=(12, 6.6), layout="constrained")
    grid = figure.add_gridspec(2, 3, height_ratios=[1.2, 1])
    curves = [figure.add_subplot(grid[0, :2]), figure.add_subplot(grid[0, 2])]
    exact = np.linspace(1.4, 3.6, 400)
    curves[0].plot(exact, [onsager_magnetization(1 / t) for t in exact], color=AXIS, lw=1.5)
    curves[1].plot(exact, [onsager_energy(1 / t) for t in exact], color=AXIS, lw=1.5)
    print("     T    energy (exact)        |m| (exact)          worst R-hat")
    for t in TEMPERATURES:
        figures, mixed, picture = measured(t)
        means, errors = figures.mean((1, 2)), mcse(figures.movedim(0, -1))
        u, m = onsager_energy(1 / t), onsager_magnetization(1 / t)
        print(
            f"{t:6.3f}  {means[0]:7.4f}({errors[0]:.4f}) {u:7.4f}  "
            f"{means[1]:6.4f}({errors[1]:.4f}) {m:6.4f}    {float(mixed.max()):.3f}"
        )
        for ax, mean, error in zip(curves, means.flip(0), errors.flip(0), strict=True):
            ax.errorbar(t, mean, 2 * error, fmt="o", ms=4.5, color=BLUE, capsize=3)
        if t in PICTURES:
            ax = figure.add_subplot(grid[1, list(PICTURES).index(t)])
            ax.imshow(picture.numpy(), cmap="Blues", vmin=-1.6, vmax=1.3)
            ax.set(xticks=[], yticks=[], title=f"T = {t}: {PICTURES[t]}")
    for ax, name in zip(curves, ("|magnetisation| per spin", "energy per spin"), strict=True):
        ax.axvline(CRITICAL_TEMPERATURE, color=AMBER, lw=1, ls="--")
        ax.set(xlabel="temperature", title=name)
        ax.spines[["top", "right"]].set_visible(False)
    curves[0].text(CRITICAL_TEMPERATURE + 0.02, 0.9, "critical", color=AMBER)
    curves[0].text(
        2.62,
        0.3,
        f"{SIDE} x {SIDE} spins (dots), two standard errors;\ninfinite lattice (line)",
        color=MUTED,
    )
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "ising_transition.png", dpi=130)
    print(f"\nFigure: {out / 'ising_transition.png'}")


if __name__ == "__main__":
    main(Path("figures"))
