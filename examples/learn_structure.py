"""A structure recovered from samples: the true and the learned graph side by side.

Rows are drawn from a known network, and six searches look for its graph. More rows bring them
nearer, as far as data can tell: graphs that fit all data equally well differ in the direction of
some edges. Resampling tells how sure an edge is.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt

from pgm import BayesianNetwork
from pgm.classic import asia
from pgm.comparison_plot import plot_comparison
from pgm.discrete_data import DiscreteData
from pgm.structure import bootstrap_edges, learn_structure, structural_hamming_distance

ROWS = (200, 2_000, 20_000, 200_000)
METHODS = ("hill-climb", "order", "ges", "exact", "chow-liu", "pc")


def main(out: Path) -> None:
    true = asia()
    states = true.config()["states"]
    rows = true.sample(max(ROWS), generator=0)
    print("Distance to the true equivalence class (edges missing, extra or turned):\n")
    print(f"  {'rows':<12}" + "".join([f"{method:>12}" for method in METHODS]))
    for n in ROWS:
        distances = []
        for method in METHODS:
            learned = BayesianNetwork.learn(rows[:n], method, states=states, generator=0)
            distances.append(structural_hamming_distance(learned, true, equivalence=True))
        print(f"  {n:<12,}" + "".join([f"{distance:>12}" for distance in distances]))
    print("\nThe direction of some edges is beyond any data: equivalent graphs fit equally well.")
    data = DiscreteData(rows[:2_000], states)
    arrows, lines = learn_structure(data, "order", generator=0).essential_edges
    print(f"From 2,000 rows {len(arrows)} edges have a direction, {len(lines)} do not.")

    print("\nHow sure are they? Shares of 100 resampled data sets that agree:")
    confidence = bootstrap_edges(data, lambda d: learn_structure(d).parents, 100, generator=0)
    for parent, child, share in confidence.edges(0.3):
        known = {(parent, child), (child, parent)} & set(true.edges)
        print(f"  {parent:>7} - {child:<7}{share:>6.0%}{'' if known else '   (not in the truth)'}")

    figure, axes = plt.subplots(1, 2, figsize=(11.5, 5.0))
    figure.subplots_adjust(0.01, 0.01, 0.99, 0.92, wspace=0.04)
    learned = BayesianNetwork.learn(data, "order", generator=0)
    plot_comparison(true, learned, axes)
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "learn_structure.png", dpi=130)
    print(f"\nFigure: {out / 'learn_structure.png'}")


if __name__ == "__main__":
    main(Path("figures"))
