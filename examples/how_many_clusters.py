"""How many kinds of eruption? A mixture with laws for its parameters needs not be told.

Eight components are allowed. Under a Dirichlet law those that the rows do not need have equal
shares of what the prior leaves them; under a Dirichlet process each takes a part of what the ones
before it left, and they fade. The bound on the evidence tells what further components cost.
Dotted: a component without rows, which is as wide as the prior.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.patches import Ellipse

from inference.palette import AMBER, AXIS, BLUE
from pgm import BayesianGaussianMixture, GaussianMixture

MOST, USED = 8, 0.02
LAWS = {"Dirichlet law": "dirichlet_distribution", "Dirichlet process": "dirichlet_process"}
COLORS = dict(zip(LAWS, [BLUE, AMBER], strict=True))


def eruptions() -> torch.Tensor:
    """Minutes of an eruption and minutes to the next: short ones and long ones."""
    means, short, long = [[2.0, 54.5], [4.3, 80.0]], [[0.07, 0.4], [0.4, 34]], [[0.17, 1], [1, 36]]
    geyser = GaussianMixture.from_parameters([0.36, 0.64], means, [short, long])
    return geyser.sample(272, generator=2)


def learn(x: torch.Tensor, law: str, most: int) -> BayesianGaussianMixture:
    settings = {"weight_concentration_prior_type": LAWS[law], "weight_concentration_prior": 1.0}
    model = BayesianGaussianMixture(most, **settings, n_init=5, max_iter=5000, random_state=0)
    return model.fit(x)


def ellipse(mean: torch.Tensor, covariance: torch.Tensor, **look: object) -> Ellipse:
    """Two standard deviations."""
    values, vectors = np.linalg.eigh(covariance.numpy())
    angle = np.degrees(np.arctan2(*vectors[::-1, 1]))
    return Ellipse(mean, *4 * values[::-1] ** 0.5, angle=angle, fc="none", **look)


def main(out: Path) -> None:
    x, shape = eruptions(), {"height_ratios": [3, 1], "width_ratios": [1, 1, 0.8]}
    figure, axes = plt.subplot_mosaic("ace;bde", layout="constrained", figsize=(13, 5), **shape)
    print(f"{'':>18}{'above 2 %':>12}   bound for 1, 2 and {MOST} components, nats")
    for law, (above, below) in zip(LAWS, ["ab", "cd"], strict=True):
        models, color = [learn(x, law, most) for most in range(1, MOST + 1)], COLORS[law]
        bounds, last = [model.lower_bound_ for model in models], models[-1]
        weights, order = last.weights.detach().sort(descending=True)
        axes[above].scatter(*x.T, s=8, color=AXIS, lw=0)
        for k in order[weights > USED]:
            axes[above].add_patch(ellipse(last.means_[k], last.covariances_[k], ec=color, lw=2))
        unused, look = order[-1], {"ec": color, "ls": ":", "lw": 1.2}
        axes[above].add_patch(ellipse(last.means_[unused], last.covariances_[unused], **look))
        axes[above].set(title=law, xlabel="minutes of eruption")
        axes[below].bar(range(1, MOST + 1), weights.numpy(), color=color)
        axes[below].set(xlabel="component, by weight", yscale="log", ylim=(1e-6, 3))
        axes["e"].plot(range(1, MOST + 1), bounds, "o-", color=color, label=law)
        shown = ", ".join([f"{bounds[k - 1]:.1f}" for k in (1, 2, MOST)])
        print(f"{law:>18}{int((weights > USED).sum()):>12}   {shown}")
    axes["a"].set(ylabel="minutes to the next")
    axes["b"].set(ylabel="expected weight")
    axes["e"].set(title="Bound on the log-evidence, nats", xlabel="components allowed")
    axes["e"].legend(frameon=False, loc="lower right")
    for ax in axes.values():
        ax.spines[["top", "right"]].set_visible(False)
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "how_many_clusters.png", dpi=130)
    print(f"\nFigure: {out / 'how_many_clusters.png'}")


if __name__ == "__main__":
    main(Path("figures"))
