"""How much damage a memory repairs: overlap after recall, against the overlap of the cue.

A pattern draws in the states around it. With few patterns stored, a cue may be little better than
chance and recall still succeeds; the more patterns, the smaller the basin, until at the critical
load it is gone. A network of six units shows basins in full: all 64 states.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import torch

from energy.hopfield.capacity import overlap_after_recall
from energy.hopfield_network import HopfieldNetwork
from inference.palette import AMBER, AXIS, BLUE, TRACK

UNITS, TRIALS = 400, 3
LOADS = {0.02: "#a3b6cc", 0.05: "#6d93bf", 0.08: BLUE, 0.11: "#35618f", 0.14: AMBER}
CUES = torch.linspace(0.1, 1.0, 13).tolist()


def main(out: Path) -> None:
    six = HopfieldNetwork(6).store([[1, -1, 1, -1, 1, 1], [1, 1, 1, -1, -1, -1]])
    ends, sizes = six.recall(six.states(), order="sequential").state.unique(
        dim=0, return_counts=True
    )
    print("Six units and two patterns: all 64 states lead to")
    for end, size in zip(ends.int().tolist(), sizes.tolist(), strict=True):
        print("  " + " ".join([f"{unit:+d}" for unit in end]) + f"   from {size} states")

    figure, ax = plt.subplots(figsize=(6.8, 4.8), layout="constrained")
    print(f"\n{UNITS} units: the least overlap of a cue that leads to 0.95 on average")
    for load, color in LOADS.items():
        after = [
            overlap_after_recall(
                UNITS, [load], trials=TRIALS, cues=20, flips=(1 - cue) / 2, generator=0
            )
            for cue in CUES
        ]
        means = [study.mean.item() for study in after]
        errors = [study.standard_error.item() for study in after]
        good = [cue for cue, mean in zip(CUES, means, strict=True) if mean >= 0.95]
        print(f"  load {load:.2f}   {f'{good[0]:.2f}' if good else 'none'}")
        ax.errorbar(CUES, means, errors, fmt="o-", ms=3.5, capsize=2, color=color, label=f"{load}")
    ax.plot([0, 1], [0, 1], color=AXIS, lw=1, ls="--")
    ax.set(xlabel="overlap of the cue", ylabel="overlap after recall", xlim=(0, 1.01))
    ax.set_title(f"{UNITS} units: the basin shrinks as patterns are added")
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color=TRACK)
    ax.legend(title="load P / d", frameon=False)
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "basins_of_attraction.png", dpi=130)
    print(f"\nFigure: {out / 'basins_of_attraction.png'}")


if __name__ == "__main__":
    main(Path("figures"))
