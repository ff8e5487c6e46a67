"""Many processes, one result: the same numbers, whoever does the work.

Work is cut in parts, each with random draws of its own, which processes share. What comes out
depends on the parts and not on who did them::

    python examples/many_processes.py
    torchrun --nproc-per-node 2 examples/many_processes.py

print the same table.
"""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from energy import IsingModel
from generative import VariationalAutoencoder
from generative.networks import mlp
from inference import Optimization, annealed_importance_sampling, join, share_rows
from inference.palette import AMBER, BLUE, INK, MUTED

PARTS = 4


def learned(rows: torch.Tensor, parts: int | None) -> VariationalAutoencoder:
    """An autoencoder of rows of the plane, learned in parts or from whole batches."""
    networks = mlp([2, 32, 4], "tanh", generator=0), mlp([2, 32, 4], "tanh", generator=1)
    model = VariationalAutoencoder(*networks, latent_dim=2, likelihood="gaussian").double()
    plan = {"epochs": 60, "batch_size": 100, "lr": 0.01, "generator": 0}
    return model.fit(rows, optimization=Optimization(parts=parts), **plan)


def main(out: Path) -> None:
    torch.set_num_threads(1)
    angle = torch.rand(1000, generator=torch.Generator().manual_seed(0)).double() * 2 * torch.pi
    rows = 3 * torch.stack([angle.cos(), angle.sin()], 1)
    ising = IsingModel.lattice((4, 4), beta=0.5)
    with join() as team:
        model, whole = learned(rows, PARTS), learned(rows, None)
        found = annealed_importance_sampling(ising, betas=30, chains=256, parts=PARTS, generator=0)
        codes = share_rows(model.transform, rows, PARTS)
        if not team.first:
            return
    exact = float(ising.log_partition())
    print(f"In {PARTS} parts, by any number of processes:")
    print(f"   bound of an autoencoder {model.history[-1]['elbo']:16.10f}")
    print(f"  mean square of its codes {float(codes.detach().square().mean()):16.10f}")
    print(f" log Z of an Ising lattice {float(found):16.10f}")
    print(f"             log Z exactly {exact:16.10f}")
    figure, (curves, weights) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for one, colour, name in ((whole, AMBER, "whole batches"), (model, BLUE, f"{PARTS} parts")):
        epochs, bounds = zip(*[(x["epoch"], x["elbo"]) for x in one.history[1:]], strict=True)
        curves.plot(epochs, bounds, color=colour, lw=2, label=name)
    curves.set(
        title="Learning: other draws, the same course", xlabel="epoch", ylabel="bound, nats"
    )
    for part, logs in enumerate(found.log_weights.view(PARTS, -1), 1):
        place = part + torch.linspace(-0.3, 0.3, len(logs))
        weights.plot(place, logs, "o", ms=4, color=BLUE, alpha=0.5, mec="none")
        mean = logs.logsumexp(0) - math.log(len(logs))
        weights.hlines(mean, part - 0.3, part + 0.3, color=INK, lw=2)
    weights.axhline(exact, color=MUTED, ls="--", zorder=0, label="exact")
    weights.plot([], color=INK, lw=2, label="from the chains of a part")
    weights.set(title="Chains: every part estimates log Z", xlabel="part", ylabel="log weight")
    weights.set(xticks=range(1, PARTS + 1), ylim=(11.5, None))
    _ = [axes.legend(frameon=False, loc="lower right") for axes in (curves, weights)]
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "many_processes.png", dpi=130)
    print(f"\nFigure: {out / 'many_processes.png'}")


if __name__ == "__main__":
    main(Path("figures"))
