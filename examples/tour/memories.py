"""A Hopfield network: damaged digits, remembered."""

from __future__ import annotations

import matplotlib.pyplot as plt
import torch

from energy import HopfieldNetwork
from energy.memory_plot import plot_recall
from examples.damaged_digits import ten_digits
from examples.tour.guide import Guide


def recall(guide: Guide) -> None:
    guide.heading("Damaged digits, remembered")
    digits = ten_digits()
    network = HopfieldNetwork(digits.shape[1]).store(digits, "pseudo-inverse")
    noise = torch.rand(digits.shape, generator=torch.Generator().manual_seed(0)) < 0.12
    cues = torch.where(noise, -digits, digits)
    found = network.recall(cues, generator=0)
    print(f"  {noise.sum()} of {noise.numel()} pixels of ten digits are turned; after recall")
    print(f"  {int((found.state != digits).sum())} are wrong. The energy falls to a minimum:")
    trace = found.energy.mean(1)
    print("  " + " -> ".join([f"{energy:.2f}" for energy in trace.tolist()]))
    steps = torch.stack([network.recall(cues, max_sweeps=n, generator=0).state for n in range(3)])
    _, ax = plt.subplots(figsize=(3.0, 8.4), layout="constrained")
    plot_recall(steps, (8, 8), ax, wanted=digits)
    ax.set_title("The cue, and after one and two sweeps", fontsize=10)
    guide.save(ax, "remembered")
    guide.panel(
        "recall",
        "Hopfield network",
        "a cue, one sweep, two",
        lambda ax: plot_recall(steps[:, 2:6], (8, 8), ax, wanted=digits[2:6]),
    )
