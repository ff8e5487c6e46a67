"""Digits from a restricted Boltzmann machine: learned in seconds, judged by its likelihood.

Sixty-four hidden units learn 1,500 small binary digits by chains that follow the machine. What it
has learned is judged on digits it has not seen, in nats per digit: log Z comes from annealed
importance sampling, with an error. Its fantasies are draws from chains of their own.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits

from energy import RestrictedBoltzmannMachine
from energy.memory_plot import plot_patterns

SIDE, SHOWN = 8, 40


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """Rows to learn from, and others."""
    pixels = torch.from_numpy(load_digits(return_X_y=True)[0] >= 8).float()
    order = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(0))
    return pixels[order[:1500]], pixels[order[1500:]]


def main(out: Path) -> None:
    rows, others = digits()
    machine = RestrictedBoltzmannMachine(SIDE**2, 64, generator=0)
    machine.fit(rows, generator=0, progress=False)
    estimate = machine.log_partition("ais", generator=0)
    means = (rows.sum(0) + 0.5) / (len(rows) + 1)
    independent = torch.distributions.Bernoulli(means).log_prob(others).sum(1).mean()
    print(estimate)
    for name, part in (("learned from", rows), ("not seen", others)):
        score = float(machine.log_weight(part).mean()) - float(estimate)
        print(f"{len(part):5d} digits {name:<13}{score:8.2f} nats each")
    print(f"      independent pixels  {independent:8.2f}")
    generator = torch.Generator().manual_seed(1)
    fantasies = machine.sample(SHOWN, sweeps=500, generator=generator)
    upper = others[:SHOWN].clone()
    upper[:, SIDE**2 // 2 :] = torch.nan
    filled = machine.complete(upper, generator=generator)
    weights = machine.weights.T
    strongest = weights.norm(dim=1).argsort(descending=True)[:SHOWN]
    panels = {
        "Digits that were learned": rows[:SHOWN],
        "Fantasies, one from each of 40 chains": fantasies,
        "Upper halves of unseen digits, completed": filled,
        "Weights of the strongest hidden units": weights[strongest],
    }
    figure, axes = plt.subplots(2, 2, figsize=(11, 7.4), layout="constrained")
    for ax, (title, pictures) in zip(axes.flat, panels.items(), strict=True):
        plot_patterns(pictures, (SIDE, SIDE), ax, columns=8)
        ax.set_title(title, fontsize=10.5)
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "rbm_digits.png", dpi=130)
    print(f"\nFigure: {out / 'rbm_digits.png'}")


if __name__ == "__main__":
    main(Path("figures"))
