"""A random field on a grid: it learns on patches, exactly, and segments large noisy pictures.

A pixel alone says little where the noise is strong; its neighbours, which mostly are of the same
kind, say the rest. How much to believe either is learned. Patches are small enough for exact sums;
the large pictures are labelled by belief propagation.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.colors import LinearSegmentedColormap
from torch import Tensor, nn

from pgm.conditional.objectives import Likelihood
from pgm.conditional.templates import GridTemplate
from pgm.conditional_random_field import ConditionalRandomField

GROUND, SHAPE = np.array([0.29, 0.36, 0.46]), np.array([0.85, 0.57, 0.25])
NOISE, PATCH = 0.45, 8
METHODS: tuple[Likelihood | None, ...] = (None, "pseudo-likelihood", "exact")


def scenes(n: int, size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Pictures (n, 3, size, size) of overlapping discs in heavy noise, and their labels."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size]
    labels = np.zeros((n, size, size), dtype=np.int64)
    for label in labels:
        for r, c in rng.uniform(0, size, (size * size // 400, 2)):
            flat, extent = rng.uniform(0.6, 1), rng.uniform(3, 7)
            label[np.hypot((rows - r) / flat, columns - c) < extent] ^= 1
    colors = np.where(labels[..., None], SHAPE, GROUND)
    pictures = colors + NOISE * rng.normal(size=colors.shape)
    return torch.from_numpy(pictures).movedim(-1, 1).float(), torch.from_numpy(labels)


def patches(values: Tensor) -> Tensor:
    """All squares of PATCH pixels."""
    tiles = values.unfold(-2, PATCH, PATCH).unfold(-2, PATCH, PATCH)
    return tiles.movedim(1, 3).flatten(0, 2) if values.ndim == 4 else tiles.flatten(0, 2)


def main(out: Path) -> None:
    (x, y), (pictures, truth) = scenes(4, 64, seed=0), scenes(4, 96, seed=1)
    print(f"{len(patches(y))} patches of {PATCH} x {PATCH} pixels, judged on 4 x 96 x 96.\n")
    print(f"  {'learned by':<22}{'couplings':>12}{'wrong pixels':>15}{'log p per pixel':>18}")
    figure, axes = plt.subplots(1, 5, figsize=(12.5, 3.0), layout="constrained")
    shades = LinearSegmentedColormap.from_list("shapes", np.stack([GROUND, np.ones(3), SHAPE]))
    for ax, method in zip(axes[1:4], METHODS, strict=True):
        name = {None: "independent pixels", "exact": "exact likelihood"}.get(method, method)
        torch.manual_seed(0)
        model = ConditionalRandomField(GridTemplate(4), 2, nn.Conv2d(3, 2, 1))
        model.pairwise.requires_grad_(method is not None)
        tiles = patches(x), patches(y)
        model.fit(*tiles, method or "exact", epochs=40, optimizer="lbfgs", batch_size=64)
        probability = model.marginals(pictures, "belief-propagation")[:, 1]
        wrong = ((probability > 0.5) != truth).double().mean().item()
        right, down = model.pairwise.coupling.tolist()
        fit = model.score(patches(pictures), patches(truth)) / PATCH**2
        print(f"  {name:<22}{right:>6.2f}{down:>6.2f}{wrong:>15.2%}{fit:>18.4f}")
        ax.imshow(probability[0].numpy(), cmap=shades, vmin=0, vmax=1, interpolation="nearest")
        ax.set_title(f"{name}\n{wrong:.1%} of pixels wrong", fontsize=10)
    print("\nThe pseudo-likelihood trusts neighbours too much: it was shown their true labels.")
    picture = pictures[0].movedim(0, -1).clamp(0, 1)
    for ax, image, title in ((axes[0], picture, "picture"), (axes[4], truth[0], "truth")):
        ax.imshow(image.numpy(), cmap=shades, interpolation="nearest")
        ax.set_title(title, fontsize=10)
    for ax in axes:
        ax.set_axis_off()
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "grid_crf.png", dpi=130)
    print(f"\nFigure: {out / 'grid_crf.png'}")


if __name__ == "__main__":
    main(Path("figures"))
