"""A map of handwritten digits: an autoencoder with two latent numbers, and what it puts where.

The encoder says of every image where it lies on the map, and how sure it is; the decoder draws
what any place looks like. Nobody told it of classes: images that look alike lie side by side. Two
numbers are few: the bound says how many nats per image the map costs beside one of eight numbers.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits

from generative import VariationalAutoencoder
from generative.latent_plot import plot_codes, plot_divergences, plot_interpolations, plot_manifold
from generative.networks import mlp

SIDE, HIDDEN, TRAIN, EPOCHS = 8, 256, 1500, 150


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """Binary pixels and classes, in random order."""
    pixels, classes = load_digits(return_X_y=True)
    order = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(0))
    return torch.from_numpy(pixels >= 8).float()[order], torch.from_numpy(classes)[order]


def autoencoder(pixels: torch.Tensor, latent: int) -> VariationalAutoencoder:
    """A model of binary digits with some latent numbers."""
    encoder = mlp([SIDE**2, HIDDEN, 2 * latent], generator=0)
    decoder = mlp([latent, HIDDEN, SIDE**2], generator=1)
    model = VariationalAutoencoder(encoder, decoder, latent)
    return model.fit(pixels[:TRAIN], epochs=EPOCHS, generator=0, progress=False)


def main(out: Path) -> None:
    pixels, classes = digits()
    unseen = pixels[TRAIN:]
    print(f"Nats per unseen digit, {len(unseen)} of them:\n")
    print(f"{'latent numbers':>16}{'fit':>10}{'divergence':>12}{'bound':>10}{'better':>10}")
    models = {latent: autoencoder(pixels, latent) for latent in (2, 8, 32)}
    for latent, model in models.items():
        with torch.no_grad():
            fit, kl = (float(x.mean()) for x in model.elbo_terms(unseen, 20, generator=0))
        better = model.score(unseen, 500, generator=0)
        print(f"{latent:16d}{fit:10.2f}{kl:12.2f}{fit - kl:10.2f}{better:10.2f}")
    print("\nbetter: the importance-weighted bound of 500 draws, nearer to the truth.")
    used = int(models[32].active_units(unseen).sum())
    print(f"Of 32 latent numbers {used} are in use: the others have collapsed to the prior.")

    figure = plt.figure(figsize=(13.5, 9.2), layout="constrained")
    axes = figure.subplot_mosaic("AAB;AAB;CCD", width_ratios=[1, 1, 1.5])
    plot_manifold(models[2], (SIDE, SIDE), axes["A"], steps=20)
    axes["A"].set_title("The map, at the quantiles of its law")
    plot_codes(models[2].transform(pixels), classes.tolist(), axes["B"])
    axes["B"].set_title("Where images lie on it: classes, which were not told")
    pairs = [(0, 7), (3, 8), (4, 9), (5, 6), (1, 2)]
    first, second = ([int((classes == pair[i]).nonzero()[i]) for pair in pairs] for i in (0, 1))
    strips = models[8].interpolate(pixels[first], pixels[second], steps=13)
    plot_interpolations(strips, (SIDE, SIDE), axes["C"], rows=[f"{a} to {b}" for a, b in pairs])
    axes["C"].set_title("Ways between images, by eight numbers")
    plot_divergences(models[32].kl_per_dimension(unseen).detach(), axes["D"])
    axes["D"].set_title("What each of 32 numbers tells of an image")
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "vae_digits.png", dpi=120)
    print(f"\nFigure: {out / 'vae_digits.png'}")


if __name__ == "__main__":
    main(Path("figures"))
