"""Bars and stripes: what is learned from a few patterns that lie far apart.

Pictures whose rows are of one colour each, or whose columns are. No law gives N of them more than
1 / N each, so it is known how good a machine could be; log Z is summed exactly.
Single chains get caught by patterns that the machine has learned, which leads it astray; replicas
at several temperatures go on crossing between the patterns.
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from energy import RestrictedBoltzmannMachine
from energy.machine_plot import plot_fantasies
from energy.memory_plot import plot_patterns
from inference.palette import AMBER, BLUE

HIDDEN, STEPS = {3: 16, 4: 30}, [300, 1000, 3000]
METHODS = {"pcd": ("single chains", AMBER), "pt": ("six temperatures", BLUE)}
KEPT = [0, 1, 2, 5, 20, 100]


def bars_and_stripes(side: int) -> torch.Tensor:
    """All patterns, each once."""
    bits = torch.tensor(list(itertools.product([0.0, 1.0], repeat=side)))
    bars = bits[:, :, None].expand(-1, side, side)
    return torch.cat([bars, bars.mT]).reshape(-1, side**2).unique(dim=0)


def learn(rows: torch.Tensor, hidden: int, method: str, steps: int) -> RestrictedBoltzmannMachine:
    """A machine after so many steps, each on all patterns."""
    machine = RestrictedBoltzmannMachine(rows.shape[1], hidden, generator=0)
    few = {"batch_size": len(rows), "chains": 30, "temperatures": 6, "progress": False}
    return machine.fit(rows, method, epochs=steps, lr=1.0, generator=0, **few)


def main(out: Path) -> None:
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4.4), layout="constrained")
    for side, hidden in HIDDEN.items():
        rows = bars_and_stripes(side)
        best = -len(rows) * math.log(len(rows))
        print(f"{side} x {side}: log-likelihood of {len(rows)} patterns at most {best:.2f} nats")
        for method, (name, color) in METHODS.items():
            lost = []
            for steps in STEPS if side == 4 else STEPS[-1:]:
                machine = learn(rows, hidden, method, steps)
                lost.append(float(total := machine.log_prob(rows).sum()) / best - 1)
                print(f"  {name:17}{steps:6d} steps{total:9.2f}, {lost[-1]:6.1%} below")
            if side == 4:
                middle.loglog(STEPS, lost, "o-", color=color, label=name)
    rising = [*torch.linspace(0, 1, 200).tolist(), *[1.0] * 200]
    law, generator = machine.tempered_law(), torch.Generator().manual_seed(1)
    state, kept = law.run(law.start(6, generator), rising, generator), []
    for sweeps in [b - a for a, b in zip([0, *KEPT], KEPT, strict=False)]:
        state = law.run(state, [1.0] * sweeps, generator)
        kept.append(state.visible)
    plot_patterns(rows, (side, side), left, columns=6)
    left.set_title(f"All {len(rows)} patterns of {side} x {side} pixels", fontsize=10.5)
    middle.set(xlabel="steps of learning", ylabel="log-likelihood below the best")
    middle.set_xticks(STEPS, STEPS)
    middle.minorticks_off()
    middle.set_yticks([0.02, 0.05, 0.2, 1.0], ["2 %", "5 %", "20 %", "100 %"])
    middle.set_title(f"What is left to learn, {side} x {side}", fontsize=10.5)
    middle.legend(frameon=False)
    plot_fantasies(torch.stack(kept), (side, side), right, KEPT)
    right.set_title("Six chains at one temperature, sweep by sweep", fontsize=10.5)
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "bars_and_stripes.png", dpi=130)
    print(f"\nFigure: {out / 'bars_and_stripes.png'}")


if __name__ == "__main__":
    main(Path("figures"))
