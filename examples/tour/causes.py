"""Causes that compete, seeing against doing, and draws from the posterior."""

from __future__ import annotations

from textwrap import fill

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from examples.tour.clinic import STEPS
from examples.tour.guide import Guide
from inference.palette import AMBER, BLUE, GREEN, MUTED
from pgm import BayesianNetwork
from pgm.classic import asia

DISEASES = {"tub": BLUE, "lung": AMBER, "bronc": GREEN}


def draw_beliefs(network: BayesianNetwork, ax: Axes) -> Axes:
    """Bars of each disease as evidence comes in."""
    for i, (name, color) in enumerate(DISEASES.items()):
        heights = [network.marginals(e, [name])[name][0].item() for e in STEPS.values()]
        places = [j + 0.27 * (i - 1) for j in range(len(STEPS))]
        bars = ax.bar(places, heights, 0.25, color=color, label=name)
        ax.bar_label(bars, fmt=lambda p: f"{100 * p:.0f}", fontsize=8, color=MUTED)
    ax.set_xticks(range(len(STEPS)), list(STEPS))
    ax.set(ylim=(0, 1.15), yticks=[])
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.legend(frameon=False, ncols=3, loc="upper left", fontsize=9)
    return ax


def explaining_away(guide: Guide) -> None:
    guide.heading("Explaining away")
    network = asia()
    alone, found = STEPS["+ X-ray"], STEPS["+ cancer"]
    before, after = (network.marginals(e, ["tub"])["tub"][0] for e in (alone, found))
    print(f"  Tuberculosis after dyspnoea and X-ray: {before:.4f}. Then cancer is found, which")
    print(f"  accounts for both: {after:.4f}, as if nothing had been seen.")
    for given in ([], ["xray"]):
        apart = network.is_d_separated("tub", "lung", given)
        words = "independent" if apart else "dependent"
        print(f"  tub and lung are {words} given {given[0] if given else 'nothing'}")
    ax = draw_beliefs(network, plt.subplots(figsize=(7.2, 3.6), layout="constrained")[1])
    ax.set_title("Cancer explains the X-ray: tuberculosis falls back (%)", fontsize=11)
    guide.save(ax, "explaining_away")


def seeing_and_doing(guide: Guide) -> None:
    guide.heading("Seeing against doing")
    network = asia()
    prior, seen = network.marginals(), network.marginals({"lung": "yes"})
    done = network.intervene({"lung": "yes"}).marginals()
    print(f"  {'P(yes)':<10}{'prior':>10}{'see lung':>12}{'do lung':>12}")
    for name in ("smoke", "bronc", "xray", "dysp"):
        row = [column[name][0].item() for column in (prior, seen, done)]
        print(f"  {name:<10}{row[0]:>10.4f}{row[1]:>12.4f}{row[2]:>12.4f}")
    print("  Cancer seen speaks of smoking. Cancer caused by force does not, but still shows.")


def machinery(guide: Guide) -> None:
    guide.heading("How it is computed, and exact draws from the posterior")
    network, evidence, n = asia(), STEPS["+ X-ray"], 100_000
    print(fill(str(network.plan(evidence)), 90, initial_indent="  ", subsequent_indent="    "))
    draws = network.sample(n, evidence, generator=0)
    print(f"  {n:,} draws given dyspnoea and X-ray:")
    print(f"  {'P(yes)':<10}{'exact':>10}{'drawn':>10}{'std. errors':>14}")
    posteriors = network.marginals(evidence)
    for i, name in enumerate(network.variables):
        p = posteriors[name][0].item()
        drawn = (draws[:, i] == 0).double().mean().item()
        spread = (p * (1 - p) / n) ** 0.5
        away = f"{(drawn - p) / spread:+.1f}" if spread else "observed"
        print(f"  {name:<10}{p:>10.4f}{drawn:>10.4f}{away:>14}")
