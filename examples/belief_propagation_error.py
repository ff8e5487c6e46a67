"""Three approximations as spins couple more strongly: what they say of marginals and of log Z.

A square of spins with couplings at random, small enough for exact sums. Mean field bounds log Z
from below, tree-reweighted messages from above, and belief propagation lies in between without a
guarantee. The stronger the couplings, the worse all three.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from inference import Factor, FactorGraph
from inference.approximate import belief_propagation, mean_field, tree_reweighted
from inference.convergence import ConvergenceWarning
from inference.palette import AMBER, AXIS, BLUE, GREEN, INK

SIDE = 10
COUPLINGS = (0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 1.2)
METHODS = {
    "tree-reweighted": (lambda graph: tree_reweighted(graph, edge_updates=5), AMBER),
    "belief propagation": (belief_propagation, BLUE),
    "mean field": (lambda graph: mean_field(graph, n_starts=16), GREEN),
}


def spins(coupling: float, rng: np.random.Generator) -> FactorGraph:
    """A square of spins -1 and +1 with weak fields and random couplings."""
    signs, size = np.array([-1.0, 1.0]), SIDE * SIDE
    factors = [Factor([f"s{v}"], 0.3 * rng.normal() * signs) for v in range(size)]
    pairs = [(v, v + 1) for v in range(size) if (v + 1) % SIDE]
    for u, v in pairs + [(v, v + SIDE) for v in range(size - SIDE)]:
        table = coupling * rng.normal() * np.outer(signs, signs)
        factors.append(Factor([f"s{u}", f"s{v}"], table))
    return FactorGraph({f"s{v}": 2 for v in range(size)}, factors)


def main(out: Path) -> None:
    warnings.simplefilter("ignore", ConvergenceWarning)  # the table says it
    print(f"{SIDE} x {SIDE} spins: largest error of a marginal, log Z less its exact value\n")
    print(f"  {'coupling':>8}" + "".join([f"{name:>24}" for name in METHODS]))
    found = {name: [] for name in METHODS}
    for coupling in COUPLINGS:
        graph = spins(coupling, np.random.default_rng(7))
        exact, log_z = graph.marginals(), graph.log_partition()
        line = f"  {coupling:>8.1f}"
        for name, (method, _) in METHODS.items():
            result = method(graph)
            worst = max([float((result.marginals[v] - p).abs().max()) for v, p in exact.items()])
            gap = float(result.log_partition - log_z)
            found[name].append((worst, gap, bool(result.converged)))
            line += f"{worst:>13.4f}{gap:>+9.3f}{' ' if result.converged else '*':>2}"
        print(line.rstrip())
    print("\n* not converged. Both bounds hold all the same; the Bethe value lies where it may.")
    figure, panels = plt.subplots(1, 2, figsize=(10.4, 3.9), layout="constrained")
    high, _, low = [[gap for _, gap, _ in rows] for rows in found.values()]
    panels[0].fill_between(COUPLINGS, low, high, color=AXIS, alpha=0.2, lw=0)
    panels[0].axhline(0, color=INK, lw=0.9, ls=(0, (4, 3)))
    for name, (_, color) in METHODS.items():
        rims = [color if settled else INK for _, _, settled in found[name]]
        for ax, column in zip(panels, (1, 0), strict=True):
            values = [row[column] for row in found[name]]
            ax.plot(COUPLINGS, values, color=color, label=name)
            ax.scatter(COUPLINGS, values, s=18, color=color, edgecolors=rims, zorder=3)
    panels[0].set(ylabel="log Z minus its exact value (nats)", title="Bounds around log Z")
    panels[1].set(ylabel="largest error of a marginal", title="Marginals", yscale="log")
    panels[1].legend(frameon=False)
    for ax in panels:
        ax.set_xlabel("coupling (dark rims: not converged)")
        ax.spines[["top", "right"]].set_visible(False)
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "belief_propagation_error.png", dpi=130)
    print(f"\nFigure: {out / 'belief_propagation_error.png'}")


if __name__ == "__main__":
    main(Path("figures"))
