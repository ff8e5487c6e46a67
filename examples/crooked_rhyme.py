"""A rhyme as a Markov chain: it tells variations of itself; to read them it must be smoothed.

The chain draws each word given those before it, so what it tells are the rhyme's own pieces in a
new order. An order of words that it has not seen has probability zero, unless some probability is
kept for the unseen: smoothing rules differ in how much, and perplexity on a new line judges them.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.image import AxesImage

from pgm.chains.smoothing import AddK, Interpolated, KneserNey, Laplace, WittenBell
from pgm.markov_chain import MarkovChain

RHYME = """
there was a crooked man who walked a crooked mile and found a crooked sixpence upon a crooked stile
he bought a crooked cat who caught a crooked mouse and they all lived together in a little crooked
house
"""
VARIATION = "they found a little mouse in a crooked house"
ESTIMATORS = {
    "relative frequencies": None,
    "add one": AddK(1.0),
    "pseudo-counts like single words": Laplace(1.0),
    "Witten-Bell": WittenBell(),
    "Kneser-Ney, D = 0.75": KneserNey(0.75, uniform_base=True),
    "learned interpolation": Interpolated(),
}


def draw(ax: Axes, chain: MarkovChain, title: str) -> AxesImage:
    """Probabilities from (rows) to (columns); what cannot happen is white."""
    shown = ax.imshow(chain.transitions.numpy(), cmap="Blues", norm=PowerNorm(0.4, 0, 1))
    places = range(len(chain.states))
    ax.set_xticks(places, list(chain.states), rotation=90)
    ax.set_yticks(places, list(chain.states))
    ax.tick_params(length=0, labelsize=9)
    ax.set_title(title, fontsize=12, pad=10)
    ax.set_xlabel("next word", fontsize=11)
    ax.spines[:].set_color("0.7")
    return shown


def main(out: Path) -> None:
    words = RHYME.split()
    chains = {
        name: MarkovChain(1, smoothing, states=list(dict.fromkeys(words))).fit(words)
        for name, smoothing in ESTIMATORS.items()
    }
    plain, smoothed = chains["relative frequencies"], chains["Witten-Bell"]
    print("What the chain of relative frequencies makes of the rhyme:\n")
    for told in plain.decode(plain.sample(4, 15, generator=7)):
        print("  " + " ".join(told))

    print(f"\nPerplexity of the rhyme, and of '{VARIATION}':\n")
    for name, chain in chains.items():
        known, new = chain.perplexity(words), chain.perplexity(VARIATION.split())
        print(f"  {name:<34}{known:>8.2f}{new:>8.2f}")
    print("\nFrequencies know the rhyme best, and hold what it does not say for impossible.")

    figure, axes = plt.subplots(1, 2, figsize=(13, 6.9), sharey=True, layout="constrained")
    draw(axes[0], plain, "Relative frequencies: only what the rhyme says")
    shown = draw(axes[1], smoothed, "Witten-Bell: anything, frequent words above all")
    axes[0].set_ylabel("word", fontsize=11)
    axes[0].text(24.2, 23, "here the rhyme ends: any word may follow", ha="right", va="center")
    ticks = [0, 0.01, 0.05, 0.2, 0.5, 1]
    bar = figure.colorbar(shown, ax=axes, shrink=0.75, pad=0.02, label="probability")
    bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "crooked_rhyme.png", dpi=130)
    print(f"\nFigure: {out / 'crooked_rhyme.png'}")


if __name__ == "__main__":
    main(Path("figures"))
