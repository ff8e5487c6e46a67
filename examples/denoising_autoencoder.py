"""An autoencoder that learns from damage: digits with noise go in, whole ones are to come out.

Both autoencoders have more hidden units than a digit has pixels. One learns to give back what it
sees, and so it gives back the noise as well. The other one is shown noise while it learns, and
never the same twice: it has to learn what digits look like. The dotted line is the noise of the
pictures on the left, and of learning.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits

from generative.autoencoder import Autoencoder
from generative.networks import mlp
from generative.sample_plot import plot_images
from inference.palette import AMBER, BLUE, MUTED

SIDE, HIDDEN, TRAIN, SHOWN = 8, 256, 1500, 12
NOISE, LEVELS = 0.4, [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]


def learned(pixels: torch.Tensor, penalty: Literal["denoising"] | None) -> Autoencoder:
    sizes = [SIDE**2, HIDDEN, HIDDEN, SIDE**2]
    model = Autoencoder(
        mlp(sizes[:3], output="relu", generator=0),
        mlp(sizes[2:], generator=1),
        penalty,
        noise_level=NOISE,
    )
    return model.fit(pixels, epochs=60, batch_size=50, generator=0, progress=False)


def main(out: Path) -> None:
    pixels = torch.as_tensor(load_digits(return_X_y=True)[0] / 16).float()
    pixels = pixels[torch.randperm(len(pixels), generator=torch.Generator().manual_seed(0))]
    train, test = pixels[:TRAIN], pixels[TRAIN:]
    noise = torch.randn(test.shape, generator=torch.Generator().manual_seed(1))
    models = {"copying": learned(train, None), "denoising": learned(train, "denoising")}

    def error(found: torch.Tensor) -> float:
        return float((found - test).square().sum(1).mean())

    print(f"Squared distance from the digit, mean of {len(test)} that were not learned:\n")
    print(f"{'noise':>7}{'nothing done':>16}" + "".join([f"{name:>16}" for name in models]))
    table = []
    for level in LEVELS:
        seen = test + level * noise
        table.append([error(seen), *[error(model.reconstruct(seen)) for model in models.values()]])
        print(f"{level:7.1f}" + "".join([f"{value:16.2f}" for value in table[-1]]))

    figure, (left, right) = plt.subplots(
        1, 2, figsize=(11.5, 4.2), width_ratios=[1.6, 1], layout="constrained"
    )
    damaged = (test + NOISE * noise)[:SHOWN]
    whole = [model.reconstruct(damaged) for model in models.values()]
    shown, rows = torch.cat([test[:SHOWN], damaged, *whole]), ["digit", "noisy", *models]
    plot_images(shown, (SIDE, SIDE), left, columns=SHOWN, rows=rows, limits=(0, 1))
    right.set_prop_cycle(color=[MUTED, AMBER, BLUE])
    right.plot(LEVELS, table, "o-", label=["nothing done", *models])
    right.axvline(NOISE, color=MUTED, linewidth=0.8, linestyle=":")
    right.set(xlabel="standard deviation of the noise", ylabel="squared distance", ylim=(0, 20))
    right.legend(frameon=False)
    right.spines[["top", "right"]].set_visible(False)
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "denoising_autoencoder.png", dpi=130)
    print(f"\nFigure: {out / 'denoising_autoencoder.png'}")


if __name__ == "__main__":
    main(Path("figures"))
