"""A network as a density: 2,500 weights in the plane, learned without knowing log Z.

Rows on two half moons. The energy is learned by telling them from noise, which finds log Z too; a
sum over a grid says how right that is. Chains that climb its slopes draw new rows from it. Blue:
the smallest regions with 20, 40, 60, 80, 95 and 99 % of the probability.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.colors import to_rgb
from torch import nn

from energy.neural.quadrature import grid_points
from energy.neural_energy import NeuralEnergy
from inference.palette import BLUE, INK

ROWS, SIDE = 2000, 250
LIMITS = [(-2.2, 3.2), (-1.7, 2.2)]
MASSES = (0.99, 0.95, 0.8, 0.6, 0.4, 0.2)


def moons(n: int, source: torch.Generator) -> torch.Tensor:
    """Points on two half circles that interlock, with noise."""
    angle = torch.pi * torch.rand(n, generator=source)
    upper = torch.rand(n, generator=source) < 0.5
    x = torch.where(upper, angle.cos(), 1 - angle.cos())
    y = torch.where(upper, angle.sin(), 0.5 - angle.sin())
    return torch.stack([x, y], 1) + 0.12 * torch.randn(n, 2, generator=source)


def network(width: int, source: torch.Generator) -> nn.Module:
    """Two smooth hidden layers."""
    layers = [nn.Linear(2, width), nn.Linear(width, width), nn.Linear(width, 1)]
    for layer in layers:
        nn.init.normal_(layer.weight, 0, layer.in_features**-0.5, generator=source)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(layers[0], nn.SiLU(), layers[1], nn.SiLU(), layers[2])


def main(out: Path) -> None:
    source = torch.Generator().manual_seed(0)
    x, unseen = moons(ROWS, source), moons(ROWS, source)
    model = NeuralEnergy(network(48, source), 2)
    model.fit(x, "noise-contrastive", epochs=100, noise_ratio=4, lr=1e-2, generator=source)
    summed = float(model.log_partition("grid"))
    drawn = model.sample(ROWS, steps=300, generator=source)
    print(f"log Z: {float(model.log_normalizer):.3f} learned, {summed:.3f} by a sum over a grid")
    for name, rows in (("rows fitted", x), ("others", unseen), ("drawn by chains", drawn)):
        print(f"{name:16s}{float(model.log_prob(rows).detach().mean()):8.3f} nats per row")
    print(f"a normal law    {float(model.base().log_prob(unseen).mean()):8.3f} nats per other row")
    points = grid_points(LIMITS, SIDE, x)
    density = model.log_prob(points).detach().exp().reshape(SIDE, SIDE).T.numpy()
    ordered = np.sort(density.ravel())[::-1]
    shares = np.cumsum(ordered) / ordered.sum()
    levels = [float(ordered[np.searchsorted(shares, mass)]) for mass in MASSES]
    axes_of_grid = [np.linspace(*limits, SIDE) for limits in LIMITS]
    figure, axes = plt.subplots(1, 3, figsize=(13, 3.7), layout="constrained")
    for ax, rows in ((axes[0], x), (axes[2], drawn)):
        ax.scatter(*rows.T.numpy(), s=3, color=INK, lw=0, alpha=0.5)
    shades = [(*to_rgb(BLUE), 0.12 + 0.15 * k) for k in range(len(levels))]
    axes[1].contourf(*axes_of_grid, density, [*levels, density.max() * 1.01], colors=shades)
    titles = (f"{ROWS} rows", "density learned", f"{ROWS} rows drawn by Langevin chains")
    for ax, title in zip(axes, titles, strict=True):
        ax.set(xlim=LIMITS[0], ylim=LIMITS[1], aspect="equal", title=title)
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "neural_density.png", dpi=130)
    print(f"\nFigure: {out / 'neural_density.png'}")


if __name__ == "__main__":
    main(Path("figures"))
