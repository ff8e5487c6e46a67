"""A geyser with a memory: a hidden Markov model of eruptions, some of which nobody timed.

A short eruption is mostly followed by a long one, after a short wait. At night half of the numbers
are missing. Knowing the past is worth a part of a nat per eruption over a mixture without memory.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Ellipse

from inference.palette import AMBER, BLUE
from pgm import HiddenMarkovModel

ERUPTIONS, SHOWN = 600, 100


def geyser() -> HiddenMarkovModel:
    """A short eruption is soon followed by the next, nearly always a long one."""
    model = HiddenMarkovModel(2, "gaussian", n_features=2, covariance_type="full")
    model.transitions.data[:] = torch.tensor([[0.04, 0.96], [0.54, 0.46]])
    model.means.data[:] = torch.tensor([[2.0, 54.0], [4.3, 80.0]])
    model.covariances.data[:] = torch.tensor([[[0.06, 0.5], [0.5, 35]], [[0.17, 0.9], [0.9, 36]]])
    return model


def draw(model: HiddenMarkovModel, x: torch.Tensor, short: int, path: Path) -> None:
    x, long = x.numpy(), model.posterior(x)[0][:, 1 - short].numpy()
    time, colors = np.arange(SHOWN), LinearSegmentedColormap.from_list("", [AMBER, BLUE])
    ratios = {"width_ratios": [1.8, 1], "height_ratios": [4, 1], "figsize": (10.4, 4.1)}
    figure, axes = plt.subplot_mosaic("wb;ob", layout="constrained", **ratios)
    wait, odds, both = axes["w"], axes["o"], axes["b"]
    for gap in time[np.isnan(x[:SHOWN, 1])]:
        wait.axvspan(gap - 0.5, gap + 0.5, color="#edf0f3", lw=0)
    wait.plot(time, x[:SHOWN, 1], color="#c5ccd3", lw=0.9, zorder=1)
    wait.scatter(time, x[:SHOWN, 1], c=long[:SHOWN], cmap=colors, s=22, zorder=2)
    wait.set(ylabel="minutes to the next", xlim=(-1, SHOWN), xticks=[])
    wait.set_title("Waiting times, coloured by their state (grey: not timed)")
    odds.stackplot(time, long[:SHOWN], 1 - long[:SHOWN], colors=[BLUE, AMBER], step="mid")
    odds.set(xlabel="eruption", ylabel="p(long)", xlim=(-1, SHOWN), ylim=(0, 1))
    both.scatter(*x.T, c=long, cmap=colors, s=9, alpha=0.6)
    for k, color in ((short, AMBER), (1 - short, BLUE)):
        values, vectors = np.linalg.eigh(model.covariances[k].numpy())
        look = {"angle": np.degrees(np.arctan2(*vectors[::-1, 1])), "fc": "none", "ec": color}
        both.add_patch(Ellipse(model.means[k], *4 * np.sqrt(values[::-1]), lw=1.8, **look))
    both.set(xlabel="minutes of eruption", ylabel="minutes to the next", title="Two states")
    for ax in axes.values():
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)


def main(out: Path) -> None:
    series = geyser().sample(21, ERUPTIONS, generator=4).observations
    later, noise = series[1:], torch.rand(ERUPTIONS, 2, generator=torch.Generator().manual_seed(1))
    night = (torch.arange(ERUPTIONS) % 20 >= 14)[:, None] & (noise < 0.5)
    x = series[0].masked_fill(night, torch.nan)
    model, mixture = [HiddenMarkovModel(2, "gaussian", covariance_type="full") for _ in "mm"]
    model.fit(x, start_prior=1.0, generator=0)
    mixture.fit(x[:, None], generator=0)  # sequences of one eruption have no memory
    short = int(model.means[:, 0].argmin())
    memory, none = model.score(later) / ERUPTIONS, mixture.score(later.reshape(-1, 1, 2))
    print(f"{ERUPTIONS} eruptions, {x.isnan().double().mean():.0%} of the numbers missing.\n")
    print(f"  {'':>6}{'minutes':>9}{'until next':>12}{'then short':>12}{'then long':>11}")
    for name, k in (("short", short), ("long", 1 - short)):
        (minutes, wait), to = model.means[k], model.transitions[k]
        print(f"  {name:>6}{minutes:9.2f}{wait:12.1f}{to[short]:12.0%}{to[1 - short]:11.0%}")
    print(f"\nNats per eruption of {len(later)} later series: {memory:.3f} with the memory,")
    print(f"{none:.3f} without: knowing the past is worth {memory - none:.3f} nats.")
    out.mkdir(parents=True, exist_ok=True)
    draw(model, x, short, out / "faithful_hmm.png")
    print(f"\nFigure: {out / 'faithful_hmm.png'}")


if __name__ == "__main__":
    main(Path("figures"))
