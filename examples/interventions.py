"""Seeing is not doing: a treatment that looks worse, and is better.

Kidney stones, 350 patients for each of two treatments (Charig et al. 1986; the example of
Simpson's paradox in Julious & Mullee 1994). Large stones, which are harder to cure, were mostly
given treatment A. So whoever *got* A did worse, while *giving* A does better: p(x | a) is not
p(x | do(a)), because the size of the stone leads to both.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt

from pgm import BayesianNetwork

# (cured, patients) by size of the stone and treatment.
CASES = {"small": {"A": (81, 87), "B": (234, 270)}, "large": {"A": (192, 263), "B": (55, 80)}}


def kidney_stones() -> BayesianNetwork:
    """Size of the stone -> treatment, and both -> cured, with the observed frequencies."""
    treated = [[n for _, n in arms.values()] for arms in CASES.values()]
    sizes = [sum(row) for row in treated]
    return BayesianNetwork(
        [("size", "treatment"), ("size", "cured"), ("treatment", "cured")],
        {"size": ["small", "large"], "treatment": ["A", "B"], "cured": ["yes", "no"]},
        {
            "size": [n / sum(sizes) for n in sizes],
            "treatment": [[n / sum(row) for n in row] for row in treated],
            "cured": [
                [[cured / n, 1 - cured / n] for cured, n in arms.values()]
                for arms in CASES.values()
            ],
        },
    )


def main(out: Path) -> None:
    network = kidney_stones()
    print("Kidney stones: how many are cured?\n")
    print(f"  {'':<18}{'treatment A':>14}{'treatment B':>14}")
    for size in CASES:
        rates = [network.marginals({"size": size, "treatment": t})["cured"][0] for t in "AB"]
        print(f"  {size + ' stones':<18}{rates[0]:>14.1%}{rates[1]:>14.1%}")
    seen = [network.marginals({"treatment": t})["cured"][0] for t in "AB"]
    done = [network.intervene({"treatment": t}).marginals()["cured"][0] for t in "AB"]
    print(f"  {'seeing p(x | t)':<18}{seen[0]:>14.1%}{seen[1]:>14.1%}")
    print(f"  {'p(x | do(t))':<18}{done[0]:>14.1%}{done[1]:>14.1%}")
    print("\nA is better for small stones, for large stones and when it is given to everybody;")
    print("only among those who happened to get it does it look worse.")

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.1))
    figure.subplots_adjust(left=0, right=1, bottom=0, top=0.91, wspace=0.03)
    given = {"treatment": "A"}
    network.plot(left, given).set_title("Seeing: treatment A was given")
    network.intervene(given).plot(right, given).set_title("Doing: treatment A is given")
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "interventions.png", dpi=130)
    print(f"\nFigure: {out / 'interventions.png'}")


if __name__ == "__main__":
    main(Path("figures"))
