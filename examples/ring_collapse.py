"""Mode collapse: every sample is perfect, and seven of the eight modes are never drawn.

A discriminator that sees fine waves of the data drives the generator into one mode (into two, from
one start in four). Six models have the same networks; what is changed is the game, or what the
judge is shown. Modes or quality alone mislead: a stray sample finds one, and one can be perfect.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import torch

from generative import GenerativeAdversarialNetwork as GAN
from generative import WassersteinGAN
from generative.gan.minibatch_features import MinibatchDeviation
from generative.metrics import ModeCoverage, mode_coverage
from generative.networks import mlp
from generative.sample_plot import plot_points
from generative.toy import ring, ring_centres
from generative.training_plot import plot_modes_over_time
from inference import Evaluate, Optimization

STD, CENTRES, PLAIN, CURE = 0.01, ring_centres(), "plain", "Wasserstein critic"
GAME = {"lr": 1e-3, "optimization": Optimization(betas=(0.5, 0.999), ema=0.998)}


class Waves(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Sines and cosines of one, two, four and eight times the data, beside the data."""
        return torch.cat([x, *(f(2**k * x) for k in range(4) for f in (torch.sin, torch.cos))], 1)


def networks(pack: int = 1, *seen: torch.nn.Module) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Generator and judge, which may see a number more of a batch."""
    layers = mlp([18 * pack + len(seen), 64, 64, 64, 1], "leaky_relu", generator=100)
    return mlp([2, 64, 64, 64, 2], generator=0), torch.nn.Sequential(Waves(), *seen, layers)


def judged(model: GAN | WassersteinGAN) -> ModeCoverage:
    return mode_coverage(model.sample(2500, generator=1), CENTRES, STD)


def main(out: Path) -> None:
    data = ring(2560, std=STD, generator=0)
    watch = [Evaluate(lambda model: {"counts": judged(model).counts.tolist()})]
    models: dict[str, tuple[GAN | WassersteinGAN, int]] = {
        PLAIN: (GAN(*networks()), 600),
        "slope penalty R1": (GAN(*networks(), r1=1.0), 1000),
        "packs of four": (GAN(*networks(4), pack=4), 1000),
        "spread of the batch": (GAN(*networks(1, MinibatchDeviation())), 1000),
        "unrolled three steps": (GAN(*networks(), unrolled_steps=3, unrolled_lr=0.01), 300),
        CURE: (WassersteinGAN(*networks(), penalty_weight=0.1, critic_steps=1), 1600),
    }
    figure = plt.figure(figsize=(14, 8), layout="constrained")
    (above,), (below,) = figure.subfigures(2, 1, squeeze=False, height_ratios=[1, 1.4])
    print(f"{'':<22}{'steps':>6}{'modes':>8}{'near a mode':>14}{'reverse KL, nats':>19}")
    for (name, (model, steps)), ax in zip(models.items(), above.subplots(1, 6), strict=True):
        rates = {} if name == CURE else GAME
        model.fit(data, steps=steps, callbacks=watch, generator=0, **rates)
        _, modes, near, divergence = judged(model)
        print(f"{name:<22}{steps:6d}{modes:6d}/8{near:14.1%}{divergence:19.3f}")
        plot_points(model.sample(2500, generator=1), None, CENTRES, ax, radius=3 * STD)
        ax.findobj(lambda artist: artist.get_gid() == "key")[0].remove()
        ax.set_title(f"{name}\n{modes} of 8 modes, {near:.0%} near", fontsize=9.5)
        ax.set(adjustable="box", xlim=(-1.25, 1.25), ylim=(-1.25, 1.25), xticks=[], yticks=[])
    for name, ax in zip((PLAIN, CURE), below.subplots(1, 2), strict=True):
        plot_modes_over_time(models[name][0].history, ax).set_title(name, fontsize=10.5)
    above.supxlabel("Amber: samples astray. Red: a mode that is lost.", size=10)
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "ring_collapse.png", dpi=110)
    print(f"\nFigure: {out / 'ring_collapse.png'}")


if __name__ == "__main__":
    main(Path("figures"))
