"""Simulated annealing: what temperature does to a law, and why to lower it slowly.

Hot, every state is as likely as any other; cold, only those of least energy are left. A graph is
to be parted so that as many edges as possible are cut: spins that want to differ. The longer the
schedule, the lower all its chains end, and sweeps are better spent on length than on chains.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

from energy import IsingModel
from inference import enumerate_states, simulated_annealing
from inference.palette import AMBER, AXIS, BLUE, MUTED, TRACK
from inference.sampling.schedules import geometric_schedule

VERTICES, EDGES, CHAINS = 500, 3000, 32
LENGTHS = (10, 30, 100, 300, 1000)


def limits(ax: plt.Axes) -> None:
    """All eight states of three spins from hot to cold."""
    model = IsingModel([[0, 0.25, -0.5], [0.25, 0, 0.125], [-0.5, 0.125, 0]], [0.2, 0.1, -0.3])
    spins = 2 * enumerate_states([2] * 3) - 1
    temperatures = np.geomspace(0.05, 50, 200)
    laws = torch.stack([(-model.energy(spins) / t).softmax(0) for t in temperatures])
    entropy = -(laws * laws.clamp_min(1e-300).log()).sum(1)
    print(f"Three spins: entropy {entropy[-1]:.4f} nats hot (3 log 2 = {3 * np.log(2):.4f}),")
    print(f"{entropy[0]:.4f} cold, where {spins[laws[0].argmax()].tolist()} alone is left.\n")
    best = int(laws[0].argmax())
    for state, curve in enumerate(laws.T):
        color, width = (AMBER, 2.2) if state == best else (AXIS, 1.2)
        ax.semilogx(temperatures, curve, color=color, lw=width)
    ax.axhline(1 / 8, color=TRACK, lw=1, zorder=0)
    ax.text(8, 0.16, "one in eight", color=MUTED, fontsize=9)
    ax.set(xlabel="temperature", ylabel="probability", title="Eight states, from cold to hot")


def main(out: Path) -> None:
    figure, axes = plt.subplots(1, 3, figsize=(14, 4.3), layout="constrained")
    limits(axes[0])
    draws = np.random.default_rng(0)
    pairs = np.stack(np.triu_indices(VERTICES, 1), axis=1)
    edges = pairs[draws.choice(len(pairs), EDGES, replace=False)]
    model = IsingModel.from_edges(VERTICES, edges, -1.0)
    law, generator = model.search_law(), torch.Generator().manual_seed(0)
    hot, cold = law.temperature_range()
    for row, sweeps in enumerate(LENGTHS):
        state, trace = law.start(CHAINS, generator), []
        for beta in geometric_schedule(hot, cold, sweeps):
            state = law.step(state, beta, generator)
            trace.append(-law.log_density(state, 1.0).mean())
        shade = plt.get_cmap("Blues")(0.35 + 0.65 * row / len(LENGTHS))
        axes[1].semilogx(range(1, sweeps + 1), trace, color=shade, lw=1.8, label=f"{sweeps}")
    axes[1].set(xlabel="sweep", title=f"Mean energy of {CHAINS} chains")
    axes[1].legend(title="sweeps in all", frameon=False, fontsize=9)
    print("sweeps   mean cut   best cut   of 3,000 edges, 32 chains")
    for sweeps in LENGTHS:
        found = simulated_annealing(model, sweeps=sweeps, chains=CHAINS, generator=1)
        cuts = model.cut_value(found.state)
        print(f"{sweeps:6d} {cuts.mean():10.1f} {cuts.max():10.0f}")
        axes[2].scatter(np.full(CHAINS, sweeps), cuts, s=12, color=BLUE, alpha=0.5, lw=0)
        axes[2].plot(sweeps, cuts.mean(), "_", ms=22, color=AMBER, mew=2)
    axes[2].set(xscale="log", xlabel="sweeps in all", title="Cut edges of every chain, and mean")
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "annealing.png", dpi=130)
    print(f"\nFigure: {out / 'annealing.png'}")


if __name__ == "__main__":
    main(Path("figures"))
