"""Explaining away among sigmoid units: what a factorised posterior misses of it.

Two causes that know nothing of each other become dependent once their common effect is seen: more
of one makes the other less likely. Exact sums and chains find that correlation. A product of two
laws, which is what mean field looks for, has none.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from inference.palette import AXIS, BLUE, SERIES
from pgm.sigmoid_belief_network import SigmoidBeliefNetwork

EVIDENCE = {  # cause 1, effect, cause 2; -1 is not known
    "nothing is known": [-1, -1, -1],
    "the effect is seen": [-1, 1, -1],
    "... and cause 2 is present": [-1, 1, 1],
    "... and cause 2 is absent": [-1, 1, 0],
}


def joint_posteriors(network: SigmoidBeliefNetwork) -> dict[str, Tensor]:
    """Law (2, 2) of the two causes once the effect is seen, by three methods."""
    seen = [[-1, 1, -1]]
    complete = [[first, 1, second] for first in (0, 1) for second in (0, 1)]
    exact = (network.log_prob(complete) - network.log_prob(seen)).exp().view(2, 2)
    p1, _, p2 = network.posterior(seen, "mean-field")[0]
    product = torch.outer(torch.stack([1 - p1, p1]), torch.stack([1 - p2, p2]))
    chains = torch.tensor([[0, 1, 0]]).expand(20_000, -1)
    for seed in range(30):
        chains = network.gibbs_sweep(chains, observed=["effect"], generator=seed)
    drawn = torch.bincount(2 * chains[:, 0] + chains[:, 2], minlength=4).view(2, 2) / len(chains)
    return {"exact": exact, "Gibbs sampling": drawn, "mean field": product}


def correlation(law: Tensor) -> float:
    """Correlation of two bits with this law."""
    (_, first), (_, second) = law.sum(1), law.sum(0)
    spread = first * (1 - first) * second * (1 - second)
    return float((law[1, 1] - first * second) / spread.sqrt())


def main(out: Path) -> None:
    network = SigmoidBeliefNetwork([("cause 1", "effect"), ("cause 2", "effect")])
    with torch.no_grad():  # causes of probability 1/2; an effect with log-odds -1 + 2 + 2
        network.bias[1] = -1.0
        network.weights[[0, 2], 1] = 2.0
    posterior = network.posterior(list(EVIDENCE.values()))[:, 0].tolist()
    for words, p in zip(EVIDENCE, posterior, strict=True):
        print(f"  {words:<28}P(cause 1) = {p:.4f}")
    laws = joint_posteriors(network)
    labels = {f"{name}: correlation {correlation(law):.2f}": law for name, law in laws.items()}
    print("\nThe causes are independent until their effect is seen. Then, by", *labels, sep="\n  ")

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.8), layout="constrained")
    left.bar_label(left.barh([*EVIDENCE], posterior, color=[AXIS] + 3 * [BLUE]), fmt=" %.3f")
    left.axvline(posterior[0], color=AXIS, linewidth=1, linestyle="--", zorder=0)
    left.invert_yaxis()
    left.set(title="Cause 2 explains away cause 1", xlabel="P(cause 1)", xlim=(0, 0.85))
    for k, (label, law) in enumerate(labels.items()):
        places = [place + 0.28 * (k - 1) for place in range(4)]
        drawn = right.bar(places, law.flatten().tolist(), 0.26, label=label, color=SERIES[k])
        right.bar_label(drawn, fmt="%.2f", padding=1, fontsize=8.5)
    right.set_xticks(range(4), ["neither", "only cause 2", "only cause 1", "both"])
    right.set(title="Which causes, once the effect is seen", ylabel="probability", ylim=(0, 0.48))
    right.legend(loc="upper left", frameon=False)
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "sigmoid_explaining_away.png", dpi=130)
    print(f"\nFigure: {out / 'sigmoid_explaining_away.png'}")


if __name__ == "__main__":
    main(Path("figures"))
