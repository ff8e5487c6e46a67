"""Continuous variables: learned from a table with holes, narrowed by evidence, changed by acting.

Fertile soil yields more, and farmers spread less fertiliser on it. So fields with much fertiliser
have small harvests, although fertiliser makes every harvest larger. All numbers are made up.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import torch

from inference.palette import AMBER, AXIS, BLUE
from pgm.linear_gaussian_network import LinearGaussianNetwork

WEIGHTS = {("soil", "strip"): 1.0, ("soil", "lab"): 1.0, ("soil", "dose"): -15.0,
           ("soil", "harvest"): 0.8, ("dose", "harvest"): 0.02}  # fmt: skip
START = {"soil": 5.0, "strip": 0.0, "lab": 0.0, "dose": 195.0, "harvest": 1.0}
NOISE = {"soil": 1.0, "strip": 0.8, "lab": 0.1, "dose": 64.0, "harvest": 0.09}
STEPS = {
    "before any test": {},
    "test strip: 6.5": {"strip": 6.5},
    "... and laboratory: 5.9": {"strip": 6.5, "lab": 5.9},
}


def learn() -> tuple[torch.Tensor, LinearGaussianNetwork]:
    """A table of 500 fields, four cells of ten empty, and the network learned from it."""
    truth = LinearGaussianNetwork(WEIGHTS, list(START), WEIGHTS, START, NOISE)
    table = truth.sample(500, generator=1)
    table[torch.rand(table.shape, generator=torch.Generator().manual_seed(2)) < 0.4] = torch.nan
    return table, LinearGaussianNetwork(WEIGHTS, list(START)).fit(table)


def main(out: Path) -> None:
    table, network = learn()
    print(f"500 fields, {(~table.isnan().any(1)).sum()} without a gap; what all say together:\n")
    for (parent, child), weight in WEIGHTS.items():
        found = network.weights[network.variables.index(parent), network.variables.index(child)]
        print(f"  {parent + ' -> ' + child:<18}{found:>9.3f}   (made with {weight:g})")

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    print("\nWhat is known of the soil of one field, mean and standard deviation:\n")
    line = torch.linspace(1.5, 8.5, 400, dtype=torch.float64)
    for (words, evidence), color in zip(STEPS.items(), (AXIS, AMBER, BLUE), strict=True):
        soil = network.marginals(evidence, ["soil"])["soil"]
        print(f"  {words:<26}{soil.mean:>6.2f} ±{soil.stddev:5.2f}")
        density = soil.log_prob(line).exp()
        left.fill_between(line, density, color=color, alpha=0.12, lw=0)
        left.plot(line, density, color=color, lw=2, label=words)
    left.set(title="Evidence narrows", xlabel="fertility of the soil", ylabel="density", ylim=0)

    doses = torch.linspace(70, 170, 50, dtype=torch.float64)
    seen = network.marginals({"dose": doses}, ["harvest"])["harvest"]
    done = torch.stack([network.intervene({"dose": d}).mean[-1] for d in doses.tolist()])
    print("\nTen units of fertiliser more, and the harvest changes by\n")
    for words, y in (("where it was spread", seen.mean), ("if you spread it", done)):
        print(f"  {words:<26}{(y[-1] - y[0]) / 10:>+6.2f}")
    right.scatter(table[:, 3], table[:, 4], s=10, color=AXIS, alpha=0.6, lw=0)
    right.plot(doses, seen.mean, color=AMBER, lw=2.5, label="seeing: E[harvest | dose]")
    ends = [seen.mean + side * seen.stddev for side in (-2, 2)]
    right.fill_between(doses, *ends, color=AMBER, alpha=0.12, lw=0)
    right.plot(doses, done, color=BLUE, lw=2.5, label="doing: E[harvest | do(dose)]")
    right.set(title="Acting differs from looking", xlabel="fertiliser", ylabel="harvest")
    for ax, corner in ((left, "upper left"), (right, "lower left")):
        ax.legend(frameon=False, loc=corner)
        ax.spines[["top", "right"]].set_visible(False)
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "linear_gaussian.png", dpi=130)
    print(f"\nFigure: {out / 'linear_gaussian.png'}")


if __name__ == "__main__":
    main(Path("figures"))
