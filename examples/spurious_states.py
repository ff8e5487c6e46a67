"""What a Hopfield network remembers that nobody stored: reversed patterns, mixtures, and glass.

Minus a pattern is as stable as the pattern. So are majority votes of three patterns, which overlap
by one half with each. Then there are states that resemble none. All lie higher than the patterns,
as long as these are few. In a small network every fixed point can be listed and told apart.
"""

from __future__ import annotations

from itertools import combinations, product
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from energy.hopfield_network import HopfieldNetwork
from inference.palette import AMBER

SMALL, NETWORKS, STORED = 15, 6, (3, 4, 5, 6)
UNITS, PATTERNS, CUES = 501, 12, 3000
KINDS = ["pattern", "reversed pattern", "mixture of three", "another"]
COLORS = ["#35618f", "#8fb0d4", AMBER, "#c3ccd6"]


def spins(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    return 2 * torch.randint(2, (rows, columns), generator=generator).double() - 1


def kinds(states: Tensor, patterns: Tensor, near: float) -> Tensor:
    """The number of each state's kind: what it overlaps with by ``near`` and more."""
    triples = patterns[torch.tensor(list(combinations(range(len(patterns)), 3)))]
    signs = torch.tensor(list(product([-1.0, 1.0], repeat=3))).double()
    votes = torch.einsum("sk,tkd->tsd", signs, triples).sign().flatten(0, 1)
    overlap, mixed = [states @ some.T / patterns.shape[1] for some in (patterns, votes)]
    found = torch.where(mixed.amax(1) >= near, 2, 3)
    found[overlap.amin(1) <= -near] = 1
    found[overlap.amax(1) >= near] = 0
    return found


def main(out: Path) -> None:
    generator = torch.Generator().manual_seed(3)
    counts = torch.zeros(len(STORED), len(KINDS))
    print(f"Fixed points of {SMALL} units, mean of {NETWORKS} networks:\n")
    print("patterns" + "".join([f"{kind:>19}" for kind in KINDS]))
    for row, load in enumerate(STORED):
        for _ in range(NETWORKS):
            patterns = spins(load, SMALL, generator)
            points = HopfieldNetwork(SMALL).store(patterns).fixed_points()
            counts[row] += kinds(points, patterns, 1.0).bincount(minlength=4) / NETWORKS
        print(f"{load:8d}" + "".join([f"{count:19.1f}" for count in counts[row].tolist()]))

    patterns = spins(PATTERNS, UNITS, generator)
    network = HopfieldNetwork(UNITS).store(patterns)
    ends = network.recall(spins(CUES, UNITS, generator), generator=generator).state
    kind, energy = kinds(ends, patterns, 0.9), network.energy(ends) / UNITS
    parts = [energy[kind == number].numpy() for number in range(len(KINDS))]
    print(
        f"\n{UNITS} units, {PATTERNS} patterns: where {CUES:,} random cues lead, energy per unit"
    )
    figure, axes = plt.subplots(1, 2, figsize=(11.5, 4.4), layout="constrained")
    for number, name in enumerate(KINDS):
        print(f"  {name:17}{len(parts[number]) / CUES:7.1%}{parts[number].mean():10.3f}")
        bottom = counts[:, :number].sum(1)
        axes[0].bar(STORED, counts[:, number], 0.7, bottom, color=COLORS[number], label=name)
    axes[0].set(title=f"All fixed points of {SMALL} units", xlabel="patterns stored")
    axes[0].set(ylabel="fixed points", xticks=STORED)
    axes[1].legend(*axes[0].get_legend_handles_labels(), frameon=False)
    axes[1].hist(parts, bins=60, stacked=True, color=COLORS)
    axes[1].set(
        title=f"{UNITS} units: ends of random cues", xlabel="energy per unit", ylabel="cues"
    )
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "spurious_states.png", dpi=130)
    print(f"\nFigure: {out / 'spurious_states.png'}")


if __name__ == "__main__":
    main(Path("figures"))
