"""Beyond 0.138 patterns per unit: sharper interactions remember far more.

Where a Hopfield network adds up squares of overlaps, a dense associative memory adds higher powers
or exponentials, and the pattern that is nearest outvotes the crowd. With real numbers in place of
-1 and +1 the exponential makes recall one step of attention: here to 1,500 digits, by a noisy one.
The dotted line is the limit of the Hopfield network, 0.138 patterns per unit.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits

from energy.dense_associative_memory import DenseAssociativeMemory
from energy.memory_plot import plot_patterns
from energy.modern_hopfield import ModernHopfield
from inference.palette import AMBER, AXIS

UNITS, CUES, FLIPS = 64, 40, 0.1
SIDE, SHOWN, NOISE = 8, 10, 0.06
COUNTS = [3, 6, 9, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096]
DEGREES = {2: "#a3b6cc", 3: "#6d93bf", 4: "#35618f", "exponential": AMBER}


def main(out: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    patterns = 2 * torch.randint(2, (COUNTS[-1], UNITS), generator=generator).double() - 1
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.6), layout="constrained")
    print(f"Patterns of {UNITS} units recalled with an overlap of 0.95 and more:\n")
    for degree, color in DEGREES.items():
        means = []
        for count in COUNTS:
            wanted = patterns[:count][:CUES]
            turned = torch.rand(wanted.shape, generator=generator) < FLIPS
            memory = DenseAssociativeMemory(patterns[:count], degree)
            end = memory.recall(torch.where(turned, -wanted, wanted), generator=generator).state
            means.append((end * wanted).mean().item())
        good = [count for count, mean in zip(COUNTS, means, strict=True) if mean >= 0.95]
        print(f"  {degree!s:12} up to {good[-1]:5d}, {good[-1] / UNITS:7.2f} per unit")
        loads = [count / UNITS for count in COUNTS]
        left.semilogx(loads, means, "o-", ms=4, color=color, label=f"{degree}")
    left.axvline(0.138, color=AXIS, lw=1, ls=":")
    left.set(xlabel="load P / d", ylabel="overlap after recall", ylim=(0, 1.03))
    left.set_title(f"{UNITS} units, one in ten turned")
    left.legend(title="F(m) = m to the power", frameon=False)
    left.spines[["top", "right"]].set_visible(False)

    images = torch.from_numpy(load_digits().data)
    images = images / images.norm(dim=1, keepdim=True)
    known, wanted = images[:1500], images[:SHOWN]
    noise = NOISE * torch.randn(wanted.shape, generator=generator, dtype=torch.float64)
    cues = (wanted + noise).clamp_min(0)
    rows = [cues, *[ModernHopfield(known, beta).update(cues) for beta in (10, 50, 500)], wanted]
    plot_patterns(
        torch.cat([r / r.amax(1, keepdim=True) for r in rows]), (SIDE, SIDE), right, SHOWN
    )
    right.set_title("Noisy digits; one update at beta = 10, 50, 500; the digits")
    error = (rows[3] - wanted).norm(dim=1)
    print(f"\nOne update at beta = 500: {int((error < 0.1).sum())} of {SHOWN} digits restored.")
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "dense_memories.png", dpi=130)
    print(f"\nFigure: {out / 'dense_memories.png'}")


if __name__ == "__main__":
    main(Path("figures"))
