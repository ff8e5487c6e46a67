"""A hundred stencils for handwritten digits: a Bernoulli mixture of binary images.

Every component is a picture of how likely each pixel is to be ink. An image picks one of them and
tosses its pixels, independently of each other: all that pixels share, the choice has to explain.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from pgm.mixture import Mixture
from pgm.mixtures.families.bernoulli import Bernoulli

SIDE, SHOWN, HELD_OUT = 8, 30, 297


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """Images of eight by eight bits: 1,500 to learn from, 297 to test with."""
    x, y = load_digits(return_X_y=True)
    parts = train_test_split(x, test_size=HELD_OUT, random_state=0, stratify=y)
    train, test = [torch.from_numpy(np.greater_equal(part, 8.0).astype(float)) for part in parts]
    return train, test


def tile(ax: Axes, images: torch.Tensor, title: str, rows: int = 5) -> None:
    """Images side by side, one pixel apart; sand is what is hidden."""
    grid = images.detach().double().numpy().reshape(rows, -1, SIDE, SIDE)
    grid = np.pad(grid, ((0, 0), (0, 0), (1, 0), (1, 0)), constant_values=np.nan)
    colors = plt.get_cmap("Blues").with_extremes(bad="white", under="#c9a66b")
    tall = grid.transpose(0, 2, 1, 3).reshape(rows * (SIDE + 1), -1)[1:, 1:]
    ax.imshow(tall, cmap=colors, vmin=0, vmax=1)
    ax.set_title(title)
    ax.axis("off")


def main(out: Path) -> None:
    train, test = digits()
    print("Nats per unseen image, by the number of components:\n")
    for k in (1, 10, 100):
        model = Mixture(k, Bernoulli(SIDE * SIDE))
        model.fit(train, prior=1.0, max_iter=100, tol=0, generator=0)
        print(f"  {k:4d}  {-model.score(test).item():7.2f}")
    plain = Mixture(100, model.family).fit(train, max_iter=30, tol=0, generator=0)
    never = (plain.log_prob(test) == -torch.inf).double().mean()
    print(f"\nWithout a pseudo-image, {never:.0%} of the unseen images would be impossible.")

    hidden = test[:SHOWN].clone().reshape(-1, SIDE, SIDE)
    hidden[:, SIDE // 2 :] = -1  # the lower half
    guess = model.predict_proba(hidden.reshape(SHOWN, -1)) @ model.probs.detach()
    filled = torch.where(hidden.reshape(SHOWN, -1) < 0, guess, test[:SHOWN])
    error = (filled.round() != test[:SHOWN]).double().mean() * 2
    print(f"Of the pixels in a hidden lower half, {1 - error:.0%} are guessed right.")

    figure, axes = plt.subplots(2, 2, figsize=(9.2, 8.4), layout="constrained")
    largest = model.weights.argsort(descending=True)[:SHOWN]
    tile(axes[0, 0], model.probs[largest], "The stencils that are used most")
    tile(axes[0, 1], model.sample(SHOWN, generator=1), "Images that the mixture draws")
    tile(axes[1, 0], hidden, "Unseen images, their lower half hidden")
    tile(axes[1, 1], filled, "What the mixture expects there")
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "digit_mixture.png", dpi=130)
    print(f"\nFigure: {out / 'digit_mixture.png'}")


if __name__ == "__main__":
    main(Path("figures"))
