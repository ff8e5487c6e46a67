"""Vanishing gradients: the better the judge, the less is learned, by two rules of three.

Samples lie four units from the data, and a discriminator learns to tell them apart. The slope of
the generator's loss by the samples' place is what would bring them nearer. Minimax and the rule
that ascends D itself lose it as the discriminator becomes sure, since D is flat at zero; the
non-saturating rule keeps it; and a Wasserstein critic has a slope of about one, however far it is.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from generative.critic_plot import plot_critics_on_a_line
from generative.gan import estimate_earth_movers
from generative.gan.objectives import Loss, discriminator_loss, generator_loss
from generative.metrics import wasserstein_distance
from generative.networks import mlp
from inference.palette import INK, SERIES

RULES: tuple[Loss, ...] = ("minimax", "as-printed", "non-saturating")
APART, SNAPSHOTS = 4.0, (1, 3, 10, 30, 100, 300, 1000)


def slope(rating: Tensor, place: Tensor) -> float:
    """How fast a rating changes with the place of the samples."""
    return float(torch.autograd.grad(rating, place, retain_graph=True)[0].abs())


def main(out: Path) -> None:
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
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 4.4), layout="constrained")
    print(f"Slope of the generator's loss {APART:g} units away, by steps of the discriminator:\n")
    print(f"{'':<16}" + "".join([f"{step:9d}" for step in SNAPSHOTS]))
    for (rule, slopes), color in zip(found.items(), SERIES, strict=False):
        print(f"{rule:<16}" + "".join([f"{one:9.4f}" for one in slopes]))
        left.plot(SNAPSHOTS, slopes, "o-", color=color, label=rule)
    exact = float(wasserstein_distance(data, APART + noise))
    print(f"\nCritic: slope {steady:.2f}; distance {gap.distance:.3f}, exact {exact:.3f}")
    left.axhline(steady, color=INK, ls="--", label="Wasserstein critic")
    left.set(xscale="log", yscale="log", xlabel="steps of the discriminator")
    left.set_title("Slope of the generator's loss, samples four units away", fontsize=10.5)
    left.legend(frameon=False)
    left.spines[["top", "right"]].set_visible(False)
    ratings = {"D(x)": lambda x: judge(x).sigmoid(), "critic": critic}
    plot_critics_on_a_line(ratings, (-2, 6), right, data=data, samples=APART + noise)
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "vanishing_gradient.png", dpi=120)
    print(f"\nFigure: {out / 'vanishing_gradient.png'}")


if __name__ == "__main__":
    main(Path("figures"))
