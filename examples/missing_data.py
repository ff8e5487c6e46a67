"""Fitting a network to data with holes: exact EM uses what every row still shows.

Leaving out incomplete rows throws away most of what is known as soon as holes are many. EM sums
over what a row does not show, exactly, and stays near the fit to all cells for much longer.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import torch

from inference.palette import AMBER, AXIS, BLUE, INK
from pgm import BayesianNetwork
from pgm.classic import asia

ROWS = 5_000
HIDDEN = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)


def blank(true: BayesianNetwork) -> BayesianNetwork:
    """The same graph without its numbers."""
    return BayesianNetwork(true.edges, true.config()["states"])


def error(true: BayesianNetwork, fitted: BayesianNetwork) -> float:
    """Divergence of the fitted law from the true one, on states drawn from the truth."""
    x = true.sample(200_000, generator=1)
    return (true.log_prob(x) - fitted.log_prob(x)).mean().item()


def main(out: Path) -> None:
    true = asia()
    rows = true.sample(ROWS, generator=0)
    noise = torch.rand(rows.shape, generator=torch.Generator().manual_seed(2))
    best = error(true, blank(true).fit(rows, prior=0.5))
    print(f"{ROWS:,} patients of the chest clinic; the fit to all cells is {best:.4f} nats off.\n")
    print(f"  {'hidden':>7}{'complete rows':>15}{'their fit':>11}{'EM':>9}{'steps':>7}")
    errors, histories = [], {}
    for share in HIDDEN:
        holes = torch.where(noise < share, -1, rows)
        whole = holes[(holes >= 0).all(1)]
        dropped = error(true, blank(true).fit(whole, prior=0.5))
        network = blank(true).fit(holes, prior=0.5, tolerance=1e-8, max_iterations=300)
        histories[share] = [step["objective"] for step in network.history]
        errors.append((dropped, error(true, network)))
        shown = f"{dropped:>11.4f}{errors[-1][1]:>9.4f}{len(network.history):>7}"
        print(f"  {share:>7.0%}{len(whole):>15,}{shown}")
    filled = network.impute(holes)
    right = (filled == rows)[holes < 0].double().mean()
    print(f"\nOf the {(holes < 0).sum():,} cells hidden last, the best completion of every row")
    print(f"gets {right:.1%} right. EM never loses ground: each step raises the log-likelihood.")

    figure, (left, middle) = plt.subplots(1, 2, figsize=(10.4, 3.9), layout="constrained")
    for column, label, color in ((0, "complete rows only", AXIS), (1, "all rows, by EM", BLUE)):
        left.plot(HIDDEN, [e[column] for e in errors], "o-", color=color, label=label)
    left.axhline(best, color=INK, lw=0.9, ls=(0, (4, 3)), label="nothing hidden")
    left.set(
        yscale="log", xlabel="share of hidden cells", ylabel="divergence from the truth (nats)"
    )
    left.xaxis.set_major_formatter(lambda x, _: f"{x:.0%}")
    left.legend(frameon=False)
    left.set_title("What the holes cost")
    for share, color in ((0.2, BLUE), (0.6, AMBER)):
        gaps = [histories[share][-1] - value for value in histories[share][:-1]]
        middle.semilogy(range(1, len(gaps) + 1), gaps, color=color, label=f"{share:.0%} hidden")
    middle.set(xlabel="EM step", ylabel="objective below its limit (nats)")
    middle.legend(frameon=False)
    middle.set_title("More holes, slower steps")
    for ax in (left, middle):
        ax.spines[["top", "right"]].set_visible(False)
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "missing_data.png", dpi=130)
    print(f"\nFigure: {out / 'missing_data.png'}")


if __name__ == "__main__":
    main(Path("figures"))
