"""What a loss says of the samples: next to nothing in a GAN, the distance in a Wasserstein GAN.

Two models with the same networks learn a ring of eight modes. After every epoch their samples are
brought to fresh data by an exact optimal transport: that is how far they are. The critic's gap
goes with that distance from start to end; the losses of a discriminator and its generator say only
who is ahead in the game.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
from scipy.stats import spearmanr

from generative import GenerativeAdversarialNetwork, WassersteinGAN
from generative.metrics import wasserstein_distance
from generative.networks import Perceptron, mlp
from generative.toy import ring
from generative.training_plot import plot_history
from inference import Evaluate, Optimization

FRESH, EPOCHS = ring(500, generator=1), 80
CURVES = (["discriminator_loss", "generator_loss"], ["gap"])

#: Without a mean of weights: the samples are those that the curves are about.
PLAIN = Optimization(betas=(0.0, 0.9))


def networks() -> tuple[Perceptron, Perceptron]:
    """Generator, and discriminator or critic."""
    judge = mlp([2, 64, 64, 64, 1], "leaky_relu", generator=1)
    return mlp([2, 64, 64, 64, 2], generator=0), judge


def distance(model: GenerativeAdversarialNetwork | WassersteinGAN) -> dict[str, float]:
    """Exact distance of samples from data that were not learned."""
    return {"distance": float(wasserstein_distance(FRESH, model.sample(500, generator=2)))}


def main(out: Path) -> None:
    models = {
        "GAN": GenerativeAdversarialNetwork(*networks()),
        "Wasserstein GAN": WassersteinGAN(*networks(), critic_steps=3),
    }
    data = ring(2560, generator=0)
    figure, axes = plt.subplots(1, 2, figsize=(13, 4.4), layout="constrained")
    print(f"How a curve goes with the exact distance, by ranks of {EPOCHS} epochs (1: always):\n")
    for (name, model), curves, ax in zip(models.items(), CURVES, axes, strict=True):
        watch = [Evaluate(distance)]
        model.fit(data, epochs=EPOCHS, optimization=PLAIN, callbacks=watch, generator=0)
        known = [figures["distance"] for figures in model.history]
        for curve in curves:
            rank, _ = spearmanr([figures[curve] for figures in model.history], known)
            print(f"{name:<16}{curve.replace('_', ' '):<20}{rank:6.2f}")
        plot_history(model.history, ["distance", *curves], ax, unit="")
        ax.set_title(f"{name}: distance at the end {known[-1]:.2f}", fontsize=10.5)
    apart = float(wasserstein_distance(FRESH, ring(500, generator=3)))
    print(f"\nTwo fresh samples of the ring are {apart:.2f} apart.")
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "wasserstein_curves.png", dpi=120)
    print(f"\nFigure: {out / 'wasserstein_curves.png'}")


if __name__ == "__main__":
    main(Path("figures"))
