"""How much a Hopfield network remembers: overlap after recall, against patterns per unit.

Random patterns are stored by Hebb's rule, and recall starts from the patterns themselves. Up to a
load of 0.138 every pattern has a fixed point near it. Beyond, memory is lost, and not little by
little: with ever more units the curve becomes the jump that theory says.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from energy.hopfield.capacity import (
    Overlaps,
    critical_load,
    overlap_after_recall,
    retrieval_overlap,
)
from energy.memory_plot import plot_capacity

SIZES, FULL = (125, 250, 500, 1000), (500, 1000, 2000, 3000)
LOADS = torch.linspace(0.06, 0.2, 15, dtype=torch.float64)
LOST = 0.9


def crossing(study: Overlaps) -> float:
    """The load at which the mean overlap falls below 0.9."""
    first = int((study.mean < LOST).nonzero()[0])
    (a, b), (m, n) = study.loads[first - 1 : first + 1], study.mean[first - 1 : first + 1]
    return (a + (b - a) * (m - LOST) / (m - n)).item()


def main(out: Path, full: bool) -> None:
    studies = []
    print(
        f"units   overlap at 0.10   theory {retrieval_overlap(0.1).item():.4f}   falls below 0.9"
    )
    for n in FULL if full else SIZES:
        study = overlap_after_recall(n, LOADS, trials=10 if full else 4, generator=0)
        at = int((study.loads - 0.1).abs().argmin())
        error = f"{study.mean[at]:.4f} +- {study.standard_error[at]:.4f}"
        print(f"{n:5d}{error:>20}{crossing(study):>31.3f}")
        studies.append(study)
    print(f"\nThe critical load of theory is {critical_load():.4f}.")

    figure, axes = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
    for ax in axes:
        plot_capacity(studies, ax)
    axes[0].set_title("Overlap with the pattern recalled")
    axes[1].set(title="The same, near one", ylim=(0.9, 1.003), xlim=(0.06, 0.15))
    axes[1].get_legend().remove()
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "hopfield_capacity.png", dpi=130)
    print(f"\nFigure: {out / 'hopfield_capacity.png'}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="up to 3,000 units, some minutes")
    main(Path("figures"), parser.parse_args().full)
