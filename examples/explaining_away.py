"""Explaining away: two independent causes compete once their common effect is seen.

Wet grass makes a sprinkler likelier, and rain as well. Learning that it has rained explains the
wet grass, and the sprinkler falls back. The graph alone says when such a dependence is possible.
In the figure amber is what is known; a tick on a bar is where it stood before.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt

from pgm.classic import sprinkler

STEPS = {
    "nothing is known": {},
    "the grass is wet": {"wet_grass": "yes"},
    "... and it has rained": {"wet_grass": "yes", "rain": "yes"},
}


def main(out: Path) -> None:
    network = sprinkler()
    print("The grass is wet. Was it the sprinkler or the rain?\n")
    print(f"  {'':<24}{'P(sprinkler)':>14}{'P(rain)':>10}")
    for words, evidence in STEPS.items():
        found = network.marginals(evidence, ["sprinkler", "rain"])
        print(f"  {words:<24}{found['sprinkler'][0]:>14.4f}{found['rain'][0]:>10.4f}")
    print("\nWet grass makes both likelier; rain then explains it, and the sprinkler falls back.")

    print("\nWhat the graph alone says about sprinkler and rain, given the sky:")
    for given in (["cloudy"], ["cloudy", "wet_grass"]):
        apart = network.is_d_separated("sprinkler", "rain", given)
        print(f"  {'given ' + ', '.join(given):<26}{'independent' if apart else 'dependent'}")

    figure, axes = plt.subplots(1, len(STEPS), figsize=(13.5, 3.8))
    figure.subplots_adjust(left=0, right=1, bottom=0, top=0.91, wspace=0.03)
    for ax, (words, evidence) in zip(axes, STEPS.items(), strict=True):
        network.plot(ax, evidence)
        ax.set_title(words[0].upper() + words[1:])
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "explaining_away.png", dpi=130)
    print(f"\nFigure: {out / 'explaining_away.png'}")


if __name__ == "__main__":
    main(Path("figures"))
