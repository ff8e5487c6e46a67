"""Temperature: from the states of least energy to all states alike.

A machine of four units has sixteen states. Cold, it is in one of those of least energy, here two
that are alike; hot, in any. Its entropy rises from log 2 to log 16. Bars are exact, dots are
frequencies in chains that were cooled: at T = 0.1 they no longer cross between the two states, and
keep the shares, not quite equal, that they had when that began.
"""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

from energy import BoltzmannMachine
from inference.exact.enumerate import enumerate_states
from inference.palette import AMBER, AXIS, BLUE, INK

UNITS, CHAINS, SWEEPS = 4, 4000, 60
WEIGHTS = {(0, 1): 2.0, (2, 3): 2.0, (0, 2): -2.0, (1, 3): -1.0, (0, 3): -0.5}
SHOWN, COLD, HOT = [0.1, 0.5, 2.0, 50.0], 0.05, 100.0


def machine_at(temperature: float) -> BoltzmannMachine:
    """Two pairs of units that inhibit each other."""
    machine = BoltzmannMachine(UNITS, temperature=temperature)
    for (i, j), weight in WEIGHTS.items():
        machine.weights.data[i, j] = machine.weights.data[j, i] = weight
    return machine


def entropy(logs: torch.Tensor) -> float:
    """Of a law given by log-probabilities, nats."""
    return float(-(logs.exp() * logs).nan_to_num().sum())


def main(out: Path) -> None:
    states = enumerate_states([2] * UNITS)
    order = machine_at(1.0).energy(states).argsort(stable=True)
    names = ["".join([str(int(unit)) for unit in states[place]]) for place in order]
    figure = plt.figure(figsize=(12, 6.8), layout="constrained")
    grid = figure.add_gridspec(2, 4, height_ratios=[1, 0.9])
    curve = figure.add_subplot(grid[1, :])
    temperatures = np.geomspace(COLD, HOT, 80)
    entropies = [entropy(machine_at(t).log_prob(states)) for t in temperatures.tolist()]
    curve.semilogx(temperatures, entropies, color=BLUE, lw=2)
    for value, name in ((math.log(2), "log 2"), (math.log(16), "log 16")):
        curve.axhline(value, color=AXIS, lw=1, ls=":")
        curve.annotate(name, (COLD, value), xytext=(2, 4), textcoords="offset points", fontsize=9)
    print(f"{'T':>6}{'entropy, nats':>16}{'least energies':>17}{'drawn':>9}")
    for column, temperature in enumerate(SHOWN):
        exact = machine_at(temperature).log_prob(states)[order]
        drawn = machine_at(temperature).sample(CHAINS, sweeps=SWEEPS, generator=column)
        shares = (drawn[:, None] == states[order]).all(2).double().mean(0)
        both, found = float(exact[:2].exp().sum()), float(shares[:2].sum())
        print(f"{temperature:6.1f}{entropy(exact):16.3f}{both:17.3f}{found:9.3f}")
        ax = figure.add_subplot(grid[0, column])
        ax.bar(range(16), exact.exp().numpy(), color=BLUE, alpha=0.6, label="exact")
        ax.plot(range(16), shares.numpy(), "o", ms=4, color=AMBER, label="drawn")
        ax.set_xticks(range(16), names, rotation=90, fontsize=7)
        ax.set(title=f"T = {temperature:g}", ylim=(0, 0.56))
        ax.tick_params(labelleft=not column)
        ax.spines[["top", "right"]].set_visible(False)
        curve.plot(temperature, entropy(exact), "o", color=INK, ms=6)
    figure.axes[1].legend(frameon=False)
    figure.axes[1].set_ylabel("probability of a state")
    curve.set(xlabel="temperature T", ylabel="entropy, nats", ylim=(0, 3.05))
    curve.spines[["top", "right"]].set_visible(False)
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "temperature.png", dpi=130)
    print(f"\nFigure: {out / 'temperature.png'}")


if __name__ == "__main__":
    main(Path("figures"))
