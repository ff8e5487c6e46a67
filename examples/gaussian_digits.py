"""Digits drawn by a mixture: ten normal laws write better than one.

Grey values are whole numbers; a uniform number below one is added to each, so that they have a
density. A mixture learns 30 principal components of them, without the names of the digits, and its
draws are turned back into images. One normal law has the right means and correlations, and draws
ghosts, several digits at once. Fifteen have too many numbers for 1400 images.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits

from pgm.gaussian_mixture import GaussianMixture

TRAINED, PARTS, TRIED, SHOWN = 1400, 30, (1, 2, 5, 10, 15), (1, 10)
ROWS, COLUMNS = 8, 8


def digits() -> tuple[torch.Tensor, ...]:
    """Images (n, 64), shuffled, with grey values between 0 and 1, to learn from and to test."""
    source = torch.Generator().manual_seed(0)
    x = torch.from_numpy(load_digits(return_X_y=True)[0])
    x = (x + torch.rand(x.shape, generator=source, dtype=x.dtype)) / 17
    return x[torch.randperm(len(x), generator=source)].tensor_split([TRAINED])


def sheet(images: torch.Tensor) -> np.ndarray:
    """One picture of many, a light pixel around each."""
    framed = torch.nn.functional.pad(images.reshape(ROWS, COLUMNS, 8, 8).clip(0, 1), (1, 1, 1, 1))
    return framed.permute(0, 2, 1, 3).reshape(10 * ROWS, 10 * COLUMNS).numpy()


def main(out: Path) -> None:
    train, test = digits()
    mean = train.mean(0)
    basis = torch.linalg.svd(train - mean, full_matrices=False).Vh[:PARTS]
    x, unseen = (train - mean) @ basis.T, (test - mean) @ basis.T
    fits = {k: GaussianMixture(k, n_init=3, random_state=2).fit(x) for k in TRIED}
    print(f"Nats per image, in {PARTS} of 64 dimensions: {len(x)} fitted, {len(unseen)} others\n")
    print("components   numbers   fitted   others")
    for k, fit in fits.items():
        fitted, score = [float(fit.score_samples(rows).mean()) for rows in (x, unseen)]
        print(f"{k:10d}{fit.n_parameters:10d}{fitted:9.2f}{score:9.2f}")
    n = ROWS * COLUMNS
    panels = {
        f"drawn by {k} normal law{'s' * (k > 1)}": fits[k].sample(n, generator=0) @ basis + mean
        for k in SHOWN
    }
    figure, axes = plt.subplots(1, 3, figsize=(12, 4.5), layout="constrained")
    for ax, (title, images) in zip(
        axes, (panels | {"real, unseen": test[:n]}).items(), strict=True
    ):
        ax.imshow(sheet(images), cmap="gray_r", vmin=0, vmax=1)
        ax.set_title(title)
        ax.set_axis_off()
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "gaussian_digits.png", dpi=130)
    print(f"\nFigure: {out / 'gaussian_digits.png'}")


if __name__ == "__main__":
    main(Path("figures"))
