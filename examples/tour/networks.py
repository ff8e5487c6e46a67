"""Networks that generate: a map of digits, and a game that collapses and is cured."""

from __future__ import annotations

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from torch import Tensor

from examples.ring_collapse import CENTRES, GAME, STD, judged
from examples.ring_collapse import networks as players
from examples.tour.guide import Guide
from examples.tour.machines import DIGITS
from examples.vae_digits import digits
from generative import GenerativeAdversarialNetwork, VariationalAutoencoder, WassersteinGAN
from generative.latent_plot import plot_codes, plot_manifold
from generative.networks import mlp
from generative.sample_plot import plot_points
from generative.toy import ring


def digit_map(guide: Guide) -> None:
    guide.heading("A map of digits: a variational autoencoder")
    pixels, labels = digits()
    rows, others = pixels[:1500], pixels[1500:]
    guide.seconds()
    model = VariationalAutoencoder(
        mlp([64, 128, 4], generator=0), mlp([2, 128, 64], generator=1), latent_dim=2
    )
    model.fit(rows, steps=guide.pick(4000, 400), lr=5e-3, generator=0)
    seconds = guide.seconds()
    bound = model.elbo(others, 20, generator=0).mean()
    better = guide.score(
        "variational autoencoder, 2 latent",
        DIGITS,
        model.log_prob(others, 200, generator=0),
        seconds,
        kind="bound",
    )
    print("  An autoencoder gives every digit two numbers, its place on a map. The bound of one")
    print(f"  that it has not seen is {bound:.1f} nats, with 200 weighted draws {better:.1f}.")
    _, axes = plt.subplots(1, 2, figsize=(11, 5.4), layout="constrained")
    ax = plot_manifold(model, (8, 8), axes[0], steps=16)
    ax.set_title("The map, at the quantiles of its law", fontsize=11)
    plot_codes(model.transform(pixels).detach(), labels.tolist(), axes[1])
    axes[1].set_title("Where images lie on it: classes, which were not told", fontsize=11)
    guide.save(ax, "digit_map")
    guide.panel(
        "manifold",
        "Variational autoencoder",
        "a map of digits",
        lambda ax: plot_manifold(model, (8, 8), ax, steps=12),
    )


def draw_ring(samples: Tensor, ax: Axes) -> Axes:
    """Samples over the eight modes, without the key."""
    plot_points(samples, None, CENTRES, ax, radius=3 * STD)
    ax.findobj(lambda artist: artist.get_gid() == "key")[0].remove()
    ax.set_aspect("equal", adjustable="box")
    ax.set(xlim=(-1.25, 1.25), ylim=(-1.25, 1.25), xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return ax


def collapse(guide: Guide) -> None:
    guide.heading("A ring of eight modes: collapse and cure")
    data = ring(2560, std=STD, generator=0)
    critic = WassersteinGAN(*players(), penalty_weight=0.1, critic_steps=1)
    games = {
        "GAN": (GenerativeAdversarialNetwork(*players()), guide.pick(600, 200), GAME),
        "Wasserstein GAN": (critic, guide.pick(3000, 1200), {}),
    }
    print("  The same two networks play two games. Modes that have a sample, samples near a mode,")
    print(
        "  and their divergence from even: 0 if all modes are drawn alike, log 8 = 2.079 if one."
    )
    print(f"\n  {'':<18}{'modes':>7}{'near a mode':>14}{'divergence, nats':>19}")
    found = {}
    for name, (model, steps, how) in games.items():
        model.fit(data, steps=steps, generator=0, **how)
        _, modes, near, divergence = judged(model)
        found[name] = (model.sample(2500, generator=1), f"{modes} of 8 modes, {near:.1%} near")
        print(f"  {name:<18}{modes:5d}/8{near:14.1%}{divergence:19.3f}")
    _, axes = plt.subplots(1, 2, figsize=(9, 4.8), layout="constrained")
    for ax, (name, (samples, words)) in zip(axes, found.items(), strict=True):
        draw_ring(samples, ax).set_title(f"{name}: {words}", fontsize=11)
        guide.panel(name, name, words, lambda ax, samples=samples: draw_ring(samples, ax))
    guide.save(axes[0], "collapse_and_cure")
