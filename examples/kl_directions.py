"""Two directions of one divergence: a single normal law is fitted to two modes.

KL(p || q) is large where q leaves out what p has: its one minimum, maximum likelihood, covers both
modes and the desert between them. KL(q || p) punishes q for being where p is not: its minima sit
on one mode each, and the start decides which (a third, far worse, spans both from a wide start).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, Normal

from inference.learning.lbfgs import minimize
from inference.palette import AMBER, BLUE, INK, MUTED

MEANS, SD = torch.tensor([-3.0, 3.0], dtype=torch.float64), 0.7
P = MixtureSameFamily(Categorical(torch.ones_like(MEANS)), Normal(MEANS, SD))
STARTS = ((-1.5, 1.0), (2.0, 1.0), (1.0, 3.5))
#: Nodes of quadrature: of p in its own unit, of q in standard deviations from its mean.
X, T = (torch.linspace(-r, r, 1201, dtype=torch.float64) for r in (10.0, 9.0))


def covering(q: Normal) -> Tensor:
    """KL(p || q), nats."""
    return torch.trapezoid(P.log_prob(X).exp() * (P.log_prob(X) - q.log_prob(X)), X)


def seeking(q: Normal) -> Tensor:
    """KL(q || p), nats."""
    x = q.mean + q.stddev * T
    return torch.trapezoid(Normal(0, 1).log_prob(T).exp() * (q.log_prob(x) - P.log_prob(x)), T)


def fit(divergence: Callable[[Normal], Tensor], start: Tensor) -> tuple[list[Tensor], float]:
    """Path of (mean, sd) down a divergence, and where it ends."""
    slope = torch.func.grad_and_value(lambda at: divergence(Normal(at[0], at[1].exp())))
    begin, path = torch.stack([start[0], start[1].log()]), []
    found = minimize(lambda at: slope(at)[::-1], begin, value_tolerance=0, callback=path.append)
    points = [begin, *[iterate.x for iterate in path]]
    return [torch.stack([at[0], at[1].exp()]) for at in points], float(found.value)


def main(out: Path) -> None:
    figure, axes = plt.subplots(1, 3, figsize=(14, 4.3), layout="constrained")
    axes[0].fill_between(X, P.log_prob(X).exp(), color=MUTED, alpha=0.3, lw=0, label="p")
    grid = torch.meshgrid(torch.linspace(-5, 5, 121), torch.linspace(0.3, 4.5, 85), indexing="xy")
    print(f"Moments of p: mean 0, sd {P.stddev:.4f}. A mode alone: log 2 = 0.693147.")
    print(f"\n{'':>12}{'start':>14}{'mean':>10}{'sd':>9}{'nats':>10}")
    sides = {"KL(p || q)": (covering, BLUE), "KL(q || p)": (seeking, AMBER)}
    for ax, (name, (divergence, colour)) in zip(axes[1:], sides.items(), strict=True):
        surface = divergence(Normal(*(part[..., None].double() for part in grid)))
        levels = surface.min() + torch.logspace(-2, 1.3, 16, dtype=torch.float64)
        ax.contour(*grid, surface, levels=levels, colors=MUTED, linewidths=0.5, alpha=0.7)
        for start in STARTS:
            path, value = fit(divergence, torch.tensor(start).double())
            mean, sd = (round(number, 4) for number in path[-1].tolist())
            print(f"{name:>12}{start!s:>14}{mean + 0.0:10.4f}{sd:9.4f}{value:10.6f}")
            ax.plot(*torch.stack(path).T, "o-", color=colour, ms=3, lw=1.4)
            ax.plot(mean, sd, "*", color=INK, ms=13)
            style = "-" if value < 1 else ":"  # the minimum that is not the least
            axes[0].plot(X, Normal(mean, sd).log_prob(X).exp(), color=colour, lw=2, ls=style)
        axes[0].plot([], color=colour, lw=2, label=f"q by {name}")
        ax.set(title=name, xlabel="mean of q", ylabel="sd of q", ylim=(0.3, 4.5), xlim=(-5, 5))
    axes[0].set(title="What the minima look like", xlabel="x", ylabel="density", ylim=(0, 0.8))
    axes[0].legend(frameon=False, loc="upper left")
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "kl_directions.png", dpi=130)
    print(f"\nFigure: {out / 'kl_directions.png'}")


if __name__ == "__main__":
    main(Path("figures"))
