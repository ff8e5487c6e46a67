"""Three ways to store the same patterns: Hebb's rule, Storkey's, and the pseudo-inverse.

Hebb's rule adds patterns up. Storkey's looks at what the network already says about a new pattern,
and still needs only what the two ends of a coupling know. The pseudo-inverse solves for weights
that hold every pattern, and needs all of them at once. Cues have a tenth of their units turned.
The dotted line is the limit of Hebb's rule for random patterns, 0.138 per unit.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt

from energy.hopfield.capacity import critical_load, overlap_after_recall
from inference.palette import AMBER, BLUE, GREEN, MUTED, TRACK

UNITS, FLIPS = 200, 0.1
LOADS = [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
RULES = {"hebbian": BLUE, "storkey": GREEN, "pseudo-inverse": AMBER}


def main(out: Path) -> None:
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
    print(f"Overlap after recall, {UNITS} units, one in ten turned in the cue:\n")
    print("load          " + "".join([f"{load:6.2f}" for load in LOADS]))
    for rule, color in RULES.items():
        study = overlap_after_recall(
            UNITS, LOADS, rule=rule, trials=5, cues=20, flips=FLIPS, generator=0
        )
        print(f"{rule:14}" + "".join([f"{mean:6.2f}" for mean in study.mean.tolist()]))
        style = {"color": color, "label": rule, "marker": "o", "ms": 4, "lw": 1.4}
        axes[0].errorbar(study.loads, study.mean, study.standard_error, capsize=2, **style)
        axes[1].plot(study.loads, study.exact, **style)
    axes[0].axhline(1 - 2 * FLIPS, color=MUTED, lw=1, ls="--")
    axes[0].annotate("the cue itself", (0.9, 0.82), ha="right", color=MUTED, fontsize=9)
    axes[0].set(title="Overlap with the pattern", ylim=(0, 1.03))
    axes[1].set(title="Share of cues completed without an error", ylim=(-0.02, 1.03))
    for ax in axes:
        ax.axvline(critical_load(), color=BLUE, lw=1, ls=":")
        ax.set_xlabel("load P / d")
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(color=TRACK)
    axes[1].legend(frameon=False)
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "storage_rules.png", dpi=130)
    print(f"\nFigure: {out / 'storage_rules.png'}")


if __name__ == "__main__":
    main(Path("figures"))
