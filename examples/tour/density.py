"""A network as an energy: a density in the plane whose log Z is learned."""

from __future__ import annotations

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from torch import Tensor

from energy.neural.quadrature import grid_points
from energy.neural_energy import NeuralEnergy
from examples.neural_density import moons, network
from examples.tour.guide import Guide
from inference.palette import AMBER, BLUE

MOONS, SIDE = "two moons, per row", 160
SHADES = LinearSegmentedColormap.from_list("density", ["white", BLUE])
LIMITS = [(-1.7, 2.7), (-1.1, 1.6)]


def draw_density(density: Tensor, drawn: Tensor, ax: Axes) -> Axes:
    """Shades of the density, and rows drawn from it."""
    box = [*LIMITS[0], *LIMITS[1]]
    ax.imshow(
        density.T.numpy(), cmap=SHADES, origin="lower", extent=box, vmax=float(density.max())
    )
    ax.plot(*drawn[:200].T, ".", color=AMBER, ms=2.5)
    ax.set(xticks=[], yticks=[], xlim=LIMITS[0], ylim=LIMITS[1])
    ax.spines[:].set_visible(False)
    return ax


def moon_energy(guide: Guide) -> None:
    guide.heading("Any network as an energy: two moons")
    source = torch.Generator().manual_seed(0)
    x, unseen = moons(2000, source), moons(2000, source)
    guide.seconds()
    model = NeuralEnergy(network(48, source), 2)
    epochs = guide.pick(60, 12)
    model.fit(x, "noise-contrastive", epochs=epochs, noise_ratio=4, lr=1e-2, generator=source)
    seconds = guide.seconds()
    summed = float(model.log_partition("grid"))
    print(f"  log Z: {float(model.log_normalizer):.3f} learned by telling rows from noise, and")
    print(f"  {summed:.3f} by a sum over a grid, which a plane allows.")
    guide.score("one normal law", MOONS, model.base().log_prob(unseen))
    guide.score("neural energy", MOONS, model.log_prob(unseen), seconds)
    drawn = model.sample(200, steps=guide.pick(300, 50), generator=source).detach()
    points = grid_points(LIMITS, SIDE, x)
    density = model.log_prob(points).detach().exp().reshape(SIDE, SIDE)
    _, ax = plt.subplots(figsize=(7, 5), layout="constrained")
    draw_density(density, drawn, ax)
    ax.set_title("The density, and draws by chains that climb its slopes", fontsize=11)
    guide.save(ax, "moons")
    guide.panel(
        "moons",
        "Neural energy",
        "its density, and draws by chains",
        lambda ax: draw_density(density, drawn, ax),
    )
