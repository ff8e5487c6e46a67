"""Spins of a magnet: cold, critical and hot, and their partition function."""

from __future__ import annotations

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor

from energy import IsingModel
from energy.ising.onsager import CRITICAL_TEMPERATURE, torus_log_partition
from energy.memory_plot import plot_patterns
from examples.tour.guide import Guide
from inference import mcse, sample_chain
from inference.palette import AXIS, MUTED

SIDE, CHAINS, STEP = 64, 4, 1e-4
TEMPERATURES = {1.8: "T = 1.8", CRITICAL_TEMPERATURE: "T = 2.269, critical", 3.5: "T = 3.5"}


def exact_energy(beta: float) -> float:
    """Mean energy per spin of the same lattice, from the exact log Z on either side of beta."""
    above, below = (torus_log_partition(SIDE, SIDE, beta + sign * STEP) for sign in (1, -1))
    return -(above - below) / (2 * STEP) / SIDE**2


def draw_spins(pictures: Tensor, ax: Axes) -> Axes:
    """The lattices in frames, each with its temperature."""
    plot_patterns(pictures, (SIDE, SIDE), ax)
    for place, words in enumerate(TEMPERATURES.values()):
        left = place * (SIDE + 1) - 0.5
        ax.add_patch(
            Rectangle((left, -0.5), SIDE, SIDE, fc="none", ec=AXIS, lw=0.8, clip_on=False)
        )
        ax.text(left + SIDE / 2, SIDE + 2, words, ha="center", va="top", color=MUTED, fontsize=9)
    return ax


def temperatures(guide: Guide) -> None:
    guide.heading("A magnet, cold, critical and hot")
    print(f"  {SIDE} x {SIDE} spins, drawn by turning whole clusters (Swendsen & Wang).")
    print(f"\n  {'T':>7}{'energy per spin':>18}{'std. error':>12}{'exact':>10}")
    pictures = []
    for temperature in TEMPERATURES:
        model = IsingModel.lattice((SIDE, SIDE), beta=1 / temperature)
        draws = sample_chain(
            model.kernel("clusters"),
            torch.ones(CHAINS, SIDE**2),
            draws=guide.pick(200, 60),
            warmup=guide.pick(100, 60),
            generator=0,
        ).values
        energies = model.energy(draws) / SIDE**2
        mean, error = float(energies.mean()), float(mcse(energies))
        exact = exact_energy(1 / temperature)
        print(f"  {temperature:7.3f}{mean:18.4f}{error:12.4f}{exact:10.4f}")
        spins = draws[0, -1]
        pictures.append(
            -spins * spins.sum().sign()
        )  # as likely as its mirror image; most are pale
    pictures = torch.stack(pictures)
    _, ax = plt.subplots(figsize=(11, 4.2), layout="constrained")
    draw_spins(pictures, ax).set_title("Order, islands of all sizes, disorder", fontsize=11)
    guide.save(ax, "spins")
    guide.panel(
        "spins",
        "Ising model: cold, critical, hot",
        "64 × 64 spins, drawn by turning clusters",
        lambda ax: draw_spins(pictures, ax),
    )


def partition(guide: Guide) -> None:
    guide.heading("A sum over 2^256 states")
    model = IsingModel.lattice((16, 16), beta=0.4)
    print("  256 spins, T = 2.5. Annealed importance sampling estimates log Z:")
    print(f"  {model.log_partition('ais', generator=0)}.")
    print(f"  The exact sum over all 2^256 states is {torus_log_partition(16, 16, 0.4):.3f}.")
