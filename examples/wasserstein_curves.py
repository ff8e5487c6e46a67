"""What a curve says: a critic's gap falls with the distance to the data, a GAN's losses do not.

Two models learn the same ring, and after every epoch their samples are compared with fresh data
by the exact earth mover's distance. Below, samples stand four units from the data while a
discriminator gets better: the losses that are flat where it is sure lose their slope, the
non-saturating one keeps it, and a critic under a slope penalty leads to the data from anywhere.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from scipy.stats import spearmanr
from torch import Tensor

from generative import GenerativeAdversarialNetwork, WassersteinGAN
from generative.critic_plot import plot_critics_on_a_line
from generative.gan.critic_gap import estimate_earth_movers
from generative.gan.objectives import Loss, discriminator_loss, generator_loss
from generative.metrics import wasserstein_distance
from generative.networks import Perceptron, mlp
from generative.toy import ring
from generative.training_plot import plot_history
from inference import Evaluate, Optimization
from inference.palette import INK, SERIES

GENERATOR, JUDGE, FRESH = [2, 64, 64, 64, 2], [2, 64, 64, 64, 1], ring(500, generator=1)
RULES: tuple[Loss, ...] = ("minimax", "as-printed", "non-saturating")
CURVES = (["discriminator_loss", "generator_loss"], ["gap"])
APART, SNAPSHOTS = 4.0, (1, 3, 10, 30, 100, 300, 1000)


#: Without a mean of weights: the samples are those that the curves are about.
PLAIN = Optimization(betas=(0.0, 0.9))


def networks() -> tuple[Perceptron, Perceptron]:
    return mlp(GENERATOR, generator=0), mlp(JUDGE, "leaky_relu", generator=1)


def distance(model: GenerativeAdversarialNetwork | WassersteinGAN) -> dict[str, float]:
    return {"distance": float(wasserstein_distance(FRESH, model.sample(500, generator=2)))}


def slope(rating: Tensor, place: Tensor) -> float:
    return float(torch.autograd.grad(rating, place, retain_graph=True)[0].abs())


def main(out: Path) -> None:
    models = {
        "GAN": GenerativeAdversarialNetwork(*networks()),
        "Wasserstein GAN": WassersteinGAN(*networks(), critic_steps=3),
    }
    figure, axes = plt.subplots(2, 2, figsize=(13, 8.4), layout="constrained")
    print("How a curve goes with the exact distance, by ranks over 80 epochs (1: always):\n")
    for (name, model), curves, ax in zip(models.items(), CURVES, axes[0], strict=True):
        watch, how = Evaluate(distance), {"generator": 0, "progress": False}
        data = ring(2560, generator=0)
        model.fit(data, epochs=80, optimization=PLAIN, callbacks=[watch], **how)
        known = [figures["distance"] for figures in model.history]
        for curve in curves:
            rank, _ = spearmanr([figures[curve] for figures in model.history], known)
            print(f"{name:<16}{curve.replace('_', ' '):<20}{rank:6.2f}")
        plot_history(model.history, ["distance", *curves], ax, unit="")
        ax.set_title(f"{name}: distance at the end {known[-1]:.2f}", fontsize=10.5)

    source = torch.Generator().manual_seed(0)
    data, noise = 0.5 * torch.randn(2, 1000, 1, generator=source)
    place = torch.tensor(APART, requires_grad=True)
    judge, critic = [mlp([1, 64, 64, 1], "leaky_relu", generator=0) for _ in range(2)]
    adam = torch.optim.Adam(judge.parameters(), 1e-3)
    found: dict[Loss, list[float]] = {rule: [] for rule in RULES}
    for step in range(1, max(SNAPSHOTS) + 1):
        logits = judge(place + noise)
        if step in SNAPSHOTS:
            for rule, slopes in found.items():
                slopes.append(slope(generator_loss(rule, logits), place))
        adam.zero_grad()
        discriminator_loss("minimax", judge(data), judge(APART + noise)).backward()
        adam.step()
    gap = estimate_earth_movers(critic, data, APART + noise, steps=600, generator=0)
    steady = slope(critic(place + noise).mean(), place)
    print(
        f"\nSlope of the generator's loss {APART:g} units away, against a discriminator that had"
    )
    print(f"{'steps':<16}" + "".join([f"{step:9d}" for step in SNAPSHOTS]))
    for (rule, slopes), color in zip(found.items(), SERIES, strict=False):
        print(f"{rule:<16}" + "".join([f"{one:9.4f}" for one in slopes]))
        axes[1, 0].plot(SNAPSHOTS, slopes, "o-", color=color, label=rule)
    exact = float(wasserstein_distance(data, APART + noise))
    print(f"Critic: slope {steady:.2f}; distance {gap.distance:.3f}, exact {exact:.3f}")
    axes[1, 0].axhline(steady, color=INK, ls="--", label="Wasserstein critic")
    axes[1, 0].set(xscale="log", yscale="log", xlabel="steps of the discriminator")
    axes[1, 0].set_title("Slope of the generator's loss, samples four units away", fontsize=10.5)
    axes[1, 0].legend(frameon=False)
    axes[1, 0].spines[["top", "right"]].set_visible(False)
    ratings = {"D(x)": lambda x: judge(x).sigmoid(), "critic": critic}
    plot_critics_on_a_line(ratings, (-2, 6), axes[1, 1], data=data, samples=APART + noise)
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "wasserstein_curves.png", dpi=120)
    print(f"\nFigure: {out / 'wasserstein_curves.png'}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder of the figure")
    main(parser.parse_args().out)
