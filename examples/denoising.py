"""Cleaning a noisy picture: searches for the best state of an Ising field, one of them exact.

A fifth of the pixels is flipped. Neighbours tend to be alike, and a pixel tends to be what was
seen. Searches for the state of least energy end at different heights. A minimum cut finds the
lowest, and so shows which errors are the model's own.
"""

from __future__ import annotations

import pathlib

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.path import Path
from matplotlib.textpath import TextPath
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

from inference.sampling.conditional_modes import iterated_conditional_modes
from pgm import MarkovRandomField
from pgm.random_fields.lattices import lattice_edges

FLIPPED, COUPLING, HEIGHT, WIDTH, SCALE = 0.2, 0.45, 60, 120, 10_000
FIELD = 0.5 * np.log((1 - FLIPPED) / FLIPPED)  # what one noisy pixel says of the true one


def picture() -> np.ndarray:
    """A formula's letters, (HEIGHT, WIDTH) zeros and ones."""
    text = TextPath((0, 0), "Z(β)", size=48, prop={"weight": "bold"})
    middle = (text.vertices.min(0) + text.vertices.max(0)) / 2
    x, y = np.meshgrid(np.arange(WIDTH) - WIDTH / 2, HEIGHT / 2 - np.arange(HEIGHT))
    points = np.stack([x, y], -1).reshape(-1, 2) + middle
    layers = sum(Path(outline).contains_points(points) for outline in text.to_polygons())
    return (layers % 2).reshape(HEIGHT, WIDTH)  # a hole is inside two outlines


def minimum_cut(noisy: np.ndarray) -> np.ndarray:
    """The best state exactly: a minimum cut between a source of ones and a sink of zeros."""
    n, bonds = noisy.size, np.concatenate(lattice_edges(noisy.shape))
    ones, zeros = (np.flatnonzero(noisy == code) for code in (1, 0))
    start = np.concatenate([*bonds.T, np.full(len(ones), n), zeros])
    end = np.concatenate([*bonds.T[::-1], ones, np.full(len(zeros), n + 1)])
    weights = SCALE * np.repeat([COUPLING, FIELD], [2 * len(bonds), n])  # flows are whole numbers
    capacity = coo_array((weights.astype(np.int32), (start, end)), (n + 2, n + 2)).tocsr()
    rest = capacity - maximum_flow(capacity, n, n + 1).flow
    return np.isin(np.arange(n), breadth_first_order(rest, n, return_predecessors=False))


def main(out: pathlib.Path) -> None:
    truth = picture()
    noisy = truth ^ (np.random.default_rng(0).random(truth.shape) < FLIPPED)
    model = MarkovRandomField.ising(COUPLING, FIELD * (2 * noisy - 1), shape=truth.shape)
    rows = torch.from_numpy(noisy.reshape(1, -1))
    best = model.most_probable(method="annealing", sweeps=500, chains=8, generator=0)[0]
    marginals = model.marginals(method="belief-propagation")
    found = {
        "truth": truth,
        "noisy": noisy,
        "conditional modes": iterated_conditional_modes(model.density(), rows).numpy(),
        "annealing": np.array(list(best.values())),
        "likeliest pixels (BP)": np.array([p[1] > 0.5 for p in marginals.values()]),
        "minimum cut (exact)": minimum_cut(noisy),
    }
    print(f"{truth.size:,} pixels, {FLIPPED:.0%} flipped:{'energy':>8}{'wrong pixels':>14}\n")
    figure, axes = plt.subplots(2, 3, figsize=(10.4, 4.4), layout="constrained")
    for ax, (name, states) in zip(axes.flat, found.items(), strict=True):
        image = states.reshape(truth.shape).astype(np.int64)
        energy, wrong = model.energy(image.reshape(1, -1)).item(), (image != truth).mean()
        print(f"  {name:<22}{energy:>10.1f}{wrong:>14.1%}")
        ax.imshow(image, cmap="Blues", vmin=-0.1, vmax=1.3, interpolation="nearest")
        ax.set_title(f"{name}\nenergy {energy:,.1f}, {wrong:.1%} wrong", fontsize=10)
        ax.set_axis_off()
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "denoising.png", dpi=130)
    print(f"\nFigure: {out / 'denoising.png'}")


if __name__ == "__main__":
    main(pathlib.Path("figures"))
