"""A photograph cut into segments: every pixel is a row, its colour and its place are the columns.

By the three colours alone, a segment is what has the same colour, wherever it is. The place as two
further columns keeps segments together. A component has covariances of its own: a sky that fades
is long in one direction of the space of colours, and still one segment.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from pgm.gaussian_mixture import GaussianMixture

SEGMENTS, STEP = 6, 3


def together(labels: np.ndarray) -> float:
    """How many neighbours, right and below, are in the same segment."""
    pairs = [np.diff(labels, axis=axis).ravel() == 0 for axis in (0, 1)]
    return float(np.concatenate(pairs).mean())


def main(out: Path) -> None:
    image = load_sample_image("china.jpg")[::STEP, ::STEP] / 255
    high, wide, _ = image.shape
    colors, place = image.reshape(-1, 3), np.indices((high, wide)).reshape(2, -1).T / wide
    asked = {"colour": colors, "colour and place": np.hstack([colors, place])}
    figure, axes = plt.subplots(1, 3, figsize=(13, 3.2), layout="constrained")
    axes[0].imshow(image)
    axes[0].set_title(f"{wide} x {high} pixels")
    print(f"{high * wide} pixels in {SEGMENTS} segments.")
    for ax, (columns, x) in zip(axes[1:], asked.items(), strict=True):
        fit = GaussianMixture(SEGMENTS, n_init=10, max_iter=500, random_state=0).fit(x)
        labels, means = fit.predict(x).numpy(), fit.means_.numpy()
        sure = (fit.predict_proba(x).max(1).values > 0.95).double().mean()
        print(
            f"\nBy {columns}: {together(labels.reshape(high, wide)):.0%} of neighbours together,"
        )
        print(f"{sure:.0%} of pixels sure. Share, and mean red, green and blue:")
        for k in np.argsort(-np.bincount(labels)):
            red, green, blue = means[k, :3]
            print(f"  {(labels == k).mean():4.0%}   {red:.2f} {green:.2f} {blue:.2f}")
        ax.imshow(means[labels, :3].reshape(image.shape))
        ax.set_title(f"{SEGMENTS} segments, by {columns}")
    for ax in axes:
        ax.set_axis_off()
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "colour_segmentation.png", dpi=130)
    print(f"\nFigure: {out / 'colour_segmentation.png'}")


if __name__ == "__main__":
    main(Path("figures"))
