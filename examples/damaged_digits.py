"""Damaged digits: repaired step by step by a network that has seen one of each.

Ten digits are far from random: they share strokes and much white paper. Hebb's rule, which trusts
patterns to be unlike each other, drowns in what they share. The pseudo-inverse takes that out.
Wrong units are amber: dark where there is ink too much, light where ink is lacking.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from energy.hopfield_network import HopfieldNetwork, StorageRule
from energy.memory_plot import plot_recall

SIDE, NOISE, SWEEPS = 8, 0.12, 3
RULES: dict[StorageRule, str] = {
    "hebbian": "Hebb's rule",
    "storkey": "Storkey's rule",
    "pseudo-inverse": "pseudo-inverse",
}


def ten_digits() -> Tensor:
    """For every digit the image that is nearest to its mean, ink +1."""
    x, y = load_digits(return_X_y=True)
    images, labels = 2.0 * torch.from_numpy(x >= 8).double() - 1, torch.from_numpy(y)
    chosen = []
    for digit in range(10):
        some = images[labels == digit]
        chosen.append(some[(some @ some.mean(0)).argmax()])
    return torch.stack(chosen)


def main(out: Path) -> None:
    digits = ten_digits()
    generator = torch.Generator().manual_seed(0)
    cues = digits.clone()
    noisy = torch.rand(5, SIDE**2, generator=generator) < NOISE
    cues[:5] = torch.where(noisy, -cues[:5], cues[:5])
    cues.reshape(10, SIDE, SIDE)[5:, SIDE // 2 :] = -1.0  # the lower half is torn off
    print(f"Wrong units in the ten cues: {int((cues != digits).sum())}\n")
    print("rule               digits that are fixed points   wrong units after recall   repaired")
    figure, axes = plt.subplots(1, 3, figsize=(11, 10), layout="constrained")
    figure.get_layout_engine().set(wspace=0.08)
    for ax, (rule, name) in zip(axes, RULES.items(), strict=True):
        network = HopfieldNetwork(SIDE**2).store(digits, rule)
        # The same seed, so that a longer recall goes on where a shorter one stopped.
        steps = [network.recall(cues, max_sweeps=n, generator=0).state for n in range(SWEEPS + 1)]
        end = network.recall(cues, generator=0).state
        wrong = (end != digits).sum(1)
        stable = int(network.is_stable(digits).sum())
        print(f"{name:17}{stable:31d}{int(wrong.sum()):27d}{int((wrong == 0).sum()):11d}")
        plot_recall(torch.stack(steps), (SIDE, SIDE), ax, wanted=digits)
        ax.set_title(f"{name}: the cue, and after 1, 2, 3 sweeps", fontsize=10)
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "damaged_digits.png", dpi=130)
    print(f"\nFigure: {out / 'damaged_digits.png'}")


if __name__ == "__main__":
    main(Path("figures"))
